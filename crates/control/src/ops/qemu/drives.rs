//! The volumes that a caller may attach to a guest.

use model::qemu::{Drive, DriveSlot, DriveSource, ImportSource};
use model::{Error, ErrorKind, FieldErrors, Privilege, VmId, VolumeId};
use node::Edit;
use storage::ContentType;

use crate::ops::Op;
use crate::ops::volume_access::check_use;

/// Refuses volumes that the caller may not use, host paths for all but root, and volumes that are
/// not media for drives. The row checks space for new volumes.
pub(super) async fn check_drives(op: &Op, guest: VmId, edit: &Edit) -> Result<(), Error> {
    let mut errors = FieldErrors::new();
    for (name, value) in &edit.set {
        let text = value.as_str().unwrap_or_default();
        if name.starts_with("unused") {
            let volume = text.split(',').next().unwrap_or_default();
            let volume = volume
                .parse()
                .map_err(|error: model::IdError| Error::invalid(name, error.to_string()))?;
            check_use(op, guest, &volume).await?;
            continue;
        }
        let Ok(slot) = name.parse::<DriveSlot>() else {
            continue;
        };
        let drive = Drive::parse(slot.bus(), text)
            .map_err(|error| Error::invalid(name, error.for_parameter(name)))?;
        match check_drive(op, guest, &drive).await {
            Err(error) if error.kind == ErrorKind::Invalid => {
                errors.insert(name.clone(), error.message);
            }
            result => result?,
        }
    }
    for volume in &edit.new_volumes {
        op.context.node.storage(&volume.storage).await?;
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Error::invalid_fields(errors))
    }
}

async fn check_drive(op: &Op, guest: VmId, drive: &Drive) -> Result<(), Error> {
    match drive.source() {
        DriveSource::Path(path) => check_path(op, &path)?,
        DriveSource::HostCdrom => {
            let access = op.context.authority.access();
            let view = access.view(op.identity()?, op.context.authority.now());
            view.require("/", &[Privilege::SysConsole])?;
        }
        DriveSource::Volume(volume) => check_medium(op, guest, &volume, drive.is_cdrom()).await?,
        DriveSource::Empty | DriveSource::New { .. } | DriveSource::NewCloudInit { .. } => {}
    }
    match drive.import_source() {
        Some(ImportSource::Path(path)) => check_path(op, &path),
        Some(ImportSource::Volume(volume)) => {
            let info = check_use(op, guest, &volume).await?;
            if matches!(info.content, ContentType::Import | ContentType::Images) {
                return Ok(());
            }
            let kind = info.content.as_str();
            Err(invalid(format!(
                "cannot import from '{volume}' of type '{kind}'"
            )))
        }
        None => Ok(()),
    }
}

async fn check_medium(
    op: &Op,
    guest: VmId,
    volume: &VolumeId,
    is_cdrom: bool,
) -> Result<(), Error> {
    let content = check_use(op, guest, volume).await?.content;
    if content == ContentType::Images {
        let storage = op.context.node.storage(volume.storage()).await?;
        let found = storage.stat(volume.name()).await?;
        return match found {
            // A linked clone needs its base, which only its whole name says.
            Some(found) if found.name != volume.name() => Err(invalid(format!(
                "the whole name of this volume is '{}:{}'",
                volume.storage(),
                found.name
            ))),
            _ => Ok(()),
        };
    }
    if content == ContentType::Iso && is_cdrom {
        return Ok(());
    }
    if content == ContentType::Iso {
        return Err(invalid("unexpected media type (iso != images)".to_owned()));
    }
    let kind = content.as_str();
    Err(invalid(format!(
        "volume '{volume}' of type '{kind}' cannot be a drive's medium"
    )))
}

/// A host path may lead to any file, so only root may use it.
fn check_path(op: &Op, path: &str) -> Result<(), Error> {
    if op.identity()?.is_root() {
        return Ok(());
    }
    let text = format!("Only root can pass arbitrary filesystem paths: '{path}'");
    Err(Error::forbidden(text))
}

/// The error is about the drive; the caller adds which one.
fn invalid(reason: String) -> Error {
    Error::new(ErrorKind::Invalid, reason)
}
