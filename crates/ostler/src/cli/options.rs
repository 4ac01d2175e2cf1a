//! Parses `--name value` like Proxmox VE's commands, against the fields of an operation.

use model::schema::{Field, Format, Kind, Values, find};
use model::{Error, FieldErrors};
use serde_json::Value;

use super::format::{Style, UNKNOWN};

/// A parsed command line.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Given {
    pub(crate) positionals: Vec<String>,
    pub(crate) values: Values,
    pub(crate) style: Style,
    /// Secrets named without a value, to be asked for.
    pub(crate) asked: Vec<String>,
    /// Secrets with a value among the arguments.
    pub(crate) told: Vec<String>,
}

impl Given {
    /// The value of a secret, which may be a dash.
    fn secret(&mut self, name: &str, value: String) -> Result<String, Error> {
        if value == "-" {
            return secret();
        }
        self.told.push(name.to_owned());
        Ok(value)
    }
}

/// Parses arguments. An option that the row does not have is an error, except output options
/// (`--output-format` and the like), which every command has.
///
/// Options may be abbreviated as long as they are unambiguous, and begin with one dash or two. A
/// boolean needs no value. An option given twice is a list if the field is one.
pub(crate) fn parse(arguments: &[String], fields: &[&[Field]]) -> Result<Given, Error> {
    let mut given = Given::default();
    let mut wrong = FieldErrors::new();
    let mut rest = arguments.iter().map(String::as_str).peekable();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            given.positionals.extend(rest.by_ref().map(str::to_owned));
            break;
        }
        let Some(option) = option_name(argument) else {
            given.positionals.push(argument.to_owned());
            continue;
        };
        let (name, joined) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (option, None),
        };
        let name = &match full_name(fields, name) {
            Ok(name) => name,
            Err(reason) => {
                wrong.insert(name.to_owned(), reason);
                rest.next_if(|next| !is_option(next));
                continue;
            }
        };
        let field = find(fields, name);
        let is_flag = match field {
            Some(field) => field.kind == Kind::Boolean,
            None => Style::is_flag(name),
        };
        let value = joined.or_else(|| {
            let next = match is_flag {
                true => Some(rest.next_if(|next| is_boolean(next)).unwrap_or("1")),
                false => rest.next_if(|next| !is_option(next)),
            };
            next.map(str::to_owned)
        });
        let Some(value) = value else {
            if field.is_some() && is_secret(name) {
                given.asked.push(name.to_owned());
                continue;
            }
            let is_known = field.is_some() || Style::is_option(name);
            let reason = if is_known {
                "option needs a value"
            } else {
                UNKNOWN
            };
            wrong.insert(name.to_owned(), reason.to_owned());
            continue;
        };
        let value = match is_flag {
            true => boolean(&value),
            false if is_secret(name) => given.secret(name, value)?,
            false => value,
        };
        let taken = match field {
            Some(field) => put(&mut given.values, name, field, value),
            None => given.style.set(name, &value),
        };
        if let Err(reason) = taken {
            wrong.insert(name.to_owned(), reason);
        }
    }
    if wrong.is_empty() {
        Ok(given)
    } else {
        Err(Error::invalid_fields(wrong))
    }
}

/// The full name of an option; unchanged if no option begins like it. The error is for ambiguous
/// ones.
fn full_name(fields: &[&[Field]], given: &str) -> Result<String, String> {
    if find(fields, given).is_some() || Style::is_option(given) {
        return Ok(given.to_owned());
    }
    let own = fields.iter().flat_map(|group| group.iter());
    let own = own.flat_map(|field| match field.name.strip_suffix("[n]") {
        Some(stem) => (0..field.indexed).map(|n| format!("{stem}{n}")).collect(),
        None => vec![field.name.to_owned()],
    });
    let styles = Style::options().map(str::to_owned);
    let mut meant: Vec<String> = own
        .chain(styles)
        .filter(|name| name.starts_with(given))
        .collect();
    meant.sort_unstable();
    meant.dedup();
    match meant.as_slice() {
        [] => Ok(given.to_owned()),
        [name] => Ok(name.clone()),
        [first, second] => Err(format!("option is ambiguous: {first} or {second}")),
        [first, .., last] => Err(format!("option is ambiguous: {first} to {last}")),
    }
}

/// Options whose values must not be among the arguments, which every user of the host can read.
fn is_secret(name: &str) -> bool {
    name.contains("password")
}

/// A secret from standard input: its first line.
fn secret() -> Result<String, Error> {
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    read.map_err(|error| Error::unavailable(format!("standard input: {error}")))?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// A lone dash and negative numbers are values.
fn option_name(argument: &str) -> Option<&str> {
    let name = argument
        .strip_prefix("--")
        .or_else(|| argument.strip_prefix('-'))?;
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        .then_some(name)
}

/// Whether the next argument is an option, so that this one lacks its value. A value that begins
/// with a dash is written `--name=-value`.
fn is_option(argument: &str) -> bool {
    argument.starts_with("--") && argument.len() > 2
}

fn is_boolean(text: &str) -> bool {
    matches!(
        text.to_ascii_lowercase().as_str(),
        "0" | "1" | "on" | "off" | "yes" | "no" | "true" | "false"
    )
}

/// The wire knows only 0 and 1.
fn boolean(text: &str) -> String {
    match text.to_ascii_lowercase().as_str() {
        "on" | "yes" | "true" => "1".to_owned(),
        "off" | "no" | "false" => "0".to_owned(),
        _ => text.to_owned(),
    }
}

fn put(values: &mut Values, name: &str, field: &Field, value: String) -> Result<(), String> {
    let many = field.kind == Kind::Array || matches!(field.format, Format::List { .. });
    match values.get_mut(name) {
        None => {
            values.insert(name.to_owned(), Value::String(value));
            Ok(())
        }
        Some(_) if !many => Err("option is given twice".to_owned()),
        Some(Value::Array(items)) => {
            items.push(value.into());
            Ok(())
        }
        Some(first) => {
            *first = Value::Array(vec![first.take(), value.into()]);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::Output;
    use super::*;
    use model::schema::format;
    use serde_json::json;

    const FIELDS: &[Field] = &[
        Field::integer("vmid"),
        Field::boolean("force").optional(),
        Field::string("delete")
            .optional()
            .format(format::CONFIG_ID_LIST),
        Field::string("net[n]").optional().indexed(4),
    ];

    fn given(line: &str) -> Result<Given, FieldErrors> {
        let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
        parse(&arguments, &[FIELDS]).map_err(|error| error.fields)
    }

    #[test]
    fn options_and_positionals_may_stand_in_any_order() {
        let read =
            given("--vmid 100 a -net0 virtio=x,bridge=y --force --delete=a --delete b z -- --q");
        let read = read.unwrap();
        assert_eq!(read.positionals, ["a", "z", "--q"]);
        let wanted =
            json!({"vmid": "100", "net0": "virtio=x,bridge=y", "force": "1", "delete": ["a", "b"]});
        assert_eq!(Value::Object(read.values), wanted);
    }

    #[test]
    fn options_may_be_cut_short() {
        let read = given("-vm 100 --fo --del=a -d b --output json").unwrap();
        let wanted = json!({"vmid": "100", "force": "1", "delete": ["a", "b"]});
        assert_eq!(Value::Object(read.values), wanted);
        assert_eq!(read.style.output, Output::Json);
        let wrong = given("--net virtio --no 1 --xyz 1").unwrap_err();
        assert_eq!(wrong["net"], "option is ambiguous: net0 to net3");
        assert_eq!(wrong["no"], "option is ambiguous: noborder or noheader");
        assert!(wrong["xyz"].starts_with("property is not defined"));
    }

    #[test]
    fn a_flag_takes_a_value_only_where_it_is_one() {
        assert_eq!(given("--force no").unwrap().values["force"], "0");
        assert_eq!(given("--force on").unwrap().values["force"], "1");
        assert_eq!(given("--force 100").unwrap().positionals, ["100"]);
    }

    #[test]
    fn every_mistake_is_named() {
        let wrong = given("--vmid 1 --vmid 2 --nope 3 --delete").unwrap_err();
        assert_eq!(wrong["vmid"], "option is given twice");
        assert!(
            wrong["nope"].starts_with("property is not defined in schema"),
            "{wrong:?}"
        );
        assert_eq!(wrong["delete"], "option needs a value");
    }

    #[test]
    fn the_output_has_options_of_its_own() {
        let style = given("--output-format json-pretty --noborder --human-readable 0")
            .unwrap()
            .style;
        assert_eq!(style.output, Output::JsonPretty);
        assert!(!style.border && !style.human);
        assert!(given("--nope").unwrap_err()["nope"].starts_with("property is not defined"));
        let wrong = given("--output-format xml").unwrap_err();
        assert!(
            wrong["output-format"].contains("'text, json, json-pretty, yaml'"),
            "{wrong:?}"
        );
    }
}
