//! Names of things, each with a type of its own.
//!
//! Every id is checked when it is made, so code that holds one may put it into a path, a key or a
//! command line without checking it again.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text;

/// Why a text is not an id. The message names what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{value}' is not a valid {what}")]
pub struct IdError {
    pub what: &'static str,
    pub value: String,
}

impl IdError {
    fn new(what: &'static str, value: &str) -> Self {
        Self {
            what,
            value: value.to_owned(),
        }
    }
}

/// The number of a guest: 100 to 999999999.
/// Source: the `pve-vmid` format of the Proxmox VE schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct VmId(u32);

impl VmId {
    pub const MIN: u32 = 100;
    pub const MAX: u32 = 999_999_999;

    pub fn new(number: u32) -> Result<Self, IdError> {
        if (Self::MIN..=Self::MAX).contains(&number) {
            Ok(Self(number))
        } else {
            Err(IdError::new(
                "VM id (100 to 999999999)",
                &number.to_string(),
            ))
        }
    }

    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for VmId {
    type Error = IdError;
    fn try_from(number: u32) -> Result<Self, IdError> {
        Self::new(number)
    }
}

impl From<VmId> for u32 {
    fn from(id: VmId) -> u32 {
        id.0
    }
}

impl fmt::Display for VmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for VmId {
    type Err = IdError;
    fn from_str(value: &str) -> Result<Self, IdError> {
        let invalid = || IdError::new("VM id (100 to 999999999)", value);
        // One form only: no sign, no leading zeros.
        if !value.starts_with(|first: char| matches!(first, '1'..='9')) {
            return Err(invalid());
        }
        let number = value.parse().map_err(|_| invalid())?;
        Self::new(number)
    }
}

/// Declares a checked string id: name, documentation, what to call it in errors, its rule.
macro_rules! string_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            pub fn new(value: impl Into<String>) -> Result<Self, IdError> {
                let value = value.into();
                let rule: fn(&str) -> bool = $rule;
                if rule(&value) { Ok(Self(value)) } else { Err(IdError::new($what, &value)) }
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(value: String) -> Result<Self, IdError> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(value: &str) -> Result<Self, IdError> {
                Self::new(value)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

string_id!(
    /// The name of a node: the first label of its host name.
    NodeName, "node name", text::is_host_label
);
string_id!(
    /// The name of a storage: a letter, then letters, digits, `.`, `_`, `-`; two or more.
    StorageId, "storage ID", text::is_storage_id
);
string_id!(
    /// The name of an authentication realm, e.g. `pam`, `pve`.
    RealmId, "realm", text::is_realm
);
string_id!(
    /// The name of a user group.
    GroupId, "group name", text::is_config_name
);
string_id!(
    /// The name of a role.
    RoleId, "role name", text::is_config_name
);
string_id!(
    /// The name of a pool: one to three names joined by `/`.
    PoolId, "pool name", text::is_pool_id
);
string_id!(
    /// The name of an API token below its user: a letter, then letters, digits, `.`, `_`, `-`.
    TokenName, "token name", text::is_token_name
);

/// A user in a realm, written `name@realm`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserId {
    full: String,
    at: usize,
}

impl UserId {
    pub fn new(value: impl Into<String>) -> Result<Self, IdError> {
        let full = value.into();
        let split = full.rfind('@').filter(|at| {
            let (name, realm) = (&full[..*at], &full[*at + 1..]);
            text::is_user_name(name) && text::is_realm(realm)
        });
        match split {
            Some(at) if full.len() <= text::USER_ID_LENGTH => Ok(Self { full, at }),
            _ => Err(IdError::new("user name (name@realm)", &full)),
        }
    }

    /// The superuser of every node, who passes every permission check.
    pub fn root() -> Self {
        Self {
            full: "root@pam".to_owned(),
            at: 4,
        }
    }

    pub fn is_root(&self) -> bool {
        self.full == "root@pam"
    }

    pub fn name(&self) -> &str {
        &self.full[..self.at]
    }

    pub fn realm(&self) -> &str {
        &self.full[self.at + 1..]
    }

    pub fn as_str(&self) -> &str {
        &self.full
    }
}

impl TryFrom<String> for UserId {
    type Error = IdError;
    fn try_from(value: String) -> Result<Self, IdError> {
        Self::new(value)
    }
}

impl From<UserId> for String {
    fn from(id: UserId) -> String {
        id.full
    }
}

impl FromStr for UserId {
    type Err = IdError;
    fn from_str(value: &str) -> Result<Self, IdError> {
        Self::new(value)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

/// A volume on a storage, written `storage:name`. What the name means is for the storage's type to
/// say (`local:100/vm-100-disk-0.qcow2`, `thin:vm-100-disk-0`); here it is only kept from leading
/// out of its storage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VolumeId {
    storage: StorageId,
    name: String,
}

impl VolumeId {
    pub fn new(storage: StorageId, name: impl Into<String>) -> Result<Self, IdError> {
        let name = name.into();
        if text::is_volume_name(&name) {
            Ok(Self { storage, name })
        } else {
            Err(IdError::new("volume name", &name))
        }
    }

    pub fn storage(&self) -> &StorageId {
        &self.storage
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for VolumeId {
    type Err = IdError;
    fn from_str(value: &str) -> Result<Self, IdError> {
        let bad = || IdError::new("volume ID (storage:name)", value);
        let (storage, name) = value.split_once(':').ok_or_else(bad)?;
        Self::new(StorageId::new(storage).map_err(|_| bad())?, name).map_err(|_| bad())
    }
}

impl TryFrom<String> for VolumeId {
    type Error = IdError;
    fn try_from(value: String) -> Result<Self, IdError> {
        value.parse()
    }
}

impl From<VolumeId> for String {
    fn from(id: VolumeId) -> String {
        id.to_string()
    }
}

impl fmt::Display for VolumeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.storage, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // covers: S2.38
    #[test]
    fn vm_ids_reach_from_100_to_999999999() {
        for good in ["100", "10001", "999999999"] {
            assert_eq!(good.parse::<VmId>().unwrap().to_string(), good);
        }
        for bad in ["99", "1000000000", "-1", "1e3", "", "0x64", "100 "] {
            assert!(bad.parse::<VmId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn user_ids_split_at_the_last_at() {
        let user: UserId = "jane@corp@ldap-1".parse().unwrap();
        assert_eq!((user.name(), user.realm()), ("jane@corp", "ldap-1"));
        for bad in ["root", "@pam", "a b@pam", "a:b@pam", "root@", "r/o@pam"] {
            assert!(bad.parse::<UserId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_volume_name_cannot_leave_its_storage() {
        for bad in [
            "local:../etc/passwd",
            "local:/etc/passwd",
            "local:a/../b",
            "local:",
            "x",
            "l:a",
        ] {
            assert!(bad.parse::<VolumeId>().is_err(), "{bad}");
        }
        let volume: VolumeId = "local:100/vm-100-disk-0.qcow2".parse().unwrap();
        assert_eq!(volume.name(), "100/vm-100-disk-0.qcow2");
    }
}
