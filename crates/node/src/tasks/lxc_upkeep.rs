//! What the tasks share that look after a container's file systems while it runs or not.

use guest::lxc::CtConfig;
use model::lxc::{MountPoint, MountSlot};
use model::{Error, GuestRecord, VmId};
use sys::{Cell, CellMount};
use tasks::TaskContext;

use super::claim::check_lock;
use super::lxc_snapshot::mounts_in_use;
use crate::NodeContext;
use crate::lxc::mounts::Purpose;
use crate::volumes::attached::by_task;

type Cx = TaskContext<NodeContext>;

/// Refuses a container that is locked or has bases: they are never written.
pub(super) fn check_upkeep(guest: &GuestRecord) -> Result<(), Error> {
    if guest.config.flag("template") == Some(true) {
        return Err(Error::conflict(format!("CT {} is a template", guest.vmid)));
    }
    check_lock(guest, false)
}

pub(super) async fn config_of(cx: &Cx, vmid: VmId) -> Result<CtConfig, Error> {
    let guest = cx.node.records.lxc(vmid).await?.record.data;
    CtConfig::parse(&guest.config).map_err(Error::invalid_fields)
}

/// The file systems on volumes, each with its mount point. Those of a container that does not run are
/// this task's until `let_go`.
pub(super) async fn own_mounts(
    cx: &Cx,
    vmid: VmId,
    config: &CtConfig,
) -> Result<Vec<(MountSlot, MountPoint, CellMount)>, Error> {
    let mounts = match cx.node.running.is_running(vmid).await? {
        true => mounts_in_use(cx, vmid).await?,
        false => {
            let by = by_task(cx);
            cx.node
                .container_mounts(config, Purpose::Write, &by)
                .await?
        }
    };
    let volumes = config.mounts.iter();
    let volumes = volumes.filter(|(_, mount)| mount.volume().is_some());
    let named = volumes.zip(mounts);
    Ok(named
        .map(|((slot, point), mount)| (*slot, point.clone(), mount))
        .collect())
}

/// Lets the volumes of a container go that this task attached, if it did.
pub(super) async fn let_go(cx: &Cx, vmid: VmId, config: &CtConfig) -> Result<(), Error> {
    // A change of the host waits for what a task that was stopped has begun: until then that may have
    // them mounted. There is no such folder, as the container is not mounted on the host.
    cx.node
        .host
        .remove_dir(&cx.node.paths.mounted(vmid))
        .await?;
    cx.node.detach_container(config, &by_task(cx)).await
}

/// All file systems on volumes, to be mounted on the host: no device and no set-uid program of the
/// container works there.
pub(super) async fn for_the_host(cx: &Cx, vmid: VmId, config: &CtConfig) -> Result<Cell, Error> {
    let by = cx.node.by_guest(vmid).await?;
    let mut mounts = cx
        .node
        .container_mounts(config, Purpose::Write, &by)
        .await?;
    for mount in &mut mounts {
        mount.options.extend(["nodev", "nosuid"].map(str::to_owned));
    }
    Ok(Cell {
        mounts,
        at: cx.node.paths.mounted(vmid),
        beside: None,
        hides: None,
        first_id: config.first_id(),
        program: None,
    })
}
