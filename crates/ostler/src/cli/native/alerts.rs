//! `ostler alerts`

use anyhow::Result;
use clap::Args;
use model::schema::Values;
use proto::Verb;
use serde_json::Value;

use super::super::agent::Agent;
use super::super::failure::with_code;
use super::super::format::{Table, plain_text};
use super::super::output;
use super::{Format, Looks};

const ALERTS: &str = "/ostler/alerts";

/// The exit code if the worst alert is a warning.
const WARNING: u8 = 5;
/// The same for an error.
const ERROR: u8 = 6;

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
    let has = |severity: &str| rows(&alerts).any(|row| row["severity"] == severity);
    if has("error") {
        Err(with_code(ERROR))
    } else if has("warning") {
        Err(with_code(WARNING))
    } else {
        Ok(())
    }
}

fn rows(alerts: &Value) -> impl Iterator<Item = &Value> {
    alerts.as_array().into_iter().flatten()
}

fn table(alerts: &Value) -> Table {
    let mut table = Table::new(["SEVERITY", "OBJECT", "WHAT IS WRONG", "WHAT TO DO"]);
    for row in rows(alerts) {
        table.row(["severity", "object", "text", "advice"].map(|name| plain_text(&row[name])));
    }
    table
}
