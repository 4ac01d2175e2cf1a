//! What the store keeps below `access/`. Each is wrapped in a `model::Record`.

use std::collections::BTreeSet;

use model::{GroupId, UnixTime};
use serde::{Deserialize, Serialize};

use crate::secret::random_number;

/// A user. A date of expiry of 0 is never.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub enable: bool,
    #[serde(default)]
    pub expire: UnixTime,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub firstname: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub lastname: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub email: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// Membership is kept here and not with the group, so that a group of any size is no large
    /// record.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<GroupId>,
    /// A random number that tickets are signed with. When it is another, every ticket of the user
    /// is void: after a change of password, when the user was disabled, and for another user of
    /// the same name. 0 for users that were made before there was one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sessions: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Default for User {
    fn default() -> Self {
        Self {
            enable: true,
            expire: 0,
            firstname: String::new(),
            lastname: String::new(),
            email: String::new(),
            comment: String::new(),
            groups: BTreeSet::new(),
            sessions: 0,
        }
    }
}

impl User {
    /// Voids all tickets.
    pub fn end_sessions(&mut self) {
        self.sessions = random_number();
    }

    /// Whether the user may do anything at all.
    pub fn is_active(&self, now: UnixTime) -> bool {
        self.enable && (self.expire == 0 || self.expire > now)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
}

/// A role that somebody made; the built-in ones are in `roles`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Names, not `Privilege`s: one that only a newer member knows must not make the role
    /// unreadable here. It grants nothing meanwhile.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub privileges: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RealmKind {
    Pam,
    Pve,
}

impl RealmKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pam => "pam",
            Self::Pve => "pve",
        }
    }
}

/// A realm. `pam` and `pve` always exist; a record of them holds what was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Realm {
    pub kind: RealmKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// What a login form offers first.
    #[serde(default)]
    pub default: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubjectKind {
    User,
    Group,
    Token,
}

impl SubjectKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
            Self::Token => "token",
        }
    }
}

/// One role for one subject on one path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AclEntry {
    pub kind: SubjectKind,
    /// The user, group or token (`user@realm!name`).
    pub id: String,
    pub role: String,
    /// Holds for everything below the path too.
    pub propagate: bool,
}

/// All entries of one path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclNode {
    pub entries: Vec<AclEntry>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// A guest is in one pool at most; a storage may be in several.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub guests: BTreeSet<u32>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub storages: BTreeSet<String>,
}

/// The public part of an API token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    #[serde(default)]
    pub expire: UnixTime,
    /// The token has rights of its own, never more than its owner's.
    pub privsep: bool,
    /// Another number for each secret that a token of this name has had: a new one is a change
    /// that watchers see, and what was begun with the old one ends.
    #[serde(default)]
    pub generation: u64,
}

impl Token {
    pub fn is_active(&self, now: UnixTime) -> bool {
        self.expire == 0 || self.expire > now
    }
}
