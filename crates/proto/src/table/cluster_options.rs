//! The options of a whole cluster, and the keys of those that are property strings.

use model::schema::{Field, Format, format};

/// A place on a map.
pub(super) const LOCATION: &[Field] = &[
    Field::number("latitude").range(-90.0, 90.0),
    Field::number("longitude").range(-180.0, 180.0),
    Field::string("name").optional().max_length(128),
];

/// The prefix of generated MAC addresses: one to three octets.
const MAC_PREFIX: Format = Format::named("mac-prefix", check_mac_prefix);

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

/// The range of numbers for new guests: at least `lower`, below `upper`.
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

/// Limits in KiB/s.
pub const BWLIMIT: &[Field] = &[
    Field::number("clone").optional().min(0.0),
    Field::number("default").optional().min(0.0),
    Field::number("migration").optional().min(0.0),
    Field::number("move").optional().min(0.0),
    Field::number("restore").optional().min(0.0),
];

const CRS: &[Field] = &[
    Field::string("ha")
        .optional()
        .one_of(&["basic", "static", "dynamic"])
        .default("basic"),
    Field::boolean("ha-auto-rebalance").optional().default("0"),
    Field::number("ha-auto-rebalance-hold-duration")
        .optional()
        .min(0.0)
        .default("3")
        .requires("ha-auto-rebalance"),
    Field::number("ha-auto-rebalance-margin")
        .optional()
        .range(0.0, 100.0)
        .default("10")
        .requires("ha-auto-rebalance"),
    Field::string("ha-auto-rebalance-method")
        .optional()
        .one_of(&["bruteforce", "topsis"])
        .default("bruteforce")
        .requires("ha-auto-rebalance"),
    Field::number("ha-auto-rebalance-threshold")
        .optional()
        .range(0.0, 100.0)
        .default("30")
        .requires("ha-auto-rebalance"),
    Field::boolean("ha-rebalance-on-start")
        .optional()
        .default("0"),
];

const HA: &[Field] = &[Field::string("shutdown_policy")
    .one_of(&["freeze", "failover", "conditional", "migrate"])
    .default("conditional")];

/// How guests are migrated between nodes, and how their disks are copied.
/// What migrations do by default.
pub const MIGRATION: &[Field] = &[
    Field::string("network").optional().format(format::CIDR),
    Field::string("type")
        .one_of(&["secure", "insecure"])
        .default("secure")
        .default_key(),
];

const NOTIFY: &[Field] = &[
    Field::string("fencing")
        .optional()
        .one_of(&["always", "never"]),
    Field::string("package-updates")
        .optional()
        .one_of(&["auto", "always", "never"])
        .default("auto"),
    Field::string("replication")
        .optional()
        .one_of(&["always", "never"]),
    Field::string("target-fencing").optional(),
    Field::string("target-package-updates").optional(),
    Field::string("target-replication").optional(),
];

const U2F: &[Field] = &[
    Field::string("appid").optional(),
    Field::string("origin").optional(),
];

const WEBAUTHN: &[Field] = &[
    Field::boolean("allow-subdomains").optional().default("1"),
    Field::string("id").optional(),
    Field::string("origin").optional(),
    Field::string("rp").optional(),
];

const fn properties(name: &'static str, fields: &'static [Field]) -> Field {
    Field::string(name)
        .optional()
        .format(Format::Properties { name, fields })
}

/// The options of a cluster. Options of parts that are not built yet (`crs`, `ha`, `replication` and
/// so on) are stored; no task uses them.
pub const CLUSTER_OPTIONS: &[Field] = &[
    properties("bwlimit", BWLIMIT),
    Field::string("consent-text").optional().max_length(65536),
    Field::string("console")
        .optional()
        .one_of(&["applet", "vv", "html5", "xtermjs"]),
    properties("crs", CRS),
    Field::string("delete")
        .optional()
        .format(format::CONFIG_ID_LIST),
    Field::string("description").optional().max_length(65536),
    Field::string("email_from").optional().format(format::EMAIL),
    Field::string("fencing")
        .optional()
        .one_of(&["watchdog", "hardware", "both"])
        .default("watchdog"),
    properties("ha", HA),
    Field::string("http_proxy").optional().pattern("http://.*"),
    Field::string("keyboard").optional().one_of(KEYBOARDS),
    Field::string("language").optional().one_of(LANGUAGES),
    properties("location", LOCATION),
    Field::string("mac_prefix")
        .optional()
        .format(MAC_PREFIX)
        .default("BC:24:11"),
    Field::integer("max_workers").optional().min(1.0),
    properties("migration", MIGRATION),
    Field::boolean("migration_unsecure").optional(),
    properties("next-id", NEXT_ID),
    properties("notify", NOTIFY),
    Field::string("registered-tags")
        .optional()
        .pattern(r"(?:(?i:[a-z0-9_][a-z0-9_\-\+\.]*);)*(?i:[a-z0-9_][a-z0-9_\-\+\.]*)"),
    properties("replication", MIGRATION),
    properties("tag-style", TAG_STYLE),
    properties("u2f", U2F),
    properties("user-tag-access", USER_TAG_ACCESS),
    properties("webauthn", WEBAUTHN),
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
