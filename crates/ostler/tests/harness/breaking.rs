//! Ends the agent in the middle of a task: at a line of the task's journal, not after some time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::{TestNode, kill};

/// A task that was to be broken off, after it has ended.
#[derive(Debug)]
pub struct Broken {
    /// What its journal said last before the agent was killed; none where the task ended before
    /// that had so many lines.
    pub killed_after: Option<String>,
    pub status: String,
}

impl Broken {
    pub fn is_ok(&self) -> bool {
        self.status == "OK"
    }
}

impl TestNode {
    /// Submits a task, kills the agent as soon as the task's journal has so many lines and that
    /// time has gone by, and waits until the agent that came after it has ended the task. The
    /// first line says that the task was accepted; each step writes one before its act and one
    /// after it.
    pub async fn break_off(
        &self,
        op: &str,
        params: Value,
        lines: usize,
        into_the_act: Duration,
    ) -> Broken {
        let agent = self.role("node")[0];
        let is_over = Arc::new(AtomicBool::new(false));
        let killer = {
            let (folder, is_over) = (self.root.join("var/lib/ostler/tasks"), Arc::clone(&is_over));
            tokio::spawn(async move {
                let wait = move || wait_for_line(&folder, lines, &is_over);
                let (upid, said) = tokio::task::spawn_blocking(wait).await.unwrap()?;
                // Not a wait for something, but the moment at which the agent dies.
                tokio::time::sleep(into_the_act).await;
                kill(agent);
                Some((upid, said))
            })
        };
        let answered = self.call(op, params).await;
        let status = match &answered {
            Ok(answer) => Some(self.ended(answer.data.as_str().unwrap()).await),
            // It died before it could answer.
            Err(_) => None,
        };
        let was_refused = status.is_none() && self.role("node").contains(&agent);
        is_over.store(status.is_some() || was_refused, Ordering::Relaxed);
        let killed = killer.await.unwrap();
        self.ready().await;
        let status = match (status, &killed) {
            (Some(status), _) => status,
            (None, Some((upid, _))) => self.ended(upid).await,
            (None, None) => unreachable!("refused: {answered:?}"),
        };
        let killed_after = killed.map(|(_, said)| said);
        Broken {
            killed_after,
            status,
        }
    }
}

/// Looks without a pause for a journal with so many lines: the task's UPID and what the last of
/// them said.
fn wait_for_line(folder: &Path, lines: usize, is_over: &AtomicBool) -> Option<(String, String)> {
    while !is_over.load(Ordering::Relaxed) {
        for journal in journals(folder) {
            let content = std::fs::read_to_string(&journal).unwrap_or_default();
            if content.matches('\n').count() >= lines {
                let upid = journal.file_stem()?.to_str()?.to_owned();
                return Some((upid, said(content.lines().last()?)));
            }
        }
    }
    None
}

fn journals(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "journal"))
}

/// `planned 2`, without the task's state.
fn said(line: &str) -> String {
    let line: Value = serde_json::from_str(line).unwrap_or_default();
    let (word, more) = line
        .as_object()
        .and_then(|line| line.iter().next())
        .unwrap();
    match more.get("step") {
        Some(step) => format!("{word} {step}"),
        None => word.clone(),
    }
}
