//! Copies of containers and of their file systems: clone, template, move, and which of these a
//! container supports; their sizes.

use model::Privilege;
use model::schema::{Field, Shape, format};

use crate::table::numbered::{MOUNTS, UNUSED, joined};
use crate::table::params::{NODE, VMID};
use crate::table::qemu::clones::{
    CLONE, NEW_ID, OF_SNAPSHOT, TARGET_STORAGE, TARGET_VMID, space_needs,
};
use crate::table::qemu::config::DIGEST;
use crate::{Check, Row};

/// The file systems of a container.
pub(super) const FILE_SYSTEMS: &[&str] = &joined::<{ MOUNTS.len() + 1 }>(&["rootfs"], &MOUNTS);

/// What can be moved: file systems, and unused volumes.
const MOVABLE: &[&str] = &joined::<{ FILE_SYSTEMS.len() + UNUSED.len() }>(FILE_SYSTEMS, &UNUSED);

const BWLIMIT: Field = Field::number("bwlimit")
    .optional()
    .min(0.0)
    .default("clone limit from datacenter or storage config");

pub(in crate::table) const ROWS: &[Row] = &[
    Row::post(
        "/nodes/{node}/lxc/{vmid}/clone",
        "lxc_clone",
        "Clone a container or a template.",
    )
    .params(&[&[
        NODE,
        VMID,
        NEW_ID,
        BWLIMIT,
        Field::string("description").optional(),
        Field::boolean("full").optional(),
        Field::string("hostname")
            .optional()
            .format(format::DNS_NAME),
        Field::string("pool").optional().format(format::POOL_ID),
        OF_SNAPSHOT,
        TARGET_STORAGE,
        Field::string("target").optional().format(format::NODE),
    ]])
    .check(CLONE)
    .submit()
    .on_node(),
    Row::get(
        "/nodes/{node}/lxc/{vmid}/feature",
        "lxc_feature",
        "Whether a container supports snapshots, clones or copies.",
    )
    .params(&[&[
        NODE,
        VMID,
        Field::string("feature").one_of(&["snapshot", "clone", "copy"]),
        OF_SNAPSHOT,
    ]])
    .returns(Shape::Object {
        fields: &[&[Field::boolean("hasFeature")]],
        open: false,
    })
    .check(Check::On("/vms/{vmid}", &[Privilege::VmAudit]))
    .on_node(),
    Row::post(
        "/nodes/{node}/lxc/{vmid}/move_volume",
        "lxc_move_volume",
        "Move a file system to another storage or to another container.",
    )
    .params(&[&[
        NODE,
        VMID,
        Field::string("volume").one_of(MOVABLE),
        BWLIMIT,
        Field::boolean("delete").optional().default("0"),
        DIGEST,
        TARGET_STORAGE,
        Field::string("target-digest").optional().max_length(40),
        TARGET_VMID,
        Field::string("target-volume").optional().one_of(MOVABLE),
    ]])
    .check(Check::All(&[
        Check::On("/vms/{vmid}", &[Privilege::VmConfigDisk]),
        Check::Computed(space_needs),
    ]))
    .submit()
    .on_node(),
    Row::put(
        "/nodes/{node}/lxc/{vmid}/resize",
        "lxc_resize",
        "Make a file system of a container larger.",
    )
    .params(&[&[
        NODE,
        VMID,
        Field::string("disk").one_of(FILE_SYSTEMS),
        DIGEST,
        Field::string("size").pattern(r"\+?\d+(\.\d+)?[KMGT]?"),
    ]])
    .check(Check::On("/vms/{vmid}", &[Privilege::VmConfigDisk]))
    .submit()
    .on_node(),
    Row::post(
        "/nodes/{node}/lxc/{vmid}/template",
        "lxc_template",
        "Convert a container to a template.",
    )
    .params(&[&[NODE, VMID]])
    .check(Check::On("/vms/{vmid}", &[Privilege::VmAllocate]))
    .on_node(),
];
