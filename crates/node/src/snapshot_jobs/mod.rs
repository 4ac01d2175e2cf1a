//! Jobs that make snapshots of guests by a schedule or before changes, and keep the newest of them
//! (docs/snapshots.md).

mod change;
mod kind;
mod selection;

use model::calendar::CalendarEvent;
use model::retention::Retention;
use model::schema::format::split_list;
use model::{Error, UnixTime, VmId};
use serde_json::Value;
use store::{Commit, Key, Precondition, Prefix, Revision, StoreError};

use crate::schedule::ScheduledJob;
use crate::{Records, Settings};

pub use change::Change;
pub use kind::SnapshotJobs;
pub use selection::{Choice, Selected, Selection};

/// The word for snapshot jobs in keys.
pub const KIND: &str = "snapshot";

/// The longest name of a snapshot in Proxmox VE.
const NAME_LENGTH: usize = 40;

/// `-20261129-020000`
const TIME_LENGTH: usize = 16;

/// The longest beginning of the name of a job's snapshots.
pub const PREFIX_LENGTH: usize = NAME_LENGTH - TIME_LENGTH;

/// An option that is no parameter: when `schedule` or `enabled` was last changed.
pub const SCHEDULE_OF: &str = "updated";

/// The key of a job's record.
pub fn snapshot_job_key(id: &str) -> Result<Key, Error> {
    let key = Key::new(format!("snapshot-job/{id}"));
    key.map_err(|_| Error::invalid("id", "the name is too long"))
}

/// There is no such job, in the words of Proxmox VE.
pub fn no_snapshot_job(id: &str) -> Error {
    Error::invalid("id", format!("No such job '{id}'"))
}

/// A snapshot job.
#[derive(Debug, Clone, PartialEq)]
pub struct SnapshotJob {
    pub id: String,
    pub settings: Settings,
}

impl SnapshotJob {
    fn text(&self, option: &str) -> Option<&str> {
        self.settings.options.get(option)?.as_str()
    }

    fn flag(&self, option: &str) -> Option<bool> {
        match self.settings.options.get(option)? {
            Value::Bool(flag) => Some(*flag),
            other => other.as_i64().map(|number| number != 0),
        }
    }

    fn number(&self, option: &str) -> Option<i64> {
        self.settings.options.get(option)?.as_i64()
    }

    pub fn is_enabled(&self) -> bool {
        self.flag("enabled") != Some(false)
    }

    /// Whether the memory of running virtual machines is saved too.
    pub fn with_memory(&self) -> bool {
        self.flag("vmstate") == Some(true)
    }

    pub fn selection(&self) -> Selection {
        Selection {
            node: self.text("node").and_then(|node| node.parse().ok()),
            choice: Choice::of(|option| self.text(option), self.flag("all")),
        }
    }

    pub fn retention(&self) -> Retention {
        Retention::of(|option| self.number(option))
    }

    /// When it runs by the clock; none: never.
    pub fn event(&self) -> Result<Option<CalendarEvent>, Error> {
        let text = self.text("schedule");
        let event = text.map(CalendarEvent::parse).transpose();
        event.map_err(|reason| Error::invalid("schedule", reason))
    }

    /// The changes before which a snapshot of the guest is made.
    pub fn before(&self) -> Vec<Change> {
        let words = split_list(self.text("before").unwrap_or_default());
        words.filter_map(|word| word.parse().ok()).collect()
    }

    pub fn scheduled(&self) -> Result<ScheduledJob, Error> {
        Ok(ScheduledJob {
            id: self.id.clone(),
            schedule: self.event()?,
            enabled: self.is_enabled(),
            repeat_missed: self.flag("repeat-missed") == Some(true),
            schedule_of: self.number(SCHEDULE_OF).unwrap_or(0),
        })
    }

    /// What the names of the job's snapshots begin with.
    fn prefix(&self) -> &str {
        let id = &self.id[..self.id.len().min(PREFIX_LENGTH)];
        self.text("prefix").unwrap_or(id)
    }

    /// The name of the snapshots of a run that begins now. It has the time in UTC: no two are the
    /// same where clocks are put back.
    pub fn snapshot_name(&self, now: UnixTime) -> String {
        let (day, second) = (now.div_euclid(86_400), now.rem_euclid(86_400));
        let (year, month, of_month) = model::calendar::civil_date(day);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let prefix = self.prefix();
        format!("{prefix}-{year:04}{month:02}{of_month:02}-{hour:02}{minute:02}{second:02}")
    }
}

impl Records {
    /// All jobs, by id.
    pub async fn snapshot_jobs(&self) -> Result<Vec<SnapshotJob>, Error> {
        let prefix = Prefix::below("snapshot-job").expect("a constant that is a key");
        let all = self.all_settings(&prefix).await?.into_iter();
        Ok(all
            .map(|(id, settings)| SnapshotJob { id, settings })
            .collect())
    }

    pub async fn snapshot_job(&self, id: &str) -> Result<SnapshotJob, Error> {
        let settings = self.kept_settings(&snapshot_job_key(id)?).await?;
        let settings = settings.ok_or_else(|| no_snapshot_job(id))?;
        Ok(SnapshotJob {
            id: id.to_owned(),
            settings,
        })
    }

    /// Removes a job with what is known of its runs. Its snapshots stay.
    pub async fn remove_snapshot_job(&self, id: &str) -> Result<Revision, Error> {
        let key = snapshot_job_key(id)?;
        loop {
            let (entry, _) = self.store().get(&key, store::Read::Linear).await?;
            let entry = entry.ok_or_else(|| no_snapshot_job(id))?;
            let commit = Commit::new()
                .when(Precondition::ModifiedAt(key.clone(), entry.modified))
                .delete(key.clone());
            let commit = self.without_runs(KIND, id, commit).await?;
            match self.store().commit(commit).await {
                Err(StoreError::Conflict { .. }) => {}
                result => return Ok(result?),
            }
        }
    }
}

/// The lists of guests that a job may have.
const LISTS: [&str; 2] = ["vmid", "exclude"];

/// Takes a guest out of a job's lists.
fn without_guest(settings: &mut Settings, vmid: VmId) -> Lists {
    let mut lists = Lists::Unchanged;
    for option in LISTS {
        let Some(Value::String(list)) = settings.options.get(option) else {
            continue;
        };
        let is_other = |word: &&str| word.parse().ok() != Some(vmid);
        let others: Vec<&str> = split_list(list).filter(is_other).collect();
        if others.len() == split_list(list).count() {
            continue;
        }
        let others = others.join(",");
        lists = match (option, others.is_empty()) {
            ("vmid", true) => return Lists::NoGuest,
            _ => Lists::Changed,
        };
        match others.is_empty() {
            true => settings.options.remove(option),
            false => settings.options.insert(option.to_owned(), others.into()),
        };
    }
    lists
}

#[derive(Debug, PartialEq, Eq)]
enum Lists {
    Unchanged,
    Changed,
    /// The job would be for no guest.
    NoGuest,
}

impl Records {
    /// Takes a guest out of the jobs that name it. A job of this guest alone goes, as in Proxmox VE.
    pub(crate) async fn purge_from_snapshot_jobs(&self, vmid: VmId) -> Result<Vec<String>, Error> {
        let mut lines = Vec::new();
        for SnapshotJob { id, mut settings } in self.snapshot_jobs().await? {
            match without_guest(&mut settings, vmid) {
                Lists::Unchanged => {}
                Lists::NoGuest => {
                    self.remove_snapshot_job(&id).await?;
                    lines.push(format!(
                        "removed snapshot job '{id}', which was for this guest alone"
                    ));
                }
                Lists::Changed => {
                    let change = |settings: &mut Settings| {
                        without_guest(settings, vmid);
                        Ok(())
                    };
                    let key = snapshot_job_key(&id)?;
                    self.update_settings(&key, || no_snapshot_job(&id), change)
                        .await?;
                    lines.push(format!("removed from snapshot job '{id}'"));
                }
            }
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    pub(super) fn job(id: &str, options: Value) -> SnapshotJob {
        let Value::Object(options) = options else {
            panic!("an object")
        };
        let options = options.into_iter().collect();
        SnapshotJob {
            id: id.to_owned(),
            settings: Settings { options },
        }
    }

    #[test]
    fn names_have_the_time_and_keep_to_the_length() {
        let now = 1_796_000_000;
        let named = |id: &str, options: Value| job(id, options).snapshot_name(now);
        assert_eq!(named("daily", json!({})), "daily-20261130-005320");
        let prefix = json!({"prefix": "auto_"});
        assert_eq!(named("daily", prefix), "auto_-20261130-005320");
        let long = named(&"x".repeat(60), json!({}));
        assert_eq!(long.len(), NAME_LENGTH);
    }

    #[test]
    fn a_guest_that_is_gone_is_in_no_list() {
        let gone: VmId = "100".parse().unwrap();
        for (options, lists, after) in [
            (
                json!({"vmid": "99,100;101"}),
                Lists::Changed,
                json!({"vmid": "99,101"}),
            ),
            (
                json!({"vmid": "101"}),
                Lists::Unchanged,
                json!({"vmid": "101"}),
            ),
            (
                json!({"vmid": "100"}),
                Lists::NoGuest,
                json!({"vmid": "100"}),
            ),
            (
                json!({"all": true, "exclude": "100"}),
                Lists::Changed,
                json!({"all": true}),
            ),
            (
                json!({"pool": "100"}),
                Lists::Unchanged,
                json!({"pool": "100"}),
            ),
        ] {
            let mut settings = job("j", options).settings;
            assert_eq!(without_guest(&mut settings, gone), lists);
            assert_eq!(settings, job("j", after).settings);
        }
    }

    #[test]
    fn a_job_is_what_its_options_say() {
        let options = json!({"schedule": "2:30", "enabled": false, "keep-daily": 7,
            "keep-last": 0, "repeat-missed": true, "updated": 5, "all": true});
        let job = job("daily", options);
        let retention = Retention {
            daily: 7,
            ..Retention::default()
        };
        assert_eq!(job.retention(), retention);
        let scheduled = job.scheduled().unwrap();
        assert!(!scheduled.enabled && scheduled.repeat_missed);
        assert_eq!((scheduled.schedule_of, job.with_memory()), (5, false));
    }
}
