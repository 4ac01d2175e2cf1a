//! The index of tasks, running and ended.

use std::collections::{BTreeMap, HashMap};

use model::{FieldErrors, UnixTime, Upid};
use serde::{Deserialize, Serialize};

/// How many ended tasks are kept that lists show.
pub(crate) const KEPT: usize = 5_000;

/// How many unlisted ones: as long as a client may repeat its request.
const KEPT_UNLISTED: usize = 500;

/// How long an ended task is kept, in seconds: a year.
const KEPT_S: i64 = 365 * 24 * 3600;

/// The default for journals and indexes from before there were unlisted tasks.
pub(crate) fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's interface")]
pub(crate) fn is_yes(flag: &bool) -> bool {
    *flag
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskState {
    Running,
    /// This version cannot run its journal, or its end cannot be written. Shown as running; the
    /// text says why.
    Stuck(String),
    Ended {
        at: UnixTime,
        /// `OK`, `WARNINGS: n` or the error's text.
        status: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskSummary {
    pub upid: Upid,
    pub state: TaskState,
    /// Whether lists show the task.
    pub listed: bool,
    /// The revision of the task's last commit, 0 if it made none.
    pub revision: u64,
    /// The invalid parameters that made it fail, with reasons.
    pub fields: FieldErrors,
}

impl TaskSummary {
    /// Whether it succeeded, with or without warnings.
    pub fn is_ok(&self) -> bool {
        match &self.state {
            TaskState::Ended { status, .. } => status == "OK" || status.starts_with("WARNINGS"),
            _ => false,
        }
    }
}

/// The filter of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFilter {
    pub running: bool,
    pub ended: bool,
    pub id: Option<String>,
    pub user: Option<String>,
    pub kind: Option<String>,
    pub since: Option<UnixTime>,
    pub until: Option<UnixTime>,
    /// Include unlisted tasks, which belong to one request.
    pub unlisted: bool,
}

/// One line of the index of ended tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) upid: Upid,
    pub(crate) at: UnixTime,
    pub(crate) status: String,
    pub(crate) request_id: String,
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub(crate) listed: bool,
    #[serde(default)]
    pub(crate) revision: u64,
    #[serde(default, skip_serializing_if = "FieldErrors::is_empty")]
    pub(crate) fields: FieldErrors,
}

impl Ended {
    /// As a line of the index.
    pub(crate) fn text(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec(self).unwrap_or_default();
        text.push(b'\n');
        text
    }

    pub(crate) fn summary(self) -> TaskSummary {
        TaskSummary {
            upid: self.upid,
            state: TaskState::Ended {
                at: self.at,
                status: self.status,
            },
            listed: self.listed,
            revision: self.revision,
            fields: self.fields,
        }
    }
}

/// All tasks in the index, by start.
#[derive(Default)]
pub(crate) struct Archive {
    tasks: BTreeMap<(UnixTime, Upid), Known>,
    requests: HashMap<String, Upid>,
}

struct Known {
    summary: TaskSummary,
    request_id: String,
}

impl Archive {
    pub(crate) fn insert(&mut self, request_id: &str, summary: TaskSummary) {
        let upid = &summary.upid;
        if !request_id.is_empty() {
            self.requests.insert(request_id.to_owned(), upid.clone());
        }
        let key = (upid.starttime, upid.clone());
        let request_id = request_id.to_owned();
        self.tasks.insert(
            key,
            Known {
                summary,
                request_id,
            },
        );
    }

    /// Drops ended tasks that are too old or too many, and returns them.
    pub(crate) fn forget(&mut self, now: UnixTime) -> Vec<Upid> {
        let (mut listed, mut unlisted) = (0, 0);
        let mut forgotten = Vec::new();
        for (key, known) in self.tasks.iter().rev() {
            let summary = &known.summary;
            let TaskState::Ended { at, .. } = summary.state else {
                continue;
            };
            let (count, kept) = match summary.listed {
                true => (&mut listed, KEPT),
                false => (&mut unlisted, KEPT_UNLISTED),
            };
            *count += 1;
            if *count > kept || at < now - KEPT_S {
                forgotten.push(key.clone());
            }
        }
        for key in &forgotten {
            if let Some(known) = self.tasks.remove(key) {
                self.requests.remove(&known.request_id);
            }
        }
        forgotten.into_iter().map(|(_, upid)| upid).collect()
    }

    pub(crate) fn by_request(&self, request_id: &str) -> Option<&Upid> {
        self.requests.get(request_id)
    }

    pub(crate) fn get(&self, upid: &Upid) -> Option<&TaskSummary> {
        let known = self.tasks.get(&(upid.starttime, upid.clone()))?;
        Some(&known.summary)
    }

    pub(crate) fn set_stuck(&mut self, upid: &Upid, reason: String) {
        if let Some(known) = self.tasks.get_mut(&(upid.starttime, upid.clone())) {
            known.summary.state = TaskState::Stuck(reason);
        }
    }

    pub(crate) fn end(&mut self, ended: Ended) {
        let key = (ended.upid.starttime, ended.upid.clone());
        if let Some(known) = self.tasks.get_mut(&key) {
            known.summary = ended.summary();
        }
    }

    /// The ended tasks, oldest first, as lines of the index.
    pub(crate) fn ended(&self) -> impl Iterator<Item = Ended> + '_ {
        self.tasks.values().filter_map(|known| {
            let summary = &known.summary;
            let TaskState::Ended { at, status } = &summary.state else {
                return None;
            };
            Some(Ended {
                upid: summary.upid.clone(),
                at: *at,
                status: status.clone(),
                request_id: known.request_id.clone(),
                listed: summary.listed,
                revision: summary.revision,
                fields: summary.fields.clone(),
            })
        })
    }

    /// Newest first.
    pub(crate) fn list(&self, filter: &TaskFilter) -> Vec<TaskSummary> {
        let newest_first = self.tasks.values().rev().map(|known| &known.summary);
        newest_first
            .filter(|task| filter.shows(task))
            .cloned()
            .collect()
    }
}

impl TaskFilter {
    fn shows(&self, task: &TaskSummary) -> bool {
        let upid = &task.upid;
        let ended = matches!(task.state, TaskState::Ended { .. });
        let wanted_state = if ended { self.ended } else { self.running };
        let equal = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        wanted_state
            && (task.listed || self.unlisted || matches!(task.state, TaskState::Stuck(_)))
            && equal(&self.id, &upid.id)
            && equal(&self.kind, &upid.kind)
            && self
                .user
                .as_deref()
                .is_none_or(|user| upid.user.contains(user))
            && self.since.is_none_or(|since| upid.starttime >= since)
            && self.until.is_none_or(|until| upid.starttime <= until)
    }
}
