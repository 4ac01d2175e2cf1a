//! `/nodes/{node}/qemu/{vmid}/snapshot`

use model::Privilege;
use model::schema::{Field, Shape, format};

use crate::table::params::{NODE, VMID};
use crate::{Check, Permission, Row};

pub(in crate::table) const SNAPNAME: Field = Field::string("snapname")
    .max_length(40)
    .format(format::CONFIG_ID);

/// Who may read a snapshot's configuration.
pub(in crate::table) const READ: Check = Check::AnyOn(
    "/vms/{vmid}",
    &[
        Privilege::VmSnapshot,
        Privilege::VmSnapshotRollback,
        Privilege::VmAudit,
    ],
);
pub(in crate::table) const ROLL_BACK: Check = Check::AnyOn(
    "/vms/{vmid}",
    &[Privilege::VmSnapshot, Privilege::VmSnapshotRollback],
);

const LIST: Shape = Shape::Array(&Shape::Object {
    fields: &[&[
        Field::string("description"),
        Field::string("digest").optional(),
        Field::string("name"),
        Field::string("parent").optional(),
        Field::boolean("running").optional(),
        Field::string("snapstate").optional(),
        Field::integer("snaptime").optional(),
        Field::boolean("vmstate").optional(),
    ]],
    open: false,
});

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/qemu/{vmid}/snapshot",
        "qemu_snapshot_list",
        "The snapshots of a virtual machine, followed by its current state.",
    )
    .params(&[&[NODE, VMID]])
    .returns(LIST)
    .check(Check::On("/vms/{vmid}", &[Privilege::VmAudit]))
    .on_node(),
    Row::post(
        "/nodes/{node}/qemu/{vmid}/snapshot",
        "qemu_snapshot",
        "Take a snapshot of a virtual machine, with or without its memory.",
    )
    .params(&[&[
        NODE,
        VMID,
        SNAPNAME,
        Field::string("description").optional(),
        Field::boolean("vmstate").optional(),
    ]])
    .check(Check::On("/vms/{vmid}", &[Privilege::VmSnapshot]))
    .submit()
    .on_node(),
    Row::get(
        "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}",
        "qemu_snapshot_directory",
        "Index of a snapshot.",
    )
    .params(&[&[NODE, VMID, SNAPNAME]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::string("cmd")]],
        open: false,
    }))
    .permission(Permission::User)
    .index(),
    Row::delete(
        "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}",
        "qemu_delsnapshot",
        "Delete a snapshot of a virtual machine.",
    )
    .params(&[&[NODE, VMID, SNAPNAME, Field::boolean("force").optional()]])
    .check(Check::On("/vms/{vmid}", &[Privilege::VmSnapshot]))
    .submit()
    .on_node(),
    Row::get(
        "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config",
        "qemu_snapshot_config",
        "The configuration in a snapshot of a virtual machine.",
    )
    .params(&[&[NODE, VMID, SNAPNAME]])
    .returns(Shape::Object {
        fields: &[],
        open: true,
    })
    .check(READ)
    .on_node(),
    Row::put(
        "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config",
        "qemu_snapshot_update",
        "Change the description of a snapshot.",
    )
    .params(&[&[
        NODE,
        VMID,
        SNAPNAME,
        Field::string("description").optional(),
    ]])
    .check(Check::On("/vms/{vmid}", &[Privilege::VmSnapshot]))
    .on_node(),
    Row::post(
        "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/rollback",
        "qemu_rollback",
        "Roll a virtual machine back to a snapshot.",
    )
    .params(&[&[
        NODE,
        VMID,
        SNAPNAME,
        Field::boolean("start").optional().default("0"),
    ]])
    .check(ROLL_BACK)
    .submit()
    .on_node(),
];
