//! Named formats: what a string must look like beyond its length.
//!
//! Each is a constant with the name that it has in the Proxmox VE schema, so that the operation
//! table can be printed and compared. A format that only another capability needs is added with
//! that one.

use super::{Field, parse_properties};
use crate::{ByteSize, GroupId, NodeName, PoolId, Privilege, RealmId, RoleId, StorageId};
use crate::{TokenName, UserId, VmId, VolumeId, text};

/// The maximum length of a field that sets none and whose format sets none: text typed by a person,
/// the path of a file, a URL.
const TEXT_LENGTH: usize = 8 * 1024;

/// The maximum length of a list.
const LIST_LENGTH: usize = 64 * 1024;

/// A DNS name or an address.
fn is_server(value: &str) -> bool {
    let is_label = |label: &str| {
        let is_outer = |c: char| c.is_ascii_alphanumeric();
        label.starts_with(is_outer)
            && label.ends_with(is_outer)
            && label.chars().all(|c| is_outer(c) || c == '-' || c == '_')
    };
    let is_name = value.len() <= 253 && value.split('.').all(is_label);
    is_name || value.parse::<std::net::IpAddr>().is_ok()
}

fn check_content(value: &str) -> Result<(), String> {
    let known = [
        "images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import", "none",
    ];
    ensure(known.contains(&value), || {
        format!("invalid content type '{value}'")
    })
}

/// Checks one text; the reason ends without a full stop.
pub type CheckText = fn(&str) -> Result<(), String>;

#[derive(Debug, Clone, Copy)]
pub enum Format {
    Any,
    /// One value of a named format.
    Named {
        name: &'static str,
        check: CheckText,
        /// The maximum length of a text of this format.
        longest: usize,
    },
    /// Values of a named format, separated by `,`, `;`, white space or NUL.
    List {
        name: &'static str,
        check: CheckText,
    },
    /// A property string with these keys.
    Properties {
        name: &'static str,
        fields: &'static [Field],
    },
}

impl Format {
    /// The name of the format; may be empty.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Any => "",
            Self::Named { name, .. } | Self::List { name, .. } | Self::Properties { name, .. } => {
                name
            }
        }
    }

    /// A format with the default length.
    pub const fn named(name: &'static str, check: CheckText) -> Self {
        Self::Named {
            name,
            check,
            longest: TEXT_LENGTH,
        }
    }

    /// The maximum length in characters if the field sets none.
    pub const fn longest(&self) -> usize {
        match self {
            Self::Named { longest, .. } => *longest,
            Self::List { .. } => LIST_LENGTH,
            Self::Any | Self::Properties { .. } => TEXT_LENGTH,
        }
    }

    /// Whether a text has this format.
    pub fn allows(&self, value: &str) -> bool {
        value.chars().count() <= self.longest() && self.check("", value).is_ok()
    }

    /// Checks `value` against the format; errors of keys are prefixed with `parameter`.
    pub(super) fn check(&self, parameter: &str, value: &str) -> Result<(), String> {
        let worded = |reason: String| format!("invalid format - {reason}\n");
        match self {
            Self::Any => Ok(()),
            Self::Named { check, .. } => check(value).map_err(worded),
            Self::List { check, .. } => {
                split_list(value).try_for_each(|item| check(item).map_err(worded))
            }
            Self::Properties { fields, .. } => parse_properties(fields, value)
                .map(|_| ())
                .map_err(|error| error.for_parameter(parameter)),
        }
    }
}

/// The items of a list as the wire writes it.
pub fn split_list(value: &str) -> impl Iterator<Item = &str> {
    value
        .split(|c: char| c == ',' || c == ';' || c == '\0' || c.is_whitespace())
        .filter(|item| !item.is_empty())
}

/// Declares a format, its length if it has one, and its list.
macro_rules! formats {
    ($($constant:ident $name:literal $([$longest:expr])? $(, $list:ident)? => $check:expr;)*) => {
        $(
            pub const $constant: Format = Format::Named {
                name: $name,
                check: $check,
                longest: [$($longest,)? TEXT_LENGTH][0],
            };
            $(pub const $list: Format =
                Format::List { name: concat!($name, "-list"), check: $check };)?
        )*
    };
}

fn ensure(ok: bool, reason: impl FnOnce() -> String) -> Result<(), String> {
    if ok { Ok(()) } else { Err(reason()) }
}

/// What leads upwards is none. The root is one: a server of NFS may export it.
fn is_storage_path(value: &str) -> bool {
    let rest = value.strip_prefix('/').map(|rest| rest.chars().next());
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-/_.@".contains(c);
    rest.is_some_and(|first| first.is_none_or(is_plain)) && !value.contains("..")
}

formats! {
    VMID "pve-vmid", VMID_LIST => |value| {
        ensure(value.parse::<VmId>().is_ok(), || {
            "value does not look like a valid VM ID".to_owned()
        })
    };
    NODE "pve-node" [63], NODE_LIST => |value| {
        ensure(NodeName::new(value).is_ok(), || {
            "value does not look like a valid node name".to_owned()
        })
    };
    STORAGE_ID "pve-storage-id" [text::STORAGE_ID_LENGTH], STORAGE_ID_LIST => |value| {
        ensure(StorageId::new(value).is_ok(), || {
            format!("storage ID '{value}' contains illegal characters")
        })
    };
    USER_ID "pve-userid" [text::USER_ID_LENGTH], USER_ID_LIST => |value| {
        ensure(UserId::new(value).is_ok(), || {
            format!("value '{value}' does not look like a valid user name")
        })
    };
    TOKEN_ID "pve-tokenid" [text::USER_ID_LENGTH + 1 + text::TOKEN_NAME_LENGTH], TOKEN_ID_LIST => |value| {
        let ok = value.split_once('!').is_some_and(|(user, token)| {
            UserId::new(user).is_ok() && TokenName::new(token).is_ok()
        });
        ensure(ok, || format!("value '{value}' does not look like a valid token ID"))
    };
    GROUP_ID "pve-groupid" [text::CONFIG_NAME_LENGTH], GROUP_ID_LIST => |value| {
        ensure(GroupId::new(value).is_ok(), || {
            format!("group name '{value}' contains invalid characters")
        })
    };
    ROLE_ID "pve-roleid" [text::CONFIG_NAME_LENGTH], ROLE_ID_LIST => |value| {
        ensure(RoleId::new(value).is_ok(), || {
            format!("role name '{value}' contains invalid characters")
        })
    };
    REALM "pve-realm" [text::REALM_LENGTH] => |value| {
        ensure(RealmId::new(value).is_ok(), || "value does not look like a valid realm".to_owned())
    };
    POOL_ID "pve-poolid" [text::POOL_ID_LENGTH] => |value| {
        ensure(PoolId::new(value).is_ok(), || {
            format!("pool name '{value}' contains invalid characters")
        })
    };
    PRIVILEGE "pve-priv", PRIVILEGE_LIST => |value| {
        ensure(Privilege::from_name(value).is_some(), || format!("invalid privilege '{value}'"))
    };
    CALENDAR_EVENT "pve-calendar-event" => |value| {
        crate::calendar::CalendarEvent::parse(value).map(|_| ())
    };
    CONFIG_ID "pve-configid" [text::CONFIG_NAME_LENGTH], CONFIG_ID_LIST => |value| {
        let ok = value.len() > 1
            && value.starts_with(|c: char| c.is_ascii_alphabetic())
            && value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        ensure(ok, || format!("invalid configuration ID '{value}'"))
    };
    VOLUME_ID "pve-volume-id" [text::STORAGE_ID_LENGTH + 1 + text::VOLUME_NAME_LENGTH] => |value| {
        ensure(value.parse::<VolumeId>().is_ok(), || format!("invalid volume ID '{value}'"))
    };
    STORAGE_PATH "pve-storage-path" [4096] => |value| {
        ensure(is_storage_path(value), || {
            "value does not look like a valid absolute path".to_owned()
        })
    };
    DNS_NAME "dns-name" [253] => |value| {
        ensure(text::is_dns_name(value), || {
            "value does not look like a valid DNS name".to_owned()
        })
    };
    ADDRESS "address", ADDRESS_LIST => |value| {
        let is_address = value.parse::<std::net::IpAddr>().is_ok() || text::is_dns_name(value);
        ensure(is_address, || format!("value does not look like a valid address: {value}"))
    };
    IPV4 "ipv4" => |value| {
        ensure(value.parse::<std::net::Ipv4Addr>().is_ok(), || {
            "value does not look like a valid IPv4 address".to_owned()
        })
    };
    CIDR "CIDR" => |value| {
        let is_network = value.split_once('/').is_some_and(|(address, length)| {
            let most = match address.parse() {
                Ok(std::net::IpAddr::V4(_)) => 32,
                Ok(std::net::IpAddr::V6(_)) => 128,
                Err(_) => return false,
            };
            length.parse::<u8>().is_ok_and(|length| length <= most)
        });
        ensure(is_network, || "value does not look like a valid CIDR network".to_owned())
    };
    EMAIL "email-opt" => |value| {
        let ok = value.is_empty()
            || value.split_once('@').is_some_and(|(name, host)| {
                !name.is_empty() && !name.contains(char::is_whitespace) && text::is_dns_name(host)
            });
        ensure(ok, || "value does not look like a valid email address".to_owned())
    };
    MAC_ADDRESS "mac-addr" => |value| {
        let octets: Vec<&str> = value.split(':').collect();
        let well_formed = octets.len() == 6
            && octets.iter().all(|o| o.len() == 2 && o.chars().all(|c| c.is_ascii_hexdigit()));
        let unicast = u8::from_str_radix(octets[0], 16).is_ok_and(|first| first & 1 == 0);
        ensure(well_formed && unicast, || {
            "value does not look like a valid unicast MAC address".to_owned()
        })
    };
    DISK_SIZE "disk-size" => |value| {
        ensure(value.parse::<ByteSize>().is_ok(), || {
            format!("value does not look like a valid disk size: {value}")
        })
    };
    URL_ENCODED "urlencoded" [LIST_LENGTH] => |value| {
        let ok = value.bytes().all(|b| b.is_ascii_graphic() && b != b'+');
        ensure(ok, || "value is not percent-encoded".to_owned())
    };
    TAG "pve-tag", TAG_LIST => |value| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_-+.".contains(c);
        let first = |c: char| c.is_ascii_alphanumeric() || c == '_';
        ensure(value.starts_with(first) && value.chars().all(allowed), || {
            format!("invalid characters in tag '{value}'")
        })
    };
    BRIDGE_ID "pve-bridge-id" => |value| {
        let ok = (1..=15).contains(&value.len())
            && value.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
            && value.starts_with(|c: char| c.is_ascii_alphabetic());
        ensure(ok, || format!("invalid bridge ID '{value}'"))
    };
    STORAGE_CONTENT "pve-storage-content", STORAGE_CONTENT_LIST => |value| {
        check_content(value)
    };
    DIR_OVERRIDE "pve-dir-override", DIR_OVERRIDE_LIST => |value| {
        match value.split_once('=').filter(|(_, folder)| !folder.is_empty()) {
            Some((content, _)) => check_content(content),
            None => Err(format!("invalid override '{value}'")),
        }
    };
    SERVER "pve-storage-server" => |value| {
        let what = "value does not look like a valid server name or IP address";
        ensure(is_server(value), || what.to_owned())
    };
    PORTAL "pve-storage-portal-dns" => |value| {
        let port = |text: &str| text.parse::<u16>().is_ok_and(|port| port > 0);
        let (host, port) = match (value.rsplit_once(':'), value.strip_prefix('[')) {
            _ if value.parse::<std::net::Ipv6Addr>().is_ok() => (value, true),
            (_, Some(rest)) => match rest.split_once(']') {
                Some((host, "")) => (host, true),
                Some((host, rest)) => (host, rest.strip_prefix(':').is_some_and(port)),
                None => ("", false),
            },
            (Some((host, number)), None) => (host, port(number)),
            (None, None) => (value, true),
        };
        let what = "value does not look like a valid portal address";
        ensure(is_server(host) && port, || what.to_owned())
    };
    LVM_NAME "pve-storage-vgname" => |value| {
        let outer = |c: char| c.is_ascii_alphanumeric();
        let inner = |c: char| outer(c) || "-_.".contains(c);
        let ok = value.len() >= 2
            && value.starts_with(outer)
            && value.ends_with(outer)
            && value.chars().all(inner);
        ensure(ok, || format!("lvm name '{value}' contains illegal characters"))
    };
    TASK_STATUS "pve-task-status-type", TASK_STATUS_LIST => |value| {
        ensure(["ok", "error", "warning", "unknown"].contains(&value), || {
            format!("invalid status '{value}'")
        })
    };
}

/// Where volumes go that move to another node (`StorageMap`).
pub const STORAGE_PAIR_LIST: Format = Format::named("storage-pair-list", |value| {
    crate::StorageMap::parse(value).map(drop)
});

/// A format that a later capability will check; until then it accepts any text.
pub const fn unchecked(name: &'static str) -> Format {
    Format::named(name, |_| Ok(()))
}
