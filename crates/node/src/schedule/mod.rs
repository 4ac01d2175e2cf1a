//! The scheduler: begins what is due on this node (decision 26).
//!
//! ```text
//!   a kind of job (Scheduled) ── its jobs ──► turn, every few seconds
//!                                               │ zone: when is it due, by the node's clocks
//!        runs/<kind>/<job>/<node> ◄── begun ────┤ 1. the run is written down
//!                                    submit ────┤ 2. a task, with a request id of this run
//!                                 ◄── last ─────┘ 3. the task is written down
//! ```
//!
//! Each agent runs the jobs on what its node owns, and keeps what it has run in a record of the cluster.
//!
//! **Invariants.** A run is written down before it is submitted, and submitted under an id of its own:
//! an agent that dies in between neither loses it nor begins it twice. What was due until `settled` is
//! never looked at again, so that a clock that goes back repeats nothing. A job has one run at a time on
//! a node.

mod runs;
mod turn;
mod zone;

use async_trait::async_trait;
use model::calendar::CalendarEvent;
use model::{Error, UnixTime, Upid};
use tasks::{Engine, Submission};

use crate::{NodeContext, Records};

pub(crate) use runs::forget_node;
pub use runs::{Missed, Reason, Run, Runs};
pub use turn::{Scheduler, follow_schedules, note_asked, running};
pub use zone::Zone;

/// A job as the scheduler knows it.
#[derive(Debug, Clone)]
pub struct ScheduledJob {
    pub id: String,
    /// None: it never runs by the clock.
    pub schedule: Option<CalendarEvent>,
    pub enabled: bool,
    /// A run that was missed is caught up, once.
    pub repeat_missed: bool,
    /// When `schedule` or `enabled` was last changed.
    pub schedule_of: UnixTime,
}

/// A kind of job.
#[async_trait]
pub trait Scheduled: Send + Sync {
    /// A word for the keys of records.
    fn kind(&self) -> &'static str;

    /// The type of its tasks. Their id is the job's.
    fn task_kind(&self) -> &'static str;

    async fn jobs(&self, records: &Records) -> Result<Vec<ScheduledJob>, Error>;

    /// Whether there is anything for a job to do on this node.
    async fn has_work(&self, node: &NodeContext, job: &str) -> Result<bool, Error>;

    /// Submits the task of a run.
    async fn submit(
        &self,
        tasks: &Engine<NodeContext>,
        job: &str,
        submission: Submission,
    ) -> Result<Upid, Error>;
}
