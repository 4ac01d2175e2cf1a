//! `/cluster`

pub(super) mod backup;
pub(super) mod bulk;
pub(super) mod config;
pub(super) mod ha;
pub(super) mod jobs;
pub(super) mod mapping;
pub(super) mod metrics;
pub(super) mod qemu;
pub(super) mod replication;

use model::Privilege;
use model::schema::{Field, Shape, format};

use super::cluster_options::CLUSTER_OPTIONS;
use super::params::VMID;
use crate::{Check, Permission, Row};

/// The entries of a directory; each has a `name`.
pub(super) const NAMES: Shape = Shape::Array(&Shape::Object {
    fields: &[&[Field::string("name")]],
    open: true,
});

/// A row of `/cluster/resources`.
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
        "Index of the cluster's resources.",
    )
    .returns(NAMES)
    .permission(Permission::User)
    .index(),
    Row::get(
        "/cluster/resources",
        "cluster_resources",
        "Nodes, guests, storages and pools, with their resource use.",
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
        "The cluster's log, newest first.",
    )
    .params(&[&[Field::integer("max").optional().min(1.0)]])
    .returns(ANY_ROWS)
    .on_all_nodes()
    // Without Sys.Syslog a caller sees only lines about itself.
    .permission(Permission::User),
    Row::get("/cluster/nextid", "cluster_nextid", "A free guest number.")
        .params(&[&[VMID.optional()]])
        .returns(Shape::Integer)
        .permission(Permission::User),
    Row::post(
        "/cluster/nextid",
        "cluster_nextid_reserve",
        "Reserve a free guest number for five minutes.",
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
    // Without Sys.Audit a caller sees only the options for showing and setting tags.
    .permission(Permission::User),
    Row::put(
        "/cluster/options",
        "cluster_options_update",
        "Change the settings of the whole cluster.",
    )
    .params(&[CLUSTER_OPTIONS])
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
        "The latest tasks of all nodes, newest first.",
    )
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::string("upid")]],
        open: true,
    }))
    .on_all_nodes()
    .permission(Permission::User),
];
