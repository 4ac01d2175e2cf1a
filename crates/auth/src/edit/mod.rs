//! Changes of users, groups, roles, rights, tokens, realms and pools, as pure functions from a
//! snapshot to a list of writes. `Authority::change` commits them.
//!
//! An edit removes everything that belongs to the removed object: a user's tokens, secrets and
//! entries in the access control list go with the user. If that may exceed one commit, the record
//! itself goes last, so that repeating the edit completes it.

pub mod acl;
pub mod groups;
pub mod passwords;
pub mod pools;
pub mod realms;
pub mod roles;
pub mod tokens;
pub mod users;

use model::Record;
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::{Commit, Key, Precondition, Revision, Write};

use crate::acl::Access;
use crate::error::AccessError;
use crate::keys;
use crate::records::{AclEntry, SubjectKind};

/// Writes in the order in which they are applied. A key is written once.
#[derive(Debug, Default)]
pub struct Edit {
    writes: Vec<Write>,
}

impl Edit {
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn into_writes(self) -> Vec<Write> {
        self.writes
    }

    /// The edit as one commit, for a caller that writes more in it (a guest's record when it joins
    /// a pool). It fails if anything below `access/` has changed since `access`; after it,
    /// `Authority::refresh` makes it visible. An edit of many writes does not fit.
    pub fn into_commit(self, access: &Access) -> Commit {
        ordered(access.order, self.writes)
    }

    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    fn push(&mut self, key: &Key, write: Write) {
        self.writes.retain(|other| match other {
            Write::Put { key: other, .. } | Write::Delete { key: other } => other != key,
        });
        self.writes.push(write);
    }

    fn put_bytes(&mut self, key: Key, value: Vec<u8>) {
        self.push(
            &key.clone(),
            Write::Put {
                key,
                value,
                lease: None,
            },
        );
    }

    fn put<T: Serialize + DeserializeOwned>(
        &mut self,
        access: &Access,
        key: Key,
        record: &Record<T>,
    ) -> Result<(), AccessError> {
        readable(access, &key)?;
        let value = record
            .encode()
            .map_err(|_| AccessError::Broken(format!("the record '{key}' cannot be written")))?;
        self.put_bytes(key, value);
        Ok(())
    }

    fn delete(&mut self, key: Key) {
        self.push(&key.clone(), Write::Delete { key });
    }

    /// Removes all entries for which `gone` is true from the access control list.
    fn forget_acl(
        &mut self,
        access: &Access,
        gone: impl Fn(&AclEntry) -> bool,
    ) -> Result<(), AccessError> {
        for (path, record) in &access.acl {
            if record.data.entries.iter().any(&gone) {
                let mut record = record.clone();
                record.data.entries.retain(|entry| !gone(entry));
                let key = keys::acl(path)?;
                if record.data.entries.is_empty() {
                    self.delete(key);
                } else {
                    self.put(access, key, &record)?;
                }
            }
        }
        Ok(())
    }
}

/// A commit on condition that there was no change below `access/` since the known one.
pub(crate) fn ordered(order: Option<Revision>, writes: Vec<Write>) -> Commit {
    let key = keys::order();
    let unchanged = match order {
        Some(revision) => Precondition::ModifiedAt(key.clone(), revision),
        None => Precondition::Absent(key.clone()),
    };
    let mut commit = Commit::new().when(unchanged);
    commit.writes = writes;
    commit.put(key, br#"{"v":1,"data":{}}"#)
}

/// A record written by a newer version is neither changed nor treated as absent.
fn readable(access: &Access, key: &Key) -> Result<(), AccessError> {
    if access.opaque.contains(key) {
        return Err(AccessError::Newer(key.to_string()));
    }
    Ok(())
}

fn names(kind: SubjectKind, id: &str) -> impl Fn(&AclEntry) -> bool {
    move |entry| entry.kind == kind && entry.id == id
}
