//! Runs a snapshot job on this node, for all of its guests or for one that is about to be changed: makes a
//! snapshot of each, and removes those of the job that its retention does not keep.
//!
//! ```text
//!   choose ┃ snapshot-guests
//!     │    ┃ each guest by tasks of its own, which are undone or completed by themselves
//!     the guests, the name and the retention, as the job is now
//! ```
//!
//! A guest that cannot have a snapshot is named and does not hold up the others; the task then ends with
//! an error. Nothing of such a guest is removed.

use async_trait::async_trait;
use model::retention::Retention;
use model::{Error, ErrorKind, GuestKind, GuestRecord, SnapshotState, VmId};
use serde::{Deserialize, Serialize};
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::bulk::list;
use super::guest_snapshots::{delete, perform};
use super::{LxcSnapshot, QemuSnapshot};
use crate::NodeContext;
use crate::schedule::Zone;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SnapshotJobRun {
    pub job: String,
    /// Only this one of the job's guests.
    #[serde(default)]
    only: Option<VmId>,
    /// Chosen by `choose`.
    #[serde(default)]
    guests: Vec<(VmId, GuestKind)>,
    #[serde(default)]
    templates: Vec<VmId>,
    #[serde(default)]
    absent: Vec<VmId>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    with_memory: bool,
    #[serde(default)]
    keep: Retention,
    /// The guests that something failed of.
    #[serde(default)]
    failed: Vec<VmId>,
}

impl SnapshotJobRun {
    pub fn new(job: String) -> Self {
        Self {
            job,
            only: None,
            guests: Vec::new(),
            templates: Vec::new(),
            absent: Vec::new(),
            name: String::new(),
            with_memory: false,
            keep: Retention::default(),
            failed: Vec::new(),
        }
    }

    /// For one guest of the job.
    pub fn of_guest(job: String, vmid: VmId) -> Self {
        Self {
            only: Some(vmid),
            ..Self::new(job)
        }
    }
}

impl Task for SnapshotJobRun {
    type Node = NodeContext;
    const NAME: &'static str = "snapshot_job_run";
    const VERSION: u32 = 1;
    const KIND: &'static str = "snapshotjob";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Choose],
            after: &[&SnapshotGuests],
        }
    }

    fn object(&self) -> Option<String> {
        Some(match self.only {
            Some(vmid) => format!("snapshot-job/{}/{vmid}", self.job),
            None => format!("snapshot-job/{}", self.job),
        })
    }

    fn verdict(&self) -> Result<(), Error> {
        match self.failed.as_slice() {
            [] => Ok(()),
            failed => Err(Error::conflict(format!("job errors: {}", list(failed)))),
        }
    }
}

type Cx = TaskContext<NodeContext>;

struct Choose;

#[async_trait]
impl Step<SnapshotJobRun> for Choose {
    fn name(&self) -> &'static str {
        "choose"
    }

    async fn plan(&self, cx: &Cx, task: &mut SnapshotJobRun) -> Result<(), Error> {
        let job = cx.node.records.snapshot_job(&task.job).await?;
        let mut selected = job.selection().on(&cx.node).await?;
        if let Some(only) = task.only {
            selected.guests.retain(|(vmid, _)| *vmid == only);
            selected.templates.clear();
            selected.absent.clear();
        }
        task.guests = selected.guests;
        task.templates = selected.templates;
        task.absent = selected.absent;
        let now = cx.clock.wall();
        task.name = job.snapshot_name(now);
        if let Some(only) = task.only {
            // Changes may follow each other within a second.
            let guest = cx.node.records.guest(only).await?.record.data;
            let is_free = |name: &String| !guest.snapshots.contains_key(name);
            let mut names = (now..).map(|second| job.snapshot_name(second));
            task.name = names.find(is_free).unwrap_or_default();
        }
        task.with_memory = job.with_memory();
        task.keep = job.retention();
        Ok(())
    }

    /// What is chosen is in the journal: nothing else is to be done.
    async fn probe(&self, _cx: &Cx, _task: &mut SnapshotJobRun) -> Result<Probe, Error> {
        Ok(Probe::Done)
    }

    async fn act(&self, _cx: &Cx, _task: &mut SnapshotJobRun) -> Result<(), Error> {
        Ok(())
    }
}

struct SnapshotGuests;

#[async_trait]
impl Step<SnapshotJobRun> for SnapshotGuests {
    fn name(&self) -> &'static str {
        "snapshot-guests"
    }

    async fn act(&self, cx: &Cx, task: &mut SnapshotJobRun) -> Result<(), Error> {
        let (job, name) = (&task.job, &task.name);
        let count = task.guests.len();
        let text = format!("running snapshot job '{job}': snapshot '{name}' of {count} guests");
        cx.log(&text).await;
        if !task.templates.is_empty() {
            let text = format!("skip templates: {}", list(&task.templates));
            cx.log(&text).await;
        }
        for vmid in &task.absent {
            cx.warn(&format!("guest {vmid} does not exist")).await;
        }
        let mut failed = Vec::new();
        for (vmid, kind) in &task.guests {
            let of = OfGuest {
                cx,
                run: task,
                vmid: *vmid,
                kind: *kind,
            };
            if let Err(error) = of.run().await {
                let word = kind.word();
                cx.log(&format!("ERROR: {word} {vmid}: {error}")).await;
                failed.push(*vmid);
            }
        }
        task.failed = failed;
        Ok(())
    }
}

/// The job's work on one guest.
struct OfGuest<'a> {
    cx: &'a Cx,
    run: &'a SnapshotJobRun,
    vmid: VmId,
    kind: GuestKind,
}

impl OfGuest<'_> {
    async fn run(&self) -> Result<(), Error> {
        let word = format!("{} {}", self.kind.word(), self.vmid);
        let guest = match self.cx.node.records.guest(self.vmid).await {
            Ok(entry) => entry.record.data,
            Err(error) if error.kind == ErrorKind::NotFound => {
                let text = format!("{word} is not on this node any more");
                self.cx.warn(&text).await;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if !self.is_made(&guest) {
            self.make().await?;
        }
        let name = &self.run.name;
        self.cx
            .log(&format!("{word}: snapshot '{name}' made"))
            .await;
        self.prune().await
    }

    /// Whether an earlier attempt of this run has made it.
    fn is_made(&self, guest: &GuestRecord) -> bool {
        let made = guest.snapshots.get(&self.run.name);
        made.is_some_and(|made| made.job.as_ref() == Some(&self.run.job) && made.state.is_none())
    }

    async fn make(&self) -> Result<(), Error> {
        let of = (self.vmid, self.kind);
        let name = self.run.name.clone();
        let job = Some(self.run.job.clone());
        let description = Some(format!("made by snapshot job '{}'", self.run.job));
        match self.kind {
            GuestKind::Qemu => {
                let memory = self.run.with_memory;
                let mut task = QemuSnapshot::new(self.vmid, name, description, memory);
                task.job = job;
                perform(self.cx, of, "snapshot", task).await
            }
            GuestKind::Lxc => {
                let mut task = LxcSnapshot::new(self.vmid, name, description);
                task.job = job;
                perform(self.cx, of, "snapshot", task).await
            }
        }
    }

    /// Removes what the retention does not keep. Only what this job has made is looked at.
    async fn prune(&self) -> Result<(), Error> {
        let guest = self.cx.node.records.guest(self.vmid).await?.record.data;
        let surplus = self.surplus(&guest).await?;
        for name in surplus {
            delete(self.cx, (self.vmid, self.kind), &name).await?;
        }
        Ok(())
    }

    /// The job's snapshots that go, oldest last.
    async fn surplus(&self, guest: &GuestRecord) -> Result<Vec<String>, Error> {
        let own = guest
            .snapshots
            .iter()
            .filter(|(_, snapshot)| snapshot.job.as_ref() == Some(&self.run.job));
        // One that was half deleted goes on to be; one that is being made is another task's.
        let (mut half, mut whole) = (Vec::new(), Vec::new());
        for (name, snapshot) in own {
            match snapshot.state {
                // What was just made is the newest, also of one second.
                None => whole.push((snapshot.created, *name == self.run.name, name)),
                Some(SnapshotState::Delete) => half.push(name.clone()),
                Some(SnapshotState::Prepare) => {}
            }
        }
        whole.sort_unstable();
        whole.reverse();
        let times: Vec<i64> = whole.iter().map(|(created, ..)| *created).collect();
        let zone = Zone::of(&self.cx.node).await?;
        let kept = self.run.keep.kept(&zone.civil(&times).await?);
        let surplus = whole.into_iter().zip(kept);
        let surplus = surplus.filter(|((_, is_new, _), kept)| !kept && !is_new);
        half.extend(surplus.map(|((.., name), _)| name.clone()));
        Ok(half)
    }
}
