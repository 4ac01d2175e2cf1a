//! `/nodes/{node}/qemu/{vmid}/migrate`

use model::Privilege;
use model::schema::{Field, Shape, format};

use crate::table::params::{NODE, VMID};
use crate::{Check, Row};

const LOCAL_DISK: Shape = Shape::Object {
    fields: &[&[
        Field::boolean("cdrom"),
        Field::boolean("is_unused"),
        Field::integer("size"),
        Field::string("volid"),
    ]],
    open: true,
};

const BLOCKING: Shape = Shape::Object {
    fields: &[&[
        Field::string("cause").one_of(&["node-affinity", "resource-affinity"]),
        Field::string("sid"),
    ]],
    open: true,
};

const PRECONDITION: &[Field] = &[
    Field::array("allowed_nodes", &Shape::String).optional(),
    Field::array("dependent-ha-resources", &Shape::String).optional(),
    Field::boolean("has-dbus-vmstate"),
    Field::array("local_disks", &LOCAL_DISK),
    Field::array("local_resources", &Shape::String),
    Field::open_object("mapped-resource-info"),
    Field::array("mapped-resources", &Shape::String),
    Field::object(
        "not_allowed_nodes",
        &[&[
            Field::array("blocking-ha-resources", &BLOCKING).optional(),
            Field::array("unavailable_storages", &Shape::String).optional(),
        ]],
    )
    .optional(),
    Field::boolean("running"),
];

pub(in crate::table) const ROWS: &[Row] = &[Row::get(
    "/nodes/{node}/qemu/{vmid}/migrate",
    "qemu_migrate_precondition",
    "What a migration would meet: possible targets, local disks, local devices.",
)
.params(&[&[
    NODE,
    VMID,
    Field::string("target").optional().format(format::NODE),
]])
.returns(Shape::Object {
    fields: &[PRECONDITION],
    open: true,
})
.check(Check::On("/vms/{vmid}", &[Privilege::VmMigrate]))
.on_node()];
