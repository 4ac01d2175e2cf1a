//! `qm`: virtual machines, by the commands that people know.

mod commands;
mod guest;
mod monitor;
mod print;

use anyhow::{Context, Result, bail};
use model::schema::{Field, Values, format};
use model::{Error, ErrorKind, VmId};
use proto::{Form, Row, Verb};
use serde_json::Value;
use std::time::Duration;

use super::agent::{self, Agent, values};
use super::failure::usage;
use super::follow::{self, Log, follow};
use super::format::{Style, render};
use super::options::{self, Given};
use super::pvesh::free_fields;
use super::pvesh::usage::options_of;
use super::{output, terminal};
use commands::{COMMANDS, Command, Does, Own, Show, find};

pub(super) const STATUS: &str = "/nodes/{node}/qemu/{vmid}/status/current";
const VMID: Field = Field::integer("vmid").format(format::VMID);

const START: &str = "/nodes/{node}/qemu/{vmid}/status/start";

/// How often `qm wait` looks.
const LOOK_MS: u64 = 500;

pub(crate) async fn run(arguments: &[String]) -> Result<()> {
    let is_help = |word: &String| matches!(word.as_str(), "help" | "--help" | "-h");
    match arguments.first() {
        None => return Err(usage(list_of_commands())),
        Some(word) if is_help(word) => {
            return match find(&arguments[1..]) {
                Some((command, _)) => output::print(&help(command)),
                None => output::print(&list_of_commands()),
            };
        }
        Some(_) => {}
    }
    let Some((command, rest)) = find(arguments) else {
        let text = format!(
            "unknown command '{}'\n{}",
            arguments.join(" "),
            list_of_commands()
        );
        return Err(usage(text));
    };
    match command.does {
        Does::Nothing => Err(unsupported(command.name).into()),
        Does::Own(own) => run_own(own, command, rest).await,
        Does::Operation(verb, path) => {
            let row = agent::find(verb, path).ok_or_else(|| unsupported(command.name))?;
            operation(command, row, rest).await
        }
    }
}

fn unsupported(command: &str) -> Error {
    let text = format!("'qm {command}' is not supported by this version of Ostler");
    Error::new(ErrorKind::NotImplemented, text)
}

/// The commands that this version can do.
fn list_of_commands() -> String {
    let works = |command: &&Command| match command.does {
        Does::Operation(verb, path) => agent::find(verb, path).is_some(),
        Does::Own(_) => true,
        Does::Nothing => false,
    };
    let lines = COMMANDS.iter().filter(works);
    let lines = lines.map(|command| format!("       {}\n", usage_of(command)));
    format!(
        "USAGE: qm <COMMAND> [ARGS] [OPTIONS]\n\n{}",
        lines.collect::<String>()
    )
}

/// What a command takes, from its operation's row.
fn help(command: &Command) -> String {
    let text = format!("USAGE: {}\n", usage_of(command));
    let Does::Operation(verb, path) = command.does else {
        return text;
    };
    let Some(row) = agent::find(verb, path) else {
        return format!("{text}\n  not supported by this version of Ostler\n");
    };
    let mut fields = free_fields(row);
    fields.retain(|field| !command.positionals.contains(&field.name));
    format!("{text}\n  {}\n{}", row.summary, options_of(&fields))
}

fn usage_of(command: &Command) -> String {
    let mut text = format!("qm {}", command.name);
    for name in command.positionals {
        text.push_str(&format!(" <{name}>"));
    }
    text + " [OPTIONS]"
}

async fn operation(command: &Command, row: &'static Row, rest: &[String]) -> Result<()> {
    const VERBOSE: &[Field] = &[Field::boolean("verbose").optional()];
    let mut groups = row.params.to_vec();
    if command.show == Show::Status {
        groups.push(VERBOSE);
    }
    let Given {
        mut values, style, ..
    } = parse(command, rest, &groups)?;
    let verbose = values
        .shift_remove("verbose")
        .is_some_and(|value| value == "1");
    if command.show == Show::Update {
        ensure_changes(&values)?;
    }
    read_keys(&mut values)?;
    // Before anything is told of it: what does not fit is not done.
    let mut whole = values.clone();
    whole.entry("node").or_insert_with(|| "localhost".into());
    row.check_params(&whole)?;
    if command.show == Show::Update {
        output::line(&print::update(&values))?;
    }
    let agent = Agent::of_this_machine()?;
    let starts = if row.name == "qemu_create" {
        later_start(&mut values)
    } else {
        None
    };
    let answer = agent.ask(row, values).await?;
    if row.form == Form::Submit {
        follow(&agent, follow::upid(&answer.data)?, Log::Stdout).await?;
        if let Some(params) = starts {
            let started = agent.at(Verb::Post, START, params).await?;
            follow(&agent, follow::upid(&started.data)?, Log::Stdout).await?;
        }
        return Ok(());
    }
    output::print(&shown(command.show, verbose, &style, row, &answer.data)?)
}

/// The start that a creation asks for. The agent would make it a second task, for which nobody
/// would wait: who runs `qm create --start` finds the machine running after it.
fn later_start(given: &mut Values) -> Option<Values> {
    let wanted = given
        .shift_remove("start")
        .is_some_and(|start| start == "1");
    let vmid = given.get("vmid")?.clone();
    wanted.then(|| values([("vmid", vmid)]))
}

fn shown(show: Show, verbose: bool, style: &Style, row: &Row, data: &Value) -> Result<String> {
    Ok(match show {
        Show::Nothing | Show::Update => String::new(),
        Show::List => print::list(data),
        Show::Status => print::status(data, verbose),
        Show::Config => print::config(data),
        Show::Pending => print::pending(data),
        Show::Snapshots => print::snapshots(data),
        Show::Agent => print::agent_result(data),
        Show::Answer => render(style, data, &row.returns)?,
    })
}

/// Options and positionals together.
fn parse(command: &Command, rest: &[String], groups: &[&[Field]]) -> Result<Given> {
    let mut given = options::parse(rest, groups)?;
    let (wanted, got) = (command.positionals, &given.positionals);
    // A list at the end takes what is left: `qm guest exec 100 ls -- -l`.
    let last_takes_all = command.does == Does::Own(Own::Exec);
    if got.len() < wanted.len() || (got.len() > wanted.len() && !last_takes_all) {
        let few = if got.len() < wanted.len() {
            "not enough"
        } else {
            "too many"
        };
        return Err(usage(format!("400 {few} arguments\n{}", usage_of(command))));
    }
    for (at, name) in wanted.iter().enumerate() {
        let value: Value = if last_takes_all && at + 1 == wanted.len() {
            got[at..].into()
        } else {
            got[at].clone().into()
        };
        given.values.insert((*name).to_owned(), value);
    }
    for (name, value) in command.fixed {
        given.values.insert((*name).to_owned(), (*value).into());
    }
    Ok(given)
}

fn ensure_changes(values: &Values) -> Result<()> {
    const NO_CHANGE: [&str; 4] = ["vmid", "digest", "skiplock", "force"];
    if values.keys().all(|name| NO_CHANGE.contains(&name.as_str())) {
        bail!("no options specified");
    }
    Ok(())
}

/// `--sshkeys` names a file; the API takes what is in it, percent-encoded.
fn read_keys(values: &mut Values) -> Result<()> {
    let Some(path) = values.get("sshkeys").and_then(Value::as_str) else {
        return Ok(());
    };
    let keys =
        std::fs::read_to_string(path).with_context(|| format!("reading the keys in {path}"))?;
    let encoded = print::percent_encoded(&keys, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
    });
    values.insert("sshkeys".to_owned(), encoded.into());
    Ok(())
}

async fn run_own(own: Own, command: &Command, rest: &[String]) -> Result<()> {
    const TERMINAL: &[Field] = &[
        VMID,
        Field::string("iface")
            .optional()
            .one_of(&["serial0", "serial1", "serial2", "serial3"]),
        Field::string("escape")
            .optional()
            .pattern(r"\^[\x40-\x5f]|0x[0-9a-fA-F]{1,2}")
            .default("^O"),
    ];
    const SHOW: &[Field] = &[VMID, Field::boolean("pretty").optional()];
    const WAIT: &[Field] = &[VMID, Field::integer("timeout").optional().min(1.0)];
    let fields: &[Field] = match own {
        Own::Exec => guest::EXEC,
        Own::Monitor => &[VMID],
        Own::Passwd => guest::PASSWD,
        Own::ShowCommand => SHOW,
        Own::Terminal => TERMINAL,
        Own::Wait => WAIT,
    };
    let given = parse(command, rest, &[fields])?;
    let values = model::schema::check_object(&[fields], &given.values);
    let values = values.map_err(Error::invalid_fields)?;
    let vmid: VmId = serde_json::from_value(values["vmid"].clone()).context("reading the VM ID")?;
    let text = |name: &str| values.get(name).and_then(Value::as_str);
    let agent = Agent::of_this_machine()?;
    match own {
        Own::Exec => guest::exec(&agent, &values).await,
        Own::Passwd => guest::passwd(&agent, values).await,
        Own::Monitor => monitor::run(&agent, vmid).await,
        Own::ShowCommand => show_command(&agent, vmid, values.contains_key("pretty")).await,
        Own::Terminal => terminal::run(&agent, vmid, text("iface"), text("escape")).await,
        Own::Wait => {
            let timeout = values.get("timeout").and_then(Value::as_u64);
            wait(&agent, vmid, timeout.map(Duration::from_secs)).await
        }
    }
}

/// What a guest's status is now.
pub(super) async fn status(agent: &Agent, vmid: VmId) -> Result<Value> {
    let params = values([("vmid", vmid.get().into())]);
    Ok(agent.at(Verb::Get, STATUS, params).await?.data)
}

/// The command line that a guest was started with. That of one that is stopped is made by the
/// task that starts it, and there is no operation that only shows it.
async fn show_command(agent: &Agent, vmid: VmId, pretty: bool) -> Result<()> {
    let Some(pid) = status(agent, vmid).await?["pid"].as_u64() else {
        let text = format!(
            "'qm showcmd' is not supported by this version of Ostler for a machine that is \
             stopped, as VM {vmid} is"
        );
        return Err(Error::new(ErrorKind::NotImplemented, text).into());
    };
    let path = format!("/proc/{pid}/cmdline");
    let line = std::fs::read(&path).with_context(|| format!("reading {path}"))?;
    output::line(&print::command_line(
        &String::from_utf8_lossy(&line),
        pretty,
    ))
}

async fn wait(agent: &Agent, vmid: VmId, timeout: Option<Duration>) -> Result<()> {
    let deadline = timeout.map(|timeout| agent.clock.monotonic() + timeout);
    while status(agent, vmid).await?["status"] != "stopped" {
        if deadline.is_some_and(|deadline| agent.clock.monotonic() >= deadline) {
            bail!("VM {vmid} still runs - got timeout");
        }
        agent.clock.sleep(Duration::from_millis(LOOK_MS)).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(line: &str) -> Result<Values> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let (command, rest) = find(&words).unwrap();
        let Does::Operation(verb, path) = command.does else {
            panic!("an operation")
        };
        Ok(parse(command, rest, agent::row(verb, path)?.params)?.values)
    }

    #[test]
    fn positionals_become_parameters() {
        let values = given("create 100 --memory 64 --net0 virtio").unwrap();
        let wanted = serde_json::json!({"memory": "64", "net0": "virtio", "vmid": "100"});
        assert_eq!(Value::Object(values), wanted);
        let values = given("unlock 100").unwrap();
        assert_eq!(values["delete"], "lock");
    }

    #[test]
    fn too_few_and_too_many_are_told_with_the_usage() {
        for (line, text) in [
            ("start", "400 not enough arguments"),
            ("start 1 2", "400 too many"),
        ] {
            let error = given(line).unwrap_err().to_string();
            assert!(
                error.starts_with(text) && error.ends_with("qm start <vmid> [OPTIONS]"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_change_must_change_something() {
        assert!(ensure_changes(&given("set 100").unwrap()).is_err());
        assert!(ensure_changes(&given("set 100 --name x").unwrap()).is_ok());
    }
}
