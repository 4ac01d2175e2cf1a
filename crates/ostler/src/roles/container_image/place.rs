//! The files below one folder, as if it were the root: links in them, also absolute ones and those that
//! climb, lead to files below it.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use guest::lxc::image::{Entry, Kind, Place};
use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, XattrFlags,
};
use rustix::io::Errno;

/// No file that is read here is larger.
const LARGEST: u64 = 4 << 20;

/// What folders get that no entry describes.
const FOLDER: Mode = Mode::from_raw_mode(0o755);

/// How a file is meant itself and not what it leads to.
const ITSELF: AtFlags = AtFlags::SYMLINK_NOFOLLOW;

pub(super) struct Below {
    root: OwnedFd,
}

impl Below {
    pub(super) fn open(root: impl AsRef<Path>) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(root.as_ref(), flags, Mode::empty())?;
        Ok(Self { root })
    }

    /// Opens what a path leads to; no link leaves the root.
    fn enter(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { "." } else { path };
        let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let flags = flags | OFlags::CLOEXEC;
        // The kernel asks for another try where something was renamed meanwhile.
        rustix::io::retry_on_intr(|| {
            rustix::fs::openat2(&self.root, path, flags, Mode::empty(), inside)
        })
    }

    fn enter_folder(&self, path: &str) -> Result<OwnedFd, Errno> {
        self.enter(path, OFlags::PATH | OFlags::DIRECTORY)
    }

    /// The folder that a path is in, and the path's last part.
    fn parent<'a>(&self, path: &'a str) -> Result<(OwnedFd, &'a str), Errno> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok((self.enter_folder(folder)?, name))
    }

    /// The same; folders that are missing are made.
    fn made_parent<'a>(&self, path: &'a str) -> Result<(OwnedFd, &'a str), Errno> {
        match self.parent(path) {
            Err(Errno::NOENT) => {}
            found => return found,
        }
        let ends = path.char_indices().filter(|(_, c)| *c == '/');
        for (end, _) in ends {
            let folder = &path[..end];
            if let Err(Errno::NOENT) = self.enter_folder(folder) {
                let (above, name) = self.parent(folder)?;
                rustix::fs::mkdirat(&above, name, FOLDER)?;
            }
        }
        self.parent(path)
    }
}

impl Place for Below {
    fn remove(&mut self, path: &str) -> io::Result<()> {
        match self.parent(path) {
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
            Err(error) => Err(error.into()),
            Ok((folder, name)) => {
                let name = std::ffi::CString::new(name)?;
                Ok(remove(folder.as_fd(), &name)?)
            }
        }
    }

    fn clear(&mut self, path: &str) -> io::Result<()> {
        match self.enter(path, OFlags::RDONLY | OFlags::DIRECTORY) {
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(folder) => Ok(clear(&folder)?),
        }
    }

    fn put(&mut self, entry: &Entry, content: &mut dyn Read) -> io::Result<bool> {
        if entry.path.is_empty() {
            return match entry.kind {
                Kind::Folder => {
                    let root = self.enter("", OFlags::RDONLY | OFlags::DIRECTORY)?;
                    describe(entry, &File::from(root)).map(|()| true)
                }
                _ => Err(io::Error::other("it has the name of the root")),
            };
        }
        let (folder, name) = self.made_parent(&entry.path)?;
        let name = std::ffi::CString::new(name)?;
        let is_folder = || {
            rustix::fs::statat(&folder, &name, ITSELF)
                .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
        };
        if entry.kind == Kind::HardLink {
            return self.hard_link(entry, folder.as_fd(), &name).map(|()| true);
        }
        if !(entry.kind == Kind::Folder && is_folder()) {
            remove(folder.as_fd(), &name)?;
        }
        match entry.kind {
            Kind::File => make_file(entry, folder.as_fd(), &name, content)?,
            Kind::Folder => {
                make_folder(folder.as_fd(), &name)?;
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let made = rustix::fs::openat(&folder, &name, flags, Mode::empty())?;
                describe(entry, &File::from(made))?;
            }
            Kind::Link => {
                rustix::fs::symlinkat(entry.target.as_str(), &folder, &name)?;
                own(entry, folder.as_fd(), &name)?;
            }
            _ => return make_node(entry, folder.as_fd(), &name),
        }
        Ok(true)
    }

    fn folder(&mut self, path: &str) -> io::Result<()> {
        if self.enter(path, OFlags::PATH).is_ok() {
            return Ok(());
        }
        let (folder, name) = self.made_parent(path)?;
        Ok(rustix::fs::mkdirat(&folder, name, FOLDER)?)
    }

    fn read(&mut self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = match self.enter(path, flags) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            file => File::from(file?),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() > LARGEST {
            return Err(io::Error::other("it is no regular file, or too large"));
        }
        let mut content = Vec::new();
        file.take(LARGEST).read_to_end(&mut content)?;
        Ok(Some(content))
    }
}

impl Below {
    fn hard_link(&self, entry: &Entry, folder: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
        let (other, target) = self.parent(&entry.target)?;
        let stat = rustix::fs::statat(&other, target, ITSELF)?;
        // A link to itself must not remove the file.
        let same = rustix::fs::statat(folder, name, ITSELF)
            .is_ok_and(|there| (there.st_dev, there.st_ino) == (stat.st_dev, stat.st_ino));
        if !same {
            remove(folder, name)?;
            rustix::fs::linkat(&other, target, folder, name, AtFlags::empty())?;
        }
        Ok(())
    }
}

/// Removes a file, or a folder with what is in it. The place of a mount stays.
fn remove(folder: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR) => {}
        removed => return removed,
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    clear(&rustix::fs::openat(folder, name, flags, Mode::empty())?)?;
    match rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOENT | Errno::BUSY) => Ok(()),
        // A mount is somewhere in it.
        Err(Errno::NOTEMPTY) => Ok(()),
        removed => removed,
    }
}

/// Removes all that is in a folder. Each level has a descriptor: a tree that is too deep is an error.
fn clear(folder: &OwnedFd) -> Result<(), Errno> {
    let mut names = Vec::new();
    for found in Dir::read_from(folder)? {
        let found = found?;
        if !matches!(found.file_name().to_bytes(), b"." | b"..") {
            names.push(found.file_name().to_owned());
        }
    }
    names
        .iter()
        .try_for_each(|name| remove(folder.as_fd(), name))
}

fn make_folder(folder: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    match rustix::fs::mkdirat(folder, name, FOLDER) {
        Err(Errno::EXIST) => Ok(()),
        made => made,
    }
}

fn make_file(
    entry: &Entry,
    folder: BorrowedFd<'_>,
    name: &CStr,
    content: &mut dyn Read,
) -> io::Result<()> {
    let new = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let flags = new | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(0o600))?;
    let mut file = File::from(file);
    io::copy(content, &mut file)?;
    describe(entry, &file)
}

/// Gives a file or folder its owner, mode, attributes and time.
fn describe(entry: &Entry, file: &File) -> io::Result<()> {
    let (uid, gid) = ids(entry)?;
    // A mode with set-user-id is lost by a change of the owner, as are capabilities.
    rustix::fs::fchown(file, Some(uid), Some(gid))?;
    rustix::fs::fchmod(file, Mode::from_raw_mode(entry.mode))?;
    for (attribute, value) in &entry.attributes {
        let set = rustix::fs::fsetxattr(file, attribute.as_str(), value, XattrFlags::empty());
        match set {
            // A file system without them.
            Err(Errno::NOTSUP) => {}
            set => set?,
        }
    }
    Ok(rustix::fs::futimens(file, &times(entry))?)
}

/// The same for what is not opened.
fn own(entry: &Entry, folder: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    let (uid, gid) = ids(entry)?;
    rustix::fs::chownat(folder, name, Some(uid), Some(gid), ITSELF)?;
    Ok(rustix::fs::utimensat(folder, name, &times(entry), ITSELF)?)
}

/// The highest number is none: the kernel would leave the owner as it is.
fn ids(entry: &Entry) -> io::Result<(Uid, Gid)> {
    if entry.uid == u32::MAX || entry.gid == u32::MAX {
        return Err(io::Error::other("it has an owner that cannot be"));
    }
    Ok((Uid::from_raw(entry.uid), Gid::from_raw(entry.gid)))
}

fn times(entry: &Entry) -> Timestamps {
    let time = Timespec {
        tv_sec: entry.changed,
        tv_nsec: 0,
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

/// A pipe or device. False for a device that an unprivileged container must not have.
fn make_node(entry: &Entry, folder: BorrowedFd<'_>, name: &CStr) -> io::Result<bool> {
    let kind = match entry.kind {
        Kind::CharacterDevice => FileType::CharacterDevice,
        Kind::BlockDevice => FileType::BlockDevice,
        _ => FileType::Fifo,
    };
    let (major, minor) = entry.device;
    let device = rustix::fs::makedev(major, minor);
    let mode = Mode::from_raw_mode(entry.mode & 0o777);
    match rustix::fs::mknodat(folder, name, kind, mode, device) {
        Err(Errno::PERM) if kind != FileType::Fifo => return Ok(false),
        made => made?,
    }
    own(entry, folder, name)?;
    rustix::fs::chmodat(
        folder,
        name,
        Mode::from_raw_mode(entry.mode),
        AtFlags::empty(),
    )?;
    Ok(true)
}

#[cfg(test)]
mod tests;
