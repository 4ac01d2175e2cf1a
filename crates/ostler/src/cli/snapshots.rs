//! `ostler snapshots`: the snapshots of all guests by their age.

use anyhow::Result;
use model::schema::{Field, Shape, Values, format};
use proto::Verb;
use serde_json::Value;

use super::agent::Agent;
use super::commands::{Command, Program, Show, get, own};
use super::follow::follow;
use super::format::{Output, Style, Table, duration, plain_text, render, time};
use super::output;
use super::progress::Log;

pub(super) const PROGRAM: Program = Program {
    name: "snapshots",
    about: "snapshots of all guests by their age, and the removal of old ones",
    commands: COMMANDS,
    takes_passwords: false,
};

const SNAPSHOTS: &str = "/ostler/cluster/snapshots";
const PRUNE: &str = "/ostler/nodes/{node}/snapshots/prune";

const WHICH: &[Field] = &[
    Field::string("node").optional().format(format::NODE),
    Field::string("snapshots").optional(),
    Field::number("older-than").optional(),
    Field::integer("vmid").optional(),
    Field::boolean("dry-run").optional().default("1"),
    Field::integer("confirm").optional(),
];

const COMMANDS: &[Command] = &[
    get("list", SNAPSHOTS).show(Show::Table(list)),
    own(
        "prune",
        "Show which snapshots of a node would be removed, or with --dry-run 0 remove them.",
        WHICH,
        |agent, given, style| Box::pin(prune(agent, given, style)),
    ),
];

async fn prune(agent: Agent, given: Values, style: Style) -> Result<()> {
    let rows = agent.at(Verb::Post, PRUNE, given).await?.data;
    if style.output != Output::Text {
        return output::print(&render(&style, &rows, &Shape::Any)?);
    }
    match rows[0]["upid"].as_str() {
        Some(upid) => follow(&agent, upid, Log::Stdout).await,
        None => output::print(&list(&rows, &style)),
    }
}

fn list(rows: &Value, style: &Style) -> String {
    let mut table = Table::new(["GUEST", "NAME", "NODE", "SNAPSHOT", "MADE", "AGE", "JOB"]);
    for row in rows.as_array().into_iter().flatten() {
        table.row([
            plain_text(&row["vmid"]),
            plain_text(&row["guest"]),
            plain_text(&row["node"]),
            plain_text(&row["name"]),
            row["snaptime"].as_i64().map(time).unwrap_or_default(),
            row["age"].as_u64().map(duration).unwrap_or_default(),
            plain_text(&row["job"]),
        ]);
    }
    table.print(style)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_snapshot_is_a_line() {
        let rows = json!([{"vmid": 100, "node": "pve1", "name": "s1", "snaptime": 0,
            "age": 200_000, "job": "daily", "type": "qemu", "vmstate": 0}]);
        let style = Style {
            border: false,
            ..Style::default()
        };
        let text = list(&rows, &style);
        let line = text.lines().nth(1).unwrap();
        assert!(
            line.contains("100") && line.contains("s1") && line.contains("daily"),
            "{text}"
        );
    }
}
