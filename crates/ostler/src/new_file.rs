//! Files at paths that others may have prepared: one is read only if it is a regular one, and a new one
//! takes its place only when it is whole, until when the earlier one is there.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Permissions};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use anyhow::Context;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

/// The owner of a file that nothing else is said of, and its mode.
const OWNER: (u32, u32) = (0, 0);
const MODE: u32 = 0o644;

/// Set-uid and set-gid.
const SET_IDS: u32 = 0o6000;

/// What a file is to be; the rest is as it was, or as new files are.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted {
    pub(crate) user: Option<u32>,
    pub(crate) group: Option<u32>,
    pub(crate) mode: Option<u32>,
}

/// It has no name while it is filled, where the file system allows that: a process that is killed
/// leaves nothing behind.
pub(crate) struct NewFile {
    folder: OwnedFd,
    name: OsString,
    file: File,
    /// The name that it has meanwhile.
    hidden: Option<OsString>,
    owner: (u32, u32),
    mode: u32,
    /// Whether there was no earlier one.
    is_new: bool,
}

/// The descriptors of this process as files.
pub(crate) fn own_descriptors() -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(
        c"/proc/self/fd",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

/// Where a file of the host is, with links followed.
pub(crate) fn place_on_host(path: &Path) -> anyhow::Result<PathBuf> {
    check_links(path).with_context(|| format!("opening '{}'", path.display()))?;
    match std::fs::canonicalize(path) {
        Ok(path) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path.to_owned()),
        Err(error) => Err(error).with_context(|| format!("finding '{}'", path.display())),
    }
}

impl NewFile {
    /// Begins a file at a path whose last component is no link. What is there already is to be a
    /// regular file, and no stranger's in a folder that all may write.
    pub(crate) fn begin(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let name = path
            .file_name()
            .ok_or_else(|| anyhow::anyhow!("'{shown}' is no file's path"))?;
        let above = match path.parent() {
            Some(above) if !above.as_os_str().is_empty() => above,
            _ => Path::new("."),
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(CWD, above, flags, Mode::empty())
            .map_err(|error| anyhow::anyhow!("opening the folder of '{shown}': {error}"))?;
        let earlier = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW);
        let is_new = matches!(earlier, Err(Errno::NOENT));
        let (owner, mode) = match earlier {
            Err(Errno::NOENT) => (OWNER, MODE),
            Err(error) => anyhow::bail!("examining '{shown}': {error}"),
            Ok(stat) => {
                check_regular(&shown, stat.st_mode)?;
                let above = rustix::fs::fstat(&folder)?;
                let caller = rustix::process::geteuid().as_raw();
                if is_strangers(stat.st_uid, (above.st_uid, above.st_mode), caller) {
                    anyhow::bail!("'{shown}' is another user's, in a folder that others may write");
                }
                ((stat.st_uid, stat.st_gid), stat.st_mode & 0o7777)
            }
        };
        let (file, hidden) = unnamed_or_hidden(&folder, name)
            .map_err(|error| anyhow::anyhow!("making '{shown}': {error}"))?;
        Ok(Self {
            folder,
            name: name.to_owned(),
            file,
            hidden,
            owner,
            mode,
            is_new,
        })
    }

    /// It will be as new files of this process are, and not run as its owner because the earlier
    /// one did.
    pub(crate) fn with_mode_of_process(mut self) -> io::Result<Self> {
        self.mode &= match self.is_new {
            true => !mask_of(&std::fs::read_to_string("/proc/self/status")?),
            false => !SET_IDS,
        };
        Ok(self)
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Gives it its place. `descriptors` are those of this process, as files.
    pub(crate) fn finish(mut self, descriptors: BorrowedFd<'_>, wanted: Wanted) -> io::Result<()> {
        let (user, group) = self.owner;
        let (user, group) = (wanted.user.unwrap_or(user), wanted.group.unwrap_or(group));
        fchown(&self.file, Some(user), Some(group))?;
        let hidden = match self.hidden.clone() {
            Some(hidden) => hidden,
            None => {
                let hidden = hidden_name(&self.name);
                let own = self.file.as_raw_fd().to_string();
                let to = &self.folder;
                let through = AtFlags::SYMLINK_FOLLOW;
                rustix::fs::linkat(descriptors, &own, to, &hidden, through)?;
                self.hidden = Some(hidden.clone());
                hidden
            }
        };
        let mode = wanted.mode.unwrap_or(self.mode);
        self.file.set_permissions(Permissions::from_mode(mode))?;
        self.file.sync_all()?;
        rustix::fs::renameat(&self.folder, &hidden, &self.folder, &self.name)?;
        self.hidden = None;
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(hidden) = &self.hidden {
            // What is left has a name that says what it is.
            let _ = rustix::fs::unlinkat(&self.folder, hidden, AtFlags::empty());
        }
    }
}

fn hidden_name(name: &OsStr) -> OsString {
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.new", std::process::id()));
    hidden
}

fn unnamed_or_hidden(folder: &OwnedFd, name: &OsStr) -> io::Result<(File, Option<OsString>)> {
    let (read_write, private) = (OFlags::RDWR | OFlags::CLOEXEC, Mode::from_raw_mode(0o600));
    match rustix::fs::openat(folder, c".", read_write | OFlags::TMPFILE, private) {
        Ok(file) => return Ok((file.into(), None)),
        Err(Errno::OPNOTSUPP | Errno::ISDIR) => {}
        Err(error) => return Err(error.into()),
    }
    let hidden = hidden_name(name);
    let new = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(folder, &hidden, read_write | new, private)?;
    Ok((file.into(), Some(hidden)))
}

/// Whether a file's owner is neither the caller nor the owner of its folder, in a folder with the
/// sticky bit that others may write: the file would stay that user's with the new content. The
/// kernel's rule (`fs.protected_regular`).
fn is_strangers(owner: u32, (folders_owner, folders_mode): (u32, u32), caller: u32) -> bool {
    let is_shared = folders_mode & 0o1000 != 0 && folders_mode & 0o022 != 0;
    is_shared && owner != caller && owner != folders_owner
}

/// The bits of a mode that new files of a process do not get, by the kernel's text about it.
fn mask_of(status: &str) -> u32 {
    let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    let mask = mask.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok());
    // Nothing for others, where it is not known.
    mask.unwrap_or(0o077)
}

/// Opens a regular file for reading, through links. What it is is known before it is opened.
pub(crate) fn open_regular(descriptors: BorrowedFd<'_>, path: &Path) -> anyhow::Result<File> {
    let shown = path.display();
    let found = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let found = found.map_err(io::Error::from);
    let found = found.with_context(|| format!("opening '{shown}'"))?;
    check_regular(&shown, rustix::fs::fstat(&found)?.st_mode)?;
    let number = found.as_raw_fd().to_string();
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(descriptors, number, flags, Mode::empty());
    let opened = opened.map_err(io::Error::from);
    Ok(opened.with_context(|| format!("opening '{shown}'"))?.into())
}

/// Ends where the kernel refuses to follow a link: another user's in a folder that all may write.
/// Reading the link does not ask it.
pub(crate) fn check_links(path: &Path) -> io::Result<()> {
    match rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
        Err(error @ rustix::io::Errno::ACCESS) => Err(error.into()),
        _ => Ok(()),
    }
}

/// Refuses what is no regular file.
fn check_regular(shown: &dyn std::fmt::Display, mode: u32) -> anyhow::Result<()> {
    use rustix::fs::FileType;
    match FileType::from_raw_mode(mode) {
        FileType::RegularFile => Ok(()),
        FileType::Directory => anyhow::bail!("'{shown}' is a directory"),
        FileType::Fifo => anyhow::bail!("'{shown}' is a pipe, not a regular file"),
        FileType::CharacterDevice | FileType::BlockDevice => {
            anyhow::bail!("'{shown}' is a device, not a regular file")
        }
        _ => anyhow::bail!("'{shown}' is not a regular file"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_file_is_there_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let own = std::fs::metadata(folder.path()).unwrap();
        let wanted = Wanted {
            user: Some(own.uid()),
            group: Some(own.gid()),
            mode: Some(0o640),
        };
        let new = NewFile::begin(&path).unwrap();
        new.file().write_all(b"one").unwrap();
        assert!(!path.exists());
        drop(new);
        assert!(names(folder.path()).is_empty());

        let new = NewFile::begin(&path).unwrap();
        new.file().write_all(b"two").unwrap();
        let descriptors = own_descriptors().unwrap();
        new.finish(descriptors.as_fd(), wanted).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o640);
        // Its mode stays with the next one.
        let new = NewFile::begin(&path).unwrap();
        new.file().write_all(b"three").unwrap();
        let same = Wanted {
            mode: None,
            ..wanted
        };
        new.finish(descriptors.as_fd(), same).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"three");
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o640);
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn a_strangers_file_in_a_shared_folder_is_not_replaced() {
        assert!(is_strangers(7, (0, 0o41777), 0));
        assert!(is_strangers(7, (0, 0o41770), 0));
        assert!(!is_strangers(7, (0, 0o40777), 0));
        assert!(!is_strangers(7, (0, 0o41755), 0));
        assert!(!is_strangers(7, (0, 0o41777), 7));
        assert!(!is_strangers(7, (7, 0o41777), 0));
    }

    #[test]
    fn modes_of_a_process() {
        assert_eq!(mask_of("Name:\tx\nUmask:\t0027\nState:\tR\n"), 0o027);
        assert_eq!(mask_of("Name:\tx\n"), 0o077);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "earlier").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o4750)).unwrap();
        let new = NewFile::begin(&path).unwrap();
        assert_eq!(new.mode, 0o4750);
        assert_eq!(new.with_mode_of_process().unwrap().mode, 0o750);
    }

    #[test]
    fn what_is_no_regular_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let said = |path: &Path| NewFile::begin(path).err().unwrap().to_string();
        assert!(said(folder.path()).ends_with("is a directory"));
        assert!(said(Path::new("/dev/null")).ends_with("is a device, not a regular file"));
        let link = folder.path().join("link");
        symlink("/etc/passwd", &link).unwrap();
        assert!(said(&link).ends_with("is not a regular file"));
        assert!(said(&folder.path().join("none/a")).starts_with("opening the folder of"));
    }
}
