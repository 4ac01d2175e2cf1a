//! A storage of plain files, laid out as Proxmox VE lays out a directory storage:
//!
//! ```text
//!   <path>/images/100/vm-100-disk-0.qcow2     volume 100/vm-100-disk-0.qcow2
//!   <path>/images/100/snap-one-vm-100-disk-0.qcow2   no volume: the layer of a snapshot (`layers`)
//!   <path>/images/100/subvol-100-disk-1.subvol/   volume 100/subvol-100-disk-1.subvol, a tree
//!   <path>/template/iso/debian.iso            volume iso/debian.iso
//!   <path>/template/cache/…                   volume vztmpl/…
//!   <path>/snippets/… · import/… · dump/…     volume snippets/… · import/… · backup/…
//!   <path>/.arriving/                         uploads that are not whole yet
//! ```

mod backups;
mod files;
mod ground;
mod layers;
mod layout;
mod linked_clones;
mod snapshots;
mod trees;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use model::{BlockFormat, BlockSource, BlockSpec, VmId};
use sys::{FileEntry, FileKind, SharedHost, SpaceUsage, SysError};

use crate::names::free_disk_number;
use crate::{
    AttachMode, Attacher, Backups, ContentType, FileVolumes, FolderNames, FolderOptions, Layered,
    LinkedClones, Snapshots, Storage, StorageConfig, StorageError, Trees, VolumeInfo, VolumeName,
    chain, image, inspect,
};
pub(crate) use ground::{Disk, Ground, NotThere};
pub(crate) use layout::{Location, parse, stem};

pub(crate) struct Dir {
    config: StorageConfig,
    options: FolderOptions,
    root: PathBuf,
    ground: Box<dyn Ground>,
    host: SharedHost,
}

pub(crate) fn parse_name(name: &str) -> Option<VolumeName> {
    layout::parse(name).map(|location| location.name)
}

/// The folder of a kind of content, relative to the storage's path.
pub(crate) fn folder(names: &FolderNames, content: ContentType) -> &str {
    names
        .get(content)
        .unwrap_or_else(|| layout::folder(content))
}

impl Dir {
    /// A storage in this folder, which is there once `ground` says so.
    pub(crate) fn new(
        config: StorageConfig,
        root: impl Into<PathBuf>,
        ground: impl Ground,
        host: SharedHost,
    ) -> Self {
        let options = config.spec.folder().cloned().unwrap_or_default();
        Self {
            config,
            options,
            root: root.into(),
            ground: Box::new(ground),
            host,
        }
    }

    /// The folder of a kind of content.
    pub(crate) fn folder(&self, content: ContentType) -> PathBuf {
        match &self.options.content_dirs {
            Some(names) => self.root.join(folder(names, content)),
            None => self.root.join(layout::folder(content)),
        }
    }

    fn path_of(&self, location: &Location) -> PathBuf {
        let content = layout::kept_with(location.name.content);
        self.folder(content).join(&location.below)
    }

    fn locate(&self, name: &str) -> Result<Location, StorageError> {
        layout::parse(name).ok_or_else(|| StorageError::BadName(name.to_owned()))
    }

    /// Where a guest's image is, and its format.
    fn locate_image(&self, name: &str) -> Result<(Location, BlockFormat), StorageError> {
        let location = self.locate(name)?;
        match (location.name.owner, location.name.image_format) {
            (Some(_), Some(format)) => Ok((location, format)),
            _ => Err(StorageError::BadName(name.to_owned())),
        }
    }

    fn failed(&self, source: SysError) -> StorageError {
        StorageError::of(self.config.id(), source)
    }

    pub(crate) fn exists(&self, name: &str) -> StorageError {
        let storage = self.config.id().clone();
        let name = name.to_owned();
        StorageError::Exists { storage, name }
    }

    pub(crate) fn no_volume(&self, name: &str) -> StorageError {
        let storage = self.config.id().clone();
        let name = name.to_owned();
        StorageError::NoVolume { storage, name }
    }

    pub(crate) async fn is_there(&self, path: &Path) -> Result<bool, StorageError> {
        let entry = self.host.stat(path).await;
        entry
            .map(|entry| entry.is_some())
            .map_err(|source| self.failed(source))
    }

    /// Makes the folder of a new volume. `Exists` where there is one of its name.
    pub(crate) async fn make_place(&self, name: &str, path: &Path) -> Result<(), StorageError> {
        if self.is_there(path).await? {
            return Err(self.exists(name));
        }
        let folder = path.parent().unwrap_or(path);
        let made = self.host.create_dir(folder, 0o755).await;
        made.map_err(|source| self.failed(source))
    }

    /// A guest's folder goes with its last image.
    pub(crate) async fn remove_if_empty(&self, image: &Path) -> Result<(), StorageError> {
        let folder = image.parent().unwrap_or(image);
        let removed = self.host.remove_dir(folder).await;
        removed.map(drop).map_err(|source| self.failed(source))
    }

    /// The lowest number that no disk and no tree of a guest has. A base has the number that it had
    /// as a disk.
    pub(crate) async fn free_disk_number(
        &self,
        owner: VmId,
        taken: &[String],
    ) -> Result<u32, StorageError> {
        let folder = self.folder(ContentType::Images).join(owner.to_string());
        let entries = self.host.list(&folder).await;
        let entries = entries.map_err(|source| self.failed(source))?;
        let there = entries.iter().map(|entry| entry.name.as_str());
        let all = there.chain(taken.iter().map(String::as_str));
        Ok(free_disk_number(owner, all))
    }

    fn source(&self, location: &Location) -> BlockSource {
        BlockSource::File(self.path_of(location).display().to_string())
    }

    fn not_there(&self, why: NotThere) -> StorageError {
        match why {
            NotThere::Because(reason) => self.inactive(reason),
            NotThere::Host(source) => self.failed(source),
            NotThere::Silent => StorageError::Silent(self.config.id().clone()),
        }
    }

    fn inactive(&self, reason: String) -> StorageError {
        let storage = self.config.id().clone();
        StorageError::Inactive { storage, reason }
    }

    async fn check_base_path(&self) -> Result<(), StorageError> {
        let entry = self
            .host
            .stat(&self.root)
            .await
            .map_err(|source| self.failed(source))?;
        if entry.is_some_and(|entry| entry.kind != FileKind::File) {
            return Ok(());
        }
        let root = self.root.display();
        Err(self.inactive(format!(
            "directory '{root}' does not exist or is unreachable"
        )))
    }

    async fn describe(&self, name: &str, entry: &FileEntry) -> Result<VolumeInfo, StorageError> {
        let location = self.locate(name)?;
        let format = location.name.image_format;
        let Some(format) = format.filter(|format| *format != BlockFormat::Raw) else {
            // The length of a raw image is what a guest sees.
            return Ok(as_it_is(name, location.name, entry, entry.size));
        };
        let (size, backing) = match self.chain_of_image(name)? {
            Some(place) => chain::summary(&place).await?,
            None => {
                let header = inspect(&self.host, &self.path_of(&location), format).await;
                let header = header.map_err(|source| self.failed(source))?;
                (header.virtual_size, header.backing)
            }
        };
        // A linked clone is listed by the name that says what it is a clone of.
        let base = backing
            .as_deref()
            .and_then(|backing| backing.strip_prefix("../"));
        let through = base.map(|base| format!("{base}/{name}"));
        let is_short = location.name.base.is_none();
        let long = through.filter(|long| is_short && layout::parse(long).is_some());
        let name = long.as_deref().unwrap_or(name);
        Ok(as_it_is(name, location.name, entry, size))
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
        tracing::warn!(storage = %self.config.id(), name, %error, "an image cannot be read");
        let location = self.locate(name)?;
        Ok(as_it_is(name, location.name, entry, entry.size))
    }

    /// Entries of one folder that are volumes.
    async fn list_folder(
        &self,
        content: ContentType,
        folder: &Path,
        prefix: &str,
    ) -> Result<Vec<VolumeInfo>, StorageError> {
        let entries = self
            .host
            .list(folder)
            .await
            .map_err(|source| self.failed(source))?;
        let mut volumes = Vec::new();
        for entry in entries.iter().filter(|entry| entry.kind == FileKind::File) {
            let name = format!("{prefix}/{}", entry.name);
            let Some(said) = parse_name(&name).filter(|said| said.content == content) else {
                continue;
            };
            // Only of disks the size is what a guest sees; all else is a file, as long as it is.
            volumes.push(if content == ContentType::Images {
                self.describe_listed(&name, entry).await?
            } else {
                as_it_is(&name, said, entry, entry.size)
            });
        }
        Ok(volumes)
    }

    /// Folders that are trees.
    async fn list_trees(&self) -> Result<Vec<VolumeInfo>, StorageError> {
        let mut volumes = Vec::new();
        for owner in self.owners().await? {
            let folder = self.folder(ContentType::Images).join(&owner);
            let entries = self.host.list(&folder).await;
            for entry in entries.map_err(|source| self.failed(source))? {
                let name = format!("{owner}/{}", entry.name);
                let said = parse_name(&name).filter(layout::is_tree);
                if let Some(said) = said.filter(|_| entry.kind == FileKind::Directory) {
                    volumes.push(tree(&name, said, &entry));
                }
            }
        }
        Ok(volumes)
    }

    /// The names of guests' folders.
    async fn owners(&self) -> Result<Vec<String>, StorageError> {
        let folders = self.host.list(&self.folder(ContentType::Images)).await;
        let folders = folders.map_err(|source| self.failed(source))?;
        let folders = folders
            .into_iter()
            .filter(|folder| folder.kind == FileKind::Directory);
        Ok(folders.map(|folder| folder.name).collect())
    }

    async fn list_images(&self) -> Result<Vec<VolumeInfo>, StorageError> {
        let mut volumes = Vec::new();
        for owner in self.owners().await? {
            let path = self.folder(ContentType::Images).join(&owner);
            volumes.extend(self.list_folder(ContentType::Images, &path, &owner).await?);
        }
        Ok(volumes)
    }
}

/// How much a tree holds would take a walk through it, so it is not said.
fn tree(name: &str, said: VolumeName, entry: &FileEntry) -> VolumeInfo {
    VolumeInfo {
        used: None,
        ..as_it_is(name, said, entry, 0)
    }
}

fn as_it_is(name: &str, said: VolumeName, entry: &FileEntry, size: u64) -> VolumeInfo {
    VolumeInfo {
        name: name.to_owned(),
        content: said.content,
        format: said.format,
        size,
        used: Some(entry.allocated),
        created: entry.modified,
        owner: said.owner,
    }
}

#[async_trait]
impl Storage for Dir {
    fn config(&self) -> &StorageConfig {
        &self.config
    }

    async fn activate(&self) -> Result<(), StorageError> {
        self.ground
            .prepare(&self.host)
            .await
            .map_err(|why| self.not_there(why))?;
        if !self.options.creates_base_path() {
            self.check_base_path().await?;
        }
        let folders: Vec<PathBuf> = if self.options.creates_subdirs() {
            let contents = self.config.common.content.iter();
            contents.map(|content| self.folder(*content)).collect()
        } else if self.options.creates_base_path() {
            vec![self.root.clone()]
        } else {
            Vec::new()
        };
        for folder in folders {
            if !self.is_there(&folder).await? {
                let made = self.host.create_dir(&folder, 0o755).await;
                made.map_err(|source| self.failed(source))?;
            }
        }
        Ok(())
    }

    async fn status(&self) -> Result<SpaceUsage, StorageError> {
        let ground = self.ground.check(&self.host).await;
        ground.map_err(|why| self.not_there(why))?;
        self.host
            .space(&self.root)
            .await
            .map_err(|source| self.failed(source))
    }

    async fn list(&self, content: Option<ContentType>) -> Result<Vec<VolumeInfo>, StorageError> {
        let mut volumes = Vec::new();
        for kind in ContentType::ALL {
            let wanted = content.is_none_or(|content| content == kind);
            if !wanted || !self.config.takes(kind) {
                continue;
            }
            volumes.extend(match kind {
                ContentType::Images => self.list_images().await?,
                ContentType::Rootdir => self.list_trees().await?,
                _ => {
                    self.list_folder(kind, &self.folder(kind), kind.as_str())
                        .await?
                }
            });
        }
        Ok(volumes)
    }

    async fn stat(&self, name: &str) -> Result<Option<VolumeInfo>, StorageError> {
        let path = self.path(name)?;
        let entry = self
            .host
            .stat(&path)
            .await
            .map_err(|source| self.failed(source))?;
        let said = self.locate(name)?.name;
        match entry {
            Some(entry) if layout::is_tree(&said) => {
                let is_folder = entry.kind == FileKind::Directory;
                Ok(is_folder.then(|| tree(name, said, &entry)))
            }
            Some(entry) if entry.kind == FileKind::File => {
                self.describe(name, &entry).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    async fn choose_image_name(
        &self,
        owner: VmId,
        format: BlockFormat,
        taken: &[String],
    ) -> Result<String, StorageError> {
        let number = self.free_disk_number(owner, taken).await?;
        let stem = format!("vm-{owner}-disk-{number}");
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
        let (location, of_name) = self.locate_image(name)?;
        if of_name != format {
            return Err(StorageError::BadName(name.to_owned()));
        }
        let path = self.path_of(&location);
        self.make_place(name, &path).await?;
        let preallocation = self.options.preallocation;
        let made = image::create(&self.host, &path, format, size, preallocation).await;
        if made.is_err() {
            // Only what we were making can be there: it was not there before.
            let _ = self.free(name).await;
        }
        made.map_err(|source| self.failed(source))
    }

    async fn free(&self, name: &str) -> Result<bool, StorageError> {
        let location = self.locate(name)?;
        let path = self.path_of(&location);
        if location.name.content == ContentType::Backup {
            // The backup goes last: without it nothing finds what is beside it.
            self.remove_beside(&path).await?;
        }
        let removed = if layout::is_tree(&location.name) {
            self.remove_tree(&location).await?
        } else if let Some(chain) = self.chain_of_image(name)? {
            chain::free(&chain).await?
        } else {
            let removed = self.host.remove(&path).await;
            removed.map_err(|source| self.failed(source))?
        };
        let content = location.name.content;
        if matches!(content, ContentType::Images | ContentType::Rootdir) {
            self.remove_if_empty(&path).await?;
        }
        Ok(removed)
    }

    async fn resize(&self, name: &str, size: u64) -> Result<(), StorageError> {
        let (location, format) = self.locate_image(name)?;
        let image = BlockSpec::new(self.source(&location), format);
        image::resize(&self.host, &image, size)
            .await
            .map_err(|source| self.failed(source))
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        let (source, target) = (self.locate(from)?, self.locate(to)?);
        // Only images and trees of guests have other names, and neither becomes the other.
        let kind = |location: &Location| {
            let is_image = location.name.owner.is_some() && location.name.image_format.is_some();
            (is_image, layout::is_tree(&location.name))
        };
        if kind(&source) == (false, false) {
            return Err(StorageError::BadName(from.to_owned()));
        }
        if kind(&source) != kind(&target) {
            return Err(StorageError::BadName(to.to_owned()));
        }
        self.check_no_layers(from).await?;
        let (source, target) = (self.path_of(&source), self.path_of(&target));
        if self.is_there(&source).await? {
            self.make_place(to, &target).await?;
            let renamed = self.host.rename(&source, &target).await;
            // One of the two folders may have lost its last image, or never got one.
            self.remove_if_empty(&source).await?;
            self.remove_if_empty(&target).await?;
            return renamed.map_err(|source| self.failed(source));
        }
        match self.is_there(&target).await? {
            true => self.remove_if_empty(&source).await,
            false => Err(self.no_volume(from)),
        }
    }

    /// Files need nothing to be opened, so nothing is taken back either.
    async fn attach(
        &self,
        name: &str,
        mode: AttachMode,
        _by: &Attacher,
    ) -> Result<BlockSpec, StorageError> {
        let location = self.locate(name)?;
        if location.name.is_base && !mode.is_read_only() {
            let id = self.config.id();
            let text = format!("base volume '{id}:{name}' cannot be written to");
            return Err(StorageError::Refused(text));
        }
        if let Some(chain) = self.chain_of_image(name)?
            && !mode.is_read_only()
        {
            // A node that died while it made a snapshot may have left it without its name.
            chain::restore(&chain, None).await?;
        }
        if !self.is_there(&self.path_of(&location)).await? {
            return Err(self.no_volume(name));
        }
        let format = location.name.image_format.unwrap_or(BlockFormat::Raw);
        Ok(BlockSpec {
            read_only: mode.is_read_only() || location.name.content == ContentType::Iso,
            backing: self.below_image(name, &location, mode).await?.map(Box::new),
            ..BlockSpec::new(self.source(&location), format)
        })
    }

    async fn detach(&self, name: &str, _by: &Attacher) -> Result<(), StorageError> {
        self.locate(name).map(drop)
    }

    fn path(&self, name: &str) -> Result<PathBuf, StorageError> {
        Ok(self.path_of(&self.locate(name)?))
    }

    fn files(&self) -> Option<&dyn FileVolumes> {
        Some(self)
    }

    fn backups(&self) -> Option<&dyn Backups> {
        Some(self)
    }

    fn snapshots(&self) -> Option<&dyn Snapshots> {
        Some(self)
    }

    fn layered(&self) -> Option<&dyn Layered> {
        Some(self)
    }

    fn linked_clones(&self) -> Option<&dyn LinkedClones> {
        Some(self)
    }

    fn trees(&self) -> Option<&dyn Trees> {
        Some(self)
    }
}
