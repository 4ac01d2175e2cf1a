//! Changes a virtual machine's configuration.
//!
//! ```text
//!   claim ─ allocate ─ apply ┃ hotplug ─ keep ─ remove-unwanted ─ release
//!                      │     ┃   │        └ what took effect becomes configuration
//!                      │     ┃   └ option by option, while the guest runs
//!                      └ while it runs, what QEMU would have to know is pending
//! ```

use std::time::Duration;

use async_trait::async_trait;
use model::{Error, FieldErrors, GuestRecord, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use store::Revision;
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::allocate::{Allocate, Allocates};
use super::claim::{Claim, Claims, Release, check_digest, check_lock};
use super::volume_delete::free_unwanted;
use super::{SHORT_PATIENCE, guest_object};
use crate::NodeContext;
use crate::guests::options::apply_taken;
use crate::guests::ports;
use crate::qemu::edit::Edit;
use crate::qemu::hotplug::{Changer, Outcome};
use crate::records::{Change, check_busy};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QemuConfigure {
    pub vmid: VmId,
    pub edit: Edit,
    /// The configuration that the caller knew; another one is not changed.
    pub digest: Option<String>,
    pub skip_lock: bool,
    /// Volumes to be removed, found by `apply`.
    #[serde(default)]
    unwanted: Vec<VolumeId>,
    /// Options that were pending, found by `hotplug`.
    #[serde(default)]
    pending: Vec<String>,
    /// Those of them that have taken effect.
    #[serde(default)]
    taken: Vec<String>,
    /// Why others have not.
    #[serde(default)]
    problems: FieldErrors,
}

impl QemuConfigure {
    pub fn new(vmid: VmId, edit: Edit, digest: Option<String>, skip_lock: bool) -> Self {
        Self {
            vmid,
            edit,
            digest,
            skip_lock,
            unwanted: Vec::new(),
            pending: Vec::new(),
            taken: Vec::new(),
            problems: FieldErrors::new(),
        }
    }

    /// Makes the change in one commit, without a task, where nothing has to be allocated, freed
    /// or plugged; none where it needs more than that. The caller holds the guest.
    pub async fn at_once(&self, node: &NodeContext) -> Result<Option<Revision>, Error> {
        if self.edit.names_drives() {
            return Ok(None);
        }
        let is_running = node.running.is_running(self.vmid).await?;
        let names = node.records.names_for(&self.edit).await?;
        let mut is_simple = true;
        let change = |guest: &mut GuestRecord| {
            self.check(guest)?;
            check_busy(guest)?;
            let applied = self.edit.apply(guest, is_running, &names);
            is_simple = applied.unwanted.is_empty() && guest.pending.is_empty();
            Ok(if is_simple {
                Change::Write
            } else {
                Change::Keep
            })
        };
        let revision = node.records.change_guest_if(self.vmid, change).await?;
        Ok(is_simple.then_some(revision))
    }
}

impl Task for QemuConfigure {
    type Node = NodeContext;
    const NAME: &'static str = "qemu_configure";
    const VERSION: u32 = 2;
    const KIND: &'static str = "qmconfig";
    const PATIENCE: Duration = SHORT_PATIENCE;

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Claim, &Allocate, &Apply],
            after: &[&Hotplug, &Keep, &RemoveUnwanted, &Release],
        }
    }

    fn verdict(&self) -> Result<(), Error> {
        if self.problems.is_empty() {
            return Ok(());
        }
        Err(Error::invalid_fields(self.problems.clone()))
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }
}

impl Claims for QemuConfigure {
    const SHOWN_AS: &'static str = "";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        check_digest(guest, self.digest.as_deref())?;
        let unlocks = self.edit.delete.iter().any(|name| name == "lock");
        check_lock(guest, self.skip_lock || unlocks)
    }
}

impl Allocates for QemuConfigure {
    fn owner(&self) -> VmId {
        self.vmid
    }

    fn edit(&self) -> &Edit {
        &self.edit
    }

    fn edit_mut(&mut self) -> &mut Edit {
        &mut self.edit
    }
}

type Cx = TaskContext<NodeContext>;

/// One commit: what can take effect now does, the rest waits.
struct Apply;

#[async_trait]
impl Step<QemuConfigure> for Apply {
    fn name(&self) -> &'static str {
        "apply"
    }

    async fn plan(&self, cx: &Cx, task: &mut QemuConfigure) -> Result<(), Error> {
        // What the commit will make unwanted is written down before it: the record does not show
        // it afterwards.
        let is_running = cx.node.running.is_running(task.vmid).await?;
        let mut guest = cx.node.records.qemu(task.vmid).await?.record.data;
        let names = cx.node.records.names_for(&task.edit).await?;
        task.unwanted = task.edit.apply(&mut guest, is_running, &names).unwanted;
        cx.node.check_no_clones(&task.unwanted, &names).await
    }

    async fn probe(&self, cx: &Cx, task: &mut QemuConfigure) -> Result<Probe, Error> {
        let is_running = cx.node.running.is_running(task.vmid).await?;
        let before = cx.node.records.qemu(task.vmid).await?.record.data;
        let mut after = before.clone();
        let names = cx.node.records.names_for(&task.edit).await?;
        task.edit.apply(&mut after, is_running, &names);
        Ok(if after == before {
            Probe::Done
        } else {
            Probe::NotDone
        })
    }

    async fn act(&self, cx: &Cx, task: &mut QemuConfigure) -> Result<(), Error> {
        let is_running = cx.node.running.is_running(task.vmid).await?;
        let names = cx.node.records.names_for(&task.edit).await?;
        let change = |guest: &mut GuestRecord| {
            task.edit.apply(guest, is_running, &names);
            Ok(())
        };
        let revision = cx.node.records.change_guest(task.vmid, change).await?;
        cx.committed(revision.0);
        Ok(())
    }
}

/// How often an option is tried whose change failed for want of something else.
const ATTEMPTS: u32 = 3;

/// Makes pending options take effect in the running guest, those of earlier changes too.
///
/// What QEMU or the guest refuse stays pending, and the task goes on: an option must not hold up
/// the others, nor a QEMU that does not answer the guest's other tasks.
struct Hotplug;

#[async_trait]
impl Step<QemuConfigure> for Hotplug {
    fn name(&self) -> &'static str {
        "hotplug"
    }

    async fn plan(&self, cx: &Cx, task: &mut QemuConfigure) -> Result<(), Error> {
        let guest = cx.node.records.qemu(task.vmid).await?.record.data;
        task.pending = guest.pending.into_keys().collect();
        Ok(())
    }

    async fn probe(&self, _: &Cx, _: &mut QemuConfigure) -> Result<Probe, Error> {
        // Each change finds out by itself what is done.
        Ok(Probe::NotDone)
    }

    async fn act(&self, cx: &Cx, task: &mut QemuConfigure) -> Result<(), Error> {
        task.taken.clear();
        task.problems.clear();
        for option in task.pending.clone() {
            let mut attempts = 0;
            let outcome = loop {
                attempts += 1;
                match change(cx, task, &option).await {
                    Ok(outcome) => break outcome,
                    Err(error) if attempts == ATTEMPTS => {
                        break Outcome::Problem(error.to_string());
                    }
                    Err(error) => cx.log(&format!("{option}: trying again: {error}")).await,
                }
            };
            match outcome {
                Outcome::Took => task.taken.push(option),
                Outcome::Waits => {}
                Outcome::Problem(why) => {
                    let text = format!("hotplug problem - {why}");
                    cx.log(&format!("{option}: {text}")).await;
                    task.problems.insert(option, text);
                }
            }
        }
        Ok(())
    }
}

/// One option of the guest as it now is: what took effect before counts.
async fn change(cx: &Cx, task: &QemuConfigure, option: &str) -> Result<Outcome, Error> {
    let mut guest = cx.node.records.qemu(task.vmid).await?.record.data;
    let names = cx.node.records.volume_names().await?;
    apply_taken(&mut guest, &task.taken, &names);
    let Some(change) = guest.pending.get(option).cloned() else {
        return Ok(Outcome::Waits);
    };
    match Changer::open(&cx.node, task.vmid, guest.config).await? {
        Some(mut changer) => changer.change(option, &change).await,
        None => {
            // It has ended: there is nothing left to wait for, and no record shows a tap that was
            // made for a card that did not come.
            if let Some(index) = option.strip_prefix("net").and_then(|n| n.parse().ok()) {
                let tap = ports::tap(task.vmid, index);
                network::detach(&*cx.node.host, &tap).await?;
            }
            Ok(Outcome::Took)
        }
    }
}

/// One commit: what has taken effect is configuration now.
struct Keep;

#[async_trait]
impl Step<QemuConfigure> for Keep {
    fn name(&self) -> &'static str {
        "keep"
    }

    async fn plan(&self, cx: &Cx, task: &mut QemuConfigure) -> Result<(), Error> {
        // As with `apply`: the record does not show it afterwards.
        let mut guest = cx.node.records.qemu(task.vmid).await?.record.data;
        let names = cx.node.records.volume_names().await?;
        let unwanted = apply_taken(&mut guest, &task.taken, &names).unwanted;
        task.unwanted.extend(unwanted);
        Ok(())
    }

    async fn probe(&self, cx: &Cx, task: &mut QemuConfigure) -> Result<Probe, Error> {
        let guest = cx.node.records.qemu(task.vmid).await?.record.data;
        let is_done = task
            .taken
            .iter()
            .all(|name| !guest.pending.contains_key(name));
        Ok(if is_done { Probe::Done } else { Probe::NotDone })
    }

    async fn act(&self, cx: &Cx, task: &mut QemuConfigure) -> Result<(), Error> {
        if task.taken.is_empty() {
            return Ok(());
        }
        let names = cx.node.records.volume_names().await?;
        let keep = |guest: &mut GuestRecord| {
            apply_taken(guest, &task.taken, &names);
            Ok(())
        };
        cx.committed(cx.node.records.change_guest(task.vmid, keep).await?.0);
        Ok(())
    }
}

/// Volumes that were to go with their drive.
struct RemoveUnwanted;

#[async_trait]
impl Step<QemuConfigure> for RemoveUnwanted {
    fn name(&self) -> &'static str {
        "remove-unwanted"
    }

    async fn act(&self, cx: &Cx, task: &mut QemuConfigure) -> Result<(), Error> {
        for volume in &task.unwanted {
            free_unwanted(cx, volume).await?;
        }
        Ok(())
    }
}
