//! `/ostler/nodes/{node}/pools`: pools of ZFS in full. Those of Proxmox VE are below `/nodes/{node}/disks/zfs`.

use model::Privilege;
use model::schema::{Field, Shape, format};

use super::params::NODE;
use crate::{Check, Row};

const AUDIT: Check = Check::On("/nodes/{node}", &[Privilege::SysAudit]);

const MODIFY: Check = Check::On("/nodes/{node}", &[Privilege::SysModify]);

/// One of the pool's: its GUID, its name in the pool, or a name of the disk or partition.
const DEVICE_OF_POOL: Field = Field::string("device").max_length(512).pattern(WORD);

/// A disk or partition without a user.
const NEW: Field = Field::string("new").max_length(512).pattern(WORD);

/// No option of a program.
const WORD: &str = r"^[a-zA-Z0-9/][a-zA-Z0-9/_.:+-]*$";

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
    Row::post(
        "/ostler/nodes/{node}/pools/{name}/add",
        "zpool_add",
        "Show what groups of disks would add to a pool, or add them.",
    )
    .params(&[&[
        NODE,
        NAME,
        Field::string("devices").format(format::unchecked("string-list")),
        // Of what the pool is made where nothing is said.
        Field::string("raidlevel")
            .optional()
            .one_of(&["single", "mirror", "raidz", "raidz2", "raidz3"]),
        Field::boolean("force").optional().default("0"),
        Field::boolean("dry-run").optional().default("1"),
    ]])
    .returns(Shape::Object {
        fields: &[&[
            Field::array("layout", &Shape::String),
            // In bytes.
            Field::integer("size"),
            Field::integer("size-after"),
            Field::array("warnings", &Shape::String),
            Field::string("upid").optional(),
        ]],
        open: false,
    })
    .check(MODIFY)
    .on_node(),
    Row::post(
        "/ostler/nodes/{node}/pools/{name}/attach",
        "zpool_attach",
        "Make a device a mirror of itself and a new disk, or give its mirror another one.",
    )
    .params(&[&[NODE, NAME, DEVICE_OF_POOL, NEW]])
    .check(MODIFY)
    .submit()
    .on_node(),
    Row::post(
        "/ostler/nodes/{node}/pools/{name}/replace",
        "zpool_replace",
        "Put a new disk in the place of a device, also of one that is gone.",
    )
    .params(&[&[NODE, NAME, DEVICE_OF_POOL, NEW]])
    .check(MODIFY)
    .submit()
    .on_node(),
    Row::post(
        "/ostler/nodes/{node}/pools/{name}/detach",
        "zpool_detach",
        "Take a device out of a mirror.",
    )
    .params(&[&[NODE, NAME, DEVICE_OF_POOL]])
    .check(MODIFY)
    .submit()
    .on_node(),
    Row::post(
        "/ostler/nodes/{node}/pools/{name}/online",
        "zpool_online",
        "Bring a device back, and with 'expand' use the room that it has gained.",
    )
    .params(&[&[
        NODE,
        NAME,
        DEVICE_OF_POOL,
        Field::boolean("expand").optional().default("0"),
    ]])
    .check(MODIFY)
    .submit()
    .on_node(),
    Row::post(
        "/ostler/nodes/{node}/pools/{name}/clear",
        "zpool_clear",
        "Forget the errors of a pool's devices that were counted so far.",
    )
    .params(&[&[NODE, NAME]])
    .check(MODIFY)
    .submit()
    .on_node(),
    Row::post(
        "/ostler/nodes/{node}/pools/{name}/scrub",
        "zpool_scrub",
        "Start, pause or stop a scrub of a pool.",
    )
    .params(&[&[
        NODE,
        NAME,
        Field::string("action")
            .optional()
            .one_of(&["start", "pause", "stop"])
            .default("start"),
    ]])
    .check(MODIFY)
    .submit()
    .on_node(),
];
