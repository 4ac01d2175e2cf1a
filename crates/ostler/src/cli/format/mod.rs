//! The formats of answers: text with tables, JSON or YAML.

mod human;
mod table;
mod yaml;

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use model::schema::{Field, Shape};
use serde_json::Value;

pub(crate) use human::{bytes, duration, time};
pub(crate) use table::Table;

/// The formats of `--output-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Output {
    #[default]
    Text,
    Json,
    JsonPretty,
    Yaml,
}

const OUTPUTS: [(&str, Output); 4] = [
    ("text", Output::Text),
    ("json", Output::Json),
    ("json-pretty", Output::JsonPretty),
    ("yaml", Output::Yaml),
];

/// Options of every command for the look of its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) output: Output,
    /// Print lines around and between the cells of tables.
    pub(crate) border: bool,
    /// Print the names of a table's columns.
    pub(crate) header: bool,
    /// Print sizes, times and shares with units.
    pub(crate) human: bool,
    /// Print no answer.
    pub(crate) quiet: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            output: Output::Text,
            border: true,
            header: true,
            human: true,
            quiet: false,
        }
    }
}

/// The error for an unknown option, with the schema's text for parameters.
pub(crate) const UNKNOWN: &str =
    "property is not defined in schema and the schema does not allow additional properties";

/// Output options without a value.
const FLAGS: [&str; 4] = ["noborder", "noheader", "human-readable", "quiet"];

impl Style {
    pub(crate) fn is_flag(name: &str) -> bool {
        FLAGS.contains(&name)
    }

    pub(crate) fn is_option(name: &str) -> bool {
        Self::options().any(|option| option == name)
    }

    /// The output options of every command.
    pub(crate) fn options() -> impl Iterator<Item = &'static str> {
        ["output-format"].into_iter().chain(FLAGS)
    }

    /// Sets one of the options; the error is for unknown options and values.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        if name == "output-format" {
            let found = OUTPUTS.iter().find(|(name, _)| *name == value);
            let names = OUTPUTS.map(|(name, _)| name).join(", ");
            self.output = found
                .ok_or_else(|| {
                    format!("value '{value}' does not have a value in the enumeration '{names}'")
                })?
                .1;
            return Ok(());
        }
        let on = match value {
            "1" => true,
            "0" => false,
            _ if Self::is_flag(name) => {
                return Err(format!("type check ('boolean') failed - got '{value}'"));
            }
            _ => false,
        };
        match name {
            "noborder" => self.border = !on,
            "noheader" => self.header = !on,
            "human-readable" => self.human = on,
            "quiet" => self.quiet = on,
            _ => return Err(UNKNOWN.to_owned()),
        }
        Ok(())
    }
}

/// An answer as text to print; may be empty.
pub(crate) fn render(style: &Style, data: &Value, shape: &Shape) -> Result<String> {
    if style.quiet {
        return Ok(String::new());
    }
    let data = plain(data);
    let printing = "printing the answer";
    Ok(match style.output {
        Output::Json => serde_json::to_string(&data).context(printing)? + "\n",
        Output::JsonPretty => serde_json::to_string_pretty(&data).context(printing)? + "\n",
        Output::Yaml => yaml::document(&data),
        Output::Text => text(style, &data, shape),
    })
}

/// Booleans as on the wire.
fn plain(data: &Value) -> Value {
    match data {
        Value::Bool(flag) => u8::from(*flag).into(),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), plain(value)))
            .collect(),
        other => other.clone(),
    }
}

fn text(style: &Style, data: &Value, shape: &Shape) -> String {
    match data {
        Value::Null => String::new(),
        Value::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort_unstable();
            let mut table = Table::new(["key", "value"]);
            for name in names {
                table.row([name.clone(), cell(style, name, &fields[name])]);
            }
            table.print(style)
        }
        Value::Array(items) if items.iter().all(Value::is_object) => list(style, items, shape),
        Value::Array(items) => items
            .iter()
            .map(|item| format!("{}\n", cell(style, "", item)))
            .collect(),
        other => format!("{}\n", cell(style, "", other).trim_end_matches('\n')),
    }
}

fn list(style: &Style, items: &[Value], shape: &Shape) -> String {
    let columns = columns(items, shape);
    let mut table = Table::new(columns.clone());
    for item in items {
        table.row(columns.iter().map(|name| match item.get(name) {
            Some(value) => cell(style, name, value),
            None => String::new(),
        }));
    }
    if let Some(first) = columns.first() {
        table.sort(
            items
                .iter()
                .map(|item| item.get(first).cloned().unwrap_or_default()),
        );
    }
    table.print(style)
}

/// Columns of all rows first, then those of some rows; both by name.
fn columns(items: &[Value], shape: &Shape) -> Vec<String> {
    let declared: Vec<&Field> = match shape {
        Shape::Array(Shape::Object { fields, .. }) => {
            fields.iter().flat_map(|group| group.iter()).collect()
        }
        _ => Vec::new(),
    };
    let mut always: BTreeSet<String> = declared
        .iter()
        .filter(|field| !field.optional)
        .map(|field| field.name.to_owned())
        .collect();
    let present: BTreeSet<String> = items
        .iter()
        .filter_map(Value::as_object)
        .flat_map(|item| item.keys().cloned())
        .collect();
    if !items.is_empty() {
        always.retain(|name| present.contains(name));
    }
    let rest: Vec<String> = present.difference(&always).cloned().collect();
    always.into_iter().chain(rest).collect()
}

/// A value in a table.
fn cell(style: &Style, name: &str, value: &Value) -> String {
    let shown = if style.human {
        human::value(name, value)
    } else {
        None
    };
    shown.unwrap_or_else(|| plain_text(value))
}

/// A value as one text; arrays and objects as JSON.
pub(crate) fn plain_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(flag) => u8::from(*flag).to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const GUESTS: Shape = Shape::Array(&Shape::Object {
        fields: &[&[
            Field::string("name").optional(),
            Field::string("status"),
            Field::integer("vmid"),
            Field::integer("maxmem").optional(),
        ]],
        open: false,
    });

    fn guests() -> Value {
        json!([
            {"vmid": 1000, "status": "stopped", "maxmem": 536870912u64},
            {"vmid": 101, "status": "running", "name": "väst", "template": true},
        ])
    }

    fn shown(style: &Style, data: &Value, shape: &Shape) -> String {
        render(style, data, shape).unwrap()
    }

    #[test]
    fn a_list_is_a_table_with_what_is_required_first() {
        let wanted = include_str!("../../../tests/golden/list.txt");
        assert_eq!(shown(&Style::default(), &guests(), &GUESTS), wanted);
        let bare = Style {
            border: false,
            human: false,
            ..Style::default()
        };
        let wanted = include_str!("../../../tests/golden/list-noborder.txt");
        assert_eq!(shown(&bare, &guests(), &GUESTS), wanted);
    }

    #[test]
    fn an_object_is_a_table_of_keys_and_values() {
        let data =
            json!({"version": "9.2.11", "ha": {"managed": 0}, "uptime": 93784, "notes": "a\nb"});
        let wanted = include_str!("../../../tests/golden/object.txt");
        assert_eq!(shown(&Style::default(), &data, &Shape::Any), wanted);
    }

    #[test]
    fn scalars_and_lists_of_them_are_lines_and_null_is_nothing() {
        let style = Style::default();
        assert_eq!(
            shown(&style, &json!("UPID:x:"), &Shape::String),
            "UPID:x:\n"
        );
        assert_eq!(shown(&style, &json!(["a", 2]), &Shape::Any), "a\n2\n");
        assert_eq!(shown(&style, &Value::Null, &Shape::Null), "");
    }

    #[test]
    fn an_empty_list_shows_its_columns() {
        let wanted = "┌────────┬──────┐\n│ status │ vmid │\n╞════════╪══════╡\n└────────┴──────┘\n";
        assert_eq!(shown(&Style::default(), &json!([]), &GUESTS), wanted);
    }

    #[test]
    fn the_other_formats_say_the_same_with_booleans_as_numbers() {
        let style = |output| Style {
            output,
            ..Style::default()
        };
        let data = json!([{"a": true, "b": "1"}, {"c": null, "d": [], "e": {"f": "x: y"}}]);
        assert_eq!(
            shown(&style(Output::Json), &data, &Shape::Any),
            "[{\"a\":1,\"b\":\"1\"},{\"c\":null,\"d\":[],\"e\":{\"f\":\"x: y\"}}]\n"
        );
        let pretty = shown(&style(Output::JsonPretty), &data, &Shape::Any);
        assert!(pretty.starts_with("[\n  {\n    \"a\": 1,\n"), "{pretty}");
        let wanted = "---\n- a: 1\n  b: '1'\n- c: ~\n  d: []\n  e:\n    f: 'x: y'\n";
        assert_eq!(shown(&style(Output::Yaml), &data, &Shape::Any), wanted);
    }
}
