//! The cluster's side of a join: checks, certificates, a number.

use model::{Error, NodeName, Record, UnixTime};

use super::application::{Admission, Application, VERSION};
use super::invitation::redeem;
use super::removal;
use super::roster::{Roster, change_and};
use super::upkeep::endpoints;
use crate::NodeContext;
use crate::cluster::{Hearing, Member};
use crate::pki::{Authority, Leaf, PairPaths, fingerprint, serial};

/// As many as Proxmox VE supports.
pub const MAX_MEMBERS: usize = 32;

/// Tickets, vouchers and tasks compare the clocks of members.
const CLOCK_TOLERANCE_S: i64 = 10;

/// Admits a node. What an earlier admission of the same name gave counts no more.
pub async fn admit(
    node: &NodeContext,
    name: &NodeName,
    application: &Application,
) -> Result<Admission, Error> {
    check_version(application)?;
    check_clock(name, application.now, node.clock.wall())?;
    let store = node.records.store();
    let used = redeem(&**store, node.clock.wall(), &application.token).await?;
    let roster = Roster::read(&**store).await?;
    if roster.members.contains_key(name) {
        make_room(node, name, application.force).await?;
    }
    let tls = node.paths.tls();
    let authority = PairPaths::authority(&tls).read(&node.host).await?;
    let etcd_authority = PairPaths::etcd_authority(&tls).read(&node.host).await?;
    let sealing_keys = node.host.read(&node.paths.sealing_keys()).await?;
    let agent = Leaf::Agent(name);
    let agent_certificate =
        Authority::from_pair(&authority)?.sign_for(agent, &application.agent_key)?;
    let client = Leaf::EtcdClient(name);
    let etcd_certificate =
        Authority::from_pair(&etcd_authority)?.sign_for(client, &application.etcd_key)?;
    let (address, fingerprint) = (&application.address, fingerprint(&agent_certificate)?);
    let applicant = Member {
        votes: 0,
        link: application.link.clone(),
        etcd_serials: vec![serial(&etcd_certificate)?],
        ..Member::first(name.clone(), address.clone(), fingerprint)
    };
    let admitted = change_and(&**store, used, |roster| {
        enter(roster, &applicant, application.nodeid)
    });
    let (roster, _) = admitted.await?;
    let members = roster.members.values().map(|record| &record.data);
    Ok(Admission {
        v: VERSION,
        cluster: roster.cluster.data.name.clone(),
        nodeid: roster.joining[name].data.nodeid,
        authority,
        etcd_authority,
        sealing_keys: String::from_utf8_lossy(&sealing_keys).into_owned(),
        agent_certificate,
        etcd_certificate,
        endpoints: endpoints(&node.name, members),
    })
}

fn check_version(application: &Application) -> Result<(), Error> {
    match application.v {
        VERSION => Ok(()),
        other => Err(Error::conflict(format!(
            "the node speaks version {other} of the join protocol, this cluster version {VERSION}"
        ))),
    }
}

fn check_clock(name: &NodeName, theirs: i64, ours: UnixTime) -> Result<(), Error> {
    let ahead = theirs - ours;
    let direction = match ahead {
        0.. => "ahead of",
        _ => "behind",
    };
    match ahead.abs() <= CLOCK_TOLERANCE_S {
        true => Ok(()),
        false => Err(Error::conflict(format!(
            "the clock of node '{name}' is {} s {direction} the cluster's: set it first",
            ahead.abs()
        ))),
    }
}

/// Removes a member whose name is needed again.
async fn make_room(node: &NodeContext, name: &NodeName, force: bool) -> Result<(), Error> {
    let link = node.cluster.link(name);
    let is_online = *name == node.name || link.is_some_and(|link| link.hearing() == Hearing::Heard);
    match (force, is_online) {
        (false, _) => Err(Error::conflict(format!("can't add existing node '{name}'"))),
        (true, true) => Err(Error::conflict(format!(
            "node '{name}' is online, its name cannot be taken"
        ))),
        (true, false) => removal::remove(node, name).await,
    }
}

/// Writes an applicant into the roster, under the number that it asks for or a free one.
fn enter(roster: &mut Roster, applicant: &Member, nodeid: Option<u32>) -> Result<(), Error> {
    let name = &applicant.name;
    if roster.members.contains_key(name) {
        return Err(Error::conflict(format!("can't add existing node '{name}'")));
    }
    roster.drop_member(name);
    if roster.nodes().count() >= MAX_MEMBERS {
        let text = format!("the cluster is full: it has {MAX_MEMBERS} nodes");
        return Err(Error::conflict(text));
    }
    if let Some(other) = roster.nodes().find(|node| node.link() == applicant.link()) {
        let (address, other) = (applicant.link(), &other.name);
        return Err(Error::conflict(format!(
            "address '{address}' is already used by node '{other}'"
        )));
    }
    let nodeid = match nodeid {
        None => roster.free_nodeid(),
        Some(id) if roster.nodes().any(|node| node.nodeid == id) => {
            return Err(Error::invalid("nodeid", format!("{id} is already in use")));
        }
        Some(id) => id,
    };
    let applicant = Member {
        nodeid,
        ..applicant.clone()
    };
    roster.joining.insert(name.clone(), Record::new(applicant));
    Ok(())
}
