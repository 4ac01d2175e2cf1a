//! `/ostler/nodes/{node}/lxc/{vmid}`: what looks after a container's file systems. Proxmox VE has it
//! as commands of `pct` only, so that it is root's here, too.

use model::schema::Field;

use super::clones::FILE_SYSTEMS;
use crate::Row;
use crate::table::params::{NODE, VMID};

pub(in crate::table) const ROWS: &[Row] = &[
    Row::post(
        "/ostler/nodes/{node}/lxc/{vmid}/df",
        "lxc_df",
        "Say in the task's log how full the file systems of a container are.",
    )
    .params(&[&[NODE, VMID]])
    .submit()
    .on_node(),
    Row::post(
        "/ostler/nodes/{node}/lxc/{vmid}/fsck",
        "lxc_fsck",
        "Check a file system of a container that does not run.",
    )
    .params(&[&[
        NODE,
        VMID,
        Field::string("device")
            .optional()
            .one_of(FILE_SYSTEMS)
            .default("rootfs"),
        Field::boolean("force").optional().default("0"),
    ]])
    .submit()
    .on_node(),
    Row::post(
        "/ostler/nodes/{node}/lxc/{vmid}/fstrim",
        "lxc_fstrim",
        "Give unused blocks of a container's file systems back to their storages.",
    )
    .params(&[&[
        NODE,
        VMID,
        Field::boolean("ignore-mountpoints").optional().default("0"),
    ]])
    .submit()
    .on_node(),
    Row::post(
        "/ostler/nodes/{node}/lxc/{vmid}/mount",
        "lxc_mount",
        "Mount the file systems of a container that does not run on its node, and lock it.",
    )
    .params(&[&[NODE, VMID]])
    .submit()
    .on_node(),
    Row::post(
        "/ostler/nodes/{node}/lxc/{vmid}/unmount",
        "lxc_unmount",
        "Unmount the file systems of a container from its node, and unlock it.",
    )
    .params(&[&[NODE, VMID]])
    .submit()
    .on_node(),
];
