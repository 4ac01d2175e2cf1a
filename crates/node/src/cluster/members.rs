//! The members of the cluster: one record each, known here by a watch.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use model::{Clock, Error, NodeName, Record};
use serde::{Deserialize, Serialize};
use store::{Change, Entry, Key, Prefix, Read, Revision, SharedStore, list_all};
use tokio::sync::watch;
use tracing::warn;

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
    /// The same of the one before it was renewed, which is valid until its end.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub previous_fingerprint: String,
    /// What the node is for, in an administrator's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub role: String,
    pub votes: u32,
    /// The address of link 0, where its etcd listens; empty: the one of its agent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub link: String,
    /// The serial numbers of its certificates for etcd.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub etcd_serials: Vec<String>,
    /// The SHA-256 of its API's certificate, in pairs of digits.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api_fingerprint: String,
}

impl Member {
    /// The first node of all, which has the only vote.
    pub fn first(name: NodeName, address: String, fingerprint: String) -> Self {
        Self {
            name,
            nodeid: 1,
            address,
            fingerprint,
            previous_fingerprint: String::new(),
            role: String::new(),
            votes: 1,
            link: String::new(),
            etcd_serials: Vec::new(),
            api_fingerprint: String::new(),
        }
    }

    /// Whether its agent has this certificate.
    fn has(&self, fingerprint: &str) -> bool {
        let known = [&self.fingerprint, &self.previous_fingerprint];
        known.iter().any(|known| *known == fingerprint)
    }

    /// Adds certificates for etcd. Those of before may still be valid.
    pub fn add_etcd_serials(&mut self, serials: &[String]) {
        for serial in serials {
            if !self.etcd_serials.contains(serial) {
                self.etcd_serials.push(serial.clone());
            }
        }
    }

    /// The address of link 0.
    pub fn link(&self) -> &str {
        match self.link.as_str() {
            "" => self.host(),
            link => link,
        }
    }

    /// Where its agent listens at another address of its host.
    pub(super) fn with_address(&self, address: IpAddr) -> String {
        let port = self.address.rsplit_once(':').map_or("", |(_, port)| port);
        match address {
            IpAddr::V4(address) => format!("{address}:{port}"),
            IpAddr::V6(address) => format!("[{address}]:{port}"),
        }
    }

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
        let member = all.get(node).filter(|_| !fingerprint.is_empty());
        member.is_some_and(|member| member.has(fingerprint))
    }

    /// Notifies when a member comes, changes or goes.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Reads the members now, without quorum those of this node's copy.
    pub async fn load(&self) -> Result<Revision, Error> {
        let (members, revision) = self.list().await?;
        let members = members.into_iter();
        self.replace(|present| {
            *present = members
                .map(|member| (member.name.clone(), member))
                .collect();
        });
        Ok(revision)
    }

    /// The members as this node's copy of the store has them. What is known here stays as it is, which
    /// may be newer.
    pub(crate) async fn read(&self) -> Result<Vec<Member>, Error> {
        Ok(self.list().await?.0)
    }

    async fn list(&self) -> Result<(Vec<Member>, Revision), Error> {
        let (entries, revision) = list_all(&*self.store, &members_prefix(), Read::Local).await?;
        Ok((entries.iter().filter_map(decode).collect(), revision))
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
    use store::{Commit, MemoryStore};
    use testkit::ManualClock;

    use super::*;
    use crate::membership::announce;

    fn member(name: &str, fingerprint: &str) -> Member {
        let address = "[fd00::1]:8009".to_owned();
        Member::first(name.parse().unwrap(), address, fingerprint.to_owned())
    }

    #[test]
    fn the_port_is_the_same_at_another_address() {
        let member = member("a", "1");
        for (address, text) in [("10.0.0.1", "10.0.0.1:8009"), ("fd00::2", "[fd00::2]:8009")] {
            assert_eq!(member.with_address(address.parse().unwrap()), text);
        }
    }

    #[tokio::test]
    async fn a_removed_member_is_known_to_be_gone() {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
        let store: SharedStore = Arc::new(MemoryStore::new(clock.clone()));
        let members = Members::new(store.clone(), clock);
        announce(&*store, &member("a", "1")).await.unwrap();
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
