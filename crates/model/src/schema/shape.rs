//! Checks an answer against its declared shape.

use serde_json::{Map, Value};

use super::{Field, Kind, Shape, find};

/// The deviations of a value from its shape: one line each, with the path to it.
///
/// On the wire a boolean is 0 or 1, and a number may be an integer.
pub fn check_shape(shape: &Shape, value: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    compare("", shape, value, &mut lines);
    lines
}

fn compare(place: &str, shape: &Shape, value: &Value, lines: &mut Vec<String>) {
    let is_right = match shape {
        Shape::Any => true,
        Shape::Null => value.is_null(),
        Shape::Boolean => is_boolean(value),
        Shape::Integer => value.is_i64() || value.is_u64(),
        Shape::Number => value.is_number(),
        Shape::String => value.is_string(),
        Shape::Array(items) => match value {
            Value::Array(found) => {
                for item in found {
                    compare(&format!("{place}[]"), items, item, lines);
                }
                true
            }
            _ => false,
        },
        Shape::Object { fields, open } => match value {
            Value::Object(found) => {
                object(place, fields, *open, found, lines);
                true
            }
            _ => false,
        },
    };
    if !is_right {
        lines.push(format!("{place}: {value} is not as declared"));
    }
}

fn is_boolean(value: &Value) -> bool {
    value.is_boolean() || value == &Value::from(0) || value == &Value::from(1)
}

fn object(
    place: &str,
    fields: &[&[Field]],
    open: bool,
    found: &Map<String, Value>,
    lines: &mut Vec<String>,
) {
    for (name, value) in found {
        let place = format!("{place}.{name}");
        match find(fields, name) {
            Some(field) => field_value(&place, field, value, lines),
            None if open => {}
            None => lines.push(format!("{place}: is not declared")),
        }
    }
    for field in fields.iter().flat_map(|group| group.iter()) {
        if !field.optional && !found.contains_key(field.name) {
            lines.push(format!("{place}.{}: is missing", field.name));
        }
    }
}

fn field_value(place: &str, field: &Field, value: &Value, lines: &mut Vec<String>) {
    // An empty array or object is null in some answers of Proxmox VE.
    let has_parts = matches!(field.kind, Kind::Array | Kind::Object);
    if value.is_null() && field.optional && has_parts {
        return;
    }
    let shape = match field.kind {
        Kind::Boolean => Shape::Boolean,
        Kind::Integer => Shape::Integer,
        Kind::Number => Shape::Number,
        Kind::String => Shape::String,
        Kind::Null => Shape::Null,
        Kind::Any => Shape::Any,
        Kind::Array | Kind::Object => field.inner,
    };
    compare(place, &shape, value, lines);
    let text = value.as_str().filter(|_| !field.one_of.is_empty());
    if text.is_some_and(|text| !field.one_of.contains(&text)) {
        lines.push(format!("{place}: {value} is none of the declared values"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ROWS: Shape = Shape::Array(&Shape::Object {
        fields: &[&[
            Field::integer("vmid"),
            Field::boolean("template").optional(),
            Field::string("status").one_of(&["running", "stopped"]),
        ]],
        open: false,
    });

    #[test]
    fn what_is_not_declared_is_named_with_its_place() {
        let right = json!([{"vmid": 1, "template": 0, "status": "running"}]);
        assert!(check_shape(&ROWS, &right).is_empty());
        let wrong = json!([{"vmid": "1", "status": "asleep", "more": 1}, {"vmid": 2}]);
        assert_eq!(
            check_shape(&ROWS, &wrong),
            [
                "[].vmid: \"1\" is not as declared",
                "[].status: \"asleep\" is none of the declared values",
                "[].more: is not declared",
                "[].status: is missing",
            ]
        );
    }
}
