//! `ostler pool`: pools of ZFS, their growth and repair.

use serde_json::Value;

use super::commands::{Command, Program, Show, get};
use super::format::{Style, Table, bytes, plain_text, time};

pub(super) const PROGRAM: Program = Program {
    name: "pool",
    about: "pools of ZFS of a node, their growth and repair",
    commands: COMMANDS,
    takes_passwords: false,
};

const POOLS: &str = "/ostler/nodes/{node}/pools";
const POOL: &str = "/ostler/nodes/{node}/pools/{name}";

const COMMANDS: &[Command] = &[
    get("list", POOLS).show(Show::Table(list)),
    get("get", POOL).takes(&["name"]),
];

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
