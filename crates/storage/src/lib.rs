//! Storages: where volumes are, what they are called, and how a guest opens them.
//!
//! ```text
//!   record storage/local ──► StorageConfig ──► open() ──► dyn Storage
//!                                                           ├── dir      files in folders
//!                                                           └── …        one module a type
//!   node::tasks ── choose · allocate · block · free ─────────┘  through sys::Host
//! ```
//!
//! It decides nothing about guests and knows no task; it never writes the store.
//!
//! **Invariants.** A volume's name is chosen before the volume is made. Allocating never
//! replaces what exists. No name leads out of its storage.

mod checksum;
mod config;
mod content;
mod dir;
mod error;
mod header;
mod image;
mod opened;

use std::sync::Arc;

use async_trait::async_trait;
use model::{BlockFormat, BlockSpec, StorageId, UnixTime, VmId};
use sys::{SharedHost, SpaceUsage};

pub use checksum::{Checksum, ChecksumAlgorithm, Hasher};
pub use config::{Preallocation, StorageConfig, StorageType};
pub use content::ContentType;
pub use error::StorageError;
pub use header::{ImageHeader, header_of, inspect};
pub use image::{Probed, probe};
pub use opened::{Opened, check_whole};

/// A volume, as it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeInfo {
    /// The name below the storage: what follows `storage:` in a volume id.
    pub name: String,
    pub content: ContentType,
    /// `raw`, `qcow2`, `iso`, `tgz`, …
    pub format: String,
    /// What the guest sees, in bytes.
    pub size: u64,
    /// What it takes on the storage, in bytes; none where finding out is expensive.
    pub used: Option<u64>,
    pub created: UnixTime,
    /// The guest that it belongs to, by its name.
    pub owner: Option<VmId>,
}

/// A storage. All methods go to the storage itself, none to a cache.
#[async_trait]
pub trait Storage: Send + Sync + 'static {
    fn config(&self) -> &StorageConfig;

    /// Makes the storage usable: mounts, creates folders. May be repeated.
    async fn activate(&self) -> Result<(), StorageError>;

    /// How full it is; also the test of whether it is there.
    async fn space(&self) -> Result<SpaceUsage, StorageError>;

    /// All volumes of a kind, or of all kinds, by name. Sizes of images come from their headers.
    async fn list(&self, content: Option<ContentType>) -> Result<Vec<VolumeInfo>, StorageError>;

    /// None where there is no such volume. `Invalid` where the name is none of this storage's.
    async fn info(&self, name: &str) -> Result<Option<VolumeInfo>, StorageError>;

    /// What the name alone says of a volume: its content, format and owner. Makes and reads
    /// nothing; sizes are 0. `BadName` where it is no name of this storage's.
    fn describe_name(&self, name: &str) -> Result<VolumeInfo, StorageError>;

    /// A name for a new image of this guest that no volume has and that is not in `taken`.
    /// Makes nothing: two callers may be given the same name, and one of them will then fail
    /// in `allocate`.
    async fn choose_image_name(
        &self,
        owner: VmId,
        format: BlockFormat,
        taken: &[String],
    ) -> Result<String, StorageError>;

    /// The name of an image that a guest has one of: its memory, the data of cloud-init. Makes
    /// nothing.
    fn image_name(&self, owner: VmId, what: &str, format: BlockFormat) -> String;

    /// Makes an image of `size` bytes that reads as zeros. `Exists` where there is one. A failure
    /// leaves nothing.
    async fn allocate(
        &self,
        name: &str,
        format: BlockFormat,
        size: u64,
    ) -> Result<(), StorageError>;

    /// Removes a volume with all that belongs to it. False where there was none.
    async fn free(&self, name: &str) -> Result<bool, StorageError>;

    /// Changes an image's size while nobody has it open. May be repeated.
    async fn resize(&self, name: &str, size: u64) -> Result<(), StorageError>;

    /// How a guest opens the image. The volume need not exist yet.
    fn block(&self, name: &str, read_only: bool) -> Result<BlockSpec, StorageError>;

    /// The format of a new image where the caller names none.
    fn default_format(&self) -> BlockFormat;

    /// The formats that its images may have.
    fn formats(&self) -> &'static [BlockFormat];

    /// The format of a copy of an image where the caller names none: the original's, where it can
    /// be had here.
    fn format_of_copy(&self, original: BlockFormat) -> BlockFormat {
        match self.formats().contains(&original) {
            true => original,
            false => self.default_format(),
        }
    }

    /// Volumes that are plain files with names that people choose: iso, templates, snippets.
    fn files(&self) -> Option<&dyn FileVolumes>;

    /// Snapshots of its images; none where it has no way to make them.
    fn snapshots(&self) -> Option<&dyn Snapshots>;

    /// Images that are layers on others; none where it has no such thing.
    fn bases(&self) -> Option<&dyn Bases>;
}

/// Images that others are layers on: the disks of templates, which nobody writes to any more.
#[async_trait]
pub trait Bases: Send + Sync {
    /// What an image is called as a base. `BadName` where it is no guest's.
    fn base_name(&self, name: &str) -> Result<String, StorageError>;

    /// Whether layers can be made on this image.
    fn is_base(&self, name: &str) -> bool;

    /// Refuses an image whose header names another base than its name does. A base is never
    /// written, so its header can be relied on from then on.
    async fn check_fit_for_base(&self, name: &str) -> Result<(), StorageError>;

    /// Gives an image another name, while nobody has it open. May be repeated. `NoVolume` where
    /// there is none of either name.
    async fn rename_image(&self, from: &str, to: &str) -> Result<(), StorageError>;

    /// A name for a new layer on a base, as `choose_image_name` chooses it.
    async fn choose_layer_name(
        &self,
        base: &str,
        owner: VmId,
        taken: &[String],
    ) -> Result<String, StorageError>;

    /// Makes a layer, which shows what its base shows. `Exists` where there is one.
    async fn create_layer(&self, name: &str) -> Result<(), StorageError>;

    /// What an image is a layer on; none for one that stands for itself.
    async fn backing(&self, name: &str) -> Result<Option<BlockSpec>, StorageError>;
}

/// Snapshots of images that nobody has open; of those that QEMU has open, QEMU makes them.
#[async_trait]
pub trait Snapshots: Send + Sync {
    /// Refuses an image that no program will be given: one that has its data elsewhere.
    async fn check_image(&self, name: &str) -> Result<(), StorageError>;

    /// Whether this image can have snapshots.
    fn can_snapshot(&self, name: &str) -> bool;

    /// The snapshots of an image, oldest first.
    async fn list_snapshots(&self, name: &str) -> Result<Vec<String>, StorageError>;

    /// `Exists` where there is one of that name.
    async fn create_snapshot(&self, name: &str, snapshot: &str) -> Result<(), StorageError>;

    /// Makes the image what it was; later snapshots stay. May be repeated.
    async fn roll_back(&self, name: &str, snapshot: &str) -> Result<(), StorageError>;

    /// False where there was none.
    async fn delete_snapshot(&self, name: &str, snapshot: &str) -> Result<bool, StorageError>;
}

/// Volumes that arrive as files.
#[async_trait]
pub trait FileVolumes: Send + Sync {
    /// The volume name of a file of this content, if the file name is allowed there.
    fn file_volume(&self, content: ContentType, file_name: &str) -> Result<String, StorageError>;

    /// Where the volume's file is.
    fn path(&self, name: &str) -> Result<std::path::PathBuf, StorageError>;

    /// The folder for files that are still arriving; on the same file system as the volumes, so
    /// that `adopt` only renames.
    fn uploads(&self) -> std::path::PathBuf;

    /// Turns an arrived file into a volume. `Exists` where there is one, unless `replace`.
    async fn adopt(
        &self,
        arrived: &std::path::Path,
        name: &str,
        replace: bool,
    ) -> Result<(), StorageError>;
}

/// Opens a storage by its configuration.
pub fn open(config: StorageConfig, host: SharedHost) -> Arc<dyn Storage> {
    // What hangs there must not hold up what is elsewhere.
    let name = format!("storage '{}'", config.id);
    let host = host.pooled(&name).unwrap_or(host);
    match config.kind {
        StorageType::Dir => Arc::new(dir::Dir::new(config, host)),
    }
}

/// The storage that every node has before anybody configures one.
pub fn local(path: &str) -> StorageConfig {
    StorageConfig::dir(
        StorageId::new("local").expect("a constant that follows the rule"),
        path,
    )
}
