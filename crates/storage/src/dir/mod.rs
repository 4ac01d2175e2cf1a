//! A storage of plain files, laid out as Proxmox VE lays out a directory storage:
//!
//! ```text
//!   <path>/images/100/vm-100-disk-0.qcow2     volume 100/vm-100-disk-0.qcow2
//!   <path>/template/iso/debian.iso            volume iso/debian.iso
//!   <path>/template/cache/…                   volume vztmpl/…
//!   <path>/snippets/… · import/… · dump/…     volume snippets/… · import/… · backup/…
//!   <path>/.arriving/                         uploads that are not whole yet
//! ```

mod bases;
mod files;
mod layout;
mod snapshots;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use model::{BlockFormat, BlockSource, BlockSpec, VmId};
use sys::{FileEntry, FileKind, SharedHost, SpaceUsage, SysError};

use crate::{
    Bases, ContentType, FileVolumes, Snapshots, Storage, StorageConfig, StorageError, VolumeInfo,
    image, inspect,
};
use layout::Location;

pub(crate) struct Dir {
    config: StorageConfig,
    host: SharedHost,
}

impl Dir {
    pub(crate) fn new(config: StorageConfig, host: SharedHost) -> Self {
        Self { config, host }
    }

    fn root(&self) -> PathBuf {
        PathBuf::from(&self.config.path)
    }

    fn locate(&self, name: &str) -> Result<Location, StorageError> {
        layout::parse(name).ok_or_else(|| StorageError::BadName(name.to_owned()))
    }

    fn locate_image(&self, name: &str) -> Result<(Location, VmId, BlockFormat), StorageError> {
        let location = self.locate(name)?;
        match (location.owner, location.format) {
            (Some(owner), Some(format)) => Ok((location, owner, format)),
            _ => Err(StorageError::BadName(name.to_owned())),
        }
    }

    /// Words a failure of the host; a full disk has an error of its own.
    fn failed(&self, source: SysError) -> StorageError {
        let storage = self.config.id.clone();
        let program_full = matches!(&source, SysError::ProgramFailed { message, .. }
            if message.contains("No space left on device"));
        if source.is_full() || program_full {
            return StorageError::Full(storage);
        }
        match source {
            SysError::Silent { .. } => StorageError::Silent(storage),
            source => StorageError::Host { storage, source },
        }
    }

    /// Makes the folder of a new volume. `Exists` where there is one of its name.
    async fn make_place(&self, name: &str, path: &Path) -> Result<(), StorageError> {
        let entry = self.host.stat(path).await;
        if entry.map_err(|source| self.failed(source))?.is_some() {
            let storage = self.config.id.clone();
            return Err(StorageError::Exists {
                storage,
                name: name.to_owned(),
            });
        }
        let folder = path.parent().unwrap_or(path);
        let made = self.host.create_dir(folder, 0o755).await;
        made.map_err(|source| self.failed(source))
    }

    /// A guest's folder goes with its last image.
    async fn remove_if_empty(&self, image: &Path) -> Result<(), StorageError> {
        let folder = image.parent().unwrap_or(image);
        let removed = self.host.remove_dir(folder).await;
        removed.map(drop).map_err(|source| self.failed(source))
    }

    fn inactive(&self, reason: String) -> StorageError {
        let storage = self.config.id.clone();
        StorageError::Inactive { storage, reason }
    }

    /// An empty folder below an unmounted mount point must not fill up the disk it lies on.
    async fn check_mounted(&self) -> Result<(), StorageError> {
        let Some(point) = self.config.mount_point() else {
            return Ok(());
        };
        let mounts = self
            .host
            .read(Path::new("/proc/self/mountinfo"))
            .await
            .map_err(|source| self.failed(source))?;
        if is_mount_point(&String::from_utf8_lossy(&mounts), point) {
            return Ok(());
        }
        let text = "directory is expected to be a mount point but is not mounted";
        Err(self.inactive(format!("{text}: '{point}'")))
    }

    async fn check_base_path(&self, root: &Path) -> Result<(), StorageError> {
        let entry = self
            .host
            .stat(root)
            .await
            .map_err(|source| self.failed(source))?;
        if entry.is_some_and(|entry| entry.kind != FileKind::File) {
            return Ok(());
        }
        let root = root.display();
        Err(self.inactive(format!(
            "directory '{root}' does not exist or is unreachable"
        )))
    }

    async fn describe(&self, name: &str, entry: &FileEntry) -> Result<VolumeInfo, StorageError> {
        let location = self.locate(name)?;
        let Some(format) = location.format.filter(|format| *format != BlockFormat::Raw) else {
            // The length of a raw image is what a guest sees.
            return Ok(self.as_it_is(name, location, entry, entry.size));
        };
        let path = self.root().join(&location.path);
        let header = inspect(&self.host, &path, format).await;
        let header = header.map_err(|source| self.failed(source))?;
        // A layer is listed by the name that tells what it is a layer on.
        let base = header
            .backing
            .as_deref()
            .and_then(|backing| backing.strip_prefix("../"));
        let through = base.map(|base| format!("{base}/{name}"));
        let long = through.filter(|long| location.base.is_none() && layout::parse(long).is_some());
        let name = long.as_deref().unwrap_or(name);
        Ok(self.as_it_is(name, location, entry, header.virtual_size))
    }

    /// One file that is no image must not hide all the others: it is shown with its own length.
    async fn describe_listed(
        &self,
        name: &str,
        entry: &FileEntry,
    ) -> Result<VolumeInfo, StorageError> {
        let error = match self.describe(name, entry).await {
            Err(error @ StorageError::Host { .. }) => error,
            described => return described,
        };
        tracing::warn!(storage = %self.config.id, name, %error, "an image cannot be read");
        let location = self.locate(name)?;
        Ok(self.as_it_is(name, location, entry, entry.size))
    }

    fn as_it_is(&self, name: &str, location: Location, entry: &FileEntry, size: u64) -> VolumeInfo {
        VolumeInfo {
            name: name.to_owned(),
            content: location.content,
            format: location.ending,
            size,
            used: Some(entry.allocated),
            created: entry.modified,
            owner: location.owner,
        }
    }

    /// Entries of one folder that are volumes.
    async fn list_folder(
        &self,
        content: ContentType,
        folder: &str,
        prefix: &str,
    ) -> Result<Vec<VolumeInfo>, StorageError> {
        let path = self.root().join(folder);
        let entries = self
            .host
            .list(&path)
            .await
            .map_err(|source| self.failed(source))?;
        let mut volumes = Vec::new();
        for entry in entries.iter().filter(|entry| entry.kind == FileKind::File) {
            let name = format!("{prefix}/{}", entry.name);
            let Some(location) = layout::parse(&name).filter(|found| found.content == content)
            else {
                continue;
            };
            // Only of disks the size is what a guest sees; all else is a file, as long as it is.
            volumes.push(if content == ContentType::Images {
                self.describe_listed(&name, entry).await?
            } else {
                self.as_it_is(&name, location, entry, entry.size)
            });
        }
        Ok(volumes)
    }

    async fn list_images(&self) -> Result<Vec<VolumeInfo>, StorageError> {
        let images = self.root().join("images");
        let folders = self
            .host
            .list(&images)
            .await
            .map_err(|source| self.failed(source))?;
        let mut volumes = Vec::new();
        for folder in folders
            .iter()
            .filter(|folder| folder.kind == FileKind::Directory)
        {
            let path = format!("images/{}", folder.name);
            volumes.extend(
                self.list_folder(ContentType::Images, &path, &folder.name)
                    .await?,
            );
        }
        Ok(volumes)
    }
}

/// Whether the kernel's list of mounts has this mount point (proc(5): its fifth field, with
/// spaces and the like as octal numbers).
fn is_mount_point(mounts: &str, point: &str) -> bool {
    let wanted = point.trim_end_matches('/');
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    points
        .map(|found| found.replace("\\040", " ").replace("\\011", "\t"))
        .any(|found| found.trim_end_matches('/') == wanted)
}

#[async_trait]
impl Storage for Dir {
    fn config(&self) -> &StorageConfig {
        &self.config
    }

    async fn activate(&self) -> Result<(), StorageError> {
        self.check_mounted().await?;
        let root = self.root();
        if !self.config.creates_base_path() {
            self.check_base_path(&root).await?;
        }
        let folders: Vec<PathBuf> = if self.config.creates_subdirs() {
            let contents = self.config.content.iter();
            contents
                .map(|content| root.join(layout::folder(*content)))
                .collect()
        } else if self.config.creates_base_path() {
            vec![root]
        } else {
            Vec::new()
        };
        for folder in folders {
            let entry = self.host.stat(&folder).await;
            if entry.map_err(|source| self.failed(source))?.is_none() {
                let made = self.host.create_dir(&folder, 0o755).await;
                made.map_err(|source| self.failed(source))?;
            }
        }
        Ok(())
    }

    async fn space(&self) -> Result<SpaceUsage, StorageError> {
        self.host
            .space(&self.root())
            .await
            .map_err(|source| self.failed(source))
    }

    async fn list(&self, content: Option<ContentType>) -> Result<Vec<VolumeInfo>, StorageError> {
        let mut volumes = Vec::new();
        for kind in ContentType::ALL {
            let wanted = content.is_none_or(|content| content == kind);
            if !wanted || !self.config.takes(kind) || kind == ContentType::Rootdir {
                continue;
            }
            if kind == ContentType::Images {
                volumes.extend(self.list_images().await?);
            } else {
                let folder = layout::folder(kind);
                volumes.extend(self.list_folder(kind, folder, kind.as_str()).await?);
            }
        }
        Ok(volumes)
    }

    async fn info(&self, name: &str) -> Result<Option<VolumeInfo>, StorageError> {
        let path = self.root().join(self.locate(name)?.path);
        let entry = self
            .host
            .stat(&path)
            .await
            .map_err(|source| self.failed(source))?;
        match entry.filter(|entry| entry.kind == FileKind::File) {
            Some(entry) => self.describe(name, &entry).await.map(Some),
            None => Ok(None),
        }
    }

    fn describe_name(&self, name: &str) -> Result<VolumeInfo, StorageError> {
        let location = self.locate(name)?;
        Ok(VolumeInfo {
            name: name.to_owned(),
            content: location.content,
            format: location.ending,
            size: 0,
            used: None,
            created: 0,
            owner: location.owner,
        })
    }

    async fn choose_image_name(
        &self,
        owner: VmId,
        format: BlockFormat,
        taken: &[String],
    ) -> Result<String, StorageError> {
        let folder = self.root().join(format!("images/{owner}"));
        let entries = self
            .host
            .list(&folder)
            .await
            .map_err(|source| self.failed(source))?;
        // A base has the number that it had as a disk.
        let is_used = |stem: &str| {
            let same = |name: &str| {
                let file = name.rsplit('/').next().map(layout::stem);
                let file = file.map(|file| file.replacen("base-", "vm-", 1));
                file.is_some_and(|file| file == stem)
            };
            entries.iter().any(|entry| same(&entry.name)) || taken.iter().any(|name| same(name))
        };
        let stem = (0..)
            .map(|n| format!("vm-{owner}-disk-{n}"))
            .find(|stem| !is_used(stem));
        let stem = stem.expect("there are more numbers than files in a folder");
        Ok(format!("{owner}/{stem}.{}", format.as_str()))
    }

    fn image_name(&self, owner: VmId, what: &str, format: BlockFormat) -> String {
        format!("{owner}/vm-{owner}-{what}.{}", format.as_str())
    }

    async fn allocate(
        &self,
        name: &str,
        format: BlockFormat,
        size: u64,
    ) -> Result<(), StorageError> {
        let (location, _, of_name) = self.locate_image(name)?;
        if of_name != format {
            return Err(StorageError::BadName(name.to_owned()));
        }
        let path = self.root().join(&location.path);
        self.make_place(name, &path).await?;
        let preallocation = self.config.preallocation;
        let made = image::create(&self.host, &path, format, size, preallocation).await;
        if made.is_err() {
            // Only what we were making can be there: it was not there before.
            let _ = self.free(name).await;
        }
        made.map_err(|source| self.failed(source))
    }

    async fn free(&self, name: &str) -> Result<bool, StorageError> {
        let location = self.locate(name)?;
        let path = self.root().join(&location.path);
        let removed = self
            .host
            .remove(&path)
            .await
            .map_err(|source| self.failed(source))?;
        if location.content == ContentType::Images {
            self.remove_if_empty(&path).await?;
        }
        Ok(removed)
    }

    async fn resize(&self, name: &str, size: u64) -> Result<(), StorageError> {
        self.locate_image(name)?;
        image::resize(&self.host, &self.block(name, false)?, size)
            .await
            .map_err(|source| self.failed(source))
    }

    fn block(&self, name: &str, read_only: bool) -> Result<BlockSpec, StorageError> {
        let location = self.locate(name)?;
        let path = self.root().join(&location.path);
        Ok(BlockSpec {
            source: BlockSource::Path(path.display().to_string()),
            format: location.format.unwrap_or(BlockFormat::Raw),
            read_only: read_only || location.content == ContentType::Iso,
            can_discard: true,
            backing: None,
        })
    }

    fn default_format(&self) -> BlockFormat {
        self.config.format.unwrap_or(BlockFormat::Raw)
    }

    fn formats(&self) -> &'static [BlockFormat] {
        &[BlockFormat::Raw, BlockFormat::Qcow2, BlockFormat::Vmdk]
    }

    fn files(&self) -> Option<&dyn FileVolumes> {
        Some(self)
    }

    fn snapshots(&self) -> Option<&dyn Snapshots> {
        Some(self)
    }

    fn bases(&self) -> Option<&dyn Bases> {
        Some(self)
    }
}
