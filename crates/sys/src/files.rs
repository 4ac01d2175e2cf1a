//! Files and directories.

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use model::UnixTime;

use crate::{Cell, CellMount, SharedHost, SysError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    File,
    Directory,
    /// A link, device, socket or pipe.
    Other,
}

/// The metadata of a file. Links are not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    pub name: String,
    pub kind: FileKind,
    /// Length in bytes.
    pub size: u64,
    /// Bytes allocated on the disk.
    pub allocated: u64,
    pub modified: UnixTime,
    /// The same for all names of one file, and unique in its file system.
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

/// The metadata of an open image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// The length in bytes.
    pub bytes: u64,
    pub is_device: bool,
}

/// Paths are absolute. Every method may be repeated; none follows a link in the last component
/// unless it says so.
/// A device of the kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceNumber {
    pub is_block: bool,
    pub major: u32,
    pub minor: u32,
}

impl fmt::Display for DeviceNumber {
    /// As control groups have it: `c 188:0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_block { 'b' } else { 'c' };
        write!(f, "{kind} {}:{}", self.major, self.minor)
    }
}

#[async_trait]
pub trait Files: Send + Sync + 'static {
    /// The same host, with threads of its own for the files of a resource that may hang: if it does
    /// not answer, calls fail with `Silent` after a while, and at once from then on. The error
    /// contains `name`. None if that is not needed.
    fn pooled(&self, _name: &str) -> Option<SharedHost> {
        None
    }

    async fn read(&self, path: &Path) -> Result<Vec<u8>, SysError>;

    /// Replaces the file atomically and durably: after a crash it has the old or the new content.
    /// The file has `mode` from its first byte on.
    async fn write(&self, path: &Path, content: &[u8], mode: u32) -> Result<(), SysError>;

    /// Writes a value to a file of the kernel's (sysfs), which must be there, in one call.
    async fn set(&self, path: &Path, value: &[u8]) -> Result<(), SysError>;

    /// Appends to a file, creating it with mode 0600 if it is missing; durable on return if `sync`.
    /// A failure leaves it unchanged; a crash may leave a part of `content`.
    async fn append(&self, path: &Path, content: &[u8], sync: bool) -> Result<(), SysError>;

    /// Removes a file or socket. False if there was none.
    async fn remove(&self, path: &Path) -> Result<bool, SysError>;

    /// Removes files and sockets of one folder, those that are there. Ends with the first error.
    async fn remove_files(&self, paths: &[PathBuf]) -> Result<(), SysError> {
        for path in paths {
            self.remove(path).await?;
        }
        Ok(())
    }

    /// Renames within one file system, durably. Refuses to replace an existing target; on a file
    /// system that cannot (NFS, SMB) one that appears at the same moment is replaced.
    async fn rename(&self, from: &Path, to: &Path) -> Result<(), SysError>;

    /// The same, but what has the new name is replaced.
    async fn replace(&self, from: &Path, to: &Path) -> Result<(), SysError>;

    /// Creates a directory and its missing parents, which get `mode`.
    async fn create_dir(&self, path: &Path, mode: u32) -> Result<(), SysError>;

    /// Removes an empty directory. False if there was none or it was not empty.
    async fn remove_dir(&self, path: &Path) -> Result<bool, SysError>;

    /// Removes a directory with its content. Another user may own both, so no link is followed.
    /// False if there was none.
    async fn remove_tree(&self, path: &Path) -> Result<bool, SysError>;

    /// None if nothing exists at this path.
    async fn stat(&self, path: &Path) -> Result<Option<FileEntry>, SysError>;

    /// The entries of a directory, by name. A missing directory is empty.
    async fn list(&self, path: &Path) -> Result<Vec<FileEntry>, SysError>;

    /// Returns once all writes to a file, by any process, are on the disk.
    async fn sync(&self, path: &Path) -> Result<(), SysError>;

    /// Returns once all writes to a file system of a container are on the disk.
    async fn sync_mount(&self, mount: &CellMount) -> Result<(), SysError>;

    /// Makes the file system of an image or a device as large as that is, while it is in use.
    async fn grow_mount(&self, mount: &CellMount) -> Result<(), SysError>;

    /// Gives blocks back that the file system of an image or a device does not use, and says how
    /// many bytes.
    async fn trim_mount(&self, mount: &CellMount) -> Result<u64, SysError>;

    /// The space of a file system of a container.
    async fn mount_space(&self, mount: &CellMount) -> Result<SpaceUsage, SysError>;

    /// Mounts a container's file systems for all to see, at the cell's folder, which must be there.
    /// What was mounted there is unmounted first.
    async fn mount_cell(&self, cell: &Cell) -> Result<(), SysError>;

    /// Unmounts what is mounted at a folder and below. False if nothing was. Where one is in use,
    /// it stays mounted with all that are above it.
    async fn unmount_cell(&self, folder: &Path) -> Result<bool, SysError>;

    /// Resolves a path, following every link.
    async fn resolve(&self, path: &Path) -> Result<PathBuf, SysError>;

    /// Opens a disk image, a file or a block device, for a program that may not open it by name; a
    /// link is refused. `direct` bypasses the page cache; if the file system does not support that,
    /// the descriptor uses the cache.
    async fn open_image(
        &self,
        path: &Path,
        write: bool,
        direct: bool,
    ) -> Result<Arc<OwnedFd>, SysError>;

    /// Opens a character device, to read and to write, for a program that may not open it by name; a
    /// link is refused.
    async fn open_device(&self, path: &Path) -> Result<Arc<OwnedFd>, SysError>;

    /// Which device a file is, followed through links; none for what is no device.
    async fn device_number(&self, path: &Path) -> Result<Option<DeviceNumber>, SysError>;

    /// Whether nothing has a block device for itself: no file system that is mounted anywhere, in any
    /// namespace, and no device that is made of it.
    async fn is_device_free(&self, path: &Path) -> Result<bool, SysError>;

    /// Makes a file of a device with this mode, which is root's; one that is there is replaced.
    async fn make_device(
        &self,
        path: &Path,
        number: DeviceNumber,
        mode: u32,
    ) -> Result<(), SysError>;

    /// Reads from an open image; fewer bytes only at its end. Errors name `path`.
    async fn read_at(
        &self,
        image: &Arc<OwnedFd>,
        path: &Path,
        offset: u64,
        length: usize,
    ) -> Result<Vec<u8>, SysError>;

    async fn measure(&self, image: &Arc<OwnedFd>, path: &Path) -> Result<Measured, SysError>;

    /// The next byte of an open image, at this one or after it, that is not in a hole; none if only
    /// a hole follows. Where holes cannot be found, each byte is in none.
    async fn next_data(
        &self,
        image: &Arc<OwnedFd>,
        path: &Path,
        offset: u64,
    ) -> Result<Option<u64>, SysError>;

    /// Writes to an image that is open for writing. Not durable before `sync`.
    async fn write_at(
        &self,
        image: &Arc<OwnedFd>,
        path: &Path,
        offset: u64,
        bytes: Vec<u8>,
    ) -> Result<(), SysError>;

    /// Makes a file that is open for writing one hole of this length. A device stays as it is.
    async fn make_hole(
        &self,
        image: &Arc<OwnedFd>,
        path: &Path,
        bytes: u64,
    ) -> Result<(), SysError>;

    /// Opens a new file without a name, for reading and writing: it is gone with its last
    /// descriptor unless `name_file` gives it a name. On a file system without such files it has a
    /// hidden name, and the next call removes it.
    async fn create_unnamed(&self, folder: &Path) -> Result<OwnedFd, SysError>;

    /// Gives a name to a file of `create_unnamed`, durably and with its content. Refuses to replace
    /// an existing target.
    async fn name_file(&self, file: &Arc<OwnedFd>, path: &Path) -> Result<(), SysError>;

    /// Exchanges the names of two files of one file system atomically and durably. Where the file
    /// system cannot do that (NFS, SMB), `one` takes the place of a file `other`, which is gone.
    async fn exchange(&self, one: &Path, other: &Path) -> Result<(), SysError>;

    async fn space(&self, path: &Path) -> Result<SpaceUsage, SysError>;

    /// Changes the owner and group of a file or directory.
    async fn chown(&self, path: &Path, uid: u32, gid: u32) -> Result<(), SysError>;
}
