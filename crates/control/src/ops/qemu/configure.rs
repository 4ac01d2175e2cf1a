//! `PUT /nodes/{node}/qemu/{vmid}/config`

use model::qemu::{Cpu, OPTIONS};
use model::schema::Values;
use model::schema::format::split_list;
use model::{Error, ErrorKind, GuestRecord};
use node::tasks::{QemuConfigure, check_digest};
use node::{Edit, Settings, random_mac};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::Value;
use tasks::Task;
use uuid::Uuid;

use super::Guest;
use super::cloudinit::seal_password;
use super::drives::check_drives;
use super::rights::check_change;
use crate::ops::Op;
use crate::ops::before::snapshot_before_options;
use crate::ops::guest_options::Changed;

#[derive(Deserialize)]
pub(super) struct Change {
    pub(super) digest: Option<String>,
    pub(super) delete: Option<String>,
    pub(super) force: Option<bool>,
    pub(super) revert: Option<String>,
}

/// Most changes are one commit; the others are a task that this caller waits for.
pub(super) async fn make(op: &Op, task: QemuConfigure) -> Result<Answer, Error> {
    let context = &op.context;
    let hold = context.hold_guest(task.vmid, QemuConfigure::KIND).await?;
    if let Some(revision) = task.at_once(&context.node).await? {
        return Ok(Answer::null().at(revision.0));
    }
    drop(hold);
    context.perform(op, task.vmid, task).await
}

/// The requested change, with all checks that are possible before the guest is locked.
pub(super) async fn read(op: &Op) -> Result<QemuConfigure, Error> {
    let guest = Guest::of(op)?;
    let change: Change = op.params()?;
    let record = op.records.qemu(guest.vmid).await?.record.data;
    check_digest(&record, change.digest.as_deref())?;
    let cluster = op.records.cluster_options().await?;
    let mut options = options(&op.params, &cluster);
    seal_password(&op.context, &mut options, &record.config).await?;
    let mut edit = Edit::new(&options, &|| {
        random_mac(cluster.mac_prefix(), &op.context.node.name)
    })?;
    edit.delete.extend(names(change.delete.as_deref()));
    edit.revert = names(change.revert.as_deref());
    edit.force = change.force == Some(true);
    check_options(&mut edit, &record)?;
    check_change(op, &edit, &record)?;
    changed(&mut edit).check_tags(op, &record.config).await?;
    check_drives(op, guest.vmid, &edit).await?;
    check_cpu_model(op, &edit).await?;
    edit.keep_tpm_version(&record)?;
    edit.check(Some(&record))?;
    check_hook_script(op, &edit).await?;
    let digest = snapshot_before_options(op, &record, edit.names(), change.digest).await?;
    Ok(QemuConfigure::new(
        guest.vmid,
        edit,
        digest,
        guest.skips_lock(),
    ))
}

fn changed(edit: &mut Edit) -> Changed<'_> {
    Changed {
        set: &mut edit.set,
        delete: &edit.delete,
        revert: &edit.revert,
    }
}

pub(super) fn check_options(edit: &mut Edit, record: &GuestRecord) -> Result<(), Error> {
    let mut changed = changed(edit);
    changed.check_names(OPTIONS)?;
    changed.check_template(&record.config)
}

/// The parameters that are options of the guest.
pub(in crate::ops) fn options(params: &Values, cluster: &Settings) -> Values {
    let mut options: Values = params
        .iter()
        .filter(|(name, _)| model::schema::find(OPTIONS, name).is_some())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if options.get("vmgenid").is_some_and(|id| id == "1") {
        options.insert("vmgenid".to_owned(), Uuid::new_v4().to_string().into());
    }
    if let Some(Value::String(tags)) = options.get_mut("tags") {
        *tags = cluster.unique_tags(tags);
    }
    options
}

pub(in crate::ops) fn names(list: Option<&str>) -> Vec<String> {
    split_list(list.unwrap_or_default())
        .map(str::to_owned)
        .collect()
}

/// A processor model of the cluster's own must exist.
pub(in crate::ops) async fn check_cpu_model(op: &Op, edit: &Edit) -> Result<(), Error> {
    let cpu = edit.set.get("cpu").and_then(|value| value.as_str());
    let Some(cpu) = cpu.and_then(|text| Cpu::parse(text).ok()) else {
        return Ok(());
    };
    if let Some(name) = cpu.custom_name() {
        let known = op.records.cpu_model(name).await;
        known.map_err(|error| match error.kind {
            ErrorKind::NotFound => {
                Error::invalid("cpu", format!("invalid format - {}\n", error.message))
            }
            _ => error,
        })?;
    }
    Ok(())
}

/// A hook script must exist.
pub(in crate::ops) async fn check_hook_script(op: &Op, edit: &Edit) -> Result<(), Error> {
    match edit.set.get("hookscript").and_then(|value| value.as_str()) {
        Some(volume) => check_hook_script_of(op, volume).await,
        None => Ok(()),
    }
}

pub(in crate::ops) async fn check_hook_script_of(op: &Op, volume: &str) -> Result<(), Error> {
    if let Ok(volume) = volume.parse() {
        op.context.node.hook_script(&volume).await?;
    }
    Ok(())
}

/// Answers when the change is complete.
pub(super) async fn configure(op: Op) -> Result<Answer, Error> {
    let task = read(&op).await?;
    make(&op, task).await
}
