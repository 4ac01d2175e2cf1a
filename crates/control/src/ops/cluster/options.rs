//! `/cluster/options`

use model::Error;
use model::schema::{Field, parse_properties};
use node::{Settings, cluster_options_key};
use proto::table::{NEXT_ID, TAG_STYLE, USER_TAG_ACCESS};
use proto::wire::Answer;
use serde_json::{Map, Value, json};

use crate::ops::{Op, change_options};

/// Options that are stored as one text and shown in parts.
const PARTED: [(&str, &[Field]); 3] = [
    ("next-id", NEXT_ID),
    ("tag-style", TAG_STYLE),
    ("user-tag-access", USER_TAG_ACCESS),
];

pub(super) async fn get(op: Op) -> Result<Answer, Error> {
    let settings = op.context.world.records.cluster_options().await?;
    let mut answer = Map::new();
    answer.insert("keyboard".into(), "en-us".into());
    answer.insert("description".into(), "".into());
    for (name, value) in &settings.options {
        answer.insert(name.clone(), shown(name, value));
    }
    answer.insert("mac_prefix".into(), settings.mac_prefix().into());
    answer.insert("allowed-tags".into(), json!(tags(&settings)));
    Ok(Answer::new(answer))
}

fn shown(name: &str, value: &Value) -> Value {
    let text = value.as_str().unwrap_or_default();
    if name == "registered-tags" {
        return json!(split_tags(text));
    }
    let Some((_, fields)) = PARTED.iter().find(|(parted, _)| *parted == name) else {
        return value.clone();
    };
    match parse_properties(fields, text) {
        Ok(keys) => keys
            .iter()
            .map(|(key, value)| (key.to_owned(), as_number(value)))
            .collect(),
        Err(_) => value.clone(),
    }
}

/// The wire writes a flag as 0 or 1.
fn as_number(value: &Value) -> Value {
    value
        .as_bool()
        .map_or_else(|| value.clone(), |flag| u8::from(flag).into())
}

fn split_tags(text: &str) -> Vec<&str> {
    text.split(';').filter(|tag| !tag.is_empty()).collect()
}

/// The tags that everybody may give: those that are registered, and those of a list.
fn tags(settings: &Settings) -> Vec<String> {
    let text = |name: &str| {
        settings
            .options
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let access = parse_properties(USER_TAG_ACCESS, text("user-tag-access")).unwrap_or_default();
    let listed = access.text("user-allow-list").unwrap_or_default();
    let mut tags: Vec<String> = split_tags(text("registered-tags"))
        .into_iter()
        .chain(split_tags(listed))
        .map(str::to_owned)
        .collect();
    tags.sort_unstable();
    tags.dedup();
    tags
}

pub(super) async fn update(op: Op) -> Result<Answer, Error> {
    let change = |settings: &mut Settings| {
        change_options(&op.params, &["delete"], settings);
        check_vmids(settings)
    };
    let key = cluster_options_key();
    let revision = op
        .context
        .world
        .records
        .change_settings(&key, change)
        .await?;
    Ok(Answer::null().at(revision.0))
}

/// A range without a number would only be noticed when somebody wants one.
fn check_vmids(settings: &Settings) -> Result<(), Error> {
    let range = settings.vmids();
    if range.start < 100 || range.is_empty() {
        let text = format!("invalid range of VM IDs: {} to {}", range.start, range.end);
        return Err(Error::invalid("next-id", text));
    }
    Ok(())
}
