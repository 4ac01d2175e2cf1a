//! `/nodes/{node}/lxc/{vmid}/migrate`

use model::Privilege;
use model::schema::{Field, Shape, format};

use crate::table::moves::{self, BLOCKING};
use crate::table::params::{NODE, VMID};
use crate::{Check, Row};

const PRECONDITION: &[Field] = &[
    Field::array("allowed-nodes", &Shape::String).optional(),
    Field::array("dependent-ha-resources", &Shape::String).optional(),
    Field::object(
        "not-allowed-nodes",
        &[&[Field::array("blocking-ha-resources", &BLOCKING).optional()]],
    )
    .optional(),
    Field::boolean("running"),
];

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/lxc/{vmid}/migrate",
        "lxc_migrate_precondition",
        "What a migration would meet: possible targets, and why others are none.",
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
        "/nodes/{node}/lxc/{vmid}/migrate",
        "lxc_migrate",
        "Move a container to another node.",
    )
    .params(&[&[
        NODE,
        VMID,
        Field::string("target").format(format::NODE),
        Field::number("bwlimit")
            .optional()
            .min(0.0)
            .default("migrate limit from datacenter or storage config"),
        Field::boolean("online").optional(),
        Field::boolean("restart").optional(),
        Field::string("target-storage")
            .optional()
            .format(format::STORAGE_PAIR_LIST),
        Field::integer("timeout").optional().default("180"),
    ]])
    .check(Check::All(&[
        Check::On("/vms/{vmid}", &[Privilege::VmMigrate]),
        Check::Computed(|params| moves::storage_needs(params, "target-storage")),
    ]))
    .submit()
    .on_node(),
];
