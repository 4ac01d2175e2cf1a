//! Renews this node's certificates before they end, while they are in use.
//!
//! ```text
//!   sign for the same key ─ announce (the record has both) ─ write ─ use for new connections
//! ```
//!
//! A connection keeps the certificate that it began with. etcd and the API read theirs anew.

use std::time::Duration;

use model::{Error, UnixTime};
use tracing::{info, warn};

use super::announce;
use crate::NodeContext;
use crate::host::certificates::end_of;
use crate::pki::{Authority, Leaf, Pair, PairPaths, fingerprint, is_of, serial};

/// They are renewed when they are valid for less than this.
pub(super) const AHEAD_S: i64 = 60 * 86_400;

/// How often it is checked when they end.
const LOOK: Duration = Duration::from_secs(6 * 3600);

/// How long to wait after a failure.
const RETRY: Duration = Duration::from_secs(600);

/// A certificate that was signed and is not in use yet.
struct Renewed {
    name: &'static str,
    at: PairPaths,
    pair: Pair,
}

/// Renews what ends soon. Never returns.
pub async fn follow_certificates(node: &NodeContext) {
    loop {
        node.records.store().until_outage(false).await;
        let pause = match renew_certificates(node, false).await {
            Ok(_) => LOOK,
            Err(error) => {
                warn!(%error, "certificates of this node cannot be renewed");
                RETRY
            }
        };
        node.clock.sleep(pause).await;
    }
}

/// Renews the certificates that end soon, or all of them; returns their names. May be repeated.
pub async fn renew_certificates(node: &NodeContext, all: bool) -> Result<Vec<&'static str>, Error> {
    let _one_at_a_time = node.cluster.renewing.lock().await;
    let renewed = sign(node, all).await?;
    if renewed.is_empty() {
        return Ok(Vec::new());
    }
    let unknown = || Error::unavailable("this node has no record among the members");
    let mut own = node.cluster.members.get(&node.name).ok_or_else(unknown)?;
    own.etcd_serials.clear();
    if let Some(identity) = &node.cluster.identity {
        // What is known of the members may be older.
        own.fingerprint = identity.fingerprint();
    }
    for Renewed { name, pair, .. } in &renewed {
        match *name {
            "api" => own.api_fingerprint = fingerprint(&pair.certificate)?,
            "agent" => own.fingerprint = fingerprint(&pair.certificate)?,
            _ => own.etcd_serials.push(serial(&pair.certificate)?),
        }
    }
    // Others must know them before they see them.
    announce(&**node.records.store(), &own).await?;
    for Renewed { at, pair, .. } in &renewed {
        let certificate = pair.certificate.as_bytes();
        node.host.write(&at.certificate, certificate, 0o644).await?;
    }
    use_certificates(node).await?;
    let names: Vec<&'static str> = renewed.iter().map(|renewed| renewed.name).collect();
    info!(?names, "certificates were renewed");
    Ok(names)
}

/// The pairs of a node, and who signs them.
async fn sign(node: &NodeContext, all: bool) -> Result<Vec<Renewed>, Error> {
    let (host, tls) = (&node.host, node.paths.tls());
    let link = node.cluster.members.get(&node.name);
    let link = link.map(|own| own.link().to_owned()).unwrap_or_default();
    let (nodes, etcd) = (PairPaths::authority(&tls), PairPaths::etcd_authority(&tls));
    let leaves = [
        (
            "api",
            &nodes,
            PairPaths::api(&node.paths),
            Leaf::Api(&node.name),
        ),
        (
            "agent",
            &nodes,
            PairPaths::agent(&tls),
            Leaf::Agent(&node.name),
        ),
        (
            "etcd client",
            &etcd,
            PairPaths::etcd_client(&tls),
            Leaf::EtcdClient(&node.name),
        ),
        (
            "etcd server",
            &etcd,
            PairPaths::etcd_server(&node.paths),
            Leaf::EtcdServer(&link),
        ),
    ];
    let mut renewed = Vec::new();
    for (name, authority, at, leaf) in leaves {
        if !at.exist(host).await? || !authority.exist(host).await? {
            continue;
        }
        let pair = at.read(host).await?;
        let authority = Authority::open(host, authority).await?;
        let end = end_of(&at.certificate, pair.certificate.as_bytes())?;
        // One that an administrator brought is theirs to renew.
        let is_ours = is_of(&pair.certificate, &authority.certificate)?;
        if !is_ours || !(all || ends_soon(end, node.clock.wall())) {
            continue;
        }
        let mut pair = authority.renew(leaf, &pair)?;
        if name == "api" {
            pair.certificate.push_str(&authority.certificate);
        }
        renewed.push(Renewed { name, at, pair });
    }
    Ok(renewed)
}

fn ends_soon(end: UnixTime, now: UnixTime) -> bool {
    end - now < AHEAD_S
}

/// Uses the files of now for new connections.
async fn use_certificates(node: &NodeContext) -> Result<(), Error> {
    let tls = node.paths.tls();
    if let Some(identity) = &node.cluster.identity {
        let own = PairPaths::agent(&tls).read(&node.host).await?;
        let authority = PairPaths::authority(&tls).certificate;
        let authority = node.host.read(&authority).await?;
        identity.renew(own.certificate.as_bytes(), own.key.as_bytes(), &authority)?;
    }
    match &node.state {
        Some(state) => state.use_certificates().await,
        None => Ok(()),
    }
}
