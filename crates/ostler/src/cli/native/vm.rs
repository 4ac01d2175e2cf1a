//! `ostler vm`

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use model::VmId;
use model::schema::Values;
use proto::Verb;
use serde_json::Value;

use super::super::agent::{Agent, values};
use super::super::failure::usage;
use super::super::format::{Table, bytes, duration, plain_text};
use super::super::terminal;
use super::snapshot::{self, SnapshotCommand};
use super::{Looks, Waiting, confirm};

const LIST: &str = "/nodes/{node}/qemu";
const CONFIG: &str = "/nodes/{node}/qemu/{vmid}/config";
const CLONE: &str = "/nodes/{node}/qemu/{vmid}/clone";
const TEMPLATE: &str = "/nodes/{node}/qemu/{vmid}/template";
const STATUS: &str = "/nodes/{node}/qemu/{vmid}/status/current";

/// Virtual machines of this node.
#[derive(Debug, Subcommand)]
pub(crate) enum VmCommand {
    /// List the machines.
    #[command(visible_alias = "ls")]
    List {
        #[command(flatten)]
        looks: Looks,
    },
    /// Show a machine's status and configuration.
    Show {
        vmid: VmId,
        #[command(flatten)]
        looks: Looks,
    },
    /// Create a machine.
    Create(Create),
    /// Start a machine.
    Start {
        vmid: VmId,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Stop a machine at once, without a shutdown.
    Stop {
        vmid: VmId,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Shut a machine down and wait until it has stopped.
    Shutdown {
        vmid: VmId,
        /// The time limit of the shutdown, in seconds.
        #[arg(long)]
        timeout: Option<u64>,
        /// Stop the machine if it is still running by then.
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Shut a machine down and start it again, which applies pending changes.
    Reboot {
        vmid: VmId,
        /// The time limit of the shutdown, in seconds.
        #[arg(long)]
        timeout: Option<u64>,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Reset a machine, like its reset button.
    Reset {
        vmid: VmId,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Pause a machine.
    Suspend {
        vmid: VmId,
        /// Save its memory to disk and stop it; the next start resumes from there.
        #[arg(long)]
        to_disk: bool,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Resume a machine.
    Resume {
        vmid: VmId,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Clone a machine.
    Clone(NewClone),
    /// Convert a machine to a template: it never runs again, and can be cloned quickly.
    Template {
        vmid: VmId,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Snapshots of a machine.
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
    /// Destroy a machine and its disks.
    Destroy {
        vmid: VmId,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Connect to a machine's serial console; Ctrl-O disconnects.
    Console {
        vmid: VmId,
        /// The serial port, e.g. `serial0`; by default the first one.
        #[arg(long)]
        port: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    vmid: VmId,
    #[arg(long)]
    name: Option<String>,
    /// In MiB.
    #[arg(long, default_value = "1024")]
    memory: u64,
    #[arg(long, default_value = "1")]
    cores: u64,
    /// A new disk, as STORAGE:GIB. May be repeated.
    #[arg(long = "disk", value_name = "STORAGE:GIB")]
    disks: Vec<String>,
    /// A network card on this bridge. May be repeated.
    #[arg(long = "bridge", value_name = "BRIDGE")]
    bridges: Vec<String>,
    /// An image in the CD drive, e.g. `local:iso/debian.iso`.
    #[arg(long, value_name = "VOLUME")]
    iso: Option<String>,
    /// Any other option of the machine, as for `qm set`. May be repeated.
    #[arg(long = "set", value_name = "OPTION=VALUE")]
    options: Vec<String>,
    /// Start it once it is created.
    #[arg(long)]
    start: bool,
    #[command(flatten)]
    waiting: Waiting,
}

#[derive(Debug, Args)]
pub(crate) struct NewClone {
    vmid: VmId,
    /// The number of the clone.
    newid: VmId,
    #[arg(long)]
    name: Option<String>,
    /// Copy the disks; otherwise a clone of a template uses them as its base.
    #[arg(long)]
    full: bool,
    /// The storage of a full clone's disks.
    #[arg(long)]
    storage: Option<String>,
    /// Clone the state in this snapshot.
    #[arg(long, value_name = "NAME")]
    snapshot: Option<String>,
    #[command(flatten)]
    waiting: Waiting,
}

pub(crate) async fn run(command: VmCommand) -> Result<()> {
    let agent = Agent::of_this_machine()?;
    match command {
        VmCommand::List { looks } => {
            let guests = agent.at(Verb::Get, LIST, Values::new()).await?.data;
            looks.print(&guests, list)
        }
        VmCommand::Show { vmid, looks } => show(&agent, vmid, looks).await,
        VmCommand::Create(create) => make(&agent, &create).await,
        VmCommand::Start { vmid, waiting } => power(&agent, "start", of(vmid), waiting).await,
        VmCommand::Stop { vmid, waiting } => power(&agent, "stop", of(vmid), waiting).await,
        VmCommand::Shutdown {
            vmid,
            timeout,
            force,
            waiting,
        } => {
            let mut params = of(vmid);
            params.extend(timeout.map(|timeout| ("timeout".to_owned(), timeout.into())));
            params.insert("forceStop".to_owned(), u8::from(force).into());
            power(&agent, "shutdown", params, waiting).await
        }
        VmCommand::Reboot {
            vmid,
            timeout,
            waiting,
        } => {
            let mut params = of(vmid);
            params.extend(timeout.map(|timeout| ("timeout".to_owned(), timeout.into())));
            power(&agent, "reboot", params, waiting).await
        }
        VmCommand::Reset { vmid, waiting } => power(&agent, "reset", of(vmid), waiting).await,
        VmCommand::Suspend {
            vmid,
            to_disk,
            waiting,
        } => {
            let mut params = of(vmid);
            params.insert("todisk".to_owned(), u8::from(to_disk).into());
            power(&agent, "suspend", params, waiting).await
        }
        VmCommand::Resume { vmid, waiting } => power(&agent, "resume", of(vmid), waiting).await,
        VmCommand::Clone(clone) => {
            let answer = agent.at(Verb::Post, CLONE, clone.parameters()).await?;
            clone.waiting.wait(&agent, &answer.data).await
        }
        VmCommand::Template { vmid, waiting } => {
            let answer = agent.at(Verb::Post, TEMPLATE, of(vmid)).await?;
            waiting.wait(&agent, &answer.data).await
        }
        VmCommand::Snapshot(command) => snapshot::run(&agent, command).await,
        VmCommand::Destroy { vmid, yes, waiting } => destroy(&agent, vmid, yes, waiting).await,
        VmCommand::Console { vmid, port } => {
            if port.as_deref().is_some_and(|port| !is_port(port)) {
                return Err(usage(
                    "a serial port is called serial0, serial1, serial2 or serial3",
                ));
            }
            terminal::run(&agent, vmid, port.as_deref(), None).await
        }
    }
}

fn of(vmid: VmId) -> Values {
    values([("vmid", vmid.get().into())])
}

fn is_port(name: &str) -> bool {
    matches!(name, "serial0" | "serial1" | "serial2" | "serial3")
}

async fn power(agent: &Agent, word: &str, params: Values, waiting: Waiting) -> Result<()> {
    let path = format!("/nodes/{{node}}/qemu/{{vmid}}/status/{word}");
    let answer = agent.at(Verb::Post, &path, params).await?;
    waiting.wait(agent, &answer.data).await
}

/// Creates a machine. Its start is a task of its own, which is waited for as well.
async fn make(agent: &Agent, create: &Create) -> Result<()> {
    let mut params = create.parameters()?;
    let starts_after = create.start && !create.waiting.no_wait;
    if create.start && !starts_after {
        params.insert("start".to_owned(), 1.into());
    }
    let made = agent.at(Verb::Post, LIST, params).await?;
    create.waiting.wait(agent, &made.data).await?;
    if starts_after {
        power(agent, "start", of(create.vmid), create.waiting).await?;
    }
    Ok(())
}

async fn destroy(agent: &Agent, vmid: VmId, yes: bool, waiting: Waiting) -> Result<()> {
    let status = agent.at(Verb::Get, STATUS, of(vmid)).await?.data;
    let name = plain_text(&status["name"]);
    if !yes && !confirm(&format!("Destroy VM {vmid} ({name}) and its disks?"))? {
        bail!("VM {vmid} was left as it is");
    }
    let path = "/nodes/{node}/qemu/{vmid}";
    let answer = agent.at(Verb::Delete, path, of(vmid)).await?;
    waiting.wait(agent, &answer.data).await
}

async fn show(agent: &Agent, vmid: VmId, looks: Looks) -> Result<()> {
    let status = agent.at(Verb::Get, STATUS, of(vmid)).await?.data;
    let config = agent.at(Verb::Get, CONFIG, of(vmid)).await?.data;
    let whole = serde_json::json!({"status": status, "config": config});
    looks.print(&whole, details)
}

fn list(guests: &Value) -> Table {
    let mut table = Table::new(["VMID", "NAME", "STATUS", "CPUS", "MEMORY", "UPTIME"]);
    let mut guests: Vec<&Value> = guests.as_array().into_iter().flatten().collect();
    guests.sort_by_key(|guest| guest["vmid"].as_u64());
    for guest in guests {
        let uptime = guest["uptime"].as_u64().filter(|uptime| *uptime > 0);
        table.row([
            plain_text(&guest["vmid"]),
            plain_text(&guest["name"]),
            plain_text(&guest["status"]),
            plain_text(&guest["cpus"]),
            guest["maxmem"].as_f64().map(bytes).unwrap_or_default(),
            uptime.map_or_else(|| "-".to_owned(), duration),
        ]);
    }
    table
}

/// The status first, then the configuration.
fn details(guest: &Value) -> Table {
    let mut table = Table::new(["KEY", "VALUE"]);
    let status = &guest["status"];
    for name in ["vmid", "name", "status", "qmpstatus", "lock", "pid"] {
        if let Some(value) = status.get(name) {
            table.row([name.to_owned(), plain_text(value)]);
        }
    }
    let mut options: Vec<(&String, &Value)> =
        guest["config"].as_object().into_iter().flatten().collect();
    options.sort_by_key(|(name, _)| *name);
    for (name, value) in options {
        if !["digest", "name"].contains(&name.as_str()) {
            table.row([name.clone(), plain_text(value)]);
        }
    }
    table
}

impl NewClone {
    /// The operation's parameters.
    fn parameters(&self) -> Values {
        let mut params = of(self.vmid);
        params.insert("newid".to_owned(), self.newid.get().into());
        if self.full || self.storage.is_some() {
            params.insert("full".to_owned(), 1.into());
        }
        let texts = [
            ("name", &self.name),
            ("storage", &self.storage),
            ("snapname", &self.snapshot),
        ];
        for (name, text) in texts {
            params.extend(
                text.as_ref()
                    .map(|text| (name.to_owned(), text.as_str().into())),
            );
        }
        params
    }
}

impl Create {
    /// The operation's parameters. `--set` takes precedence.
    fn parameters(&self) -> Result<Values> {
        let mut params = of(self.vmid);
        let mut put = |name: String, value: Value| params.insert(name, value);
        put("memory".to_owned(), self.memory.to_string().into());
        put("cores".to_owned(), self.cores.into());
        if let Some(name) = &self.name {
            put("name".to_owned(), name.as_str().into());
        }
        if let Some(iso) = &self.iso {
            put("ide2".to_owned(), format!("{iso},media=cdrom").into());
        }
        for (at, disk) in self.disks.iter().enumerate() {
            put(format!("scsi{at}"), disk.as_str().into());
        }
        if !self.disks.is_empty() {
            put("scsihw".to_owned(), "virtio-scsi-pci".into());
        }
        for (at, bridge) in self.bridges.iter().enumerate() {
            put(format!("net{at}"), format!("virtio,bridge={bridge}").into());
        }
        for option in &self.options {
            let Some((name, value)) = option.split_once('=') else {
                return Err(usage(format!("--set takes OPTION=VALUE, not '{option}'")));
            };
            put(name.to_owned(), value.into());
        }
        Ok(params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::format::Style;
    use clap::Parser;
    use serde_json::json;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        command: VmCommand,
    }

    fn parse(line: &str) -> Result<VmCommand, clap::Error> {
        Line::try_parse_from(["vm"].into_iter().chain(line.split(' '))).map(|line| line.command)
    }

    #[test]
    fn a_creation_becomes_parameters_of_the_operation() {
        let line = "create 100 --name web --disk local:4 --disk local:1 --bridge vmbr0 \
                    --iso local:iso/x.iso --set kvm=0 --set boot=order=scsi0 --start";
        let Ok(VmCommand::Create(create)) = parse(line) else {
            panic!("a creation")
        };
        let params = create.parameters().unwrap();
        assert_eq!(
            Value::Object(params.clone()),
            json!({
                "vmid": 100, "memory": "1024", "cores": 1, "name": "web",
                "ide2": "local:iso/x.iso,media=cdrom", "scsi0": "local:4", "scsi1": "local:1",
                "scsihw": "virtio-scsi-pci", "net0": "virtio,bridge=vmbr0", "kvm": "0",
                "boot": "order=scsi0",
            })
        );
        let row = crate::cli::agent::row(Verb::Post, LIST).unwrap();
        let mut whole = params;
        whole.insert("node".to_owned(), "pve1".into());
        row.check_params(&whole).unwrap();
    }

    #[test]
    fn a_clone_becomes_parameters_of_the_operation() {
        let Ok(VmCommand::Clone(clone)) = parse("clone 100 101 --name web --storage local") else {
            panic!("a clone")
        };
        let wanted =
            json!({"vmid": 100, "newid": 101, "name": "web", "storage": "local", "full": 1});
        assert_eq!(Value::Object(clone.parameters()), wanted);
        if let Ok(row) = crate::cli::agent::row(Verb::Post, CLONE) {
            let mut whole = clone.parameters();
            whole.insert("node".to_owned(), "pve1".into());
            row.check_params(&whole).unwrap();
        }
    }

    #[test]
    fn the_command_line_is_checked() {
        for (line, text) in [
            ("start", "required arguments were not provided"),
            ("start 7", "invalid value '7' for '<VMID>'"),
            ("list -o xml", "possible values: text, json, yaml"),
            (
                "snapshot create 100",
                "required arguments were not provided",
            ),
            ("fly 100", "unrecognized subcommand 'fly'"),
        ] {
            let error = parse(line).unwrap_err().to_string();
            assert!(error.contains(text), "{line}: {error}");
        }
        assert!(matches!(parse("ls"), Ok(VmCommand::List { .. })));
        let stopped = parse("shutdown 100 --timeout 5 --force -q");
        assert!(matches!(
            stopped,
            Ok(VmCommand::Shutdown {
                timeout: Some(5),
                force: true,
                ..
            })
        ));
    }

    #[test]
    fn machines_are_a_table() {
        let style = Style {
            border: false,
            ..Style::default()
        };
        let guests = json!([
            {"vmid": 1000, "name": "b", "status": "stopped", "cpus": 1, "maxmem": 134217728},
            {"vmid": 100, "name": "web", "status": "running", "cpus": 4, "maxmem": 2147483648u64,
             "uptime": 3700},
        ]);
        let wanted = include_str!("../../../tests/golden/vm-list.txt");
        assert_eq!(list(&guests).print(&style), wanted);
        let guest = json!({
            "status": {"vmid": 100, "name": "web", "status": "stopped", "qmpstatus": "stopped"},
            "config": {"name": "web", "memory": "64", "digest": "x", "cores": 1},
        });
        let wanted = include_str!("../../../tests/golden/vm-show.txt");
        assert_eq!(details(&guest).print(&style), wanted);
    }
}
