//! Waiting for a task, with its log as it grows.

use std::time::Duration;

use anyhow::{Context, Result};
use model::{ErrorKind, Upid};
use proto::Verb;
use serde_json::Value;

use super::agent::{Agent, values};
use super::failure::TaskFailed;
use super::output;
use super::progress::{Log, Progress};

const LOG: &str = "/nodes/{node}/tasks/{upid}/log";
const STATUS: &str = "/nodes/{node}/tasks/{upid}/status";

/// Lines per request.
const PAGE: usize = 1_000;

/// The pause between two polls: short at first, as most tasks end quickly.
const FIRST_PAUSE_MS: u64 = 20;
const LAST_PAUSE_MS: u64 = 500;

/// How long the agent may be out of reach, in seconds.
const PATIENCE_S: u64 = 30;

/// Waits until a task has ended. Fails with `TaskFailed` if the task did.
///
/// Interrupting the wait does not stop the task.
pub(crate) async fn follow(agent: &Agent, upid: &str, log: Log) -> Result<()> {
    let task: Upid = upid.parse().context("the agent answered no task")?;
    let mut shown = Shown {
        agent,
        task: &task,
        log,
        next: 0,
        progress: Progress::new(log),
    };
    let mut pause = FIRST_PAUSE_MS;
    let mut heard = agent.clock.monotonic();
    loop {
        let more = match shown.look().await {
            Ok(Look::Ended(status)) => {
                shown.progress.end()?;
                return outcome(upid, &status);
            }
            Ok(Look::Runs { more }) => {
                heard = agent.clock.monotonic();
                more
            }
            // A restarted agent continues its tasks.
            Err(error) if is_unavailable(&error) => {
                if agent.clock.monotonic() - heard > Duration::from_secs(PATIENCE_S) {
                    return Err(error);
                }
                false
            }
            Err(error) => return Err(error),
        };
        pause = if more {
            FIRST_PAUSE_MS
        } else {
            (pause * 2).min(LAST_PAUSE_MS)
        };
        agent.clock.sleep(Duration::from_millis(pause)).await;
    }
}

fn is_unavailable(error: &anyhow::Error) -> bool {
    let refused = error.downcast_ref::<model::Error>();
    refused.is_some_and(|error| error.kind == ErrorKind::Unavailable)
}

fn outcome(upid: &str, status: &str) -> Result<()> {
    if status == "OK" || status.starts_with("WARNINGS: ") {
        return Ok(());
    }
    let (upid, status) = (upid.to_owned(), status.to_owned());
    Err(anyhow::Error::new(TaskFailed { upid, status }))
}

/// The task's exit status; none while it runs.
async fn status(agent: &Agent, task: &Upid) -> Result<Option<String>> {
    let answer = agent.at(Verb::Get, STATUS, parameters(task)).await?.data;
    let ended = answer["status"] == "stopped";
    Ok(ended.then(|| {
        answer["exitstatus"]
            .as_str()
            .unwrap_or("unexpected status")
            .to_owned()
    }))
}

fn parameters(task: &Upid) -> model::schema::Values {
    values([
        ("node", task.node.as_str().into()),
        ("upid", task.to_string().into()),
    ])
}

/// The whole log of a task.
pub(crate) async fn log(agent: &Agent, task: &Upid) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    loop {
        let page = page(agent, task, lines.len()).await?;
        if page.is_empty() {
            return Ok(lines);
        }
        lines.extend(page);
    }
}

async fn page(agent: &Agent, task: &Upid, start: usize) -> Result<Vec<String>> {
    let mut params = parameters(task);
    params.insert("start".to_owned(), start.into());
    params.insert("limit".to_owned(), PAGE.into());
    let answer = agent.at(Verb::Get, LOG, params).await?.data;
    let lines = answer.as_array().into_iter().flatten();
    Ok(lines
        .filter_map(|line| line["t"].as_str().map(str::to_owned))
        .collect())
}

struct Shown<'a> {
    agent: &'a Agent,
    task: &'a Upid,
    log: Log,
    next: usize,
    progress: Progress,
}

/// The state of a task.
enum Look {
    /// Its exit status; all of its log has been shown.
    Ended(String),
    Runs {
        more: bool,
    },
}

impl Shown<'_> {
    async fn look(&mut self) -> Result<Look> {
        // The status first: lines logged before the end can then be read.
        let ended = status(self.agent, self.task).await?;
        let more = self.more().await?;
        let Some(status) = ended else {
            return Ok(Look::Runs { more });
        };
        while self.more().await? {}
        Ok(Look::Ended(status))
    }

    /// Shows new lines of the log; returns whether there were any.
    async fn more(&mut self) -> Result<bool> {
        if self.log == Log::Nowhere {
            return Ok(false);
        }
        let lines = page(self.agent, self.task, self.next).await?;
        self.next += lines.len();
        for line in lines.iter().filter(|line| !is_outcome(line)) {
            match self.log {
                Log::Stdout => self.progress.line(line)?,
                Log::Stderr => output::note(line),
                Log::Nowhere => {}
            }
        }
        Ok(!lines.is_empty())
    }
}

/// The log's last line is the task's result, which the exit code and the error report here.
fn is_outcome(line: &str) -> bool {
    line == "TASK OK" || line.starts_with("TASK ERROR: ")
}

/// The UPID in the answer of a submit.
pub(crate) fn upid(data: &Value) -> Result<&str> {
    data.as_str().context("the agent answered no task")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_no_failure() {
        assert!(outcome("u", "OK").is_ok() && outcome("u", "WARNINGS: 2").is_ok());
        let failed = outcome("u", "no space left").unwrap_err();
        assert_eq!(
            failed.downcast_ref::<TaskFailed>().unwrap().status,
            "no space left"
        );
    }
}
