//! The differences between an answer and the recorded one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::exchange::Exchange;
use crate::harness::https::Response;

/// Fields whose values are compared, besides names and types.
const EXACT: &[&str] = &["exitstatus"];

pub(super) fn differences(exchange: &Exchange, answer: &Response) -> Vec<String> {
    let mut lines = head(exchange, answer);
    let Some(wanted) = exchange.json() else {
        return lines;
    };
    let Ok(found) = serde_json::from_slice::<Value>(&answer.body) else {
        lines.push("no JSON".to_owned());
        return lines;
    };
    for part in ["errors", "message"] {
        if wanted.get(part) != found.get(part) {
            let (wanted, found) = (shown(wanted.get(part)), shown(found.get(part)));
            lines.push(format!("{part}: {found} instead of {wanted}"));
        }
    }
    let names = |value: &Value| -> BTreeSet<String> {
        let fields = value.as_object().into_iter().flatten();
        fields.map(|(name, _)| name.clone()).collect()
    };
    let (wanted_names, found_names) = (names(wanted), names(&found));
    let errors = ["errors", "message"].map(str::to_owned);
    let differing = wanted_names.symmetric_difference(&found_names);
    for name in differing.filter(|name| !errors.contains(name)) {
        let word = if wanted_names.contains(name) {
            "no"
        } else {
            "extra"
        };
        lines.push(format!("{word} {name} beside the data"));
    }
    compare("data", &wanted["data"], &found["data"], &mut lines);
    lines
}

/// Fields whose values belong to one node or moment.
const OWN: &[&str] = &[
    "CSRFPreventionToken",
    "created",
    "digest",
    "pid",
    "pstart",
    "recovery",
    "starttime",
    "ticket",
    "upid",
    "value",
];

/// The values of the answer that differ from the recorded ones, except for those of one node; lists
/// in any order.
pub(super) fn other_values(exchange: &Exchange, answer: &Response) -> Vec<String> {
    let wanted = exchange.json().map(|json| plain(&json["data"]));
    let found = plain(&answer.json()["data"]);
    match wanted {
        Some(wanted) if wanted != found => vec![format!("data is {found} instead of {wanted}")],
        _ => Vec::new(),
    }
}

/// Without values of one node, and with sorted lists.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .filter(|(name, _)| !OWN.contains(&name.as_str()));
            let fields = fields.map(|(name, value)| match (name.as_str(), value) {
                ("content", Value::String(list)) => (name.clone(), in_order(list).into()),
                _ => (name.clone(), plain(value)),
            });
            let sorted: BTreeMap<String, Value> = fields.collect();
            sorted.into_iter().collect()
        }
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(plain).collect();
            items.sort_by_key(Value::to_string);
            items.into()
        }
        other => other.clone(),
    }
}

fn in_order(list: &str) -> String {
    let mut items: Vec<&str> = list.split(',').collect();
    items.sort_unstable();
    items.join(",")
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), Value::to_string)
}

/// Status line and content type.
pub(super) fn head(exchange: &Exchange, answer: &Response) -> Vec<String> {
    let mut lines = Vec::new();
    let wanted = exchange.status_line();
    if answer.status_line != wanted {
        lines.push(format!("'{}' instead of '{wanted}'", answer.status_line));
    }
    let (wanted, found) = (exchange.content_type(), answer.header("content-type"));
    if found != wanted {
        lines.push(format!("content type {found:?}, not {wanted:?}"));
    }
    lines
}

/// Deviations of a successful answer from its row, unless the recorded one deviates too.
pub(super) fn undeclared(exchange: &Exchange, answer: &Response) -> Vec<String> {
    let is_good = answer.status() == 200 && exchange.is_json();
    let Some(row) = exchange.row().filter(|_| is_good) else {
        return Vec::new();
    };
    let check = |answer: &Value| model::schema::check_shape(&row.returns, &answer["data"]);
    let place = |line: &String| line.split(": ").next().unwrap_or_default().to_owned();
    let theirs = exchange.json().map(check).unwrap_or_default();
    let theirs: BTreeSet<String> = theirs.iter().map(place).collect();
    let ours = check(&answer.json()).into_iter();
    let ours = ours.filter(|line| !theirs.contains(&place(line)));
    ours.map(|line| format!("{} data{line}", row.label()))
        .collect()
}

/// Names and types, recursively. Lists are compared by the union of their items' fields.
fn compare(place: &str, wanted: &Value, found: &Value, lines: &mut Vec<String>) {
    let (wanted, found) = (merged(wanted), merged(found));
    match (&wanted, &found) {
        (Value::Object(wanted), Value::Object(found)) => {
            // Paths, privileges and the like are data, not field names.
            if wanted.keys().any(|key| key.contains(['/', '.'])) {
                return;
            }
            for (key, value) in wanted {
                match found.get(key) {
                    Some(other) => compare(&format!("{place}.{key}"), value, other, lines),
                    None => lines.push(format!("no {place}.{key}")),
                }
            }
            let extra = found.keys().filter(|key| !wanted.contains_key(*key));
            lines.extend(extra.map(|key| format!("extra {place}.{key}")));
        }
        (Value::Array(wanted), Value::Array(found)) => match (wanted.first(), found.first()) {
            (Some(wanted), Some(found)) => {
                compare(&format!("{place}[]"), wanted, found, lines);
            }
            (Some(_), None) => lines.push(format!("{place} is empty")),
            (None, Some(_)) => lines.push(format!("{place} is not empty")),
            (None, None) => {}
        },
        _ if kind(&wanted) != kind(&found) => {
            lines.push(format!(
                "{place} is {} instead of {}",
                kind(&found),
                kind(&wanted)
            ));
        }
        _ if wanted != found && is_exact(place) => {
            lines.push(format!("{place} is {found} instead of {wanted}"));
        }
        _ => {}
    }
}

fn is_exact(place: &str) -> bool {
    let name = place.rsplit('.').next();
    name.is_some_and(|name| EXACT.contains(&name))
}

/// A list with one item that has the fields of all items.
fn merged(value: &Value) -> Value {
    let Value::Array(items) = value else {
        return value.clone();
    };
    let mut all = serde_json::Map::new();
    for item in items {
        match item {
            Value::Object(fields) => {
                // An item where the field is null gives no type.
                let known = fields
                    .iter()
                    .filter(|(name, value)| !value.is_null() || !all.contains_key(*name));
                let known: Vec<_> = known
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect();
                all.extend(known);
            }
            _ => return value.clone(),
        }
    }
    if items.is_empty() {
        value.clone()
    } else {
        json!([all])
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
