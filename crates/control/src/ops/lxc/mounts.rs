//! The volumes that a caller may mount in a container.

use model::lxc::{MountPoint, MountSlot, MountSource};
use model::{BlockFormat, Error, ErrorKind, FieldErrors, VmId};
use node::CtEdit;
use storage::ContentType;

use crate::ops::Op;
use crate::ops::volume_access::check_use;

/// Refuses volumes that the caller may not use or that are not there, and storages that hold no
/// containers. The row checks space for new volumes, and that paths of the host are root's.
pub(super) async fn check_mounts(op: &Op, guest: VmId, edit: &CtEdit) -> Result<(), Error> {
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
        let Ok(slot) = name.parse::<MountSlot>() else {
            continue;
        };
        let mount = MountPoint::parse(slot, text)
            .map_err(|error| Error::invalid(name, error.for_parameter(name)))?;
        match check_mount(op, guest, &mount).await {
            Err(error) if error.kind == ErrorKind::Invalid => {
                errors.insert(name.clone(), error.message);
            }
            result => result?,
        }
    }
    for volume in &edit.new_volumes {
        let storage = op.context.node.storage(&volume.storage).await?;
        if !storage.config().takes(ContentType::Rootdir) {
            let id = &volume.storage;
            let text = format!("storage '{id}' does not support container directories");
            return Err(Error::invalid("storage", text));
        }
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Error::invalid_fields(errors)),
    }
}

async fn check_mount(op: &Op, guest: VmId, mount: &MountPoint) -> Result<(), Error> {
    let MountSource::Volume(volume) = mount.source() else {
        return Ok(());
    };
    let refused = |text: String| Error::new(ErrorKind::Invalid, text);
    let said = check_use(op, guest, &volume).await?;
    let is_file_system =
        said.content == ContentType::Rootdir || said.image_format == Some(BlockFormat::Raw);
    if !is_file_system || said.owner.is_none() {
        let text = format!("volume '{volume}' cannot be the file system of a container");
        return Err(refused(text));
    }
    let storage = op.context.node.storage(volume.storage()).await?;
    match storage.stat(volume.name()).await? {
        Some(_) => Ok(()),
        None => Err(refused(format!("volume '{volume}' does not exist"))),
    }
}
