//! `pvesh`: every operation of the table, by its path.

pub(super) mod list;
pub(super) mod usage;

use anyhow::Result;
use model::schema::Field;
use model::{Error, ErrorKind, FieldErrors};
use proto::{Form, Match, Router, Row, Verb, table};

use super::agent::Agent;
use super::commands::{Asks, ask_for_passwords};
use super::failure::usage as wrong_usage;
use super::follow::{self, follow};
use super::format::{self, Output};
use super::options::{self, Given};
use super::output;
use super::progress::Log;

pub(super) const USAGE: &str = "\
USAGE: pvesh <COMMAND> <api_path> [OPTIONS]

       pvesh get <api_path> [OPTIONS]
       pvesh set <api_path> [OPTIONS]
       pvesh create <api_path> [OPTIONS]
       pvesh delete <api_path> [OPTIONS]
       pvesh ls <api_path>
       pvesh usage <api_path> [--command <get|set|create|delete>] [--verbose]

       --output-format <text|json|json-pretty|yaml>   --human-readable <0|1>
       --noborder   --noheader   --quiet";

/// Commands with their verbs.
pub(super) const COMMANDS: [(&str, Verb); 4] = [
    ("get", Verb::Get),
    ("set", Verb::Put),
    ("create", Verb::Post),
    ("delete", Verb::Delete),
];

pub(crate) async fn run(arguments: &[String]) -> Result<()> {
    let Some((command, rest)) = arguments.split_first() else {
        return Err(wrong_usage(USAGE));
    };
    if matches!(command.as_str(), "help" | "--help" | "-h") {
        return output::line(USAGE);
    }
    let Some((path, rest)) = path_and_rest(rest) else {
        return Err(wrong_usage(USAGE));
    };
    let (path, rest) = (path.as_str(), rest.as_slice());
    match command.as_str() {
        "ls" => list::run(path, rest).await,
        "usage" => usage::run(path, rest),
        name => match verb(name) {
            Some(verb) => operation(name, verb, path, rest).await,
            None => Err(wrong_usage(format!("unknown command '{name}'\n{USAGE}"))),
        },
    }
}

/// Splits off the path. Options may precede a path that begins with a slash.
fn path_and_rest(arguments: &[String]) -> Option<(String, Vec<String>)> {
    let is_path = |argument: &String| argument.starts_with('/');
    let at = match arguments.first()? {
        first if first.starts_with('-') => arguments.iter().position(is_path)?,
        _ => 0,
    };
    let mut rest = arguments.to_vec();
    let path = rest.remove(at);
    Some((path, rest))
}

fn verb(command: &str) -> Option<Verb> {
    COMMANDS
        .iter()
        .find(|(name, _)| *name == command)
        .map(|(_, verb)| *verb)
}

pub(super) fn command_of(verb: Verb) -> &'static str {
    COMMANDS
        .iter()
        .find(|(_, other)| *other == verb)
        .map_or("get", |(name, _)| name)
}

async fn operation(command: &str, verb: Verb, path: &str, rest: &[String]) -> Result<()> {
    let found = resolve(command, verb, path)?;
    let mut given = parameters(&found, rest)?;
    ask_for_passwords(&mut given, Asks::New).await?;
    let Given { values, style, .. } = given;
    let agent = Agent::of_this_machine()?;
    let answer = agent.ask(found.row, values).await?;
    if found.row.form == Form::Submit {
        let log = match style.output {
            _ if style.quiet => Log::Nowhere,
            Output::Text => Log::Stdout,
            _ => Log::Stderr,
        };
        follow(&agent, follow::upid(&answer.data)?, log).await?;
    }
    output::print(&format::render(&style, &answer.data, &found.row.returns)?)
}

pub(super) fn segments(path: &str) -> Vec<String> {
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .map(str::to_owned)
        .collect()
}

fn resolve(command: &str, verb: Verb, path: &str) -> Result<Match, Error> {
    Router::new(table::rows())
        .find(verb, &segments(path))
        .ok_or_else(|| {
            let text = format!("No '{command}' handler defined for '{path}'");
            Error::new(ErrorKind::NotImplemented, text)
        })
}

/// Options and the path's parameters together, checked against the row.
fn parameters(found: &Match, rest: &[String]) -> Result<Given> {
    let mut given = options::parse(rest, found.row.params)?;
    if let Some(first) = given.positionals.first() {
        return Err(wrong_usage(format!(
            "'{first}' is not an option: options begin with '--'"
        )));
    }
    let mut conflicts = FieldErrors::new();
    for (name, value) in &found.path_params {
        let before = given
            .values
            .insert((*name).to_owned(), value.clone().into());
        if before.is_some_and(|before| before != value.as_str()) {
            let text = "duplicate parameter (already defined in URI) with conflicting values!";
            conflicts.insert((*name).to_owned(), text.to_owned());
        }
    }
    if !conflicts.is_empty() {
        return Err(Error::invalid_fields(conflicts).into());
    }
    Ok(given)
}

/// The row's parameters that are not in its path, by name.
pub(super) fn free_fields(row: &Row) -> Vec<&'static Field> {
    let groups: &'static [&'static [Field]] = row.params;
    let all = groups.iter().flat_map(|group| group.iter());
    let mut fields: Vec<&Field> = all
        .filter(|field| !row.path.contains(&format!("{{{}}}", field.name)))
        .collect();
    fields.sort_by_key(|field| (field.optional, field.name));
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::schema::Values;

    fn checked(line: &str) -> Result<Values, String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let verb = verb(&words[0]).unwrap();
        let found = resolve(&words[0], verb, &words[1]).map_err(|error| error.to_string())?;
        let given = parameters(&found, &words[2..]).map_err(|error| error.to_string())?;
        let values = given.values;
        found
            .row
            .check_params(&values)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn options_may_stand_before_the_path() {
        let split = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            path_and_rest(&words).map(|(path, rest)| (path, rest.join(" ")))
        };
        let wanted = Some(("/a".to_owned(), "--output-format json --x 1".to_owned()));
        assert_eq!(split("--output-format json /a --x 1"), wanted);
        assert_eq!(
            split("a --x /b"),
            Some(("a".to_owned(), "--x /b".to_owned()))
        );
        assert_eq!(split("--x"), None);
    }

    #[test]
    fn options_are_checked_against_the_row() {
        let values = checked("create /nodes/pve1/qemu/100/status/stop --skiplock").unwrap();
        assert_eq!(values["vmid"], 100);
        assert_eq!(values["skiplock"], true);
        let error = checked("create /nodes/pve1/qemu/99/status/stop --nope 1").unwrap_err();
        assert!(
            error.contains("nope: property is not defined in schema"),
            "{error}"
        );
        let error = checked("create /nodes/pve1/qemu/99/status/stop").unwrap_err();
        assert!(error.contains("vmid:"), "{error}");
        let error = checked("get /nodes/pve1/qemu/100/config --vmid 101").unwrap_err();
        assert!(error.contains("vmid: duplicate parameter"), "{error}");
        assert_eq!(
            checked("set /version").unwrap_err(),
            "No 'set' handler defined for '/version'"
        );
        assert!(
            checked("get /version x")
                .unwrap_err()
                .contains("'x' is not an option")
        );
    }
}
