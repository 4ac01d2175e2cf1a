//! Files in memory.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use sys::{
    Cell, CellMount, DeviceNumber, FileEntry, FileKind, Files, Measured, SpaceUsage, SysError,
};

use super::{Disk, FakeHost, Node, sysfs};

const DISK_BYTES: u64 = 1 << 40;

fn failed(action: &'static str, path: &Path, kind: io::ErrorKind) -> SysError {
    SysError::io(action, path, io::Error::from(kind))
}

/// The number that Linux gives a disk or partition of this name.
fn number_of_disk(path: &Path) -> Option<DeviceNumber> {
    let name = path.to_str()?.strip_prefix("/dev/sd")?;
    let (letter, part) = name.split_at_checked(1)?;
    let disk = letter.bytes().next()?.checked_sub(b'a')?;
    let part: u32 = match part {
        "" => 0,
        part => part.parse().ok()?,
    };
    Some(DeviceNumber {
        is_block: true,
        major: 8,
        minor: u32::from(disk) * 16 + part,
    })
}

/// A real file without a name, for code that reads and writes descriptors.
fn filled(path: &Path, content: &[u8]) -> Result<OwnedFd, SysError> {
    let made = tempfile::tempfile().and_then(|mut file| {
        file.write_all(content)?;
        file.rewind()?;
        Ok(OwnedFd::from(file))
    });
    made.map_err(|source| SysError::io("open", path, source))
}

impl Disk {
    /// Creates or replaces a file of this length; `content` may be shorter.
    pub fn put(&mut self, path: &Path, content: Vec<u8>, size: u64) -> Result<(), SysError> {
        let parent = path.parent().unwrap_or(Path::new("/"));
        if parent != Path::new("/")
            && !matches!(self.nodes.get(parent), Some(Node::Directory { .. }))
        {
            return Err(failed("write", path, io::ErrorKind::NotFound));
        }
        let before = self.length(path);
        if let Some(free) = &mut self.free {
            let needed = content.len() as u64;
            if needed > *free + before {
                return Err(failed("write", path, io::ErrorKind::StorageFull));
            }
            *free = *free + before - needed;
        }
        let inode = match self.nodes.get(path) {
            Some(Node::File { inode, .. }) => *inode,
            _ => {
                self.last_inode += 1;
                self.last_inode
            }
        };
        self.nodes.insert(
            path.to_owned(),
            Node::File {
                content,
                size,
                mode: 0o600,
                inode,
            },
        );
        Ok(())
    }

    /// Creates a folder and its parents.
    pub fn folder(&mut self, path: &Path) {
        for folder in path.ancestors() {
            let node = self.nodes.entry(folder.to_owned());
            node.or_insert(Node::Directory { mode: 0o755 });
        }
    }

    /// Creates a file, and its folder.
    pub fn file(&mut self, path: &str, content: &str) {
        let path = Path::new(path);
        self.folder(path.parent().unwrap_or(path));
        let size = match path.starts_with("/sys") {
            true => sysfs::SIZE,
            false => content.len() as u64,
        };
        let made = self.put(path, content.as_bytes().to_vec(), size);
        made.expect("a file in a folder");
    }

    /// The rest of the names of all files that begin with `prefix`.
    pub fn beside(&self, prefix: &str) -> Vec<String> {
        let names = self.nodes.keys().filter_map(|path| path.to_str());
        names
            .filter_map(|name| name.strip_prefix(prefix))
            .map(str::to_owned)
            .collect()
    }

    /// The length of a file; 0 if it does not exist.
    fn length(&self, path: &Path) -> u64 {
        match self.nodes.get(path) {
            Some(Node::File { content, .. }) => content.len() as u64,
            _ => 0,
        }
    }

    /// Removes a file. False if there was none.
    pub fn take_away(&mut self, path: &Path) -> bool {
        let length = self.length(path);
        if let Some(free) = &mut self.free {
            *free += length;
        }
        self.nodes.remove(path).is_some()
    }

    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        self.read(path).ok()
    }

    pub fn size(&self, path: &Path) -> Option<u64> {
        match self.nodes.get(path)? {
            Node::File { size, .. } => Some(*size),
            Node::Directory { .. } => None,
        }
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, SysError> {
        match self.nodes.get(path) {
            Some(Node::File { content, .. }) => Ok(content.clone()),
            Some(Node::Directory { .. }) => Err(failed("read", path, io::ErrorKind::IsADirectory)),
            None => Err(failed("read", path, io::ErrorKind::NotFound)),
        }
    }

    fn entry(path: &Path, node: &Node) -> FileEntry {
        let (kind, size, inode) = match node {
            Node::File { size, inode, .. } => (FileKind::File, *size, *inode),
            Node::Directory { .. } => (FileKind::Directory, 4096, 0),
        };
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        FileEntry {
            name,
            kind,
            size,
            allocated: size.min(4096),
            modified: 0,
            inode,
        }
    }

    fn children<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = (&'a PathBuf, &'a Node)> {
        self.nodes
            .iter()
            .filter(move |(child, _)| child.parent() == Some(path))
    }
}

#[async_trait]
impl Files for FakeHost {
    async fn read(&self, path: &Path) -> Result<Vec<u8>, SysError> {
        let call = self
            .faults
            .begin(|| format!("read {}", path.display()))
            .await?;
        let content = self.world().disk.read(path)?;
        call.end(content).await
    }

    async fn write(&self, path: &Path, content: &[u8], mode: u32) -> Result<(), SysError> {
        let call = self
            .faults
            .begin(|| format!("write {}", path.display()))
            .await?;
        {
            let mut world = self.world();
            world
                .disk
                .put(path, content.to_vec(), content.len() as u64)?;
            if let Some(Node::File { mode: of_file, .. }) = world.disk.nodes.get_mut(path) {
                *of_file = mode;
            }
        }
        call.end(()).await
    }

    async fn set(&self, path: &Path, value: &[u8]) -> Result<(), SysError> {
        let call = self
            .faults
            .begin(|| format!("set {}", path.display()))
            .await?;
        sysfs::set(&mut self.world().disk, path, value)?;
        call.end(()).await
    }

    async fn append(&self, path: &Path, content: &[u8], _sync: bool) -> Result<(), SysError> {
        let call = self
            .faults
            .begin(|| format!("append to {}", path.display()))
            .await?;
        {
            let mut world = self.world();
            let mut whole = world.disk.read(path).unwrap_or_default();
            whole.extend_from_slice(content);
            let size = whole.len() as u64;
            world.disk.put(path, whole, size)?;
        }
        call.end(()).await
    }

    async fn remove(&self, path: &Path) -> Result<bool, SysError> {
        let call = self
            .faults
            .begin(|| format!("remove {}", path.display()))
            .await?;
        let removed = {
            let mut world = self.world();
            let is_file = matches!(world.disk.nodes.get(path), Some(Node::File { .. }));
            is_file && world.disk.take_away(path)
        };
        call.end(removed).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<(), SysError> {
        let call = self
            .faults
            .begin(|| format!("rename {}", from.display()))
            .await?;
        {
            let mut world = self.world();
            if world.disk.nodes.contains_key(to) {
                return Err(failed("rename", from, io::ErrorKind::AlreadyExists));
            }
            let node = world.disk.nodes.remove(from);
            let node = node.ok_or_else(|| failed("rename", from, io::ErrorKind::NotFound))?;
            world.disk.nodes.insert(to.to_owned(), node);
        }
        call.end(()).await
    }

    async fn replace(&self, from: &Path, to: &Path) -> Result<(), SysError> {
        let call = self
            .faults
            .begin(|| format!("replace by {}", from.display()))
            .await?;
        {
            let mut world = self.world();
            let node = world.disk.nodes.remove(from);
            let node = node.ok_or_else(|| failed("rename", from, io::ErrorKind::NotFound))?;
            world.disk.nodes.insert(to.to_owned(), node);
        }
        call.end(()).await
    }

    async fn create_dir(&self, path: &Path, mode: u32) -> Result<(), SysError> {
        let call = self
            .faults
            .begin(|| format!("create directory {}", path.display()))
            .await?;
        {
            let mut world = self.world();
            for ancestor in path
                .ancestors()
                .filter(|ancestor| *ancestor != Path::new("/"))
            {
                let made = Node::Directory { mode };
                world.disk.nodes.entry(ancestor.to_owned()).or_insert(made);
            }
        }
        call.end(()).await
    }

    async fn remove_dir(&self, path: &Path) -> Result<bool, SysError> {
        let call = self
            .faults
            .begin(|| format!("remove directory {}", path.display()))
            .await?;
        let removed = {
            let mut world = self.world();
            let is_empty = world.disk.children(path).next().is_none();
            let is_there = matches!(world.disk.nodes.get(path), Some(Node::Directory { .. }));
            is_there && is_empty && world.disk.nodes.remove(path).is_some()
        };
        call.end(removed).await
    }

    async fn remove_tree(&self, path: &Path) -> Result<bool, SysError> {
        let call = self
            .faults
            .begin(|| format!("remove {} with all", path.display()))
            .await?;
        let removed = {
            let nodes = &mut self.world().disk.nodes;
            let before = nodes.len();
            nodes.retain(|node, _| !node.starts_with(path));
            nodes.len() < before
        };
        call.end(removed).await
    }

    async fn stat(&self, path: &Path) -> Result<Option<FileEntry>, SysError> {
        let call = self
            .faults
            .begin(|| format!("examine {}", path.display()))
            .await?;
        let entry = self
            .world()
            .disk
            .nodes
            .get(path)
            .map(|node| Disk::entry(path, node));
        call.end(entry).await
    }

    async fn list(&self, path: &Path) -> Result<Vec<FileEntry>, SysError> {
        let call = self
            .faults
            .begin(|| format!("list {}", path.display()))
            .await?;
        let entries = self
            .world()
            .disk
            .children(path)
            .map(|(path, node)| Disk::entry(path, node))
            .collect();
        call.end(entries).await
    }

    async fn sync(&self, path: &Path) -> Result<(), SysError> {
        let call = self
            .faults
            .begin(|| format!("sync {}", path.display()))
            .await?;
        call.end(()).await
    }

    async fn sync_mount(&self, mount: &CellMount) -> Result<(), SysError> {
        let call = self
            .faults
            .begin(|| format!("sync the file system of {:?}", mount.source))
            .await?;
        call.end(()).await
    }

    async fn grow_mount(&self, mount: &CellMount) -> Result<(), SysError> {
        let call = self
            .faults
            .begin(|| format!("grow the file system of {:?}", mount.source))
            .await?;
        call.end(()).await
    }

    async fn trim_mount(&self, mount: &CellMount) -> Result<u64, SysError> {
        let call = self
            .faults
            .begin(|| format!("trim the file system of {:?}", mount.source))
            .await?;
        call.end(4096).await
    }

    async fn mount_space(&self, mount: &CellMount) -> Result<SpaceUsage, SysError> {
        let call = self
            .faults
            .begin(|| format!("measure the file system of {:?}", mount.source))
            .await?;
        let usage = SpaceUsage {
            total: 4 << 20,
            used: 1 << 20,
            available: 3 << 20,
        };
        call.end(usage).await
    }

    async fn mount_cell(&self, cell: &Cell) -> Result<(), SysError> {
        let call = self
            .faults
            .begin(|| format!("mount the file systems at {}", cell.at.display()))
            .await?;
        if !self.world().disk.nodes.contains_key(&cell.at) {
            return Err(failed("mount", &cell.at, io::ErrorKind::NotFound));
        }
        self.world().mounted.insert(cell.at.clone());
        call.end(()).await
    }

    async fn unmount_cell(&self, folder: &Path) -> Result<bool, SysError> {
        let call = self
            .faults
            .begin(|| format!("unmount {}", folder.display()))
            .await?;
        let was = self.world().mounted.remove(folder);
        call.end(was).await
    }

    /// There are no links in memory.
    async fn resolve(&self, path: &Path) -> Result<PathBuf, SysError> {
        let call = self
            .faults
            .begin(|| format!("find {}", path.display()))
            .await?;
        if !self.world().disk.nodes.contains_key(path) {
            return Err(failed("find", path, io::ErrorKind::NotFound));
        }
        call.end(path.to_owned()).await
    }

    async fn open_image(
        &self,
        path: &Path,
        _write: bool,
        _direct: bool,
    ) -> Result<Arc<OwnedFd>, SysError> {
        let call = self
            .faults
            .begin(|| format!("open {}", path.display()))
            .await?;
        let (content, size) = {
            let disk = &self.world().disk;
            (disk.read(path)?, disk.size(path).unwrap_or_default())
        };
        let file = File::from(filled(path, &content)?);
        let sized = file.set_len(size.max(content.len() as u64));
        sized.map_err(|source| SysError::io("open", path, source))?;
        call.end(Arc::new(OwnedFd::from(file))).await
    }

    /// The content of a device's file is its number.
    async fn device_number(&self, path: &Path) -> Result<Option<DeviceNumber>, SysError> {
        let call = self
            .faults
            .begin(|| format!("examine {}", path.display()))
            .await?;
        let content = self.world().disk.read(path)?;
        let text = String::from_utf8_lossy(&content).into_owned();
        let number = |text: &str| {
            let (kind, rest) = text.split_once(' ')?;
            let (major, minor) = rest.split_once(':')?;
            Some(DeviceNumber {
                is_block: kind == "b",
                major: major.parse().ok()?,
                minor: minor.parse().ok()?,
            })
        };
        call.end(number(&text).or_else(|| number_of_disk(path)))
            .await
    }

    /// A disk of `put_disk` is not while it is mounted, or `claimed` by something unseen.
    async fn is_device_free(&self, path: &Path) -> Result<bool, SysError> {
        let call = self
            .faults
            .begin(|| format!("examine {}", path.display()))
            .await?;
        let content = self.world().disk.read(path)?;
        let facts = String::from_utf8_lossy(&content).into_owned();
        let users = ["\"mountpoint\"", "\"claimed\""];
        let is_used = users.iter().any(|user| facts.contains(user));
        call.end(!is_used).await
    }

    async fn make_device(
        &self,
        path: &Path,
        number: DeviceNumber,
        mode: u32,
    ) -> Result<(), SysError> {
        self.write(path, number.to_string().as_bytes(), mode).await
    }

    /// Devices are files in memory.
    async fn open_device(&self, path: &Path) -> Result<Arc<OwnedFd>, SysError> {
        self.open_image(path, true, false).await
    }

    async fn read_at(
        &self,
        image: &Arc<OwnedFd>,
        path: &Path,
        offset: u64,
        length: usize,
    ) -> Result<Vec<u8>, SysError> {
        let call = self
            .faults
            .begin(|| format!("read the image {}", path.display()))
            .await?;
        let mut bytes = vec![0; length];
        let read = image.try_clone().and_then(|image| {
            let file = File::from(image);
            file.read_at(&mut bytes, offset)
        });
        let read = read.map_err(|source| SysError::io("read", path, source))?;
        bytes.truncate(read);
        call.end(bytes).await
    }

    async fn measure(&self, image: &Arc<OwnedFd>, path: &Path) -> Result<Measured, SysError> {
        let call = self
            .faults
            .begin(|| format!("measure the image {}", path.display()))
            .await?;
        let metadata = image
            .try_clone()
            .and_then(|image| File::from(image).metadata());
        let metadata = metadata.map_err(|source| SysError::io("measure", path, source))?;
        let measured = Measured {
            bytes: metadata.len(),
            is_device: false,
        };
        call.end(measured).await
    }

    async fn next_data(
        &self,
        _image: &Arc<OwnedFd>,
        path: &Path,
        offset: u64,
    ) -> Result<Option<u64>, SysError> {
        let call = self
            .faults
            .begin(|| format!("read the image {}", path.display()))
            .await?;
        // What is behind the content is one hole.
        let bytes = self.world().disk.read(path)?.len() as u64;
        call.end((offset < bytes).then_some(offset)).await
    }

    async fn write_at(
        &self,
        image: &Arc<OwnedFd>,
        path: &Path,
        offset: u64,
        bytes: Vec<u8>,
    ) -> Result<(), SysError> {
        let call = self
            .faults
            .begin(|| format!("write to the image {}", path.display()))
            .await?;
        // Who has it open reads what was written.
        let written = image.try_clone().and_then(|image| {
            let file = File::from(image);
            file.write_all_at(&bytes, offset)
        });
        written.map_err(|source| SysError::io("write", path, source))?;
        {
            let mut world = self.world();
            let mut content = world.disk.read(path)?;
            let size = world.disk.size(path).unwrap_or_default();
            let end = offset as usize + bytes.len();
            content.resize(content.len().max(end), 0);
            content[offset as usize..end].copy_from_slice(&bytes);
            world.disk.put(path, content, size.max(end as u64))?;
        }
        call.end(()).await
    }

    async fn make_hole(
        &self,
        _image: &Arc<OwnedFd>,
        path: &Path,
        bytes: u64,
    ) -> Result<(), SysError> {
        let call = self
            .faults
            .begin(|| format!("empty the image {}", path.display()))
            .await?;
        self.world().disk.put(path, Vec::new(), bytes)?;
        call.end(()).await
    }

    async fn create_unnamed(&self, folder: &Path) -> Result<OwnedFd, SysError> {
        let call = self
            .faults
            .begin(|| format!("make a file in {}", folder.display()))
            .await?;
        if !matches!(
            self.world().disk.nodes.get(folder),
            Some(Node::Directory { .. })
        ) {
            return Err(failed("make a file in", folder, io::ErrorKind::NotFound));
        }
        call.end(filled(folder, b"")?).await
    }

    async fn name_file(&self, file: &Arc<OwnedFd>, path: &Path) -> Result<(), SysError> {
        let call = self
            .faults
            .begin(|| format!("name {}", path.display()))
            .await?;
        let content = std::fs::read(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let content = content.map_err(|source| SysError::io("name", path, source))?;
        {
            let mut world = self.world();
            if world.disk.nodes.contains_key(path) {
                return Err(failed("name", path, io::ErrorKind::AlreadyExists));
            }
            let size = content.len() as u64;
            world.disk.put(path, content, size)?;
        }
        call.end(()).await
    }

    async fn exchange(&self, one: &Path, other: &Path) -> Result<(), SysError> {
        let call = self
            .faults
            .begin(|| format!("exchange {}", one.display()))
            .await?;
        {
            let nodes = &mut self.world().disk.nodes;
            let missing = || failed("exchange", one, io::ErrorKind::NotFound);
            let first = nodes.get(one).cloned().ok_or_else(missing)?;
            let second = nodes.insert(other.to_owned(), first).ok_or_else(missing)?;
            nodes.insert(one.to_owned(), second);
        }
        call.end(()).await
    }

    async fn space(&self, path: &Path) -> Result<SpaceUsage, SysError> {
        let call = self
            .faults
            .begin(|| format!("measure {}", path.display()))
            .await?;
        let available = self.world().disk.free.unwrap_or(DISK_BYTES);
        let usage = SpaceUsage {
            total: DISK_BYTES,
            used: DISK_BYTES - available,
            available,
        };
        call.end(usage).await
    }

    async fn chown(&self, path: &Path, _uid: u32, _gid: u32) -> Result<(), SysError> {
        let call = self
            .faults
            .begin(|| format!("change the owner of {}", path.display()))
            .await?;
        if !self.world().disk.nodes.contains_key(path) {
            return Err(failed("change the owner of", path, io::ErrorKind::NotFound));
        }
        call.end(()).await
    }
}
