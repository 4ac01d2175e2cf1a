//! `/ostler/cluster/snapshots`: the snapshots of all guests by their age, and the removal of old ones.

use model::schema::{Field, Shape, format};

use super::params::NODE;
use crate::{Permission, Row};

/// In days.
const OLDER_THAN: Field = Field::number("older-than").optional().range(0.0, 36_500.0);

const VMID: Field = Field::integer("vmid")
    .optional()
    .format(format::VMID)
    .range(100.0, 999_999_999.0);

const SNAPSHOT: &[Field] = &[
    Field::integer("vmid"),
    Field::string("type").one_of(&["qemu", "lxc"]),
    Field::string("guest").optional(),
    Field::string("node"),
    Field::string("name"),
    Field::string("description").optional(),
    Field::integer("snaptime"),
    // In seconds.
    Field::integer("age"),
    Field::string("job").optional(),
    Field::boolean("vmstate"),
    Field::string("snapstate").optional(),
];

pub(super) const ROWS: &[Row] = &[
    Row::get(
        "/ostler/cluster/snapshots",
        "cluster_snapshot_list",
        "The snapshots of the guests that the caller may see, oldest first.",
    )
    .params(&[&[OLDER_THAN, VMID]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[SNAPSHOT],
        open: false,
    }))
    .permission(Permission::User),
    Row::post(
        "/ostler/nodes/{node}/snapshots/prune",
        "node_snapshot_prune",
        "Show which snapshots of a node's guests would be removed, or remove them.",
    )
    .params(&[&[
        NODE,
        // VMID:NAME
        Field::string("snapshots").optional().max_length(65_536),
        OLDER_THAN,
        VMID,
        Field::boolean("dry-run").optional().default("1"),
        // How many snapshots the plan had.
        Field::integer("confirm").optional().range(0.0, 1_000_000.0),
    ]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[SNAPSHOT, &[Field::string("upid").optional()]],
        open: false,
    }))
    .permission(Permission::User)
    .on_node(),
];
