//! YAML output for JSON values.

use serde_json::Value;

/// A document: `---`, then the value.
pub(super) fn document(value: &Value) -> String {
    let mut text = "---".to_owned();
    match value {
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            sequence(&mut text, items, 0);
        }
        Value::Object(fields) if !fields.is_empty() => {
            text.push('\n');
            mapping(&mut text, fields, 0, false);
        }
        other => text.push_str(&format!(" {}\n", scalar(other))),
    }
    text
}

fn sequence(text: &mut String, items: &[Value], indent: usize) {
    for item in items {
        text.push_str(&" ".repeat(indent));
        match item {
            Value::Array(inner) if !inner.is_empty() => {
                text.push_str("-\n");
                sequence(text, inner, indent + 2);
            }
            Value::Object(fields) if !fields.is_empty() => {
                text.push_str("- ");
                mapping(text, fields, indent + 2, true);
            }
            other => text.push_str(&format!("- {}\n", scalar(other))),
        }
    }
}

/// `started` if the first key follows a dash on its line. Sorted keys, so that the same answer is
/// always the same text.
fn mapping(
    text: &mut String,
    fields: &serde_json::Map<String, Value>,
    indent: usize,
    started: bool,
) {
    let mut names: Vec<&String> = fields.keys().collect();
    names.sort_unstable();
    for (at, name) in names.into_iter().enumerate() {
        if at > 0 || !started {
            text.push_str(&" ".repeat(indent));
        }
        text.push_str(&string(name));
        match &fields[name] {
            Value::Array(inner) if !inner.is_empty() => {
                text.push_str(":\n");
                sequence(text, inner, indent);
            }
            Value::Object(inner) if !inner.is_empty() => {
                text.push_str(":\n");
                mapping(text, inner, indent + 2, false);
            }
            other => text.push_str(&format!(": {}\n", scalar(other))),
        }
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "~".to_owned(),
        Value::String(text) => string(text),
        Value::Array(_) => "[]".to_owned(),
        Value::Object(_) => "{}".to_owned(),
        other => other.to_string(),
    }
}

/// A string, plain if it cannot be mistaken for another type, else quoted.
fn string(text: &str) -> String {
    if text.chars().any(char::is_control) {
        // A JSON string is valid YAML.
        return Value::from(text).to_string();
    }
    let starts_plainly = text.starts_with(|c: char| c.is_alphabetic() || c == '/' || c == '_');
    let is_plain = starts_plainly
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !is_word(text);
    if is_plain {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// Words that YAML 1.1 reads as other types than strings.
fn is_word(text: &str) -> bool {
    const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    WORDS.contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_that_look_like_something_else_are_quoted() {
        for (text, wanted) in [
            ("plain text", "plain text"),
            ("", "''"),
            ("no", "'no'"),
            ("1", "'1'"),
            ("a: b", "'a: b'"),
            ("it's", "it's"),
            ("'x'", "'''x'''"),
            ("a\nb", "\"a\\nb\""),
            ("local:iso/x.iso", "local:iso/x.iso"),
        ] {
            assert_eq!(string(text), wanted);
        }
    }
}
