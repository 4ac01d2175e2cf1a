//! `/nodes/{node}/qemu/{vmid}/status/{shutdown,reset,suspend,resume}`, monitor and keys.

use model::Privilege;
use model::schema::{Field, Shape, Values, format};

use super::status::POWER;
use crate::table::params::{NODE, SKIPLOCK, VMID};
use crate::{Check, Need, Row};

/// Saved memory takes space like a disk.
fn suspend_needs(params: &Values) -> Vec<Need> {
    let text = |name: &str| {
        params.get(name).map(|value| match value.as_str() {
            Some(text) => text.to_owned(),
            None => value.to_string(),
        })
    };
    if params.get("todisk").and_then(|value| value.as_bool()) != Some(true) {
        return Vec::new();
    }
    let on = |path: String, privilege| Need::all(path, &[privilege]);
    let vm = format!("/vms/{}", text("vmid").unwrap_or_default());
    let storage = text("statestorage").map(|storage| {
        on(
            format!("/storage/{storage}"),
            Privilege::DatastoreAllocateSpace,
        )
    });
    std::iter::once(on(vm, Privilege::VmConfigDisk))
        .chain(storage)
        .collect()
}

pub(in crate::table) const ROWS: &[Row] = &[
    Row::post(
        "/nodes/{node}/qemu/{vmid}/monitor",
        "qemu_monitor",
        "Send a command to QEMU's human monitor.",
    )
    .params(&[&[NODE, VMID, Field::string("command")]])
    .returns(Shape::String)
    // Commands that only read need Sys.Audit, all others Sys.Modify: the operation checks that.
    .check(Check::AnyOn(
        "/vms/{vmid}",
        &[Privilege::SysAudit, Privilege::SysModify],
    ))
    .on_node()
    .local(),
    Row::post(
        "/nodes/{node}/qemu/{vmid}/status/reset",
        "qemu_reset",
        "Reset a virtual machine, like its reset button.",
    )
    .params(&[&[NODE, VMID, SKIPLOCK]])
    .check(POWER)
    .submit()
    .on_node()
    .local(),
    Row::post(
        "/nodes/{node}/qemu/{vmid}/status/resume",
        "qemu_resume",
        "Resume a virtual machine.",
    )
    .params(&[&[
        NODE,
        VMID,
        SKIPLOCK,
        Field::boolean("nocheck").optional().unbuilt(),
    ]])
    .check(POWER)
    .submit()
    .on_node()
    .local(),
    Row::post(
        "/nodes/{node}/qemu/{vmid}/status/shutdown",
        "qemu_shutdown",
        "Shut a virtual machine down by its power button or its agent.",
    )
    .params(&[&[
        NODE,
        VMID,
        SKIPLOCK,
        Field::boolean("forceStop").optional().default("0"),
        Field::boolean("keepActive").optional().default("0"),
        Field::integer("timeout").optional().min(0.0),
    ]])
    .check(POWER)
    .submit()
    .on_node()
    .local(),
    Row::post(
        "/nodes/{node}/qemu/{vmid}/status/suspend",
        "qemu_suspend",
        "Pause a virtual machine, or suspend it to disk.",
    )
    .params(&[&[
        NODE,
        VMID,
        SKIPLOCK,
        Field::string("statestorage")
            .optional()
            .format(format::STORAGE_ID)
            .requires("todisk"),
        Field::boolean("todisk").optional().default("0"),
    ]])
    .check(Check::All(&[POWER, Check::Computed(suspend_needs)]))
    .submit()
    .on_node()
    .local(),
    Row::post(
        "/nodes/{node}/qemu/{vmid}/status/reboot",
        "qemu_reboot",
        "Shut a virtual machine down and start it again with pending changes.",
    )
    .params(&[&[NODE, VMID, Field::integer("timeout").optional().min(0.0)]])
    .check(POWER)
    .submit()
    .on_node(),
    Row::put(
        "/nodes/{node}/qemu/{vmid}/sendkey",
        "qemu_sendkey",
        "Send keys to a virtual machine, e.g. ctrl-alt-delete.",
    )
    .params(&[&[NODE, VMID, SKIPLOCK, Field::string("key")]])
    .check(Check::On("/vms/{vmid}", &[Privilege::VmConsole]))
    .on_node()
    .local(),
];
