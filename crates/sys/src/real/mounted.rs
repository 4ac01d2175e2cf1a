//! A container's file systems that are mounted for all of the host to see.

use std::path::Path;

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
        let unmounted = rustix::mount::unmount(path, UnmountFlags::NOFOLLOW);
        unmounted.map_err(|source| SysError::io("unmount", path, source.into()))?;
    }
    Ok(!all.is_empty())
}
