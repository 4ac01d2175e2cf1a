//! Starts a container.
//!
//! ```text
//!   claim ─ apply-pending ─ admit ─ prepare ─ set-up ─ scope ─ launch ─ record ─ wait ┃ settle ─ release
//!                           │       │         names,                            │     ┃ its cards' limits
//!                           room    │         addresses          its init executes    ┃
//!                                   bridges, the script's pre-start
//! ```

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use guest::lxc::{CtConfig, CtRunFile};
use model::{Error, GuestRecord, VmId, VolumeId};
use planner::Demand;
use serde::{Deserialize, Serialize};
use sys::{ProcessId, ScopeName};
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::admit::{Admit, Admits};
use super::claim::{Claim, Claims, Release, check_lock};
use super::volume_delete::free_unwanted;
use super::{SHORT_PATIENCE, guest_object};
use crate::NodeContext;
use crate::guests::hooks::{self, Phase};
use crate::guests::options::apply_pending;
use crate::guests::reserved::Reservation;
use crate::lxc::files;
use crate::lxc::mounts::Purpose;
use crate::volumes::attached::by_task;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LxcStart {
    pub vmid: VmId,
    /// Start a container that is locked.
    pub skip_lock: bool,
    /// LXC writes all that it does to its log, as with the option of that name.
    pub debug: bool,
    /// Volumes that pending changes leave unwanted, found by `apply-pending`.
    #[serde(default)]
    unwanted: Vec<VolumeId>,
    /// Found by `launch`.
    #[serde(default)]
    process: Option<ProcessId>,
    #[serde(skip)]
    reservation: Option<Arc<Reservation<Demand>>>,
}

impl LxcStart {
    pub fn new(vmid: VmId, skip_lock: bool, debug: bool) -> Self {
        Self {
            vmid,
            skip_lock,
            debug,
            unwanted: Vec::new(),
            process: None,
            reservation: None,
        }
    }

    fn scope(&self) -> ScopeName {
        ScopeName::guest(self.vmid)
    }

    /// While this task has the container, no other changes it.
    async fn config(&self, cx: &Cx) -> Result<CtConfig, Error> {
        let record = cx.node.records.lxc(self.vmid).await?.record.data;
        let mut config = CtConfig::parse(&record.config).map_err(Error::invalid_fields)?;
        config.is_debugged |= self.debug;
        Ok(config)
    }
}

impl Task for LxcStart {
    type Node = NodeContext;
    const NAME: &'static str = "lxc_start";
    const VERSION: u32 = 2;
    const KIND: &'static str = "vzstart";
    const PATIENCE: Duration = SHORT_PATIENCE;

    fn steps() -> Steps<Self> {
        Steps {
            before: &[
                &Claim,
                &ApplyPending,
                &Admit,
                &Prepare,
                &SetUp,
                &MakeScope,
                &Spawn,
                &Record,
                &WaitForInit,
            ],
            after: &[&Settle, &Release],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }
}

impl Claims for LxcStart {
    const SHOWN_AS: &'static str = "";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        if guest.config.flag("template") == Some(true) {
            return Err(Error::conflict("you can't start a CT if it's a template"));
        }
        check_lock(guest, self.skip_lock)
    }
}

impl Admits for LxcStart {
    fn set_reservation(&mut self, reservation: Arc<Reservation<Demand>>) {
        self.reservation = Some(reservation);
    }
}

type Cx = TaskContext<NodeContext>;

/// Makes pending changes the configuration. They stay so if the start fails: the container does not
/// run, and then nothing is pending.
struct ApplyPending;

#[async_trait]
impl Step<LxcStart> for ApplyPending {
    fn name(&self) -> &'static str {
        "apply-pending"
    }

    async fn plan(&self, cx: &Cx, task: &mut LxcStart) -> Result<(), Error> {
        let vmid = task.vmid;
        if cx.node.running.is_running(vmid).await? {
            return Err(Error::conflict(format!("CT {vmid} already running")));
        }
        let mut guest = cx.node.records.lxc(vmid).await?.record.data;
        let names = cx.node.records.volume_names().await?;
        task.unwanted = apply_pending(&mut guest, &names).unwanted;
        Ok(())
    }

    async fn probe(&self, cx: &Cx, task: &mut LxcStart) -> Result<Probe, Error> {
        let guest = cx.node.records.lxc(task.vmid).await?.record.data;
        Ok(if guest.pending.is_empty() {
            Probe::Done
        } else {
            Probe::NotDone
        })
    }

    async fn act(&self, cx: &Cx, task: &mut LxcStart) -> Result<(), Error> {
        let records = &cx.node.records;
        let names = records.volume_names().await?;
        if !records.lxc(task.vmid).await?.record.data.pending.is_empty() {
            let apply = |guest: &mut GuestRecord| {
                apply_pending(guest, &names);
                Ok(())
            };
            cx.committed(records.change_guest(task.vmid, apply).await?.0);
        }
        for volume in &task.unwanted {
            free_unwanted(cx, volume).await?;
        }
        Ok(())
    }
}

/// Makes sure that what the container needs is there.
struct Prepare;

#[async_trait]
impl Step<LxcStart> for Prepare {
    fn name(&self) -> &'static str {
        "prepare"
    }

    async fn plan(&self, cx: &Cx, task: &mut LxcStart) -> Result<(), Error> {
        let config = task.config(cx).await?;
        cx.node.check_devices(&config).await?;
        cx.node.check_cards(task.vmid, &config).await
    }

    async fn probe(&self, _: &Cx, _: &mut LxcStart) -> Result<Probe, Error> {
        Ok(Probe::Done)
    }

    async fn act(&self, cx: &Cx, task: &mut LxcStart) -> Result<(), Error> {
        // What an earlier run left behind has no meaning any more.
        cx.node.running.forget(task.vmid).await?;
        hooks::call(cx, task.vmid, Phase::PreStart).await
    }
}

/// Writes into the container's files what it is to know of itself.
struct SetUp;

#[async_trait]
impl Step<LxcStart> for SetUp {
    fn name(&self) -> &'static str {
        "set-up"
    }

    async fn act(&self, cx: &Cx, task: &mut LxcStart) -> Result<(), Error> {
        let config = task.config(cx).await?;
        if config.is_unmanaged() {
            return Ok(());
        }
        let order = cx.node.setup_order(task.vmid, &config, None).await?;
        let set_up = files::set_up(cx, &config, &order, Purpose::Write, &by_task(cx)).await;
        cx.node.detach_container(&config, &by_task(cx)).await?;
        set_up.map(drop)
    }

    async fn undo(&self, cx: &Cx, task: &LxcStart) -> Result<(), Error> {
        let config = task.config(cx).await?;
        cx.node.detach_container(&config, &by_task(cx)).await
    }
}

struct MakeScope;

#[async_trait]
impl Step<LxcStart> for MakeScope {
    fn name(&self) -> &'static str {
        "scope"
    }

    async fn probe(&self, cx: &Cx, task: &mut LxcStart) -> Result<Probe, Error> {
        let found = cx.node.host.scopes().await?.contains(&task.scope());
        Ok(if found { Probe::Done } else { Probe::NotDone })
    }

    async fn act(&self, cx: &Cx, task: &mut LxcStart) -> Result<(), Error> {
        let config = task.config(cx).await?;
        let limits = cx.node.container_limits(task.vmid, &config).await;
        Ok(cx.node.host.create_scope(&task.scope(), &limits).await?)
    }

    async fn undo(&self, cx: &Cx, task: &LxcStart) -> Result<(), Error> {
        Ok(cx.node.host.kill_scope(&task.scope()).await?)
    }
}

struct Spawn;

#[async_trait]
impl Step<LxcStart> for Spawn {
    fn name(&self) -> &'static str {
        "launch"
    }

    async fn act(&self, cx: &Cx, task: &mut LxcStart) -> Result<(), Error> {
        let config = task.config(cx).await?;
        cx.node.write_container_config(task.vmid, &config).await?;
        let by = cx.node.by_guest(task.vmid).await?;
        let mounts = cx.node.container_mounts(&config, Purpose::Run, &by).await?;
        let process = cx.node.spawn_container(task.vmid, &config, mounts).await?;
        task.process = Some(process);
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &LxcStart) -> Result<(), Error> {
        cx.node.host.kill_scope(&task.scope()).await?;
        let config = task.config(cx).await?;
        let volumes = NodeContext::container_volumes(&config);
        let by = cx.node.by_guest(task.vmid).await?;
        cx.node.detach_all(&volumes, &by).await;
        cx.node.running.forget(task.vmid).await
    }
}

/// Writes down what was started.
struct Record;

#[async_trait]
impl Step<LxcStart> for Record {
    fn name(&self) -> &'static str {
        "record"
    }

    async fn act(&self, cx: &Cx, task: &mut LxcStart) -> Result<(), Error> {
        let record = cx.node.records.lxc(task.vmid).await?.record.data;
        let config = task.config(cx).await?;
        let process = task.process.clone();
        let process = process.ok_or_else(|| Error::bug("LXC was not started"))?;
        let file = CtRunFile {
            vmid: task.vmid,
            boot_id: process.boot_id,
            pid: process.pid,
            start_time: process.start_time,
            volumes: NodeContext::container_volumes(&config),
            epoch: record.epoch,
        };
        cx.node.running.write_container_file(&file).await
    }

    async fn undo(&self, cx: &Cx, task: &LxcStart) -> Result<(), Error> {
        let path = cx.node.paths.run_file(task.vmid);
        cx.node.host.remove(&path).await?;
        Ok(())
    }
}

/// Waits until the container's init executes.
struct WaitForInit;

#[async_trait]
impl Step<LxcStart> for WaitForInit {
    fn name(&self) -> &'static str {
        "wait-for-init"
    }

    async fn act(&self, cx: &Cx, task: &mut LxcStart) -> Result<(), Error> {
        let missing = || Error::bug("LXC was not started");
        let process = task.process.as_ref().ok_or_else(missing)?;
        let waited = cx.node.until_container_runs(task.vmid, process).await;
        if waited.is_err() {
            for line in cx.node.lxc_printed(task.vmid).await {
                cx.log(&line).await;
            }
        }
        waited
    }

    async fn undo(&self, _: &Cx, _: &LxcStart) -> Result<(), Error> {
        // The scope's undo ends its processes.
        Ok(())
    }
}

/// What is done around a container that runs, whatever becomes of it.
struct Settle;

#[async_trait]
impl Step<LxcStart> for Settle {
    fn name(&self) -> &'static str {
        "settle"
    }

    async fn act(&self, cx: &Cx, task: &mut LxcStart) -> Result<(), Error> {
        let config = task.config(cx).await?;
        match cx.node.settle_cards(task.vmid, &config).await {
            Ok(warnings) => {
                for text in warnings {
                    cx.warn(&text).await;
                }
            }
            Err(error) => cx.warn(&error.to_string()).await,
        }
        cx.node.status.nudge();
        hooks::call_or_warn(cx, task.vmid, Phase::PostStart).await;
        Ok(())
    }
}
