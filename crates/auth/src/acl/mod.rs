//! Who may do what: a snapshot of all records below `access/`, and its evaluation.
//!
//! ```text
//!   /          Administrator → group admins (propagates)
//!   ├─ vms     PVEVMUser → jane@pve           at each node: token > user > union of groups;
//!   │  └─ 100  NoAccess → jane@pve            a match replaces what came from above
//!   └─ pool/p  PVEVMAdmin → jane@pve          …and is added to p's guests and storages
//! ```

mod allowed;
mod check;
mod holder;
mod path;
mod view;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::{
    GroupId, PoolId, Privilege, PrivilegeSet, RealmId, Record, RoleId, TokenName, UnixTime, UserId,
};
use proto::Identity;
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::{Change, Changes, Entry, Key, Read, Revision, Store, StoreError, list_all};

use crate::keys::{self, Subject};
use crate::records::{AclNode, Group, Pool, Realm, RealmKind, Role, Token, User};
use crate::roles;

pub use allowed::Allowed;
pub use check::Denied;
pub use holder::Holder;
pub(crate) use holder::{split_token, until};
pub use path::normalize;
pub use view::{Permissions, View};

/// All public records that rights depend on, at one revision. Cloning copies everything: share it
/// in an `Arc`.
#[derive(Debug, Clone, Default)]
pub struct Access {
    pub(crate) revision: Revision,
    /// When `keys::order` was last written.
    pub(crate) order: Option<Revision>,
    pub(crate) users: BTreeMap<UserId, Record<User>>,
    pub(crate) groups: BTreeMap<GroupId, Record<Group>>,
    pub(crate) roles: BTreeMap<RoleId, Record<Role>>,
    pub(crate) realms: BTreeMap<RealmId, Record<Realm>>,
    pub(crate) acl: BTreeMap<String, Record<AclNode>>,
    pub(crate) pools: BTreeMap<PoolId, Record<Pool>>,
    pub(crate) tokens: BTreeMap<UserId, BTreeMap<TokenName, Record<Token>>>,
    /// Keys of records that this version cannot read. They grant nothing, close the path they apply
    /// to, and are never overwritten.
    pub(crate) opaque: BTreeSet<Key>,
    /// Derived from `pools`.
    pool_of_guest: HashMap<u32, PoolId>,
    pools_of_storage: HashMap<String, Vec<PoolId>>,
}

impl Access {
    /// Reads the whole of `access/` at one revision.
    pub async fn load(store: &dyn Store, read: Read) -> Result<Self, StoreError> {
        let (entries, revision) = list_all(store, &keys::all(), read).await?;
        let mut access = Self {
            revision,
            ..Self::default()
        };
        for entry in &entries {
            access.put(entry);
        }
        access.index_pools();
        Ok(access)
    }

    /// Applies commits, in their order. A commit older than the snapshot changes nothing, and
    /// changes of other keys only advance the revision.
    pub fn apply(&mut self, changes: &Changes) {
        if changes.revision <= self.revision {
            return;
        }
        self.revision = changes.revision;
        let mut pools = false;
        for change in &changes.changes {
            let key = match change {
                Change::Put(entry) => {
                    self.put(entry);
                    &entry.key
                }
                Change::Delete { key, .. } => {
                    self.remove(key);
                    key
                }
            };
            pools |= matches!(keys::subject(key), Some(Subject::Pool(_)));
        }
        if pools {
            self.index_pools();
        }
    }

    /// The revision of the snapshot.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    fn put(&mut self, entry: &Entry) {
        self.remove(&entry.key);
        let Some(subject) = keys::subject(&entry.key) else {
            return;
        };
        let value = &entry.value;
        let understood = match subject {
            Subject::User(id) => decode(value).map(|r| drop(self.users.insert(id, r))),
            Subject::Group(id) => decode(value).map(|r| drop(self.groups.insert(id, r))),
            Subject::Role(id) => decode(value).map(|r| drop(self.roles.insert(id, r))),
            Subject::Realm(id) => decode(value).map(|r| drop(self.realms.insert(id, r))),
            Subject::Acl(path) => decode(value).map(|r| drop(self.acl.insert(path, r))),
            Subject::Pool(id) => decode(value).map(|r| drop(self.pools.insert(id, r))),
            Subject::Token(user, name) => {
                decode(value).map(|r| drop(self.tokens.entry(user).or_default().insert(name, r)))
            }
            Subject::Order => {
                self.order = Some(entry.modified);
                Some(())
            }
        };
        if understood.is_none() {
            tracing::error!(key = %entry.key, "cannot read this record, it grants nothing");
            self.opaque.insert(entry.key.clone());
        }
    }

    fn remove(&mut self, key: &Key) {
        self.opaque.remove(key);
        match keys::subject(key) {
            Some(Subject::User(id)) => drop(self.users.remove(&id)),
            Some(Subject::Group(id)) => drop(self.groups.remove(&id)),
            Some(Subject::Role(id)) => drop(self.roles.remove(&id)),
            Some(Subject::Realm(id)) => drop(self.realms.remove(&id)),
            Some(Subject::Acl(path)) => drop(self.acl.remove(&path)),
            Some(Subject::Pool(id)) => drop(self.pools.remove(&id)),
            Some(Subject::Token(user, name)) => {
                if let Some(tokens) = self.tokens.get_mut(&user) {
                    tokens.remove(&name);
                }
            }
            Some(Subject::Order) => self.order = None,
            None => {}
        }
    }

    fn index_pools(&mut self) {
        self.pool_of_guest.clear();
        self.pools_of_storage.clear();
        for (id, record) in &self.pools {
            for guest in &record.data.guests {
                self.pool_of_guest.insert(*guest, id.clone());
            }
            for storage in &record.data.storages {
                self.pools_of_storage
                    .entry(storage.clone())
                    .or_default()
                    .push(id.clone());
            }
        }
    }

    /// A user; `root@pam` always exists.
    pub fn user(&self, id: &UserId) -> Option<User> {
        match self.users.get(id) {
            Some(record) => Some(record.data.clone()),
            None => (id.is_root() && !self.opaque.contains(&keys::user(id))).then(User::default),
        }
    }

    /// All users, including `root@pam`.
    pub fn users(&self) -> BTreeMap<UserId, User> {
        let mut users: BTreeMap<UserId, User> = self
            .users
            .iter()
            .map(|(id, record)| (id.clone(), record.data.clone()))
            .collect();
        if let Some(root) = self.user(&UserId::root()) {
            users.insert(UserId::root(), root);
        }
        users
    }

    /// The user's groups, without those that were deleted.
    pub fn groups_of<'a>(&'a self, user: &UserId) -> impl Iterator<Item = &'a GroupId> {
        let groups = self.users.get(user).map(|record| &record.data.groups);
        groups
            .into_iter()
            .flatten()
            .filter(|group| self.groups.contains_key(group))
    }

    pub fn groups(&self) -> impl Iterator<Item = (&GroupId, &Group)> {
        self.groups.iter().map(|(id, record)| (id, &record.data))
    }

    pub fn group(&self, id: &GroupId) -> Option<&Group> {
        self.groups.get(id).map(|record| &record.data)
    }

    pub fn members_of<'a>(&'a self, group: &GroupId) -> impl Iterator<Item = &'a UserId> {
        let group = group.clone();
        let is_member = move |record: &Record<User>| record.data.groups.contains(&group);
        self.users
            .iter()
            .filter(move |(_, record)| is_member(record))
            .map(|(id, _)| id)
    }

    /// The privileges of a role, built in or not.
    pub fn role(&self, name: &str) -> Option<PrivilegeSet> {
        roles::built_in(name).or_else(|| {
            let record = self.roles.get(&RoleId::new(name).ok()?)?;
            Some(
                record
                    .data
                    .privileges
                    .iter()
                    .filter_map(|p| Privilege::from_name(p))
                    .collect(),
            )
        })
    }

    /// The custom roles.
    pub fn custom_roles(&self) -> impl Iterator<Item = &RoleId> {
        self.roles.keys()
    }

    /// The entries of every path, sorted by path.
    pub fn acl(&self) -> impl Iterator<Item = (&str, &AclNode)> {
        self.acl
            .iter()
            .map(|(path, record)| (path.as_str(), &record.data))
    }

    pub fn pools(&self) -> impl Iterator<Item = (&PoolId, &Pool)> {
        self.pools.iter().map(|(id, record)| (id, &record.data))
    }

    pub fn pool(&self, id: &PoolId) -> Option<&Pool> {
        self.pools.get(id).map(|record| &record.data)
    }

    pub fn pool_of_guest(&self, vmid: u32) -> Option<&PoolId> {
        self.pool_of_guest.get(&vmid)
    }

    pub(crate) fn pools_of_storage(&self, storage: &str) -> &[PoolId] {
        self.pools_of_storage
            .get(storage)
            .map_or(&[], Vec::as_slice)
    }

    pub fn tokens_of<'a>(
        &'a self,
        user: &UserId,
    ) -> impl Iterator<Item = (&'a TokenName, &'a Token)> {
        let tokens = self.tokens.get(user);
        tokens
            .into_iter()
            .flatten()
            .map(|(name, record)| (name, &record.data))
    }

    pub fn token(&self, user: &UserId, name: &TokenName) -> Option<&Token> {
        self.tokens.get(user)?.get(name).map(|record| &record.data)
    }

    /// All realms, including the built-in ones with their changes.
    pub fn realms(&self) -> BTreeMap<RealmId, Realm> {
        let built_in = |kind: RealmKind, comment: &str| Realm {
            kind,
            comment: Some(comment.to_owned()),
            default: false,
        };
        let mut realms = BTreeMap::new();
        for (name, realm) in [
            (
                "pam",
                built_in(RealmKind::Pam, "Linux PAM standard authentication"),
            ),
            (
                "pve",
                built_in(RealmKind::Pve, "Ostler authentication server"),
            ),
        ] {
            realms.insert(
                RealmId::new(name).expect("a constant realm name is one"),
                realm,
            );
        }
        realms.extend(
            self.realms
                .iter()
                .map(|(id, record)| (id.clone(), record.data.clone())),
        );
        realms
    }

    pub fn realm(&self, name: &str) -> Option<Realm> {
        self.realms().remove(&RealmId::new(name).ok()?)
    }

    /// Whether a verified identity is still valid: its user and token exist, are enabled and have
    /// not expired.
    pub fn is_active(&self, who: &Identity, now: UnixTime) -> bool {
        let user = self.user(&who.user).is_some_and(|user| user.is_active(now));
        let token = who.token.as_ref().is_none_or(|token| {
            self.token(&who.user, &token.name)
                .is_some_and(|token| token.is_active(now))
        });
        user && token
    }

    /// The snapshot as one identity sees it at `now`. Make one for a whole list.
    pub fn view(&self, who: &Identity, now: UnixTime) -> View<'_> {
        View::new(self, who, now)
    }

    /// The privileges of an identity on a path.
    pub fn privileges(&self, who: &Identity, now: UnixTime, path: &str) -> PrivilegeSet {
        self.view(who, now).privileges(path)
    }
}

fn decode<T: Serialize + DeserializeOwned>(value: &[u8]) -> Option<Record<T>> {
    Record::decode(value).ok()
}

#[cfg(test)]
pub(crate) mod tests;
