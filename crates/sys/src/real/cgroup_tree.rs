//! Control groups with groups below them, in either version.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::SysError;

/// A group and all below it.
pub(super) fn all(dir: &Path) -> Result<Vec<PathBuf>, SysError> {
    let mut groups = vec![dir.to_owned()];
    let mut at = 0;
    while at < groups.len() {
        let more = below(&groups[at])?;
        groups.extend(more);
        at += 1;
    }
    Ok(groups)
}

/// The groups directly below; none if the group is gone.
pub(super) fn below(dir: &Path) -> Result<Vec<PathBuf>, SysError> {
    let reader = match fs::read_dir(dir) {
        Err(error) if is_gone(&error) => return Ok(Vec::new()),
        reader => reader.map_err(|source| SysError::io("list", dir, source))?,
    };
    let paths = reader.flatten().map(|item| item.path());
    Ok(paths.filter(|path| path.is_dir()).collect())
}

pub(super) fn collect_pids(dir: &Path, pids: &mut Vec<u32>) -> Result<(), SysError> {
    let path = dir.join("cgroup.procs");
    match fs::read_to_string(&path) {
        Ok(text) => pids.extend(text.lines().filter_map(|line| line.parse::<u32>().ok())),
        Err(error) if is_gone(&error) => return Ok(()),
        Err(source) => return Err(SysError::io("read", &path, source)),
    }
    for below in below(dir)? {
        collect_pids(&below, pids)?;
    }
    Ok(())
}

/// Removes a group and those below it; false if a process is still in one.
pub(super) fn remove(dir: &Path) -> Result<bool, SysError> {
    for below in below(dir)? {
        if !remove(&below)? {
            return Ok(false);
        }
    }
    match fs::remove_dir(dir) {
        Ok(()) => Ok(true),
        Err(error) if is_gone(&error) => Ok(true),
        // A process that has just ended can keep its group for a moment.
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => Ok(false),
        Err(source) => Err(SysError::io("remove scope", dir, source)),
    }
}

pub(super) fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ENODEV)
}

/// The value of a line `name value`; 0 where there is none.
pub(super) fn value(text: &str, name: &str) -> u64 {
    let values = text.lines().filter_map(|line| line.split_once(' '));
    let found = values.into_iter().find(|(key, _)| *key == name);
    found
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0)
}
