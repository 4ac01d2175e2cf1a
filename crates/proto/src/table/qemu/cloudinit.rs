//! `/nodes/{node}/qemu/{vmid}/cloudinit`: what a guest is told at its first boot.

use model::Privilege;
use model::schema::{Field, Shape};

use crate::table::params::{NODE, VMID};
use crate::{Check, Row};

const PENDING: Shape = Shape::Array(&Shape::Object {
    fields: &[&[
        Field::integer("delete").optional().range(0.0, 1.0),
        Field::string("key"),
        Field::string("pending").optional(),
        Field::string("value").optional(),
    ]],
    open: false,
});

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/qemu/{vmid}/cloudinit",
        "qemu_cloudinit",
        "What cloud-init's medium was made of, and what has changed since.",
    )
    .params(&[&[NODE, VMID]])
    .returns(PENDING)
    .check(Check::On("/vms/{vmid}", &[Privilege::VmAudit]))
    .on_node(),
    Row::put(
        "/nodes/{node}/qemu/{vmid}/cloudinit",
        "qemu_cloudinit_update",
        "Make cloud-init's medium anew, from the configuration as it is now.",
    )
    .params(&[&[NODE, VMID]])
    .check(Check::On("/vms/{vmid}", &[Privilege::VmConfigCloudinit]))
    .on_node(),
    Row::get(
        "/nodes/{node}/qemu/{vmid}/cloudinit/dump",
        "qemu_cloudinit_dump",
        "A file of cloud-init's medium, as it would be made now.",
    )
    .params(&[&[
        NODE,
        VMID,
        Field::string("type").one_of(&["user", "network", "meta"]),
    ]])
    .returns(Shape::String)
    .check(Check::On("/vms/{vmid}", &[Privilege::VmAudit]))
    .on_node(),
];
