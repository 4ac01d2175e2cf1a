//! `PUT /nodes/{node}/lxc/{vmid}/config`

use model::lxc::{Device, Net, OPTIONS};
use model::schema::Values;
use model::{Error, GuestRecord};
use node::tasks::{LxcConfigure, check_digest, check_lock};
use node::{CtEdit, Settings, random_mac};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::Value;
use tasks::Task;

use super::Container;
use super::mounts::check_mounts;
use super::rights::check_change;
use crate::ops::Op;
use crate::ops::before::snapshot_before_options;
use crate::ops::guest_options::Changed;
use crate::ops::qemu::{check_hook_script, option_names};

#[derive(Deserialize)]
struct Change {
    digest: Option<String>,
    delete: Option<String>,
    revert: Option<String>,
}

/// Answers when the change is complete.
pub(super) async fn configure(op: Op) -> Result<Answer, Error> {
    let task = read(&op).await?;
    let context = &op.context;
    let hold = context.hold_guest(task.vmid, LxcConfigure::KIND).await?;
    if let Some(revision) = task.at_once(&context.node).await? {
        return Ok(Answer::null().at(revision.0));
    }
    drop(hold);
    context.perform(&op, task.vmid, task).await
}

/// The requested change, with all checks that are possible before the container is locked.
async fn read(op: &Op) -> Result<LxcConfigure, Error> {
    let vmid = Container::of(op)?.vmid;
    let change: Change = op.params()?;
    let record = op.records.lxc(vmid).await?.record.data;
    check_digest(&record, change.digest.as_deref())?;
    let cluster = op.records.cluster_options().await?;
    let default = "local".parse().map_err(|_| Error::bug("a constant"))?;
    let options = options(&op.params, &cluster);
    let mut edit = CtEdit::new(&options, &default, &|| {
        random_mac(cluster.mac_prefix(), &op.context.node.name)
    })?;
    edit.delete.extend(option_names(change.delete.as_deref()));
    edit.revert = option_names(change.revert.as_deref());
    check_options(&mut edit, &record)?;
    let unlocks = is_unlock(op, &edit);
    check_lock(&record, unlocks)?;
    edit.check(Some(&record))?;
    check_change(op, &edit, &record)?;
    changed(&mut edit).check_tags(op, &record.config).await?;
    check_mounts(op, vmid, &edit).await?;
    check_bridges(op, &edit).await?;
    check_devices(op, &edit).await?;
    if let Some(script) = edit.set.get("hookscript").and_then(Value::as_str) {
        check_hook_script(op, script).await?;
    }
    let digest = snapshot_before_options(op, &record, edit.names(), change.digest).await?;
    let mut task = LxcConfigure::new(vmid, edit, digest);
    task.skip_lock = unlocks;
    Ok(task)
}

/// A lock is taken off by root on the node itself, who asks for nothing else (`pct unlock`).
fn is_unlock(op: &Op, edit: &CtEdit) -> bool {
    let is_alone = edit.set.is_empty() && edit.revert.is_empty() && edit.delete == ["lock"];
    is_alone && op.process == Some(0)
}

fn changed(edit: &mut CtEdit) -> Changed<'_> {
    Changed {
        set: &mut edit.set,
        delete: &edit.delete,
        revert: &edit.revert,
    }
}

fn check_options(edit: &mut CtEdit, record: &GuestRecord) -> Result<(), Error> {
    let mut changed = changed(edit);
    changed.check_names(OPTIONS)?;
    changed.check_template(&record.config)
}

/// The parameters that are options of the container.
pub(super) fn options(params: &Values, cluster: &Settings) -> Values {
    let mut options: Values = params
        .iter()
        .filter(|(name, _)| model::schema::find(OPTIONS, name).is_some())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if let Some(Value::String(tags)) = options.get_mut("tags") {
        *tags = cluster.unique_tags(tags);
    }
    options
}

/// A card on a bridge that is not there would keep the container from starting.
pub(super) async fn check_bridges(op: &Op, edit: &CtEdit) -> Result<(), Error> {
    let nets = edit.set.iter().filter(|(name, _)| name.starts_with("net"));
    let nets = nets.filter_map(|(_, value)| Net::parse(value.as_str()?).ok());
    let bridges = nets.filter_map(|net| net.bridge().map(str::to_owned));
    for bridge in bridges.collect::<Vec<_>>() {
        if op.context.node.host.link(&bridge).await?.is_none() {
            return Err(Error::conflict(format!("bridge '{bridge}' does not exist")));
        }
    }
    Ok(())
}

/// A device that is not there would, too.
pub(super) async fn check_devices(op: &Op, edit: &CtEdit) -> Result<(), Error> {
    let is_device = |name: &str| {
        let number = name.strip_prefix("dev");
        number.is_some_and(|number| number.parse::<u16>().is_ok())
    };
    for (_, value) in edit.set.iter().filter(|(name, _)| is_device(name)) {
        if let Some(Ok(device)) = value.as_str().map(Device::parse) {
            op.context.node.device_number(&device).await?;
        }
    }
    Ok(())
}
