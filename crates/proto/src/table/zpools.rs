//! `/ostler/nodes/{node}/pools`: pools of ZFS in full. Those of Proxmox VE are below `/nodes/{node}/disks/zfs`.

use model::Privilege;
use model::schema::{Field, Shape, format};

use super::params::NODE;
use crate::{Check, Row};

const AUDIT: Check = Check::On("/nodes/{node}", &[Privilege::SysAudit]);

const NAME: Field = Field::string("name").format(format::STORAGE_ID);

const POOL: &[Field] = &[
    Field::string("name"),
    // Sizes are bytes.
    Field::integer("size"),
    Field::integer("alloc"),
    Field::integer("free"),
    // In percent, as is `frag`.
    Field::number("used"),
    Field::integer("frag"),
    Field::number("dedup"),
    Field::number("compressratio"),
    Field::string("health"),
    Field::string("errors"),
    Field::string("status").optional(),
    Field::string("action").optional(),
    Field::object("scan", &[SCAN]).optional(),
];

const SCAN: &[Field] = &[
    Field::string("kind").one_of(&["scrub", "resilver"]),
    Field::string("state").one_of(&["running", "paused", "finished", "canceled"]),
    // In seconds since 1970: when it ended, or since when it runs or pauses.
    Field::integer("at"),
    // In percent.
    Field::number("progress").optional(),
    Field::integer("errors").optional(),
    Field::string("repaired").optional(),
];

const DEVICE: Shape = Shape::Object {
    fields: &[&[
        Field::string("name"),
        Field::string("state").optional(),
        Field::string("guid").optional(),
        Field::string("message").optional(),
        Field::integer("read").optional(),
        Field::integer("write").optional(),
        Field::integer("checksum").optional(),
        Field::array("children", &Shape::Any).optional(),
    ]],
    open: false,
};

pub(super) const ROWS: &[Row] = &[
    Row::get(
        "/ostler/nodes/{node}/pools",
        "zpool_list",
        "The pools of ZFS of a node: use, ratios, health and the last scrub.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[POOL],
        open: false,
    }))
    .check(AUDIT)
    .on_node(),
    Row::get(
        "/ostler/nodes/{node}/pools/{name}",
        "zpool_get",
        "A pool of ZFS, with its devices and their errors.",
    )
    .params(&[&[NODE, NAME]])
    .returns(Shape::Object {
        fields: &[POOL, &[Field::array("devices", &DEVICE)]],
        open: false,
    })
    .check(AUDIT)
    .on_node(),
];
