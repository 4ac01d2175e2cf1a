//! The table of all commands of `qm`.

use model::schema::Field;

use super::super::commands::{
    Command, Program, Running, Show, delete, get, nothing, own, post, put,
};
use super::{VMID, disks, edit, guest, machine, print, show_command};

pub(in crate::cli) const PROGRAM: Program = Program {
    name: "qm",
    about: "virtual machines of this node",
    commands: COMMANDS,
    takes_passwords: true,
};

const ONE: &[&str] = &["vmid"];
const AGENT: &[&str] = &["vmid", "command"];
/// What would the migration meet?
pub(in crate::cli) const CHECK: &[Field] = &[Field::boolean("check").optional()];
const CLONE: &[&str] = &["vmid", "newid"];
const DISK: &[&str] = &["vmid", "source", "storage"];
const MOVE: &[&str] = &["vmid", "disk", "storage"];
const RESIZE: &[&str] = &["vmid", "disk", "size"];
const SNAPSHOT: &[&str] = &["vmid", "snapname"];

/// `qm importdisk` and `qm disk import`.
const fn import(name: &'static str) -> Command {
    let summary = "Import an image as a disk of a machine; unused without --target-disk.";
    let run: fn(_, _, _) -> Running =
        |agent, given, style| Box::pin(disks::import(agent, given, style));
    own(name, summary, disks::IMPORT, run).takes(DISK)
}

const COMMANDS: &[Command] = &[
    post("agent", "/nodes/{node}/qemu/{vmid}/agent")
        .takes(AGENT)
        .show(Show::Text(print::agent_result)),
    nothing("cleanup"),
    post("clone", "/nodes/{node}/qemu/{vmid}/clone").takes(CLONE),
    get("cloudinit dump", "/nodes/{node}/qemu/{vmid}/cloudinit/dump").takes(&["vmid", "type"]),
    get("cloudinit pending", "/nodes/{node}/qemu/{vmid}/cloudinit")
        .takes(ONE)
        .show(Show::Text(print::pending)),
    put("cloudinit update", "/nodes/{node}/qemu/{vmid}/cloudinit").takes(ONE),
    get("config", "/nodes/{node}/qemu/{vmid}/config")
        .takes(ONE)
        .show(Show::Text(print::config)),
    post("create", "/nodes/{node}/qemu")
        .takes(ONE)
        .before(edit::read_keys)
        .then(edit::later_start),
    delete(
        "delsnapshot",
        "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}",
    )
    .takes(SNAPSHOT),
    delete("destroy", "/nodes/{node}/qemu/{vmid}").takes(ONE),
    import("disk import"),
    post("disk move", "/nodes/{node}/qemu/{vmid}/move_disk").takes(MOVE),
    post("disk rescan", "/ostler/nodes/{node}/rescan")
        .with(&[("type", "qemu")])
        .show(Show::Text(print::rescanned)),
    put("disk resize", "/nodes/{node}/qemu/{vmid}/resize").takes(RESIZE),
    put("disk unlink", "/nodes/{node}/qemu/{vmid}/unlink").takes(ONE),
    nothing("enroll-efi-keys"),
    post("guest cmd", "/nodes/{node}/qemu/{vmid}/agent")
        .takes(AGENT)
        .show(Show::Text(print::agent_result)),
    own(
        "guest exec",
        "Run a program in the guest.",
        guest::EXEC,
        |agent, given, _| Box::pin(guest::exec(agent, given)),
    )
    .takes(AGENT),
    get(
        "guest exec-status",
        "/nodes/{node}/qemu/{vmid}/agent/exec-status",
    )
    .takes(&["vmid", "pid"])
    .show(Show::Text(print::agent_result)),
    own(
        "guest passwd",
        "Set the password of a user of the guest, with a prompt.",
        guest::PASSWD,
        |agent, given, _| Box::pin(guest::passwd(agent, given)),
    )
    .takes(&["vmid", "username"]),
    nothing("import"),
    import("importdisk"),
    nothing("importovf"),
    get("list", "/nodes/{node}/qemu").show(Show::Text(print::list)),
    get("listsnapshot", "/nodes/{node}/qemu/{vmid}/snapshot")
        .takes(ONE)
        .show(Show::Text(print::snapshots)),
    post("migrate", "/nodes/{node}/qemu/{vmid}/migrate")
        .takes(&["vmid", "target"])
        .or_reads(CHECK, "/nodes/{node}/qemu/{vmid}/migrate"),
    own(
        "monitor",
        "Open QEMU's monitor.",
        &[VMID],
        |agent, given, _| Box::pin(machine::monitor(agent, given)),
    )
    .takes(ONE),
    post("move-disk", "/nodes/{node}/qemu/{vmid}/move_disk").takes(MOVE),
    post("move_disk", "/nodes/{node}/qemu/{vmid}/move_disk").takes(MOVE),
    nothing("mtunnel"),
    nothing("nbdstop"),
    get("pending", "/nodes/{node}/qemu/{vmid}/pending")
        .takes(ONE)
        .show(Show::Text(print::pending)),
    post("reboot", "/nodes/{node}/qemu/{vmid}/status/reboot").takes(ONE),
    post("remote-migrate", "/nodes/{node}/qemu/{vmid}/remote_migrate").takes(&[
        "vmid",
        "target-vmid",
        "target-endpoint",
    ]),
    post("rescan", "/ostler/nodes/{node}/rescan")
        .with(&[("type", "qemu")])
        .show(Show::Text(print::rescanned)),
    post("reset", "/nodes/{node}/qemu/{vmid}/status/reset").takes(ONE),
    put("resize", "/nodes/{node}/qemu/{vmid}/resize").takes(RESIZE),
    post("resume", "/nodes/{node}/qemu/{vmid}/status/resume").takes(ONE),
    post(
        "rollback",
        "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/rollback",
    )
    .takes(SNAPSHOT),
    put("sendkey", "/nodes/{node}/qemu/{vmid}/sendkey").takes(&["vmid", "key"]),
    put("set", "/nodes/{node}/qemu/{vmid}/config")
        .takes(ONE)
        .before(edit::before_change)
        .says(print::update),
    own(
        "showcmd",
        "Print the command line of a running machine, or that of the next start.",
        &[VMID, Field::boolean("pretty").optional()],
        |agent, given, _| Box::pin(show_command::run(agent, given)),
    )
    .takes(ONE),
    post("shutdown", "/nodes/{node}/qemu/{vmid}/status/shutdown").takes(ONE),
    post("snapshot", "/nodes/{node}/qemu/{vmid}/snapshot").takes(SNAPSHOT),
    post("start", "/nodes/{node}/qemu/{vmid}/status/start").takes(ONE),
    get("status", "/nodes/{node}/qemu/{vmid}/status/current")
        .takes(ONE)
        .show(Show::Verbose(print::status)),
    post("stop", "/nodes/{node}/qemu/{vmid}/status/stop").takes(ONE),
    post("suspend", "/nodes/{node}/qemu/{vmid}/status/suspend").takes(ONE),
    post("template", "/nodes/{node}/qemu/{vmid}/template").takes(ONE),
    own(
        "terminal",
        "Connect to a serial console.",
        machine::TERMINAL,
        |agent, given, _| Box::pin(machine::terminal(agent, given)),
    )
    .takes(ONE),
    put("unlink", "/nodes/{node}/qemu/{vmid}/unlink").takes(ONE),
    put("unlock", "/nodes/{node}/qemu/{vmid}/config")
        .takes(ONE)
        .with(&[("delete", "lock"), ("skiplock", "1")]),
    // Proxmox VE's command transfers the protocol itself; the operation only prepares a port.
    nothing("vncproxy"),
    own(
        "wait",
        "Wait until a machine has stopped.",
        &[VMID, Field::integer("timeout").optional().min(1.0)],
        |agent, given, _| Box::pin(machine::wait(agent, given)),
    )
    .takes(ONE),
];
