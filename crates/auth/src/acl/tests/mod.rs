//! Snapshots made by hand, for the tests.

mod allowed;
mod checks;
mod inheritance;

use model::schema::Values;
use model::{PoolId, Privilege, PrivilegeSet, Record, TokenName, UnixTime, UserId};
use proptest::prelude::*;
use proto::{Check, Identity, Permission, TokenIdentity};
use serde_json::json;
use store::{Change, Changes, Entry, Key, Revision};

use super::Access;
use crate::keys;
use crate::records::{AclEntry, AclNode, Group, Pool, Role, SubjectKind, Token, User};

pub(crate) const NOW: UnixTime = 1_800_000_000;

/// A snapshot made by hand.
#[derive(Default)]
pub(crate) struct World {
    access: Access,
    acl: std::collections::BTreeMap<String, AclNode>,
}

fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

impl World {
    fn write(mut self, key: Key, value: Vec<u8>) -> Self {
        let revision = Revision(self.access.revision().0 + 1);
        let entry = Entry {
            key,
            value,
            created: revision,
            modified: revision,
            lease: None,
        };
        self.access.apply(&Changes {
            revision,
            changes: vec![Change::Put(entry)],
        });
        self
    }

    pub(crate) fn user(self, name: &str, groups: &[&str]) -> Self {
        let groups = groups.iter().map(|group| group.parse().unwrap()).collect();
        self.user_as(
            name,
            User {
                groups,
                ..User::default()
            },
        )
    }

    fn user_as(self, name: &str, record: User) -> Self {
        self.write(
            keys::user(&user(name)),
            Record::new(record).encode().unwrap(),
        )
    }

    pub(crate) fn group(self, name: &str) -> Self {
        let record = Record::new(Group::default()).encode().unwrap();
        self.write(keys::group(&name.parse().unwrap()), record)
    }

    fn role(self, name: &str, privileges: &[Privilege]) -> Self {
        let privileges = privileges.iter().map(|p| p.as_str().to_owned()).collect();
        let record = Record::new(Role { privileges }).encode().unwrap();
        self.write(keys::role(&name.parse().unwrap()), record)
    }

    fn token(self, owner: &str, name: &str, privsep: bool) -> Self {
        let token = Token {
            comment: String::new(),
            expire: 0,
            privsep,
            generation: 0,
        };
        let key = keys::token(&user(owner), &TokenName::new(name).unwrap());
        self.write(key, Record::new(token).encode().unwrap())
    }

    pub(crate) fn pool(self, name: &str, guests: &[u32], storages: &[&str]) -> Self {
        let pool = Pool {
            comment: String::new(),
            guests: guests.iter().copied().collect(),
            storages: storages.iter().map(|s| (*s).to_owned()).collect(),
        };
        let id: PoolId = name.parse().unwrap();
        self.write(keys::pool(&id), Record::new(pool).encode().unwrap())
    }

    /// `who` is `user@realm`, `user@realm!token` or `@group`; a role that ends with `-` does not
    /// propagate.
    pub(crate) fn grant(mut self, path: &str, who: &str, role: &str) -> Self {
        let (kind, id) = match who {
            group if group.starts_with('@') => (SubjectKind::Group, &group[1..]),
            token if token.contains('!') => (SubjectKind::Token, token),
            user => (SubjectKind::User, user),
        };
        let (role, propagate) = role
            .strip_suffix('-')
            .map_or((role, true), |role| (role, false));
        let node = self.acl.entry(path.to_owned()).or_default();
        let (id, role) = (id.to_owned(), role.to_owned());
        node.entries.push(AclEntry {
            kind,
            id,
            role,
            propagate,
        });
        let record = Record::new(node.clone()).encode().unwrap();
        self.write(keys::acl(path).unwrap(), record)
    }

    pub(crate) fn access(self) -> Access {
        self.access
    }
}

/// `user@realm` or `user@realm!token`.
pub(crate) fn who(label: &str) -> Identity {
    let (name, token) = label
        .split_once('!')
        .map_or((label, None), |(u, t)| (u, Some(t)));
    let token = token.map(|token| TokenIdentity {
        name: token.parse().unwrap(),
        privilege_separation: true,
    });
    Identity {
        user: user(name),
        token,
        expires: UnixTime::MAX,
    }
}

fn text(access: &Access, label: &str, path: &str) -> String {
    crate::roles::join(access.privileges(&who(label), NOW, path))
}

const AUDIT: &str = "VM.Audit,VM.GuestAgent.Audit";

fn base() -> World {
    World::default()
        .group("ops")
        .group("dev")
        .user("jane@pve", &["ops", "dev"])
        .role("Audit", &[Privilege::VmAudit, Privilege::VmGuestAgentAudit])
        .role("Power", &[Privilege::VmPowerMgmt])
        .role("Console", &[Privilege::VmConsole])
}
