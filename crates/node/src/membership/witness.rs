//! A witness: a machine that votes and is no node. It makes a majority possible where two nodes, or
//! two halves of four, have lost each other.
//!
//! ```text
//!   a witness                                    a member
//!   ostler witness join ── apply ── HTTPS ─────► admit_witness: takes the token, signs its keys
//!     is_there, votes ══ etcd ═════════════════► the others give all nodes a vote
//!                     ◄═ etcd ══════════════════ follow_witness: certificates, revocations
//! ```
//!
//! It has the state as etcd has it: what is secret is sealed, and it has neither the keys for that nor
//! those of an authority. All that it needs is in its record.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{Error, NodeName, Record, with_timeout};
use tracing::warn;

use super::admission::{check_clock, check_free, check_version};
use super::application::{VERSION, WitnessAdmission, WitnessApplication};
use super::invitation::redeem;
use super::renewal::AHEAD_S;
use super::roster::{Roster, change, change_and};
use super::upkeep::endpoints;
use crate::NodeContext;
use crate::cluster::Hearing;
use crate::host::certificates::end_of;
use crate::pki::{Authority, Leaf, PairPaths, serial};
use crate::state::Witness;

/// How long its etcd may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often a member looks whether the witness needs something.
const LOOK: Duration = Duration::from_secs(10);

/// Admits a witness. One of the same name that never came is admitted again.
pub async fn admit_witness(
    node: &NodeContext,
    application: &WitnessApplication,
) -> Result<WitnessAdmission, Error> {
    let WitnessApplication { name, address, .. } = application;
    check_version(application.v)?;
    if address.parse::<IpAddr>().is_err() {
        return Err(Error::invalid("application", "address: not an IP address"));
    }
    check_clock(name, application.now, node.clock.wall())?;
    let store = node.records.store();
    let used = redeem(&**store, node.clock.wall(), &application.token).await?;
    let authority = etcd_authority(node).await?;
    let mut applicant = Witness {
        name: name.clone(),
        address: address.clone(),
        votes: 0,
        is_there: false,
        client_key: application.client_key.clone(),
        server_key: application.server_key.clone(),
        client_certificate: String::new(),
        server_certificate: String::new(),
        serials: Vec::new(),
        revoked: Vec::new(),
        revocations: String::new(),
    };
    certify(&mut applicant, &authority)?;
    let admitted = change_and(&**store, used, |roster| {
        enter(roster, &authority, &applicant)
    });
    let (roster, _) = admitted.await?;
    let members = roster.members.values().map(|record| &record.data);
    Ok(WitnessAdmission {
        v: VERSION,
        cluster: roster.cluster.data.name.clone(),
        authority: authority.certificate,
        endpoints: endpoints(&node.name, members),
        witness: roster.witness().cloned().unwrap_or(applicant),
    })
}

fn enter(roster: &mut Roster, authority: &Authority, applicant: &Witness) -> Result<(), Error> {
    match roster.witness() {
        Some(known) if known.is_there || known.name != applicant.name => {
            return Err(Error::conflict(format!(
                "the cluster has the witness '{}' already: remove it first",
                known.name
            )));
        }
        _ => roster.drop_witness(),
    }
    check_free(roster, &applicant.name, &applicant.address)?;
    let mut witness = applicant.clone();
    revoke(&mut witness, &roster.cluster.data.revoked, authority)?;
    roster.witness = Some(Record::new(witness));
    Ok(())
}

/// Whether its etcd answers this node; one that does not vote has none.
pub async fn witness_answers(node: &NodeContext, witness: &Witness) -> Result<bool, Error> {
    if witness.votes == 0 {
        return Ok(false);
    }
    let answers = node.state()?.answers(&witness.address);
    let answers = with_timeout(&*node.clock, PATIENCE, answers).await;
    Ok(matches!(answers, Some(Ok(true))))
}

/// Takes the witness off the cluster for good. May be repeated.
///
/// The order is that of a node's removal: vote, record with certificates, session.
pub async fn remove_witness(node: &NodeContext) -> Result<(), Error> {
    let (state, store) = (node.state()?, node.records.store());
    let roster = Roster::read(&**store).await?;
    let Some(witness) = roster.witness() else {
        state.revoke(&roster.cluster.data.revoked).await?;
        return Err(Error::not_found("the cluster has no witness"));
    };
    state.remove_voter(&witness.address).await?;
    let changed = change(&**store, |roster| {
        roster.drop_witness();
        Ok(())
    });
    let (changed, _) = changed.await?;
    state.revoke(&changed.cluster.data.revoked).await?;
    state.end_session(&witness.name).await
}

/// Keeps in the witness's record what it cannot make itself. The first member that is there does it.
/// Never returns.
pub async fn follow_witness(node: &NodeContext) {
    loop {
        node.clock.sleep(LOOK).await;
        if node.records.store().outage().is_some() || !is_first(node) {
            continue;
        }
        if let Err(error) = supply_witness(node).await {
            warn!(%error, "the witness does not get its certificates and revocations");
        }
    }
}

fn is_first(node: &NodeContext) -> bool {
    let members = node.cluster.members.all();
    let is_there = |name: &NodeName| {
        let link = node.cluster.link(name);
        *name == node.name || link.is_some_and(|link| link.hearing() == Hearing::Heard)
    };
    let present = members.values().filter(|member| is_there(&member.name));
    let first = present.min_by_key(|member| member.nodeid);
    first.is_some_and(|first| first.name == node.name)
}

async fn supply_witness(node: &NodeContext) -> Result<(), Error> {
    let records = node.records.local();
    let (Some(witness), Some(cluster)) = (records.witness().await?, records.cluster().await?)
    else {
        return Ok(());
    };
    let wall = node.clock.wall();
    let at = Path::new("the witness's record");
    let mut ends_soon = false;
    for certificate in [&witness.client_certificate, &witness.server_certificate] {
        ends_soon |= end_of(at, certificate.as_bytes())? - wall < AHEAD_S;
    }
    if !ends_soon && witness.revoked == cluster.revoked {
        return Ok(());
    }
    let authority = etcd_authority(node).await?;
    let changed = change(&**node.records.store(), |roster| {
        let revoked = roster.cluster.data.revoked.clone();
        let witness = roster.witness_mut()?;
        if ends_soon {
            certify(witness, &authority)?;
        }
        revoke(witness, &revoked, &authority)
    });
    changed.await.map(drop)
}

async fn etcd_authority(node: &NodeContext) -> Result<Authority, Error> {
    Authority::open(&node.host, &PairPaths::etcd_authority(&node.paths.tls())).await
}

/// Signs its keys.
fn certify(witness: &mut Witness, authority: &Authority) -> Result<(), Error> {
    let client = Leaf::EtcdClient(&witness.name);
    let client = authority.sign_for(client, &witness.client_key)?;
    let server = Leaf::EtcdServer(&witness.address);
    let server = authority.sign_for(server, &witness.server_key)?;
    for certificate in [&client, &server] {
        witness.serials.push(serial(certificate)?);
    }
    witness.client_certificate = client;
    witness.server_certificate = server;
    Ok(())
}

fn revoke(witness: &mut Witness, revoked: &[String], authority: &Authority) -> Result<(), Error> {
    witness.revocations = STANDARD.encode(authority.revoke(revoked)?);
    witness.revoked = revoked.to_vec();
    Ok(())
}
