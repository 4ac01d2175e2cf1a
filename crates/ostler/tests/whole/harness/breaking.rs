//! Interrupts tasks at a line of the task's journal, not after some time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::{TestNode, kill};

/// How a task is interrupted.
#[derive(Debug, Clone, Copy)]
pub enum Break {
    /// The agent is killed this long after the line was written, and restarted.
    Death(Duration),
    /// The task is stopped by a request.
    Stop,
}

/// Between two acts, which is before the second one, and in the middle of it.
pub const IN_AN_ACT: [Break; 3] = [
    Break::Death(Duration::ZERO),
    Break::Death(Duration::from_millis(15)),
    Break::Stop,
];

/// Before the first act there is no middle.
const ACCEPTED: [Break; 1] = [Break::Death(Duration::ZERO)];

/// An interrupted task, after it has ended.
#[derive(Debug)]
pub struct Broken {
    /// The last journal line before the interruption; none if the task ended before its journal had
    /// that many lines.
    pub after: Option<String>,
    pub status: String,
}

impl Broken {
    pub fn is_ok(&self) -> bool {
        self.status == "OK"
    }
}

impl TestNode {
    /// Submits a task, interrupts it when its journal has that many lines, and waits for its end.
    /// The first line says that the task was accepted; each step writes one before its act.
    pub async fn break_off(&self, op: &str, params: Value, lines: usize, how: Break) -> Broken {
        let agent = self.role("node")[0];
        let broken = async |upid: &str| match how {
            Break::Death(into_the_act) => {
                // Not a wait for a condition, but the moment of the agent's death.
                tokio::time::sleep(into_the_act).await;
                kill(agent);
            }
            Break::Stop => {
                let task = json!({"node": self.name, "upid": upid});
                self.call("task_stop", task).await.unwrap();
            }
        };
        self.interrupt(op, params, lines, broken).await
    }

    /// Runs a task repeatedly, interrupting it one journal line later each time, in each of the ways for
    /// that line, until it ends before that. `check` looks at the result after each run. Returns the
    /// number of runs.
    pub async fn break_everywhere(
        &self,
        op: &str,
        ways: impl Fn(usize) -> Vec<Break>,
        params: impl AsyncFn(usize) -> Value,
        mut check: impl AsyncFnMut(usize, &Broken),
    ) -> usize {
        let mut number = 0;
        let mut finished = 0;
        for lines in 1.. {
            let mut was_broken = false;
            let ways = match lines {
                1 => ACCEPTED.to_vec(),
                _ => ways(lines),
            };
            for how in ways {
                let broken = self.break_off(op, params(number).await, lines, how).await;
                println!("{op}, {number}: {how:?} {broken:?}");
                check(number, &broken).await;
                was_broken |= broken.after.is_some();
                finished += usize::from(broken.is_ok());
                number += 1;
            }
            if !was_broken {
                break;
            }
        }
        assert!(finished > 0, "the last one, at least, was not broken off");
        number
    }

    /// `break_off` with an interruption of one's own, which gets the UPID.
    pub async fn interrupt(
        &self,
        op: &str,
        params: Value,
        lines: usize,
        interruption: impl AsyncFnOnce(&str),
    ) -> Broken {
        let agent = self.role("node")[0];
        let is_over = Arc::new(AtomicBool::new(false));
        let task = async {
            let answered = self.call(op, params).await;
            let status = match &answered {
                Ok(answer) => Some(self.ended(answer.data.as_str().unwrap()).await),
                Err(error) if self.role("node").contains(&agent) => {
                    is_over.store(true, Ordering::Relaxed);
                    panic!("refused: {error}")
                }
                // The agent died before it could answer.
                Err(_) => None,
            };
            is_over.store(status.is_some(), Ordering::Relaxed);
            status
        };
        let breaker = async {
            let (folder, is_over) = (self.root.join("var/lib/ostler/tasks"), Arc::clone(&is_over));
            let wait = move || wait_for_line(&folder, lines, &is_over);
            let (upid, said) = tokio::task::spawn_blocking(wait).await.unwrap()?;
            interruption(&upid).await;
            Some((upid, said))
        };
        let (status, broken) = tokio::join!(task, breaker);
        self.ready().await;
        let status = match (status, &broken) {
            (Some(status), _) => status,
            (None, Some((upid, _))) => self.ended(upid).await,
            (None, None) => unreachable!("every wait has a timeout"),
        };
        let after = broken.map(|(_, said)| said);
        Broken { after, status }
    }
}

impl TestNode {
    /// The number of unfinished tasks in the journal.
    pub fn tasks_in_the_journal(&self) -> usize {
        tasks(&self.root.join("var/lib/ostler/tasks")).len()
    }
}

/// Polls without a pause for a task with that many lines in the journal: its UPID and the last of
/// them.
fn wait_for_line(folder: &Path, lines: usize, is_over: &AtomicBool) -> Option<(String, String)> {
    while !is_over.load(Ordering::Relaxed) {
        let found = tasks(folder).into_values().find(|task| task.len() >= lines);
        if let Some(task) = found {
            let upid = task[0]["accepted"]["upid"].as_str()?.to_owned();
            return Some((upid, said(&task[task.len() - 1])));
        }
    }
    None
}

/// The lines of unfinished tasks, by number, from the newest file of the journal.
fn tasks(folder: &Path) -> BTreeMap<u64, Vec<Value>> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let is_journal = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("journal-"))
    };
    let mut tasks: BTreeMap<u64, Vec<Value>> = BTreeMap::new();
    let Some(newest) = paths.filter(is_journal).max() else {
        return tasks;
    };
    let content = std::fs::read_to_string(newest).unwrap_or_default();
    // An incomplete last line does not count.
    for line in content.split_inclusive('\n') {
        let Ok(line) = serde_json::from_str::<Value>(line.trim_end()) else {
            continue;
        };
        let number = line["n"].as_u64().unwrap_or(0);
        if line.get("ended").is_some() {
            tasks.remove(&number);
        } else {
            tasks.entry(number).or_default().push(line);
        }
    }
    tasks
}

/// `planned 2`, without the task's state.
fn said(line: &Value) -> String {
    let mut words = line.as_object().into_iter().flatten();
    let (word, more) = words.find(|(name, _)| *name != "n").unwrap();
    match more.get("step") {
        Some(step) => format!("{word} {step}"),
        None => word.clone(),
    }
}
