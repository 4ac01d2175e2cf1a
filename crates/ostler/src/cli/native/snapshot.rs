//! `ostler vm snapshot`

use anyhow::{Result, bail};
use clap::Subcommand;
use model::VmId;
use model::schema::Values;
use proto::Verb;
use serde_json::Value;

use super::super::agent::{Agent, values};
use super::super::format::{Table, plain_text, time};
use super::{Looks, Waiting, confirm};

const ALL: &str = "/nodes/{node}/qemu/{vmid}/snapshot";
const ONE: &str = "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}";
const ROLLBACK: &str = "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/rollback";

/// Snapshots of a machine.
#[derive(Debug, Subcommand)]
pub(crate) enum SnapshotCommand {
    /// List the snapshots, each below its parent.
    #[command(visible_alias = "ls")]
    List {
        vmid: VmId,
        #[command(flatten)]
        looks: Looks,
    },
    /// Take a snapshot.
    Create {
        vmid: VmId,
        name: String,
        /// A description.
        #[arg(short, long)]
        description: Option<String>,
        /// Include the memory of a running machine.
        #[arg(long)]
        memory: bool,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Roll a machine back to a snapshot. Later changes are lost.
    Rollback {
        vmid: VmId,
        name: String,
        /// Start the machine afterwards.
        #[arg(long)]
        start: bool,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Delete a snapshot; the machine does not change.
    #[command(visible_alias = "rm")]
    Delete {
        vmid: VmId,
        name: String,
        #[command(flatten)]
        waiting: Waiting,
    },
}

pub(super) async fn run(agent: &Agent, command: SnapshotCommand) -> Result<()> {
    match command {
        SnapshotCommand::List { vmid, looks } => {
            let params = values([("vmid", vmid.get().into())]);
            let snapshots = agent.at(Verb::Get, ALL, params).await?.data;
            looks.print(&snapshots, tree)
        }
        SnapshotCommand::Create {
            vmid,
            name,
            description,
            memory,
            waiting,
        } => {
            let mut params = of(vmid, &name);
            params.extend(description.map(|text| ("description".to_owned(), text.into())));
            params.insert("vmstate".to_owned(), u8::from(memory).into());
            let task = agent.at(Verb::Post, ALL, params).await?.data;
            waiting.wait(agent, &task).await
        }
        SnapshotCommand::Rollback {
            vmid,
            name,
            start,
            yes,
            waiting,
        } => {
            let question = format!("Roll VM {vmid} back to {name}? Its current state is lost.");
            if !yes && !confirm(&question)? {
                bail!("VM {vmid} was left as it is");
            }
            let mut params = of(vmid, &name);
            params.insert("start".to_owned(), u8::from(start).into());
            let task = agent.at(Verb::Post, ROLLBACK, params).await?.data;
            waiting.wait(agent, &task).await
        }
        SnapshotCommand::Delete {
            vmid,
            name,
            waiting,
        } => {
            let task = agent.at(Verb::Delete, ONE, of(vmid, &name)).await?.data;
            waiting.wait(agent, &task).await
        }
    }
}

fn of(vmid: VmId, name: &str) -> Values {
    values([("vmid", vmid.get().into()), ("snapname", name.into())])
}

/// All snapshots below their parents, sorted by name, with the current state as one more entry.
fn tree(snapshots: &Value) -> Table {
    let mut table = Table::new(["NAME", "TAKEN", "MEMORY", "DESCRIPTION"]);
    let all: Vec<&Value> = snapshots.as_array().into_iter().flatten().collect();
    let is_known = |name: &Value| all.iter().any(|other| other["name"] == *name);
    for root in all.iter().filter(|item| !is_known(&item["parent"])) {
        branch(&mut table, &all, root, 0);
    }
    table
}

fn branch(table: &mut Table, all: &[&Value], at: &Value, depth: usize) {
    // More levels than snapshots mean a cycle, which only a broken answer has.
    if depth > all.len() {
        return;
    }
    let lead = match depth {
        0 => String::new(),
        _ => format!("{}└ ", "  ".repeat(depth - 1)),
    };
    let about = plain_text(&at["description"]);
    table.row([
        format!("{lead}{}", plain_text(&at["name"])),
        at["snaptime"].as_i64().map(time).unwrap_or_default(),
        match plain_text(&at["vmstate"]).as_str() {
            "1" => "yes".to_owned(),
            _ => String::new(),
        },
        about.lines().next().unwrap_or_default().to_owned(),
    ]);
    for child in all.iter().filter(|item| item["parent"] == at["name"]) {
        branch(table, all, child, depth + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::format::Style;
    use serde_json::json;

    #[test]
    fn snapshots_hang_on_their_parents() {
        let data = json!([
            {"name": "current", "parent": "b", "description": "You are here!"},
            {"name": "b", "parent": "a", "snaptime": 60, "vmstate": 1},
            {"name": "c", "parent": "a", "snaptime": 120},
            {"name": "a", "snaptime": 0, "description": "first\nmore"},
        ]);
        let style = Style {
            border: false,
            ..Style::default()
        };
        let wanted = include_str!("../../../tests/golden/vm-snapshot-list.txt");
        assert_eq!(tree(&data).print(&style), wanted);
        let circle = json!([{"name": "a", "parent": "a"}]);
        assert_eq!(tree(&circle).print(&style).lines().count(), 1);
    }
}
