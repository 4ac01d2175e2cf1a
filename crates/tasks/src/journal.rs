//! The journal of all tasks: a line of JSON for each change of a task's state.
//!
//! ```text
//!   journal-00000007   accepted 1 · accepted 2 · planned 1 · planned 2 · ended 1 · …
//!                      └ one write and one sync for all lines that come at the same time
//! ```
//!
//! A new file is started when the engine is opened and when the old one is long. It begins with the
//! states of unfinished tasks. Nothing is ever added to a file of an earlier run: its last line may
//! be incomplete.

use std::collections::{BTreeMap, HashMap};

use model::Upid;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::archive::{Ended, is_yes, yes};

/// The first line of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Accepted {
    pub(crate) upid: Upid,
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) request_id: String,
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub(crate) listed: bool,
    pub(crate) task: Value,
}

/// A change of a task's state.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    Accepted(Accepted),
    /// The state of a task from an earlier run.
    Standing(Standing),
    /// All earlier steps are done. This step's names are chosen; its act may have begun.
    Planned {
        step: usize,
        task: Value,
    },
    /// The step is done. Written by earlier versions; now the next step's plan implies it.
    Done {
        step: usize,
        task: Value,
    },
    /// The task is being undone, for this reason.
    Failed {
        reason: String,
    },
    /// The step is undone.
    Undone {
        step: usize,
    },
    Ended(Ended),
}

/// A line and its task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The number of the task in its file; files of one task have none.
    #[serde(default)]
    pub(crate) n: u64,
    #[serde(flatten)]
    pub(crate) line: Line,
}

impl Entry {
    pub(crate) fn text(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec(self).unwrap_or_default();
        text.push(b'\n');
        text
    }
}

/// The state of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Standing {
    pub(crate) accepted: Accepted,
    /// The newest value of the task.
    pub(crate) task: Value,
    /// How many steps were planned and how many of those are done.
    pub(crate) planned: usize,
    pub(crate) done: usize,
    /// Why it is being undone, if it is.
    pub(crate) failed: Option<String>,
}

impl Standing {
    pub(crate) fn new(accepted: Accepted) -> Self {
        Self {
            task: accepted.task.clone(),
            accepted,
            planned: 0,
            done: 0,
            failed: None,
        }
    }

    pub(crate) fn add(&mut self, line: Line) {
        match line {
            Line::Planned { step, task } => {
                (self.planned, self.done, self.task) = (step + 1, step.max(self.done), task);
            }
            Line::Done { step, task } => (self.done, self.task) = (step + 1, task),
            Line::Failed { reason } => self.failed = Some(reason),
            Line::Undone { step } => {
                self.planned = step;
                self.done = self.done.min(step);
            }
            Line::Accepted(_) | Line::Standing(_) | Line::Ended(_) => {}
        }
    }
}

/// The content of journals, read file by file.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) standing: HashMap<Upid, Standing>,
    pub(crate) ended: Vec<Ended>,
}

impl Known {
    /// Reads a file; later files take precedence. A line that a crash cut off does not count.
    pub(crate) fn read(&mut self, content: &[u8]) {
        let mut standing: BTreeMap<u64, Standing> = BTreeMap::new();
        let lines = content.split(|byte| *byte == b'\n');
        let entries = lines.filter_map(|line| serde_json::from_slice::<Entry>(line).ok());
        for Entry { n, line } in entries {
            match line {
                Line::Accepted(accepted) => {
                    standing.insert(n, Standing::new(accepted));
                }
                Line::Standing(earlier) => {
                    standing.insert(n, earlier);
                }
                Line::Ended(ended) => {
                    standing.remove(&n);
                    self.standing.remove(&ended.upid);
                    self.ended.push(ended);
                }
                line => {
                    if let Some(standing) = standing.get_mut(&n) {
                        standing.add(line);
                    }
                }
            }
        }
        for standing in standing.into_values() {
            self.standing
                .insert(standing.accepted.upid.clone(), standing);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(entries: &[(u64, Line)]) -> Vec<u8> {
        let text = |(n, line): &(u64, Line)| {
            Entry {
                n: *n,
                line: line.clone(),
            }
            .text()
        };
        entries.iter().flat_map(text).collect()
    }

    fn accepted(number: u64) -> Line {
        Line::Accepted(Accepted {
            upid: upid(number),
            name: "qemu_start".into(),
            version: 1,
            request_id: "r".into(),
            listed: true,
            task: Value::from(0),
        })
    }

    fn upid(number: u64) -> Upid {
        format!("UPID:a:00000001:0000000{number}:6B00D68B:qmstart:100:root@pam:")
            .parse()
            .unwrap()
    }

    fn planned(step: usize) -> Line {
        Line::Planned {
            step,
            task: (step + 1).into(),
        }
    }

    fn ended(number: u64) -> Line {
        Line::Ended(Ended {
            upid: upid(number),
            at: 1,
            status: "OK".into(),
            request_id: "r".into(),
            listed: true,
            revision: 0,
            fields: model::FieldErrors::new(),
        })
    }

    fn read(content: &[u8]) -> Known {
        let mut known = Known::default();
        known.read(content);
        known
    }

    #[test]
    fn a_journal_says_where_each_task_stands() {
        let lines = [
            (1, accepted(1)),
            (2, accepted(2)),
            (1, planned(0)),
            (2, planned(0)),
            (1, planned(1)),
            (2, ended(2)),
        ];
        let known = read(&all(&lines));
        let standing = &known.standing[&upid(1)];
        assert_eq!((known.standing.len(), known.ended.len()), (1, 1));
        assert_eq!(
            (standing.planned, standing.done, &standing.task),
            (2, 1, &Value::from(2))
        );
    }

    #[test]
    fn a_file_of_one_task_as_earlier_versions_wrote_it() {
        let line = |line: &str| format!("{line}\n");
        let upid = upid(1);
        let text: String = [
            format!(
                "{{\"accepted\":{{\"upid\":\"{upid}\",\"name\":\"x\",\"version\":1,\
                 \"request_id\":\"\",\"task\":0}}}}"
            ),
            "{\"planned\":{\"step\":0,\"task\":1}}".to_owned(),
            "{\"done\":{\"step\":0,\"task\":2}}".to_owned(),
            "{\"planned\":{\"step\":1,\"task\":3}}".to_owned(),
            "{\"failed\":{\"reason\":\"no\"}}".to_owned(),
            "{\"undone\":{\"step\":1}}".to_owned(),
        ]
        .map(|text| line(&text))
        .concat();
        let known = read(text.as_bytes());
        let standing = &known.standing[&upid];
        assert_eq!((standing.planned, standing.done), (1, 1));
        assert_eq!(standing.failed.as_deref(), Some("no"));
        assert!(standing.accepted.listed);
    }

    #[test]
    fn a_line_cut_off_by_a_crash_never_counted() {
        let mut content = all(&[(1, accepted(1)), (1, planned(0))]);
        content.truncate(content.len() - 3);
        assert_eq!(read(&content).standing[&upid(1)].planned, 0);
        assert!(read(&all(&[(1, accepted(1))])[..20]).standing.is_empty());
    }

    #[test]
    fn a_later_file_counts_more() {
        let mut known = read(&all(&[(1, accepted(1)), (1, planned(0))]));
        let standing = known.standing[&upid(1)].clone();
        known.read(&all(&[(9, Line::Standing(standing)), (9, planned(1))]));
        assert_eq!(known.standing[&upid(1)].planned, 2);
        known.read(&all(&[(3, ended(1))]));
        assert!(known.standing.is_empty());
    }
}
