//! `ostler tier`: what volumes of a class of guests are like.

use anyhow::Result;
use model::schema::{Field, Values, format};
use serde_json::Value;

use super::agent::Agent;
use super::commands::{Command, Program, Show, delete, get, own, post, put};
use super::format::{Style, Table, plain_text};
use super::plan::show_plan;

pub(super) const PROGRAM: Program = Program {
    name: "tier",
    about: "properties of volumes by classes of guests",
    commands: COMMANDS,
    takes_passwords: false,
};

const TIERS: &str = "/ostler/cluster/tiers";
const TIER: &str = "/ostler/cluster/tiers/{tier}";
const VOLUMES: &str = "/ostler/nodes/{node}/tiers";
const APPLY_PATH: &str = "/ostler/nodes/{node}/tiers/apply";
const ONE: &[&str] = &["tier"];

const APPLY: &[Field] = &[
    Field::string("node").optional().format(format::NODE),
    Field::string("storage")
        .optional()
        .format(format::STORAGE_ID),
    Field::integer("vmid").optional().format(format::VMID),
    Field::boolean("dry-run").optional().default("1"),
];

const COMMANDS: &[Command] = &[
    post("add", TIERS).takes(ONE),
    own(
        "apply",
        "Show what would make volumes as their tiers say, or with --dry-run 0 do it.",
        APPLY,
        |agent, given, style| Box::pin(apply(agent, given, style)),
    ),
    delete("delete", TIER).takes(ONE),
    get("list", TIERS).show(Show::Table(list)),
    put("set", TIER).takes(ONE),
    get("show", TIER).takes(ONE),
    get("volumes", VOLUMES).show(Show::Table(volumes)),
];

async fn apply(agent: Agent, given: Values, style: Style) -> Result<()> {
    show_plan(agent, APPLY_PATH, given, style.clone(), |plan| {
        planned(plan, &style)
    })
    .await
}

fn rows(data: &Value) -> impl Iterator<Item = &Value> {
    data.as_array().into_iter().flatten()
}

/// `compression=zstd sync=always`, those of a tier.
fn properties(row: &Value) -> String {
    let own = ["comment", "digest", "pools", "priority", "tags", "tier"];
    let options = row.as_object().into_iter().flatten();
    let set = options.filter(|(name, _)| !own.contains(&name.as_str()));
    let set: Vec<String> = set
        .map(|(name, value)| format!("{name}={}", plain_text(value)))
        .collect();
    set.join(" ")
}

fn list(tiers: &Value, style: &Style) -> String {
    let mut table = Table::new(["TIER", "PRIORITY", "TAGS", "POOLS", "PROPERTIES", "COMMENT"]);
    for row in rows(tiers) {
        let text = |name: &str| plain_text(&row[name]);
        table.row([
            text("tier"),
            text("priority"),
            text("tags"),
            text("pools"),
            properties(row),
            text("comment"),
        ]);
    }
    table.print(style)
}

/// What is said below a table of storages that could not be looked at.
fn failed(answer: &Value) -> String {
    let rows = rows(&answer["failed"]);
    let lines = rows.map(|row| {
        let (storage, reason) = (plain_text(&row["storage"]), plain_text(&row["reason"]));
        format!("storage '{storage}': {reason}\n")
    });
    lines.collect()
}

fn volumes(answer: &Value, style: &Style) -> String {
    let mut table = Table::new(["VOLUME", "VMID", "TIER", "DIFFERS", "PROPERTIES"]);
    for row in rows(&answer["volumes"]) {
        let differs = rows(&row["differences"]).map(|one| plain_text(&one["property"]));
        table.row([
            plain_text(&row["volid"]),
            plain_text(&row["vmid"]),
            plain_text(&row["tier"]),
            differs.collect::<Vec<String>>().join(" "),
            properties(&row["properties"]),
        ]);
    }
    table.print(style) + &failed(answer)
}

fn planned(plan: &Value, style: &Style) -> String {
    let mut table = Table::new(["VOLUME", "TIER", "PROPERTY", "FROM", "TO", "WHAT"]);
    for row in rows(&plan["volumes"]) {
        for one in rows(&row["differences"]) {
            let what = match one["verdict"].as_str().unwrap_or_default() {
                "kept" => "stays, set by hand",
                "only-new" => "stays, new volumes only",
                what => what,
            };
            table.row([
                plain_text(&row["volid"]),
                plain_text(&row["tier"]),
                plain_text(&one["property"]),
                plain_text(&one["from"]),
                plain_text(&one["to"]),
                what.to_owned(),
            ]);
        }
    }
    table.print(style) + &failed(plan)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tier_a_volume_and_a_difference_are_a_line() {
        let style = Style {
            border: false,
            ..Style::default()
        };
        let has = |text: &str, parts: &[&str]| {
            let line = text.lines().nth(1).unwrap_or_default();
            assert!(parts.iter().all(|part| line.contains(part)), "{text}");
        };
        let tiers = json!([{"tier": "gold", "tags": "db", "sync": "always", "priority": 5}]);
        has(&list(&tiers, &style), &["gold", "5", "db", "sync=always"]);
        let plan = json!({
            "volumes": [{"volid": "tank:vm-100-disk-0", "vmid": 100, "tier": "gold",
                "properties": {"sync": "standard"},
                "differences": [{"property": "sync", "from": "standard", "to": "always",
                    "verdict": "kept"}]}],
            "failed": [{"storage": "b", "reason": "no such pool"}],
        });
        let shown = volumes(&plan, &style);
        has(
            &shown,
            &["tank:vm-100-disk-0", "100", "gold", "sync=standard"],
        );
        let shown = planned(&plan, &style);
        has(&shown, &["sync", "standard", "always", "set by hand"]);
        assert!(shown.ends_with("storage 'b': no such pool\n"), "{shown}");
    }
}
