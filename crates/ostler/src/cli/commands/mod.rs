//! Programs whose commands are tables: `qm`, `pvesm`, `pveum`.
//!
//! ```text
//!   words ─ find ─ Command ─┬─ Operation   row → options, checked → agent → task or answer
//!                           └─ Own         fields → options, checked → a function of ours
//! ```
//!
//! `help`, shell completion and the man pages are made from the same tables.

mod command;
mod help;
mod passwords;

use anyhow::Result;
use model::schema::{Field, Kind, Values, find as find_field};
use model::{Error, ErrorKind};
use proto::{Form, Row};
use serde_json::Value;

use super::agent::Agent;
use super::failure::usage;
use super::follow::{self, follow};
use super::format::{Output, Style, render};
use super::options::{self, Given};
use super::output;
use super::progress::Log;

pub(super) use command::{
    Asks, Command, Next, Running, Show, delete, get, nothing, own, post, put,
};
pub(super) use passwords::{ask_for_passwords, ask_new, line as ask_secret};

/// A program: its name and its commands, in order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program {
    pub(super) name: &'static str,
    /// Its purpose, in one line.
    pub(super) about: &'static str,
    pub(super) commands: &'static [Command],
    /// Whether passwords among the arguments, which every user of the host can read, are accepted
    /// without a warning.
    pub(super) takes_passwords: bool,
}

impl Program {
    pub(super) async fn run(&self, arguments: &[String]) -> Result<()> {
        let is_help = |word: &String| matches!(word.as_str(), "help" | "--help" | "-h");
        match arguments.first() {
            None => return Err(usage(self.list())),
            Some(word) if is_help(word) => {
                return match self.find(&arguments[1..]) {
                    Some((command, _)) => output::print(&self.help(command)),
                    None => output::print(&self.list()),
                };
            }
            Some(_) => {}
        }
        let Some((command, rest)) = self.find(arguments) else {
            return Err(usage(self.unknown(arguments)));
        };
        if rest.iter().any(|word| word == "--help") {
            return output::print(&self.help(command));
        }
        match command.does {
            command::Does::Nothing => Err(self.unsupported(command).into()),
            command::Does::Own(own) => self.run_own(&own, command, rest).await,
            command::Does::Operation(..) => {
                let row = command.row().ok_or_else(|| self.unsupported(command))?;
                self.operation(command, row, rest).await
            }
        }
    }

    /// Finds the command for the first words, and returns the remaining ones. The longest name
    /// wins.
    pub(super) fn find<'a>(
        &self,
        arguments: &'a [String],
    ) -> Option<(&'static Command, &'a [String])> {
        const WORDS_MAX: usize = 3;
        (1..=WORDS_MAX.min(arguments.len()))
            .rev()
            .find_map(|count| {
                let name = arguments[..count].join(" ");
                let command = self.commands.iter().find(|command| command.name == name)?;
                Some((command, &arguments[count..]))
            })
    }

    fn unsupported(&self, command: &Command) -> Error {
        let text = format!(
            "'{} {}' is not supported by this version of Ostler",
            self.name, command.name
        );
        Error::new(ErrorKind::NotImplemented, text)
    }

    async fn operation(&self, command: &Command, row: &'static Row, rest: &[String]) -> Result<()> {
        let (mut values, style) = self.given(command, rest).await?;
        let verbose = values
            .shift_remove("verbose")
            .is_some_and(|value| value == "1");
        if let Some(before) = command.before {
            before(&mut values)?;
        }
        let (row, show) = command.chosen(row, &mut values);
        // Checked before its message is printed: an invalid request is not announced.
        let mut whole = values.clone();
        whole.entry("node").or_insert_with(|| "localhost".into());
        if find_field(row.params, "node").is_none() {
            whole.shift_remove("node");
        }
        row.check_params(&whole)?;
        if let Some(says) = command.says {
            output::line(&says(&values))?;
        }
        let agent = Agent::of_this_machine()?;
        let next = command.then.and_then(|then| then(&mut values));
        let answer = agent.ask(row, values).await?;
        if row.form == Form::Submit {
            wait(&agent, &answer.data, &style).await?;
            if let Some((verb, path, params)) = next {
                let started = agent.at(verb, path, params).await?;
                wait(&agent, &started.data, &style).await?;
            }
            return Ok(());
        }
        output::print(&shown(show, verbose, &style, row, &answer.data)?)
    }

    async fn run_own(&self, own: &command::Own, command: &Command, rest: &[String]) -> Result<()> {
        let (given, style) = self.given(command, rest).await?;
        let values = model::schema::check_object(&[own.fields], &given);
        let values = values.map_err(Error::invalid_fields)?;
        (own.run)(Agent::of_this_machine()?, values, style).await
    }

    /// The given values, and the passwords that were asked for.
    async fn given(&self, command: &Command, rest: &[String]) -> Result<(Values, Style)> {
        let mut given = self.parse(command, rest)?;
        let needs = command.asks != Asks::Nothing && !given.values.contains_key("password");
        if needs && !given.asked.iter().any(|name| name == "password") {
            given.asked.push("password".to_owned());
        }
        ask_for_passwords(&mut given, command.asks).await?;
        Ok((given.values, given.style))
    }

    /// Options and positionals together.
    fn parse(&self, command: &Command, rest: &[String]) -> Result<Given> {
        let fields = command.fields();
        let mut given = options::parse(rest, &fields)?;
        if !self.takes_passwords {
            passwords::warn_of_told(&given);
        }
        let (wanted, got) = (command.positionals, &given.positionals);
        let needed = wanted
            .iter()
            .rposition(|name| !command::is_optional(&fields, name))
            .map_or(0, |last| last + 1);
        let takes_all = wanted
            .last()
            .and_then(|name| find_field(&fields, name))
            .is_some_and(|field: &Field| field.kind == Kind::Array);
        // A value given as an option is no positional.
        let needed = wanted[..needed]
            .iter()
            .filter(|name| !given.values.contains_key(**name))
            .count();
        if got.len() < needed || (got.len() > wanted.len() && !takes_all) {
            let few = if got.len() < needed {
                "not enough"
            } else {
                "too many"
            };
            return Err(usage(format!(
                "400 {few} arguments\n{} {}",
                self.name,
                command.usage()
            )));
        }
        place(command, takes_all, &mut given);
        Ok(given)
    }
}

/// Assigns positionals to names. A list at the end takes the rest: `guest exec 100 ls -- -l`.
fn place(command: &Command, takes_all: bool, given: &mut Given) {
    let got = std::mem::take(&mut given.positionals);
    let mut got = got.into_iter();
    let free = command
        .positionals
        .iter()
        .filter(|name| !given.values.contains_key(**name))
        .copied()
        .collect::<Vec<_>>();
    for (at, name) in free.iter().enumerate() {
        let value: Value = if takes_all && at + 1 == free.len() {
            got.by_ref().collect()
        } else {
            match got.next() {
                Some(word) => word.into(),
                None => break,
            }
        };
        given.values.insert((*name).to_owned(), value);
    }
    for (name, value) in command.fixed {
        given.values.insert((*name).to_owned(), (*value).into());
    }
}

/// Waits for a task. Its log goes to standard output unless an answer does.
pub(super) async fn wait(agent: &Agent, data: &Value, style: &Style) -> Result<()> {
    let log = if style.quiet {
        Log::Nowhere
    } else {
        Log::Stdout
    };
    follow(agent, follow::upid(data)?, log).await
}

fn shown(show: Show, verbose: bool, style: &Style, row: &Row, data: &Value) -> Result<String> {
    if style.quiet {
        return Ok(String::new());
    }
    let is_text = style.output == Output::Text;
    Ok(match show {
        Show::Nothing => String::new(),
        Show::Text(text) if is_text => text(data),
        Show::Table(table) if is_text => table(data, style),
        Show::Verbose(text) if is_text => text(data, verbose),
        _ => render(style, data, &row.returns)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{pct, pvesm, pveum, qm};
    use super::*;

    const ALL: [Program; 4] = [pct::PROGRAM, qm::PROGRAM, pvesm::PROGRAM, pveum::PROGRAM];

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn given(program: &Program, line: &str) -> Result<Value> {
        let words = words(line);
        let (command, rest) = program.find(&words).unwrap();
        Ok(Value::Object(program.parse(command, rest)?.values))
    }

    #[test]
    fn commands_are_in_order_and_named_once() {
        for program in ALL {
            let mut pairs = program.commands.windows(2);
            let wrong = pairs.find(|pair| pair[0].name >= pair[1].name);
            assert!(wrong.is_none(), "{}: {wrong:?}", program.name);
        }
    }

    #[test]
    fn positionals_and_fixed_values_are_parameters() {
        for command in ALL.iter().flat_map(|program| program.commands) {
            if !command.works() {
                continue;
            }
            let fields = command.fields();
            let fixed = command.fixed.iter().map(|(name, _)| name);
            for name in command.positionals.iter().chain(fixed) {
                assert!(
                    find_field(&fields, name).is_some(),
                    "{}: {name}",
                    command.name
                );
            }
        }
    }

    #[test]
    fn every_required_parameter_has_a_place() {
        for command in ALL.iter().flat_map(|program| program.commands) {
            let Some(row) = command.row() else { continue };
            let in_path = |name: &str| row.path.contains(&format!("{{{name}}}"));
            for field in row.params.iter().flat_map(|group| group.iter()) {
                let is_placed = field.optional
                    || field.name == "node"
                    || !in_path(field.name)
                    || command.positionals.contains(&field.name);
                assert!(is_placed, "{}: {}", command.name, field.name);
            }
        }
    }

    #[test]
    fn the_documentation_names_every_command() {
        let text = include_str!("../../../../../docs/cli.md");
        for program in ALL {
            let heading = format!("\n## {}\n", program.name);
            let (_, section) = text.split_once(&heading).unwrap();
            let section = section.split("\n## ").next().unwrap();
            for command in program.commands {
                let named =
                    [" ", "`"].map(|end| section.contains(&format!("`{}{end}", command.name)));
                assert!(
                    named.contains(&true),
                    "docs/cli.md does not name '{} {}'",
                    program.name,
                    command.name
                );
            }
        }
    }

    #[test]
    fn the_longest_name_wins() {
        let line = words("disk resize 100");
        let (command, rest) = qm::PROGRAM.find(&line).unwrap();
        assert_eq!((command.name, rest.len()), ("disk resize", 1));
        assert_eq!(qm::PROGRAM.find(&line[1..]).unwrap().0.name, "resize");
        assert!(qm::PROGRAM.find(&line[..1]).is_none());
        let line = words("user token add a@pve t");
        let (command, rest) = pveum::PROGRAM.find(&line).unwrap();
        assert_eq!((command.name, rest.len()), ("user token add", 2));
    }

    #[test]
    fn a_flag_asks_for_another_operation() {
        let words = words("migrate 100 b --online 1 --check 1");
        let (command, rest) = qm::PROGRAM.find(&words).unwrap();
        let mut values = qm::PROGRAM.parse(command, rest).unwrap().values;
        let row = command.row().unwrap();
        let (chosen, _) = command.chosen(row, &mut values);
        assert_eq!(chosen.name, "qemu_migrate_precondition");
        let wanted = serde_json::json!({"vmid": "100", "target": "b"});
        assert_eq!(Value::Object(values.clone()), wanted);
        values.insert("check".to_owned(), "0".into());
        assert_eq!(command.chosen(row, &mut values).0.name, "qemu_migrate");
    }

    #[test]
    fn positionals_become_parameters() {
        let values = given(&qm::PROGRAM, "create 100 --memory 64 --net0 virtio").unwrap();
        let wanted = serde_json::json!({"memory": "64", "net0": "virtio", "vmid": "100"});
        assert_eq!(values, wanted);
        assert_eq!(given(&qm::PROGRAM, "unlock 100").unwrap()["delete"], "lock");
        let values = given(&pveum::PROGRAM, "acl delete /vms --users a@pve --roles R").unwrap();
        let wanted =
            serde_json::json!({"users": "a@pve", "roles": "R", "path": "/vms", "delete": "1"});
        assert_eq!(values, wanted);
        assert_eq!(
            given(&qm::PROGRAM, "start --vmid 100").unwrap()["vmid"],
            "100"
        );
        let values = given(&qm::PROGRAM, "guest exec 100 ls -- -l").unwrap();
        assert_eq!(values["command"], serde_json::json!(["ls", "-l"]));
    }

    #[test]
    fn commands_stand_as_guides_have_them() {
        for (program, line, wanted) in [
            (
                &pveum::PROGRAM,
                "aclmod / -user u@pve -role R",
                serde_json::json!({"path": "/", "users": "u@pve", "roles": "R"}),
            ),
            (
                &pveum::PROGRAM,
                "useradd a@pve -comment x",
                serde_json::json!({"userid": "a@pve", "comment": "x"}),
            ),
            (
                &pveum::PROGRAM,
                "usermod a@pve -group g",
                serde_json::json!({"userid": "a@pve", "groups": "g"}),
            ),
            (
                &pveum::PROGRAM,
                "roleadd R -privs VM.Audit",
                serde_json::json!({"roleid": "R", "privs": "VM.Audit"}),
            ),
            (
                &qm::PROGRAM,
                "set 100 --sshkey keys.pub",
                serde_json::json!({"vmid": "100", "sshkeys": "keys.pub"}),
            ),
        ] {
            assert_eq!(given(program, line).unwrap(), wanted, "{line}");
        }
    }

    #[test]
    fn an_optional_positional_at_the_end_may_be_missing() {
        let values = given(&pveum::PROGRAM, "user permissions").unwrap();
        assert_eq!(values, serde_json::json!({}));
        let values = given(&pveum::PROGRAM, "user permissions a@pve").unwrap();
        assert_eq!(values["userid"], "a@pve");
    }

    #[test]
    fn too_few_and_too_many_are_told_with_the_usage() {
        for (line, text) in [
            ("start", "400 not enough arguments"),
            ("start 1 2", "400 too many"),
        ] {
            let error = given(&qm::PROGRAM, line).unwrap_err().to_string();
            assert!(
                error.starts_with(text) && error.ends_with("qm start <vmid> [OPTIONS]"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_password_among_the_arguments_is_taken_and_noticed() {
        let values = given(&pveum::PROGRAM, "user add a@pve --password secret-1").unwrap();
        assert_eq!(values["password"], "secret-1");
        let line = words("user add a@pve --password --comment x");
        let (command, rest) = pveum::PROGRAM.find(&line).unwrap();
        assert_eq!(
            pveum::PROGRAM.parse(command, rest).unwrap().asked,
            ["password"]
        );
        assert!(given(&qm::PROGRAM, "set 100 --cipassword x").is_ok());
    }
}
