//! The records below `access/`. Each is wrapped in a `model::Record`.

use std::collections::BTreeSet;

use model::{GroupId, UnixTime};
use serde::{Deserialize, Serialize};

use crate::secret::random_number;

/// A user. An expiry of 0 means never.
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
    /// Membership is stored here and not with the group, so that a large group does not make a
    /// large record.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<GroupId>,
    /// A random number that tickets are signed with. Changing it voids every ticket of the user:
    /// after a change of password, when the user is disabled, and for a new user with the same
    /// name. 0 for users from before this field existed.
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

    /// Whether the user is enabled and has not expired.
    pub fn is_active(&self, now: UnixTime) -> bool {
        self.enable && (self.expire == 0 || self.expire > now)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
}

/// A custom role; the built-in ones are in `roles`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Names, not `Privilege`s: a privilege that only a newer member knows must not make the role
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

/// A realm. `pam` and `pve` always exist; their records hold only changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Realm {
    pub kind: RealmKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Preselected in login forms.
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
    /// Applies to everything below the path too.
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
    /// A new number for each secret of a token of this name: watchers see the change, and sessions
    /// begun with the old secret end.
    #[serde(default)]
    pub generation: u64,
}

impl Token {
    pub fn is_active(&self, now: UnixTime) -> bool {
        self.expire == 0 || self.expire > now
    }
}
