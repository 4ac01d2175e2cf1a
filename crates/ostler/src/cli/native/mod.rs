//! `ostler cluster …`, `ostler vm …`, `ostler task …` and so on: commands for people.

mod adopt;
mod alerts;
mod cluster;
mod cpu;
mod doctor;
mod snapshot;
mod task;
mod vm;
mod witness;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use model::schema::Shape;
use serde_json::Value;

use super::failure::with_code;
use super::format::{self, Output, Style, Table};
use super::output;

pub(crate) use adopt::{AdoptOptions, run as run_adopt};
pub(crate) use alerts::{AlertsOptions, run as run_alerts};
pub(crate) use cluster::{ClusterCommand, run as run_cluster};
pub(crate) use cpu::{CpuOptions, run as run_cpu};
pub(crate) use doctor::{DoctorOptions, run as run_doctor};
pub(crate) use task::{TaskCommand, run as run_task};
pub(crate) use vm::{VmCommand, run as run_vm};
pub(crate) use witness::{WitnessCommand, join as join_as_witness, leave as leave_as_witness};

/// The exit code if the worst of what was found is a warning.
const WARNING: u8 = 5;
/// The same for an error.
const ERROR: u8 = 6;

fn rows(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// Ends with the code of the worst row, as its `field` rates it.
fn exit_by_worst(list: &Value, field: &str) -> Result<()> {
    let has = |level: &str| rows(list).any(|row| row[field] == level);
    if has("error") {
        Err(with_code(ERROR))
    } else if has("warning") {
        Err(with_code(WARNING))
    } else {
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table.
    Text,
    /// For programs.
    Json,
    Yaml,
}

/// The format of an answer.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Looks {
    /// The format of the answer.
    #[arg(
        short = 'o',
        long = "output",
        alias = "output-format",
        value_enum,
        default_value = "text"
    )]
    format: Format,
}

impl Looks {
    /// Prints an answer, or a table made from it.
    fn print(self, data: &Value, table: impl FnOnce(&Value) -> Table) -> Result<()> {
        let style = Style {
            border: false,
            output: match self.format {
                Format::Text => Output::Text,
                Format::Json => Output::JsonPretty,
                Format::Yaml => Output::Yaml,
            },
            ..Style::default()
        };
        if self.format == Format::Text {
            return output::print(&table(data).print(&style));
        }
        output::print(&format::render(&style, data, &Shape::Any)?)
    }
}

/// Options for waiting for a task.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Waiting {
    /// Do not wait for the task: print its id.
    #[arg(long)]
    no_wait: bool,
    /// Do not show the task's log.
    #[arg(short, long)]
    quiet: bool,
}

impl Waiting {
    async fn wait(self, agent: &super::agent::Agent, data: &Value) -> Result<()> {
        let upid = super::follow::upid(data)?;
        if self.no_wait {
            return output::line(upid);
        }
        let log = if self.quiet {
            super::progress::Log::Nowhere
        } else {
            super::progress::Log::Stdout
        };
        super::follow::follow(agent, upid, log).await
    }
}

/// Asks for confirmation on a terminal.
fn confirm(question: &str) -> Result<bool> {
    use std::io::IsTerminal;
    if !std::io::stdin().is_terminal() {
        return Err(super::failure::usage(
            "not confirmed, since this is not a terminal: add --yes",
        ));
    }
    output::print(&format!("{question} [y/N] "))?;
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .context("reading the answer")?;
    Ok(matches!(
        answer.trim().to_ascii_lowercase().as_str(),
        "y" | "yes"
    ))
}
