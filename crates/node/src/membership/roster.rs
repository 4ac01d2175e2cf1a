//! All records of the membership, changed together.

use std::collections::BTreeMap;

use model::{Error, NodeName, Record};
use store::{
    Commit, Entry, Key, Precondition, Prefix, Read, Revision, Store, StoreError, list_all,
};

use crate::cluster::{Member, member_key, members_prefix};
use crate::records::unreadable;
use crate::state::{ClusterRecord, Witness, cluster_key, witness_key};

/// Everything below which nodes are that were admitted and have not come yet.
fn joining_prefix() -> Prefix {
    Prefix::below("joining").expect("a constant that is a key")
}

pub(super) fn joining_key(node: &NodeName) -> Key {
    Key::new(format!("joining/{node}")).expect("a node's name is a word of a key")
}

type Nodes = BTreeMap<NodeName, Record<Member>>;

/// The membership, as it was read or as it shall be.
#[derive(Debug, Clone, PartialEq)]
pub struct Roster {
    pub cluster: Record<ClusterRecord>,
    pub members: Nodes,
    /// Nodes that were admitted. Each becomes a member when it opens the store.
    pub joining: Nodes,
    pub witness: Option<Record<Witness>>,
}

impl Roster {
    /// Of a cluster; an error if this node is in none.
    pub async fn read(store: &dyn Store) -> Result<Self, Error> {
        Ok(Snapshot::of(store).await?.roster)
    }

    /// Members and admitted nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &Member> {
        let nodes = self.members.values().chain(self.joining.values());
        nodes.map(|record| &record.data)
    }

    /// The smallest number that no node has.
    pub fn free_nodeid(&self) -> u32 {
        let is_taken = |id: &u32| self.nodes().any(|node| node.nodeid == *id);
        (1..).find(|id| !is_taken(id)).unwrap_or(u32::MAX)
    }

    /// Refuses a cluster that has other members than this node, has admitted some, or has a witness.
    pub fn check_alone(&self, own: &NodeName) -> Result<(), Error> {
        let others = self.nodes().map(|node| &node.name);
        let others = others.chain(self.witness().map(|witness| &witness.name));
        let others = others.filter(|name| *name != own);
        let others: Vec<&str> = others.map(NodeName::as_str).collect();
        match others.is_empty() {
            true => Ok(()),
            false => Err(Error::conflict(format!(
                "the cluster has other members: {}",
                others.join(", ")
            ))),
        }
    }

    pub fn member_mut(&mut self, node: &NodeName) -> Result<&mut Member, Error> {
        let missing = || Error::conflict(format!("'{node}' is not a member of its cluster"));
        let record = self.members.get_mut(node).ok_or_else(missing)?;
        Ok(&mut record.data)
    }

    pub fn witness(&self) -> Option<&Witness> {
        self.witness.as_ref().map(|record| &record.data)
    }

    pub(crate) fn witness_mut(&mut self) -> Result<&mut Witness, Error> {
        let missing = || Error::conflict("the cluster has no witness");
        let record = self.witness.as_mut().ok_or_else(missing)?;
        Ok(&mut record.data)
    }

    /// Takes the witness off the cluster. Its certificates count no more.
    pub(super) fn drop_witness(&mut self) {
        if let Some(witness) = self.witness.take() {
            self.cluster.data.revoked.extend(witness.data.serials);
        }
    }

    /// Takes the votes of a node, or of the witness, that has lost its copy of the state.
    pub fn take_votes(&mut self, name: &NodeName) {
        if let Some(member) = self.members.get_mut(name) {
            member.data.votes = 0;
        }
        if let Some(witness) = self.witness.as_mut().filter(|w| w.data.name == *name) {
            witness.data.votes = 0;
        }
    }

    /// Takes a node off the membership. Its certificates count no more.
    pub fn drop_member(&mut self, node: &NodeName) {
        let dropped = [self.members.remove(node), self.joining.remove(node)];
        for member in dropped.into_iter().flatten() {
            self.cluster.data.revoked.extend(member.data.etcd_serials);
        }
    }
}

/// Changes the membership in one commit. `change` may be called several times; the cluster's version
/// grows if the members changed. Returns what was committed, and the revision.
pub async fn change(
    store: &dyn Store,
    change: impl Fn(&mut Roster) -> Result<(), Error>,
) -> Result<(Roster, Revision), Error> {
    change_and(store, Commit::new(), change).await
}

/// Like `change`, in one commit with another one, whose conditions must hold as well.
pub(super) async fn change_and(
    store: &dyn Store,
    also: Commit,
    change: impl Fn(&mut Roster) -> Result<(), Error>,
) -> Result<(Roster, Revision), Error> {
    loop {
        let read = Snapshot::of(store).await?;
        let mut wanted = read.roster.clone();
        change(&mut wanted)?;
        if wanted == read.roster {
            return Ok((wanted, read.revision));
        }
        let votes = |roster: &Roster| roster.witness().map(|witness| witness.votes);
        if wanted.members != read.roster.members || votes(&wanted) != votes(&read.roster) {
            wanted.cluster.data.version += 1;
        }
        let mut commit = also.clone();
        let own = read.commit(&wanted)?;
        commit.preconditions.extend(own.preconditions);
        commit.writes.extend(own.writes);
        match store.commit(commit).await {
            Err(StoreError::Conflict { index }) if index >= also.preconditions.len() => {}
            result => return Ok((wanted, result?)),
        }
    }
}

/// What was read, and when it was written.
struct Snapshot {
    roster: Roster,
    revision: Revision,
    cluster_modified: Revision,
}

impl Snapshot {
    async fn of(store: &dyn Store) -> Result<Self, Error> {
        loop {
            let (entry, revision) = store.get(&cluster_key(), Read::Linear).await?;
            let none = || Error::conflict("this node is in no cluster");
            let entry = entry.ok_or_else(none)?;
            let members = nodes(store, &members_prefix()).await?;
            let joining = nodes(store, &joining_prefix()).await?;
            let (witness, _) = store.get(&witness_key(), Read::Linear).await?;
            let witness = witness.map(|entry| Record::decode(&entry.value));
            // Every change of the membership writes the cluster's record.
            let (again, _) = store.get(&cluster_key(), Read::Linear).await?;
            if again.is_some_and(|again| again.modified != entry.modified) {
                continue;
            }
            return Ok(Self {
                roster: Roster {
                    cluster: Record::decode(&entry.value).map_err(unreadable)?,
                    members,
                    joining,
                    witness: witness.transpose().map_err(unreadable)?,
                },
                revision,
                cluster_modified: entry.modified,
            });
        }
    }

    fn commit(&self, wanted: &Roster) -> Result<Commit, Error> {
        let unchanged = Precondition::ModifiedAt(cluster_key(), self.cluster_modified);
        let cluster = wanted.cluster.encode().map_err(unreadable)?;
        let mut commit = Commit::new().when(unchanged).put(cluster_key(), cluster);
        let parts = [
            (
                &self.roster.members,
                &wanted.members,
                member_key as fn(&NodeName) -> Key,
            ),
            (&self.roster.joining, &wanted.joining, joining_key),
        ];
        for (before, after, key) in parts {
            for (name, record) in after {
                if before.get(name) != Some(record) {
                    commit = commit.put(key(name), record.encode().map_err(unreadable)?);
                }
            }
            for name in before.keys().filter(|name| !after.contains_key(*name)) {
                commit = commit.delete(key(name));
            }
        }
        if self.roster.witness != wanted.witness {
            commit = match &wanted.witness {
                Some(record) => commit.put(witness_key(), record.encode().map_err(unreadable)?),
                None => commit.delete(witness_key()),
            };
        }
        Ok(commit)
    }
}

async fn nodes(store: &dyn Store, prefix: &Prefix) -> Result<Nodes, Error> {
    let (entries, _) = list_all(store, prefix, Read::Linear).await?;
    let decode = |entry: &Entry| {
        let record = Record::<Member>::decode(&entry.value).map_err(unreadable)?;
        Ok((record.data.name.clone(), record))
    };
    entries.iter().map(decode).collect()
}
