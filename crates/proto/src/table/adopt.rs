//! `/ostler/nodes/{node}/adopt`: guests and storages of a Proxmox VE.

use model::schema::{Field, Shape, format};

use super::params::NODE;
use crate::Row;

const TEXTS: Shape = Shape::Array(&Shape::String);

const VERDICT: &[Field] = &[
    Field::string("action").one_of(&["adopt", "present", "leave"]),
    Field::array("reasons", &TEXTS),
    Field::array("warnings", &TEXTS),
];

const STORAGE: &[Field] = &[
    // Its id in the source.
    Field::string("source"),
    Field::string("storage").optional(),
    Field::string("type"),
];

const GUEST: &[Field] = &[
    Field::integer("vmid"),
    Field::string("type").one_of(&["qemu", "lxc"]),
    Field::string("name").optional(),
    Field::string("pool").optional(),
    Field::boolean("template"),
    Field::integer("volumes"),
    Field::integer("snapshots"),
];

const LEFT: &[Field] = &[Field::string("path"), Field::string("reason")];

const fn object(fields: &'static [&'static [Field]]) -> Shape {
    Shape::Object {
        fields,
        open: false,
    }
}

pub(super) const ROWS: &[Row] = &[Row::post(
    "/ostler/nodes/{node}/adopt",
    "node_adopt",
    "Show which guests and storages of a Proxmox VE this node can take over, or take them over.",
)
.params(&[&[
    NODE,
    // A copy of /etc/pve, or its database (config.db).
    Field::string("source").max_length(4096),
    // The name that the node had.
    Field::string("source-node").optional().format(format::NODE),
    // Only these; the default is all.
    Field::string("storages").optional().max_length(8192),
    // OLD:NEW
    Field::string("storage-map").optional().max_length(8192),
    Field::string("vmids").optional().max_length(65_536),
    // Options of guests that are left out.
    Field::string("drop").optional().max_length(8192),
    Field::boolean("dry-run").optional().default("1"),
    // The digest of the plan that was shown.
    Field::string("confirm").optional().max_length(40),
]])
.returns(object(&[&[
    Field::string("source-node").optional(),
    Field::array("storages", &object(&[STORAGE, VERDICT])),
    Field::array("guests", &object(&[GUEST, VERDICT])),
    Field::array("left", &object(&[LEFT])),
    Field::string("digest"),
    Field::string("upid").optional(),
]]))
.on_node()];
