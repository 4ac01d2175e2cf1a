//! `POST /nodes/{node}/qemu/{vmid}/status/{reset,resume,shutdown,suspend}`

use model::{Error, VmId};
use node::World;
use node::tasks::{QemuReboot, QemuReset, QemuResume, QemuShutdown, QemuSuspend};
use proto::wire::Answer;
use serde::Deserialize;
use tasks::Task;

use super::Guest;
use crate::ops::Op;

pub(super) async fn reset(op: Op) -> Result<Answer, Error> {
    tell(op, QemuReset::new).await
}

pub(super) async fn resume(op: Op) -> Result<Answer, Error> {
    tell(op, QemuResume::new).await
}

pub(super) async fn suspend(op: Op) -> Result<Answer, Error> {
    tell(op, QemuSuspend::new).await
}

/// Submits a task for a guest that must be running: whoever asks too late is told so at once.
async fn tell<T: Task<World = World>>(op: Op, task: fn(VmId) -> T) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    op.context.world.records.guest(vmid).await?;
    if !op.context.world.running.is_running(vmid).await? {
        return Err(Error::conflict(format!("VM {vmid} not running")));
    }
    op.context.submit(&op, vmid, task(vmid)).await
}

#[derive(Deserialize)]
struct Shutdown {
    #[serde(rename = "forceStop")]
    force_stop: Option<bool>,
    /// Seconds.
    timeout: Option<u64>,
}

/// Shutting down a guest that does not run is no error: the task has nothing to do.
pub(super) async fn shutdown(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Shutdown {
        force_stop,
        timeout,
    } = op.params()?;
    op.context.world.records.guest(vmid).await?;
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
    op.context.world.records.guest(vmid).await?;
    if !op.context.world.running.is_running(vmid).await? {
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
