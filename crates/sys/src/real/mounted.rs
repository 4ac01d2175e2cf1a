//! A container's file systems that are mounted for all of the host to see.

use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::mount::UnmountFlags;

use super::cell::Rooms;
use super::mount_list::mounts_below;
use crate::{Cell, SysError};

/// Blocks.
pub(super) fn mount(cell: &Cell) -> Result<(), SysError> {
    unmount(&cell.at)?;
    let rooms = Rooms::prepare(cell, false)?;
    let put_up = rooms.put_up();
    put_up.map_err(|source| SysError::io("mount the file systems at", &cell.at, source))
}

/// Blocks.
pub(super) fn unmount(folder: &Path) -> Result<bool, SysError> {
    let all =
        mounts_below(folder).map_err(|source| SysError::io("find mounts below", folder, source))?;
    for path in all.iter().rev() {
        unmount_one(path).map_err(|source| SysError::io("unmount", path, source))?;
    }
    Ok(!all.is_empty())
}

/// The folders of the path may be a container's, whose root may put links in their places.
fn unmount_one(path: &Path) -> io::Result<()> {
    let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let no_links = ResolveFlags::NO_SYMLINKS;
    let above = rustix::fs::openat2(CWD, above, flags, Mode::empty(), no_links)?;
    let number = above.as_raw_fd().to_string();
    let place = Path::new("/proc/self/fd").join(number).join(name);
    Ok(rustix::mount::unmount(&place, UnmountFlags::NOFOLLOW)?)
}
