//! `pvesh usage`: an operation's parameters, from the table.

use anyhow::Result;
use model::schema::{Field, Format, Kind, Unbuilt};
use model::{Error, ErrorKind};
use proto::{Form, Match, Verb};

use super::super::failure::usage;
use super::super::{options, output};
use super::{command_of, free_fields, resolve};

const OPTIONS: &[Field] = &[
    Field::string("command")
        .optional()
        .one_of(&["get", "set", "create", "delete"]),
    Field::boolean("verbose").optional(),
];

pub(super) fn run(path: &str, rest: &[String]) -> Result<()> {
    let short: Vec<String> = rest
        .iter()
        .map(|word| {
            if word == "-v" {
                "--verbose".to_owned()
            } else {
                word.clone()
            }
        })
        .collect();
    let given = options::parse(&short, &[OPTIONS])?;
    let given_values = model::schema::check_object(&[OPTIONS], &given.values);
    let given_values = given_values.map_err(Error::invalid_fields)?;
    if let Some(first) = given.positionals.first() {
        return Err(usage(format!(
            "'{first}' is not an option: options begin with '--'"
        )));
    }
    let wanted = given_values.get("command").and_then(|name| name.as_str());
    let verbose = given_values.get("verbose").is_some();
    let found = [Verb::Get, Verb::Put, Verb::Post, Verb::Delete]
        .into_iter()
        .filter(|verb| wanted.is_none_or(|name| name == command_of(*verb)))
        .filter_map(|verb| resolve(command_of(verb), verb, path).ok());
    let texts: Vec<String> = found.map(|found| describe(path, &found, verbose)).collect();
    if texts.is_empty() {
        let text = format!("no such resource '{path}'");
        return Err(Error::new(ErrorKind::NotImplemented, text).into());
    }
    output::print(&texts.join("\n"))
}

fn describe(path: &str, found: &Match, verbose: bool) -> String {
    let row = found.row;
    let fields = free_fields(row);
    let mut text = format!("USAGE: pvesh {} {path}", command_of(row.verb));
    for field in fields.iter().filter(|field| !field.optional) {
        text.push_str(&format!(" --{} {}", field.name, kind(field)));
    }
    if fields.iter().any(|field| field.optional) {
        text.push_str(" [OPTIONS]");
    }
    text.push_str(" [FORMAT_OPTIONS]\n");
    if !verbose {
        return text;
    }
    text.push_str(&format!("\n  {}\n", row.summary));
    if row.form == Form::Submit {
        text.push_str("  Runs as a task: its log is shown until it has ended.\n");
    }
    text.push_str(&options_of(&fields));
    text
}

/// Options with their types and limits.
pub(in crate::cli) fn options_of(fields: &[&Field]) -> String {
    let mut text = String::new();
    for field in fields {
        text.push_str(&format!("\n  --{:<20} {}\n", field.name, kind(field)));
        for line in limits(field) {
            text.push_str(&format!("    {line}\n"));
        }
    }
    text
}

/// The type, with its range if it has one: `<integer> (1 - 30)`.
fn kind(field: &Field) -> String {
    if !field.one_of.is_empty() {
        return format!("<{}>", field.one_of.join(" | "));
    }
    let range = match (field.minimum, field.maximum) {
        (None, None) => String::new(),
        (Some(minimum), None) => format!(" ({minimum} - N)"),
        (None, Some(maximum)) => format!(" (-N - {maximum})"),
        (Some(minimum), Some(maximum)) => format!(" ({minimum} - {maximum})"),
    };
    let name = if field.kind == Kind::Any {
        "value"
    } else {
        field.kind.as_str()
    };
    format!("<{name}>{range}")
}

fn limits(field: &Field) -> Vec<String> {
    let mut lines = Vec::new();
    match field.format {
        Format::Any => {}
        Format::Named { name, .. } | Format::List { name, .. } => {
            lines.push(format!("format: {name}"));
        }
        Format::Properties { fields, .. } => lines.push(format!("format: {}", keys(fields))),
    }
    if let Some(pattern) = field.pattern {
        lines.push(format!("pattern: {pattern}"));
    }
    match (field.min_length, field.max_length) {
        (None, None) => {}
        (minimum, maximum) => {
            let maximum = maximum.map_or("any".to_owned(), |maximum| maximum.to_string());
            lines.push(format!("length: {} to {maximum}", minimum.unwrap_or(0)));
        }
    }
    if field.indexed > 0 {
        lines.push(format!("n: 0 to {}", field.indexed - 1));
    }
    if let Some(default) = field.default {
        lines.push(format!("default: {default}"));
    }
    if let Some(other) = field.requires {
        lines.push(format!("requires option: {other}"));
    }
    match field.unbuilt {
        Unbuilt::Nothing => {}
        Unbuilt::Whole => lines.push("not supported by this version of Ostler".to_owned()),
        Unbuilt::Values(values) => {
            let values = values.join(", ");
            lines.push(format!("not supported by this version of Ostler: {values}"));
        }
    }
    lines
}

/// The keys of a property string: `[file=]<string>[,size=<string>]`.
fn keys(fields: &[Field]) -> String {
    let mut parts = String::new();
    let shown = fields
        .iter()
        .filter(|field| field.alias == model::schema::Alias::None);
    for (at, field) in shown.enumerate() {
        let name = if field.is_default_key {
            format!("[{}=]", field.name)
        } else {
            format!("{}=", field.name)
        };
        let comma = if at > 0 { "," } else { "" };
        let part = format!("{comma}{name}{}", kind(field));
        parts.push_str(&if field.optional {
            format!("[{part}]")
        } else {
            part
        });
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usage_of_an_operation_is_its_row() {
        let path = "/nodes/pve1/tasks";
        let found = resolve("get", Verb::Get, path).unwrap();
        let short = describe(path, &found, false);
        assert_eq!(
            short,
            "USAGE: pvesh get /nodes/pve1/tasks [OPTIONS] [FORMAT_OPTIONS]\n"
        );
        let wanted = include_str!("../../../tests/golden/usage-tasks.txt");
        assert_eq!(describe(path, &found, true), wanted);
    }

    #[test]
    fn a_property_string_shows_its_keys() {
        const NET: &[Field] = &[
            Field::string("model")
                .one_of(&["virtio", "e1000"])
                .default_key(),
            Field::key_alias("virtio", "model", "macaddr"),
            Field::number("rate").optional().min(0.0),
        ];
        assert_eq!(
            keys(NET),
            "[model=]<virtio | e1000>[,rate=<number> (0 - N)]"
        );
    }
}
