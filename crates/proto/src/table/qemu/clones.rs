//! Copies of virtual machines and of their disks: clone, template, move, and which of these a guest
//! supports.

use model::Privilege;
use model::schema::{Field, Shape, Values, format};

use super::config::DIGEST;
use super::disks::{DISKS, MOVABLE};
use crate::table::params::{NODE, VMID};
use crate::{Check, Need, Row};

const FORMAT: Field = Field::string("format")
    .optional()
    .one_of(&["raw", "qcow2", "vmdk"]);
pub(in crate::table) const TARGET_STORAGE: Field = Field::string("storage")
    .optional()
    .format(format::STORAGE_ID);
pub(in crate::table) const OF_SNAPSHOT: Field = Field::string("snapname")
    .optional()
    .max_length(40)
    .format(format::CONFIG_ID);

pub(in crate::table) const NEW_ID: Field = Field::integer("newid")
    .range(100.0, 999_999_999.0)
    .format(format::VMID);
pub(in crate::table) const TARGET_VMID: Field = Field::integer("target-vmid")
    .optional()
    .range(100.0, 999_999_999.0)
    .format(format::VMID);

/// Who may make a copy of a guest.
pub(in crate::table) const CLONE: Check = Check::All(&[
    Check::On("/vms/{vmid}", &[Privilege::VmClone]),
    Check::Any(&[
        Check::On("/vms/{newid}", &[Privilege::VmAllocate]),
        Check::Given("pool", &Check::On("/pool/{pool}", &[Privilege::VmAllocate])),
    ]),
    Check::Computed(space_needs),
]);

/// Space on the given storage; if none is given, the operation checks.
pub(in crate::table) fn space_needs(params: &Values) -> Vec<Need> {
    let storage = params.get("storage").and_then(|storage| storage.as_str());
    let need = storage.map(|storage| {
        Need::all(
            format!("/storage/{storage}"),
            &[Privilege::DatastoreAllocateSpace],
        )
    });
    need.into_iter().collect()
}

pub(in crate::table) const ROWS: &[Row] = &[
    Row::post(
        "/nodes/{node}/qemu/{vmid}/clone",
        "qemu_clone",
        "Clone a virtual machine or a template.",
    )
    .params(&[&[
        NODE,
        VMID,
        NEW_ID,
        Field::integer("bwlimit").optional().min(0.0),
        Field::string("description").optional(),
        FORMAT,
        Field::boolean("full").optional(),
        Field::string("name").optional().format(format::DNS_NAME),
        Field::string("pool").optional().format(format::POOL_ID),
        OF_SNAPSHOT,
        TARGET_STORAGE,
        Field::string("target").optional().format(format::NODE),
    ]])
    .check(CLONE)
    .submit()
    .on_node(),
    Row::get(
        "/nodes/{node}/qemu/{vmid}/feature",
        "qemu_feature",
        "Whether a virtual machine supports snapshots, clones or copies.",
    )
    .params(&[&[
        NODE,
        VMID,
        Field::string("feature").one_of(&["snapshot", "clone", "copy"]),
        OF_SNAPSHOT,
    ]])
    .returns(Shape::Object {
        fields: &[&[
            Field::boolean("hasFeature"),
            Field::array("nodes", &Shape::String),
        ]],
        open: false,
    })
    .check(Check::On("/vms/{vmid}", &[Privilege::VmAudit]))
    .on_node(),
    Row::post(
        "/nodes/{node}/qemu/{vmid}/move_disk",
        "qemu_move_disk",
        "Move a disk to another storage or into another format.",
    )
    .params(&[&[
        NODE,
        VMID,
        Field::string("disk").one_of(MOVABLE),
        Field::integer("bwlimit").optional().min(0.0),
        Field::boolean("delete").optional().default("0"),
        DIGEST,
        FORMAT,
        TARGET_STORAGE,
        Field::string("target-digest").optional().max_length(40),
        Field::string("target-disk").optional().one_of(MOVABLE),
        TARGET_VMID,
    ]])
    .check(Check::All(&[
        Check::On("/vms/{vmid}", &[Privilege::VmConfigDisk]),
        Check::Computed(space_needs),
    ]))
    .submit()
    .on_node(),
    Row::post(
        "/nodes/{node}/qemu/{vmid}/template",
        "qemu_template",
        "Convert a virtual machine to a template.",
    )
    .params(&[&[NODE, VMID, Field::string("disk").optional().one_of(DISKS)]])
    .check(Check::On("/vms/{vmid}", &[Privilege::VmAllocate]))
    .submit()
    .on_node(),
];
