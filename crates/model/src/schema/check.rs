//! Checks values against a schema. The texts are those that clients of Proxmox VE match.

use regex_lite::Regex;
use serde_json::{Map, Number, Value};

use super::{Alias, Field, Format, Kind, Shape, Unbuilt, find, parse_properties};
use crate::FieldErrors;

/// Below this, whole numbers are exact in floating point.
const WHOLE_MAX: f64 = 1e15;

/// How many bytes of a value without a maximum length an error shows.
const SHOWN: usize = 200;

/// Checked and typed values by name.
pub type Values = Map<String, Value>;

pub(super) const UNKNOWN: &str =
    "property is not defined in schema and the schema does not allow additional properties";
pub(super) const MISSING: &str = "property is missing and it is not optional";
const UNBUILT: &str = "not supported by this version of Ostler";

/// Checks all given values at once and converts each to its type: `"1"` for a boolean becomes
/// `true`, `"12"` for an integer becomes `12`, a single value for an array a list of one.
///
/// Options that are not implemented are refused last, when everything else is valid, and only if
/// they would change something: a default passes. No defaults are filled in; that is up to the code
/// that reads the value.
pub fn check_object(groups: &[&[Field]], given: &Values) -> Result<Values, FieldErrors> {
    let mut errors = FieldErrors::new();
    let mut values = Values::new();
    for (name, value) in given
        .iter()
        .filter(|(name, value)| !is_left_out(name, value))
    {
        match find(groups, name) {
            None => {
                errors.insert(name.clone(), UNKNOWN.to_owned());
            }
            Some(field) => match check_whole(field, name, value) {
                Ok(typed) => {
                    values.insert(name.clone(), typed);
                }
                Err(reasons) => errors.extend(reasons),
            },
        }
    }
    for field in groups.iter().flat_map(|group| group.iter()) {
        if !field.optional && !given.contains_key(field.name) && field.alias == Alias::None {
            errors.insert(field.name.to_owned(), MISSING.to_owned());
        }
        if let Some(other) = field.requires
            && given.contains_key(field.name)
            && !given.contains_key(other)
        {
            let reason = format!("missing property required by '{}'", field.name);
            errors.entry(other.to_owned()).or_insert(reason);
        }
    }
    if errors.is_empty() {
        errors = unbuilt(groups, &values);
    }
    if errors.is_empty() {
        Ok(values)
    } else {
        Err(errors)
    }
}

/// An empty digest means that no digest is checked.
fn is_left_out(name: &str, value: &Value) -> bool {
    matches!(name, "digest" | "target-digest") && value == ""
}

fn unbuilt(groups: &[&[Field]], values: &Values) -> FieldErrors {
    let mut errors = FieldErrors::new();
    for (name, value) in values {
        let Some(field) = find(groups, name) else {
            continue;
        };
        let refused = refused(field, value).or_else(|| unbuilt_property(field, value));
        if let Some(reason) = refused {
            errors.insert(name.clone(), reason);
        }
    }
    errors
}

/// The same for the keys of a property string.
fn unbuilt_property(field: &Field, value: &Value) -> Option<String> {
    let Format::Properties { fields, .. } = field.format else {
        return None;
    };
    let properties = parse_properties(fields, value.as_str()?).ok()?;
    properties.iter().find_map(|(key, value)| {
        let inner = fields.iter().find(|field| field.name == key)?;
        refused(inner, value).map(|reason| format!("{key}: {reason}"))
    })
}

/// Why a valid value is refused: it asks for something that is not implemented.
fn refused(field: &Field, value: &Value) -> Option<String> {
    match field.unbuilt {
        Unbuilt::Nothing => None,
        Unbuilt::Whole if is_default(field, value) => None,
        Unbuilt::Whole => Some(UNBUILT.to_owned()),
        Unbuilt::Values(refused) => value
            .as_str()
            .filter(|text| refused.contains(text))
            .map(|text| format!("value '{text}' is {UNBUILT}")),
    }
}

/// Whether a typed value equals the default. A flag without a default is off.
fn is_default(field: &Field, value: &Value) -> bool {
    match field.default {
        Some("true") => *value == Value::Bool(true),
        Some("false") => *value == Value::Bool(false),
        Some(default) => typed(field, &Value::from(default)).is_ok_and(|same| same == *value),
        None => *value == Value::Bool(false),
    }
}

/// Checks a value and converts it. An error of an item of a list is named `vms[0]`.
fn check_whole(field: &Field, name: &str, given: &Value) -> Result<Value, FieldErrors> {
    let value = check_named(field, name, given);
    let value = value.map_err(|reason| FieldErrors::from([(name.to_owned(), reason)]))?;
    let (Value::Array(items), Shape::Array(shape)) = (&value, field.inner) else {
        return Ok(value);
    };
    let Some(kind) = shape.kind() else {
        return Ok(value);
    };
    let field = Field { kind, ..*field };
    let (mut typed, mut errors) = (Vec::new(), FieldErrors::new());
    for (index, item) in items.iter().enumerate() {
        let name = format!("{name}[{index}]");
        match check_named(&field, &name, item) {
            Ok(item) => typed.push(item),
            Err(reason) => {
                errors.insert(name, reason);
            }
        }
    }
    match errors.is_empty() {
        true => Ok(Value::Array(typed)),
        false => Err(errors),
    }
}

/// Checks one value and converts it.
pub fn check_value(field: &Field, given: &Value) -> Result<Value, String> {
    check_named(field, field.name, given)
}

/// The same for a field given under this name: `net0` for `net[n]`.
fn check_named(field: &Field, name: &str, given: &Value) -> Result<Value, String> {
    let value = typed(field, given)?;
    if value.is_number() {
        // An id has one form: it is checked as given, not as the number that it stands for.
        field.format.check(name, &plain(given))?;
    }
    if let Some(number) = value.as_f64() {
        check_range(field, number)?;
    }
    match &value {
        Value::String(text) => check_text(field, name, text)?,
        Value::Number(number) => check_enumeration(field, &number.to_string())?,
        _ => {}
    }
    Ok(value)
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => decimal(number),
        other => other.to_string(),
    }
}

/// A value as an error shows it: a long one is cut, since an error is one line.
fn shown(text: &str) -> &str {
    &text[..text.floor_char_boundary(SHOWN)]
}

/// A number as text. A whole one has no point, however JSON wrote it.
fn decimal(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < WHOLE_MAX => {
            format!("{:.0}", float + 0.0)
        }
        _ => number.to_string(),
    }
}

fn typed(field: &Field, given: &Value) -> Result<Value, String> {
    let failed = || {
        format!(
            "type check ('{}') failed - got '{}'",
            field.kind.as_str(),
            shown(&plain(given))
        )
    };
    match (field.kind, given) {
        (Kind::Any, value) => Ok(value.clone()),
        (Kind::Boolean, Value::Bool(_)) => Ok(given.clone()),
        (Kind::Boolean, value) => match plain(value).as_str() {
            "1" => Ok(Value::Bool(true)),
            "0" => Ok(Value::Bool(false)),
            _ => Err(failed()),
        },
        (Kind::Integer, value) => plain(value)
            .parse::<i64>()
            .map(Value::from)
            .map_err(|_| failed()),
        (Kind::Number, value) => number(&plain(value)).map(Value::Number).ok_or_else(failed),
        (Kind::String, Value::String(_)) => Ok(given.clone()),
        (Kind::String, Value::Number(_)) => Ok(Value::String(plain(given))),
        (Kind::String, Value::Bool(flag)) => Ok(Value::String(u8::from(*flag).to_string())),
        (Kind::String, Value::Array(items)) => {
            let all_plain = items
                .iter()
                .all(|item| item.is_string() || item.is_number());
            match field.format {
                Format::List { .. } if all_plain => {
                    let items: Vec<String> = items.iter().map(plain).collect();
                    Ok(Value::String(items.join(",")))
                }
                _ => Err(failed()),
            }
        }
        (Kind::Array, Value::Array(_)) => Ok(given.clone()),
        (Kind::Array, Value::String(_) | Value::Number(_)) => {
            Ok(Value::Array(vec![Value::String(plain(given))]))
        }
        (Kind::Object, Value::Object(_)) | (Kind::Null, Value::Null) => Ok(given.clone()),
        _ => Err(failed()),
    }
}

/// Decimal numbers only: no `inf`, no `nan`, no hexadecimal.
fn number(text: &str) -> Option<Number> {
    if let Ok(whole) = text.parse::<i64>() {
        return Some(Number::from(whole));
    }
    let decimal = text
        .chars()
        .all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
    decimal
        .then(|| text.parse::<f64>().ok())
        .flatten()
        .and_then(Number::from_f64)
}

fn check_range(field: &Field, number: f64) -> Result<(), String> {
    match (field.minimum, field.maximum) {
        (Some(minimum), _) if number < minimum => {
            Err(format!("value must have a minimum value of {minimum}"))
        }
        (_, Some(maximum)) if number > maximum => {
            Err(format!("value must have a maximum value of {maximum}"))
        }
        _ => Ok(()),
    }
}

fn check_enumeration(field: &Field, text: &str) -> Result<(), String> {
    if field.one_of.is_empty() || field.one_of.contains(&text) {
        return Ok(());
    }
    let values = field.one_of.join(", ");
    Err(format!(
        "value '{text}' does not have a value in the enumeration '{values}'"
    ))
}

fn check_text(field: &Field, name: &str, text: &str) -> Result<(), String> {
    let length = text.chars().count();
    if text.contains('\0') {
        return Err("value must not contain a NUL byte".to_owned());
    }
    if let Some(minimum) = field.min_length.filter(|minimum| length < *minimum) {
        return Err(format!("value must be at least {minimum} characters long"));
    }
    let maximum = field.longest();
    if length > maximum {
        return Err(format!("value may only be {maximum} characters long"));
    }
    if let Some(pattern) = field.pattern
        && !matches(pattern, text)
    {
        return Err("value does not match the regex pattern".to_owned());
    }
    check_enumeration(field, text)?;
    field.format.check(name, text)?;
    let also = field.also.map_or(Ok(()), |check| check(text));
    also.map_err(|error| error.for_parameter(name))
}

fn matches(pattern: &str, text: &str) -> bool {
    // A pattern is a constant of the table; the test below compiles them all.
    Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|regex| regex.is_match(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const KEYS: &[Field] = &[
        Field::string("model").default_key(),
        Field::boolean("snapshot").optional().unbuilt(),
        Field::integer("bits").optional().default("39").unbuilt(),
    ];

    const SAMPLE: &[Field] = &[
        Field::integer("vmid").range(100.0, 999_999_999.0),
        Field::boolean("force").optional(),
        Field::string("type").optional().one_of(&["vm", "storage"]),
        Field::string("list").optional().format(format::NODE_LIST),
        Field::string("later").optional().unbuilt(),
        Field::boolean("flag").optional().unbuilt(),
        Field::boolean("on").optional().default("1").unbuilt(),
        Field::number("pause").optional().default("0.1").unbuilt(),
        Field::string("keys").optional().format(Format::Properties {
            name: "keys",
            fields: KEYS,
        }),
        Field::string("size").optional().requires("type"),
    ];

    use super::super::format;

    fn check(given: Value) -> Result<Values, FieldErrors> {
        let Value::Object(given) = given else {
            panic!("an object")
        };
        check_object(&[SAMPLE], &given)
    }

    #[test]
    fn values_get_their_types() {
        let values = check(json!({"vmid": "100", "force": "1", "list": ["a", "b"]})).unwrap();
        assert_eq!(
            Value::Object(values),
            json!({"vmid": 100, "force": true, "list": "a,b"})
        );
    }

    #[test]
    fn every_wrong_field_is_named_with_the_known_text() {
        let cases = [
            (json!({}), "vmid", MISSING),
            (json!({"vmid": 100, "foo": 1}), "foo", UNKNOWN),
            (
                json!({"vmid": "x"}),
                "vmid",
                "type check ('integer') failed - got 'x'",
            ),
            (
                json!({"vmid": 99}),
                "vmid",
                "value must have a minimum value of 100",
            ),
            (
                json!({"vmid": 100, "force": "yes"}),
                "force",
                "type check ('boolean') failed - got 'yes'",
            ),
            (
                json!({"vmid": 100, "type": "foo"}),
                "type",
                "value 'foo' does not have a value in the enumeration 'vm, storage'",
            ),
            (json!({"vmid": 100, "later": "x"}), "later", UNBUILT),
            (
                json!({"vmid": 100, "size": "1G"}),
                "type",
                "missing property required by 'size'",
            ),
        ];
        for (given, field, text) in cases {
            assert_eq!(check(given).unwrap_err()[field], text);
        }
    }

    #[test]
    fn what_is_not_built_is_refused_only_where_it_would_change_something() {
        for (name, default, others) in [
            ("flag", json!("0"), json!(["1"])),
            ("on", json!(1), json!([0])),
            ("pause", json!("0.1"), json!(["0.2", 0])),
            (
                "keys",
                json!("x,snapshot=off,bits=39"),
                json!(["x,snapshot=1", "x,bits=40"]),
            ),
            ("later", Value::Null, json!(["", "0"])),
        ] {
            if !default.is_null() {
                check(json!({"vmid": 100, name: default})).unwrap();
            }
            for other in others.as_array().unwrap() {
                let refused = check(json!({"vmid": 100, name: other})).unwrap_err();
                assert!(refused[name].ends_with(UNBUILT), "{name}: {refused:?}");
            }
        }
    }

    #[test]
    fn whole_numbers_are_whole_however_json_writes_them() {
        const FIELDS: &[Field] = &[
            Field::integer("cores").optional(),
            Field::string("memory").optional(),
            Field::boolean("onboot").optional(),
            Field::array("command", &Shape::String).optional(),
            Field::string("vms")
                .optional()
                .format(super::super::format::VMID_LIST),
            Field::string("digest").optional(),
        ];
        let given = json!({"cores": 2.0, "memory": 2048.0, "onboot": 1.0, "vms": [100, 101.0],
            "command": ["sleep", 5, 2.0, 0.5, true], "digest": ""});
        let values = check_object(&[FIELDS], given.as_object().unwrap()).unwrap();
        let wanted = json!({"cores": 2, "memory": "2048", "onboot": true, "vms": "100,101",
            "command": ["sleep", "5", "2", "0.5", "1"]});
        assert_eq!(Value::Object(values), wanted);
        for wrong in [json!(2.5), json!("2.0"), json!(1e300), json!("")] {
            let given = Values::from_iter([("cores".to_owned(), wrong)]);
            let errors = check_object(&[FIELDS], &given).unwrap_err();
            assert!(errors["cores"].starts_with("type check ('integer') failed"));
        }
    }

    #[test]
    fn the_number_of_a_guest_has_one_form() {
        const VMID: Field = Field::integer("vmid")
            .format(super::super::format::VMID)
            .range(100.0, 999_999_999.0);
        let check = |given: Value| check_value(&VMID, &given);
        assert_eq!(check(json!("7012")).unwrap(), 7012);
        assert_eq!(check(json!(100.0)).unwrap(), 100);
        for wrong in [
            json!("07012"),
            json!(5),
            json!("+100"),
            json!("1000000000"),
            json!(-100),
        ] {
            let text = "invalid format - value does not look like a valid VM ID\n";
            assert_eq!(check(wrong.clone()).unwrap_err(), text, "{wrong}");
        }
        assert_eq!(
            check(json!("x")).unwrap_err(),
            "type check ('integer') failed - got 'x'"
        );
    }
}
