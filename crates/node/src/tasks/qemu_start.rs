//! Starts a virtual machine.
//!
//! ```text
//!   claim ─ apply-pending ─ admit ─ prepare-seed ─ write-seed ─ layout ─ devices ─ taps ─ scope
//!                           │       │                                           the script's pre-start
//!                           room    the medium with cloud-init's data           comes first
//!   launch ─ record ─ wait-for-qmp ─ cont ┃ forget-memory ─ post-start ─ release
//!                     │                   ┃ point of no return: the guest executes
//!                     saved memory is read
//! ```

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use guest::qemu::{Accel, QemuInfo, Qmp, QmpError, RunningAs, VmConfig, plan};
use model::{Error, GuestRecord, PortSpec, SavedMemory, VmId, VolumeId};
use planner::Demand;
use serde::{Deserialize, Serialize};
use storage::AttachMode;
use sys::{Command, ProcessId, ScopeName};
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::admit::{Admit, Admits};
use super::claim::{Claim, Claims, Release, check_lock};
use super::seed::{PrepareSeed, Seeds, WriteSeed};
use super::volume_delete::free_unwanted;
use super::{SHORT_PATIENCE, guest_object, memory, qmp_failed};
use crate::guests::hooks::{self, Phase};
use crate::guests::options::{apply_pending, forget_suspension};
use crate::guests::ports::of_vm;
use crate::guests::reserved::Reservation;
use crate::qemu::drives;
use crate::qemu::launch::{Begins, Launch, MEMORY_POLL_S};
use crate::qemu::passed::{Passed, Passing};
use crate::qemu::programs::QEMU;
use crate::qemu::{ports, shares, usb};
use crate::volumes::attached::by_task;
use crate::{NodeContext, RunState};

/// How long a new process may take until it answers, where the caller sets no time.
const READY_TIMEOUT_S: u64 = 30;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QemuStart {
    pub vmid: VmId,
    /// How long QEMU may take until it answers.
    pub timeout_s: Option<u64>,
    /// Start a guest that is locked.
    pub skip_lock: bool,
    /// Memory that the guest wakes up with, instead of booting.
    #[serde(default)]
    memory: Option<SavedMemory>,
    /// The snapshot that the memory is of.
    #[serde(default)]
    snapshot: Option<String>,
    /// Whether it was suspended with that memory, which is of no use afterwards.
    #[serde(default)]
    is_suspended: bool,
    /// Volumes that pending changes leave unwanted, found by `apply-pending`.
    #[serde(default)]
    unwanted: Vec<VolumeId>,
    /// The snapshot whose memory fits the disks until the guest executes, found by `apply-pending`.
    #[serde(default)]
    fits: Option<String>,
    /// Chosen by `layout`.
    #[serde(default)]
    running_as: Option<RunningAs>,
    #[serde(default)]
    taps: Vec<(u8, PortSpec)>,
    #[serde(default)]
    passed: Passed,
    /// The uid and gid that it is started with.
    #[serde(default)]
    user: Option<(u32, u32)>,
    /// Found by `launch`.
    #[serde(default)]
    process: Option<ProcessId>,
    /// What it starts with, read once: while this task has the guest, no other changes it.
    #[serde(skip)]
    config: Option<Arc<VmConfig>>,
    #[serde(skip)]
    epoch: u64,
    #[serde(skip)]
    reservation: Option<Arc<Reservation<Demand>>>,
    #[serde(skip)]
    passing: Option<Arc<Reservation<Passing>>>,
}

impl QemuStart {
    pub fn new(vmid: VmId, timeout_s: Option<u64>, skip_lock: bool) -> Self {
        Self {
            vmid,
            timeout_s,
            skip_lock,
            memory: None,
            snapshot: None,
            is_suspended: false,
            unwanted: Vec::new(),
            fits: None,
            running_as: None,
            taps: Vec::new(),
            passed: Passed::default(),
            user: None,
            process: None,
            config: None,
            epoch: 0,
            reservation: None,
            passing: None,
        }
    }

    /// Starts a guest that was rolled back to a snapshot, with its memory, which stays.
    pub fn with_memory(vmid: VmId, snapshot: String, memory: SavedMemory) -> Self {
        Self {
            memory: Some(memory),
            snapshot: Some(snapshot),
            ..Self::new(vmid, None, false)
        }
    }

    fn scope(&self) -> ScopeName {
        ScopeName::guest(self.vmid)
    }

    fn running_as(&self) -> Result<&RunningAs, Error> {
        self.running_as
            .as_ref()
            .ok_or_else(|| Error::bug("the layout was not planned"))
    }

    /// A start that was under way before guests had users of their own has none.
    fn user(&self, cx: &TaskContext<NodeContext>) -> Option<(u32, u32)> {
        self.user.or(cx.node.guest_user)
    }

    async fn config(&mut self, cx: &TaskContext<NodeContext>) -> Result<Arc<VmConfig>, Error> {
        if let Some(config) = &self.config {
            return Ok(Arc::clone(config));
        }
        let record = cx.node.records.qemu(self.vmid).await?.record;
        let config = VmConfig::parse(&record.data.config).map_err(Error::invalid_fields)?;
        self.epoch = record.data.epoch;
        Ok(Arc::clone(self.config.insert(Arc::new(config))))
    }

    /// `config` is the task's own.
    fn launch<'a>(
        &'a self,
        cx: &TaskContext<NodeContext>,
        config: &'a VmConfig,
    ) -> Result<Launch<'a>, Error> {
        Ok(Launch {
            vmid: self.vmid,
            config,
            running_as: self.running_as()?,
            taps: &self.taps,
            user: self.user(cx),
            epoch: self.epoch,
            passed: &self.passed,
        })
    }
}

impl Task for QemuStart {
    type Node = NodeContext;
    const NAME: &'static str = "qemu_start";
    const VERSION: u32 = 4;
    const KIND: &'static str = "qmstart";
    const PATIENCE: Duration = SHORT_PATIENCE;

    fn steps() -> Steps<Self> {
        Steps {
            before: &[
                &Claim,
                &ApplyPending,
                &Admit,
                &PrepareSeed,
                &WriteSeed,
                &Layout,
                &TakeDevices,
                &MakeTaps,
                &MakeScope,
                &Spawn,
                &Record,
                &WaitForQmp,
                &Cont,
            ],
            after: &[&ForgetMemory, &PostStart, &Release],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }
}

impl Claims for QemuStart {
    const SHOWN_AS: &'static str = "";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        if guest.config.flag("template") == Some(true) {
            return Err(Error::conflict("you can't start a vm if it's a template"));
        }
        check_lock(guest, self.skip_lock || guest.suspended.is_some())
    }
}

impl Admits for QemuStart {
    fn set_reservation(&mut self, reservation: Arc<Reservation<Demand>>) {
        self.reservation = Some(reservation);
    }
}

impl Seeds for QemuStart {
    fn vmid(&self) -> VmId {
        self.vmid
    }

    /// What wakes up knows its medium already.
    fn seeds(&self) -> bool {
        self.memory.is_none()
    }
}

type Cx = TaskContext<NodeContext>;

/// Makes pending changes the configuration. They stay so if the start fails: the guest does not
/// run, and then nothing is pending. The mark that a snapshot's memory fits the disks is removed
/// until it is known whether the guest executes.
struct ApplyPending;

#[async_trait]
impl Step<QemuStart> for ApplyPending {
    fn name(&self) -> &'static str {
        "apply-pending"
    }

    async fn plan(&self, cx: &Cx, task: &mut QemuStart) -> Result<(), Error> {
        let vmid = task.vmid;
        if cx.node.running.is_running(vmid).await? {
            return Err(Error::conflict(format!("VM {vmid} already running")));
        }
        let mut guest = cx.node.records.qemu(vmid).await?.record.data;
        if task.snapshot.is_some() && task.snapshot != guest.wakes_at {
            // Another task started it first: its disks have changed since.
            let text = format!("VM {vmid} is not as it was at the snapshot any more");
            return Err(Error::conflict(text));
        }
        task.fits = guest.wakes_at.clone();
        if let Some(memory) = guest.suspended.take() {
            (task.memory, task.is_suspended) = (Some(memory), true);
        }
        // A guest that wakes up is the machine that it was.
        if task.memory.is_none() {
            let names = cx.node.records.volume_names().await?;
            task.unwanted = apply_pending(&mut guest, &names).unwanted;
        }
        Ok(())
    }

    async fn probe(&self, cx: &Cx, task: &mut QemuStart) -> Result<Probe, Error> {
        let guest = cx.node.records.qemu(task.vmid).await?.record.data;
        let is_settled = guest.pending.is_empty() || task.memory.is_some();
        Ok(if is_settled && guest.wakes_at.is_none() {
            Probe::Done
        } else {
            Probe::NotDone
        })
    }

    async fn act(&self, cx: &Cx, task: &mut QemuStart) -> Result<(), Error> {
        let records = &cx.node.records;
        let guest = records.qemu(task.vmid).await?.record.data;
        let wakes_up = task.memory.is_some();
        let names = cx.node.records.volume_names().await?;
        if guest.wakes_at.is_some() || (!wakes_up && !guest.pending.is_empty()) {
            let apply = |guest: &mut GuestRecord| {
                // From here on its disks may change.
                guest.wakes_at = None;
                if !wakes_up {
                    apply_pending(guest, &names);
                }
                Ok(())
            };
            cx.committed(records.change_guest(task.vmid, apply).await?.0);
            task.config = None;
        }
        for volume in &task.unwanted {
            free_unwanted(cx, volume).await?;
        }
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &QemuStart) -> Result<(), Error> {
        if task.fits.is_none() {
            return Ok(());
        }
        // It has not executed, so its disks are as they were.
        let restore = |guest: &mut GuestRecord| {
            guest.wakes_at.clone_from(&task.fits);
            Ok(())
        };
        cx.node.records.change_guest(task.vmid, restore).await?;
        Ok(())
    }
}

/// Decides what the guest will be, and makes sure that all it needs is there.
struct Layout;

#[async_trait]
impl Step<QemuStart> for Layout {
    fn name(&self) -> &'static str {
        "layout"
    }

    async fn plan(&self, cx: &Cx, task: &mut QemuStart) -> Result<(), Error> {
        let vmid = task.vmid;
        let config = task.config(cx).await?;
        let accel = cx
            .node
            .kvm
            .accel(config.kvm, cx.node.allow_emulation)
            .await?;
        let deciding = cx.node.passes.deciding.lock().await;
        let pcis = cx.node.choose_pcis(vmid, &config).await?;
        let running_as = match &task.memory {
            None => {
                let mut config = (*config).clone();
                let counts = pcis.iter().map(|(index, found)| (*index, found.len()));
                config.pci_functions = counts.collect();
                let config = cx.node.records.with_cpu_model(config).await?;
                plan(&config, &qemu_info(cx).await?, accel)
                    .map_err(|error| Error::conflict(Error::chain(&error)))?
            }
            Some(memory) => machine_of(memory, accel)?,
        };
        let reserved = cx.node.reserve_passed(vmid, &config, &running_as, pcis);
        let (passed, passing) = reserved.await?;
        drop(deciding);
        (task.passed, task.passing) = (passed, Some(Arc::new(passing)));
        drives::check(&cx.node, &config).await?;
        usb::check(&cx.node, &config).await?;
        ports::check(&cx.node, &config).await?;
        shares::check(&cx.node, &config).await?;
        task.taps = config
            .nets
            .iter()
            .filter_map(|(index, net)| of_vm(vmid, *index, net).map(|spec| (*index, spec)))
            .collect();
        let ports = task.taps.iter().map(|(index, tap)| (*index, tap));
        cx.node.check_vlans(ports).await?;
        let ports = task.taps.iter_mut().map(|(_, tap)| tap);
        cx.node.isolate(vmid, ports).await?;
        task.user = cx.node.user_of_new(vmid);
        task.running_as = Some(running_as);
        Ok(())
    }

    async fn probe(&self, _: &Cx, _: &mut QemuStart) -> Result<Probe, Error> {
        Ok(Probe::Done)
    }

    async fn act(&self, cx: &Cx, task: &mut QemuStart) -> Result<(), Error> {
        if task.running_as()?.accel == Accel::Tcg {
            cx.log("running without hardware acceleration").await;
        }
        for text in task.config(cx).await?.start_warnings() {
            cx.warn(&text).await;
        }
        // What an earlier run of the guest left behind has no meaning any more.
        cx.node.running.forget(task.vmid).await?;
        hooks::call(cx, task.vmid, Phase::PreStart).await
    }
}

/// The machine that memory was saved of. Its processors cannot be other ones now.
fn machine_of(memory: &SavedMemory, accel: Accel) -> Result<RunningAs, Error> {
    let machine: RunningAs = serde_json::from_value(memory.running_as.clone())
        .map_err(|error| Error::conflict(format!("the saved machine cannot be read: {error}")))?;
    if machine.accel != accel {
        let (saved, now) = (machine.accel.as_str(), accel.as_str());
        return Err(Error::conflict(format!(
            "the memory was saved with acceleration '{saved}' and cannot be used with '{now}'"
        )));
    }
    Ok(machine)
}

async fn qemu_info(cx: &Cx) -> Result<QemuInfo, Error> {
    let ask = async |args: &[&str]| -> Result<String, Error> {
        // Asked once for each version that is installed: it takes as long as a guest's own QEMU
        // takes to begin.
        if let Some(known) = cx.node.programs.ask(QEMU, args).await? {
            return Ok(known);
        }
        let command = Command::new(QEMU).args(args.iter().copied());
        let printed = cx.node.host.run(command).await?.checked(QEMU)?;
        Ok(String::from_utf8_lossy(&printed).into_owned())
    };
    let version = ask(&["--version"]).await?;
    let machines = ask(&["-machine", "help"]).await?;
    QemuInfo::from_texts(&version, &machines).map_err(|error| Error::unavailable(error.to_string()))
}

/// Takes from the host what the guest has alone, and makes the pages of its memory.
struct TakeDevices;

#[async_trait]
impl Step<QemuStart> for TakeDevices {
    fn name(&self) -> &'static str {
        "devices"
    }

    async fn probe(&self, _: &Cx, _: &mut QemuStart) -> Result<Probe, Error> {
        // Taking them again changes nothing.
        Ok(Probe::NotDone)
    }

    async fn act(&self, cx: &Cx, task: &mut QemuStart) -> Result<(), Error> {
        let user = task.user(cx);
        cx.node.take_passed(task.vmid, &task.passed, user).await
    }

    async fn undo(&self, cx: &Cx, task: &QemuStart) -> Result<(), Error> {
        cx.node.undo_taking(&task.passed).await
    }
}

struct MakeTaps;

#[async_trait]
impl Step<QemuStart> for MakeTaps {
    fn name(&self) -> &'static str {
        "taps"
    }

    async fn probe(&self, _: &Cx, _: &mut QemuStart) -> Result<Probe, Error> {
        // Making them again costs nothing and changes nothing.
        Ok(Probe::NotDone)
    }

    async fn act(&self, cx: &Cx, task: &mut QemuStart) -> Result<(), Error> {
        let config = task.config(cx).await?;
        for text in task.launch(cx, &config)?.make_taps(&cx.node).await? {
            cx.warn(&text).await;
        }
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &QemuStart) -> Result<(), Error> {
        for (_, tap) in &task.taps {
            network::detach(&*cx.node.host, &tap.name).await?;
        }
        Ok(())
    }
}

struct MakeScope;

#[async_trait]
impl Step<QemuStart> for MakeScope {
    fn name(&self) -> &'static str {
        "scope"
    }

    async fn probe(&self, cx: &Cx, task: &mut QemuStart) -> Result<Probe, Error> {
        let found = cx.node.host.scopes().await?.contains(&task.scope());
        Ok(if found { Probe::Done } else { Probe::NotDone })
    }

    async fn act(&self, cx: &Cx, task: &mut QemuStart) -> Result<(), Error> {
        let config = task.config(cx).await?;
        task.launch(cx, &config)?.make_scope(&cx.node).await
    }

    async fn undo(&self, cx: &Cx, task: &QemuStart) -> Result<(), Error> {
        Ok(cx.node.host.kill_scope(&task.scope()).await?)
    }
}

/// Starts the process, which waits for `cont`.
struct Spawn;

#[async_trait]
impl Step<QemuStart> for Spawn {
    fn name(&self) -> &'static str {
        "launch"
    }

    async fn probe(&self, cx: &Cx, task: &mut QemuStart) -> Result<Probe, Error> {
        let members = cx.node.host.members(&task.scope()).await?;
        // Helpers are there before it.
        task.process = members.into_iter().max_by_key(|process| process.start_time);
        Ok(if task.process.is_some() {
            Probe::Done
        } else {
            Probe::NotDone
        })
    }

    async fn act(&self, cx: &Cx, task: &mut QemuStart) -> Result<(), Error> {
        let config = task.config(cx).await?;
        let begins = match &task.memory {
            Some(memory) => Begins::With(open_memory(cx, memory).await?),
            None => Begins::Afresh,
        };
        let process = task.launch(cx, &config)?.spawn(&cx.node, begins).await?;
        task.process = Some(process);
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &QemuStart) -> Result<(), Error> {
        cx.node.host.kill_scope(&task.scope()).await?;
        let config = task.clone().config(cx).await?;
        let volumes = drives::opened_by(&config);
        let by = cx.node.by_guest(task.vmid).await?;
        cx.node.detach_all(&volumes, &by).await;
        if let Some(memory) = &task.memory {
            cx.node.detach(&memory.volume, &by_task(cx)).await?;
        }
        cx.node.running.forget(task.vmid).await
    }
}

/// Opens the volume that the guest's memory is read from.
async fn open_memory(cx: &Cx, memory: &SavedMemory) -> Result<Arc<OwnedFd>, Error> {
    let (volume, by) = (&memory.volume, by_task(cx));
    let spec = cx.node.attach(volume, AttachMode::ReadOnly, &by).await?;
    let missing = || Error::bug("a volume of memory has no path");
    let path = spec.source.path().ok_or_else(missing)?;
    Ok(cx.node.host.open_image(path.as_ref(), false, false).await?)
}

/// Writes down what was started, before it executes anything.
struct Record;

#[async_trait]
impl Step<QemuStart> for Record {
    fn name(&self) -> &'static str {
        "record"
    }

    async fn probe(&self, cx: &Cx, task: &mut QemuStart) -> Result<Probe, Error> {
        let found = cx.node.running.run_file(task.vmid).await?.is_some();
        Ok(if found { Probe::Done } else { Probe::NotDone })
    }

    async fn act(&self, cx: &Cx, task: &mut QemuStart) -> Result<(), Error> {
        let config = task.config(cx).await?;
        let process = task.process.clone();
        let process = process.ok_or_else(|| Error::bug("the process was not started"))?;
        task.launch(cx, &config)?
            .write_down(&cx.node, process)
            .await
    }

    async fn undo(&self, cx: &Cx, task: &QemuStart) -> Result<(), Error> {
        cx.node
            .host
            .remove(&cx.node.paths.run_file(task.vmid))
            .await?;
        Ok(())
    }
}

/// Waits until QEMU answers and the guest has all that it needs to execute.
struct WaitForQmp;

#[async_trait]
impl Step<QemuStart> for WaitForQmp {
    fn name(&self) -> &'static str {
        "wait-for-qmp"
    }

    async fn act(&self, cx: &Cx, task: &mut QemuStart) -> Result<(), Error> {
        let config = task.config(cx).await?;
        let timeout_s = task
            .timeout_s
            .unwrap_or(READY_TIMEOUT_S.max(config.memory_mib / 1024));
        let launch = task.launch(cx, &config)?;
        let process = task.process.as_ref();
        let qmp = match launch.ready(&cx.node, process, timeout_s).await {
            Ok(qmp) => qmp,
            Err(error) => {
                for line in cx.node.printed(task.vmid).await {
                    cx.log(&line).await;
                }
                return Err(error);
            }
        };
        if let Some(memory) = &task.memory {
            cx.node.until_awake(task.vmid, &qmp).await?;
            cx.node.detach(&memory.volume, &by_task(cx)).await?;
        }
        for card in config.pulled_cables() {
            let pulled = qmp.set_link(&card, false).await;
            pulled.map_err(|error| Error::unavailable(Error::chain(&error)))?;
        }
        if task.running_as()?.device("balloon0").is_some() {
            inflate(&qmp, &config).await.map_err(qmp_failed)?;
        }
        Ok(())
    }

    async fn undo(&self, _: &Cx, _: &QemuStart) -> Result<(), Error> {
        // The scope's undo ends the process.
        Ok(())
    }
}

/// Lets the guest execute.
struct Cont;

#[async_trait]
impl Step<QemuStart> for Cont {
    fn name(&self) -> &'static str {
        "cont"
    }

    async fn probe(&self, cx: &Cx, task: &mut QemuStart) -> Result<Probe, Error> {
        let status = cx.node.running.status(task.vmid).await?;
        let waits = match status.qmp_status.as_deref() {
            // What has ended may have executed: then saved memory does not fit its disks.
            None => task.memory.is_none() || status.state == RunState::Running,
            Some("prelaunch") => true,
            Some("paused") => task.memory.is_some(),
            Some(_) => false,
        };
        Ok(if waits { Probe::NotDone } else { Probe::Done })
    }

    async fn act(&self, cx: &Cx, task: &mut QemuStart) -> Result<(), Error> {
        if task.config(cx).await?.freeze {
            cx.log("the guest stays paused, as configured").await;
            return Ok(());
        }
        let qmp = cx.node.running.qmp(task.vmid).await?;
        qmp.cont()
            .await
            .map_err(|error| Error::unavailable(Error::chain(&error)))
    }

    async fn undo(&self, _: &Cx, _: &QemuStart) -> Result<(), Error> {
        // The scope's undo ends the process.
        Ok(())
    }
}

/// A guest that is awake is suspended no more, and what it was suspended with goes.
struct ForgetMemory;

#[async_trait]
impl Step<QemuStart> for ForgetMemory {
    fn name(&self) -> &'static str {
        "forget-memory"
    }

    async fn act(&self, cx: &Cx, task: &mut QemuStart) -> Result<(), Error> {
        let Some(memory) = task.memory.as_ref().filter(|_| task.is_suspended) else {
            return Ok(());
        };
        let wake = |guest: &mut GuestRecord| {
            forget_suspension(guest);
            Ok(())
        };
        let revision = cx.node.records.change_guest(task.vmid, wake).await?;
        cx.committed(revision.0);
        memory::free(cx, &memory.volume).await
    }
}

/// Has the guest tell of its memory, and make do with what is configured.
async fn inflate(qmp: &Qmp, config: &VmConfig) -> Result<(), QmpError> {
    qmp.poll_memory(MEMORY_POLL_S).await?;
    match config.balloon_mib {
        Some(target_mib) if target_mib < config.memory_mib => {
            qmp.set_balloon(target_mib << 20).await
        }
        _ => Ok(()),
    }
}

/// Calls the administrator's script for a guest that runs, whatever becomes of it.
struct PostStart;

#[async_trait]
impl Step<QemuStart> for PostStart {
    fn name(&self) -> &'static str {
        "post-start"
    }

    async fn act(&self, cx: &Cx, task: &mut QemuStart) -> Result<(), Error> {
        hooks::call_or_warn(cx, task.vmid, Phase::PostStart).await;
        Ok(())
    }
}
