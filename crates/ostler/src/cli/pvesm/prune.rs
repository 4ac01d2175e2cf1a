//! `pvesm prune-backups`.

use anyhow::{Result, bail};
use model::schema::{Field, Shape, Values};
use proto::Verb;
use serde_json::Value;

use super::super::agent::Agent;
use super::super::follow::follow;
use super::super::format::{Output, Style, plain_text, render};
use super::super::output;
use super::super::progress::Log;

const PRUNE: &str = "/nodes/{node}/storage/{storage}/prunebackups";

/// The rule is one option, or one option for each of its keys.
const KEYS: [&str; 7] = [
    "keep-all",
    "keep-last",
    "keep-hourly",
    "keep-daily",
    "keep-weekly",
    "keep-monthly",
    "keep-yearly",
];

pub(super) const FIELDS: &[Field] = &[
    Field::string("storage"),
    Field::boolean("dry-run").optional(),
    Field::string("prune-backups").optional(),
    Field::boolean("keep-all").optional(),
    Field::integer("keep-last").optional(),
    Field::integer("keep-hourly").optional(),
    Field::integer("keep-daily").optional(),
    Field::integer("keep-weekly").optional(),
    Field::integer("keep-monthly").optional(),
    Field::integer("keep-yearly").optional(),
    Field::string("type").optional().one_of(&["qemu", "lxc"]),
    Field::integer("vmid").optional(),
];

pub(super) async fn prune(agent: Agent, mut given: Values, style: Style) -> Result<()> {
    let is_dry = given.shift_remove("dry-run");
    let is_dry = is_dry.is_some_and(|value| plain_text(&value) == "1");
    join_keys(&mut given)?;
    if !is_dry {
        let upid = agent.at(Verb::Delete, PRUNE, given).await?.data;
        return follow(&agent, upid.as_str().unwrap_or_default(), Log::Stdout).await;
    }
    let rows = agent.at(Verb::Get, PRUNE, given).await?.data;
    match style.output {
        Output::Text => output::print(&preview(&rows)),
        _ => output::print(&render(&style, &rows, &Shape::Any)?),
    }
}

fn join_keys(given: &mut Values) -> Result<()> {
    let mut parts = Vec::new();
    for key in KEYS {
        if let Some(value) = given.shift_remove(key) {
            parts.push(format!("{key}={}", plain_text(&value)));
        }
    }
    if parts.is_empty() {
        return Ok(());
    }
    if given.contains_key("prune-backups") {
        bail!("--prune-backups already is the rule: it goes without --keep-…");
    }
    given.insert("prune-backups".to_owned(), parts.join(",").into());
    Ok(())
}

/// What would happen, for each backup.
fn preview(rows: &Value) -> String {
    let rows: Vec<&Value> = rows.as_array().into_iter().flatten().collect();
    let names = rows.iter().map(|row| plain_text(&row["volid"]).len());
    let width = names.max().unwrap_or(0).max("Backup".len());
    let mut text =
        "Nothing is removed. Backups that come or go meanwhile may change what a call removes.\n\n"
            .to_owned();
    let line = |name: &str, of: &str, mark: &str| format!("{name:<width$} {of:>15} {mark:>10}\n");
    text.push_str(&line("Backup", "Backup-ID", "Prune?"));
    for row in rows {
        let (kind, vmid) = (plain_text(&row["type"]), plain_text(&row["vmid"]));
        let of = match vmid.is_empty() {
            true => kind,
            false => format!("{kind}/{vmid}"),
        };
        text.push_str(&line(
            &plain_text(&row["volid"]),
            &of,
            &plain_text(&row["mark"]),
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::agent::values;
    use super::*;

    #[test]
    fn keys_are_one_rule() {
        let mut given = values([("keep-last", "2".into()), ("keep-daily", "7".into())]);
        join_keys(&mut given).unwrap();
        assert_eq!(given["prune-backups"], "keep-last=2,keep-daily=7");
        given.insert("keep-last".to_owned(), "1".into());
        assert!(join_keys(&mut given).is_err());
    }

    #[test]
    fn a_preview_has_a_line_for_each_backup() {
        let rows = json!([{"volid": "local:backup/vzdump-qemu-100-2026_01_02-00_00_00.vma", "type": "qemu", "vmid": 100,
            "mark": "remove", "ctime": 0}, {"volid": "local:backup/x.tar", "type": "unknown", "mark": "renamed", "ctime": 0}]);
        let text = preview(&rows);
        assert!(text.contains(" qemu/100     remove\n"), "{text}");
        assert!(text.contains(" unknown    renamed\n"), "{text}");
    }
}
