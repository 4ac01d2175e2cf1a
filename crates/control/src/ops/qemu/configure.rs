//! `PUT` and `POST /nodes/{node}/qemu/{vmid}/config`

use std::time::Duration;

use model::qemu::OPTIONS;
use model::schema::Values;
use model::schema::format::split_list;
use model::{Error, ErrorKind, FieldErrors, GuestRecord, Upid};
use node::tasks::{QemuConfigure, check_digest};
use node::{Edit, Settings, random_mac};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::Value;
use tasks::TaskState;
use uuid::Uuid;

use super::Guest;
use super::cloudinit::seal_password;
use super::drives::check_drives;
use super::rights::check_change;
use crate::ops::Op;

/// How long a synchronous change may take: longer than a guest that does not let go of a device.
const PATIENCE: Duration = Duration::from_secs(8);

#[derive(Deserialize)]
struct Change {
    digest: Option<String>,
    delete: Option<String>,
    force: Option<bool>,
    revert: Option<String>,
}

/// Waits until the change is made.
pub(super) async fn configure(op: Op) -> Result<Answer, Error> {
    let submitted = submit(&op).await?;
    ended(&op, submitted).await
}

/// What became of a change, for callers that wait for it.
pub(super) async fn ended(op: &Op, submitted: Answer) -> Result<Answer, Error> {
    let upid: Upid = submitted
        .data
        .as_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Error::bug("a submitted task has no UPID"))?;
    let ended = tokio::select! {
        ended = op.context.tasks.wait(&upid) => ended?,
        () = op.context.clock.sleep(PATIENCE) => {
            // The change is in the queue and will be made; only this caller stops waiting.
            let vmid = &op.params["vmid"];
            let text = format!("can't lock file '/var/lock/qemu-server/lock-{vmid}.conf' - got timeout");
            return Err(Error::new(ErrorKind::Busy, text));
        }
    };
    match ended.state {
        TaskState::Ended { status, .. } if status == "OK" || status.starts_with("WARNINGS") => {
            Ok(Answer::null().at(ended.revision))
        }
        TaskState::Ended { .. } if !ended.fields.is_empty() => {
            Err(Error::invalid_fields(ended.fields))
        }
        TaskState::Ended { status, .. } => Err(Error::conflict(status)),
        other => Err(Error::bug(format!("the change ended as {other:?}"))),
    }
}

#[derive(Deserialize)]
struct Unlink {
    idlist: String,
    force: Option<bool>,
}

/// Deleting drives under another name.
pub(super) async fn unlink(op: Op) -> Result<Answer, Error> {
    let guest = Guest::of(&op)?;
    let Unlink { idlist, force } = op.params()?;
    let edit = Edit {
        delete: names(Some(&idlist)),
        force: force == Some(true),
        ..Edit::default()
    };
    check_names(&edit)?;
    let record = op.context.world.records.guest(guest.vmid).await?;
    check_change(&op, &edit, &record.record.data)?;
    let task = QemuConfigure::new(guest.vmid, edit, None, false);
    let submitted = op.context.submit(&op, guest.vmid, task).await?;
    ended(&op, submitted).await
}

/// Answers the UPID at once.
pub(super) async fn configure_task(op: Op) -> Result<Answer, Error> {
    submit(&op).await
}

async fn submit(op: &Op) -> Result<Answer, Error> {
    let guest = Guest::of(op)?;
    let change: Change = op.params()?;
    let record = op
        .context
        .world
        .records
        .guest(guest.vmid)
        .await?
        .record
        .data;
    check_digest(&record, change.digest.as_deref())?;
    let cluster = op.context.world.records.cluster_options().await?;
    let mut options = options(&op.params, &cluster);
    seal_password(&op.context, &mut options, &record.config).await?;
    let mut edit = Edit::new(&options, &|| {
        random_mac(cluster.mac_prefix(), &op.context.node)
    })?;
    edit.delete.extend(names(change.delete.as_deref()));
    edit.revert = names(change.revert.as_deref());
    edit.force = change.force == Some(true);
    check_names(&edit)?;
    check_template(&edit, &record)?;
    check_change(op, &edit, &record)?;
    check_drives(op, guest.vmid, &edit).await?;
    edit.keep_tpm_version(&record)?;
    edit.check(Some(&record))?;
    check_hook_script(op, &edit).await?;
    let task = QemuConfigure::new(guest.vmid, edit, change.digest, guest.skips_lock());
    op.context.submit(op, guest.vmid, task).await
}

/// The options of the guest among the parameters.
pub(super) fn options(params: &Values, cluster: &Settings) -> Values {
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

fn names(list: Option<&str>) -> Vec<String> {
    split_list(list.unwrap_or_default())
        .map(str::to_owned)
        .collect()
}

/// A script that is set must be there.
pub(super) async fn check_hook_script(op: &Op, edit: &Edit) -> Result<(), Error> {
    let volume = edit.set.get("hookscript").and_then(|value| value.as_str());
    if let Some(volume) = volume.and_then(|text| text.parse().ok()) {
        op.context.world.hook_script(&volume).await?;
    }
    Ok(())
}

/// What is set cannot be deleted too, and what is deleted must be an option.
fn check_names(edit: &Edit) -> Result<(), Error> {
    if edit.set.is_empty() && edit.delete.is_empty() && edit.revert.is_empty() {
        return Err(Error::conflict("no options specified"));
    }
    let mut errors = FieldErrors::new();
    for (field, names) in [("delete", &edit.delete), ("revert", &edit.revert)] {
        for name in names {
            if edit.set.contains_key(name) {
                let text = format!("you can't use '-{name}' and -{field} {name}' at the same time");
                errors.insert(field.to_owned(), text);
            } else if model::schema::find(OPTIONS, name).is_none() {
                errors.insert(field.to_owned(), format!("unknown option '{name}'"));
            }
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Error::invalid_fields(errors))
    }
}

/// Its bases may have layers on them: what was made a template stays one.
fn check_template(edit: &Edit, guest: &GuestRecord) -> Result<(), Error> {
    if guest.config.flag("template") != Some(true) {
        return Ok(());
    }
    let is_template = |name: &String| name == "template";
    let field = match edit.set.get("template") {
        Some(_) => "template",
        None if edit.delete.iter().any(is_template) => "delete",
        None if edit.revert.iter().any(is_template) => "revert",
        None => return Ok(()),
    };
    Err(Error::invalid(field, "a template stays a template"))
}
