//! `pct`: containers, by the command names of Proxmox VE.

mod cpusets;
mod files;
mod inside;
mod print;

use anyhow::{Result, bail};
use model::schema::{Field, Values, format};
use serde_json::Value;

use super::commands::{Command, Program, Running, Show, delete, get, nothing, own, post, put};
use super::qm::{CHECK, print as shared};

const VMID: Field = Field::integer("vmid").format(format::VMID);

pub(in crate::cli) const PROGRAM: Program = Program {
    name: "pct",
    about: "containers of this node",
    commands: COMMANDS,
    takes_passwords: true,
};

const ONE: &[&str] = &["vmid"];
const SNAPSHOT: &[&str] = &["vmid", "snapname"];

const COMMANDS: &[Command] = &[
    post("clone", "/nodes/{node}/lxc/{vmid}/clone").takes(&["vmid", "newid"]),
    get("config", "/nodes/{node}/lxc/{vmid}/config")
        .takes(ONE)
        .show(Show::Text(shared::config)),
    own(
        "console",
        "Connect to a terminal of a container.",
        inside::CONSOLE,
        |agent, given, _| Box::pin(inside::console(agent, given)) as Running,
    )
    .takes(ONE),
    own(
        "cpusets",
        "Print the processors that each running container may use.",
        &[],
        |agent, _, _| Box::pin(cpusets::cpusets(agent)) as Running,
    ),
    post("create", "/nodes/{node}/lxc")
        .takes(&["vmid", "ostemplate"])
        .before(read_keys),
    delete(
        "delsnapshot",
        "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}",
    )
    .takes(SNAPSHOT),
    delete("destroy", "/nodes/{node}/lxc/{vmid}").takes(ONE),
    post("df", "/ostler/nodes/{node}/lxc/{vmid}/df").takes(ONE),
    own(
        "enter",
        "Open a shell in a container.",
        inside::ENTER,
        |agent, given, _| Box::pin(inside::enter(agent, given)) as Running,
    )
    .takes(ONE),
    own(
        "exec",
        "Run a program in a container.",
        inside::EXEC,
        |agent, given, _| Box::pin(inside::exec(agent, given)) as Running,
    )
    .takes(&["vmid", "command"]),
    post("fsck", "/ostler/nodes/{node}/lxc/{vmid}/fsck").takes(ONE),
    post("fstrim", "/ostler/nodes/{node}/lxc/{vmid}/fstrim").takes(ONE),
    get("list", "/nodes/{node}/lxc").show(Show::Text(print::list)),
    get("listsnapshot", "/nodes/{node}/lxc/{vmid}/snapshot")
        .takes(ONE)
        .show(Show::Text(shared::snapshots)),
    post("migrate", "/nodes/{node}/lxc/{vmid}/migrate")
        .takes(&["vmid", "target"])
        .or_reads(CHECK, "/nodes/{node}/lxc/{vmid}/migrate"),
    post("mount", "/ostler/nodes/{node}/lxc/{vmid}/mount").takes(ONE),
    post("move-volume", "/nodes/{node}/lxc/{vmid}/move_volume").takes(&["vmid", "volume"]),
    get("pending", "/nodes/{node}/lxc/{vmid}/pending")
        .takes(ONE)
        .show(Show::Text(shared::pending)),
    own(
        "pull",
        "Copy a file out of a running container.",
        files::PULL,
        |agent, given, _| Box::pin(files::pull(agent, given)) as Running,
    )
    .takes(&["vmid", "path", "destination"]),
    own(
        "push",
        "Copy a file into a running container.",
        files::PUSH,
        |agent, given, _| Box::pin(files::push(agent, given)) as Running,
    )
    .takes(&["vmid", "file", "destination"]),
    post("reboot", "/nodes/{node}/lxc/{vmid}/status/reboot").takes(ONE),
    post("rescan", "/ostler/nodes/{node}/rescan")
        .with(&[("type", "lxc")])
        .show(Show::Text(shared::rescanned)),
    put("resize", "/nodes/{node}/lxc/{vmid}/resize").takes(&["vmid", "disk", "size"]),
    nothing("restore"),
    post("resume", "/nodes/{node}/lxc/{vmid}/status/resume").takes(ONE),
    post(
        "rollback",
        "/nodes/{node}/lxc/{vmid}/snapshot/{snapname}/rollback",
    )
    .takes(SNAPSHOT),
    put("set", "/nodes/{node}/lxc/{vmid}/config")
        .takes(ONE)
        .before(before_change),
    post("shutdown", "/nodes/{node}/lxc/{vmid}/status/shutdown").takes(ONE),
    post("snapshot", "/nodes/{node}/lxc/{vmid}/snapshot").takes(SNAPSHOT),
    post("start", "/nodes/{node}/lxc/{vmid}/status/start").takes(ONE),
    get("status", "/nodes/{node}/lxc/{vmid}/status/current")
        .takes(ONE)
        .show(Show::Verbose(shared::status)),
    post("stop", "/nodes/{node}/lxc/{vmid}/status/stop").takes(ONE),
    post("suspend", "/nodes/{node}/lxc/{vmid}/status/suspend").takes(ONE),
    post("template", "/nodes/{node}/lxc/{vmid}/template").takes(ONE),
    put("unlock", "/nodes/{node}/lxc/{vmid}/config")
        .takes(ONE)
        .with(&[("delete", "lock")]),
    post("unmount", "/ostler/nodes/{node}/lxc/{vmid}/unmount").takes(ONE),
];

/// A change must change something.
fn before_change(given: &mut Values) -> Result<()> {
    const NO_CHANGE: [&str; 2] = ["vmid", "digest"];
    if given.keys().all(|name| NO_CHANGE.contains(&name.as_str())) {
        bail!("no options specified");
    }
    Ok(())
}

/// `--ssh-public-keys` names a file; the API takes its content.
fn read_keys(given: &mut Values) -> Result<()> {
    let Some(path) = given.get("ssh-public-keys").and_then(Value::as_str) else {
        return Ok(());
    };
    let keys = std::fs::read_to_string(path)
        .map_err(|error| anyhow::anyhow!("reading the keys in {path}: {error}"))?;
    given.insert("ssh-public-keys".to_owned(), keys.into());
    Ok(())
}
