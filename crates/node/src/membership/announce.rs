//! How a node becomes a member, and says where it is reached.

use model::{Error, NodeName, Record};
use store::{Commit, Precondition, Read, Revision, Store, StoreError, list_all};

use super::roster::{Roster, change, joining_key};
use crate::cluster::{Member, member_key, members_prefix};
use crate::records::unreadable;
use crate::state::cluster_key;

/// Writes where this node is reached and by which certificates. An admitted node becomes a member
/// with it. The first node of all makes a record; one that is no member makes none, and gets an
/// error.
pub async fn announce(store: &dyn Store, own: &Member) -> Result<(), Error> {
    let (cluster, _) = store.get(&cluster_key(), Read::Linear).await?;
    match cluster {
        Some(_) => change(store, |roster| appear(roster, own)).await.map(drop),
        None => announce_alone(store, own).await,
    }
}

/// The address of link 0 that a node of a cluster has, as far as this node knows without quorum.
pub async fn own_link(store: &dyn Store, node: &NodeName) -> Result<Option<String>, Error> {
    for key in [member_key(node), joining_key(node)] {
        let (entry, _) = store.get(&key, Read::Local).await?;
        if let Some(entry) = entry {
            let record = Record::<Member>::decode(&entry.value).map_err(unreadable)?;
            return Ok(Some(record.data.link).filter(|link| !link.is_empty()));
        }
    }
    Ok(None)
}

/// Changes the record of this node, if it has one, in one commit with other writes; for where there is
/// no roster, before a cluster and after it. `change` may be called several times.
pub(crate) async fn change_own_record(
    store: &dyn Store,
    own: &NodeName,
    also: &Commit,
    change: impl Fn(&mut Member) + Send,
) -> Result<Revision, Error> {
    let key = member_key(own);
    loop {
        let (entry, _) = store.get(&key, Read::Linear).await?;
        let mut commit = also.clone();
        if let Some(entry) = entry {
            let mut member = Record::<Member>::decode(&entry.value).map_err(unreadable)?;
            change(&mut member.data);
            let value = member.encode().map_err(unreadable)?;
            let unchanged = Precondition::ModifiedAt(key.clone(), entry.modified);
            commit = commit.when(unchanged).put(key.clone(), value);
        }
        match store.commit(commit).await {
            Err(StoreError::Conflict { index }) if index >= also.preconditions.len() => {}
            result => return Ok(result?),
        }
    }
}

fn appear(roster: &mut Roster, own: &Member) -> Result<(), Error> {
    let admitted = roster.joining.get(&own.name);
    let is_admitted = admitted.is_some_and(|node| node.data.fingerprint == own.fingerprint);
    if is_admitted && let Some(admitted) = roster.joining.remove(&own.name) {
        roster.members.insert(own.name.clone(), admitted);
    }
    let member = roster.members.get_mut(&own.name);
    let member = &mut member.ok_or_else(|| stranger(&own.name))?.data;
    reached_at(member, own);
    Ok(())
}

fn reached_at(member: &mut Member, own: &Member) {
    member.address.clone_from(&own.address);
    has_certificate(member, &own.fingerprint);
    member.add_etcd_serials(&own.etcd_serials);
    member.api_fingerprint.clone_from(&own.api_fingerprint);
}

/// The agent has this certificate from now on, and the one before until that ends.
fn has_certificate(member: &mut Member, fingerprint: &str) {
    if member.fingerprint != fingerprint {
        let before = std::mem::replace(&mut member.fingerprint, fingerprint.to_owned());
        member.previous_fingerprint = before;
    }
}

fn stranger(node: &NodeName) -> Error {
    Error::conflict(format!(
        "this node, '{node}', is not a member of its cluster"
    ))
}

async fn announce_alone(store: &dyn Store, own: &Member) -> Result<(), Error> {
    loop {
        let (entries, _) = list_all(store, &members_prefix(), Read::Linear).await?;
        let key = member_key(&own.name);
        let entry = entries.iter().find(|entry| entry.key == key);
        let (record, unchanged) = match entry {
            None if entries.is_empty() => {
                (Record::new(own.clone()), Precondition::Absent(key.clone()))
            }
            None => return Err(stranger(&own.name)),
            Some(entry) => {
                let mut record = Record::<Member>::decode(&entry.value).map_err(unreadable)?;
                let before = record.data.clone();
                reached_at(&mut record.data, own);
                if record.data == before {
                    return Ok(());
                }
                let unchanged = Precondition::ModifiedAt(key.clone(), entry.modified);
                (record, unchanged)
            }
        };
        let value = record.encode().map_err(unreadable)?;
        let commit = Commit::new().when(unchanged).put(key, value);
        match store.commit(commit).await {
            Err(StoreError::Conflict { .. }) => {}
            result => return result.map(|_| ()).map_err(Error::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::Clock;
    use store::{MemoryStore, SharedStore};
    use testkit::ManualClock;

    use super::*;
    use crate::state::ClusterRecord;

    fn store() -> SharedStore {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
        Arc::new(MemoryStore::new(clock))
    }

    fn member(name: &str, fingerprint: &str) -> Member {
        let address = "[fd00::1]:8009".to_owned();
        Member::first(name.parse().unwrap(), address, fingerprint.to_owned())
    }

    async fn fingerprint(store: &SharedStore, name: &str) -> Option<String> {
        let key = member_key(&name.parse().unwrap());
        let (entry, _) = store.get(&key, Read::Linear).await.unwrap();
        let record = entry.map(|entry| Record::<Member>::decode(&entry.value).unwrap());
        record.map(|record| record.data.fingerprint)
    }

    #[tokio::test]
    async fn the_first_node_makes_its_record_and_a_stranger_makes_none() {
        let store = store();
        announce(&*store, &member("a", "1")).await.unwrap();
        assert_eq!(fingerprint(&store, "a").await.as_deref(), Some("1"));
        let refused = announce(&*store, &member("b", "2")).await.unwrap_err();
        let text = "this node, 'b', is not a member of its cluster";
        assert_eq!(refused.message, text);
        // A renewed certificate replaces the old one.
        announce(&*store, &member("a", "3")).await.unwrap();
        assert_eq!(fingerprint(&store, "a").await.as_deref(), Some("3"));
    }

    /// Until it ends, the certificate of before is one of the member, and can be revoked.
    #[tokio::test]
    async fn a_renewed_certificate_stands_beside_the_one_before() {
        let store = store();
        let with = |fingerprint: &str, serial: &str| Member {
            etcd_serials: vec![serial.to_owned()],
            ..member("a", fingerprint)
        };
        announce(&*store, &with("1", "01")).await.unwrap();
        announce(&*store, &with("2", "02")).await.unwrap();
        announce(&*store, &with("2", "02")).await.unwrap();
        let key = member_key(&"a".parse().unwrap());
        let (entry, _) = store.get(&key, Read::Linear).await.unwrap();
        let own = Record::<Member>::decode(&entry.unwrap().value)
            .unwrap()
            .data;
        assert_eq!((&*own.fingerprint, &*own.previous_fingerprint), ("2", "1"));
        assert_eq!(own.etcd_serials, ["01", "02"]);
    }

    #[tokio::test]
    async fn an_admitted_node_becomes_a_member_when_it_comes_with_its_certificate() {
        let store = store();
        announce(&*store, &member("a", "1")).await.unwrap();
        let cluster = ClusterRecord {
            name: "lab".to_owned(),
            version: 1,
            generation: 0,
            revoked: Vec::new(),
        };
        let cluster = Record::new(cluster).encode().unwrap();
        let commit = Commit::new().put(cluster_key(), cluster);
        store.commit(commit).await.unwrap();
        let admitted = Member {
            nodeid: 2,
            votes: 0,
            ..member("b", "2")
        };
        let admit = |roster: &mut Roster| {
            let record = Record::new(admitted.clone());
            roster.joining.insert("b".parse().unwrap(), record);
            Ok(())
        };
        let (roster, _) = change(&*store, admit).await.unwrap();
        assert_eq!(roster.cluster.data.version, 1);

        let other = announce(&*store, &member("b", "9")).await;
        assert!(other.unwrap_err().message.contains("not a member"));
        announce(&*store, &member("b", "2")).await.unwrap();
        let roster = Roster::read(&*store).await.unwrap();
        let b = &roster.members[&"b".parse().unwrap()].data;
        assert_eq!((b.nodeid, b.votes), (2, 0));
        assert!(roster.joining.is_empty());
        assert_eq!(roster.cluster.data.version, 2);
    }
}
