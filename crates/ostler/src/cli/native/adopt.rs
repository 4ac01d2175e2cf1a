//! `ostler adopt`: guests and storages of a Proxmox VE, taken over where they lie.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use model::schema::Values;
use proto::Verb;
use serde_json::Value;

use super::super::agent::Agent;
use super::super::format::{Table, plain_text};
use super::super::output;
use super::{Format, Looks, Waiting, confirm, rows};

const ADOPT: &str = "/ostler/nodes/{node}/adopt";

#[derive(Debug, Args)]
pub(crate) struct AdoptOptions {
    /// A copy of /etc/pve, or the database behind it: /var/lib/pve-cluster/config.db.
    source: PathBuf,
    /// The name that the node had there; needed where the source has several nodes.
    #[arg(long)]
    source_node: Option<String>,
    /// Only these storages, by their ids in the source.
    #[arg(long)]
    storages: Option<String>,
    /// Other ids for storages: OLD:NEW, separated by commas.
    #[arg(long)]
    storage_map: Option<String>,
    /// Only these guests.
    #[arg(long)]
    vmids: Option<String>,
    /// Options of guests that are left out.
    #[arg(long)]
    drop: Option<String>,
    /// Carry the plan out, after a question.
    #[arg(long)]
    apply: bool,
    /// Carry out the plan with this digest, without a question.
    #[arg(long, value_name = "DIGEST")]
    confirm: Option<String>,
    #[command(flatten)]
    waiting: Waiting,
    #[command(flatten)]
    looks: Looks,
}

impl AdoptOptions {
    fn params(&self) -> Result<Values> {
        let source = std::path::absolute(&self.source).context("the source's path")?;
        let source = source.to_str().context("the source's path is not UTF-8")?;
        let mut params = Values::from_iter([("source".to_owned(), source.into())]);
        for (name, value) in [
            ("source-node", &self.source_node),
            ("storages", &self.storages),
            ("storage-map", &self.storage_map),
            ("vmids", &self.vmids),
            ("drop", &self.drop),
        ] {
            if let Some(value) = value {
                params.insert(name.to_owned(), value.as_str().into());
            }
        }
        Ok(params)
    }
}

pub(crate) async fn run(options: AdoptOptions) -> Result<()> {
    let agent = Agent::of_this_machine()?;
    let params = options.params()?;
    let digest = match &options.confirm {
        Some(digest) => digest.clone(),
        None => {
            let plan = agent.at(Verb::Post, ADOPT, params.clone()).await?.data;
            if options.looks.format != Format::Text {
                options.looks.print(&plan, guests)?;
            } else {
                output::print(&text(&plan))?;
            }
            let digest = plain_text(&plan["digest"]);
            if !options.apply {
                if options.looks.format == Format::Text {
                    output::line(&format!(
                        "\nNothing was changed. To carry this out: the same with --confirm {digest}"
                    ))?;
                }
                return Ok(());
            }
            if !confirm(&format!("Adopt {}?", counted(&plan)))? {
                bail!("nothing was adopted");
            }
            digest
        }
    };
    let mut params = params;
    params.insert("dry-run".to_owned(), 0.into());
    params.insert("confirm".to_owned(), digest.into());
    let answer = agent.at(Verb::Post, ADOPT, params).await?.data;
    options.waiting.wait(&agent, &answer["upid"]).await
}

fn adopted<'a>(plan: &'a Value, what: &str) -> impl Iterator<Item = &'a Value> {
    rows(&plan[what]).filter(|row| row["action"] == "adopt")
}

fn counted(plan: &Value) -> String {
    let (storages, guests) = (
        adopted(plan, "storages").count(),
        adopted(plan, "guests").count(),
    );
    format!("{storages} storages and {guests} guests")
}

fn text(plan: &Value) -> String {
    let style = super::super::format::Style {
        border: false,
        ..Default::default()
    };
    let mut text = storages(plan).print(&style);
    text.push('\n');
    text.push_str(&guests(plan).print(&style));
    for row in rows(&plan["storages"]).chain(rows(&plan["guests"])) {
        let of = match row["vmid"].as_u64() {
            Some(vmid) => format!("guest {vmid}"),
            None => format!("storage {}", plain_text(&row["source"])),
        };
        for (what, texts) in [("left", &row["reasons"]), ("note", &row["warnings"])] {
            for one in rows(texts) {
                let _ = write!(text, "\n{of}: {what}: {}", plain_text(one));
            }
        }
    }
    text.push_str("\n\nFiles that are left:\n");
    for row in rows(&plan["left"]) {
        let _ = writeln!(
            text,
            "  {}: {}",
            plain_text(&row["path"]),
            plain_text(&row["reason"])
        );
    }
    text
}

fn storages(plan: &Value) -> Table {
    let mut table = Table::new(["STORAGE", "TYPE", "HERE", "ACTION"]);
    for row in rows(&plan["storages"]) {
        table.row(["source", "type", "storage", "action"].map(|name| plain_text(&row[name])));
    }
    table
}

fn guests(plan: &Value) -> Table {
    let mut table = Table::new([
        "GUEST",
        "TYPE",
        "NAME",
        "POOL",
        "VOLUMES",
        "SNAPSHOTS",
        "ACTION",
    ]);
    for row in rows(&plan["guests"]) {
        let names = [
            "vmid",
            "type",
            "name",
            "pool",
            "volumes",
            "snapshots",
            "action",
        ];
        table.row(names.map(|name| plain_text(&row[name])));
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_says_what_comes_what_stays_and_why() {
        let plan = json!({
            "storages": [
                {"source": "tank", "storage": "tank", "type": "zfspool", "action": "adopt",
                 "reasons": [], "warnings": ["pool 'tank' is imported first"]},
                {"source": "b", "type": "pbs", "action": "leave", "reasons": ["no"], "warnings": []},
            ],
            "guests": [
                {"vmid": 100, "type": "qemu", "name": "web", "template": 0, "volumes": 2,
                 "snapshots": 1, "action": "adopt", "reasons": [], "warnings": []},
            ],
            "left": [{"path": "user.cfg", "reason": "users"}],
            "digest": "d",
        });
        assert_eq!(counted(&plan), "1 storages and 1 guests");
        let text = text(&plan);
        for part in [
            "storage tank: note: pool 'tank' is imported first",
            "storage b: left: no",
            "user.cfg: users",
            "web",
        ] {
            assert!(text.contains(part), "{part}:\n{text}");
        }
    }
}
