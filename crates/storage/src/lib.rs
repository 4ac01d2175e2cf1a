//! Storages: where volumes are, what they are called, and how a guest opens them.
//!
//! ```text
//!   record storage/<id> ──► StorageConfig ──► open() ──► dyn Storage
//!                                                           ├── dir      files in folders
//!                                                           │   └── mounts of servers: NFS, SMB, CephFS
//!                                                           ├── btrfs    subvolumes with files
//!                                                           ├── lvm      volumes of full size
//!                                                           ├── lvmthin  thin volumes of LVM
//!                                                           ├── zfspool  volumes of ZFS
//!                                                           ├── rbd      images in a pool of Ceph
//!                                                           ├── iscsi    units of a target, as disks of the node
//!                                                           └── iscsidirect  units of a target
//!   node::tasks ── choose · allocate · attach · detach · free ──┘  through sys::Host
//! ```
//!
//! Every storage has the core, `Storage`. What only some can do is a trait of its own, reached by
//! an accessor: `FileVolumes`, `Backups`, `Snapshots`, `Layered`, `LinkedClones`, `Trees`, `Tiered`. A driver is kept as long as its record
//! stays as it is, so it may hold a lock and remember things.
//!
//! It decides nothing about guests and knows no task; it never writes the store.
//!
//! **Invariants.** A volume's name is chosen before the volume is made. Allocating never
//! replaces what exists. No name leads out of its storage. Every method may be repeated after it
//! was cut off anywhere (`tests/conformance`).

mod attach;
mod backups;
mod btrfs;
mod ceph;
mod chain;
mod checksum;
mod config;
mod content;
mod dir;
mod error;
mod header;
mod image;
mod iscsi;
mod iscsidirect;
mod kind;
mod lvm;
mod lvmthin;
mod mounts;
mod names;
mod opened;
mod rbd;
mod reach;
mod streams;
mod tiers;
mod trees;
mod turns;
mod zfspool;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use model::{BlockFormat, BlockSpec, StorageId, UnixTime, VmId};
use sys::{SharedHost, SpaceUsage};

pub use attach::{AttachMode, Attacher};
pub use backups::{Backup, BackupName, Backups, backup_kind};
pub use ceph::key_of;
pub use chain::{FoundLayer, Layer, Merge};
pub use checksum::{Checksum, ChecksumAlgorithm, Hasher};
pub use config::{
    BtrfsSpec, CephFsSpec, CifsSpec, CommonConfig, DirSpec, Exporter, FolderNames, FolderOptions,
    IscsiDirectSpec, IscsiSpec, LvmSpec, LvmThinSpec, NfsSpec, Preallocation, RbdSpec,
    StorageConfig, StorageSpec, WipeRate, ZfsPoolSpec, mount_point,
};
pub use content::ContentType;
pub use error::StorageError;
pub use header::{ImageHeader, header_of, inspect};
pub use image::{Probed, probe};
pub use kind::{Property, StorageType};
pub use lvm::LvmPrograms;
pub use mounts::exported;
pub use mounts::usual_path;
pub use names::{VolumeName, VolumeNames};
pub use opened::{Opened, check_whole};
pub use streams::{StreamFormat, completed_import, import_complete};
pub use tiers::{Difference, Tier, Tiered, TieredVolume, Tiers, Verdict};
pub use trees::Trees;
pub use turns::{Alone, Turn, Turns};

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

/// Something that is wrong with a storage that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// A word that stays the same while it lasts.
    pub kind: &'static str,
    pub text: String,
    /// What an administrator can do.
    pub advice: &'static str,
}

/// A storage. All methods go to the storage itself, none to a cache.
#[async_trait]
pub trait Storage: Send + Sync + 'static {
    fn config(&self) -> &StorageConfig;

    /// Makes the storage usable: mounts, creates folders. May be repeated.
    async fn activate(&self) -> Result<(), StorageError>;

    /// How full it is; also the test of whether it is there.
    async fn status(&self) -> Result<SpaceUsage, StorageError>;

    /// What is wrong with it although it answers; nothing where it looks well.
    async fn troubles(&self) -> Result<Vec<Trouble>, StorageError> {
        Ok(Vec::new())
    }

    /// All volumes of a kind, or of all kinds, by name. Sizes of images come from their headers, unless
    /// `lists_size_of` says otherwise.
    async fn list(&self, content: Option<ContentType>) -> Result<Vec<VolumeInfo>, StorageError>;

    /// Whether `list` says what a guest sees of this image; else it says how large its volume is.
    fn lists_size_of(&self, _name: &str) -> bool {
        true
    }

    /// None where there is no such volume. `BadName` where the name is none of this storage's.
    async fn stat(&self, name: &str) -> Result<Option<VolumeInfo>, StorageError>;

    /// A name for a new image of this guest that no volume has and that is not in `taken`.
    /// Makes nothing: two callers may be given the same name, and one of them will then fail
    /// in `allocate`.
    async fn choose_image_name(
        &self,
        owner: VmId,
        format: BlockFormat,
        taken: &[String],
    ) -> Result<String, StorageError>;

    /// The name of the image of a guest that is called `vm-<vmid>-<what>`: its memory, the data of
    /// cloud-init. Makes nothing.
    fn image_name(&self, owner: VmId, what: &str, format: BlockFormat) -> String;

    /// Makes an image of at least `size` bytes, which reads as zeros if `new_images_are_zero`.
    /// `Exists` where there is one. A failure leaves nothing.
    async fn allocate(
        &self,
        name: &str,
        format: BlockFormat,
        size: u64,
    ) -> Result<(), StorageError>;

    /// Whether a new image of this name reads as zeros, so that a copy needs to write only what is not
    /// zero.
    fn new_images_are_zero(&self, _name: &str) -> bool {
        true
    }

    /// Makes a new image read as zeros, where new images do not.
    async fn zero(&self, _name: &str) -> Result<(), StorageError> {
        Ok(())
    }

    /// Removes a volume with all that belongs to it. False where there was none.
    async fn free(&self, name: &str) -> Result<bool, StorageError>;

    /// Makes an image at least this large. What QEMU has open it grows itself where the image is a
    /// file; a device is grown here first.
    async fn resize(&self, name: &str, size: u64) -> Result<(), StorageError>;

    /// Renames an image that is not attached. May be repeated. `NoVolume` where
    /// there is none of either name.
    async fn rename(&self, from: &str, to: &str) -> Result<(), StorageError>;

    /// Makes a volume ready to be opened on this node, and says how it is opened, with all that it
    /// is a linked clone of. May be repeated by the same attacher. A base is only attached to be
    /// read.
    async fn attach(
        &self,
        name: &str,
        mode: AttachMode,
        by: &Attacher,
    ) -> Result<BlockSpec, StorageError>;

    /// Takes back what `attach` did, after the last attacher. A volume that is not attached or not
    /// there is no error.
    async fn detach(&self, name: &str, by: &Attacher) -> Result<(), StorageError>;

    /// Where an administrator finds a volume; it need not exist.
    fn path(&self, name: &str) -> Result<PathBuf, StorageError>;

    /// Volumes that are plain files with names that people choose: iso, templates, snippets.
    fn files(&self) -> Option<&dyn FileVolumes>;

    /// Backups of guests; none where there is no place for them.
    fn backups(&self) -> Option<&dyn Backups> {
        None
    }

    /// Snapshots of its images; none where it has no way to make them.
    fn snapshots(&self) -> Option<&dyn Snapshots>;

    /// Images whose snapshots are layers; none where they never are.
    fn layered(&self) -> Option<&dyn Layered> {
        None
    }

    /// Images that share with a base what they have not changed; none where it has no such thing.
    fn linked_clones(&self) -> Option<&dyn LinkedClones>;

    /// Directories as volumes; none where there are only images.
    fn trees(&self) -> Option<&dyn Trees> {
        None
    }

    /// Properties of volumes by the tiers of their guests; none where there are no such properties.
    fn tiered(&self) -> Option<&dyn Tiered> {
        None
    }
}

/// A linked clone to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewClone {
    pub name: String,
    /// Of its base, in bytes.
    pub size: u64,
}

/// Linked clones: images based on the disks of templates, which are never written again.
#[async_trait]
pub trait LinkedClones: Send + Sync {
    /// What an image is called as a base. `BadName` where it is no guest's.
    fn base_name(&self, name: &str) -> Result<String, StorageError>;

    /// Refuses an image that cannot become a base, with the reason.
    async fn check_fit_for_base(&self, name: &str) -> Result<(), StorageError>;

    /// The format that linked clones have.
    fn clone_format(&self) -> BlockFormat;

    /// A name for a new clone of a base, as `choose_image_name` chooses it.
    async fn choose_clone_name(
        &self,
        base: &str,
        owner: VmId,
        taken: &[String],
    ) -> Result<String, StorageError>;

    /// The same for a base that must be there, with what the clone will show.
    async fn plan_clone(
        &self,
        base: &str,
        owner: VmId,
        taken: &[String],
    ) -> Result<NewClone, StorageError>;

    /// Makes a clone, which shows what its base shows. `Exists` where there is one.
    async fn create_clone(&self, base: &str, name: &str) -> Result<(), StorageError>;
}

/// What makes the snapshots of an image while a guest has it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotMaker {
    /// QEMU, inside the image; the storage only while the image is not open.
    Qemu,
    /// The storage, at any time. A writer must have flushed and must be paused.
    Storage,
    /// The storage makes a new layer under the image's name, at any time. A QEMU that has the image
    /// open goes on with what has the snapshot's name now, until it is moved to the new layer.
    Chain,
}

/// How a snapshot is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotSpec {
    pub image: BlockSpec,
    /// The snapshot's name inside of the image; none where the image is the snapshot.
    pub inside: Option<String>,
}

/// Snapshots of images.
#[async_trait]
pub trait Snapshots: Send + Sync {
    /// None where this image can have no snapshots.
    fn maker(&self, name: &str) -> Option<SnapshotMaker>;

    /// Why a snapshot of this image cannot have this name; nothing where it can.
    fn refuses_name(&self, _name: &str, _snapshot: &str) -> Option<String> {
        None
    }

    /// Refuses an image that no program will be given: one that has its data elsewhere.
    async fn check_image(&self, name: &str) -> Result<(), StorageError>;

    /// The snapshots of an image, oldest first.
    async fn list_snapshots(&self, name: &str) -> Result<Vec<String>, StorageError>;

    /// `Exists` where there is one of that name.
    async fn create_snapshot(&self, name: &str, snapshot: &str) -> Result<(), StorageError>;

    /// Refuses a snapshot that `roll_back` would refuse, before anything has been stopped for it.
    /// `NoSnapshot` where there is none.
    async fn check_roll_back(&self, name: &str, snapshot: &str) -> Result<(), StorageError>;

    /// Makes the image what it was; later snapshots stay. The image must not be open, and
    /// `check_roll_back` has been asked. May be repeated.
    async fn roll_back(&self, name: &str, snapshot: &str) -> Result<(), StorageError>;

    /// False where there was none, or `NoVolume` where the image is gone.
    async fn delete_snapshot(&self, name: &str, snapshot: &str) -> Result<bool, StorageError>;

    /// Makes a snapshot ready to be read. Writes to the image do not change it.
    async fn attach_snapshot(
        &self,
        name: &str,
        snapshot: &str,
        by: &Attacher,
    ) -> Result<SnapshotSpec, StorageError>;

    /// Takes back what `attach_snapshot` did, as `detach` does.
    async fn detach_snapshot(
        &self,
        name: &str,
        snapshot: &str,
        by: &Attacher,
    ) -> Result<(), StorageError>;
}

/// Images whose snapshots are layers (`SnapshotMaker::Chain`), for the one that has them open in QEMU.
#[async_trait]
pub trait Layered: Send + Sync {
    /// The layers of an image from the top, without what it is a linked clone of.
    async fn layers(&self, name: &str) -> Result<Vec<FoundLayer>, StorageError>;

    /// Gives an image its name back that lost it while this snapshot was being made. May be repeated.
    async fn restore(&self, name: &str, snapshot: &str) -> Result<(), StorageError>;

    /// Lets a layer of an image that QEMU has open become as large as one that shows so much.
    async fn make_room(&self, name: &str, layer: &Layer, size: u64) -> Result<(), StorageError>;

    /// Waits until names can be changed at once. A guest that stands still must not wait for it.
    async fn get_ready(&self, name: &str) -> Result<(), StorageError>;

    /// After QEMU has taken a snapshot's layer, or the one above it, out of the chain that it has open:
    /// the files get the names that go with it. May be repeated.
    async fn follow(&self, name: &str, snapshot: &str) -> Result<(), StorageError>;

    /// Removes what `follow` only took the names from: that may take long, and QEMU has it open while the
    /// guest stands still. May be repeated.
    async fn finish(&self, name: &str) -> Result<(), StorageError>;
}

/// Volumes that arrive as files.
pub trait FileVolumes: Send + Sync {
    /// The volume name of a file of this content, if the file name is allowed there.
    fn file_volume(&self, content: ContentType, file_name: &str) -> Result<String, StorageError>;

    /// The folder of it all. A file without a name yet is made here.
    fn root(&self) -> &Path;

    /// The folder for files that are still arriving, on the same file system as the volumes: they
    /// become volumes by a new name.
    fn uploads(&self) -> PathBuf;
}

/// Opens a storage by its configuration, and the secret of types that have one
/// (`StorageType::secret`). `turns` are those of all nodes that change it.
pub fn open(
    config: StorageConfig,
    secret: Option<String>,
    host: SharedHost,
    turns: Arc<dyn Turns>,
) -> Arc<dyn Storage> {
    // What hangs there must not hold up what is elsewhere.
    let name = format!("storage '{}'", config.id());
    let host = host.pooled(&name).unwrap_or(host);
    match config.spec.clone() {
        StorageSpec::Dir(spec) => {
            let disk = dir::Disk::new(&spec.path, spec.is_mountpoint.as_deref());
            Arc::new(dir::Dir::new(config, spec.path, disk, host))
        }
        StorageSpec::Btrfs(spec) => Arc::new(btrfs::Btrfs::new(config, spec, host)),
        StorageSpec::Nfs(spec) => Arc::new(mounts::nfs(config, spec, host)),
        StorageSpec::Cifs(spec) => Arc::new(mounts::cifs(config, spec, secret, host)),
        StorageSpec::CephFs(spec) => Arc::new(mounts::cephfs(config, spec, secret, host)),
        StorageSpec::Lvm(spec) => Arc::new(lvm::Lvm::new(config, spec, secret, host, turns)),
        StorageSpec::LvmThin(spec) => Arc::new(lvmthin::LvmThin::new(config, spec, secret, host)),
        StorageSpec::ZfsPool(spec) => Arc::new(zfspool::ZfsPool::new(config, spec, secret, host)),
        StorageSpec::Iscsi(spec) => Arc::new(iscsi::Iscsi::new(config, spec, host)),
        StorageSpec::IscsiDirect(spec) => {
            Arc::new(iscsidirect::IscsiDirect::new(config, spec, host))
        }
        StorageSpec::Rbd(spec) => Arc::new(rbd::Rbd::new(config, spec, secret, host)),
    }
}

/// The storage that every node has before anybody configures one.
pub fn local(path: &str) -> StorageConfig {
    StorageConfig::dir(
        StorageId::new("local").expect("a constant that follows the rule"),
        path,
    )
}
