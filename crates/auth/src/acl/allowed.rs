//! The objects of a kind on which an identity has a privilege, computed without checking each
//! object.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::ops::RangeBounds;

use model::Privilege;

use super::View;

/// The objects of one kind (guests, storages, nodes) on which an identity has a privilege: the
/// answer for objects without entries of their own, and the exceptions. It therefore also holds for
/// later objects, as long as the rights are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed<K: Ord> {
    others: bool,
    exceptions: BTreeSet<K>,
}

impl<K: Ord> Allowed<K> {
    pub fn includes<Q: Ord + ?Sized>(&self, thing: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.others != self.exceptions.contains(thing)
    }

    /// Whether objects that are not exceptions are included.
    pub fn others(&self) -> bool {
        self.others
    }

    /// The exceptions in a range, in order.
    pub fn exceptions(&self, range: impl RangeBounds<K>) -> impl Iterator<Item = &K> {
        self.exceptions.range(range)
    }
}

impl View<'_> {
    /// The guests on which this identity has a privilege. The cost depends on the entries of the
    /// access control list and the members of pools, not on the number of guests.
    pub fn guests_with(&self, privilege: Privilege) -> Allowed<u32> {
        let pools = self.access().pools();
        let members = pools
            .filter(|(id, _)| self.is_pool_relevant(id))
            .flat_map(|(_, pool)| pool.guests.iter().copied());
        let named = self
            .named_below("/vms/")
            .filter_map(|vmid| vmid.parse().ok());
        self.allowed("/vms", privilege, named.chain(members))
    }

    /// The storages on which this identity has a privilege.
    pub fn storages_with(&self, privilege: Privilege) -> Allowed<String> {
        let pools = self.access().pools();
        let members = pools.flat_map(|(_, pool)| pool.storages.iter().cloned());
        let named = self.named_below("/storage/").map(str::to_owned);
        self.allowed("/storage", privilege, named.chain(members))
    }

    /// The nodes on which this identity has a privilege.
    pub fn nodes_with(&self, privilege: Privilege) -> Allowed<String> {
        let named = self.named_below("/nodes/").map(str::to_owned);
        self.allowed("/nodes", privilege, named)
    }

    /// The names in the access control list directly below a folder, readable or not.
    fn named_below(&self, folder: &str) -> impl Iterator<Item = &str> {
        let paths = self.access().acl().map(|(path, _)| path);
        paths
            .chain(self.closed())
            .filter_map(move |path| path.strip_prefix(folder))
    }

    fn allowed<K: Ord + std::fmt::Display>(
        &self,
        folder: &str,
        privilege: Privilege,
        candidates: impl Iterator<Item = K>,
    ) -> Allowed<K> {
        let others = self.has_below(folder, privilege);
        let exceptions = if self.is_root() {
            BTreeSet::new()
        } else {
            candidates
                .filter(|thing| self.has(&format!("{folder}/{thing}"), privilege) != others)
                .collect()
        };
        Allowed { others, exceptions }
    }
}
