//! `/nodes/{node}/lxc/{vmid}/snapshot`

use model::Privilege;
use model::schema::{Field, Shape};

use crate::table::params::{NODE, VMID};
use crate::table::qemu::snapshots::{READ, ROLL_BACK, SNAPNAME};
use crate::{Check, Permission, Row};

const LIST: Shape = Shape::Array(&Shape::Object {
    fields: &[&[
        Field::string("description"),
        Field::string("name"),
        Field::string("parent").optional(),
        Field::integer("snaptime").optional(),
    ]],
    // The present has `digest` and `running` although the schema does not name them.
    open: true,
});

const CHANGE: Check = Check::On("/vms/{vmid}", &[Privilege::VmSnapshot]);

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/lxc/{vmid}/snapshot",
        "lxc_snapshot_list",
        "The snapshots of a container, followed by its current state.",
    )
    .params(&[&[NODE, VMID]])
    .returns(LIST)
    .check(Check::On("/vms/{vmid}", &[Privilege::VmAudit]))
    .on_node(),
    Row::post(
        "/nodes/{node}/lxc/{vmid}/snapshot",
        "lxc_snapshot",
        "Take a snapshot of a container.",
    )
    .params(&[&[
        NODE,
        VMID,
        SNAPNAME,
        Field::string("description").optional(),
    ]])
    .check(CHANGE)
    .submit()
    .on_node(),
    Row::get(
        "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}",
        "lxc_snapshot_directory",
        "Index of a snapshot.",
    )
    .params(&[&[NODE, VMID, SNAPNAME]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[],
        open: true,
    }))
    .permission(Permission::User)
    .index(),
    Row::delete(
        "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}",
        "lxc_delsnapshot",
        "Delete a snapshot of a container.",
    )
    .params(&[&[NODE, VMID, SNAPNAME, Field::boolean("force").optional()]])
    .check(CHANGE)
    .submit()
    .on_node(),
    Row::get(
        "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}/config",
        "lxc_snapshot_config",
        "The configuration in a snapshot of a container.",
    )
    .params(&[&[NODE, VMID, SNAPNAME]])
    .returns(Shape::Object {
        fields: &[],
        open: true,
    })
    .check(READ)
    .on_node(),
    Row::put(
        "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}/config",
        "lxc_snapshot_update",
        "Change the description of a snapshot.",
    )
    .params(&[&[
        NODE,
        VMID,
        SNAPNAME,
        Field::string("description").optional(),
    ]])
    .check(CHANGE)
    .on_node(),
    Row::post(
        "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}/rollback",
        "lxc_rollback",
        "Roll a container back to a snapshot.",
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
