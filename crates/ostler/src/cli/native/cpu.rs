//! `ostler cpu`

use anyhow::Result;
use clap::Args;
use model::schema::Values;
use proto::Verb;
use serde_json::Value;

use super::super::agent::Agent;
use super::super::format::Table;
use super::super::output;
use super::{Format, Looks};

const CPU: &str = "/ostler/cpu";

#[derive(Debug, Args)]
pub(crate) struct CpuOptions {
    #[command(flatten)]
    looks: Looks,
}

pub(crate) async fn run(options: CpuOptions) -> Result<()> {
    let agent = Agent::of_this_machine()?;
    let cpu = agent.at(Verb::Get, CPU, Values::new()).await?.data;
    options.looks.print(&cpu, table)?;
    match cpu["cpu"].as_str() {
        Some(common) if options.looks.format == Format::Text => {
            output::line(&format!("\nAll nodes can give: cpu: {common}"))
        }
        _ => Ok(()),
    }
}

fn table(cpu: &Value) -> Table {
    let mut table = Table::new(["NODE", "ACCEL", "VENDOR", "GIVES", "LACKS"]);
    for node in cpu["nodes"].as_array().into_iter().flatten() {
        let text = |name: &str| node[name].as_str().unwrap_or_default().to_owned();
        let lacks = node["lacks"].as_array().into_iter().flatten();
        let lacks: Vec<&str> = lacks.filter_map(Value::as_str).collect();
        let last = match node["error"].as_str() {
            Some(why) => why.to_owned(),
            None => lacks.join(" "),
        };
        table.row([
            text("node"),
            text("accel"),
            text("vendor"),
            text("cpu"),
            last,
        ]);
    }
    table
}
