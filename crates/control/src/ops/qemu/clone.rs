//! `POST /nodes/{node}/qemu/{vmid}/clone`

use model::schema::Values;
use model::{BlockFormat, Error, GuestConfig, GuestKind, NodeName, PoolId, StorageId, VmId};
use node::tasks::{QemuClone, already_exists, snapshot_of};
use node::volumes_of;
use proto::wire::Answer;
use serde::Deserialize;

use super::Guest;
use super::clones::is_copied;
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
    format: Option<BlockFormat>,
    full: Option<bool>,
    name: Option<String>,
    pool: Option<PoolId>,
    snapname: Option<String>,
    storage: Option<StorageId>,
    target: Option<NodeName>,
}

pub(super) async fn clone(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let task = task(&op, vmid, &op.params).await?;
    op.context.submit(&op, vmid, task).await
}

/// The task of a clone of this guest, with all checks that are possible before it runs.
pub(in crate::ops) async fn task(op: &Op, vmid: VmId, params: &Values) -> Result<QemuClone, Error> {
    let wanted: Clone = serde_json::from_value(params.clone().into())
        .map_err(|error| Error::bug(format!("the parameters of a clone: {error}")))?;
    if let Some(target) = &wanted.target {
        op.context.check_node(target)?;
    }
    check_clone(op, vmid).await?;
    let source = op.records.qemu(vmid).await?.record.data;
    let is_template = source.config.flag("template") == Some(true);
    let full = wanted.full.unwrap_or(!is_template);
    check_linked(&wanted, is_template, full)?;
    if let Some(taken) = op.records.find(wanted.newid).await? {
        return Err(already_exists(
            GuestKind::Qemu,
            wanted.newid,
            &taken.record.data,
        ));
    }
    let config = match &wanted.snapname {
        Some(name) => &snapshot_of(&source, name)?.config,
        None => &source.config,
    };
    require_bridges(op, GuestKind::Qemu, config)?;
    if wanted.storage.is_none() {
        check_space(op, config)?;
    }
    if let Some(pool) = &wanted.pool
        && op.context.authority.access().pool(pool).is_none()
    {
        return Err(Error::not_found(format!("pool '{pool}' does not exist")));
    }
    let mut task = QemuClone::new(vmid, wanted.newid);
    task.name = wanted.name;
    task.description = wanted.description;
    task.pool = wanted.pool;
    task.full = full;
    task.storage = wanted.storage;
    task.format = wanted.format;
    task.snapshot = wanted.snapname;
    let storages = storages_of(
        config,
        |option| is_copied(option, config),
        task.storage.as_ref(),
    );
    task.bytes_per_s = bytes_per_s(op, "clone", storages, wanted.bwlimit).await?;
    Ok(task)
}

/// Refuses parameters that only full clones have, and linked clones of guests that are no
/// templates.
fn check_linked(wanted: &Clone, is_template: bool, full: bool) -> Result<(), Error> {
    if full {
        return Ok(());
    }
    if wanted.storage.is_some() {
        let text = "parameter 'storage' not allowed for linked clones";
        return Err(Error::invalid("storage", text));
    }
    if wanted.format.is_some() {
        let text = "parameter 'format' not allowed for linked clones";
        return Err(Error::invalid("format", text));
    }
    if !is_template || wanted.snapname.is_some() {
        let text = "Linked clone feature is not available: only templates have linked clones";
        return Err(Error::conflict(text));
    }
    Ok(())
}

/// Without a target storage a copy takes space on the storage of its original.
fn check_space(op: &Op, config: &GuestConfig) -> Result<(), Error> {
    let copied = volumes_of(config)
        .into_iter()
        .filter(|(option, _)| is_copied(option, config));
    require_space(op, copied.map(|(_, volume)| volume.storage().clone()))
}
