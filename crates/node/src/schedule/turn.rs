//! One look at all jobs: what is due begins, what has ended is written down.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Error, UnixTime, Upid, UserId};
use tasks::{Engine, INTERRUPTED, Submission, TaskFilter, TaskState};
use tracing::{debug, info, warn};

use super::runs::{Begun, Reason, Run, Runs};
use super::zone::Zone;
use super::{Scheduled, ScheduledJob};
use crate::NodeContext;

/// A run that begins later than this after it was due was missed.
const LATE_S: i64 = 300;

/// A clock that was further ahead than this was wrong: what it settled does not count.
const WRONG_S: i64 = 24 * 3600;

/// The longest pause between two looks.
const LOOK_S: i64 = 10;

/// Runs of jobs.
pub struct Scheduler {
    kinds: Vec<Box<dyn Scheduled>>,
    /// When each job is due next, and what that follows from.
    due: BTreeMap<(&'static str, String), Due>,
}

#[derive(PartialEq)]
struct Due {
    schedule_of: UnixTime,
    settled: UnixTime,
    zone: String,
    next: Option<UnixTime>,
}

/// Begins what is due. Never returns.
pub async fn follow_schedules(
    node: &NodeContext,
    tasks: &Engine<NodeContext>,
    kinds: Vec<Box<dyn Scheduled>>,
) {
    let mut scheduler = Scheduler::new(kinds);
    loop {
        let pause = scheduler.turn(node, tasks).await;
        node.clock.sleep(pause).await;
    }
}

/// The task of a job that runs now on this node.
pub fn running(tasks: &Engine<NodeContext>, task_kind: &str, job: &str) -> Option<Upid> {
    let filter = TaskFilter {
        running: true,
        kind: Some(task_kind.to_owned()),
        id: Some(job.to_owned()),
        ..TaskFilter::default()
    };
    let is_running = |task: &tasks::TaskSummary| task.state == TaskState::Running;
    let found = tasks.list(&filter).into_iter().find(is_running);
    found.map(|task| task.upid)
}

/// Writes down a run that a caller asked for.
pub async fn note_asked(
    node: &NodeContext,
    kind: &str,
    job: &ScheduledJob,
    upid: &Upid,
) -> Result<(), Error> {
    let now = node.clock.wall();
    let note = |runs: Option<Runs>| {
        let mut runs = runs.unwrap_or_else(|| Runs::from(job.schedule_of, now, None));
        runs.last = Some(Run {
            due: None,
            upid: upid.clone(),
            ended: None,
            status: None,
        });
        Some(runs)
    };
    let changed = node.records.change_runs(kind, &job.id, &node.name, note);
    changed.await.map(drop)
}

impl Scheduler {
    pub fn new(kinds: Vec<Box<dyn Scheduled>>) -> Self {
        Self {
            kinds,
            due: BTreeMap::new(),
        }
    }

    /// Looks at all jobs once, and says how long the next look may wait.
    pub async fn turn(&mut self, node: &NodeContext, tasks: &Engine<NodeContext>) -> Duration {
        let mut wake = node.clock.wall() + LOOK_S;
        if node.records.store().outage().is_none() {
            for kind in &self.kinds {
                match look(&**kind, node, tasks, &mut self.due).await {
                    Ok(next) => wake = wake.min(next.unwrap_or(wake)),
                    Err(error) => warn!(kind = kind.kind(), %error, "jobs are not looked at"),
                }
            }
        }
        let pause_s = (wake - node.clock.wall()).clamp(1, LOOK_S);
        Duration::from_secs(pause_s.unsigned_abs())
    }
}

/// Looks at the jobs of a kind. Returns when the next one is due.
async fn look(
    kind: &dyn Scheduled,
    node: &NodeContext,
    tasks: &Engine<NodeContext>,
    due: &mut BTreeMap<(&'static str, String), Due>,
) -> Result<Option<UnixTime>, Error> {
    let jobs = kind.jobs(&node.records.local()).await?;
    let is_there = |id: &String| jobs.iter().any(|job| job.id == *id);
    due.retain(|(of, id), _| *of != kind.kind() || is_there(id));
    if jobs.is_empty() {
        return Ok(None);
    }
    let zone = Zone::of(node).await?;
    let mut wake = None;
    for job in &jobs {
        let known = due.remove(&(kind.kind(), job.id.clone()));
        let of = Look {
            kind,
            node,
            tasks,
            job,
            zone: &zone,
        };
        match of.look(known).await {
            Ok((next, is_running)) => {
                // Its end is written down soon.
                let look = is_running.then(|| node.clock.wall() + 1);
                wake = [wake, look, next.next].into_iter().flatten().min();
                due.insert((kind.kind(), job.id.clone()), next);
            }
            // One job does not hold up the others.
            Err(error) => warn!(kind = kind.kind(), job = job.id, %error, "a job is not looked at"),
        }
    }
    Ok(wake)
}

/// Whether the last run has not ended, as far as is written down.
fn is_open(runs: &Runs) -> bool {
    runs.last.as_ref().is_some_and(|last| last.ended.is_none())
}

/// One look at a job.
struct Look<'a> {
    kind: &'a dyn Scheduled,
    node: &'a NodeContext,
    tasks: &'a Engine<NodeContext>,
    job: &'a ScheduledJob,
    zone: &'a Zone,
}

impl Look<'_> {
    /// When the job is due next, and whether a run of it has not ended.
    async fn look(&self, known: Option<Due>) -> Result<(Due, bool), Error> {
        let mut runs = self.runs().await?;
        runs = self.note_end(runs).await?;
        if let Some(begun) = runs.begun {
            runs = self.go_on(begun).await?;
        }
        let now = self.node.clock.wall();
        if runs.settled > now + WRONG_S {
            warn!(
                job = self.job.id,
                "the clock was wrong: what it made of a job's schedule is forgotten"
            );
            runs = self.change(|runs| runs.settled = now).await?;
        }
        let due = match known {
            Some(due) if self.is_of(&due, &runs) => due,
            _ => self.next(&runs).await?,
        };
        if !self.job.enabled || due.next.is_none_or(|next| next > now) {
            return Ok((due, is_open(&runs)));
        }
        let runs = self.begin(runs, now).await?;
        Ok((self.next(&runs).await?, is_open(&runs)))
    }

    fn is_of(&self, due: &Due, runs: &Runs) -> bool {
        due.schedule_of == runs.schedule_of
            && due.settled == runs.settled
            && due.zone == self.zone.name()
    }

    async fn next(&self, runs: &Runs) -> Result<Due, Error> {
        let next = match &self.job.schedule {
            Some(schedule) if self.job.enabled => self.zone.next(schedule, runs.settled).await?,
            _ => None,
        };
        Ok(Due {
            schedule_of: runs.schedule_of,
            settled: runs.settled,
            zone: self.zone.name().to_owned(),
            next,
        })
    }

    /// What was run before, from now on for the job as it is.
    async fn runs(&self) -> Result<Runs, Error> {
        let (kind, node) = (self.kind.kind(), self.node);
        let records = node.records.local();
        let schedule_of = self.job.schedule_of;
        match records.runs(kind, &self.job.id, &node.name).await? {
            Some(runs) if runs.schedule_of == schedule_of => Ok(runs),
            _ => {
                let now = node.clock.wall();
                let anew = |runs| Runs::from(schedule_of, now, runs);
                self.change_or(|runs| Some(anew(runs))).await
            }
        }
    }

    /// Changes the runs of the job, which are there.
    async fn change(&self, change: impl Fn(&mut Runs)) -> Result<Runs, Error> {
        self.change_or(|runs| {
            let mut runs = runs?;
            change(&mut runs);
            Some(runs)
        })
        .await
    }

    async fn change_or(
        &self,
        change: impl Fn(Option<Runs>) -> Option<Runs>,
    ) -> Result<Runs, Error> {
        let (kind, name) = (self.kind.kind(), &self.node.name);
        let records = &self.node.records;
        let changed = records
            .change_runs(kind, &self.job.id, name, change)
            .await?;
        changed.ok_or_else(|| Error::conflict("the job is gone"))
    }

    /// Writes down that the last run has ended, once.
    async fn note_end(&self, runs: Runs) -> Result<Runs, Error> {
        let Some(last) = runs.last.as_ref().filter(|_| is_open(&runs)) else {
            return Ok(runs);
        };
        let (at, how) = match self.tasks.get(&last.upid).map(|task| task.state) {
            Ok(TaskState::Running) => return Ok(runs),
            Ok(TaskState::Ended { at, status }) => (at, status),
            Ok(TaskState::Stuck(why)) => (self.node.clock.wall(), why),
            Err(_) => (self.node.clock.wall(), "unknown".to_owned()),
        };
        let upid = &last.upid.clone();
        // The agent died before the task had chosen what to do.
        let again = last.due.filter(|_| how == INTERRUPTED);
        self.change(|runs| {
            if let Some(last) = runs.last.as_mut().filter(|last| last.upid == *upid) {
                last.ended = Some(at);
                last.status = Some(how.clone());
                if let Some(due) = again {
                    runs.begin(due);
                }
            }
        })
        .await
    }

    /// Decides what was due until now.
    async fn begin(&self, runs: Runs, now: UnixTime) -> Result<Runs, Error> {
        let Some(schedule) = &self.job.schedule else {
            return Ok(runs);
        };
        let due = self.zone.between(schedule, runs.settled, now).await?;
        let Some((last, before)) = due.split_last() else {
            return Ok(runs);
        };
        if !self.kind.has_work(self.node, &self.job.id).await? {
            debug!(job = self.job.id, due = last, "nothing to do on this node");
            return self.change(|runs| runs.settled = *last).await;
        }
        let is_late = now - last > LATE_S;
        let going = running(self.tasks, self.kind.task_kind(), &self.job.id);
        if let Some(upid) = &going {
            warn!(job = self.job.id, due = last, %upid, "not begun: the run before has not ended");
        } else if is_late {
            warn!(job = self.job.id, due = last, "a run was missed");
        }
        let runs = self
            .change(|runs| {
                runs.settled = *last;
                runs.miss(before, Reason::Late);
                if going.is_some() {
                    runs.miss(&[*last], Reason::StillRunning);
                    return;
                }
                if is_late {
                    runs.miss(&[*last], Reason::Late);
                }
                if !is_late || self.job.repeat_missed {
                    runs.begin(*last);
                }
            })
            .await?;
        match runs.begun {
            Some(begun) => self.submit(begun).await,
            None => Ok(runs),
        }
    }

    /// A run that was written down, and not that it was submitted.
    async fn go_on(&self, begun: Begun) -> Result<Runs, Error> {
        if let Some(upid) = self.tasks.submitted(&self.request_id(begun)) {
            return self.submitted(begun, &upid).await;
        }
        let is_late = self.node.clock.wall() - begun.due > LATE_S;
        // One that was begun late already is in the list.
        let is_named = |runs: &Runs| runs.missed.iter().any(|missed| missed.due == begun.due);
        if !self.job.enabled || (is_late && !self.job.repeat_missed) {
            return self
                .change(|runs| {
                    runs.begun = None;
                    if !is_named(runs) {
                        runs.miss(&[begun.due], Reason::Late);
                    }
                })
                .await;
        }
        self.submit(begun).await
    }

    async fn submit(&self, begun: Begun) -> Result<Runs, Error> {
        let submission = Submission {
            request_id: self.request_id(begun),
            user: UserId::root().to_string(),
            id: self.job.id.clone(),
            listed: true,
        };
        let upid = self
            .kind
            .submit(self.tasks, &self.job.id, submission)
            .await?;
        info!(job = self.job.id, due = begun.due, %upid, "a job runs");
        self.submitted(begun, &upid).await
    }

    async fn submitted(&self, begun: Begun, upid: &Upid) -> Result<Runs, Error> {
        self.change(|runs| {
            if runs.begun == Some(begun) {
                runs.begun = None;
                runs.last = Some(Run {
                    due: Some(begun.due),
                    upid: upid.clone(),
                    ended: None,
                    status: None,
                });
            }
        })
        .await
    }

    /// Never the same for two runs, also of a job that takes the name of one that is gone.
    fn request_id(&self, begun: Begun) -> String {
        let (kind, id) = (self.kind.kind(), &self.job.id);
        format!("run {} of {kind} job {id}, due {}", begun.number, begun.due)
    }
}
