//! `POST /nodes/{node}/lxc/{vmid}/clone`

use model::{Error, GuestKind, NodeName, PoolId, StorageId, VmId};
use node::tasks::{LxcClone, already_exists, snapshot_of};
use proto::wire::Answer;
use serde::Deserialize;

use super::Container;
use super::create::check_pool;
use crate::ops::Op;
use crate::ops::approved::check_clone;
use crate::ops::copies::{bytes_per_s, require_bridges, storages_of};
use crate::ops::volume_access::require_space;

#[derive(Deserialize)]
struct Clone {
    newid: VmId,
    /// In KiB/s.
    bwlimit: Option<f64>,
    description: Option<String>,
    full: Option<bool>,
    hostname: Option<String>,
    pool: Option<PoolId>,
    snapname: Option<String>,
    storage: Option<StorageId>,
    target: Option<NodeName>,
}

/// A container is copied on its own node.
fn check_target(op: &Op, target: &NodeName) -> Result<(), Error> {
    let node = &op.context.node;
    if *target == node.name {
        return Ok(());
    }
    Err(match node.cluster.members.get(target) {
        None => Error::unavailable(format!("no such cluster node '{target}'")),
        Some(_) => {
            let text = "a container is cloned on its own node only, and moved afterwards";
            Error::invalid("target", text)
        }
    })
}

pub(super) async fn clone(op: Op) -> Result<Answer, Error> {
    let vmid = Container::of(&op)?.vmid;
    let wanted: Clone = op.params()?;
    if let Some(target) = &wanted.target {
        check_target(&op, target)?;
    }
    check_clone(&op, vmid).await?;
    let source = op.records.lxc(vmid).await?.record.data;
    let is_template = source.config.flag("template") == Some(true);
    let full = wanted
        .full
        .unwrap_or(!is_template || wanted.snapname.is_some());
    if !full && wanted.storage.is_some() {
        let text = "parameter 'storage' not allowed for linked clones";
        return Err(Error::invalid("storage", text));
    }
    if let Some(taken) = op.records.find(wanted.newid).await? {
        let taken = &taken.record.data;
        return Err(already_exists(GuestKind::Lxc, wanted.newid, taken));
    }
    check_pool(&op, wanted.pool.as_ref())?;
    let config = match &wanted.snapname {
        Some(name) => &snapshot_of(&source, name)?.config,
        None => &source.config,
    };
    require_bridges(&op, GuestKind::Lxc, config)?;
    let is_copied = |option: &str| !option.starts_with("unused");
    match &wanted.storage {
        Some(storage) => drop(op.context.node.storage(storage).await?),
        None => {
            // A copy takes space on the storage of its original.
            require_space(&op, storages_of(config, is_copied, None).into_iter())?;
        }
    }
    let mut task = LxcClone::new(vmid, wanted.newid);
    task.hostname = wanted.hostname;
    task.description = wanted.description;
    task.pool = wanted.pool;
    task.full = full;
    task.storage = wanted.storage;
    task.snapshot = wanted.snapname;
    let storages = storages_of(config, is_copied, task.storage.as_ref());
    task.bytes_per_s = bytes_per_s(&op, "clone", storages, wanted.bwlimit).await?;
    task.check(&op.context.node, &source).await?;
    op.context.submit(&op, vmid, task).await
}
