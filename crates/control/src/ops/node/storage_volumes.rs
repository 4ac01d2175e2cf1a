//! `/nodes/{node}/storage/{storage}/content`

use std::time::Duration;

use model::{BlockFormat, Error, Privilege, StorageId, Upid, VmId, VolumeId};
use node::tasks::{VolumeCreate, VolumeDelete};
use proto::wire::Answer;
use serde::Deserialize;
use serde_json::{Value, json};
use storage::{ContentType, Storage, VolumeInfo};
use tasks::{TaskState, TaskSummary};

use crate::ops::Op;
use crate::ops::volume_access::check_access;

/// How long a caller waits for those who make volumes of the same guest.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
struct List {
    storage: StorageId,
    content: Option<String>,
    vmid: Option<VmId>,
}

pub(super) async fn list(op: Op) -> Result<Answer, Error> {
    let wanted: List = op.params()?;
    let storage = op.context.node.storage(&wanted.storage).await?;
    storage.activate().await?;
    let content = match wanted.content.as_deref() {
        None => None,
        Some(name) => match ContentType::from_name(name) {
            Some(content) => Some(content),
            None => return Ok(Answer::new(Vec::<Value>::new())),
        },
    };
    let volumes = storage.list(content).await?;
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.authority.now());
    let rows: Vec<Value> = volumes
        .iter()
        .filter(|volume| wanted.vmid.is_none_or(|vmid| volume.owner == Some(vmid)))
        .filter(|volume| check_access(&view, &wanted.storage, volume).is_ok())
        .map(|volume| row(&wanted.storage, volume))
        .collect();
    Ok(Answer::new(rows))
}

fn row(storage: &StorageId, volume: &VolumeInfo) -> Value {
    let mut row = json!({
        "volid": format!("{storage}:{}", volume.name),
        "content": volume.content.as_str(),
        "format": volume.format,
        "size": volume.size,
        "ctime": volume.created,
    });
    if let Some(owner) = volume.owner {
        row["vmid"] = owner.get().into();
    }
    if volume.content == ContentType::Images {
        row["used"] = volume.used.into();
        row["parent"] = Value::Null;
    }
    row
}

/// The volume that a path names: `local:iso/x.iso`, or `iso/x.iso` below its storage.
#[derive(Deserialize)]
struct Named {
    volume: String,
    storage: Option<StorageId>,
}

impl Named {
    fn of(op: &Op) -> Result<VolumeId, Error> {
        let Self { volume, storage } = op.params()?;
        let invalid = |error: model::IdError| Error::invalid("volume", error.to_string());
        if !volume.contains(':') {
            let none = || Error::invalid("volume", "no storage ID specified");
            return VolumeId::new(storage.ok_or_else(none)?, volume).map_err(invalid);
        }
        let volume: VolumeId = volume.parse().map_err(invalid)?;
        match storage {
            Some(other) if other != *volume.storage() => {
                let reason = format!("storage ID mismatch ({} != {other})", volume.storage());
                Err(Error::invalid("storage", reason))
            }
            _ => Ok(volume),
        }
    }
}

/// What is known of a volume. Its name alone says whose it is, so a caller who may not see it
/// is not told whether it is there.
async fn find(op: &Op, volume: &VolumeId) -> Result<VolumeInfo, Error> {
    let storage = op.context.node.storage(volume.storage()).await?;
    let found = storage.info(volume.name()).await?;
    found.ok_or_else(|| Error::not_found(format!("volume '{volume}' does not exist")))
}

pub(super) async fn get(op: Op) -> Result<Answer, Error> {
    let volume = Named::of(&op)?;
    let named = describe_name(&op, &volume).await?;
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.authority.now());
    check_access(&view, volume.storage(), &named)?;
    let found = find(&op, &volume).await?;
    let storage = op.context.node.storage(volume.storage()).await?;
    let mut answer = json!({
        "format": found.format,
        "size": found.size,
        "used": found.used.unwrap_or(found.size),
    });
    if let Some(files) = storage.files() {
        answer["path"] = files.path(volume.name())?.display().to_string().into();
    }
    Ok(Answer::new(answer))
}

/// What a volume's name says of it, whether or not it is there.
async fn describe_name(op: &Op, volume: &VolumeId) -> Result<VolumeInfo, Error> {
    let storage = op.context.node.storage(volume.storage()).await?;
    Ok(storage.describe_name(volume.name())?)
}

#[derive(Deserialize)]
struct Create {
    storage: StorageId,
    filename: String,
    size: String,
    vmid: VmId,
    format: Option<BlockFormat>,
}

/// Answers the volume's id once the image is there.
pub(super) async fn create(op: Op) -> Result<Answer, Error> {
    let wanted: Create = op.params()?;
    let bytes = bytes(&wanted.size)?;
    let storage = op.context.node.storage(&wanted.storage).await?;
    let _turn;
    let (name, format) = match wanted.filename.as_str() {
        "" => {
            // Two who do not mind which name get two.
            let names = format!("new-volumes/{}", wanted.vmid);
            _turn = op.context.tasks.hold(&names, "", PATIENCE).await?;
            next_free(&*storage, &wanted).await?
        }
        _ => image_name(&wanted)?,
    };
    let volume = VolumeId::new(wanted.storage.clone(), name)
        .map_err(|error| Error::invalid("filename", error.to_string()))?;
    storage.describe_name(volume.name())?;
    let task = VolumeCreate::new(volume.clone(), wanted.vmid, format, bytes);
    let id = format!("{}@{}", wanted.vmid, wanted.storage);
    let upid = op.context.submit_unlisted(&op, id, task).await?;
    ended_well(&op.context.tasks.wait(&upid).await?)?;
    Ok(Answer::new(volume.to_string()))
}

async fn wait(op: &Op, upid: &Answer) -> Result<TaskSummary, Error> {
    let upid: Upid = upid
        .data
        .as_str()
        .and_then(|upid| upid.parse().ok())
        .ok_or_else(|| Error::bug("a task was submitted and has no UPID"))?;
    op.context.tasks.wait(&upid).await
}

fn ended_well(task: &TaskSummary) -> Result<(), Error> {
    match &task.state {
        TaskState::Ended { .. } if task.is_ok() => Ok(()),
        TaskState::Ended { status, .. } => Err(Error::conflict(status.clone())),
        TaskState::Stuck(reason) => Err(Error::unavailable(reason.clone())),
        TaskState::Running => Err(Error::bug("a task was waited for and runs")),
    }
}

/// A name that no volume has, for a caller who does not mind which.
async fn next_free(storage: &dyn Storage, wanted: &Create) -> Result<(String, BlockFormat), Error> {
    storage.activate().await?;
    let format = wanted.format.unwrap_or(BlockFormat::Raw);
    let name = storage.choose_image_name(wanted.vmid, format, &[]).await?;
    Ok((name, format))
}

/// The name that the caller wants, and the format that its ending says.
fn image_name(wanted: &Create) -> Result<(String, BlockFormat), Error> {
    let Create { filename, vmid, .. } = wanted;
    if !filename.starts_with(&format!("vm-{vmid}-")) {
        let text = format!("illegal name '{filename}' - should be 'vm-{vmid}-*'");
        return Err(Error::conflict(text));
    }
    let ending = filename.rsplit_once('.').map(|(_, ending)| ending);
    let format = match ending {
        Some("raw") => BlockFormat::Raw,
        Some("qcow2") => BlockFormat::Qcow2,
        Some("vmdk") => BlockFormat::Vmdk,
        _ => {
            return Err(Error::conflict(format!(
                "unable to parse volume filename '{filename}'"
            )));
        }
    };
    match wanted.format {
        Some(other) if other != format => {
            let (other, format) = (other.as_str(), format.as_str());
            let reason = format!("different storage formats ({other} != {format})");
            Err(Error::invalid("format", reason))
        }
        _ => Ok((format!("{vmid}/{filename}"), format)),
    }
}

/// A number of KiB, or of what its letter says.
fn bytes(size: &str) -> Result<u64, Error> {
    let (number, shift) = match size.strip_suffix(['M', 'G']) {
        Some(number) => (number, if size.ends_with('G') { 30 } else { 20 }),
        None => (size, 10),
    };
    let number = number.parse::<u64>().ok().filter(|number| *number > 0);
    let bytes = number.and_then(|number| number.checked_mul(1 << shift));
    // An image's length is a signed number of 64 bits.
    let bytes = bytes.filter(|bytes| i64::try_from(*bytes).is_ok());
    bytes.ok_or_else(|| Error::invalid("size", format!("unable to parse size '{size}'")))
}

#[derive(Deserialize)]
struct Delete {
    /// Seconds to wait for the end of the task.
    delay: Option<u64>,
}

pub(super) async fn delete(op: Op) -> Result<Answer, Error> {
    let volume = Named::of(&op)?;
    let Delete { delay } = op.params()?;
    let named = describe_name(&op, &volume).await?;
    check_delete(&op, &volume, &named)?;
    let found = find(&op, &volume).await?;
    let image_owner = found.owner.filter(|_| found.content == ContentType::Images);
    op.context.node.check_unused(&volume, image_owner).await?;
    let owner = found
        .owner
        .map(|owner| format!("{owner}@"))
        .unwrap_or_default();
    let id = format!("{owner}{}", volume.storage());
    let upid = op
        .context
        .submit(&op, id, VolumeDelete::new(volume, image_owner))
        .await?;
    let Some(delay) = delay else { return Ok(upid) };
    tokio::select! {
        ended = wait(&op, &upid) => {
            ended_well(&ended?)?;
            Ok(Answer::null())
        }
        () = op.context.clock.sleep(std::time::Duration::from_secs(delay)) => Ok(upid),
    }
}

fn check_delete(op: &Op, volume: &VolumeId, named: &VolumeInfo) -> Result<(), Error> {
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.authority.now());
    let path = format!("/storage/{}", volume.storage());
    match named.owner {
        Some(owner) if named.content == ContentType::Backup => {
            view.require(&path, &[Privilege::DatastoreAllocateSpace])?;
            view.require(&format!("/vms/{owner}"), &[Privilege::VmBackup])?;
        }
        _ => view.require(&path, &[Privilege::DatastoreAllocate])?,
    }
    Ok(())
}

/// Only backups have notes and can be protected, and there are no backups yet.
pub(super) async fn update(op: Op) -> Result<Answer, Error> {
    let volume = Named::of(&op)?;
    let named = describe_name(&op, &volume).await?;
    check_delete(&op, &volume, &named)?;
    let found = find(&op, &volume).await?;
    for (attribute, text) in [
        ("notes", "only backups can have notes"),
        ("protected", "only backups can be protected"),
    ] {
        if op.params.contains_key(attribute) {
            let backup = "not supported by this version of Ostler";
            let is_backup = found.content == ContentType::Backup;
            return Err(if is_backup {
                Error::invalid(attribute, backup)
            } else {
                Error::conflict(text)
            });
        }
    }
    Ok(Answer::null())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_kib_unless_a_letter_says_otherwise() {
        for (text, expected) in [("4G", 4 << 30), ("32M", 32 << 20), ("1024", 1 << 20)] {
            assert_eq!(bytes(text).unwrap(), expected, "{text}");
        }
        for bad in ["0", "0G", "99999999999G", "18446744073709551616"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }

    fn wanted(filename: &str, format: Option<BlockFormat>) -> Create {
        Create {
            storage: "local".parse().unwrap(),
            filename: filename.to_owned(),
            size: "1G".to_owned(),
            vmid: "100".parse().unwrap(),
            format,
        }
    }

    #[test]
    fn an_image_is_named_after_its_guest() {
        let good = wanted("vm-100-disk-1.qcow2", None);
        assert_eq!(image_name(&good).unwrap().1, BlockFormat::Qcow2);
        let bad = [
            (wanted("vm-101-disk-1.raw", None), "illegal name"),
            (
                wanted("vm-100-disk-1", None),
                "unable to parse volume filename",
            ),
            (
                wanted("vm-100-disk-1.iso", None),
                "unable to parse volume filename",
            ),
            (
                wanted("vm-100-a.raw", Some(BlockFormat::Qcow2)),
                "different storage formats",
            ),
        ];
        for (wanted, text) in bad {
            let error = image_name(&wanted).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
