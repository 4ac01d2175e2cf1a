//! `/nodes/{node}/capabilities`

use model::Privilege;
use model::schema::{Field, Shape};

use crate::table::cluster::NAMES;
use crate::table::params::NODE;
use crate::{Check, Permission, Row};

/// The guest's architecture; in this version only the node's own.
const ARCH: Field = Field::string("arch")
    .optional()
    .one_of(&["x86_64", "aarch64"])
    .unbuilt_values(&["aarch64"]);

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/capabilities",
        "capability_directory",
        "Index of a node's capabilities.",
    )
    .params(&[&[NODE]])
    .returns(NAMES)
    .permission(Permission::User)
    .on_node()
    .index(),
    Row::get(
        "/nodes/{node}/capabilities/qemu",
        "qemu_capability_directory",
        "Index of the capabilities of a node's QEMU.",
    )
    .params(&[&[NODE]])
    .returns(NAMES)
    .permission(Permission::User)
    .on_node()
    .index(),
    Row::get(
        "/nodes/{node}/capabilities/qemu/cpu",
        "qemu_cpu_models",
        "The processor models for guests.",
    )
    .params(&[&[NODE, ARCH]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::boolean("abstract").optional(),
            Field::boolean("custom"),
            Field::string("name"),
            Field::string("vendor"),
        ]],
        open: true,
    }))
    .permission(Permission::User),
    Row::get(
        "/nodes/{node}/capabilities/qemu/cpu-flags",
        "qemu_cpu_flags",
        "The processor flags that can be set for guests.",
    )
    .params(&[&[
        NODE,
        Field::string("accel")
            .optional()
            .one_of(&["kvm", "tcg"])
            .default("kvm"),
        ARCH,
    ]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::string("description").optional(),
            Field::string("name"),
            Field::array("supported-on", &Shape::String).optional(),
        ]],
        open: true,
    }))
    .permission(Permission::User),
    Row::get(
        "/nodes/{node}/capabilities/qemu/machines",
        "qemu_machines",
        "The machine types for guests.",
    )
    .params(&[&[NODE, ARCH]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::string("changes").optional(),
            Field::string("id"),
            Field::string("type").one_of(&["q35", "i440fx"]),
            Field::string("version"),
        ]],
        open: true,
    }))
    .permission(Permission::User)
    .on_node(),
    Row::get(
        "/nodes/{node}/capabilities/qemu/migration",
        "qemu_migration_capabilities",
        "A node's capabilities for migration.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Object {
        fields: &[&[Field::boolean("has-dbus-vmstate")]],
        open: false,
    })
    .check(Check::On("/nodes/{node}", &[Privilege::SysAudit]))
    .on_node(),
];
