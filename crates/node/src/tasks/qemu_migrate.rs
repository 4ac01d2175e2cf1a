//! Moves a virtual machine to another node.
//!
//! ```text
//!   claim ─ survey ─ prepare ─ copy ─ travel ─ hand-over ┃ finish ─ clear
//!           │                         │                  ┃ point of no return: `migrate`
//!           │                         a running guest: its disks and memory, then it is paused on both
//!           what moves                sides
//! ```

use async_trait::async_trait;
use guest::qemu::RunningAs;
use model::{Error, GuestRecord, NodeName, VmId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::claim::{Claim, Claims, check_lock};
use super::guest_object;
use super::migrate::{Clear, Copy, Finish, GiveAway, Move, Moves, Prepare};
use crate::NodeContext;
use crate::migration::{
    Arrived, Ask, Journey, Live, LiveDisks, Luggage, VERSION_OF_VMS, Wanted, bridges, come_back,
    pace,
};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QemuMigrate {
    #[serde(flatten)]
    pub moving: Move,
    /// Also while the guest runs.
    pub online: bool,
    /// Also with disks that only this node has, while the guest runs.
    pub with_local_disks: bool,
    /// Also with devices of this host.
    pub force: bool,
    /// How a guest that runs does so.
    #[serde(default)]
    live: Option<Live>,
    /// What it was started as.
    #[serde(default)]
    machine: Value,
    /// What `travel` has found.
    #[serde(skip)]
    arrived: Option<Arrived>,
}

impl QemuMigrate {
    pub fn new(vmid: VmId, target: NodeName) -> Self {
        Self {
            moving: Move::new(vmid, target),
            online: false,
            with_local_disks: false,
            force: false,
            live: None,
            machine: Value::Null,
            arrived: None,
        }
    }

    /// Refuses what could not be done, before it is a task.
    pub async fn check(&self, node: &NodeContext, guest: &GuestRecord) -> Result<(), Error> {
        self.moving.check(node, guest)?;
        self.check_guest(node, guest).await
    }

    /// The same, as far as the guest is concerned.
    pub(super) async fn check_guest(
        &self,
        node: &NodeContext,
        guest: &GuestRecord,
    ) -> Result<(), Error> {
        let vmid = guest.vmid;
        let runs = node.running.is_running(vmid).await?;
        self.luggage(node, guest, runs).await?;
        if runs {
            let machine = machine_of(node, vmid).await?;
            self.check_machine(node, guest, &machine).await?;
        }
        self.moving.find_address(node).await.map(drop)
    }

    /// Refuses a target that cannot give a guest that runs its processor or its bridges. Returns
    /// what else there is to say.
    async fn check_machine(
        &self,
        node: &NodeContext,
        guest: &GuestRecord,
        machine: &RunningAs,
    ) -> Result<Option<String>, Error> {
        let target = &self.moving.target;
        node.check_bridges(&bridges(guest)?, target).await?;
        let cpu = node.guest_cpu(guest.vmid, machine).await?;
        node.check_cpu(&cpu, target).await
    }

    async fn luggage(
        &self,
        node: &NodeContext,
        guest: &GuestRecord,
        runs: bool,
    ) -> Result<Luggage, Error> {
        if runs && !self.online {
            return Err(Error::conflict("can't migrate running VM without --online"));
        }
        let live = runs.then_some(match self.with_local_disks {
            true => LiveDisks::Move,
            false => LiveDisks::Stay,
        });
        let Move {
            target, storages, ..
        } = &self.moving;
        let luggage = node.luggage(guest, target, storages, live).await?;
        luggage.check(self.force && !runs)?;
        Ok(luggage)
    }
}

impl Task for QemuMigrate {
    type Node = NodeContext;
    const NAME: &'static str = "qemu_migrate";
    const VERSION: u32 = 1;
    const KIND: &'static str = "qmigrate";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Claim, &Survey, &Prepare, &Copy, &Travel, &GiveAway],
            after: &[&Finish, &Clear],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.moving.vmid))
    }
}

impl Claims for QemuMigrate {
    const SHOWN_AS: &'static str = "migrate";

    fn vmid(&self) -> VmId {
        self.moving.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        check_lock(guest, false)
    }
}

#[async_trait]
impl Moves for QemuMigrate {
    fn moving(&self) -> &Move {
        &self.moving
    }

    fn moving_mut(&mut self) -> &mut Move {
        &mut self.moving
    }

    fn live(&self) -> Option<&Live> {
        self.live.as_ref()
    }

    fn prepare(&self, volumes: Vec<Wanted>) -> Ask {
        Ask::Prepare {
            version: VERSION_OF_VMS,
            volumes,
            live: self.live.clone(),
            starts: false,
        }
    }

    async fn arrived(&self, cx: &Cx) {
        let Some(Arrived { paused, speed }) = &self.arrived else {
            return;
        };
        let downtime = (cx.clock.monotonic() - *paused).as_millis();
        let line = format!("average migration speed: {speed} - downtime {downtime} ms");
        cx.log(&line).await;
    }
}

type Cx = TaskContext<NodeContext>;

/// Finds what moves and what must be shared.
struct Survey;

#[async_trait]
impl Step<QemuMigrate> for Survey {
    fn name(&self) -> &'static str {
        "survey"
    }

    async fn plan(&self, cx: &Cx, task: &mut QemuMigrate) -> Result<(), Error> {
        let vmid = task.moving.vmid;
        let guest = cx.node.records.qemu(vmid).await?.record.data;
        let runs = cx.node.running.is_running(vmid).await?;
        let luggage = task.luggage(&cx.node, &guest, runs).await?;
        if runs {
            let machine = machine_of(&cx.node, vmid).await?;
            task.live = Some(look_at(cx, vmid, &machine).await?);
            let note = task.check_machine(&cx.node, &guest, &machine).await?;
            task.moving.notes = note.into_iter().collect();
            task.machine = serde_json::to_value(machine)
                .map_err(|error| Error::bug(format!("a machine cannot be written: {error}")))?;
        }
        task.moving.survey(cx, &guest, luggage).await
    }

    async fn probe(&self, _: &Cx, _: &mut QemuMigrate) -> Result<Probe, Error> {
        Ok(Probe::Done)
    }

    async fn act(&self, cx: &Cx, task: &mut QemuMigrate) -> Result<(), Error> {
        task.moving.begin(cx, "VM").await;
        if task.online && task.live.is_none() {
            cx.warn("VM isn't running. Doing offline migration instead.")
                .await;
        }
        Ok(())
    }
}

/// What a guest that runs was started as.
async fn machine_of(node: &NodeContext, vmid: VmId) -> Result<RunningAs, Error> {
    let not_running = || Error::conflict(format!("VM {vmid} is not running"));
    let file = node.running.run_file(vmid).await?;
    Ok(file.ok_or_else(not_running)?.running_as)
}

/// How a guest runs.
async fn look_at(cx: &Cx, vmid: VmId, machine: &RunningAs) -> Result<Live, Error> {
    let status = cx.node.running.status(vmid).await?.qmp_status;
    let status = status.unwrap_or_default();
    if !["running", "paused"].contains(&&*status) {
        let text = format!("VM {vmid} is '{status}', which cannot be moved");
        return Err(Error::conflict(text));
    }
    Ok(Live {
        executes: status == "running",
        memory_mib: machine.total_memory_mib(),
    })
}

/// Brings a running guest to the target's QEMU.
struct Travel;

#[async_trait]
impl Step<QemuMigrate> for Travel {
    fn name(&self) -> &'static str {
        "travel"
    }

    async fn act(&self, cx: &Cx, task: &mut QemuMigrate) -> Result<(), Error> {
        let Some(live) = &task.live else {
            return Ok(());
        };
        let moving = &task.moving;
        let guest = cx.node.records.qemu(moving.vmid).await?.record.data;
        let journey = Journey {
            remote: moving.remote(cx),
            machine: &task.machine,
            wanted: &moving.wanted,
            renamed: &moving.renamed(),
            pace: pace(&guest.config, live.memory_mib, moving.bytes_per_s),
            disk_bytes_per_s: moving.bytes_per_s,
        };
        task.arrived = Some(journey.go(cx).await?);
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &QemuMigrate) -> Result<(), Error> {
        let Move { vmid, wanted, .. } = &task.moving;
        match &task.live {
            Some(live) => come_back(cx, *vmid, wanted, live.executes).await,
            None => Ok(()),
        }
    }
}
