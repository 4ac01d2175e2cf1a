//! The list: a command of `qm`, the operation it stands for, its positionals and its output.
//!
//! Operations are named by verb and path, as in the public API. A command whose operation this
//! version does not have is known all the same, and says so.

use proto::Verb;

/// What a command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    Operation(Verb, &'static str),
    /// More than an operation, or less.
    Own(Own),
    /// Known, and in no version of the API.
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Own {
    Exec,
    Monitor,
    Passwd,
    ShowCommand,
    Terminal,
    Wait,
}

/// How the answer of a command that is no task looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Show {
    Nothing,
    List,
    Status,
    Config,
    Pending,
    Snapshots,
    /// What is changed, before it is.
    Update,
    /// What a guest agent answered.
    Agent,
    /// The answer itself, in the format that is asked for.
    Answer,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Command {
    /// One word, or two: `start`, `disk resize`.
    pub(super) name: &'static str,
    pub(super) does: Does,
    pub(super) positionals: &'static [&'static str],
    pub(super) show: Show,
    /// Parameters that the command always gives.
    pub(super) fixed: &'static [(&'static str, &'static str)],
}

const ONE: &[&str] = &["vmid"];

const fn command(name: &'static str, does: Does) -> Command {
    Command {
        name,
        does,
        positionals: ONE,
        show: Show::Nothing,
        fixed: &[],
    }
}

const fn get(name: &'static str, path: &'static str) -> Command {
    command(name, Does::Operation(Verb::Get, path)).show(Show::Answer)
}

const fn post(name: &'static str, path: &'static str) -> Command {
    command(name, Does::Operation(Verb::Post, path))
}

const fn put(name: &'static str, path: &'static str) -> Command {
    command(name, Does::Operation(Verb::Put, path))
}

const fn delete(name: &'static str, path: &'static str) -> Command {
    command(name, Does::Operation(Verb::Delete, path))
}

const fn own(name: &'static str, own: Own) -> Command {
    command(name, Does::Own(own))
}

const fn nothing(name: &'static str) -> Command {
    command(name, Does::Nothing)
}

impl Command {
    const fn takes(mut self, positionals: &'static [&'static str]) -> Self {
        self.positionals = positionals;
        self
    }

    const fn show(mut self, show: Show) -> Self {
        self.show = show;
        self
    }

    const fn with(mut self, fixed: &'static [(&'static str, &'static str)]) -> Self {
        self.fixed = fixed;
        self
    }
}

const MOVE: &[&str] = &["vmid", "disk", "storage"];
const RESIZE: &[&str] = &["vmid", "disk", "size"];
const SNAPSHOT: &[&str] = &["vmid", "snapname"];

pub(super) const COMMANDS: &[Command] = &[
    post("agent", "/nodes/{node}/qemu/{vmid}/agent")
        .takes(&["vmid", "command"])
        .show(Show::Agent),
    nothing("cleanup"),
    post("clone", "/nodes/{node}/qemu/{vmid}/clone").takes(&["vmid", "newid"]),
    get("cloudinit dump", "/nodes/{node}/qemu/{vmid}/cloudinit/dump").takes(&["vmid", "type"]),
    get("cloudinit pending", "/nodes/{node}/qemu/{vmid}/cloudinit").show(Show::Pending),
    put("cloudinit update", "/nodes/{node}/qemu/{vmid}/cloudinit"),
    get("config", "/nodes/{node}/qemu/{vmid}/config").show(Show::Config),
    post("create", "/nodes/{node}/qemu"),
    delete(
        "delsnapshot",
        "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}",
    )
    .takes(SNAPSHOT),
    delete("destroy", "/nodes/{node}/qemu/{vmid}"),
    nothing("disk import"),
    post("disk move", "/nodes/{node}/qemu/{vmid}/move_disk").takes(MOVE),
    nothing("disk rescan"),
    put("disk resize", "/nodes/{node}/qemu/{vmid}/resize").takes(RESIZE),
    put("disk unlink", "/nodes/{node}/qemu/{vmid}/unlink"),
    nothing("enroll-efi-keys"),
    post("guest cmd", "/nodes/{node}/qemu/{vmid}/agent")
        .takes(&["vmid", "command"])
        .show(Show::Agent),
    own("guest exec", Own::Exec).takes(&["vmid", "command"]),
    get(
        "guest exec-status",
        "/nodes/{node}/qemu/{vmid}/agent/exec-status",
    )
    .takes(&["vmid", "pid"])
    .show(Show::Agent),
    own("guest passwd", Own::Passwd).takes(&["vmid", "username"]),
    nothing("import"),
    nothing("importdisk"),
    nothing("importovf"),
    get("list", "/nodes/{node}/qemu")
        .takes(&[])
        .show(Show::List),
    get("listsnapshot", "/nodes/{node}/qemu/{vmid}/snapshot").show(Show::Snapshots),
    post("migrate", "/nodes/{node}/qemu/{vmid}/migrate").takes(&["vmid", "target"]),
    own("monitor", Own::Monitor),
    post("move-disk", "/nodes/{node}/qemu/{vmid}/move_disk").takes(MOVE),
    post("move_disk", "/nodes/{node}/qemu/{vmid}/move_disk").takes(MOVE),
    nothing("mtunnel"),
    nothing("nbdstop"),
    get("pending", "/nodes/{node}/qemu/{vmid}/pending").show(Show::Pending),
    post("reboot", "/nodes/{node}/qemu/{vmid}/status/reboot"),
    post("remote-migrate", "/nodes/{node}/qemu/{vmid}/remote_migrate"),
    nothing("rescan"),
    post("reset", "/nodes/{node}/qemu/{vmid}/status/reset"),
    put("resize", "/nodes/{node}/qemu/{vmid}/resize").takes(RESIZE),
    post("resume", "/nodes/{node}/qemu/{vmid}/status/resume"),
    post(
        "rollback",
        "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/rollback",
    )
    .takes(SNAPSHOT),
    put("sendkey", "/nodes/{node}/qemu/{vmid}/sendkey").takes(&["vmid", "key"]),
    put("set", "/nodes/{node}/qemu/{vmid}/config").show(Show::Update),
    own("showcmd", Own::ShowCommand),
    post("shutdown", "/nodes/{node}/qemu/{vmid}/status/shutdown"),
    post("snapshot", "/nodes/{node}/qemu/{vmid}/snapshot").takes(SNAPSHOT),
    post("start", "/nodes/{node}/qemu/{vmid}/status/start"),
    get("status", "/nodes/{node}/qemu/{vmid}/status/current").show(Show::Status),
    post("stop", "/nodes/{node}/qemu/{vmid}/status/stop"),
    post("suspend", "/nodes/{node}/qemu/{vmid}/status/suspend"),
    post("template", "/nodes/{node}/qemu/{vmid}/template"),
    own("terminal", Own::Terminal),
    put("unlink", "/nodes/{node}/qemu/{vmid}/unlink"),
    put("unlock", "/nodes/{node}/qemu/{vmid}/config")
        .with(&[("delete", "lock"), ("skiplock", "1")]),
    post("vncproxy", "/nodes/{node}/qemu/{vmid}/vncproxy"),
    own("wait", Own::Wait),
];

/// The command that the first words mean, and what follows them.
pub(super) fn find(arguments: &[String]) -> Option<(&'static Command, &[String])> {
    let first = arguments.first()?;
    let two = arguments.get(1).map(|second| format!("{first} {second}"));
    if let Some(command) = COMMANDS
        .iter()
        .find(|command| Some(command.name) == two.as_deref())
    {
        return Some((command, &arguments[2..]));
    }
    let command = COMMANDS.iter().find(|command| command.name == first)?;
    Some((command, &arguments[1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_in_order_and_named_once() {
        assert!(COMMANDS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn positionals_and_fixed_values_are_parameters_of_the_operation() {
        for command in COMMANDS {
            let Does::Operation(verb, path) = command.does else {
                continue;
            };
            let Some(row) = super::super::super::agent::find(verb, path) else {
                continue;
            };
            let fixed = command.fixed.iter().map(|(name, _)| name);
            for name in command.positionals.iter().chain(fixed) {
                let field = model::schema::find(row.params, name);
                assert!(field.is_some(), "{}: {name}", command.name);
            }
        }
    }

    #[test]
    fn one_word_or_two_name_a_command() {
        let words = ["disk".to_owned(), "resize".to_owned(), "100".to_owned()];
        let (command, rest) = find(&words).unwrap();
        assert_eq!((command.name, rest.len()), ("disk resize", 1));
        assert_eq!(find(&words[1..]).unwrap().0.name, "resize");
        assert!(find(&words[..1]).is_none());
    }
}
