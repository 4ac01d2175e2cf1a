//! The step that makes the volumes which an edit asks for.

use async_trait::async_trait;
use model::qemu::{DriveBus, EfiDisk, EfiType};
use model::{BlockFormat, BlockSource, Error, VmId};
use sys::Command;
use tasks::{Probe, Step, Task, TaskContext};

use crate::World;
use crate::edit::{Edit, NewVolume};

/// A task that makes volumes.
pub(super) trait Allocates: Task<World = World> {
    fn owner(&self) -> VmId;
    fn edit(&self) -> &Edit;
    fn edit_mut(&mut self) -> &mut Edit;
}

pub(super) struct Allocate;

#[async_trait]
impl<T: Allocates> Step<T> for Allocate {
    fn name(&self) -> &'static str {
        "allocate"
    }

    async fn plan(&self, cx: &TaskContext<World>, task: &mut T) -> Result<(), Error> {
        let owner = task.owner();
        let mut volumes = task.edit().new_volumes.clone();
        let mut taken = Vec::new();
        for volume in &mut volumes {
            let storage = cx.world.storage(&volume.storage).await?;
            let id = &volume.storage;
            if !storage.config().takes(storage::ContentType::Images) {
                let text = format!("storage '{id}' does not support content-type 'images'");
                return Err(Error::conflict(text));
            }
            storage.activate().await?;
            let is_cloud_init = task.edit().is_cloud_init(volume);
            let default = match storage.files() {
                Some(_) if is_cloud_init => BlockFormat::Qcow2,
                _ => storage.default_format(),
            };
            let format = volume.format.unwrap_or(default);
            let name = if is_cloud_init {
                storage.cloud_init_name(owner, format)
            } else {
                storage.choose_image_name(owner, format, &taken).await?
            };
            taken.push(name.clone());
            if volume.slot.bus() == DriveBus::Efi {
                volume.bytes = variables_size(cx, task.edit(), volume).await?;
            }
            (volume.name, volume.format) = (Some(name), Some(format));
        }
        task.edit_mut().new_volumes = volumes;
        task.edit_mut().name_volumes()
    }

    async fn probe(&self, _: &TaskContext<World>, _: &mut T) -> Result<Probe, Error> {
        // Before the point of no return nothing is gone on with.
        Ok(Probe::NotDone)
    }

    async fn act(&self, cx: &TaskContext<World>, task: &mut T) -> Result<(), Error> {
        for volume in &task.edit().new_volumes {
            let (name, format) = chosen(volume)?;
            let storage = cx.world.storage(&volume.storage).await?;
            storage.allocate(name, format, volume.bytes).await?;
            if task.edit().is_cloud_init(volume) {
                // Whatever an earlier medium of the guest held, this one is empty.
                cx.world.records.forget_seed(task.owner()).await?;
            }
            cx.log(&format!(
                "{}: successfully created disk '{}:{name}'",
                volume.slot, volume.storage
            ))
            .await;
            if volume.slot.bus() == DriveBus::Efi {
                fill_variables(cx, task.edit(), volume).await?;
            }
        }
        Ok(())
    }

    async fn undo(&self, cx: &TaskContext<World>, task: &T) -> Result<(), Error> {
        // The guest's object is ours, and only tasks that hold it make volumes of its name: what
        // is there under a name that we chose is what we made.
        for volume in &task.edit().new_volumes {
            if let Some(name) = &volume.name {
                cx.world.storage(&volume.storage).await?.free(name).await?;
            }
        }
        Ok(())
    }
}

fn chosen(volume: &NewVolume) -> Result<(&str, model::BlockFormat), Error> {
    match (&volume.name, volume.format) {
        (Some(name), Some(format)) => Ok((name, format)),
        _ => Err(Error::bug(format!("{} has no name yet", volume.slot))),
    }
}

/// The file that a guest's UEFI variables begin as.
fn template(edit: &Edit, volume: &NewVolume) -> Result<&'static str, Error> {
    let slot = volume.slot.to_string();
    let text = edit
        .set
        .get(&slot)
        .and_then(|value| value.as_str())
        .unwrap_or_default();
    let disk = EfiDisk::parse(text).map_err(|error| Error::invalid(slot, error.to_string()))?;
    Ok(match (disk.efi_type(), disk.has_enrolled_keys()) {
        (EfiType::FourMiB, true) => "/usr/share/OVMF/OVMF_VARS_4M.ms.fd",
        (EfiType::FourMiB, false) => "/usr/share/OVMF/OVMF_VARS_4M.fd",
        (EfiType::TwoMiB, true) => "/usr/share/OVMF/OVMF_VARS.ms.fd",
        (EfiType::TwoMiB, false) => "/usr/share/OVMF/OVMF_VARS.fd",
    })
}

async fn variables_size(
    cx: &TaskContext<World>,
    edit: &Edit,
    volume: &NewVolume,
) -> Result<u64, Error> {
    let path = template(edit, volume)?;
    let entry = cx.world.host.stat(path.as_ref()).await?;
    let missing = || Error::unavailable(format!("{path} is missing: the package ovmf has it"));
    Ok(entry.ok_or_else(missing)?.size)
}

async fn fill_variables(
    cx: &TaskContext<World>,
    edit: &Edit,
    volume: &NewVolume,
) -> Result<(), Error> {
    let (name, format) = chosen(volume)?;
    let storage = cx.world.storage(&volume.storage).await?;
    let BlockSource::Path(path) = storage.block(name, false)?.source else {
        return Err(Error::bug("a new volume is a descriptor"));
    };
    let from = template(edit, volume)?;
    let args = [
        "convert",
        "-n",
        "-f",
        "raw",
        "-O",
        format.as_str(),
        from,
        &path,
    ];
    cx.world
        .host
        .run(Command::new("qemu-img").args(args))
        .await?
        .checked("qemu-img")?;
    Ok(())
}
