//! The file systems of a container, as one program sees them.

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

/// The container's file systems, mounted where only one program and its children see them: they
/// are gone with the last of these, whatever ends it.
///
/// With a fence the program sees the system's programs and the container's files and nothing else,
/// and runs as the container's root: links in its files lead to its own files or nowhere. Without
/// one it sees the host too, and runs as it would.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The root first; the others in the order in which they are mounted.
    pub mounts: Vec<CellMount>,
    /// Where the root is: an existing folder, or a new one inside of a fence.
    pub at: PathBuf,
    /// Another file system, at `BESIDE` in the fence: what a copy is made of. Cells without a fence
    /// have none.
    pub beside: Option<CellMount>,
    /// The host's id of the container's 0; none where its ids are the host's.
    pub first_id: Option<u32>,
    /// A folder of the host below which file systems are mounted that this program, without a fence,
    /// is not to keep mounted: in its mount namespace it would have them for as long as it lives.
    pub hides: Option<PathBuf>,
    /// A program of ours for a fence: where it is, and where it is inside.
    pub program: Option<(PathBuf, PathBuf)>,
}

impl Cell {
    /// How many ids a container has.
    pub const IDS: u32 = 65_536;

    /// Where the container's root is inside of a fence.
    pub const INSIDE: &'static str = "/container";

    /// Where the other file system is.
    pub const BESIDE: &'static str = "/beside";
}

/// One file system.
#[derive(Debug, Clone)]
pub struct CellMount {
    pub source: CellSource,
    /// Below the container's root; `/` for the root itself. What is missing of the path is made, no
    /// link in it is followed.
    pub at: String,
    pub read_only: bool,
    /// Of `discard`, `lazytime`, `noatime`, `nodev`, `noexec`, `nosuid`; `noload` for what is only
    /// read and has a journal that was not replayed.
    pub options: Vec<String>,
    pub acl: Option<bool>,
    /// The container runs and has it mounted: an image is reached by the device that it has.
    pub in_use: bool,
}

/// What is mounted.
#[derive(Clone)]
pub enum CellSource {
    /// An image with ext4, open for reading and writing.
    Image { path: PathBuf, file: Arc<OwnedFd> },
    /// A block device with ext4.
    Device(PathBuf),
    /// A folder; no part of its path is a link.
    Folder(PathBuf),
}

impl fmt::Debug for CellSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Image { path, .. } | Self::Device(path) | Self::Folder(path)) = self;
        path.fmt(f)
    }
}
