//! `/ostler/cluster/tiers`: what volumes of a class of guests are like.

use model::Privilege;
use model::schema::{Field, Shape, format};

use super::params::NODE;
use crate::{Check, Permission, Row};

const ID: &[Field] = &[Field::string("tier").format(format::CONFIG_ID)];

const SWITCH: &[&str] = &["off", "on"];
const CACHED: &[&str] = &["all", "metadata", "none"];

/// The properties of volumes that a tier may set, by ZFS's names and in its words.
pub const TIER_PROPERTIES: &[Field] = &[
    Field::string("atime").optional().one_of(SWITCH),
    Field::string("compression").optional().one_of(&[
        "gzip",
        "gzip-1",
        "gzip-2",
        "gzip-3",
        "gzip-4",
        "gzip-5",
        "gzip-7",
        "gzip-8",
        "gzip-9",
        "lz4",
        "off",
        "on",
        "zle",
        "zstd",
        "zstd-1",
        "zstd-2",
        "zstd-3",
        "zstd-4",
        "zstd-5",
        "zstd-6",
        "zstd-7",
        "zstd-8",
        "zstd-9",
        "zstd-10",
        "zstd-11",
        "zstd-12",
        "zstd-13",
        "zstd-14",
        "zstd-15",
        "zstd-16",
        "zstd-17",
        "zstd-18",
        "zstd-19",
        "zstd-fast",
    ]),
    Field::string("copies").optional().one_of(&["1", "2", "3"]),
    Field::string("logbias")
        .optional()
        .one_of(&["latency", "throughput"]),
    Field::string("primarycache").optional().one_of(CACHED),
    Field::string("recordsize").optional().one_of(&[
        "4K", "8K", "16K", "32K", "64K", "128K", "256K", "512K", "1M",
    ]),
    Field::string("redundant_metadata")
        .optional()
        .one_of(&["all", "most"]),
    Field::string("refreservation")
        .optional()
        .one_of(&["auto", "none"]),
    Field::string("reservation")
        .optional()
        .pattern(r"^(none|[1-9][0-9]{0,9}[MGT])$"),
    Field::string("secondarycache").optional().one_of(CACHED),
    Field::string("sync")
        .optional()
        .one_of(&["always", "disabled", "standard"]),
    Field::string("volblocksize")
        .optional()
        .one_of(&["4K", "8K", "16K", "32K", "64K", "128K"]),
];

/// Which guests are of a tier.
const TIER: &[Field] = &[
    Field::string("comment").optional().max_length(512),
    Field::string("pools").optional().max_length(8192),
    // Of several tiers the one with the highest counts.
    Field::integer("priority").optional().range(0.0, 1000.0),
    Field::string("tags")
        .optional()
        .format(format::TAG_LIST)
        .max_length(4096),
];

const CHANGE: &[Field] = &[
    Field::string("delete").optional().max_length(512),
    Field::string("digest").optional().max_length(40),
];

const SHOWN: Shape = Shape::Object {
    fields: &[ID, TIER, TIER_PROPERTIES, &[Field::string("digest")]],
    open: false,
};

const DIFFERENCE: Shape = Shape::Object {
    fields: &[&[
        Field::string("property"),
        Field::string("from"),
        // Without it, what the storage's dataset has.
        Field::string("to").optional(),
        Field::string("verdict").one_of(&["inherit", "kept", "only-new", "set"]),
    ]],
    open: false,
};

const VOLUME: Shape = Shape::Object {
    fields: &[&[
        Field::string("volid"),
        Field::integer("vmid"),
        Field::string("tier").optional(),
        Field::open_object("properties"),
        Field::array("differences", &DIFFERENCE),
    ]],
    open: false,
};

const VOLUMES: &[Field] = &[
    Field::array("volumes", &VOLUME),
    // Storages that could not be looked at.
    Field::array(
        "failed",
        &Shape::Object {
            fields: &[&[Field::string("storage"), Field::string("reason")]],
            open: false,
        },
    ),
];

/// Which volumes.
const SELECTED: &[Field] = &[
    NODE,
    Field::string("storage")
        .optional()
        .format(format::STORAGE_ID),
    Field::integer("vmid")
        .optional()
        .format(format::VMID)
        .range(100.0, 999_999_999.0),
];

pub(super) const ROWS: &[Row] = &[
    Row::get(
        "/ostler/cluster/tiers",
        "tier_list",
        "What volumes of each class of guests are like.",
    )
    .returns(Shape::Array(&SHOWN))
    .permission(Permission::User),
    Row::post(
        "/ostler/cluster/tiers",
        "tier_create",
        "Add a tier; volumes that are made from now on follow it.",
    )
    .params(&[ID, TIER, TIER_PROPERTIES])
    .check(Check::On("/", &[Privilege::SysModify])),
    Row::get("/ostler/cluster/tiers/{tier}", "tier_get", "A tier.")
        .params(&[ID])
        .returns(SHOWN)
        .permission(Permission::User),
    Row::put(
        "/ostler/cluster/tiers/{tier}",
        "tier_update",
        "Change a tier; volumes that are there follow it when it is applied.",
    )
    .params(&[ID, TIER, TIER_PROPERTIES, CHANGE])
    .check(Check::On("/", &[Privilege::SysModify])),
    Row::delete(
        "/ostler/cluster/tiers/{tier}",
        "tier_delete",
        "Remove a tier; volumes stay as they are until tiers are applied.",
    )
    .params(&[ID])
    .check(Check::On("/", &[Privilege::SysModify])),
    Row::get(
        "/ostler/nodes/{node}/tiers",
        "tier_volumes",
        "The volumes of a node with their tiers, their properties and what differs.",
    )
    .params(&[SELECTED])
    .returns(Shape::Object {
        fields: &[VOLUMES],
        open: false,
    })
    .check(Check::On("/nodes/{node}", &[Privilege::SysAudit]))
    .on_node(),
    Row::post(
        "/ostler/nodes/{node}/tiers/apply",
        "tier_apply",
        "Show what would make volumes as their tiers say, or do it.",
    )
    .params(&[
        SELECTED,
        &[Field::boolean("dry-run").optional().default("1")],
    ])
    .returns(Shape::Object {
        fields: &[VOLUMES, &[Field::string("upid").optional()]],
        open: false,
    })
    .check(Check::On("/nodes/{node}", &[Privilege::SysModify]))
    .on_node(),
];
