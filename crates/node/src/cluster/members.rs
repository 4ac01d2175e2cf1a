//! The members of the cluster: one record each, known here by a watch.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use model::{Clock, Error, NodeName, Record};
use serde::{Deserialize, Serialize};
use store::{
    Change, Commit, Entry, Key, Precondition, Prefix, Read, Revision, SharedStore, StoreError,
    list_all,
};
use tokio::sync::watch;
use tracing::warn;

use crate::records::unreadable;

/// How long to wait before the store is asked again.
const RETRY: Duration = Duration::from_secs(1);

/// Everything below which members are.
pub fn members_prefix() -> Prefix {
    Prefix::below("member").expect("a constant that is a key")
}

pub fn member_key(node: &NodeName) -> Key {
    Key::new(format!("member/{node}")).expect("a node's name is a word of a key")
}

/// A member of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub name: NodeName,
    /// Unique among the members, from 1.
    pub nodeid: u32,
    /// Where its agent listens: `HOST:PORT`, an IPv6 address in brackets.
    pub address: String,
    /// The SHA-256 of its agent's certificate, in pairs of digits.
    pub fingerprint: String,
    /// What the node is for, in an administrator's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub role: String,
    pub votes: u32,
}

impl Member {
    /// The host part of the address.
    pub fn host(&self) -> &str {
        let host = self.address.rsplit_once(':').map_or("", |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']')
    }
}

type Present = BTreeMap<NodeName, Member>;

/// The present members.
pub struct Members {
    store: SharedStore,
    clock: Arc<dyn Clock>,
    present: RwLock<Arc<Present>>,
    changed: watch::Sender<()>,
}

impl Members {
    pub(crate) fn new(store: SharedStore, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            present: RwLock::default(),
            changed: watch::Sender::new(()),
        }
    }

    /// All members, by name.
    pub fn all(&self) -> Arc<Present> {
        Arc::clone(&self.present.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn get(&self, node: &NodeName) -> Option<Member> {
        self.all().get(node).cloned()
    }

    /// Whether this node with this certificate is a member now.
    pub fn is_present(&self, node: &NodeName, fingerprint: &str) -> bool {
        let all = self.all();
        all.get(node)
            .is_some_and(|member| member.fingerprint == fingerprint)
    }

    /// Notifies when a member comes, changes or goes.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Reads the members now.
    pub async fn load(&self) -> Result<Revision, Error> {
        let (entries, revision) = list_all(&*self.store, &members_prefix(), Read::Linear).await?;
        let members = entries.iter().filter_map(decode);
        self.replace(|present| {
            *present = members
                .map(|member| (member.name.clone(), member))
                .collect();
        });
        Ok(revision)
    }

    /// Keeps the members up to date. Never returns.
    pub(crate) async fn follow(&self) {
        loop {
            let Err(error) = self.follow_once().await;
            warn!(%error, "cannot follow the members, trying again");
            self.clock.sleep(RETRY).await;
        }
    }

    async fn follow_once(&self) -> Result<Infallible, Error> {
        let revision = self.load().await?;
        let mut watch = self.store.watch(&members_prefix(), revision).await?;
        loop {
            let changes = watch.next().await?;
            self.replace(|present| {
                for change in &changes.changes {
                    match change {
                        Change::Put(entry) => {
                            let member = decode(entry).map(|member| (member.name.clone(), member));
                            present.extend(member);
                        }
                        Change::Delete { key, .. } => {
                            present.retain(|node, _| member_key(node) != *key);
                        }
                    }
                }
            });
        }
    }

    fn replace(&self, change: impl FnOnce(&mut Present)) {
        let mut present = self.present.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut present));
        drop(present);
        self.changed.send_replace(());
    }

    /// Writes where this node is reached and by which certificate. The first node of all makes a
    /// record; one that is no member makes none, and gets an error.
    pub async fn announce(&self, own: &Member) -> Result<(), Error> {
        loop {
            let (entries, _) = list_all(&*self.store, &members_prefix(), Read::Linear).await?;
            let key = member_key(&own.name);
            let entry = entries.iter().find(|entry| entry.key == key);
            let (record, unchanged) = match entry {
                None if entries.is_empty() => {
                    (Record::new(own.clone()), Precondition::Absent(key.clone()))
                }
                None => {
                    let text = format!("this node, '{}', is not a member of its cluster", own.name);
                    return Err(Error::conflict(text));
                }
                Some(entry) => {
                    let mut record = Record::<Member>::decode(&entry.value).map_err(unreadable)?;
                    let before = record.data.clone();
                    record.data.address.clone_from(&own.address);
                    record.data.fingerprint.clone_from(&own.fingerprint);
                    if record.data == before {
                        return Ok(());
                    }
                    let unchanged = Precondition::ModifiedAt(key.clone(), entry.modified);
                    (record, unchanged)
                }
            };
            let value = record.encode().map_err(unreadable)?;
            let commit = Commit::new().when(unchanged).put(key, value);
            match self.store.commit(commit).await {
                Err(StoreError::Conflict { .. }) => {}
                result => return result.map(|_| ()).map_err(Error::from),
            }
        }
    }
}

/// A record that cannot be read, or is under another name, is no member.
fn decode(entry: &Entry) -> Option<Member> {
    match Record::<Member>::decode(&entry.value) {
        Ok(record) if member_key(&record.data.name) == entry.key => Some(record.data),
        Ok(_) => {
            warn!(key = %entry.key, "this member's record has another name");
            None
        }
        Err(error) => {
            warn!(key = %entry.key, %error, "cannot read this member's record");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use store::MemoryStore;
    use testkit::ManualClock;

    use super::*;

    fn member(name: &str, fingerprint: &str) -> Member {
        Member {
            name: name.parse().unwrap(),
            nodeid: 1,
            address: "[fd00::1]:8009".to_owned(),
            fingerprint: fingerprint.to_owned(),
            role: String::new(),
            votes: 1,
        }
    }

    #[tokio::test]
    async fn the_first_node_makes_its_record_and_a_stranger_makes_none() {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
        let store: SharedStore = Arc::new(MemoryStore::new(clock.clone()));
        let members = Members::new(store.clone(), clock);
        members.announce(&member("a", "1")).await.unwrap();
        members.load().await.unwrap();
        let a: NodeName = "a".parse().unwrap();
        assert!(members.is_present(&a, "1"));
        assert_eq!(members.get(&a).unwrap().host(), "fd00::1");
        let refused = members.announce(&member("b", "2")).await.unwrap_err();
        assert_eq!(
            refused.message,
            "this node, 'b', is not a member of its cluster"
        );
        // A renewed certificate replaces the old one.
        members.announce(&member("a", "3")).await.unwrap();
        members.load().await.unwrap();
        assert!(members.is_present(&a, "3") && !members.is_present(&a, "1"));
    }

    #[tokio::test]
    async fn a_removed_member_is_known_to_be_gone() {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
        let store: SharedStore = Arc::new(MemoryStore::new(clock.clone()));
        let members = Members::new(store.clone(), clock);
        members.announce(&member("a", "1")).await.unwrap();
        members.load().await.unwrap();
        let a: NodeName = "a".parse().unwrap();
        let mut changes = members.changes();
        let gone = async {
            while members.get(&a).is_some() {
                changes.changed().await.unwrap();
            }
        };
        let removed = async {
            let commit = Commit::new().delete(member_key(&a));
            store.commit(commit).await.unwrap();
            gone.await;
        };
        tokio::select! {
            () = members.follow() => unreachable!(),
            () = removed => {}
        }
    }
}
