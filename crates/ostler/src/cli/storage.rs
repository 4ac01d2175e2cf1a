//! `ostler storage`: storages of a node that are given to the others, and disks of storages that are
//! plugged in and unplugged.

use anyhow::Result;
use model::schema::{Field, Values, format};
use serde_json::Value;

use super::agent::Agent;
use super::commands::{Command, Program, Show, delete, get, own, post};
use super::format::{Style, Table, plain_text};
use super::plan::show_plan;

pub(super) const PROGRAM: Program = Program {
    name: "storage",
    about: "storages of a node that other nodes use; disks that are plugged in and unplugged",
    commands: COMMANDS,
    takes_passwords: false,
};

const EXPORTS: &str = "/ostler/nodes/{node}/exports";

const EXPORT: &[Field] = &[
    Field::string("storage"),
    Field::string("node").optional().format(format::NODE),
    Field::string("as").optional().format(format::STORAGE_ID),
    Field::string("network").optional(),
    Field::boolean("dry-run").optional().default("1"),
];

const COMMANDS: &[Command] = &[
    post("attach", "/ostler/nodes/{node}/storage/{storage}/attach").takes(&["storage"]),
    post("detach", "/ostler/nodes/{node}/storage/{storage}/detach").takes(&["storage"]),
    own(
        "export",
        "Show how a storage would be exported to the other nodes, or with --dry-run 0 export it.",
        EXPORT,
        |agent, given, style| Box::pin(export(agent, given, style)),
    )
    .takes(&["storage"]),
    get("exports", EXPORTS).show(Show::Table(list)),
    delete("unexport", "/ostler/nodes/{node}/exports/{storage}").takes(&["storage"]),
];

async fn export(agent: Agent, given: Values, style: Style) -> Result<()> {
    show_plan(agent, EXPORTS, given, style, planned).await
}

fn words(list: &Value) -> String {
    let words = list.as_array().into_iter().flatten().map(plain_text);
    words.collect::<Vec<_>>().join(", ")
}

fn planned(plan: &Value) -> String {
    let text = |name: &str| plain_text(&plan[name]);
    let mut lines = format!(
        "storage: {} (nfs)\nserver: {}\npath: {}\n",
        text("storage"),
        text("server"),
        text("path")
    );
    if plan["dataset"].is_string() {
        lines.push_str(&format!("dataset: {}\n", text("dataset")));
    }
    for name in ["content", "clients"] {
        lines.push_str(&format!("{name}: {}\n", words(&plan[name])));
    }
    lines
}

fn list(rows: &Value, style: &Style) -> String {
    let mut table = Table::new(["STORAGE", "ORIGIN", "SERVER", "PATH", "CLIENTS"]);
    for row in rows.as_array().into_iter().flatten() {
        table.row([
            plain_text(&row["storage"]),
            plain_text(&row["origin"]),
            plain_text(&row["server"]),
            plain_text(&row["path"]),
            words(&row["clients"]),
        ]);
    }
    table.print(style)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_export_is_shown_as_a_plan_and_as_a_line() {
        let shown = json!({"storage": "vms", "origin": "tank", "server": "10.0.0.5",
            "path": "/srv/ostler/vms", "dataset": "tank/vms", "content": ["images"],
            "clients": ["10.0.0.1", "10.1.0.0/24"]});
        let expected = "storage: vms (nfs)\nserver: 10.0.0.5\npath: /srv/ostler/vms\n\
                        dataset: tank/vms\ncontent: images\nclients: 10.0.0.1, 10.1.0.0/24\n";
        assert_eq!(planned(&shown), expected);
        let style = Style {
            border: false,
            ..Style::default()
        };
        let line = list(&json!([shown]), &style);
        let line = line.lines().nth(1).unwrap();
        assert!(
            line.contains("tank") && line.ends_with("10.0.0.1, 10.1.0.0/24"),
            "{line}"
        );
    }
}
