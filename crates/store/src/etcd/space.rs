//! Where the store is in etcd: its keys, and the numbers of its revisions.
//!
//! ```text
//!   ostler/store           {"v":1,"id":…,"first":…}   the store's id; written once a generation
//!   ostler/session/AGENT   see session.rs
//!   ostler/probe/AGENT     see health.rs
//!   ostler/data/KEY        the entries
//! ```
//!
//! A revision of the store is etcd's, counted from the commit that wrote `store`, which is revision
//! `first`. So a new store begins at revision 0 in an etcd of any age, and one that continues
//! another store begins beyond all revisions of that one.

use serde::{Deserialize, Serialize};

use super::message::{KeyValue, Operation, RangeRequest, Request};
use crate::{Entry, Key, LeaseId, Prefix, Revision, StoreError};

/// The value of the key `store`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Label {
    v: u32,
    /// Random.
    pub(crate) id: String,
    /// The revision with which the store's generation begins.
    pub(crate) first: u64,
}

const VERSION: u32 = 1;

impl Label {
    pub(crate) fn new(first: Revision) -> Self {
        Self {
            v: VERSION,
            id: uuid::Uuid::new_v4().to_string(),
            first: first.0,
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a label has no map with keys that are no text")
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, StoreError> {
        let label: Self = serde_json::from_slice(bytes)
            .map_err(|error| StoreError::Unavailable(format!("the store's label: {error}")))?;
        if label.v > VERSION {
            return Err(StoreError::Unavailable(format!(
                "the store has format {}, this program knows formats up to {VERSION}",
                label.v
            )));
        }
        Ok(label)
    }
}

/// The keys of a store.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    namespace: String,
}

impl Names {
    pub(crate) fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
        }
    }

    pub(crate) fn label(&self) -> Vec<u8> {
        format!("{}store", self.namespace).into_bytes()
    }

    pub(crate) fn session(&self, agent: &str) -> Vec<u8> {
        format!("{}session/{agent}", self.namespace).into_bytes()
    }

    /// What only a measurement writes.
    pub(crate) fn probe(&self, agent: &str) -> Vec<u8> {
        format!("{}probe/{agent}", self.namespace).into_bytes()
    }

    pub(crate) fn data(&self, key: &str) -> Vec<u8> {
        format!("{}data/{key}", self.namespace).into_bytes()
    }

    /// The keys below a prefix, as etcd's half-open range.
    pub(crate) fn range(&self, prefix: &Prefix) -> (Vec<u8>, Vec<u8>) {
        let begin = self.data(prefix.as_str());
        let mut end = begin.clone();
        // Prefixes, as the folder of all entries, end with a slash.
        end.pop();
        end.push(b'/' + 1);
        (begin, end)
    }

    /// The store's key of a key in etcd.
    fn key(&self, key: &[u8]) -> Result<Key, StoreError> {
        let foreign = || {
            let key = String::from_utf8_lossy(key);
            StoreError::Unavailable(format!("'{key}' in etcd is no key of the store"))
        };
        let folder = self.namespace.len() + "data/".len();
        let name = key.get(folder..).and_then(|name| str::from_utf8(name).ok());
        Key::new(name.ok_or_else(foreign)?).map_err(|_| foreign())
    }
}

/// One generation of a store.
#[derive(Debug, Clone)]
pub(crate) struct Space {
    pub(crate) names: Names,
    pub(crate) cluster: u64,
    /// The revision of etcd that wrote the label.
    pub(crate) base: i64,
    pub(crate) label: Label,
}

impl Space {
    /// The store's revision of one of etcd.
    pub(crate) fn revision(&self, etcd: i64) -> Revision {
        Revision(self.label.first.saturating_add_signed(etcd - self.base))
    }

    /// etcd's revision of one of the store; none if etcd cannot have had it.
    pub(crate) fn etcd(&self, revision: Revision) -> Option<i64> {
        let distance = i128::from(revision.0) - i128::from(self.label.first);
        let etcd = i64::try_from(i128::from(self.base) + distance).ok()?;
        (etcd > 0).then_some(etcd)
    }

    /// Like `etcd`, for the position of a list or watch: none also for positions before this
    /// generation, which belong to another store.
    pub(crate) fn position(&self, revision: Revision) -> Option<i64> {
        self.etcd(revision).filter(|etcd| *etcd >= self.base)
    }

    /// Cluster and generation: what makes this store another one than any other.
    pub(crate) fn id(&self) -> String {
        format!("{:016x}-{}", self.cluster, self.label.id)
    }

    pub(crate) fn key_of(&self, pair: &KeyValue) -> Result<Key, StoreError> {
        self.names.key(&pair.key)
    }

    pub(crate) fn entry(&self, pair: KeyValue) -> Result<Entry, StoreError> {
        Ok(Entry {
            key: self.names.key(&pair.key)?,
            value: pair.value,
            created: self.revision(pair.create_revision),
            modified: self.revision(pair.mod_revision),
            lease: (pair.lease != 0).then(|| LeaseId(pair.lease.cast_unsigned())),
        })
    }

    /// Reads the label.
    pub(crate) fn look_at_label(&self, serializable: bool) -> Operation {
        Request::Range(RangeRequest {
            key: self.names.label(),
            serializable,
            ..RangeRequest::default()
        })
        .into()
    }

    /// Whether the answer to `look_at_label` is of this generation. The revision alone would not
    /// show it: an etcd that was set up anew has the same ones again.
    pub(crate) fn is_labelled(&self, found: &[KeyValue]) -> bool {
        let label = self.label.to_bytes();
        found.first().is_some_and(|pair| pair.value == label)
    }
}

/// Reads the revisions of a key, without its value.
pub(crate) fn look_at(key: Vec<u8>) -> Operation {
    Request::Range(RangeRequest {
        key,
        keys_only: true,
        ..RangeRequest::default()
    })
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(base: i64, first: u64) -> Space {
        Space {
            names: Names::new("ostler/"),
            cluster: 7,
            base,
            label: Label::new(Revision(first)),
        }
    }

    #[test]
    fn revisions_count_from_the_label() {
        let new = space(40, 0);
        assert_eq!(new.revision(40), Revision(0));
        assert_eq!(new.revision(43), Revision(3));
        assert_eq!(new.etcd(Revision(3)), Some(43));
        assert_eq!(new.etcd(Revision(u64::MAX)), None);
        let continued = space(40, 1000);
        assert_eq!(continued.revision(41), Revision(1001));
        assert_eq!(continued.etcd(Revision(999)), Some(39));
        assert_eq!(continued.position(Revision(999)), None, "of another store");
        assert_eq!(continued.etcd(Revision(960)), None, "before etcd's first");
    }

    #[test]
    fn a_range_has_the_keys_below_its_prefix_alone() {
        let names = Names::new("ostler/");
        let (begin, end) = names.range(&Prefix::below("guest").unwrap());
        let inside = |key: &str| (&begin..&end).contains(&&names.data(key));
        assert!(inside("guest/1") && inside("guest/1/x") && inside("guest/🦀"));
        assert!(!inside("guest") && !inside("guest0") && !inside("guests/1"));
        let (begin, end) = names.range(&Prefix::all());
        assert!(!(&begin..&end).contains(&&names.session("a")));
        assert!(!(&begin..&end).contains(&&names.label()));
    }

    #[test]
    fn a_label_of_a_newer_format_is_refused() {
        let text = br#"{"v":2,"id":"x","first":0}"#;
        let refusal = Label::from_bytes(text).unwrap_err().to_string();
        assert!(refusal.contains("format 2"), "{refusal}");
    }
}
