//! `/cluster`

pub(super) mod backup;
pub(super) mod config;
pub(super) mod ha;
pub(super) mod jobs;
pub(super) mod replication;

use model::Privilege;
use model::schema::{Field, Format, Shape, format};

use super::params::VMID;
use crate::{Check, Permission, Row};

/// What a directory lists; its entries are called `name`.
pub(super) const NAMES: Shape = Shape::Array(&Shape::Object {
    fields: &[&[Field::string("name")]],
    open: true,
});

const RESOURCE: &[Field] = &[
    Field::integer("cgroup-mode").optional(),
    Field::string("content")
        .optional()
        .format(format::STORAGE_CONTENT_LIST),
    Field::number("cpu").optional().min(0.0),
    Field::integer("disk").optional().min(0.0),
    Field::integer("diskread").optional(),
    Field::integer("diskwrite").optional(),
    Field::string("hastate").optional(),
    Field::string("host-arch")
        .optional()
        .one_of(&["x86_64", "aarch64"])
        .default("x86_64"),
    Field::string("id"),
    Field::string("level").optional(),
    Field::string("lock").optional(),
    Field::number("maxcpu").optional().min(0.0),
    Field::integer("maxdisk").optional().min(0.0),
    Field::integer("maxmem").optional(),
    Field::integer("mem").optional().min(0.0),
    Field::integer("memhost").optional().min(0.0),
    Field::string("name").optional(),
    Field::integer("netin").optional(),
    Field::integer("netout").optional(),
    Field::string("network").optional(),
    Field::string("network-type")
        .optional()
        .one_of(&["fabric", "zone"]),
    Field::string("node").optional().format(format::NODE),
    Field::string("plugintype").optional(),
    Field::string("pool").optional(),
    Field::string("protocol").optional(),
    Field::string("sdn").optional(),
    Field::boolean("shared").optional(),
    Field::string("status").optional(),
    Field::string("storage")
        .optional()
        .format(format::STORAGE_ID),
    Field::string("tags").optional(),
    Field::boolean("template").optional().default("0"),
    Field::string("type").one_of(&[
        "node", "storage", "pool", "qemu", "lxc", "openvz", "sdn", "network",
    ]),
    Field::integer("uptime").optional(),
    VMID.optional(),
    Field::string("zone-type").optional(),
];

/// Where something is on earth.
pub(super) const LOCATION: &[Field] = &[
    Field::number("latitude").range(-90.0, 90.0),
    Field::number("longitude").range(-180.0, 180.0),
    Field::string("name").optional().max_length(128),
];

/// The beginning of the addresses of guests' network cards: one to three octets.
const MAC_PREFIX: Format = Format::Named {
    name: "mac-prefix",
    check: check_mac_prefix,
};

fn check_mac_prefix(value: &str) -> Result<(), String> {
    let octets: Vec<&str> = value
        .strip_suffix(':')
        .unwrap_or(value)
        .split(':')
        .collect();
    let is_octet = |octet: &&str| octet.len() == 2 && u8::from_str_radix(octet, 16).is_ok();
    let is_unicast = u8::from_str_radix(octets[0], 16).is_ok_and(|first| first & 1 == 0);
    if octets.len() <= 3 && octets.iter().all(is_octet) && is_unicast {
        Ok(())
    } else {
        Err("value is not a valid unicast MAC address prefix".to_owned())
    }
}

const KEYBOARDS: &[&str] = &[
    "de", "de-ch", "da", "en-gb", "en-us", "es", "fi", "fr", "fr-be", "fr-ca", "fr-ch", "hu", "is",
    "it", "ja", "lt", "mk", "nl", "no", "pl", "pt", "pt-br", "sv", "sl", "tr",
];

const LANGUAGES: &[&str] = &[
    "ar", "ca", "da", "de", "en", "es", "eu", "fa", "fr", "hr", "he", "it", "ja", "ka", "kr", "nb",
    "nl", "nn", "pl", "pt_BR", "ru", "sl", "sv", "tr", "ukr", "zh_CN", "zh_TW",
];

/// Which numbers new guests get: from `lower`, and below `upper`.
pub const NEXT_ID: &[Field] = &[
    Field::integer("lower").optional().default("100"),
    Field::integer("upper").optional().default("1000000"),
];

pub const TAG_STYLE: &[Field] = &[
    Field::boolean("case-sensitive").optional().default("0"),
    Field::string("color-map").optional().pattern(
        r"(?:(?i:[a-z0-9_][a-z0-9_\-\+\.]*):[0-9a-fA-F]{6}(?::[0-9a-fA-F]{6})?)(?:;(?:(?i:[a-z0-9_][a-z0-9_\-\+\.]*):[0-9a-fA-F]{6}(?::[0-9a-fA-F]{6})?))*",
    ),
    Field::string("ordering")
        .optional()
        .one_of(&["config", "alphabetical"])
        .default("alphabetical"),
    Field::string("shape")
        .optional()
        .one_of(&["full", "circle", "dense", "none"])
        .default("circle"),
];

pub const USER_TAG_ACCESS: &[Field] = &[
    Field::string("user-allow")
        .optional()
        .one_of(&["none", "list", "existing", "free"])
        .default("free"),
    Field::string("user-allow-list")
        .optional()
        .pattern(r"(?i:[a-z0-9_][a-z0-9_\-\+\.]*)(?:;(?i:[a-z0-9_][a-z0-9_\-\+\.]*))*"),
];

/// A property string of which nothing has an effect yet.
const fn properties(name: &'static str) -> Field {
    Field::string(name).optional().unbuilt()
}

const OPTIONS: &[Field] = &[
    properties("bwlimit"),
    Field::string("consent-text")
        .optional()
        .max_length(65536)
        .unbuilt(),
    Field::string("console")
        .optional()
        .one_of(&["applet", "vv", "html5", "xtermjs"]),
    properties("crs"),
    Field::string("delete")
        .optional()
        .format(format::CONFIG_ID_LIST),
    Field::string("description").optional().max_length(65536),
    Field::string("email_from").optional().format(format::EMAIL),
    Field::string("fencing")
        .optional()
        .one_of(&["watchdog", "hardware", "both"])
        .default("watchdog")
        .unbuilt(),
    properties("ha"),
    Field::string("http_proxy")
        .optional()
        .pattern("http://.*")
        .unbuilt(),
    Field::string("keyboard").optional().one_of(KEYBOARDS),
    Field::string("language").optional().one_of(LANGUAGES),
    properties("location"),
    Field::string("mac_prefix")
        .optional()
        .format(MAC_PREFIX)
        .default("BC:24:11"),
    Field::integer("max_workers").optional().min(1.0).unbuilt(),
    properties("migration"),
    Field::boolean("migration_unsecure").optional().unbuilt(),
    Field::string("next-id")
        .optional()
        .format(Format::Properties {
            name: "next-id",
            fields: NEXT_ID,
        }),
    properties("notify"),
    Field::string("registered-tags")
        .optional()
        .pattern(r"(?:(?i:[a-z0-9_][a-z0-9_\-\+\.]*);)*(?i:[a-z0-9_][a-z0-9_\-\+\.]*)"),
    properties("replication"),
    Field::string("tag-style")
        .optional()
        .format(Format::Properties {
            name: "tag-style",
            fields: TAG_STYLE,
        }),
    properties("u2f"),
    Field::string("user-tag-access")
        .optional()
        .format(Format::Properties {
            name: "user-tag-access",
            fields: USER_TAG_ACCESS,
        }),
    properties("webauthn"),
];

const MEMBER: &[Field] = &[
    Field::string("id"),
    Field::string("ip").optional(),
    Field::string("level").optional(),
    Field::boolean("local").optional(),
    Field::string("name"),
    Field::integer("nodeid").optional(),
    Field::integer("nodes").optional(),
    Field::boolean("online").optional(),
    Field::boolean("quorate").optional(),
    Field::string("type").one_of(&["cluster", "node"]),
    Field::integer("version").optional(),
];

const ANY_ROWS: Shape = Shape::Array(&Shape::Object {
    fields: &[],
    open: true,
});

pub(super) const ROWS: &[Row] = &[
    Row::get(
        "/cluster",
        "cluster_directory",
        "What there is of a cluster.",
    )
    .returns(NAMES)
    .permission(Permission::User)
    .index(),
    Row::get(
        "/cluster/resources",
        "cluster_resources",
        "Nodes, guests, storages and pools, with what they use.",
    )
    .params(&[&[Field::string("type")
        .optional()
        .one_of(&["vm", "storage", "node", "sdn"])]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[RESOURCE],
        open: true,
    }))
    .permission(Permission::User)
    .index(),
    Row::get(
        "/cluster/log",
        "cluster_log",
        "What has happened lately, newest first.",
    )
    .params(&[&[Field::integer("max").optional().min(1.0)]])
    .returns(ANY_ROWS)
    // Without Sys.Syslog a caller sees what is about the caller.
    .permission(Permission::User),
    Row::get(
        "/cluster/nextid",
        "cluster_nextid",
        "A number that no guest has.",
    )
    .params(&[&[VMID.optional()]])
    .returns(Shape::Integer)
    .permission(Permission::User),
    Row::post(
        "/cluster/nextid",
        "cluster_nextid_reserve",
        "Reserve a number that no guest has, for five minutes: nobody else gets it.",
    )
    .returns(Shape::String)
    .permission(Permission::User),
    Row::get(
        "/cluster/options",
        "cluster_options",
        "The settings of the whole cluster.",
    )
    .returns(Shape::Object {
        fields: &[],
        open: true,
    })
    .check(Check::On("/", &[Privilege::SysAudit])),
    Row::put(
        "/cluster/options",
        "cluster_options_update",
        "Change the settings of the whole cluster.",
    )
    .params(&[OPTIONS])
    .check(Check::On("/", &[Privilege::SysModify])),
    Row::get(
        "/cluster/status",
        "cluster_status",
        "The members of the cluster.",
    )
    .returns(Shape::Array(&Shape::Object {
        fields: &[MEMBER],
        open: true,
    }))
    .check(Check::On("/", &[Privilege::SysAudit])),
    Row::get(
        "/cluster/tasks",
        "cluster_tasks",
        "The last tasks of every node, newest first.",
    )
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::string("upid")]],
        open: true,
    }))
    .permission(Permission::User),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_prefix_is_unicast_and_short() {
        for good in ["BC:24:11", "bc:24", "02", "02:", "BC:24:11:"] {
            assert!(check_mac_prefix(good).is_ok(), "{good}");
        }
        for bad in ["", "01:00:00", "BC:24:11:00", "BC-24-11", "B", "xx"] {
            assert!(check_mac_prefix(bad).is_err(), "{bad}");
        }
    }
}
