//! The journal of a task: one line of JSON for everything that must be remembered.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::Upid;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sys::{SharedHost, SysError};

use crate::reserve::Reserve;

/// Who submitted what. The first line of every journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Accepted {
    pub(crate) upid: Upid,
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) request_id: String,
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub(crate) listed: bool,
    pub(crate) task: Value,
}

/// What a journal or an index says that was written before there were tasks which are not listed.
pub(crate) fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's interface")]
pub(crate) fn is_yes(flag: &bool) -> bool {
    *flag
}

/// A line of a journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    Accepted(Accepted),
    /// The step's names are chosen; its act may have begun.
    Planned {
        step: usize,
        task: Value,
    },
    /// The step is done.
    Done {
        step: usize,
        task: Value,
    },
    /// The work is being taken back, because of this.
    Failed {
        reason: String,
    },
    /// The step is taken back.
    Undone {
        step: usize,
    },
}

/// Where a task stands, read from its journal.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) accepted: Accepted,
    /// The newest state of the task.
    pub(crate) task: Value,
    /// How many steps were planned and how many of those are done.
    pub(crate) planned: usize,
    pub(crate) done: usize,
    /// Why it is being taken back, if it is.
    pub(crate) failed: Option<String>,
}

/// Writes one task's journal.
pub(crate) struct Journal {
    host: SharedHost,
    reserve: Arc<Reserve>,
    path: PathBuf,
}

impl Journal {
    pub(crate) fn new(
        host: SharedHost,
        reserve: Arc<Reserve>,
        directory: &Path,
        upid: &Upid,
    ) -> Self {
        Self {
            host,
            reserve,
            path: directory.join(format!("{upid}.journal")),
        }
    }

    /// Writes the first line; durable on return.
    pub(crate) async fn begin(
        &self,
        accepted: Accepted,
        on_full_disk: bool,
    ) -> Result<(), SysError> {
        let text = text(&Line::Accepted(accepted));
        self.reserve.append(&self.path, &text, on_full_disk).await
    }

    /// Adds a line; durable on return. What has begun goes on also on a full disk.
    pub(crate) async fn write(&self, line: &Line) -> Result<(), SysError> {
        self.reserve.append(&self.path, &text(line), true).await
    }

    pub(crate) async fn remove(&self) -> Result<(), SysError> {
        self.host.remove(&self.path).await.map(|_| ())
    }
}

fn text(line: &Line) -> Vec<u8> {
    let mut text = serde_json::to_vec(line).unwrap_or_default();
    text.push(b'\n');
    text
}

/// Reads a journal. A last line that was cut off by a crash never counted and is passed over;
/// none where not even the first line is whole: then nothing was acknowledged.
pub(crate) fn read(content: &[u8]) -> Option<Standing> {
    let mut lines = content
        .split(|byte| *byte == b'\n')
        .map_while(|line| serde_json::from_slice::<Line>(line).ok());
    let Some(Line::Accepted(accepted)) = lines.next() else {
        return None;
    };
    let mut standing = Standing {
        task: accepted.task.clone(),
        accepted,
        planned: 0,
        done: 0,
        failed: None,
    };
    for line in lines {
        match line {
            Line::Accepted(_) => return None,
            Line::Planned { step, task } => (standing.planned, standing.task) = (step + 1, task),
            Line::Done { step, task } => (standing.done, standing.task) = (step + 1, task),
            Line::Failed { reason } => standing.failed = Some(reason),
            Line::Undone { step } => {
                standing.planned = step;
                standing.done = standing.done.min(step);
            }
        }
    }
    Some(standing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(lines: &[Line]) -> Vec<u8> {
        lines.iter().flat_map(text).collect()
    }

    fn accepted() -> Line {
        Line::Accepted(Accepted {
            upid: "UPID:a:00000001:00000001:6B00D68B:qmstart:100:root@pam:"
                .parse()
                .unwrap(),
            name: "qemu_start".into(),
            version: 1,
            request_id: "r".into(),
            listed: true,
            task: Value::from(0),
        })
    }

    #[test]
    fn a_journal_tells_where_the_task_stands() {
        let lines = [
            accepted(),
            Line::Planned {
                step: 0,
                task: 1.into(),
            },
            Line::Done {
                step: 0,
                task: 2.into(),
            },
            Line::Planned {
                step: 1,
                task: 3.into(),
            },
        ];
        let standing = read(&all(&lines)).unwrap();
        assert_eq!(
            (standing.planned, standing.done, standing.task),
            (2, 1, Value::from(3))
        );
    }

    #[test]
    fn a_line_cut_off_by_a_crash_never_counted() {
        let mut content = all(&[
            accepted(),
            Line::Planned {
                step: 0,
                task: 1.into(),
            },
        ]);
        content.truncate(content.len() - 3);
        assert_eq!(read(&content).unwrap().planned, 0);
        assert!(read(&all(&[accepted()])[..20]).is_none());
    }
}
