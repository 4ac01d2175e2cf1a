//! `GET /cluster/options`

use model::schema::format::split_list;
use model::schema::{Format, find, parse_properties};
use model::{Error, Privilege};
use proto::table::CLUSTER_OPTIONS;
use proto::wire::Answer;
use serde_json::{Map, Value, json};

use crate::ops::Op;
use crate::ops::tags::{TagPolicy, given_tags};

/// An option as clients expect it: most property strings as objects, whose numbers are strings.
pub(super) fn shown(name: &str, value: &Value) -> Value {
    let text = value.as_str().unwrap_or_default();
    let format = find(&[CLUSTER_OPTIONS], name).map(|field| field.format);
    match (name, format) {
        ("registered-tags", _) => json!(split_list(text).collect::<Vec<_>>()),
        ("description", _) => format!("{text}\n").into(),
        ("max_workers", _) => value.to_string().into(),
        ("bwlimit", _) | (_, None) => value.clone(),
        (_, Some(Format::Properties { fields, .. })) => match parse_properties(fields, text) {
            Ok(keys) => keys.iter().map(|(key, value)| part(key, value)).collect(),
            Err(_) => value.clone(),
        },
        _ => value
            .as_bool()
            .map_or_else(|| value.clone(), |flag| u8::from(flag).into()),
    }
}

pub(super) fn part(key: &str, value: &Value) -> (String, Value) {
    let value = match value {
        Value::Bool(flag) => u8::from(*flag).into(),
        Value::Number(number) => number.to_string().into(),
        Value::String(list) if key == "user-allow-list" => {
            json!(split_list(list).collect::<Vec<_>>())
        }
        other => other.clone(),
    };
    (key.to_owned(), value)
}

/// The option that every caller sees: the style of tags.
const FOR_ALL: &str = "tag-style";

pub(super) async fn options(op: Op) -> Result<Answer, Error> {
    let node = &op.context.node;
    let settings = node.records.local().cluster_options().await?;
    let authority = &op.context.authority;
    let access = authority.access();
    let view = access.view(op.identity()?, authority.now());
    let audits = view.has("/", Privilege::SysAudit);
    let mut answer = Map::new();
    if audits {
        answer.insert("description".into(), "".into());
    }
    for (name, value) in &settings.options {
        if audits || name == FOR_ALL {
            answer.insert(name.clone(), shown(name, value));
        }
    }
    if audits {
        answer.insert("mac_prefix".into(), settings.mac_prefix().into());
    }
    let given = given_tags(&op, &view).await?;
    let may_all = view.has("/", Privilege::SysModify);
    let tags = TagPolicy::of(&settings).allowed(&given, may_all);
    answer.insert("allowed-tags".into(), json!(tags));
    Ok(Answer::new(answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_text_but_flags() {
        assert_eq!(
            shown("next-id", &json!("lower=500,upper=600")),
            json!({"lower": "500", "upper": "600"})
        );
        assert_eq!(
            shown("tag-style", &json!("case-sensitive=1")),
            json!({"case-sensitive": 1})
        );
        assert_eq!(shown("bwlimit", &json!("clone=100")), "clone=100");
        assert_eq!(shown("max_workers", &json!(3)), "3");
        assert_eq!(shown("description", &json!("notes")), "notes\n");
    }
}
