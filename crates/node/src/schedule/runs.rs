//! What a node has done of a job, in a record of the cluster: every member can list it.

use model::{Error, NodeName, Record, UnixTime, Upid};
use serde::{Deserialize, Serialize};
use store::{Commit, Entry, Key, Precondition, Prefix, Store, StoreError, list_all};

use crate::Records;
use crate::records::unreadable;

/// How many missed runs are named; all are counted.
const MISSED_NAMED: usize = 20;

/// The runs of a job on a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Runs {
    /// When the job's schedule was last changed, as the node knows it.
    pub schedule_of: UnixTime,
    /// What was due until then is decided: it ran, was missed, or there was nothing to do.
    pub settled: UnixTime,
    /// Counts the runs that were begun, so that each has a name of its own.
    #[serde(default)]
    pub count: u64,
    /// A run that is about to be submitted. Written before: whatever happens in between, the agent knows
    /// that this run is due, and asks the task engine whether it has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Begun>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Run>,
    /// The latest missed runs since the schedule was changed, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missed: Vec<Missed>,
    #[serde(default)]
    pub missed_count: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    pub due: UnixTime,
    /// Its number among the job's runs.
    pub number: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// None if a caller asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<UnixTime>,
    pub upid: Upid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<UnixTime>,
    /// How it ended: `OK`, `WARNINGS: n` or the error's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// Why a run that was due did not begin in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The node was off, its agent did not run, or it had no quorum.
    Late,
    /// The run before had not ended.
    StillRunning,
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::StillRunning => "still-running",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    pub due: UnixTime,
    pub reason: Reason,
}

impl Runs {
    /// Of a job that is new, or has a new schedule: what was due before does not count.
    pub(super) fn from(schedule_of: UnixTime, now: UnixTime, before: Option<Self>) -> Self {
        Self {
            schedule_of,
            settled: now,
            count: before.as_ref().map_or(0, |runs| runs.count),
            begun: before.as_ref().and_then(|runs| runs.begun),
            last: before.and_then(|runs| runs.last),
            missed: Vec::new(),
            missed_count: 0,
        }
    }

    /// A run begins.
    pub(super) fn begin(&mut self, due: UnixTime) {
        self.count += 1;
        let number = self.count;
        self.begun = Some(Begun { due, number });
    }

    pub(super) fn miss(&mut self, due: &[UnixTime], reason: Reason) {
        let missed = due.iter().map(|due| Missed { due: *due, reason });
        self.missed.extend(missed);
        self.missed_count += due.len() as u64;
        let surplus = self.missed.len().saturating_sub(MISSED_NAMED);
        self.missed.drain(..surplus);
    }
}

fn runs_key(kind: &str, job: &str, node: &NodeName) -> Result<Key, Error> {
    let key = Key::new(format!("runs/{kind}/{job}/{node}"));
    key.map_err(|_| Error::invalid("id", "the name is too long"))
}

fn decode(entry: &Entry) -> Result<Record<Runs>, Error> {
    Record::decode(&entry.value).map_err(unreadable)
}

impl Records {
    pub(super) async fn runs(
        &self,
        kind: &str,
        job: &str,
        node: &NodeName,
    ) -> Result<Option<Runs>, Error> {
        let key = runs_key(kind, job, node)?;
        let (entry, _) = self.store().get(&key, self.read()).await?;
        let record = entry.as_ref().map(decode).transpose()?;
        Ok(record.map(|record| record.data))
    }

    /// The runs of all jobs of a kind: job, node, runs.
    pub async fn all_runs(&self, kind: &str) -> Result<Vec<(String, NodeName, Runs)>, Error> {
        let prefix = Prefix::below(&format!("runs/{kind}")).expect("a kind is a word of a key");
        let (entries, _) = list_all(&**self.store(), &prefix, self.read()).await?;
        let mut all = Vec::new();
        for entry in &entries {
            let mut words = entry.key.as_str().rsplit('/');
            let (node, job) = (words.next(), words.next());
            if let (Some(Ok(node)), Some(job)) = (node.map(NodeName::new), job) {
                all.push((job.to_owned(), node, decode(entry)?.data));
            }
        }
        Ok(all)
    }

    /// Changes a job's runs on a node. `change` may be called several times, each time on the newest
    /// ones.
    pub(super) async fn change_runs(
        &self,
        kind: &str,
        job: &str,
        node: &NodeName,
        change: impl Fn(Option<Runs>) -> Option<Runs>,
    ) -> Result<Option<Runs>, Error> {
        let key = runs_key(kind, job, node)?;
        loop {
            let (entry, _) = self.store().get(&key, store::Read::Linear).await?;
            let mut record = entry.as_ref().map(decode).transpose()?;
            let before = record.as_ref().map(|record| record.data.clone());
            let Some(after) = change(before.clone()) else {
                return Ok(before);
            };
            let value = match &mut record {
                Some(record) => {
                    record.data = after.clone();
                    record.encode()
                }
                None => Record::new(after.clone()).encode(),
            };
            let unchanged = match &entry {
                Some(entry) => Precondition::ModifiedAt(key.clone(), entry.modified),
                None => Precondition::Absent(key.clone()),
            };
            let commit = Commit::new()
                .when(unchanged)
                .put(key.clone(), value.map_err(unreadable)?);
            match self.store().commit(commit).await {
                Err(StoreError::Conflict { .. }) => {}
                result => return result.map(|_| Some(after)).map_err(Error::from),
            }
        }
    }

    /// Adds the removal of a job's runs on all nodes to a commit.
    pub(crate) async fn without_runs(
        &self,
        kind: &str,
        job: &str,
        mut commit: Commit,
    ) -> Result<Commit, Error> {
        for (of, node, _) in self.all_runs(kind).await? {
            if of == job {
                commit = commit.delete(runs_key(kind, job, &node)?);
            }
        }
        Ok(commit)
    }
}

/// Forgets what a node that is removed has run.
pub(crate) async fn forget_node(store: &dyn Store, node: &NodeName) -> Result<(), Error> {
    let prefix = Prefix::below("runs").expect("a constant that is a key");
    let (entries, _) = list_all(store, &prefix, store::Read::Linear).await?;
    let is_its = |key: &Key| key.as_str().rsplit('/').next() == Some(node.as_str());
    let its: Vec<Key> = entries
        .into_iter()
        .map(|entry| entry.key)
        .filter(is_its)
        .collect();
    for some in its.chunks(store::limits::WRITES_PER_COMMIT) {
        let commit = some.iter().cloned().fold(Commit::new(), Commit::delete);
        store.commit(commit).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_missed_runs_are_named_and_all_are_counted() {
        let mut runs = Runs::from(1, 2, None);
        runs.miss(&(0..30).collect::<Vec<_>>(), Reason::Late);
        assert_eq!((runs.missed.len(), runs.missed_count), (20, 30));
        assert_eq!(runs.missed[0].due, 10);
        let text = serde_json::to_string(&runs.missed[0]).unwrap();
        assert_eq!(text, r#"{"due":10,"reason":"late"}"#);
        let anew = Runs::from(5, 6, Some(runs));
        assert_eq!((anew.settled, anew.missed_count), (6, 0));
    }
}
