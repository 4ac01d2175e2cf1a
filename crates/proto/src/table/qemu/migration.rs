//! `/nodes/{node}/qemu/{vmid}/migrate`

use model::Privilege;
use model::schema::{Field, Shape, format};

use crate::table::moves::{self, BLOCKING};
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

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
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
    .on_node(),
    Row::post(
        "/nodes/{node}/qemu/{vmid}/migrate",
        "qemu_migrate",
        "Move a virtual machine to another node.",
    )
    .params(&[&[
        NODE,
        VMID,
        Field::string("target").format(format::NODE),
        Field::integer("bwlimit")
            .optional()
            .min(0.0)
            .default("migrate limit from datacenter or storage config"),
        Field::boolean("force").optional(),
        Field::string("migration_network")
            .optional()
            .format(format::CIDR),
        Field::string("migration_type")
            .optional()
            .one_of(&["secure", "insecure"]),
        Field::boolean("online").optional(),
        Field::string("targetstorage")
            .optional()
            .format(format::STORAGE_PAIR_LIST),
        Field::boolean("with-conntrack-state")
            .optional()
            .default("0")
            .unbuilt(),
        Field::boolean("with-local-disks").optional(),
    ]])
    .check(Check::All(&[
        Check::On("/vms/{vmid}", &[Privilege::VmMigrate]),
        Check::Computed(|params| moves::storage_needs(params, "targetstorage")),
    ]))
    .submit()
    .on_node(),
];
