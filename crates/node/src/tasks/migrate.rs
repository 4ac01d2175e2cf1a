//! The steps that migrations of VMs and of containers share.
//!
//! ```text
//!   prepare ─ copy ─ … ─ hand-over ┃ finish ─ clear
//!   │         │          │         ┃ point of no return: the guest is the target's
//!   │         │          one commit: owner, epoch, names of volumes
//!   │         volumes that only this node has
//!   shared storages are proven; the target chooses names
//! ```
//!
//! Undone anywhere, the guest stays here. After the commit it never does, however long the target
//! takes.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use ipnet::IpNet;
use model::{Error, GuestRecord, NodeName, StorageMap, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use tasks::{Probe, Step, TaskContext};

use super::claim::{Claims, check_lock};
use crate::NodeContext;
use crate::guests::options::volumes_of_guest;
use crate::migration::{
    Ask, HandOver, Live, Look, Luggage, Proof, Remote, Sending, Wanted, is_out_of_reach, send,
    send_tree,
};
use crate::volumes::images;

/// A guest on its way to another node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Move {
    pub vmid: VmId,
    pub target: NodeName,
    /// Where volumes go.
    pub storages: StorageMap,
    /// How fast volumes are copied at most; 0 for as fast as it goes.
    pub bytes_per_s: u64,
    /// The network that the guest is sent over; none: the cluster's, or where all else goes.
    #[serde(default)]
    pub network: Option<IpNet>,
    /// The guest's, found by the survey.
    #[serde(default)]
    epoch: u64,
    /// The target's address in the network.
    #[serde(default)]
    pub(super) address: Option<IpAddr>,
    #[serde(default)]
    proofs: Vec<Proof>,
    #[serde(default)]
    pub(super) wanted: Vec<Wanted>,
    /// What an administrator should know of.
    #[serde(default)]
    pub(super) notes: Vec<String>,
    /// The wanted volumes' names at the target, found by `prepare`.
    #[serde(default)]
    names: Vec<VolumeId>,
    /// When the survey was made, by the monotonic clock.
    #[serde(skip)]
    started: Option<Duration>,
}

impl Move {
    pub(super) fn new(vmid: VmId, target: NodeName) -> Self {
        Self {
            vmid,
            target,
            storages: StorageMap::default(),
            bytes_per_s: 0,
            network: None,
            epoch: 0,
            address: None,
            proofs: Vec::new(),
            wanted: Vec::new(),
            notes: Vec::new(),
            names: Vec::new(),
            started: None,
        }
    }

    /// Refuses a guest that is locked and a target that cannot be reached, before it is a task.
    pub(super) fn check(&self, node: &NodeContext, guest: &GuestRecord) -> Result<(), Error> {
        check_lock(guest, false)?;
        let target = &self.target;
        if *target == node.name {
            return Err(Error::invalid("target", "target is local node."));
        }
        if node.cluster.members.get(target).is_none() {
            let text = format!("no such cluster node '{target}'");
            return Err(Error::unavailable(text));
        }
        node.check_heard(target)
    }

    /// The target's address in the network that the guest is to be sent over.
    pub(super) async fn find_address(&self, node: &NodeContext) -> Result<Option<IpAddr>, Error> {
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

    /// Keeps what the survey has found.
    pub(super) async fn survey(
        &mut self,
        cx: &Cx,
        guest: &GuestRecord,
        luggage: Luggage,
    ) -> Result<(), Error> {
        self.address = self.find_address(&cx.node).await?;
        self.epoch = guest.epoch;
        self.proofs = luggage.shared.into_iter().map(Proof::new).collect();
        self.wanted = luggage.wanted;
        Ok(())
    }

    /// Logs what the survey has found.
    pub(super) async fn begin(&mut self, cx: &Cx, guest: &str) {
        self.started = Some(cx.clock.monotonic());
        let Self { vmid, target, .. } = &self;
        cx.log(&format!(
            "starting migration of {guest} {vmid} to node '{target}'"
        ))
        .await;
        if let Some(address) = self.address {
            cx.log(&format!(
                "use dedicated network address for sending migration traffic ({address})"
            ))
            .await;
        }
        for note in &self.notes {
            cx.warn(note).await;
        }
        for wanted in &self.wanted {
            let volume = &wanted.from;
            cx.log(&format!("found local disk '{volume}'")).await;
        }
    }

    pub(super) fn remote<'a>(&'a self, cx: &'a Cx) -> Remote<'a> {
        Remote {
            node: &cx.node,
            target: &self.target,
            vmid: self.vmid,
            upid: &cx.upid,
            address: self.address,
        }
    }

    /// Each volume that moves, with its name at the target.
    pub(super) fn renamed(&self) -> Vec<(VolumeId, VolumeId)> {
        let from = self.wanted.iter().map(|wanted| wanted.from.clone());
        from.zip(self.names.iter().cloned()).collect()
    }
}

/// A task that moves a guest.
#[async_trait]
pub(super) trait Moves: Claims {
    fn moving(&self) -> &Move;
    fn moving_mut(&mut self) -> &mut Move;

    /// How a guest that travels while it runs does so.
    fn live(&self) -> Option<&Live> {
        None
    }

    /// What the target is asked to get ready for, with these volumes.
    fn prepare(&self, volumes: Vec<Wanted>) -> Ask;

    /// Logs what is said once the target has taken over.
    async fn arrived(&self, _cx: &Cx) {}
}

type Cx = TaskContext<NodeContext>;

/// Proves that shared storages are, and has the target get ready.
pub(super) struct Prepare;

#[async_trait]
impl<T: Moves> Step<T> for Prepare {
    fn name(&self) -> &'static str {
        "prepare"
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let moving = task.moving();
        for proof in &moving.proofs {
            prove(cx, &moving.target, proof).await?;
        }
        let prepare = task.prepare(moving.wanted.clone());
        let names: Vec<VolumeId> = moving.remote(cx).ask(prepare).await?;
        if names.len() != moving.wanted.len() {
            let text = format!("node '{}' named other volumes", moving.target);
            return Err(Error::unavailable(text));
        }
        task.moving_mut().names = names;
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &T) -> Result<(), Error> {
        let moving = task.moving();
        for proof in &moving.proofs {
            proof.remove(&cx.node).await?;
        }
        match moving.remote(cx).ask(Ask::Abort).await {
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
async fn prove(cx: &Cx, target: &NodeName, proof: &Proof) -> Result<(), Error> {
    let text = cx.upid.to_string();
    proof.write(&cx.node, &text).await?;
    let shown = proof.show(&cx.node, target, &text).await;
    proof.remove(&cx.node).await?;
    shown
}

/// Copies the volumes that only this node has, and that no QEMU writes to.
pub(super) struct Copy;

#[async_trait]
impl<T: Moves> Step<T> for Copy {
    fn name(&self) -> &'static str {
        "copy"
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let moving = task.moving();
        let pairs = moving.wanted.iter().zip(&moving.names);
        for (wanted, name) in pairs.filter(|(wanted, _)| wanted.live.is_none()) {
            let sending = Sending {
                volume: &wanted.from,
                bytes_per_s: moving.bytes_per_s,
            };
            let receive = match wanted.is_tree {
                true => Ask::ReceiveTree {
                    volume: name.clone(),
                    bytes: wanted.bytes,
                },
                false => Ask::Receive {
                    volume: name.clone(),
                    format: wanted.format,
                    bytes: wanted.bytes,
                },
            };
            let stream = moving.remote(cx).stream(receive).await?;
            match wanted.is_tree {
                true => send_tree(cx, moving.vmid, stream, &sending, wanted.used).await?,
                false => send(cx, stream, &sending).await?,
            }
            let from = &wanted.from;
            cx.log(&format!("volume '{from}' is '{name}' on the target"))
                .await;
        }
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &T) -> Result<(), Error> {
        let wanted = task.moving().wanted.iter();
        for wanted in wanted.filter(|wanted| wanted.live.is_none()) {
            images::let_go(cx, &wanted.from, None).await?;
        }
        Ok(())
    }
}

/// Makes the guest the target's.
pub(super) struct GiveAway;

#[async_trait]
impl<T: Moves> Step<T> for GiveAway {
    fn name(&self) -> &'static str {
        "hand-over"
    }

    /// A guest that is claimed here can only be gone, or of a later epoch, once it was handed over.
    async fn probe(&self, cx: &Cx, task: &mut T) -> Result<Probe, Error> {
        let Move { vmid, epoch, .. } = *task.moving();
        let guest = cx.node.records.find(vmid).await?;
        let is_here = guest.is_some_and(|guest| guest.record.data.epoch == epoch);
        Ok(if is_here { Probe::NotDone } else { Probe::Done })
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let moving = task.moving();
        let over = HandOver {
            vmid: moving.vmid,
            upid: &cx.upid,
            to: &moving.target,
            renamed: &moving.renamed(),
        };
        cx.committed(cx.node.records.hand_over(&over).await?.0);
        Ok(())
    }
}

/// Has the target take over.
pub(super) struct Finish;

#[async_trait]
impl<T: Moves> Step<T> for Finish {
    fn name(&self) -> &'static str {
        "finish"
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let finished: Result<(), Error> = task.moving().remote(cx).ask(Ask::Finish).await;
        if finished.is_ok() {
            task.arrived(cx).await;
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
pub(super) struct Clear;

#[async_trait]
impl<T: Moves> Step<T> for Clear {
    fn name(&self) -> &'static str {
        "clear"
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let moving = task.moving();
        // While this agent was down, the guest may have come back.
        let guest = cx.node.records.find(moving.vmid).await?;
        let guest = guest.map(|guest| guest.record.data);
        let named = guest.as_ref().map(volumes_of_guest).unwrap_or_default();
        let is_back = guest.is_some_and(|guest| guest.node == cx.node.name);
        if task.live().is_some() && !is_back {
            cx.node.remove_traces(moving.vmid).await?;
        }
        for wanted in &moving.wanted {
            let volume = &wanted.from;
            if is_back && named.contains(volume) {
                continue;
            }
            images::let_go(cx, volume, None).await?;
            let storage = cx.node.storage(volume.storage()).await?;
            storage.free(volume.name()).await?;
        }
        let took = moving.started.map(|started| cx.clock.monotonic() - started);
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
