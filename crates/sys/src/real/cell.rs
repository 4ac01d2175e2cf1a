//! A container's file systems in the mount namespace of one program.
//!
//! ```text
//!   prepare()   the parent makes mounts that are nowhere yet: ext4 of an image, a clone of a folder
//!   put_up()    the child: moves them to their places, component by component without links
//! ```
//!
//! A mount that is nowhere goes with its descriptor, so nothing stays behind where either ends.
#![allow(unsafe_code, reason = "mount_setattr and ioctls have no safe binding")]

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};

use super::{loops, mount_list};
use crate::{Cell, CellMount, CellSource, SpaceUsage, SysError};

const ATTRIBUTES: [(&str, MountAttrFlags); 4] = [
    ("nodev", MountAttrFlags::MOUNT_ATTR_NODEV),
    ("noexec", MountAttrFlags::MOUNT_ATTR_NOEXEC),
    ("nosuid", MountAttrFlags::MOUNT_ATTR_NOSUID),
    ("noatime", MountAttrFlags::MOUNT_ATTR_NOATIME),
];

/// Options of the file system itself.
const OF_FILE_SYSTEM: [&str; 3] = ["discard", "lazytime", "noload"];

/// `Cell::BESIDE`, relative to a new root.
const BESIDE: &CStr = c"beside";

/// The bits that say how times of access are kept.
const ATIME_MASK: u64 = 0x70;

/// Mounts that wait for their places.
pub(super) struct Rooms {
    at: CString,
    root: OwnedFd,
    beside: Option<OwnedFd>,
    others: Vec<Room>,
    owner: (Uid, Gid),
    /// Mounts of the host that a program without a fence does not keep.
    hidden: Vec<CString>,
}

struct Room {
    tree: OwnedFd,
    /// The components of its path.
    at: Vec<CString>,
}

impl Rooms {
    /// Makes the mounts. Blocks.
    pub(super) fn prepare(cell: &Cell, fenced: bool) -> Result<Self, SysError> {
        let mut mounts = cell.mounts.iter();
        let none = || SysError::Unsupported("a container without a root".to_owned());
        let root = made(mounts.next().ok_or_else(none)?, fenced)?;
        let mut others = Vec::new();
        for mount in mounts {
            let parts = mount.at.split('/').filter(|part| !part.is_empty());
            let parts: Result<_, _> = parts.map(CString::new).collect();
            let at = parts.map_err(|_| SysError::Unsupported("a path has a NUL".to_owned()))?;
            others.push(Room {
                tree: made(mount, fenced)?,
                at,
            });
        }
        let at = match fenced {
            true => Path::new(Cell::INSIDE),
            false => &cell.at,
        };
        let at = if fenced {
            at.strip_prefix("/").unwrap_or(at)
        } else {
            at
        };
        let at = CString::new(at.as_os_str().as_bytes());
        let id = cell.first_id.unwrap_or(0);
        Ok(Self {
            at: at.map_err(|_| SysError::Unsupported("a path has a NUL".to_owned()))?,
            root,
            beside: match &cell.beside {
                Some(mount) => Some(made(mount, fenced)?),
                None => None,
            },
            others,
            owner: (Uid::from_raw(id), Gid::from_raw(id)),
            hidden: match &cell.hides {
                Some(folder) if !fenced => hidden_below(folder)?,
                _ => Vec::new(),
            },
        })
    }

    /// The folders that the mounts need, relative to a new root; for a fence.
    pub(super) fn places(&self) -> Vec<CString> {
        let beside = self.beside.as_ref().map(|_| BESIDE.to_owned());
        [self.at.clone()].into_iter().chain(beside).collect()
    }

    /// Mounts all, in the calling process's own mount namespace. Makes system calls only and
    /// allocates nothing.
    pub(super) fn put_up(&self) -> io::Result<()> {
        let by_descriptor = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        rustix::mount::move_mount(&self.root, c"", CWD, self.at.as_c_str(), by_descriptor)?;
        if let Some(beside) = &self.beside {
            rustix::mount::move_mount(beside, c"", CWD, BESIDE, by_descriptor)?;
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = rustix::fs::open(self.at.as_c_str(), flags, Mode::empty())?;
        for room in &self.others {
            let place = self.folder(root.as_fd(), &room.at)?;
            let both = by_descriptor | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
            rustix::mount::move_mount(&room.tree, c"", &place, c"", both)?;
        }
        Ok(())
    }

    /// Lets the mounts go that this namespace is not to keep. Only for a namespace of its own, whose
    /// mounts are its own. Makes system calls only.
    pub(super) fn hide(&self) -> io::Result<()> {
        let at_once = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
        for path in &self.hidden {
            match rustix::mount::unmount(path.as_c_str(), at_once) {
                // It is unmounted meanwhile, or went with the one that it was in.
                Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => {}
                unmounted => unmounted?,
            }
        }
        Ok(())
    }

    /// A folder below the container's root, made where it is missing.
    fn folder(&self, root: BorrowedFd<'_>, at: &[CString]) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut place = rustix::io::fcntl_dupfd_cloexec(root, 0)?;
        for part in at {
            let part = part.as_c_str();
            let mut opened = rustix::fs::openat(&place, part, flags, Mode::empty());
            if matches!(opened, Err(rustix::io::Errno::NOENT)) {
                rustix::fs::mkdirat(&place, part, Mode::from_raw_mode(0o755))?;
                let (uid, gid) = self.owner;
                let itself = AtFlags::SYMLINK_NOFOLLOW;
                rustix::fs::chownat(&place, part, Some(uid), Some(gid), itself)?;
                opened = rustix::fs::openat(&place, part, flags, Mode::empty());
            }
            place = opened?;
        }
        Ok(place)
    }
}

fn hidden_below(folder: &Path) -> Result<Vec<CString>, SysError> {
    let found = mount_list::mounts_below(folder);
    let found = found.map_err(|source| SysError::io("find mounts below", folder, source))?;
    let paths = found
        .iter()
        .map(|path| CString::new(path.as_os_str().as_bytes()));
    paths
        .collect::<Result<_, _>>()
        .map_err(|_| SysError::Unsupported("a path has a NUL".to_owned()))
}

fn path_of(mount: &CellMount) -> &Path {
    let (CellSource::Image { path, .. } | CellSource::Device(path) | CellSource::Folder(path)) =
        &mount.source;
    path
}

/// A mount that is nowhere yet. In a fence no device of a container works.
fn made(mount: &CellMount, fenced: bool) -> Result<OwnedFd, SysError> {
    let path = path_of(mount);
    let tree = match &mount.source {
        CellSource::Image { file, .. } => {
            let attached = match mount.in_use {
                true => loops::attached(file),
                false => loops::attach(file, mount.read_only),
            };
            attached.and_then(|(device, path)| {
                let tree = file_system(&path, mount);
                // The mount has the device open; with it goes the image.
                drop(device);
                tree
            })
        }
        CellSource::Device(path) => {
            let path = path.display().to_string();
            file_system(&path, mount)
        }
        CellSource::Folder(path) => folder(path),
    };
    let tree = tree.and_then(|tree| {
        set_attributes(&tree, mount, fenced)?;
        Ok(tree)
    });
    tree.map_err(|source| SysError::io("mount", path, source))
}

fn file_system(device: &str, mount: &CellMount) -> io::Result<OwnedFd> {
    let context = rustix::mount::fsopen("ext4", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(&context, "source", device)?;
    if mount.read_only {
        rustix::mount::fsconfig_set_flag(&context, "ro")?;
    }
    for name in OF_FILE_SYSTEM {
        if mount.options.iter().any(|option| option == name) {
            rustix::mount::fsconfig_set_flag(&context, name)?;
        }
    }
    if let Some(acl) = mount.acl {
        match rustix::mount::fsconfig_set_flag(&context, if acl { "acl" } else { "noacl" }) {
            // Since Linux 6.2 ext4 always has ACLs and does not know the words any more.
            Err(rustix::io::Errno::INVAL) => {}
            set => set?,
        }
    }
    rustix::mount::fsconfig_create(&context)?;
    let none = MountAttrFlags::empty();
    Ok(rustix::mount::fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        none,
    )?)
}

fn folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let no_links = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let folder = rustix::fs::openat2(CWD, path, flags, Mode::empty(), no_links)?;
    let clone = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    Ok(rustix::mount::open_tree(&folder, "", clone)?)
}

/// A descriptor of the top of a file system that is mounted nowhere. Blocks.
fn top(mount: &CellMount) -> Result<OwnedFd, SysError> {
    let tree = made(mount, false)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = rustix::fs::openat(&tree, c".", flags, Mode::empty());
    top.map_err(|source| SysError::io("open", path_of(mount), source.into()))
}

// From linux/ext4.h and linux/fs.h.
const EXT4_IOC_CHECKPOINT: libc::c_ulong = 0x4004_662B;
const EXT4_IOC_RESIZE_FS: libc::c_ulong = 0x4008_6610;
const BLKGETSIZE64: libc::c_ulong = 0x8008_1272;
const FITRIM: libc::c_ulong = 0xC018_5879;

/// What is in the journal is written to its places too, where the kernel can do that: a copy is then
/// whole without it.
pub(super) fn sync(mount: &CellMount) -> Result<(), SysError> {
    let top = top(mount)?;
    let synced = rustix::fs::syncfs(&top);
    synced.map_err(|source| SysError::io("sync", path_of(mount), source.into()))?;
    let flags = 0_u32;
    // SAFETY: the request reads one number of 32 bits, which outlives the call.
    unsafe { libc::ioctl(top.as_raw_fd(), EXT4_IOC_CHECKPOINT as _, &raw const flags) };
    Ok(())
}

pub(super) fn grow(mount: &CellMount) -> Result<(), SysError> {
    let path = path_of(mount);
    let top = top(mount)?;
    let grown = || -> io::Result<()> {
        let device = match &mount.source {
            CellSource::Image { file, .. } => loops::attached(file)?.0,
            CellSource::Device(path) => File::open(path)?,
            CellSource::Folder(_) => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let mut bytes = 0_u64;
        // SAFETY: the request fills one number of 64 bits, which outlives the call.
        let code = unsafe { libc::ioctl(device.as_raw_fd(), BLKGETSIZE64 as _, &raw mut bytes) };
        if code != 0 {
            return Err(io::Error::last_os_error());
        }
        let block = u64::try_from(rustix::fs::fstatfs(&top)?.f_bsize).unwrap_or(1);
        let blocks = bytes / block.max(1);
        // SAFETY: the request reads one number of 64 bits, which outlives the call.
        match unsafe { libc::ioctl(top.as_raw_fd(), EXT4_IOC_RESIZE_FS as _, &raw const blocks) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    grown().map_err(|source| SysError::io("grow the file system of", path, source))
}

/// `struct fstrim_range`
#[repr(C)]
struct TrimRange {
    start: u64,
    length: u64,
    shortest: u64,
}

pub(super) fn trim(mount: &CellMount) -> Result<u64, SysError> {
    let top = top(mount)?;
    let mut range = TrimRange {
        start: 0,
        length: u64::MAX,
        shortest: 0,
    };
    // SAFETY: the request reads and fills the structure, which outlives the call.
    match unsafe { libc::ioctl(top.as_raw_fd(), FITRIM as _, &raw mut range) } {
        0 => Ok(range.length),
        _ => {
            let source = io::Error::last_os_error();
            Err(SysError::io("trim", path_of(mount), source))
        }
    }
}

pub(super) fn space(mount: &CellMount) -> Result<SpaceUsage, SysError> {
    let stat = rustix::fs::fstatvfs(top(mount)?);
    let stat = stat.map_err(|source| SysError::io("measure", path_of(mount), source.into()))?;
    Ok(space_of(&stat))
}

/// What the kernel says of a file system's space.
pub(super) fn space_of(stat: &rustix::fs::StatVfs) -> SpaceUsage {
    SpaceUsage {
        total: stat.f_blocks * stat.f_frsize,
        used: (stat.f_blocks - stat.f_bfree) * stat.f_frsize,
        available: stat.f_bavail * stat.f_frsize,
    }
}

/// `struct mount_attr`
#[repr(C)]
struct Attributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

fn set_attributes(tree: &OwnedFd, mount: &CellMount, fenced: bool) -> io::Result<()> {
    let mut set = MountAttrFlags::empty();
    for (name, flag) in ATTRIBUTES {
        if mount.options.iter().any(|option| option == name) {
            set |= flag;
        }
    }
    if mount.read_only {
        set |= MountAttrFlags::MOUNT_ATTR_RDONLY;
    }
    if fenced {
        set |= MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID;
    }
    let changes_atime = set.contains(MountAttrFlags::MOUNT_ATTR_NOATIME);
    let attributes = Attributes {
        set: u64::from(set.bits()),
        clear: if changes_atime { ATIME_MASK } else { 0 },
        propagation: 0,
        user_namespace: 0,
    };
    // SAFETY: the structure is the one that the call reads, of the length that is passed.
    let code = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            std::ptr::from_ref(&attributes),
            size_of::<Attributes>(),
        )
    };
    match code {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A user namespace whose 0 is this id of the host. Blocks for a moment: a process has to be in it
/// while its ids are set.
#[expect(
    clippy::disallowed_methods,
    reason = "the process lives only for as long as this function"
)]
pub(super) fn user_namespace(first_id: u32) -> Result<OwnedFd, SysError> {
    use std::os::unix::process::CommandExt;
    let made = || {
        let mut holder = std::process::Command::new("/bin/cat");
        holder
            .env_clear()
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null());
        // SAFETY: between fork and exec only one async-signal-safe call is made.
        unsafe {
            holder.pre_exec(|| match libc::unshare(libc::CLONE_NEWUSER) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            });
        }
        let mut holder = holder.spawn()?;
        let opened = map_ids(holder.id(), first_id);
        // It ends with its input.
        if let Some(mut input) = holder.stdin.take() {
            let _ = input.flush();
        }
        if let Some(mut output) = holder.stdout.take() {
            let _ = output.read(&mut [0; 1]);
        }
        holder.wait()?;
        opened
    };
    made().map_err(|source| SysError::Io {
        action: "make a user namespace with ids from",
        object: first_id.to_string(),
        source,
    })
}

fn map_ids(pid: u32, first_id: u32) -> io::Result<OwnedFd> {
    for map in ["uid_map", "gid_map"] {
        let line = format!("0 {first_id} {}\n", Cell::IDS);
        std::fs::write(format!("/proc/{pid}/{map}"), line)?;
    }
    Ok(OwnedFd::from(File::open(format!("/proc/{pid}/ns/user"))?))
}
