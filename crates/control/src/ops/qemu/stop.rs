//! `POST /nodes/{node}/qemu/{vmid}/status/stop`

use model::{Error, Privilege, Upid, VmId};
use node::tasks::QemuStop;
use proto::wire::Answer;
use serde::Deserialize;
use tasks::TaskFilter;

use super::{Guest, check_keeps_active};
use crate::ops::Op;
use crate::ops::node::is_mine;

/// `timeout` is for a guest that is asked to stop before it is killed. It has no effect: the guest
/// is not asked.
#[derive(Deserialize)]
struct Stop {
    #[serde(rename = "overrule-shutdown")]
    overrule_shutdown: Option<bool>,
    #[serde(rename = "keepActive")]
    keep_active: Option<bool>,
}

pub(super) async fn stop(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let wanted: Stop = op.params()?;
    check_keeps_active(&op, wanted.keep_active)?;
    // A guest that runs here can be stopped even if the store is out of reach.
    if !op.context.node.running.is_running(vmid).await? {
        op.records.qemu(vmid).await?;
    }
    let mut task = QemuStop::new(vmid);
    if wanted.overrule_shutdown == Some(true) {
        task.overruled = overrule_shutdowns(&op, vmid, "qmshutdown")?;
    }
    op.context.submit(&op, vmid, task).await
}

/// Stops the guest's shutdown tasks, as far as the caller may: its own, and with Sys.Modify on the
/// node all of them.
pub(in crate::ops) fn overrule_shutdowns(
    op: &Op,
    vmid: VmId,
    kind: &str,
) -> Result<Vec<Upid>, Error> {
    let caller = op.identity()?;
    let access = op.context.authority.access();
    let view = access.view(caller, op.context.authority.now());
    let all = view.has(
        &format!("/nodes/{}", op.context.node.name),
        Privilege::SysModify,
    );
    let me = caller.label();
    let may_stop = |upid: &Upid| all || is_mine(upid, &me);

    let shutdowns = TaskFilter {
        running: true,
        id: Some(vmid.to_string()),
        kind: Some(kind.to_owned()),
        ..TaskFilter::default()
    };
    let upids = op.context.tasks.list(&shutdowns).into_iter();
    let upids: Vec<Upid> = upids.map(|task| task.upid).filter(may_stop).collect();
    upids
        .iter()
        .try_for_each(|upid| op.context.tasks.stop(upid))?;
    Ok(upids)
}
