//! Moves a virtual machine to another node.
//!
//! ```text
//!   claim ─ survey ─ prepare ─ copy ─ travel ─ hand-over ┃ finish ─ clear
//!                    │         │      │        │         ┃ point of no return: the guest is the target's
//!                    │         │      │        one commit: owner, epoch, names of volumes
//!                    │         │      a running guest: its disks and memory; then it is paused on both sides
//!                    │         volumes that only this node has, and that no QEMU writes to
//!                    shared storages are proven; the target chooses names
//! ```
//!
//! Undone anywhere, the guest goes on here. After the commit it never does, however long the target
//! takes.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use guest::qemu::{RunningAs, VmConfig};
use ipnet::IpNet;
use model::{Error, GuestRecord, NodeName, StorageMap, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::claim::{Claim, Claims, check_lock};
use super::guest_object;
use crate::NodeContext;
use crate::guests::options::volumes_of_guest;
use crate::migration::{
    Arrived, Ask, HandOver, Journey, Live, LiveDisks, Look, Luggage, Proof, Remote, Sending,
    VERSION, Wanted, bridges, come_back, is_out_of_reach, pace, send,
};
use crate::volumes::images;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QemuMigrate {
    pub vmid: VmId,
    pub target: NodeName,
    /// Also while the guest runs.
    pub online: bool,
    /// Also with disks that only this node has, while the guest runs.
    pub with_local_disks: bool,
    /// Also with devices of this host.
    pub force: bool,
    /// Where volumes go.
    pub storages: StorageMap,
    /// How fast volumes are copied at most; 0 for as fast as it goes.
    pub bytes_per_s: u64,
    /// The network that the guest is sent over; none: the cluster's, or where all else goes.
    #[serde(default)]
    pub network: Option<IpNet>,
    /// Chosen by `survey`.
    #[serde(default)]
    epoch: u64,
    /// The target's address in the network.
    #[serde(default)]
    address: Option<IpAddr>,
    #[serde(default)]
    proofs: Vec<Proof>,
    #[serde(default)]
    wanted: Vec<Wanted>,
    /// What an administrator should know of.
    #[serde(default)]
    notes: Vec<String>,
    /// How a guest that runs does so.
    #[serde(default)]
    live: Option<Live>,
    /// What it was started as.
    #[serde(default)]
    machine: Value,
    /// The wanted volumes' names at the target, found by `prepare`.
    #[serde(default)]
    names: Vec<VolumeId>,
    /// When the survey was made, by the monotonic clock.
    #[serde(skip)]
    started: Option<Duration>,
    /// What `travel` has found.
    #[serde(skip)]
    arrived: Option<Arrived>,
}

impl QemuMigrate {
    pub fn new(vmid: VmId, target: NodeName) -> Self {
        Self {
            vmid,
            target,
            online: false,
            with_local_disks: false,
            force: false,
            storages: StorageMap::default(),
            bytes_per_s: 0,
            network: None,
            epoch: 0,
            address: None,
            proofs: Vec::new(),
            wanted: Vec::new(),
            notes: Vec::new(),
            live: None,
            machine: Value::Null,
            names: Vec::new(),
            started: None,
            arrived: None,
        }
    }

    /// Refuses what could not be done, before it is a task.
    pub async fn check(&self, node: &NodeContext, guest: &GuestRecord) -> Result<(), Error> {
        check_lock(guest, false)?;
        let target = &self.target;
        if *target == node.name {
            return Err(Error::invalid("target", "target is local node."));
        }
        if node.cluster.members.get(target).is_none() {
            let text = format!("no such cluster node '{target}'");
            return Err(Error::unavailable(text));
        }
        node.check_heard(target)?;
        self.check_guest(node, guest).await
    }

    /// The same, as far as the guest is concerned.
    pub(super) async fn check_guest(
        &self,
        node: &NodeContext,
        guest: &GuestRecord,
    ) -> Result<(), Error> {
        let runs = node.running.is_running(self.vmid).await?;
        self.luggage(node, guest, runs).await?;
        if runs {
            let machine = machine_of(node, self.vmid).await?;
            self.check_machine(node, guest, &machine).await?;
        }
        self.address(node).await.map(drop)
    }

    /// Refuses a target that cannot give a guest that runs its processor or its bridges. Returns
    /// what else there is to say.
    async fn check_machine(
        &self,
        node: &NodeContext,
        guest: &GuestRecord,
        machine: &RunningAs,
    ) -> Result<Option<String>, Error> {
        let config = VmConfig::parse(&guest.config).map_err(Error::invalid_fields)?;
        node.check_bridges(&bridges(&config), &self.target).await?;
        let cpu = node.guest_cpu(self.vmid, machine).await?;
        node.check_cpu(&cpu, &self.target).await
    }

    /// The target's address in the network that the guest is to be sent over.
    async fn address(&self, node: &NodeContext) -> Result<Option<IpAddr>, Error> {
        let network = match self.network {
            Some(network) => Some(network),
            None => node.records.cluster_options().await?.migration_network(),
        };
        match network {
            Some(network) => node
                .look(&self.target, Look::Address(network))
                .await
                .map(Some),
            None => Ok(None),
        }
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
        let (target, storages) = (&self.target, &self.storages);
        let luggage = node.luggage(guest, target, storages, live).await?;
        luggage.check(self.force && !runs)?;
        Ok(luggage)
    }

    fn remote<'a>(&'a self, cx: &'a Cx) -> Remote<'a> {
        Remote {
            node: &cx.node,
            target: &self.target,
            vmid: self.vmid,
            upid: &cx.upid,
            address: self.address,
        }
    }

    /// Each volume that moves, with its name at the target.
    fn renamed(&self) -> Vec<(VolumeId, VolumeId)> {
        let from = self.wanted.iter().map(|wanted| wanted.from.clone());
        from.zip(self.names.iter().cloned()).collect()
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
        Some(guest_object(self.vmid))
    }
}

impl Claims for QemuMigrate {
    const SHOWN_AS: &'static str = "migrate";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        check_lock(guest, false)
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
        let guest = cx.node.records.qemu(task.vmid).await?.record.data;
        let runs = cx.node.running.is_running(task.vmid).await?;
        let luggage = task.luggage(&cx.node, &guest, runs).await?;
        if runs {
            let machine = machine_of(&cx.node, task.vmid).await?;
            task.live = Some(look_at(cx, task.vmid, &machine).await?);
            let note = task.check_machine(&cx.node, &guest, &machine).await?;
            task.notes = note.into_iter().collect();
            task.machine = serde_json::to_value(machine)
                .map_err(|error| Error::bug(format!("a machine cannot be written: {error}")))?;
        }
        task.address = task.address(&cx.node).await?;
        task.epoch = guest.epoch;
        task.proofs = luggage.shared.into_iter().map(Proof::new).collect();
        task.wanted = luggage.wanted;
        Ok(())
    }

    async fn probe(&self, _: &Cx, _: &mut QemuMigrate) -> Result<Probe, Error> {
        Ok(Probe::Done)
    }

    async fn act(&self, cx: &Cx, task: &mut QemuMigrate) -> Result<(), Error> {
        task.started = Some(cx.clock.monotonic());
        let QemuMigrate { vmid, target, .. } = &task;
        cx.log(&format!(
            "starting migration of VM {vmid} to node '{target}'"
        ))
        .await;
        if task.online && task.live.is_none() {
            cx.warn("VM isn't running. Doing offline migration instead.")
                .await;
        }
        if let Some(address) = task.address {
            cx.log(&format!(
                "use dedicated network address for sending migration traffic ({address})"
            ))
            .await;
        }
        for note in &task.notes {
            cx.warn(note).await;
        }
        for wanted in &task.wanted {
            let volume = &wanted.from;
            cx.log(&format!("found local disk '{volume}'")).await;
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

/// Proves that shared storages are, and has the target get ready.
struct Prepare;

#[async_trait]
impl Step<QemuMigrate> for Prepare {
    fn name(&self) -> &'static str {
        "prepare"
    }

    async fn act(&self, cx: &Cx, task: &mut QemuMigrate) -> Result<(), Error> {
        for proof in &task.proofs {
            prove(cx, task, proof).await?;
        }
        let prepare = Ask::Prepare {
            version: VERSION,
            volumes: task.wanted.clone(),
            live: task.live.clone(),
        };
        let names: Vec<VolumeId> = task.remote(cx).ask(prepare).await?;
        if names.len() != task.wanted.len() {
            let text = format!("node '{}' named other volumes", task.target);
            return Err(Error::unavailable(text));
        }
        task.names = names;
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &QemuMigrate) -> Result<(), Error> {
        for proof in &task.proofs {
            proof.remove(&cx.node).await?;
        }
        match task.remote(cx).ask(Ask::Abort).await {
            // It sees that the claim ends, and removes what it has made.
            Err(error) if is_out_of_reach(&error) => {
                cx.warn(&format!("{error}; it will clear up by itself"))
                    .await;
                Ok(())
            }
            aborted => aborted,
        }
    }
}

/// Has the target read what is written here.
async fn prove(cx: &Cx, task: &QemuMigrate, proof: &Proof) -> Result<(), Error> {
    let text = cx.upid.to_string();
    proof.write(&cx.node, &text).await?;
    let shown = proof.show(&cx.node, &task.target, &text).await;
    proof.remove(&cx.node).await?;
    shown
}

/// Copies the volumes that only this node has.
struct Copy;

#[async_trait]
impl Step<QemuMigrate> for Copy {
    fn name(&self) -> &'static str {
        "copy"
    }

    async fn act(&self, cx: &Cx, task: &mut QemuMigrate) -> Result<(), Error> {
        let pairs = task.wanted.iter().zip(&task.names);
        for (wanted, name) in pairs.filter(|(wanted, _)| wanted.live.is_none()) {
            let receive = Ask::Receive {
                volume: name.clone(),
                format: wanted.format,
                bytes: wanted.bytes,
            };
            let stream = task.remote(cx).stream(receive).await?;
            let sending = Sending {
                volume: &wanted.from,
                bytes_per_s: task.bytes_per_s,
            };
            send(cx, stream, &sending).await?;
            let from = &wanted.from;
            cx.log(&format!("volume '{from}' is '{name}' on the target"))
                .await;
        }
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &QemuMigrate) -> Result<(), Error> {
        for wanted in task.wanted.iter().filter(|wanted| wanted.live.is_none()) {
            images::let_go(cx, &wanted.from, None).await?;
        }
        Ok(())
    }
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
        let guest = cx.node.records.qemu(task.vmid).await?.record.data;
        let journey = Journey {
            remote: task.remote(cx),
            machine: &task.machine,
            wanted: &task.wanted,
            renamed: &task.renamed(),
            pace: pace(&guest.config, live.memory_mib, task.bytes_per_s),
            disk_bytes_per_s: task.bytes_per_s,
        };
        task.arrived = Some(journey.go(cx).await?);
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &QemuMigrate) -> Result<(), Error> {
        match &task.live {
            Some(live) => come_back(cx, task.vmid, &task.wanted, live.executes).await,
            None => Ok(()),
        }
    }
}

/// Makes the guest the target's.
struct GiveAway;

#[async_trait]
impl Step<QemuMigrate> for GiveAway {
    fn name(&self) -> &'static str {
        "hand-over"
    }

    /// A guest that is claimed here can only be gone, or of a later epoch, once it was handed over.
    async fn probe(&self, cx: &Cx, task: &mut QemuMigrate) -> Result<Probe, Error> {
        let guest = cx.node.records.find(task.vmid).await?;
        let is_here = guest.is_some_and(|guest| guest.record.data.epoch == task.epoch);
        Ok(if is_here { Probe::NotDone } else { Probe::Done })
    }

    async fn act(&self, cx: &Cx, task: &mut QemuMigrate) -> Result<(), Error> {
        let over = HandOver {
            vmid: task.vmid,
            upid: &cx.upid,
            to: &task.target,
            renamed: &task.renamed(),
        };
        cx.committed(cx.node.records.hand_over(&over).await?.0);
        Ok(())
    }
}

/// Has the target take over.
struct Finish;

#[async_trait]
impl Step<QemuMigrate> for Finish {
    fn name(&self) -> &'static str {
        "finish"
    }

    async fn act(&self, cx: &Cx, task: &mut QemuMigrate) -> Result<(), Error> {
        let finished: Result<(), Error> = task.remote(cx).ask(Ask::Finish).await;
        if let (Ok(()), Some(Arrived { paused, speed })) = (&finished, &task.arrived) {
            let downtime = (cx.clock.monotonic() - *paused).as_millis();
            let line = format!("average migration speed: {speed} - downtime {downtime} ms");
            cx.log(&line).await;
        }
        match finished {
            // It sees in the store that the guest is its own.
            Err(error) if is_out_of_reach(&error) => {
                cx.warn(&error.to_string()).await;
                Ok(())
            }
            finished => finished,
        }
    }
}

/// Removes what is left here.
struct Clear;

#[async_trait]
impl Step<QemuMigrate> for Clear {
    fn name(&self) -> &'static str {
        "clear"
    }

    async fn act(&self, cx: &Cx, task: &mut QemuMigrate) -> Result<(), Error> {
        // While this agent was down, the guest may have come back.
        let guest = cx.node.records.find(task.vmid).await?;
        let guest = guest.map(|guest| guest.record.data);
        let named = guest.as_ref().map(volumes_of_guest).unwrap_or_default();
        let is_back = guest.is_some_and(|guest| guest.node == cx.node.name);
        if task.live.is_some() && !is_back {
            cx.node.remove_traces(task.vmid).await?;
        }
        for wanted in &task.wanted {
            let volume = &wanted.from;
            if is_back && named.contains(volume) {
                continue;
            }
            images::let_go(cx, volume, None).await?;
            let storage = cx.node.storage(volume.storage()).await?;
            storage.free(volume.name()).await?;
        }
        let took = task.started.map(|started| cx.clock.monotonic() - started);
        let seconds = took.unwrap_or_default().as_secs();
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        let seconds = seconds % 60;
        cx.log(&format!(
            "migration finished successfully (duration {hours:02}:{minutes:02}:{seconds:02})"
        ))
        .await;
        Ok(())
    }
}
