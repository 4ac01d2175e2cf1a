//! Moves a virtual machine to another node.
//!
//! ```text
//!   claim ─ survey ─ prepare ─ copy ─ hand-over ┃ finish ─ clear
//!                    │         │      │         ┃ point of no return: the guest is the target's
//!                    │         │      one commit: owner, epoch, names of volumes
//!                    │         volumes that only this node has
//!                    shared storages are proven; the target chooses names
//! ```

use std::time::Duration;

use async_trait::async_trait;
use model::{Error, GuestRecord, NodeName, StorageMap, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::claim::{Claim, Claims, check_lock};
use super::guest_object;
use crate::NodeContext;
use crate::cluster::Hearing;
use crate::migration::{
    Ask, HandOver, Luggage, Proof, Remote, Sending, VERSION, Wanted, is_out_of_reach, send,
};
use crate::qemu::edit::volumes_of_guest;
use crate::volumes::images;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QemuMigrate {
    pub vmid: VmId,
    pub target: NodeName,
    /// Also while the guest runs.
    pub online: bool,
    /// Also with devices of this host.
    pub force: bool,
    /// Where volumes go.
    pub storages: StorageMap,
    /// How fast volumes are copied at most; 0 for as fast as it goes.
    pub bytes_per_s: u64,
    /// Chosen by `survey`.
    #[serde(default)]
    epoch: u64,
    #[serde(default)]
    proofs: Vec<Proof>,
    #[serde(default)]
    wanted: Vec<Wanted>,
    /// The wanted volumes' names at the target, found by `prepare`.
    #[serde(default)]
    names: Vec<VolumeId>,
    /// When the survey was made, by the monotonic clock.
    #[serde(skip)]
    started: Option<Duration>,
}

impl QemuMigrate {
    pub fn new(vmid: VmId, target: NodeName) -> Self {
        Self {
            vmid,
            target,
            online: false,
            force: false,
            storages: StorageMap::default(),
            bytes_per_s: 0,
            epoch: 0,
            proofs: Vec::new(),
            wanted: Vec::new(),
            names: Vec::new(),
            started: None,
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
        let link = node.cluster.link(target);
        if link.is_none_or(|link| link.hearing() == Hearing::Silent) {
            let text = format!("node '{target}' is not online");
            return Err(Error::unavailable(text));
        }
        self.luggage(node, guest).await.map(drop)
    }

    async fn luggage(&self, node: &NodeContext, guest: &GuestRecord) -> Result<Luggage, Error> {
        if node.running.is_running(self.vmid).await? {
            let text = match self.online {
                true => "a running VM cannot be moved by this version of Ostler",
                false => "can't migrate running VM without --online",
            };
            return Err(Error::conflict(text));
        }
        let luggage = node.luggage(guest, &self.target, &self.storages).await?;
        luggage.check(self.force)?;
        Ok(luggage)
    }

    fn remote<'a>(&'a self, cx: &'a Cx) -> Remote<'a> {
        Remote {
            node: &cx.node,
            target: &self.target,
            vmid: self.vmid,
            upid: &cx.upid,
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
            before: &[&Claim, &Survey, &Prepare, &Copy, &GiveAway],
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
        let luggage = task.luggage(&cx.node, &guest).await?;
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
        if task.online {
            cx.warn("VM isn't running. Doing offline migration instead.")
                .await;
        }
        for wanted in &task.wanted {
            let volume = &wanted.from;
            cx.log(&format!("found local disk '{volume}'")).await;
        }
        Ok(())
    }
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
    let ask = Ask::Proof {
        storage: proof.storage.clone(),
        number: proof.number,
    };
    let read: Result<Option<String>, Error> = task.remote(cx).ask(ask).await;
    proof.remove(&cx.node).await?;
    if read?.as_deref() == Some(&*text) {
        return Ok(());
    }
    let (storage, target) = (&proof.storage, &task.target);
    let text = format!(
        "storage '{storage}' is marked as shared, but node '{target}' does not see what is written here"
    );
    Err(Error::conflict(text))
}

/// Copies the volumes that only this node has.
struct Copy;

#[async_trait]
impl Step<QemuMigrate> for Copy {
    fn name(&self) -> &'static str {
        "copy"
    }

    async fn act(&self, cx: &Cx, task: &mut QemuMigrate) -> Result<(), Error> {
        for (wanted, name) in task.wanted.iter().zip(&task.names) {
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
        for wanted in &task.wanted {
            images::let_go(cx, &wanted.from, None).await?;
        }
        Ok(())
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
        match task.remote(cx).ask(Ask::Finish).await {
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
