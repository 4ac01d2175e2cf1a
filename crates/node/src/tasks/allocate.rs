//! The step that makes the volumes which an edit asks for.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use model::qemu::{DriveBus, EfiDisk, ImportSource};
use model::{BlockFormat, Error, VmId, VolumeId};
use storage::{ContentType, Probed};
use sys::SharedHost;
use tasks::{Probe, Step, Task, TaskContext};

use crate::qemu::edit::{Edit, NewVolume};
use crate::qemu::{cloud_init, drives, efi_vars};
use crate::volumes::images::{self, Copying, Source};
use crate::{NodeContext, volumes};

/// A task that makes volumes.
pub(super) trait Allocates: Task<Node = NodeContext> {
    fn owner(&self) -> VmId;
    fn edit(&self) -> &Edit;
    fn edit_mut(&mut self) -> &mut Edit;
}

pub(super) struct Allocate;

type Cx = TaskContext<NodeContext>;

#[async_trait]
impl<T: Allocates> Step<T> for Allocate {
    fn name(&self) -> &'static str {
        "allocate"
    }

    async fn plan(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        let owner = task.owner();
        let mut volumes = task.edit().new_volumes.clone();
        let mut taken = Vec::new();
        for volume in &mut volumes {
            let storage = cx.node.storage(&volume.storage).await?;
            let id = &volume.storage;
            if !storage.config().takes(ContentType::Images) {
                let text = format!("storage '{id}' does not support content-type 'images'");
                return Err(Error::conflict(text));
            }
            storage.activate().await?;
            let is_cloud_init = task.edit().is_cloud_init(volume);
            let default = match is_cloud_init {
                true => cloud_init::format_on(&*storage),
                false => storage.config().spec.default_format(),
            };
            let format = volume.format.unwrap_or(default);
            let name = if is_cloud_init {
                let name = storage.image_name(owner, "cloudinit", format);
                if storage.stat(&name).await?.is_some() {
                    return Err(Error::conflict(format!(
                        "volume '{id}:{name}' already exists"
                    )));
                }
                name
            } else {
                storage.choose_image_name(owner, format, &taken).await?
            };
            taken.push(name.clone());
            if let Some(filled) = filled_from(cx, task.edit(), volume).await? {
                volume.bytes = filled.bytes();
                filled.close(cx).await?;
            }
            (volume.name, volume.format) = (Some(name), Some(format));
        }
        task.edit_mut().new_volumes = volumes;
        measure(cx, task.edit_mut()).await?;
        task.edit_mut().name_volumes()
    }

    async fn probe(&self, _: &Cx, _: &mut T) -> Result<Probe, Error> {
        // Before the point of no return nothing is gone on with.
        Ok(Probe::NotDone)
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        for volume in &task.edit().new_volumes {
            let (name, format) = chosen(volume)?;
            let storage = cx.node.storage(&volume.storage).await?;
            storage.allocate(name, format, volume.bytes).await?;
            if volume.slot.bus() == DriveBus::Tpm && !storage.new_images_are_zero(name) {
                // What is not zero is taken for the state of a TPM that was set up.
                storage.zero(name).await?;
            }
            if task.edit().is_cloud_init(volume) {
                // Whatever an earlier medium of the guest held, this one is empty.
                cx.node.records.forget_seed(task.owner()).await?;
            }
            cx.log(&format!(
                "{}: successfully created disk '{}:{name}'",
                volume.slot, volume.storage
            ))
            .await;
            if let Some(filled) = filled_from(cx, task.edit(), volume).await? {
                let to = volumes::named(&volume.storage, name.to_owned())?;
                fill(cx, volume, filled, &to).await?;
            }
        }
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &T) -> Result<(), Error> {
        // The guest's object is ours, and only tasks that hold it make volumes of its name: what
        // is there under a name that we chose is what we made.
        for volume in &task.edit().new_volumes {
            if let Some(ImportSource::Volume(source)) = &volume.source {
                images::let_go(cx, source, None).await?;
            }
            if let Some(name) = &volume.name {
                cx.node.storage(&volume.storage).await?.free(name).await?;
            }
        }
        Ok(())
    }
}

/// Lets the drives tell how large the volumes are that they name.
async fn measure(cx: &Cx, edit: &mut Edit) -> Result<(), Error> {
    for (slot, volume) in edit.named_volumes() {
        let storage = cx.node.storage(volume.storage()).await?;
        storage.activate().await?;
        edit.set_size(slot, volumes::info_of(&*storage, &volume).await?.size);
    }
    for (slot, drive) in edit.drives() {
        if let Some(bytes) = drives::size_of_path(&cx.node, &drive).await? {
            edit.set_size(slot, bytes);
        }
    }
    Ok(())
}

fn chosen(volume: &NewVolume) -> Result<(&str, BlockFormat), Error> {
    match (&volume.name, volume.format) {
        (Some(name), Some(format)) => Ok((name, format)),
        _ => Err(Error::bug(format!("{} has no name yet", volume.slot))),
    }
}

/// What a volume is to be filled with; none for one that begins empty.
async fn filled_from(cx: &Cx, edit: &Edit, volume: &NewVolume) -> Result<Option<Source>, Error> {
    match &volume.source {
        Some(ImportSource::Volume(source)) => import_volume(cx, source).await.map(Some),
        Some(ImportSource::Path(path)) => import_path(cx, path).await.map(Some),
        None if volume.slot.bus() == DriveBus::Efi => variables(cx, edit, volume).await.map(Some),
        None => Ok(None),
    }
}

async fn fill(cx: &Cx, volume: &NewVolume, source: Source, to: &VolumeId) -> Result<(), Error> {
    let slot = volume.slot;
    let bytes = source.bytes();
    let path = source.path().display().to_string();
    if bytes != volume.bytes {
        source.close(cx).await?;
        let text = format!("{slot}: the source has changed meanwhile");
        return Err(Error::conflict(text));
    }
    let copying = Copying {
        what: &slot.to_string(),
        to,
        bytes,
        bytes_per_s: 0,
    };
    images::copy(cx, source, copying).await?;
    if volume.source.is_some() {
        cx.log(&format!("{slot}: imported {bytes} bytes from {path}"))
            .await;
    }
    Ok(())
}

async fn import_volume(cx: &Cx, volume: &VolumeId) -> Result<Source, Error> {
    let storage = cx.node.storage(volume.storage()).await?;
    storage.activate().await?;
    let info = volumes::info_of(&*storage, volume).await?;
    if let Some(owner) = info.owner
        && cx.node.running.is_running(owner).await?
    {
        return Err(Error::conflict(format!(
            "cannot import from '{volume}': VM {owner} is running"
        )));
    }
    let format = image_format(&info.format).ok_or_else(|| {
        Error::conflict(format!(
            "cannot import from '{volume}': format '{}' is not supported by this version of Ostler",
            info.format
        ))
    })?;
    let host = &cx.node.host;
    if info.content == ContentType::Images {
        // The guests' own images may be linked clones of others of ours.
        return Source::of_volume(cx, volume, None).await;
    }
    let path = storage.path(volume.name())?;
    let file = host.open_image(&path, false, false).await?;
    images::check_content(host, &file, &path, format).await?;
    Source::of_file(host, &path, format, file).await
}

async fn import_path(cx: &Cx, path: &str) -> Result<Source, Error> {
    let ending = path.rsplit_once('.').map(|(_, ending)| ending);
    let named = ending.and_then(image_format);
    let host = &cx.node.host;
    let path = host.resolve(path.as_ref()).await?;
    let file = host.open_image(&path, false, false).await?;
    let format = format_of(host, &file, &path, named).await?;
    Source::of_file(host, &path, format, file).await
}

/// What a file is, by its name, or by its content where the name does not say. A device is raw, and
/// so is a file that is named so: a guest may have written it.
async fn format_of(
    host: &SharedHost,
    file: &Arc<OwnedFd>,
    path: &Path,
    named: Option<BlockFormat>,
) -> Result<BlockFormat, Error> {
    match named {
        Some(BlockFormat::Raw) => return Ok(BlockFormat::Raw),
        Some(format) => {
            images::check_content(host, file, path, format).await?;
            return Ok(format);
        }
        None => {}
    }
    let refused = |why: &str| Error::conflict(format!("cannot import '{}': {why}", path.display()));
    match storage::probe(host, file, path).await? {
        Probed::Image(format) => Ok(format),
        Probed::Device => Ok(BlockFormat::Raw),
        Probed::Archive => Err(refused("it is an archive")),
        Probed::Foreign(format) => Err(refused(&format!(
            "format '{format}' is not supported by this version of Ostler"
        ))),
    }
}

fn image_format(name: &str) -> Option<BlockFormat> {
    [BlockFormat::Raw, BlockFormat::Qcow2, BlockFormat::Vmdk]
        .into_iter()
        .find(|format| format.as_str() == name)
}

/// The file that a guest's UEFI variables begin as.
async fn variables(cx: &Cx, edit: &Edit, volume: &NewVolume) -> Result<Source, Error> {
    let slot = volume.slot.to_string();
    let value = edit.set.get(&slot).and_then(|value| value.as_str());
    let disk = EfiDisk::parse(value.unwrap_or_default())
        .map_err(|error| Error::invalid(slot, error.to_string()))?;
    let path = Path::new(efi_vars::template_of(&disk));
    let host = &cx.node.host;
    if host.stat(path).await?.is_none() {
        let text = format!("{} is missing: the package ovmf has it", path.display());
        return Err(Error::unavailable(text));
    }
    let path = host.resolve(path).await?;
    let file = host.open_image(&path, false, false).await?;
    Source::of_file(host, &path, BlockFormat::Raw, file).await
}
