//! `GET /cluster/options`

use std::collections::BTreeSet;

use auth::View;
use model::schema::format::split_list;
use model::schema::{Format, find, parse_properties};
use model::{Error, Privilege};
use node::Settings;
use proto::table::{CLUSTER_OPTIONS, USER_TAG_ACCESS};
use proto::wire::Answer;
use serde_json::{Map, Value, json};

use crate::ops::Op;

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
    let given = tags_of_guests(&op, &view).await?;
    let may_all = view.has("/", Privilege::SysModify);
    let tags = allowed_tags(&settings, given, may_all);
    answer.insert("allowed-tags".into(), json!(tags));
    Ok(Answer::new(answer))
}

/// The tags of all guests that the caller may see.
async fn tags_of_guests(op: &Op, view: &View<'_>) -> Result<BTreeSet<String>, Error> {
    let mut tags = BTreeSet::new();
    for guest in op.records.guests().await? {
        let guest = guest?;
        let Some(given) = guest.config.text("tags") else {
            continue;
        };
        if view.has(&format!("/vms/{}", guest.vmid), Privilege::VmAudit) {
            tags.extend(split_list(&given).map(str::to_owned));
        }
    }
    Ok(tags)
}

/// The tags that a caller may set: listed ones, existing ones if the cluster allows that, and
/// registered ones only with the right to change the cluster.
fn allowed_tags(settings: &Settings, given: BTreeSet<String>, may_all: bool) -> BTreeSet<String> {
    let text = |name: &str| settings.options.get(name).and_then(Value::as_str);
    let tags = |text: Option<&str>| -> BTreeSet<String> {
        split_list(text.unwrap_or_default())
            .map(str::to_owned)
            .collect()
    };
    let registered = tags(text("registered-tags"));
    let access = text("user-tag-access").unwrap_or_default();
    let access = parse_properties(USER_TAG_ACCESS, access).unwrap_or_default();
    let mut allowed = match access.text("user-allow") {
        _ if may_all => &given | &registered,
        None | Some("free" | "existing") => &given - &registered,
        _ => BTreeSet::new(),
    };
    if may_all || access.text("user-allow") != Some("none") {
        allowed.extend(tags(access.text("user-allow-list")));
    }
    allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(names: &str) -> BTreeSet<String> {
        split_list(names).map(str::to_owned).collect()
    }

    #[test]
    fn who_may_give_which_tags() {
        let mut settings = Settings::default();
        settings
            .options
            .insert("registered-tags".into(), "prod;dev".into());
        for (access, may_all, expected) in [
            ("", true, "a dev prod"),
            ("", false, "a"),
            ("user-allow=existing,user-allow-list=web", false, "a web"),
            (
                "user-allow=list,user-allow-list=web;prod",
                false,
                "prod web",
            ),
            ("user-allow=none,user-allow-list=web", false, ""),
            (
                "user-allow=none,user-allow-list=web",
                true,
                "a dev prod web",
            ),
        ] {
            settings
                .options
                .insert("user-tag-access".into(), access.into());
            let allowed = allowed_tags(&settings, tags("a prod"), may_all);
            assert_eq!(allowed, tags(expected), "{access} {may_all}");
        }
    }

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
