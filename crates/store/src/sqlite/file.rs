//! The data file on disk: used by one process, private, and always the same file.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::StoreError;

const PRIVATE: u32 = 0o600;

/// **Invariant:** while one exists, no other process and no other instance has the store open.
pub(crate) struct DataFile {
    path: PathBuf,
    /// Device and inode. SQLite keeps writing to a file that was renamed or unlinked, and its data
    /// would be lost.
    identity: (u64, u64),
    /// Locked as long as the file is open; the kernel unlocks it if the process dies.
    _lock: File,
}

impl DataFile {
    /// Locks the store and creates its file if there is none. The directory must exist.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let open = || -> io::Result<_> {
            let path = resolve(path)?;
            let lock = lock(&path)?;
            create_if_missing(&path)?;
            Ok(Self {
                identity: identity(&path)?,
                path,
                _lock: lock,
            })
        };
        let failed = |error| StoreError::Unavailable(format!("{}: {error}", path.display()));
        open().map_err(failed)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Deletes the file, with what SQLite keeps beside it, and makes an empty one, under the same
    /// lock.
    pub(crate) fn replace(self) -> Result<Self, StoreError> {
        let replace = || -> io::Result<_> {
            for end in ["", "-wal", "-shm", "-journal"] {
                let mut name = self.path.as_os_str().to_owned();
                name.push(end);
                match fs::remove_file(&name) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            create_if_missing(&self.path)?;
            identity(&self.path)
        };
        let identity = replace()
            .map_err(|e| StoreError::Unavailable(format!("{}: {e}", self.path.display())))?;
        Ok(Self { identity, ..self })
    }

    /// Makes a file that belongs to us accessible to its owner only.
    pub(crate) fn make_private(&self) -> Result<(), StoreError> {
        let made = fs::set_permissions(&self.path, Permissions::from_mode(PRIVATE));
        made.map_err(|e| StoreError::Unavailable(format!("{}: {e}", self.path.display())))
    }

    /// Whether the path still leads to the file that was opened. The error says what happened.
    pub(crate) fn check(&self) -> Result<(), String> {
        let path = self.path.display();
        match identity(&self.path) {
            Ok(found) if found == self.identity => Ok(()),
            Ok(_) => Err(format!(
                "{path} was replaced while it was open, start again"
            )),
            Err(error) => Err(format!("{path} went away while it was open: {error}")),
        }
    }
}

/// A canonical path, so that one file has one lock.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let name = path.file_name().ok_or(error)?;
            Ok(fs::canonicalize(directory_of(path))?.join(name))
        }
        resolved => resolved,
    }
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Takes the lock beside the file. The file itself cannot be locked: SQLite uses POSIX locks on it,
/// and closing any descriptor of the file would drop them.
fn lock(path: &Path) -> io::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(PRIVATE);
    let mut file = options.open(&name)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(error)) => return Err(error),
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // The holder is only a hint in the error.
            let _ = file.read_to_string(&mut holder);
            let holder = if holder.is_empty() {
                "another process"
            } else {
                holder.trim()
            };
            return Err(io::Error::other(format!("the store is in use by {holder}")));
        }
    }
    // A full disk must not keep the store from being opened, so this may fail.
    let _ = file
        .set_len(0)
        .and_then(|()| writeln!(file, "process {}", std::process::id()));
    Ok(file)
}

fn create_if_missing(path: &Path) -> io::Result<()> {
    match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(PRIVATE)
        .open(path)
    {
        // The name of a new file is durable only once its directory is.
        Ok(file) => file
            .sync_all()
            .and_then(|()| File::open(directory_of(path))?.sync_all()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}
