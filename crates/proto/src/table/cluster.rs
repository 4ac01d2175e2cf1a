//! `/cluster`

use model::schema::{Field, Shape, format};

use super::params::VMID;
use crate::{Permission, Row};

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
];
