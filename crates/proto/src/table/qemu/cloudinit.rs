//! `/nodes/{node}/qemu/{vmid}/cloudinit`: the guest's cloud-init data.

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
        "The values on the cloud-init medium, and pending changes.",
    )
    .params(&[&[NODE, VMID]])
    .returns(PENDING)
    .check(Check::On("/vms/{vmid}", &[Privilege::VmAudit]))
    .on_node(),
    Row::put(
        "/nodes/{node}/qemu/{vmid}/cloudinit",
        "qemu_cloudinit_update",
        "Regenerate the cloud-init medium from the current configuration.",
    )
    .params(&[&[NODE, VMID]])
    .check(Check::On("/vms/{vmid}", &[Privilege::VmConfigCloudinit]))
    .on_node(),
    Row::get(
        "/nodes/{node}/qemu/{vmid}/cloudinit/dump",
        "qemu_cloudinit_dump",
        "A file of the cloud-init medium, generated from the current configuration.",
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
