//! `DELETE /nodes/{node}/lxc/{vmid}`

use model::Error;
use node::tasks::{LxcDestroy, is_running};
use proto::wire::Answer;
use serde::Deserialize;

use super::Container;
use crate::ops::Op;

/// Pools and rights forget the guest in any case; with `purge` jobs do, too.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Destroy {
    destroy_unreferenced_disks: Option<bool>,
    purge: Option<bool>,
    force: Option<bool>,
}

pub(super) async fn destroy(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    let wanted: Destroy = op.params()?;
    let record = op.records.lxc(vmid).await?.record.data;
    if record.config.flag("protection") == Some(true) {
        let text = format!("can't remove CT {vmid} - protection mode enabled");
        return Err(Error::conflict(text));
    }
    let force = wanted.force == Some(true);
    if !force && op.context.node.running.is_running(vmid).await? {
        return Err(is_running(&record));
    }
    let unreferenced = wanted.destroy_unreferenced_disks == Some(true);
    let mut task = LxcDestroy::new(vmid, false, unreferenced, force);
    task.purge = wanted.purge == Some(true);
    op.context.submit(&op, vmid, task).await
}
