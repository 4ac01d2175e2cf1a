//! The kernel's list of the mounts that this process sees.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::mounts::plain;

const MOUNTS: &str = "/proc/self/mountinfo";

/// What is mounted at a folder and below, in the order in which it was mounted.
pub(super) fn mounts_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let text = std::fs::read(MOUNTS)?;
    let lines = text.split(|byte| *byte == b'\n');
    let places = lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    let places = places.map(|place| PathBuf::from(std::ffi::OsStr::from_bytes(&plain(place))));
    Ok(places.filter(|place| place.starts_with(folder)).collect())
}
