//! Property strings: `virtio=BC:24:11:00:00:01,bridge=vmbr0`.
//!
//! Comma-separated `key=value`, at most one value without a key (the default key's), aliases, and
//! keys whose name is itself a value (`virtio=MAC`). Unknown and repeated keys are refused.
//! Booleans may be `1`, `on`, `yes`, `true` here and are printed as `1`.

use std::fmt;

use serde_json::Value;

use super::check::{MISSING, UNKNOWN};
use super::{Alias, Field, Kind, check_value};

/// The checked keys of a property string, in the order of its schema.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Properties(Vec<(&'static str, Value)>);

impl Properties {
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value)
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str)
    }

    pub fn flag(&self, key: &str) -> Option<bool> {
        self.get(key).and_then(Value::as_bool)
    }

    pub fn integer(&self, key: &str) -> Option<i64> {
        self.get(key).and_then(Value::as_i64)
    }

    pub fn number(&self, key: &str) -> Option<f64> {
        self.get(key).and_then(Value::as_f64)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }

    /// Sets a key of the schema. A key that the schema lacks is a bug of the caller and is ignored.
    pub fn set(&mut self, fields: &'static [Field], key: &str, value: impl Into<Value>) {
        let Some(rank) = fields.iter().position(|field| field.name == key) else {
            return;
        };
        self.0.retain(|(name, _)| *name != key);
        let before = |name: &str| fields.iter().position(|f| f.name == name) < Some(rank);
        let at = self.0.iter().take_while(|(name, _)| before(name)).count();
        self.0.insert(at, (fields[rank].name, value.into()));
    }

    pub fn remove(&mut self, key: &str) {
        self.0.retain(|(name, _)| *name != key);
    }
}

/// What is wrong with a property string: one line for each key, or one for the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PropertyError {
    /// The text cannot be parsed.
    Syntax(String),
    /// These keys are wrong; (key, reason) in the order of the keys' names.
    Keys(Vec<(String, String)>),
}

impl PropertyError {
    /// The text that Proxmox VE answers for a parameter `name`.
    pub fn for_parameter(&self, name: &str) -> String {
        format!("invalid format - {}\n", self.reason(name))
    }

    /// The same, without the prefix that all format errors share.
    pub fn reason(&self, name: &str) -> String {
        match self {
            Self::Syntax(reason) => reason.clone(),
            Self::Keys(keys) => {
                // A reason that ends with a line break is followed by an empty line: clients see
                // that.
                let lines = keys
                    .iter()
                    .map(|(key, reason)| format!("\n{name}.{key}: {reason}"));
                format!("format error{}", lines.collect::<String>())
            }
        }
    }
}

impl fmt::Display for PropertyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(reason) => f.write_str(reason),
            Self::Keys(keys) => {
                let lines: Vec<String> = keys
                    .iter()
                    .map(|(key, reason)| format!("{key}: {reason}"))
                    .collect();
                f.write_str(&lines.join("; "))
            }
        }
    }
}

impl std::error::Error for PropertyError {}

/// Splits a property string and checks every key.
pub fn parse_properties(fields: &'static [Field], text: &str) -> Result<Properties, PropertyError> {
    let mut given: Vec<(&'static Field, String)> = Vec::new();
    let mut wrong: Vec<(String, String)> = Vec::new();
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        for (key, value) in assignments(fields, part)? {
            match fields.iter().find(|field| field.name == key) {
                None => wrong.push((key, UNKNOWN.to_owned())),
                Some(field) if given.iter().any(|(other, _)| other.name == field.name) => {
                    let reason = format!("duplicate key in comma-separated list property: {key}");
                    return Err(PropertyError::Syntax(reason));
                }
                Some(field) => given.push((field, value)),
            }
        }
    }
    let mut properties = Properties::default();
    for field in fields.iter().filter(|field| field.alias == Alias::None) {
        let value = given.iter().find(|(other, _)| other.name == field.name);
        match value {
            Some((_, value)) => match typed(field, value) {
                Ok(value) => properties.0.push((field.name, value)),
                Err(reason) => wrong.push((field.name.to_owned(), reason)),
            },
            None if !field.optional => {
                wrong.push((field.name.to_owned(), MISSING.to_owned()));
            }
            None => {}
        }
    }
    wrong.sort();
    if wrong.is_empty() {
        Ok(properties)
    } else {
        Err(PropertyError::Keys(wrong))
    }
}

/// The assignments of one part between commas, with aliases resolved.
fn assignments(
    fields: &'static [Field],
    part: &str,
) -> Result<Vec<(String, String)>, PropertyError> {
    let part = part.trim();
    let Some((key, value)) = part.split_once('=') else {
        let default = fields
            .iter()
            .find(|field| field.is_default_key)
            .ok_or_else(|| {
                let text = "value without key, but schema does not define a default key";
                PropertyError::Syntax(text.to_owned())
            })?;
        return Ok(vec![(default.name.to_owned(), part.to_owned())]);
    };
    let (key, value) = (key.to_owned(), value.to_owned());
    Ok(
        match fields
            .iter()
            .find(|field| field.name == key)
            .map(|field| field.alias)
        {
            Some(Alias::Of(of)) => vec![(of.to_owned(), value)],
            Some(Alias::Keyed {
                value: value_key,
                key: name_key,
            }) => {
                vec![(name_key.to_owned(), key), (value_key.to_owned(), value)]
            }
            _ => vec![(key, value)],
        },
    )
}

fn typed(field: &Field, text: &str) -> Result<Value, String> {
    if field.kind == Kind::Boolean {
        let lower = text.to_ascii_lowercase();
        return match lower.as_str() {
            "1" | "on" | "yes" | "true" => Ok(Value::Bool(true)),
            "0" | "off" | "no" | "false" => Ok(Value::Bool(false)),
            _ => Err(format!("type check ('boolean') failed - got '{text}'")),
        };
    }
    check_value(field, &Value::String(text.to_owned()))
}

/// Prints a property string as Proxmox VE does: the default key first and without its name, a keyed
/// alias as `virtio=MAC`, then the keys that must be there, then the others, each in alphabetical
/// order.
pub fn print_properties(fields: &'static [Field], properties: &Properties) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut done: Vec<&str> = Vec::new();
    for field in fields.iter().filter(|field| field.is_default_key) {
        let Some(value) = properties.get(field.name) else {
            continue;
        };
        done.push(field.name);
        parts.push(default_part(
            fields,
            field,
            &plain(value),
            properties,
            &mut done,
        ));
    }
    let mut rest: Vec<(&str, &Value)> = properties.iter().collect();
    let is_optional = |key: &str| {
        fields
            .iter()
            .any(|field| field.name == key && field.optional)
    };
    rest.sort_by_key(|(key, _)| (is_optional(key), *key));
    for (key, value) in rest {
        if !done.contains(&key) {
            parts.push(format!("{key}={}", plain(value)));
        }
    }
    parts.join(",")
}

/// The default key's part: only its value, or joined with the key of its keyed alias.
fn default_part(
    fields: &'static [Field],
    field: &Field,
    value: &str,
    properties: &Properties,
    done: &mut Vec<&'static str>,
) -> String {
    let keyed = fields.iter().find_map(|other| match other.alias {
        Alias::Keyed {
            value: value_key,
            key,
        } if key == field.name && other.name == value => properties
            .get(value_key)
            .map(|hanging| (value_key, plain(hanging))),
        _ => None,
    });
    match keyed {
        Some((key, hanging)) => {
            done.push(key);
            format!("{value}={hanging}")
        }
        None => value.to_owned(),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Bool(flag) => u8::from(*flag).to_string(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::format;
    use super::*;
    use proptest::prelude::*;

    const NET: &[Field] = &[
        Field::string("model")
            .one_of(&["virtio", "e1000"])
            .default_key(),
        Field::string("macaddr")
            .optional()
            .format(format::MAC_ADDRESS),
        Field::key_alias("virtio", "model", "macaddr"),
        Field::key_alias("e1000", "model", "macaddr"),
        Field::string("bridge").optional(),
        Field::boolean("firewall").optional(),
        Field::number("rate").optional().min(0.0),
        Field::alias("volume", "bridge"),
    ];

    #[test]
    fn a_key_may_be_a_value() {
        let net =
            parse_properties(NET, "virtio=BC:24:11:E2:6F:5F,bridge=vmbr0,firewall=on").unwrap();
        assert_eq!(net.text("model"), Some("virtio"));
        assert_eq!(net.flag("firewall"), Some(true));
        assert_eq!(
            print_properties(NET, &net),
            "virtio=BC:24:11:E2:6F:5F,bridge=vmbr0,firewall=1"
        );
        assert_eq!(
            print_properties(NET, &parse_properties(NET, "e1000").unwrap()),
            "e1000"
        );
    }

    #[test]
    fn what_a_recorded_node_answers_for_a_bad_net() {
        let error = parse_properties(NET, "foo=bar").unwrap_err();
        assert_eq!(
            error.for_parameter("net0"),
            "invalid format - format error\n\
             net0.foo: property is not defined in schema and the schema does not allow additional \
             properties\nnet0.model: property is missing and it is not optional\n"
        );
    }

    #[test]
    fn a_key_given_twice_is_refused_also_through_an_alias() {
        for text in [
            "virtio,bridge=a,bridge=b",
            "virtio,model=e1000",
            "virtio,bridge=a,volume=b",
        ] {
            assert!(
                matches!(parse_properties(NET, text), Err(PropertyError::Syntax(_))),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn printing_and_parsing_lose_nothing(
            model in prop::sample::select(vec!["virtio", "e1000"]),
            mac in prop::option::of(prop::array::uniform5(any::<u8>())),
            bridge in prop::option::of("[a-z][a-z0-9]{0,9}"),
            firewall in prop::option::of(any::<bool>()),
            rate in prop::option::of(0u32..100_000),
        ) {
            let mut net = Properties::default();
            net.set(NET, "model", model);
            if let Some(m) = mac {
                let text = format!("02:{:02X}:{:02X}:{:02X}:{:02X}:{:02X}", m[0], m[1], m[2], m[3], m[4]);
                net.set(NET, "macaddr", text);
            }
            if let Some(bridge) = bridge { net.set(NET, "bridge", bridge); }
            if let Some(firewall) = firewall { net.set(NET, "firewall", firewall); }
            if let Some(rate) = rate { net.set(NET, "rate", i64::from(rate)); }
            let text = print_properties(NET, &net);
            prop_assert_eq!(parse_properties(NET, &text).unwrap(), net);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}") {
            let _ = parse_properties(NET, &text);
        }
    }
}
