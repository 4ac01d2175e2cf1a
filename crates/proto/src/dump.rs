//! The operation table as JSON, in the format in which the Proxmox VE schema is commonly printed.

use model::schema::{Field, Format, Kind, Shape, Unbuilt};
use serde_json::{Map, Value, json};

use crate::{Check, Form, Permission, Row, Target};

/// All rows, sorted by path and method, one object each. Stable: the same table gives the same
/// text.
pub fn dump_table<'a>(table: impl IntoIterator<Item = &'a Row>) -> Vec<Value> {
    let mut rows: Vec<&Row> = table.into_iter().collect();
    rows.sort_by_key(|row| (row.path, row.verb.as_str()));
    rows.into_iter().map(dump_row).collect()
}

fn dump_row(row: &Row) -> Value {
    let mut fields: Vec<&Field> = row.params.iter().flat_map(|group| group.iter()).collect();
    fields.sort_by_key(|field| field.name);
    let params: Vec<Value> = fields.iter().map(|field| dump_param(row, field)).collect();
    let mut object = json!({
        "path": row.path,
        "method": row.verb.as_str(),
        "name": row.name,
        "summary": row.summary,
        "params": params,
        "returns": dump_shape(&row.returns),
        "permissions": dump_permission(&row.permission),
        "proxyto": match row.target { Target::Node => "node".into(), _ => Value::Null },
        "protected": u8::from(row.form != Form::Index),
    });
    if !row.allow_token {
        object["allowtoken"] = 0.into();
    }
    if row.unconfigured {
        object["unconfigured"] = true.into();
    }
    object
}

fn dump_param(row: &Row, field: &Field) -> Value {
    let mut object = Map::new();
    object.insert("name".into(), field.name.into());
    if row.path.contains(&format!("{{{}}}", field.name)) {
        object.insert("in".into(), "path".into());
    }
    object.extend(dump_field(field));
    // The format's maximum, if the field sets none.
    if field.kind == Kind::String && field.one_of.is_empty() {
        object.insert("maxLength".into(), field.longest().into());
    }
    Value::Object(object)
}

/// A limit without a needless `.0`.
fn number(value: f64) -> Value {
    let whole = value as i64;
    if whole as f64 == value {
        whole.into()
    } else {
        value.into()
    }
}

fn dump_field(field: &Field) -> Map<String, Value> {
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
    if field.kind != Kind::Any {
        put("type", field.kind.as_str().into());
    }
    match field.format {
        Format::Any => {}
        Format::Named { name, .. } | Format::List { name, .. } => {
            put("format", name.into());
        }
        Format::Properties { fields, .. } => {
            put("format", dump_properties(fields));
        }
    }
    if let Some(minimum) = field.minimum {
        put("minimum", number(minimum));
    }
    if let Some(maximum) = field.maximum {
        put("maximum", number(maximum));
    }
    if let Some(length) = field.min_length {
        put("minLength", length.into());
    }
    if let Some(length) = field.max_length {
        put("maxLength", length.into());
    }
    if !field.one_of.is_empty() {
        put("enum", field.one_of.into());
    }
    if let Some(pattern) = field.pattern {
        put("pattern", pattern.into());
    }
    if let Some(default) = field.default {
        put("default", default.into());
    }
    if let Some(other) = field.requires {
        put("requires", other.into());
    }
    if field.optional {
        put("optional", 1.into());
    }
    match field.unbuilt {
        Unbuilt::Nothing => {}
        Unbuilt::Whole => {
            put("unbuilt", 1.into());
        }
        Unbuilt::Values(values) => {
            put("unbuilt", values.into());
        }
    }
    if let Shape::Array(items) = field.inner {
        put("items", dump_shape(items));
    }
    if let Shape::Object { fields, .. } = field.inner {
        put("properties", dump_fields(fields));
    }
    object
}

fn dump_properties(fields: &[Field]) -> Value {
    use model::schema::Alias;
    let entry = |field: &Field| match field.alias {
        Alias::Of(of) => json!({"alias": of}),
        Alias::Keyed { value, key } => json!({"alias": value, "keyAlias": key}),
        Alias::None => {
            let mut object = dump_field(field);
            if field.is_default_key {
                object.insert("default_key".into(), 1.into());
            }
            Value::Object(object)
        }
    };
    fields
        .iter()
        .map(|field| (field.name.to_owned(), entry(field)))
        .collect()
}

fn dump_fields(groups: &[&[Field]]) -> Value {
    groups
        .iter()
        .flat_map(|group| group.iter())
        .map(|field| (field.name.to_owned(), Value::Object(dump_field(field))))
        .collect()
}

fn dump_shape(shape: &Shape) -> Value {
    match shape {
        Shape::Any => json!({}),
        Shape::Null => json!({"type": "null"}),
        Shape::Boolean => json!({"type": "boolean"}),
        Shape::Integer => json!({"type": "integer"}),
        Shape::Number => json!({"type": "number"}),
        Shape::String => json!({"type": "string"}),
        Shape::Array(items) => json!({"type": "array", "items": dump_shape(items)}),
        Shape::Object { fields, open } => {
            let mut object = json!({"type": "object", "properties": dump_fields(fields)});
            if !open {
                object["additionalProperties"] = 0.into();
            }
            object
        }
    }
}

fn dump_permission(permission: &Permission) -> Value {
    match permission {
        Permission::World => json!({"user": "world"}),
        Permission::User => json!({"user": "all"}),
        Permission::Root => Value::Null,
        Permission::Check(check) => json!({"check": dump_check(check)}),
    }
}

fn names(privileges: &[model::Privilege]) -> Vec<&'static str> {
    privileges
        .iter()
        .map(|privilege| privilege.as_str())
        .collect()
}

fn dump_check(check: &Check) -> Value {
    let many = |word: &str, checks: &[Check]| {
        let mut list = vec![Value::from(word)];
        list.extend(checks.iter().map(dump_check));
        Value::Array(list)
    };
    match check {
        Check::On(path, privileges) => json!(["perm", path, names(privileges)]),
        Check::AnyOn(path, privileges) => json!(["perm", path, names(privileges), "any", 1]),
        Check::All(checks) => many("and", checks),
        Check::Any(checks) => many("or", checks),
        Check::Given(param, check) => json!(["given", param, dump_check(check)]),
        Check::SelfUser => json!(["userid-param", "self"]),
        Check::UserRealm(privilege) => json!(["userid-param", privilege.as_str()]),
        Check::UserGroups {
            privileges,
            new_groups,
        } => {
            json!(["userid-group", names(privileges), u8::from(*new_groups)])
        }
        Check::ModifyAcl => json!(["perm-modify", "{path}"]),
        Check::Computed(_) => json!(["computed"]),
    }
}
