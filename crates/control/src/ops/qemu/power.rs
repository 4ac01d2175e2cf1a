//! `POST /nodes/{node}/qemu/{vmid}/status/{reset,resume,shutdown,suspend}`

use model::{Error, StorageId, VmId};
use node::NodeContext;
use node::tasks::{
    QemuReboot, QemuReset, QemuResume, QemuShutdown, QemuStart, QemuSuspend, QemuSuspendToDisk,
    memory_storage,
};
use proto::wire::Answer;
use serde::Deserialize;
use tasks::Task;

use super::clones::require_space;
use super::{Guest, check_keeps_active};
use crate::ops::Op;

pub(super) async fn reset(op: Op) -> Result<Answer, Error> {
    tell(op, QemuReset::new).await
}

/// A guest that was suspended to disk is started: it wakes up.
pub(super) async fn resume(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let guest = op.context.node.records.qemu(vmid).await?.record.data;
    if guest.suspended.is_some() {
        let task = QemuStart::new(vmid, None, false);
        return op.context.submit(&op, vmid, task).await;
    }
    tell(op, QemuResume::new).await
}

#[derive(Deserialize)]
struct Suspend {
    todisk: Option<bool>,
    statestorage: Option<StorageId>,
}

pub(super) async fn suspend(op: Op) -> Result<Answer, Error> {
    let guest = Guest::of(&op)?;
    let Suspend {
        todisk,
        statestorage,
    } = op.params()?;
    if todisk != Some(true) {
        return tell(op, QemuSuspend::new).await;
    }
    let record = op.context.node.records.qemu(guest.vmid).await?.record.data;
    let storage = match &statestorage {
        Some(storage) => storage.clone(),
        None => memory_storage(&record)?,
    };
    require_space(&op, std::iter::once(storage))?;
    let skip_lock = guest.skips_lock();
    let task = |vmid| QemuSuspendToDisk::new(vmid, statestorage, skip_lock);
    tell(op, task).await
}

/// Submits a task for a guest that must be running: whoever asks too late is told so at once.
async fn tell<T: Task<Node = NodeContext>>(
    op: Op,
    task: impl FnOnce(VmId) -> T,
) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    op.context.node.records.qemu(vmid).await?;
    if !op.context.node.running.is_running(vmid).await? {
        return Err(Error::conflict(format!("VM {vmid} not running")));
    }
    op.context.submit(&op, vmid, task(vmid)).await
}

#[derive(Deserialize)]
struct Shutdown {
    #[serde(rename = "forceStop")]
    force_stop: Option<bool>,
    #[serde(rename = "keepActive")]
    keep_active: Option<bool>,
    /// Seconds.
    timeout: Option<u64>,
}

/// Shutting down a guest that does not run is no error: the task has nothing to do.
pub(super) async fn shutdown(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Shutdown {
        force_stop,
        keep_active,
        timeout,
    } = op.params()?;
    check_keeps_active(&op, keep_active)?;
    op.context.node.records.qemu(vmid).await?;
    let force_stop = force_stop == Some(true);
    let task = QemuShutdown {
        vmid,
        timeout_s: timeout,
        force_stop,
    };
    op.context.submit(&op, vmid, task).await
}

#[derive(Deserialize)]
struct Reboot {
    /// Seconds.
    timeout: Option<u64>,
}

pub(super) async fn reboot(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Reboot { timeout } = op.params()?;
    op.context.node.records.qemu(vmid).await?;
    if !op.context.node.running.is_running(vmid).await? {
        return Err(Error::conflict(format!("VM {vmid} not running")));
    }
    op.context
        .submit(
            &op,
            vmid,
            QemuReboot {
                vmid,
                timeout_s: timeout,
            },
        )
        .await
}
