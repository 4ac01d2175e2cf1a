//! `ostler pool`: pools of ZFS, their growth and repair.

use anyhow::Result;
use model::schema::{Field, Values, format};
use serde_json::Value;

use super::agent::Agent;
use super::commands::{Command, Program, Show, get, own, post};
use super::format::{Style, Table, bytes, plain_text, time};
use super::plan::show_plan;

pub(super) const PROGRAM: Program = Program {
    name: "pool",
    about: "pools of ZFS of a node, their growth and repair",
    commands: COMMANDS,
    takes_passwords: false,
};

const POOLS: &str = "/ostler/nodes/{node}/pools";
const POOL: &str = "/ostler/nodes/{node}/pools/{name}";

const ADD_PATH: &str = "/ostler/nodes/{node}/pools/{name}/add";

const ADD: &[Field] = &[
    Field::string("name"),
    Field::string("devices"),
    Field::string("node").optional().format(format::NODE),
    Field::string("raidlevel").optional(),
    Field::boolean("force").optional().default("0"),
    Field::boolean("dry-run").optional().default("1"),
];

const COMMANDS: &[Command] = &[
    get("list", POOLS).show(Show::Table(list)),
    get("get", POOL).takes(&["name"]),
    own(
        "add",
        "Show what groups of disks would add to a pool, or with --dry-run 0 add them.",
        ADD,
        |agent, given, style| Box::pin(add(agent, given, style)),
    )
    .takes(&["name", "devices"]),
    post("attach", "/ostler/nodes/{node}/pools/{name}/attach").takes(&["name", "device", "new"]),
    post("replace", "/ostler/nodes/{node}/pools/{name}/replace").takes(&["name", "device", "new"]),
    post("detach", "/ostler/nodes/{node}/pools/{name}/detach").takes(&["name", "device"]),
    post("online", "/ostler/nodes/{node}/pools/{name}/online").takes(&["name", "device"]),
    post("clear", "/ostler/nodes/{node}/pools/{name}/clear").takes(&["name"]),
    post("scrub", "/ostler/nodes/{node}/pools/{name}/scrub").takes(&["name"]),
];

async fn add(agent: Agent, given: Values, style: Style) -> Result<()> {
    show_plan(agent, ADD_PATH, given, style, planned).await
}

fn planned(plan: &Value) -> String {
    let words = |name: &str| -> Vec<String> {
        let words = plan[name].as_array().into_iter().flatten();
        words.map(plain_text).collect()
    };
    let size = |name: &str| {
        plan[name]
            .as_u64()
            .map(|size| bytes(size as f64))
            .unwrap_or_default()
    };
    let layout = words("layout").join(" ");
    let mut text = format!(
        "adds: {layout}\nsize: {} -> {}\n",
        size("size"),
        size("size-after")
    );
    for warning in words("warnings") {
        text.push_str(&format!("warning: {warning}\n"));
    }
    text
}

fn list(rows: &Value, style: &Style) -> String {
    let mut table = Table::new([
        "NAME",
        "SIZE",
        "USED",
        "FRAG",
        "COMPRESSION",
        "DEDUP",
        "HEALTH",
        "LAST SCAN",
    ]);
    for row in rows.as_array().into_iter().flatten() {
        table.row([
            plain_text(&row["name"]),
            row["size"]
                .as_u64()
                .map(|size| bytes(size as f64))
                .unwrap_or_default(),
            format!("{} %", plain_text(&row["used"])),
            format!("{} %", plain_text(&row["frag"])),
            format!("{}x", plain_text(&row["compressratio"])),
            format!("{}x", plain_text(&row["dedup"])),
            plain_text(&row["health"]),
            scan(&row["scan"]),
        ]);
    }
    table.print(style)
}

/// `scrub running, 4.88 %` or `scrub finished 2026-11-01 …, 0 errors`.
fn scan(scan: &Value) -> String {
    if scan.is_null() {
        return "none".to_owned();
    }
    let (kind, state) = (plain_text(&scan["kind"]), plain_text(&scan["state"]));
    if let Some(progress) = scan["progress"].as_f64() {
        return format!("{kind} {state}, {progress} %");
    }
    let at = scan["at"].as_i64().map(time).unwrap_or_default();
    match scan["errors"].as_u64() {
        Some(errors) => format!("{kind} {state} {at}, {errors} errors"),
        None => format!("{kind} {state} {at}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pool_is_a_line() {
        let rows = json!([{"name": "tank", "size": 1_u64 << 40, "used": 66.5, "frag": 3,
            "compressratio": 1.43, "dedup": 1.0, "health": "ONLINE",
            "scan": {"kind": "scrub", "state": "running", "at": 0, "progress": 4.88}}]);
        let style = Style {
            border: false,
            ..Style::default()
        };
        let text = list(&rows, &style);
        let line = text.lines().nth(1).unwrap();
        for part in ["tank", "66.5 %", "1.43x", "ONLINE", "scrub running, 4.88 %"] {
            assert!(line.contains(part), "{text}");
        }
    }
}
