//! `ostler alerts`

use anyhow::Result;
use clap::Args;
use model::schema::Values;
use proto::Verb;
use serde_json::Value;

use super::super::agent::Agent;
use super::super::format::{Table, plain_text};
use super::super::output;
use super::{Format, Looks, exit_by_worst, rows};

const ALERTS: &str = "/ostler/alerts";

#[derive(Debug, Args)]
pub(crate) struct AlertsOptions {
    #[command(flatten)]
    looks: Looks,
}

pub(crate) async fn run(options: AlertsOptions) -> Result<()> {
    let agent = Agent::of_this_machine()?;
    let alerts = agent.at(Verb::Get, ALERTS, Values::new()).await?.data;
    match rows(&alerts).next() {
        None if options.looks.format == Format::Text => output::line("nothing is wrong")?,
        _ => options.looks.print(&alerts, table)?,
    }
    exit_by_worst(&alerts, "severity")
}

fn table(alerts: &Value) -> Table {
    let mut table = Table::new(["SEVERITY", "OBJECT", "WHAT IS WRONG", "WHAT TO DO"]);
    for row in rows(alerts) {
        table.row(["severity", "object", "text", "advice"].map(|name| plain_text(&row[name])));
    }
    table
}
