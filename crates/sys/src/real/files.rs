//! Files by system calls.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{
    DirBuilderExt, FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::pool::Kind;
use super::{RealHost, cell, mounted};
use crate::{
    Cell, CellMount, DeviceNumber, FileEntry, FileKind, Files, Measured, SharedHost, SpaceUsage,
    SysError,
};

#[async_trait]
impl Files for RealHost {
    fn pooled(&self, name: &str) -> Option<SharedHost> {
        Some(Arc::new(Self {
            pool: Some(self.pools.get(name)),
            ..self.clone()
        }))
    }

    async fn read(&self, path: &Path) -> Result<Vec<u8>, SysError> {
        self.at(Kind::Look, path, "read", |path| fs::read(path))
            .await
    }

    async fn write(&self, path: &Path, content: &[u8], mode: u32) -> Result<(), SysError> {
        let content = content.to_vec();
        self.at(Kind::Write, path, "write", move |path| {
            write_atomically(path, &content, mode)
        })
        .await
    }

    async fn append(&self, path: &Path, content: &[u8], sync: bool) -> Result<(), SysError> {
        let content = content.to_vec();
        self.at(Kind::Write, path, "append to", move |path| {
            append(path, &content, sync)
        })
        .await
    }

    async fn remove(&self, path: &Path) -> Result<bool, SysError> {
        self.at(Kind::Change, path, "remove", |path| {
            gone_is_false(fs::remove_file(path))
        })
        .await
    }

    async fn remove_files(&self, paths: &[PathBuf]) -> Result<(), SysError> {
        let Some(first) = paths.first().cloned() else {
            return Ok(());
        };
        let paths = paths.to_vec();
        // One trip to another thread for all of them.
        self.at(Kind::Change, &first, "remove", move |_| {
            for path in &paths {
                gone_is_false(fs::remove_file(path))?;
            }
            Ok(())
        })
        .await
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<(), SysError> {
        let to = to.to_owned();
        self.at(Kind::Change, from, "rename", move |from| {
            super::plain::rename(from, &to)?;
            sync_parent(&to)
        })
        .await
    }

    async fn replace(&self, from: &Path, to: &Path) -> Result<(), SysError> {
        let to = to.to_owned();
        self.at(Kind::Change, from, "rename", move |from| {
            fs::rename(from, &to)?;
            sync_parent(&to)
        })
        .await
    }

    async fn create_dir(&self, path: &Path, mode: u32) -> Result<(), SysError> {
        self.at(Kind::Change, path, "create directory", move |path| {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(mode)
                .create(path)
        })
        .await
    }

    async fn remove_dir(&self, path: &Path) -> Result<bool, SysError> {
        self.at(
            Kind::Change,
            path,
            "remove directory",
            |path| match fs::remove_dir(path) {
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
                result => gone_is_false(result),
            },
        )
        .await
    }

    async fn remove_tree(&self, path: &Path) -> Result<bool, SysError> {
        self.at(Kind::Change, path, "remove", |path| {
            gone_is_false(remove_tree(path))
        })
        .await
    }

    async fn stat(&self, path: &Path) -> Result<Option<FileEntry>, SysError> {
        self.at(
            Kind::Look,
            path,
            "examine",
            |path| match fs::symlink_metadata(path) {
                Ok(metadata) => Ok(Some(entry(path, &metadata))),
                Err(error) if is_absent(&error) => Ok(None),
                Err(error) => Err(error),
            },
        )
        .await
    }

    async fn list(&self, path: &Path) -> Result<Vec<FileEntry>, SysError> {
        self.at(Kind::Look, path, "list", |path| {
            let reader = match fs::read_dir(path) {
                Err(error) if is_absent(&error) => return Ok(Vec::new()),
                reader => reader?,
            };
            let mut entries = Vec::new();
            for item in reader {
                let item = item?;
                // A file that vanished between listing and looking is not an error.
                if let Ok(metadata) = item.metadata() {
                    entries.push(entry(&item.path(), &metadata));
                }
            }
            entries.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(entries)
        })
        .await
    }

    async fn sync(&self, path: &Path) -> Result<(), SysError> {
        let path = path.to_owned();
        self.on_thread(Kind::Write, move || {
            let file = std::fs::File::open(&path);
            let file = file.map_err(|source| SysError::io("open", &path, source))?;
            file.sync_all()
                .map_err(|source| SysError::io("sync", &path, source))
        })
        .await
    }

    async fn sync_mount(&self, mount: &CellMount) -> Result<(), SysError> {
        let mount = mount.clone();
        self.on_thread(Kind::Write, move || cell::sync(&mount))
            .await
    }

    async fn grow_mount(&self, mount: &CellMount) -> Result<(), SysError> {
        let mount = mount.clone();
        self.on_thread(Kind::Write, move || cell::grow(&mount))
            .await
    }

    async fn trim_mount(&self, mount: &CellMount) -> Result<u64, SysError> {
        let mount = mount.clone();
        self.on_thread(Kind::Write, move || cell::trim(&mount))
            .await
    }

    async fn mount_space(&self, mount: &CellMount) -> Result<SpaceUsage, SysError> {
        let mount = mount.clone();
        // It mounts the file system for that moment.
        self.on_thread(Kind::Write, move || cell::space(&mount))
            .await
    }

    async fn mount_cell(&self, cell: &Cell) -> Result<(), SysError> {
        let cell = cell.clone();
        self.on_thread(Kind::Write, move || mounted::mount(&cell))
            .await
    }

    async fn unmount_cell(&self, folder: &Path) -> Result<bool, SysError> {
        let folder = folder.to_owned();
        self.on_thread(Kind::Write, move || mounted::unmount(&folder))
            .await
    }

    async fn resolve(&self, path: &Path) -> Result<PathBuf, SysError> {
        self.at(Kind::Look, path, "find", |path| fs::canonicalize(path))
            .await
    }

    async fn open_image(
        &self,
        path: &Path,
        write: bool,
        direct: bool,
    ) -> Result<Arc<OwnedFd>, SysError> {
        self.at(Kind::Look, path, "open", move |path| {
            // Opening another kind of file (a pipe, for instance) may block.
            let flags_always = libc::O_NOFOLLOW | libc::O_NONBLOCK;
            let open = |flags: i32| {
                fs::OpenOptions::new()
                    .read(true)
                    .write(write)
                    .custom_flags(flags_always | flags)
                    .open(path)
            };
            let file = match open(if direct { libc::O_DIRECT } else { 0 }) {
                // The error of a file system without direct access.
                Err(error) if direct && error.raw_os_error() == Some(libc::EINVAL) => open(0),
                result => result,
            }?;
            check_holds_bytes(&file)?;
            Ok(Arc::new(OwnedFd::from(file)))
        })
        .await
    }

    async fn set(&self, path: &Path, value: &[u8]) -> Result<(), SysError> {
        let value = value.to_vec();
        self.at(Kind::Write, path, "set", move |path| {
            let mut file = fs::OpenOptions::new().write(true).open(path)?;
            // The kernel takes one call for one value.
            match file.write(&value)? {
                length if length == value.len() => Ok(()),
                _ => Err(io::ErrorKind::WriteZero.into()),
            }
        })
        .await
    }

    async fn open_device(&self, path: &Path) -> Result<Arc<OwnedFd>, SysError> {
        self.at(Kind::Look, path, "open", move |path| {
            // Opening another kind of file (a pipe, for instance) may block.
            let file = fs::OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
                .open(path)?;
            if !file.metadata()?.file_type().is_char_device() {
                let text = "it is not a character device";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
            let flags = rustix::fs::fcntl_getfl(&file)? - rustix::fs::OFlags::NONBLOCK;
            rustix::fs::fcntl_setfl(&file, flags)?;
            Ok(Arc::new(OwnedFd::from(file)))
        })
        .await
    }

    async fn device_number(&self, path: &Path) -> Result<Option<DeviceNumber>, SysError> {
        self.at(Kind::Look, path, "examine", |path| {
            let entry = fs::metadata(path)?;
            let kind = entry.file_type();
            let is_device = kind.is_char_device() || kind.is_block_device();
            Ok(is_device.then(|| DeviceNumber {
                is_block: kind.is_block_device(),
                major: rustix::fs::major(entry.rdev()),
                minor: rustix::fs::minor(entry.rdev()),
            }))
        })
        .await
    }

    async fn is_device_free(&self, path: &Path) -> Result<bool, SysError> {
        use rustix::fs::{Mode, OFlags};
        self.at(Kind::Look, path, "open", |path| {
            let alone = OFlags::RDONLY | OFlags::EXCL | OFlags::NONBLOCK | OFlags::CLOEXEC;
            match rustix::fs::open(path, alone, Mode::empty()) {
                Ok(_) => Ok(true),
                Err(rustix::io::Errno::BUSY) => Ok(false),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    async fn make_device(
        &self,
        path: &Path,
        number: DeviceNumber,
        mode: u32,
    ) -> Result<(), SysError> {
        use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
        self.at(Kind::Change, path, "make device", move |path| {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let kind = match number.is_block {
                true => FileType::BlockDevice,
                false => FileType::CharacterDevice,
            };
            let device = makedev(number.major, number.minor);
            mknodat(CWD, path, kind, Mode::from_raw_mode(0), device)?;
            // What the process masks does not count.
            fs::set_permissions(path, fs::Permissions::from_mode(mode))
        })
        .await
    }

    async fn read_at(
        &self,
        image: &Arc<OwnedFd>,
        path: &Path,
        offset: u64,
        length: usize,
    ) -> Result<Vec<u8>, SysError> {
        let image = image.clone();
        self.at(Kind::Look, path, "read", move |_| {
            let mut file = again(&image)?;
            file.seek(SeekFrom::Start(offset))?;
            let mut bytes = Vec::new();
            file.take(length as u64).read_to_end(&mut bytes)?;
            Ok(bytes)
        })
        .await
    }

    async fn measure(&self, image: &Arc<OwnedFd>, path: &Path) -> Result<Measured, SysError> {
        let image = image.clone();
        self.at(Kind::Look, path, "measure", move |_| {
            let mut file = again(&image)?;
            let metadata = file.metadata()?;
            Ok(Measured {
                bytes: match metadata.is_file() {
                    true => metadata.len(),
                    // The length of a device is its end position.
                    false => file.seek(SeekFrom::End(0))?,
                },
                is_device: !metadata.is_file(),
            })
        })
        .await
    }

    async fn next_data(
        &self,
        image: &Arc<OwnedFd>,
        path: &Path,
        offset: u64,
    ) -> Result<Option<u64>, SysError> {
        let image = image.clone();
        self.at(Kind::Look, path, "read", move |_| {
            match rustix::fs::seek(&again(&image)?, rustix::fs::SeekFrom::Data(offset)) {
                Ok(found) => Ok(Some(found)),
                Err(rustix::io::Errno::NXIO) => Ok(None),
                // A device, or a file system that does not know its holes.
                Err(rustix::io::Errno::INVAL) => Ok(Some(offset)),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    async fn write_at(
        &self,
        image: &Arc<OwnedFd>,
        path: &Path,
        offset: u64,
        bytes: Vec<u8>,
    ) -> Result<(), SysError> {
        let image = image.clone();
        self.at(Kind::Write, path, "write", move |_| {
            fs::File::from(image.try_clone()?).write_all_at(&bytes, offset)
        })
        .await
    }

    async fn make_hole(
        &self,
        image: &Arc<OwnedFd>,
        path: &Path,
        bytes: u64,
    ) -> Result<(), SysError> {
        let image = image.clone();
        self.at(Kind::Write, path, "write", move |_| {
            let file = fs::File::from(image.try_clone()?);
            if file.metadata()?.is_file() {
                file.set_len(0)?;
                file.set_len(bytes)?;
            }
            Ok(())
        })
        .await
    }

    async fn create_unnamed(&self, folder: &Path) -> Result<OwnedFd, SysError> {
        self.at(Kind::Change, folder, "make a file in", |folder| {
            let file = fs::OpenOptions::new()
                .read(true)
                .write(true)
                .mode(0o644)
                .custom_flags(libc::O_TMPFILE)
                .open(folder);
            let file = match file {
                Err(error) if super::plain::is_unsupported(&error) => {
                    super::plain::create_unnamed(folder)?
                }
                file => file?,
            };
            Ok(OwnedFd::from(file))
        })
        .await
    }

    async fn name_file(&self, file: &Arc<OwnedFd>, path: &Path) -> Result<(), SysError> {
        let file = file.clone();
        self.at(Kind::Write, path, "name", move |path| {
            rustix::fs::fsync(&*file)?;
            match super::plain::hidden_name(&file)? {
                Some(hidden) => super::plain::rename(&hidden, path)?,
                None => rustix::fs::linkat(
                    rustix::fs::CWD,
                    crate::upload_file::path_of(&file),
                    rustix::fs::CWD,
                    path,
                    rustix::fs::AtFlags::SYMLINK_FOLLOW,
                )?,
            }
            sync_parent(path)
        })
        .await
    }

    async fn exchange(&self, one: &Path, other: &Path) -> Result<(), SysError> {
        let other = other.to_owned();
        self.at(Kind::Change, one, "exchange", move |one| {
            super::plain::exchange(one, &other)?;
            sync_parent(one)?;
            sync_parent(&other)
        })
        .await
    }

    async fn space(&self, path: &Path) -> Result<SpaceUsage, SysError> {
        self.at(Kind::Look, path, "measure", |path| {
            Ok(cell::space_of(&rustix::fs::statvfs(path)?))
        })
        .await
    }

    async fn chown(&self, path: &Path, uid: u32, gid: u32) -> Result<(), SysError> {
        self.at(Kind::Change, path, "change the owner of", move |path| {
            std::os::unix::fs::lchown(path, Some(uid), Some(gid))
        })
        .await
    }
}

impl RealHost {
    /// Runs an operation on a path on a blocking thread, and adds the path to its error.
    async fn at<T: Send + 'static>(
        &self,
        kind: Kind,
        path: &Path,
        action: &'static str,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, SysError> {
        let path = path.to_owned();
        let work = move || work(&path).map_err(|source| SysError::io(action, &path, source));
        self.on_thread(kind, work).await
    }
}

/// Opens a file again for reading: a descriptor that bypasses the page cache reads only whole
/// blocks, and has its own read position.
fn again(file: &OwnedFd) -> io::Result<fs::File> {
    fs::File::open(crate::upload_file::path_of(file))
}

/// How often a directory is emptied again if another process keeps filling it.
const TRIES: usize = 16;

fn remove_tree(path: &Path) -> io::Result<()> {
    // From now on its former owner can add nothing to it, except in directories of its own below.
    std::os::unix::fs::lchown(path, Some(rustix::process::geteuid().as_raw()), None)?;
    let mut removed = fs::remove_dir_all(path);
    for _ in 1..TRIES {
        match removed {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                removed = fs::remove_dir_all(path);
            }
            removed => return removed,
        }
    }
    removed
}

/// Refuses anything but files and block devices, and makes the descriptor blocking.
fn check_holds_bytes(file: &fs::File) -> io::Result<()> {
    let kind = file.metadata()?.file_type();
    if !kind.is_file() && !kind.is_block_device() {
        let text = "it is neither a file nor a block device";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let flags = rustix::fs::fcntl_getfl(file)? - rustix::fs::OFlags::NONBLOCK;
    Ok(rustix::fs::fcntl_setfl(file, flags)?)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn gone_is_false(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    fs::File::open(parent)?.sync_all()
}

fn write_atomically(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    if content.is_empty() && is_made_empty(path, mode)? {
        return sync_parent(path);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
    // Another of our threads may be writing the same file: the last rename wins, with its whole
    // content.
    let temporary = temporary.with_extension(format!("{:?}", std::thread::current().id()));
    let result = (|| {
        // Left by an earlier process with this pid; a planted link is not followed.
        gone_is_false(fs::remove_file(&temporary))?;
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_parent(path)
    })();
    if result.is_err() {
        // The old content stays; the rest of the new one only takes space.
        let _ = fs::remove_file(&temporary);
    }
    result
}

/// Creates an empty file under its final name, which needs no temporary file. False if the name
/// exists.
fn is_made_empty(path: &Path, mode: u32) -> io::Result<bool> {
    let made = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path);
    match made {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn append(path: &Path, content: &[u8], sync: bool) -> io::Result<()> {
    let is_new = !path.exists();
    let mut file = fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    let length = file.metadata()?.len();
    let written = file.write_all(content).and_then(|()| match sync {
        true => file.sync_data(),
        false => Ok(()),
    });
    if let Err(error) = written {
        // Otherwise a partial line, on a full disk, would precede the next one.
        file.set_len(length)?;
        return Err(error);
    }
    match sync && is_new {
        true => sync_parent(path),
        false => Ok(()),
    }
}

fn entry(path: &Path, metadata: &fs::Metadata) -> FileEntry {
    let kind = match metadata.file_type() {
        kind if kind.is_dir() => FileKind::Directory,
        kind if kind.is_file() => FileKind::File,
        _ => FileKind::Other,
    };
    FileEntry {
        name: path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        kind,
        size: metadata.len(),
        allocated: metadata.blocks() * 512,
        modified: metadata.mtime(),
        inode: metadata.ino(),
    }
}
