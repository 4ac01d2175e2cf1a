//! What migrations of many guests share.

use futures_util::StreamExt;
use futures_util::stream;
use model::{Error, GuestKind, GuestRecord, NodeName, VmId};
use serde::{Deserialize, Serialize};
use tasks::TaskContext;

use super::bulk::run;
use super::{Chosen, LxcMigrate, QemuMigrate};
use crate::NodeContext;

type Cx = TaskContext<NodeContext>;

/// Where guests go, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Moving {
    pub target: NodeName,
    /// Also those that run.
    pub online: bool,
    /// Also those that run with disks that only this node has.
    pub with_local_disks: bool,
}

impl Moving {
    fn of_vm(&self, vmid: VmId) -> QemuMigrate {
        let mut task = QemuMigrate::new(vmid, self.target.clone());
        task.online = self.online;
        task.with_local_disks = self.with_local_disks;
        task
    }

    /// A container that runs is started again there.
    fn of_container(&self, vmid: VmId) -> LxcMigrate {
        let mut task = LxcMigrate::new(vmid, self.target.clone());
        task.restart = true;
        task
    }

    /// Refuses a guest that could not be moved.
    pub(super) async fn check(&self, node: &NodeContext, guest: &GuestRecord) -> Result<(), Error> {
        match guest.kind {
            GuestKind::Qemu => self.of_vm(guest.vmid).check_guest(node, guest).await,
            GuestKind::Lxc => self.of_container(guest.vmid).check_guest(node, guest).await,
        }
    }

    async fn one(&self, cx: &Cx, vmid: VmId) -> Result<(), Error> {
        let guest = cx.node.records.guest(vmid).await?.record.data;
        let word = guest.kind.word();
        cx.log(&format!("Migrating {word} {vmid}")).await;
        match guest.kind {
            GuestKind::Qemu => run(cx, vmid, self.of_vm(vmid)).await,
            GuestKind::Lxc => run(cx, vmid, self.of_container(vmid)).await,
        }
    }

    /// Moves guests, some at a time. Returns those that stayed.
    pub(super) async fn all(
        &self,
        cx: &Cx,
        vmids: Vec<VmId>,
        workers: usize,
    ) -> Result<Vec<VmId>, Error> {
        let moving =
            stream::iter(vmids).map(|vmid| async move { (vmid, self.one(cx, vmid).await) });
        let mut moving = std::pin::pin!(moving.buffer_unordered(workers));
        let mut stayed = Vec::new();
        while let Some((vmid, moved)) = moving.next().await {
            if let Err(error) = moved {
                cx.warn(&format!("Migrating {vmid} failed: {error}")).await;
                stayed.push(vmid);
            }
        }
        Ok(stayed)
    }
}

/// The chosen guests of this node, templates too, by number.
pub(super) async fn guests(cx: &Cx, chosen: &Chosen) -> Result<Vec<GuestRecord>, Error> {
    let mut guests = Vec::new();
    for guest in cx.node.records.guests().await? {
        let guest = guest?;
        if guest.node == cx.node.name && chosen.includes(guest.vmid) {
            guests.push(guest);
        }
    }
    guests.sort_by_key(|guest| guest.vmid);
    Ok(guests)
}
