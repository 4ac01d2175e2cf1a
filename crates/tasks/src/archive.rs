//! What is known of tasks, running and ended.

use std::collections::{BTreeMap, HashMap};

use model::{FieldErrors, UnixTime, Upid};
use serde::{Deserialize, Serialize};

/// How many ended tasks are remembered.
pub(crate) const KEPT: usize = 5_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskState {
    Running,
    /// Its journal cannot be run by this version, or its end cannot be written. Shown as
    /// running; the text says why.
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
    /// The revision of the task's last commit, 0 where it made none.
    pub revision: u64,
    /// What was wrong with which parameter, where that is why it failed.
    pub fields: FieldErrors,
}

/// Which tasks a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFilter {
    pub running: bool,
    pub ended: bool,
    pub id: Option<String>,
    pub user: Option<String>,
    pub kind: Option<String>,
    pub since: Option<UnixTime>,
    pub until: Option<UnixTime>,
}

/// One line of the index of ended tasks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) upid: Upid,
    pub(crate) at: UnixTime,
    pub(crate) status: String,
    pub(crate) request_id: String,
    #[serde(default)]
    pub(crate) revision: u64,
    #[serde(default, skip_serializing_if = "FieldErrors::is_empty")]
    pub(crate) fields: FieldErrors,
}

impl Ended {
    pub(crate) fn summary(self) -> TaskSummary {
        TaskSummary {
            upid: self.upid,
            state: TaskState::Ended {
                at: self.at,
                status: self.status,
            },
            revision: self.revision,
            fields: self.fields,
        }
    }
}

/// All tasks that are remembered, by start.
#[derive(Default)]
pub(crate) struct Archive {
    tasks: BTreeMap<(UnixTime, Upid), TaskSummary>,
    requests: HashMap<String, Upid>,
}

impl Archive {
    pub(crate) fn insert(&mut self, request_id: &str, summary: TaskSummary) {
        if !request_id.is_empty() {
            self.requests
                .insert(request_id.to_owned(), summary.upid.clone());
        }
        self.tasks
            .insert((summary.upid.starttime, summary.upid.clone()), summary);
        while self.tasks.len() > KEPT {
            let oldest_ended = self
                .tasks
                .iter()
                .find(|(_, task)| matches!(task.state, TaskState::Ended { .. }))
                .map(|(key, _)| key.clone());
            let Some(key) = oldest_ended else { return };
            self.tasks.remove(&key);
            self.requests.retain(|_, upid| *upid != key.1);
        }
    }

    pub(crate) fn by_request(&self, request_id: &str) -> Option<&Upid> {
        self.requests.get(request_id)
    }

    pub(crate) fn get(&self, upid: &Upid) -> Option<&TaskSummary> {
        self.tasks.get(&(upid.starttime, upid.clone()))
    }

    pub(crate) fn set(&mut self, upid: &Upid, state: TaskState, revision: u64) {
        if let Some(task) = self.tasks.get_mut(&(upid.starttime, upid.clone())) {
            (task.state, task.revision) = (state, revision);
        }
    }

    pub(crate) fn end(&mut self, ended: Ended) {
        let key = (ended.upid.starttime, ended.upid.clone());
        if let Some(task) = self.tasks.get_mut(&key) {
            *task = ended.summary();
        }
    }

    /// Newest first.
    pub(crate) fn list(&self, filter: &TaskFilter) -> Vec<TaskSummary> {
        self.tasks
            .values()
            .rev()
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
