//! From a guest's drives to images that QEMU can open.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use guest::qemu::block::HostOptions;
use guest::qemu::{Qmp, QmpError, VmConfig, Volumes};
use model::qemu::{Aio, Drive, DriveSlot, DriveSource};
use model::{BlockFormat, BlockSource, BlockSpec, Error, VmId, VolumeId};
use storage::{AttachMode, Attacher};
use sys::{SharedHost, SysError};

use super::efi_vars;
use crate::tasks::qmp_failed;
use crate::{NodeContext, volumes};

/// The first descriptor number in a guest's process that is an image's.
const FIRST_DESCRIPTOR: i32 = 20;

/// The volumes that a configuration names, each with the drive it is behind.
pub(crate) fn volumes_of(config: &VmConfig) -> Vec<(DriveSlot, VolumeId)> {
    let drives = config
        .drives
        .iter()
        .filter_map(|(slot, drive)| match drive.source() {
            DriveSource::Volume(volume) => Some((*slot, volume)),
            _ => None,
        });
    let efi = config.efi_disk.as_ref().and_then(|disk| disk.volume());
    drives
        .chain(efi.map(|volume| (DriveSlot::EFI, volume)))
        .collect()
}

/// The volumes that hold what a guest has written: its disks, its UEFI variables, the state of
/// its security module.
pub(crate) fn disks_of(config: &VmConfig) -> Vec<(DriveSlot, VolumeId)> {
    let mut volumes = volumes_of(config);
    volumes.retain(|(slot, _)| !config.drives.get(slot).is_some_and(Drive::is_cdrom));
    let tpm = config.tpm.as_ref().and_then(|tpm| tpm.volume());
    volumes.extend(tpm.map(|volume| (DriveSlot::TPM, volume)));
    volumes
}

/// Every volume that a guest's processes open.
pub(crate) fn opened_by(config: &VmConfig) -> Vec<VolumeId> {
    let tpm = config.tpm.as_ref().and_then(|tpm| tpm.volume());
    let volumes = volumes_of(config).into_iter().map(|(_, volume)| volume);
    volumes.chain(tpm).collect()
}

/// Refuses a configuration that names an image which is not there.
pub(crate) async fn check(node: &NodeContext, config: &VmConfig) -> Result<(), Error> {
    for volume in opened_by(config) {
        let storage = node.storage(volume.storage()).await?;
        storage.activate().await?;
        volumes::info_of(&*storage, &volume).await?;
    }
    for drive in config.drives.values() {
        of_the_host(node, drive).await?;
    }
    Ok(())
}

/// Attaches every image for a guest, and says how each is opened.
pub(crate) async fn attach(
    node: &NodeContext,
    config: &VmConfig,
    by: &Attacher,
) -> Result<Volumes, Error> {
    let mut found = Volumes::new();
    for (slot, drive) in &config.drives {
        if let Some(spec) = attach_one(node, drive, by).await? {
            found.insert(*slot, spec);
        }
    }
    if let Some(disk) = &config.efi_disk
        && let Some(volume) = disk.volume()
    {
        let mut spec = node.attach(&volume, AttachMode::Exclusive, by).await?;
        spec.length = efi_vars::length(node, disk, &volume).await?;
        found.insert(DriveSlot::EFI, spec);
    }
    Ok(found)
}

/// Attaches the image behind one drive; none for one without a medium.
pub(crate) async fn attach_one(
    node: &NodeContext,
    drive: &Drive,
    by: &Attacher,
) -> Result<Option<BlockSpec>, Error> {
    let Some(volume) = drive.volume() else {
        return of_the_host(node, drive).await;
    };
    let mode = match drive.is_cdrom() || drive.is_read_only() {
        true => AttachMode::ReadOnly,
        false => AttachMode::Exclusive,
    };
    node.attach(&volume, mode, by).await.map(Some)
}

/// The host's own CD-ROM drive, as distributions name it.
const HOST_CDROM: &str = "/dev/cdrom";

/// How a path of the host is opened that a drive names instead of a volume. A host without a
/// CD-ROM drive lends an empty one.
async fn of_the_host(node: &NodeContext, drive: &Drive) -> Result<Option<BlockSpec>, Error> {
    let path = match drive.source() {
        DriveSource::Path(path) => path,
        DriveSource::HostCdrom if node.host.stat(HOST_CDROM.as_ref()).await?.is_some() => {
            HOST_CDROM.to_owned()
        }
        _ => return Ok(None),
    };
    let resolved = match node.host.resolve(path.as_ref()).await {
        Err(error) if error.is_not_found() => {
            return Err(Error::not_found(format!("volume '{path}' does not exist")));
        }
        resolved => resolved?,
    };
    let source = BlockSource::at(resolved.display().to_string());
    // What is in it is not believed: who says nothing has raw bytes.
    let format = drive.format().unwrap_or(BlockFormat::Raw);
    Ok(Some(BlockSpec {
        read_only: drive.is_cdrom() || drive.is_read_only(),
        ..BlockSpec::new(source, format)
    }))
}

/// How large a path of the host is.
pub(crate) async fn size_of_path(node: &NodeContext, drive: &Drive) -> Result<Option<u64>, Error> {
    let DriveSource::Path(path) = drive.source() else {
        return Ok(None);
    };
    let format = drive.format().unwrap_or(BlockFormat::Raw);
    let failed = |error: SysError| Error::conflict(Error::chain(&error));
    let resolved = node.host.resolve(path.as_ref()).await.map_err(failed)?;
    let header = storage::inspect(&node.host, &resolved, format).await;
    let header = header.map_err(failed)?;
    if !header.is_whole() {
        return Err(Error::conflict(format!("'{path}' refers to other files")));
    }
    Ok(Some(header.virtual_size))
}

/// Descriptors for a process, with the number that each has there.
pub(crate) type Descriptors = Vec<(i32, Arc<OwnedFd>)>;

/// The next number that is free in a guest's process.
pub(crate) fn next_descriptor(descriptors: &Descriptors) -> i32 {
    descriptors
        .last()
        .map_or(FIRST_DESCRIPTOR, |(number, _)| number + 1)
}

/// Opens every image that is a file and turns its path into a descriptor: a guest's user need
/// not be able to open images by name.
pub(crate) async fn open(
    host: &SharedHost,
    config: &VmConfig,
    volumes: &Volumes,
) -> Result<(Volumes, Descriptors), Error> {
    let mut opened = Volumes::new();
    let mut descriptors = Descriptors::new();
    for (slot, spec) in volumes {
        let drive = config.drives.get(slot);
        // QEMU looks for a descriptor with the very flags that it would open the image with.
        let direct = drive.is_some_and(|drive| drive.is_direct(spec));
        let spec = open_layers(host, spec, direct, &mut descriptors).await?;
        opened.insert(*slot, spec);
    }
    Ok((opened, descriptors))
}

/// Opens an image and, never to be written, what it is a layer on.
async fn open_layers(
    host: &SharedHost,
    spec: &BlockSpec,
    direct: bool,
    descriptors: &mut Descriptors,
) -> Result<BlockSpec, Error> {
    let layers: Vec<&BlockSpec> = spec.layers().collect();
    let mut opened: Option<BlockSpec> = None;
    for (depth, layer) in layers.into_iter().enumerate().rev() {
        let mut layer = BlockSpec {
            backing: opened.take().map(Box::new),
            ..layer.clone()
        };
        if let Some(path) = layer.source.path() {
            let write = (depth == 0 && !layer.read_only) || layer.mergeable;
            let file = host.open_image(path.as_ref(), write, direct).await?;
            storage::check_whole(host, &file, path.as_ref(), layer.format).await?;
            let number = next_descriptor(descriptors);
            descriptors.push((number, file));
            layer.source = layer.source.opened(number);
        }
        opened = Some(layer);
    }
    opened.ok_or_else(|| Error::bug("an image has no layers"))
}

/// Lets a guest's QEMU reach what is in clusters: it gets a copy of the file that says how, which
/// its user may read. The folder is root's, so that nothing in it is a link.
pub(crate) async fn let_reach(
    node: &NodeContext,
    vmid: VmId,
    user: Option<(u32, u32)>,
    spec: &BlockSpec,
) -> Result<BlockSpec, SysError> {
    let mut spec = spec.clone();
    if let BlockSource::Rbd(image) = &mut spec.source {
        let conf = PathBuf::from(&image.conf);
        let content = node.host.read(&conf).await?;
        let folder = node.paths.clusters(vmid);
        node.host.create_dir(&folder, 0o711).await?;
        let copy = folder.join(conf.file_name().unwrap_or_default());
        node.host.write(&copy, &content, 0o400).await?;
        if let Some((uid, gid)) = user {
            node.host.chown(&copy, uid, gid).await?;
        }
        image.conf = copy.display().to_string();
    }
    Ok(spec)
}

/// The same for a new image of so many bytes that a running guest copies into. Where the storage
/// made it larger, QEMU would refuse it for that.
pub(crate) async fn let_copy_into(
    node: &NodeContext,
    vmid: VmId,
    spec: &BlockSpec,
    bytes: u64,
) -> Result<BlockSpec, Error> {
    let BlockSource::Rbd(image) = &spec.source else {
        return Ok(spec.clone());
    };
    let length = Some(bytes).filter(|bytes| *bytes < image.size);
    let file = node.running.run_file(vmid).await?;
    let user = file.and_then(|file| file.user);
    let spec = let_reach(node, vmid, user, spec).await?;
    Ok(BlockSpec { length, ..spec })
}

/// What the descriptors of a drive that is plugged are passed under, so that it can be told what
/// is behind it.
pub(crate) fn label(slot: DriveSlot, volume: &VolumeId) -> String {
    format!("{slot} {volume}")
}

/// The same for what a drive names, a path too.
pub(crate) fn label_of(slot: DriveSlot, drive: &Drive) -> String {
    match drive.volume() {
        Some(volume) => label(slot, &volume),
        None => format!("{slot} {}", drive.file()),
    }
}

/// Whether a label is a drive's; those of the start say its slot alone.
pub(crate) fn is_label_of(label: &str, slot: DriveSlot) -> bool {
    label.split(' ').next() == Some(&slot.to_string())
}

/// How a running guest opens what takes the place of a drive's image. The throttle above it stays.
pub(crate) fn options_of_image(
    config: &VmConfig,
    slot: DriveSlot,
    spec: &BlockSpec,
) -> Result<HostOptions, Error> {
    let options = match config.drives.get(&slot) {
        Some(drive) => HostOptions::new(drive, spec, Aio::Threads),
        None if slot == DriveSlot::EFI => HostOptions::for_efi(spec),
        None => return Err(Error::bug(format!("there is no drive {slot}"))),
    };
    Ok(HostOptions {
        throttle: None,
        ..options
    })
}

/// Opens an image with all that it is a layer on, and hands the descriptors to a QEMU that runs,
/// under a label that names them.
pub(crate) async fn pass(
    host: &SharedHost,
    qmp: &Qmp,
    label: &str,
    spec: &BlockSpec,
    options: &HostOptions,
) -> Result<BlockSpec, PassError> {
    let mut passed: Option<BlockSpec> = None;
    let layers: Vec<&BlockSpec> = spec.layers().collect();
    for (depth, layer) in layers.into_iter().enumerate().rev() {
        let mut layer = BlockSpec {
            backing: passed.take().map(Box::new),
            ..layer.clone()
        };
        if let Some(path) = layer.source.path() {
            let write = (depth == 0 || layer.mergeable) && !options.read_only;
            let file = host
                .open_image(path.as_ref(), write, options.direct)
                .await?;
            storage::check_whole(host, &file, path.as_ref(), layer.format).await?;
            let set = qmp.free_descriptor_set().await?;
            qmp.add_descriptor(set, label, file.as_fd()).await?;
            let number = i32::try_from(set).unwrap_or(i32::MAX);
            layer.source = layer.source.opened(number);
        }
        if let BlockSource::Rbd(image) = &layer.source {
            // QEMU opens it by itself; the label says all the same what is behind the drive.
            let conf = host.open_image(image.conf.as_ref(), false, false).await?;
            let set = qmp.free_descriptor_set().await?;
            qmp.add_descriptor(set, label, conf.as_fd()).await?;
        }
        passed = Some(layer);
    }
    Ok(passed.unwrap_or_else(|| spec.clone()))
}

/// Why an image did not reach a QEMU.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PassError {
    #[error(transparent)]
    Host(#[from] SysError),
    #[error(transparent)]
    Qemu(#[from] QmpError),
}

impl From<PassError> for Error {
    fn from(error: PassError) -> Self {
        match error {
            PassError::Host(error) => error.into(),
            PassError::Qemu(error) => qmp_failed(error),
        }
    }
}
