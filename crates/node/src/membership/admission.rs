//! The cluster's side of a join: checks, certificates, a number.

use std::net::IpAddr;

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
    check_version(application.v)?;
    check_addresses(application)?;
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

pub(super) fn check_version(theirs: u32) -> Result<(), Error> {
    match theirs {
        VERSION => Ok(()),
        other => Err(Error::conflict(format!(
            "the node speaks version {other} of the join protocol, this cluster version {VERSION}"
        ))),
    }
}

/// Other members and etcd get these.
fn check_addresses(application: &Application) -> Result<(), Error> {
    let wrong = |text: &str| Err(Error::invalid("application", text));
    if application.link.parse::<IpAddr>().is_err() {
        return wrong("link: not an IP address");
    }
    match application.address.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(()),
        _ => wrong("address: not HOST:PORT"),
    }
}

pub(super) fn check_clock(name: &NodeName, theirs: i64, ours: UnixTime) -> Result<(), Error> {
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

/// A name and an address belong to one node, or to the witness.
pub(super) fn check_free(roster: &Roster, name: &NodeName, address: &str) -> Result<(), Error> {
    let nodes = roster.nodes().map(|node| (&node.name, node.link()));
    let witness = roster.witness().map(|w| (&w.name, w.address.as_str()));
    let mut used = nodes.chain(witness);
    match used.find(|(other, at)| *other == name || *at == address) {
        Some((other, _)) if other == name => Err(Error::conflict(format!(
            "the name '{name}' is already used in the cluster"
        ))),
        Some((other, _)) => Err(Error::conflict(format!(
            "address '{address}' is already used by node '{other}'"
        ))),
        None => Ok(()),
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
    check_free(roster, name, applicant.link())?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn application(link: &str, address: &str) -> Application {
        Application {
            v: VERSION,
            token: String::new(),
            address: address.to_owned(),
            link: link.to_owned(),
            agent_key: String::new(),
            etcd_key: String::new(),
            now: 0,
            nodeid: None,
            force: false,
        }
    }

    #[test]
    fn addresses_that_no_one_can_reach_are_refused() {
        let refusal = |link: &str, address: &str| {
            let refused = check_addresses(&application(link, address));
            refused
                .err()
                .map(|error| error.fields["application"].clone())
        };
        assert_eq!(refusal("10.0.0.1", "10.0.0.1:8009"), None);
        assert_eq!(refusal("fd00::1", "[fd00::1]:8009"), None);
        for (link, address, field) in [
            ("", "10.0.0.1:8009", "link"),
            ("n1=https://x", "10.0.0.1:8009", "link"),
            ("10.0.0.1", "10.0.0.1", "address"),
            ("10.0.0.1", ":8009", "address"),
            ("10.0.0.1", "10.0.0.1:x", "address"),
        ] {
            let refused = refusal(link, address).unwrap();
            assert!(refused.starts_with(field), "{link} {address}: {refused}");
        }
    }

    #[test]
    fn a_clock_far_off_is_refused_with_its_distance() {
        let name: NodeName = "b".parse().unwrap();
        assert!(check_clock(&name, 100, 105).is_ok());
        let behind = check_clock(&name, 100, 3700).unwrap_err().message;
        assert!(behind.contains("3600 s behind"), "{behind}");
        let ahead = check_clock(&name, 200, 100).unwrap_err().message;
        assert!(ahead.contains("100 s ahead of"), "{ahead}");
    }

    #[test]
    fn a_number_and_an_address_belong_to_one_node() {
        let node = |name: &str, nodeid: u32, link: &str| {
            let address = format!("{link}:8009");
            Member {
                nodeid,
                link: link.to_owned(),
                ..Member::first(name.parse().unwrap(), address, String::new())
            }
        };
        let cluster = crate::state::ClusterRecord {
            name: "lab".to_owned(),
            version: 1,
            generation: 0,
            revoked: Vec::new(),
        };
        let mut roster = Roster {
            cluster: Record::new(cluster),
            members: [node("a", 1, "10.0.0.1")]
                .map(|member| (member.name.clone(), Record::new(member)))
                .into(),
            joining: std::collections::BTreeMap::new(),
            witness: None,
        };
        enter(&mut roster, &node("b", 0, "10.0.0.2"), None).unwrap();
        assert_eq!(roster.joining[&"b".parse().unwrap()].data.nodeid, 2);
        let taken = enter(&mut roster, &node("c", 0, "10.0.0.2"), None).unwrap_err();
        assert!(
            taken.message.contains("already used by node 'b'"),
            "{taken:?}"
        );
        let taken = enter(&mut roster, &node("c", 0, "10.0.0.3"), Some(2)).unwrap_err();
        assert_eq!(taken.fields["nodeid"], "2 is already in use");
        let taken = enter(&mut roster, &node("a", 0, "10.0.0.3"), None).unwrap_err();
        assert_eq!(taken.message, "can't add existing node 'a'");
        // One that was admitted and did not come is admitted again.
        enter(&mut roster, &node("b", 0, "10.0.0.4"), None).unwrap();
        assert_eq!(roster.joining.len(), 1);
    }
}
