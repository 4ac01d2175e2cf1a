//! Operations that say what they would do, and do it with `--dry-run 0`.

use anyhow::Result;
use model::schema::{Shape, Values};
use proto::Verb;
use serde_json::Value;

use super::agent::Agent;
use super::follow::follow;
use super::format::{Output, Style, render};
use super::output;
use super::progress::Log;

/// Prints the plan, and follows the task that carries it out, if one was begun. `planned` says the plan
/// in words.
pub(super) async fn show_plan(
    agent: Agent,
    path: &'static str,
    given: Values,
    style: Style,
    planned: impl FnOnce(&Value) -> String,
) -> Result<()> {
    let plan = agent.at(Verb::Post, path, given).await?.data;
    if style.output != Output::Text {
        return output::print(&render(&style, &plan, &Shape::Any)?);
    }
    output::print(&planned(&plan))?;
    match plan["upid"].as_str() {
        Some(upid) => follow(&agent, upid, Log::Stdout).await,
        None => Ok(()),
    }
}
