//! `DELETE /nodes/{node}/qemu/{vmid}`

use model::Error;
use node::tasks::QemuDestroy;
use proto::wire::Answer;
use serde::Deserialize;

use super::Guest;
use crate::ops::Op;

/// Pools and rights forget the guest in any case; with `purge` jobs do, too.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Destroy {
    destroy_unreferenced_disks: Option<bool>,
    purge: Option<bool>,
}

pub(super) async fn destroy(op: Op) -> Result<Answer, Error> {
    let guest = Guest::of(&op)?;
    let vmid = guest.vmid;
    let Destroy {
        destroy_unreferenced_disks,
        purge,
    } = op.params()?;
    let record = op.records.qemu(vmid).await?.record.data;
    if record.config.flag("protection") == Some(true) {
        let text = format!("can't remove VM {vmid} - protection mode enabled");
        return Err(Error::conflict(text));
    }
    if op.context.node.running.is_running(vmid).await? {
        return Err(Error::conflict(format!(
            "VM {vmid} is running - destroy failed"
        )));
    }
    let unreferenced = destroy_unreferenced_disks == Some(true);
    let mut task = QemuDestroy::new(vmid, guest.skips_lock(), unreferenced);
    task.purge = purge == Some(true);
    op.context.submit(&op, vmid, task).await
}
