//! A folder on btrfs. Each raw image is a subvolume with one file, so that it has snapshots and
//! clones; all else is as in a directory storage.
//!
//! ```text
//!   images/100/vm-100-disk-0/disk.raw           volume 100/vm-100-disk-0.raw
//!   images/100/vm-100-disk-0@before/disk.raw    its snapshot 'before', read-only
//!   images/100/.back-vm-100-disk-0/disk.raw     what a roll-back is making of it
//!   images/100/subvol-100-disk-1.subvol/        volume 100/subvol-100-disk-1.subvol, a tree
//! ```

mod linked_clones;
mod snapshots;
mod subvolumes;
mod trees;

use std::path::PathBuf;

use async_trait::async_trait;
use model::{BlockFormat, BlockSource, BlockSpec, VmId};
use sys::{FileEntry, FileKind, SharedHost, SpaceUsage, SysError};

use crate::dir::{self, Dir, Disk};
use crate::{
    AttachMode, Attacher, Backups, BtrfsSpec, ContentType, FileVolumes, LinkedClones, Snapshots,
    Storage, StorageConfig, StorageError, Trees, VolumeInfo, VolumeName, image,
};

/// The file in a subvolume that is the image. Source: Proxmox VE's layout.
const DISK: &str = "disk.raw";

pub(crate) fn parse_name(name: &str) -> Option<VolumeName> {
    dir::parse_name(name)
}

fn is_tree(name: &str) -> bool {
    parse_name(name).is_some_and(|said| said.content == ContentType::Rootdir)
}

pub(crate) struct Btrfs {
    dir: Dir,
    spec: BtrfsSpec,
    host: SharedHost,
}

impl Btrfs {
    pub(crate) fn new(config: StorageConfig, spec: BtrfsSpec, host: SharedHost) -> Self {
        let disk = Disk::new(&spec.path, spec.is_mountpoint.as_deref());
        let dir = Dir::new(config, &spec.path, disk, host.clone());
        Self { dir, spec, host }
    }

    /// The subvolume of a raw image or a tree of a guest; none for all other volumes.
    fn subvolume(&self, name: &str) -> Result<Option<PathBuf>, StorageError> {
        let bad = || StorageError::BadName(name.to_owned());
        let said = dir::parse(name).ok_or_else(bad)?;
        let images = self.dir.folder(ContentType::Images);
        Ok(match (said.name.content, said.name.image_format) {
            (ContentType::Rootdir, _) => Some(images.join(&said.below)),
            (ContentType::Images, Some(BlockFormat::Raw)) => {
                Some(images.join(dir::stem(&said.below)))
            }
            _ => None,
        })
    }

    /// The same for images alone.
    fn image(&self, name: &str) -> Result<Option<PathBuf>, StorageError> {
        let subvolume = self.subvolume(name)?;
        Ok(subvolume.filter(|_| !is_tree(name)))
    }

    fn failed(&self, source: SysError) -> StorageError {
        StorageError::of(self.config().id(), source)
    }

    /// What a subvolume says as a volume; none where it has no image.
    async fn describe(
        &self,
        name: &str,
        subvolume: &std::path::Path,
    ) -> Result<Option<VolumeInfo>, StorageError> {
        let disk = self.host.stat(&subvolume.join(DISK)).await;
        let disk = disk.map_err(|source| self.failed(source))?;
        let is_file = |disk: &FileEntry| disk.kind == FileKind::File;
        let (Some(disk), Some(said)) = (disk.filter(is_file), parse_name(name)) else {
            return Ok(None);
        };
        Ok(Some(VolumeInfo {
            name: name.to_owned(),
            content: said.content,
            format: said.format,
            size: disk.size,
            used: Some(disk.allocated),
            created: disk.modified,
            owner: said.owner,
        }))
    }

    /// The images that are subvolumes.
    async fn list_subvolumes(&self) -> Result<Vec<VolumeInfo>, StorageError> {
        let images = self.dir.folder(ContentType::Images);
        let list = |path: PathBuf| async move {
            let entries = self.host.list(&path).await;
            let entries = entries.map_err(|source| self.failed(source))?.into_iter();
            let folders = entries.filter(|entry| entry.kind == FileKind::Directory);
            Ok::<_, StorageError>(folders.map(|entry| entry.name))
        };
        let mut volumes = Vec::new();
        for owner in list(images.clone()).await? {
            for file in list(images.join(&owner)).await? {
                let name = format!("{owner}/{file}.raw");
                if file.contains('@') || parse_name(&name).is_none() {
                    continue;
                }
                let subvolume = images.join(&owner).join(&file);
                volumes.extend(self.describe(&name, &subvolume).await?);
            }
        }
        Ok(volumes)
    }
}

#[async_trait]
impl Storage for Btrfs {
    fn config(&self) -> &StorageConfig {
        self.dir.config()
    }

    async fn activate(&self) -> Result<(), StorageError> {
        self.dir.activate().await?;
        self.check_file_system().await
    }

    async fn status(&self) -> Result<SpaceUsage, StorageError> {
        self.dir.status().await
    }

    async fn list(&self, content: Option<ContentType>) -> Result<Vec<VolumeInfo>, StorageError> {
        let mut volumes = self.dir.list(content).await?;
        // A raw file that is not in a subvolume cannot be opened by its name.
        volumes.retain(|volume| !matches!(self.image(&volume.name), Ok(Some(_))));
        let has_images = self.config().takes(ContentType::Images);
        if has_images && content.is_none_or(|content| content == ContentType::Images) {
            volumes.extend(self.list_subvolumes().await?);
        }
        Ok(volumes)
    }

    async fn stat(&self, name: &str) -> Result<Option<VolumeInfo>, StorageError> {
        match self.image(name)? {
            Some(subvolume) => self.describe(name, &subvolume).await,
            None => self.dir.stat(name).await,
        }
    }

    async fn choose_image_name(
        &self,
        owner: VmId,
        format: BlockFormat,
        taken: &[String],
    ) -> Result<String, StorageError> {
        match format {
            BlockFormat::Raw => self.dir.choose_image_name(owner, format, taken).await,
            other => Err(StorageError::BadFormat(other)),
        }
    }

    fn image_name(&self, owner: VmId, what: &str, format: BlockFormat) -> String {
        self.dir.image_name(owner, what, format)
    }

    async fn allocate(
        &self,
        name: &str,
        format: BlockFormat,
        size: u64,
    ) -> Result<(), StorageError> {
        let Some(subvolume) = self.image(name)? else {
            return self.dir.allocate(name, format, size).await;
        };
        if format != BlockFormat::Raw {
            return Err(StorageError::BadName(name.to_owned()));
        }
        self.dir.make_place(name, &subvolume).await?;
        let made = async {
            self.create(&subvolume).await?;
            let disk = subvolume.join(DISK);
            let preallocation = self.spec.folder.preallocation;
            image::create(&self.host, &disk, format, size, preallocation).await
        };
        let made = made.await;
        if made.is_err() {
            // Only what we were making can be there: it was not there before.
            let _ = self.free(name).await;
        }
        made.map_err(|source| self.failed(source))
    }

    async fn free(&self, name: &str) -> Result<bool, StorageError> {
        let Some(subvolume) = self.subvolume(name)? else {
            return self.dir.free(name).await;
        };
        let removed = self.delete_with_snapshots(&subvolume).await;
        let removed = removed.map_err(|source| self.failed(source))?;
        self.dir.remove_if_empty(&subvolume).await?;
        Ok(removed)
    }

    async fn resize(&self, name: &str, size: u64) -> Result<(), StorageError> {
        let Some(subvolume) = self.image(name)? else {
            return self.dir.resize(name, size).await;
        };
        let disk = subvolume.join(DISK).display().to_string();
        let image = BlockSpec::new(BlockSource::File(disk), BlockFormat::Raw);
        image::resize(&self.host, &image, size)
            .await
            .map_err(|source| self.failed(source))
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        let (Some(source), Some(target)) = (self.subvolume(from)?, self.subvolume(to)?) else {
            return self.dir.rename(from, to).await;
        };
        if is_tree(from) != is_tree(to) {
            return Err(StorageError::BadName(to.to_owned()));
        }
        let is_base = parse_name(to).is_some_and(|said| said.is_base);
        if self.dir.is_there(&source).await? {
            self.check_no_snapshots(from, &source).await?;
            self.dir.make_place(to, &target).await?;
            // What is read-only does not leave its folder.
            let renamed = async {
                self.set_read_only(&source, false).await?;
                self.host.rename(&source, &target).await
            };
            let renamed = renamed.await;
            self.dir.remove_if_empty(&source).await?;
            self.dir.remove_if_empty(&target).await?;
            renamed.map_err(|source| self.failed(source))?;
        } else if !self.dir.is_there(&target).await? {
            return Err(self.dir.no_volume(from));
        } else {
            self.dir.remove_if_empty(&source).await?;
        }
        let set = self.set_read_only(&target, is_base).await;
        set.map_err(|source| self.failed(source))
    }

    async fn attach(
        &self,
        name: &str,
        mode: AttachMode,
        by: &Attacher,
    ) -> Result<BlockSpec, StorageError> {
        let Some(subvolume) = self.image(name)? else {
            return self.dir.attach(name, mode, by).await;
        };
        if parse_name(name).is_some_and(|said| said.is_base) && !mode.is_read_only() {
            let id = self.config().id();
            let text = format!("base volume '{id}:{name}' cannot be written to");
            return Err(StorageError::Refused(text));
        }
        let disk = subvolume.join(DISK);
        if !self.dir.is_there(&disk).await? {
            return Err(self.dir.no_volume(name));
        }
        let source = BlockSource::File(disk.display().to_string());
        Ok(BlockSpec {
            read_only: mode.is_read_only(),
            // A guest may change what it is writing, after btrfs has computed its checksum.
            buffered: self.spec.nocow != Some(true),
            ..BlockSpec::new(source, BlockFormat::Raw)
        })
    }

    async fn detach(&self, name: &str, by: &Attacher) -> Result<(), StorageError> {
        self.dir.detach(name, by).await
    }

    fn path(&self, name: &str) -> Result<PathBuf, StorageError> {
        match self.image(name)? {
            Some(subvolume) => Ok(subvolume.join(DISK)),
            None => self.dir.path(name),
        }
    }

    fn files(&self) -> Option<&dyn FileVolumes> {
        self.dir.files()
    }

    fn backups(&self) -> Option<&dyn Backups> {
        self.dir.backups()
    }

    fn snapshots(&self) -> Option<&dyn Snapshots> {
        Some(self)
    }

    fn linked_clones(&self) -> Option<&dyn LinkedClones> {
        Some(self)
    }

    fn trees(&self) -> Option<&dyn Trees> {
        Some(self)
    }
}
