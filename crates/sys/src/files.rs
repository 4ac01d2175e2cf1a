//! Files and directories.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use model::UnixTime;

use crate::{SharedHost, SysError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    File,
    Directory,
    /// A link, device, socket or pipe.
    Other,
}

/// What is known of a file without opening it. Links are not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    pub name: String,
    pub kind: FileKind,
    /// Length in bytes.
    pub size: u64,
    /// Bytes that it takes on the disk.
    pub allocated: u64,
    pub modified: UnixTime,
    /// The same for all names of one file, and no other file's of its file system.
    pub inode: u64,
}

/// Space of the file system that a path lies on, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpaceUsage {
    pub total: u64,
    pub used: u64,
    /// What an ordinary user can still write; less than `total - used` where root keeps some.
    pub available: u64,
}

/// What is known of an image that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// Where it ends, in bytes.
    pub bytes: u64,
    pub is_device: bool,
}

/// Paths are absolute. Every method may be repeated; none follows a link at the last component
/// unless it says so.
#[async_trait]
pub trait Files: Send + Sync + 'static {
    /// The same host, with threads of their own for the files of something that may hang: where
    /// nothing answers there, `Silent` is the error after a while, and at once from then on. `name`
    /// is what the error calls it. None where that is not needed.
    fn pooled(&self, _name: &str) -> Option<SharedHost> {
        None
    }

    async fn read(&self, path: &Path) -> Result<Vec<u8>, SysError>;

    /// Replaces the file wholly or not at all, and durably: a crash leaves the old or the new
    /// content. The file has `mode` from its first byte on.
    async fn write(&self, path: &Path, content: &[u8], mode: u32) -> Result<(), SysError>;

    /// Adds to the end of a file, which is made with mode 0600 where it is missing; durable on
    /// return if `sync`. A failure leaves it as it was; a crash may leave a part of `content`.
    async fn append(&self, path: &Path, content: &[u8], sync: bool) -> Result<(), SysError>;

    /// Removes a file or socket. False where there was none.
    async fn remove(&self, path: &Path) -> Result<bool, SysError>;

    /// Renames within one file system, durably. Refuses to replace an existing target.
    async fn rename(&self, from: &Path, to: &Path) -> Result<(), SysError>;

    /// Makes a directory and its missing parents; `mode` is for those that are made.
    async fn create_dir(&self, path: &Path, mode: u32) -> Result<(), SysError>;

    /// Removes an empty directory. False where there was none or it was not empty.
    async fn remove_dir(&self, path: &Path) -> Result<bool, SysError>;

    /// Removes a directory with all that is in it. Another user may own it and its content: no
    /// link is followed. False where there was none.
    async fn remove_tree(&self, path: &Path) -> Result<bool, SysError>;

    /// None where there is nothing.
    async fn stat(&self, path: &Path) -> Result<Option<FileEntry>, SysError>;

    /// The entries of a directory, by name. A missing directory has none.
    async fn list(&self, path: &Path) -> Result<Vec<FileEntry>, SysError>;

    /// Returns once everything that was written to a file is on the disk, by whoever it was.
    async fn sync(&self, path: &Path) -> Result<(), SysError>;

    /// The path of what a path leads to, with every link followed.
    async fn resolve(&self, path: &Path) -> Result<PathBuf, SysError>;

    /// Opens a disk image, a file or a block device, for a program that may not open it by name;
    /// a link is refused. `direct` passes by the page cache; where the file system cannot do that,
    /// the descriptor uses the cache.
    async fn open_image(
        &self,
        path: &Path,
        write: bool,
        direct: bool,
    ) -> Result<Arc<OwnedFd>, SysError>;

    /// Up to so many bytes of an image that is open, fewer at its end only. `path` names it in
    /// errors.
    async fn read_at(
        &self,
        image: &Arc<OwnedFd>,
        path: &Path,
        offset: u64,
        length: usize,
    ) -> Result<Vec<u8>, SysError>;

    async fn measure(&self, image: &Arc<OwnedFd>, path: &Path) -> Result<Measured, SysError>;

    /// Opens a new file, to be read and written, that has no name yet: it is gone with its last
    /// descriptor unless `name_file` gives it one.
    async fn create_unnamed(&self, folder: &Path) -> Result<OwnedFd, SysError>;

    /// Gives a file of `create_unnamed` a name in its file system, durably with its content.
    /// Refuses to replace an existing target.
    async fn name_file(&self, file: &Arc<OwnedFd>, path: &Path) -> Result<(), SysError>;

    /// Exchanges the names of two files of one file system at once, durably.
    async fn exchange(&self, one: &Path, other: &Path) -> Result<(), SysError>;

    async fn space(&self, path: &Path) -> Result<SpaceUsage, SysError>;

    /// Gives a file or directory to a user and group.
    async fn chown(&self, path: &Path, uid: u32, gid: u32) -> Result<(), SysError>;
}
