//! What file systems of servers (NFS, SMB) cannot do as others do it.

use std::fs;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use rustix::io::Errno;

/// How the name of a file begins that should have none.
const HIDDEN: &str = ".unnamed-";

pub(super) fn is_unsupported(error: &io::Error) -> bool {
    let unsupported = [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP, Errno::ISDIR];
    let code = error.raw_os_error();
    unsupported
        .iter()
        .any(|errno| code == Some(errno.raw_os_error()))
}

/// Renames where nothing is.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).map_err(io::Error::from) {
        Err(error) if is_unsupported(&error) => {}
        renamed => return renamed,
    }
    match fs::symlink_metadata(to) {
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::rename(from, to),
        Err(error) => Err(error),
    }
}

/// Exchanges two files, or puts one in the place of the other.
pub(super) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).map_err(io::Error::from) {
        Err(error) if is_unsupported(&error) && fs::symlink_metadata(other)?.is_file() => {
            fs::rename(one, other)
        }
        exchanged => exchanged,
    }
}

/// A new file with a hidden name. Those that no process has open any more are removed:
/// each is locked as long as one of its descriptors is.
pub(super) fn create_unnamed(folder: &Path) -> io::Result<fs::File> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(HIDDEN) {
            continue;
        }
        let Ok(file) = fs::File::options()
            .read(true)
            .write(true)
            .open(entry.path())
        else {
            continue;
        };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            fs::remove_file(entry.path())?;
        }
    }
    loop {
        let mut bytes = [0; 8];
        fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        let name = format!("{HIDDEN}{:016x}", u64::from_ne_bytes(bytes));
        let mut options = fs::OpenOptions::new();
        let options = options.read(true).write(true).create_new(true).mode(0o644);
        let file = options.open(folder.join(name))?;
        // Another call may have found it before it was locked.
        let locked = flock(&file, FlockOperation::NonBlockingLockExclusive);
        if locked.is_ok() && file.metadata()?.nlink() > 0 {
            return Ok(file);
        }
    }
}

/// The name of a file of `create_unnamed`; none of one that has no name.
pub(super) fn hidden_name(file: &OwnedFd) -> io::Result<Option<PathBuf>> {
    let path = fs::read_link(crate::upload_file::path_of(file))?;
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let is_hidden = name.is_some_and(|name| name.starts_with(HIDDEN));
    Ok(is_hidden.then_some(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_file_is_removed_once_nobody_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let names = || fs::read_dir(folder.path()).unwrap().count();
        let first = create_unnamed(folder.path()).unwrap();
        let second = OwnedFd::from(create_unnamed(folder.path()).unwrap());
        assert_eq!(names(), 2, "both are open");
        drop(first);
        let hidden = hidden_name(&second).unwrap().unwrap();
        rename(&hidden, &folder.path().join("named")).unwrap();
        let third = create_unnamed(folder.path()).unwrap();
        assert_eq!(names(), 2, "the first is gone, the second has a name");
        drop(third);
    }

    #[test]
    fn a_rename_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        fs::write(&one, "1").unwrap();
        fs::write(&other, "2").unwrap();
        let refused = rename(&one, &other).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        exchange(&one, &other).unwrap();
        assert_eq!(fs::read_to_string(&one).unwrap(), "2");
    }
}
