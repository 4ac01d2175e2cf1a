//! The operation table as an OpenAPI 3.1 document, made from its dump.

use serde_json::{Map, Value, json};

use crate::dump::dump_table;
use crate::row::Row;
use crate::version::API_VERSION;

/// The document for these rows.
pub fn openapi<'a>(table: impl IntoIterator<Item = &'a Row>) -> Value {
    let mut paths = Map::new();
    for row in dump_table(table) {
        let path = text(&row, "path");
        let verb = text(&row, "method").to_lowercase();
        let operations = paths.entry(path).or_insert_with(|| json!({}));
        operations[verb] = operation(&row);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Ostler",
            "version": API_VERSION,
            "description": "The API of Proxmox VE, as this node answers it. Parameters that are \
                not built yet are left out.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/api2/json"}],
        "security": [{"token": []}, {"ticket": [], "csrf": []}],
        "paths": paths,
        "components": {"securitySchemes": security(), "responses": {"error": error()}},
    })
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn security() -> Value {
    json!({
        "token": {"type": "apiKey", "in": "header", "name": "Authorization",
            "description": "PVEAPIToken=USER@REALM!NAME=SECRET"},
        "ticket": {"type": "apiKey", "in": "cookie", "name": "PVEAuthCookie"},
        "csrf": {"type": "apiKey", "in": "header", "name": "CSRFPreventionToken",
            "description": "With a ticket, for every request that is not a GET."},
    })
}

fn error() -> Value {
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let schema = json!({"type": "object", "properties": {
        "data": {"type": "null"}, "message": {"type": "string"}, "errors": texts,
    }});
    json!({
        "description": "A refusal; `errors` has a text for each refused parameter.",
        "content": {"application/json": {"schema": schema}},
    })
}

fn operation(row: &Value) -> Value {
    let none = Vec::new();
    let params = row["params"].as_array().unwrap_or(&none);
    let built = params.iter().filter(|param| param["unbuilt"] != 1);
    let has_body = row["method"] == "POST" || row["method"] == "PUT";
    let (in_body, beside): (Vec<&Value>, Vec<&Value>) =
        built.partition(|param| has_body && param["in"] != "path");
    let answer = json!({"type": "object", "required": ["data"],
        "properties": {"data": schema(&row["returns"])}});
    let mut operation = json!({
        "operationId": row["name"],
        "summary": row["summary"],
        "tags": [text(row, "path").split('/').nth(1).unwrap_or_default()],
        "parameters": beside.iter().map(|param| parameter(param)).collect::<Vec<_>>(),
        "responses": {
            "200": {"description": "The answer.", "content": {"application/json": {"schema": answer}}},
            "default": {"$ref": "#/components/responses/error"},
        },
        "x-permissions": row["permissions"],
    });
    if !in_body.is_empty() {
        operation["requestBody"] = body(&in_body);
    }
    if row["permissions"]["user"] == "world" {
        operation["security"] = json!([]);
    }
    operation
}

fn parameter(param: &Value) -> Value {
    let is_path = param["in"] == "path";
    json!({
        "name": param["name"],
        "in": if is_path { "path" } else { "query" },
        "required": is_path || param["optional"] != 1,
        "schema": schema(param),
    })
}

/// The same parameters as a form and as JSON. `net[n]` stands for `net0`, `net1`, …
fn body(params: &[&Value]) -> Value {
    let (mut properties, mut patterns) = (Map::new(), Map::new());
    let mut required = Vec::new();
    for param in params {
        let name = text(param, "name");
        match name.strip_suffix("[n]") {
            Some(stem) => {
                patterns.insert(format!("^{stem}\\d+$"), schema(param));
            }
            None => {
                if param["optional"] != 1 {
                    required.push(name.clone());
                }
                properties.insert(name, schema(param));
            }
        }
    }
    let object = json!({"type": "object", "properties": properties,
        "patternProperties": patterns, "required": required, "additionalProperties": false});
    let content = json!({"schema": object});
    json!({
        "required": !required.is_empty(),
        "content": {"application/x-www-form-urlencoded": content, "application/json": content},
    })
}

/// A field or shape of the dump as JSON Schema. Booleans are 0 and 1 at the wire.
fn schema(shape: &Value) -> Value {
    let mut schema = Map::new();
    match shape["type"].as_str() {
        Some("boolean") => {
            schema.insert("type".into(), "integer".into());
            schema.insert("enum".into(), json!([0, 1]));
        }
        Some(kind) => {
            schema.insert("type".into(), kind.into());
        }
        None => {}
    }
    for key in ["minimum", "maximum", "minLength", "maxLength", "default"] {
        if let Some(value) = shape.get(key) {
            schema.insert(key.into(), value.clone());
        }
    }
    if let Some(pattern) = shape["pattern"].as_str() {
        schema.insert("pattern".into(), format!("^(?:{pattern})$").into());
    }
    if let Some(values) = shape["enum"].as_array() {
        let is_built = |value: &&Value| {
            !shape["unbuilt"]
                .as_array()
                .is_some_and(|no| no.contains(value))
        };
        schema.insert(
            "enum".into(),
            values.iter().filter(is_built).cloned().collect(),
        );
    }
    match &shape["format"] {
        Value::String(name) => {
            schema.insert("format".into(), name.clone().into());
        }
        Value::Object(properties) => {
            let names: Vec<&str> = properties.keys().map(String::as_str).collect();
            let text = format!("Property string: {}", names.join(", "));
            schema.insert("description".into(), text.into());
        }
        _ => {}
    }
    if let Some(items) = shape.get("items") {
        schema.insert("items".into(), self::schema(items));
    }
    if let Some(properties) = shape["properties"].as_object() {
        nested(properties, &mut schema);
    }
    if shape["additionalProperties"] == 0 {
        schema.insert("additionalProperties".into(), false.into());
    }
    Value::Object(schema)
}

fn nested(properties: &Map<String, Value>, schema: &mut Map<String, Value>) {
    let required = properties
        .iter()
        .filter(|(_, field)| field["optional"] != 1);
    let required: Vec<&String> = required.map(|(name, _)| name).collect();
    if !required.is_empty() {
        schema.insert("required".into(), json!(required));
    }
    let fields = properties
        .iter()
        .map(|(name, field)| (name.clone(), self::schema(field)));
    schema.insert("properties".into(), fields.collect());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Value {
        openapi(crate::table::rows())
    }

    #[test]
    fn every_operation_is_in_it_once() {
        let document = document();
        let paths = document["paths"].as_object().unwrap();
        let mut ids: Vec<&Value> = paths
            .values()
            .flat_map(|path| path.as_object().unwrap().values())
            .map(|operation| &operation["operationId"])
            .collect();
        assert_eq!(ids.len(), crate::table::rows().count());
        ids.sort_by_key(|id| id.as_str());
        ids.dedup();
        assert_eq!(ids.len(), crate::table::rows().count());
    }

    #[test]
    fn parameters_of_a_path_are_in_it_and_required() {
        let document = document();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for operation in operations.as_object().unwrap().values() {
                let declared = operation["parameters"].as_array().unwrap();
                let of_path = declared.iter().filter(|param| param["in"] == "path");
                assert_eq!(of_path.clone().count(), path.matches('{').count(), "{path}");
                for param in of_path {
                    let name = param["name"].as_str().unwrap();
                    assert!(path.contains(&format!("{{{name}}}")), "{path} {name}");
                    assert_eq!(param["required"], true);
                }
            }
        }
    }

    #[test]
    fn a_body_has_what_is_built() {
        let document = document();
        let create = &document["paths"]["/nodes/{node}/qemu"]["post"];
        let body = &create["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(body["required"], json!(["vmid"]));
        assert_eq!(body["properties"]["onboot"]["enum"], json!([0, 1]));
        assert!(body["patternProperties"].get("^net\\d+$").is_some());
        assert!(
            body["properties"].get("archive").is_none(),
            "it is not built"
        );
        assert!(body["properties"].get("node").is_none(), "the path has it");
    }

    #[test]
    fn a_login_needs_no_credential() {
        let document = document();
        let login = &document["paths"]["/access/ticket"]["post"];
        assert_eq!(login["security"], json!([]));
        assert!(
            document["paths"]["/version"]["get"]
                .get("security")
                .is_none()
        );
    }
}
