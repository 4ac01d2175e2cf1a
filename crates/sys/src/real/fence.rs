//! The fence around a program that reads untrusted data.
//!
//! ```text
//!   around()   the parent opens each file, and lists what has to be created
//!   enter()    the child: own mounts and network ─ an empty root ─ /usr, some devices, the files
//!              ─ leaves the old root ─ limits ─ another user, one capability, no way to get more
//! ```
//!
//! Around a container's files (`Cell`) the program is the container's root: in a user namespace with
//! the container's ids, or with the few capabilities that unpacking files takes.
//!
//! The remaining capability overrides file modes, and only the files of the fence are there. With
//! NFS, FUSE and 9P a server checks the uid, and ignores capabilities: for their files the program
//! keeps uid 0, without root's other rights.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{CWD, FileType, Gid, Mode, OFlags, Uid};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};
use rustix::process::{Resource, Rlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, LinkNameSpaceType};

use super::cell::{self, Rooms};
use crate::{Cell, Fence, Fenced, SysError};

/// The parts of the system that a program sees. Links into `/usr` are links inside, too.
const SYSTEM: [&str; 6] = ["/usr", "/bin", "/lib", "/lib32", "/lib64", "/sbin"];

/// The devices that programs may use.
const DEVICES: [&str; 3] = ["/dev/null", "/dev/urandom", "/dev/zero"];

/// What says how names of servers become addresses.
const RESOLVING: [&str; 3] = ["/etc/hosts", "/etc/nsswitch.conf", "/etc/resolv.conf"];

/// Where the new root is mounted while the old one is still there: a folder of every system.
const PLACE: &CStr = c"/proc";

/// The size of the rest of a fence: entries of the root itself.
const ROOT_OPTIONS: &CStr = c"mode=755,size=1m";

/// File systems where a server checks the uid: NFS, FUSE, 9P (linux/magic.h).
const JUDGED_ELSEWHERE: [u64; 3] = [0x6969, 0x6573_5546, 0x0102_1997];

/// A prepared fence.
pub(super) struct Walls {
    /// Folders to create in the new root, relative to it, in this order.
    folders: Vec<CString>,
    links: Vec<(CString, CString)>,
    mounts: Vec<Mount>,
    limits: Vec<(Resource, u64)>,
    user: (Uid, Gid),
    container: Option<Container>,
    /// It keeps the host's network.
    pub(super) has_network: bool,
}

/// The container whose root a program is.
struct Container {
    rooms: Rooms,
    /// None where its ids are the host's.
    user_namespace: Option<OwnedFd>,
    rights: CapabilitySet,
}

/// What a container's root may do to its files.
const CONTAINER_RIGHTS: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::SYS_CHROOT);

/// What is kept of them.
fn rights_within(fence: &Fence) -> CapabilitySet {
    match fence.devices {
        true => CONTAINER_RIGHTS,
        false => CONTAINER_RIGHTS.difference(CapabilitySet::MKNOD),
    }
}

struct Mount {
    tree: OwnedFd,
    /// Relative to the new root.
    at: CString,
    /// Whether the mount needs an empty file as its mount point.
    is_file: bool,
    flags: MountFlags,
}

impl Walls {
    /// Opens the files that will be inside. The program will run as `user`.
    pub(super) fn around(fence: &Fence, user: (u32, u32)) -> Result<Self, SysError> {
        let mut walls = Self {
            folders: Vec::new(),
            links: Vec::new(),
            mounts: Vec::new(),
            limits: vec![
                (Resource::As, fence.memory_bytes),
                (Resource::Core, 0),
                (Resource::Nofile, 1024),
            ],
            user: (Uid::from_raw(user.0), Gid::from_raw(user.1)),
            container: None,
            has_network: fence.network,
        };
        if let Some(cpu) = fence.cpu {
            walls.limits.push((Resource::Cpu, cpu.as_secs().max(1)));
        }
        for path in SYSTEM {
            named(path.as_ref(), walls.add_system(path.as_ref()))?;
        }
        for path in DEVICES {
            let path = Path::new(path);
            let added = File::open(path).and_then(|file| walls.add(path, &file, true));
            named(path, added)?;
        }
        for path in RESOLVING.into_iter().filter(|_| fence.network) {
            // A host without it needs it not.
            if let Ok(file) = File::open(path) {
                named(path.as_ref(), walls.add(path.as_ref(), &file, false))?;
            }
        }
        for path in &fence.folders {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let folder = rustix::fs::open(path, flags, Mode::empty());
            let added = folder
                .map_err(io::Error::from)
                .and_then(|folder| walls.add(path, folder, true));
            named(path, added)?;
        }
        for Fenced { path, file, write } in &fence.files {
            named(path, walls.add(path, file, *write))?;
            if named(path, is_judged_elsewhere(file))? {
                walls.user = (Uid::ROOT, Gid::ROOT);
            }
        }
        Ok(walls)
    }

    /// The same around a container's files; the program will be its root.
    pub(super) fn around_cell(fence: &Fence, cell: &Cell) -> Result<Self, SysError> {
        let mut walls = Self::around(fence, (0, 0))?;
        let rooms = Rooms::prepare(cell, true)?;
        walls.folders.extend(rooms.places());
        if let Some((program, inside)) = &cell.program {
            named(program, walls.add_program(program, inside))?;
        }
        walls.container = Some(Container {
            rooms,
            user_namespace: cell.first_id.map(cell::user_namespace).transpose()?,
            rights: rights_within(fence),
        });
        Ok(walls)
    }

    /// A program that is none of the system's.
    fn add_program(&mut self, path: &Path, inside: &Path) -> io::Result<()> {
        self.add_folders(inside.parent().unwrap_or(inside))?;
        self.mounts.push(Mount {
            tree: clone_of(path, CWD, OpenTreeFlags::empty())?,
            at: inner(inside)?,
            is_file: true,
            flags: MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV,
        });
        Ok(())
    }

    fn add_system(&mut self, path: &Path) -> io::Result<()> {
        let metadata = match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            metadata => metadata?,
        };
        if metadata.is_symlink() {
            let target = std::fs::read_link(path)?;
            self.links.push((text(&target)?, inner(path)?));
            return Ok(());
        }
        let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
        self.folders.push(inner(path)?);
        self.mounts.push(Mount {
            tree: clone_of(path, CWD, OpenTreeFlags::empty())?,
            at: inner(path)?,
            is_file: false,
            flags,
        });
        Ok(())
    }

    fn add(&mut self, path: &Path, file: impl AsFd, write: bool) -> io::Result<()> {
        let stat = rustix::fs::fstat(&file)?;
        let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let mut flags = MountFlags::NOSUID | MountFlags::NOEXEC;
        if !write {
            flags |= MountFlags::RDONLY;
        }
        // Paths below the system's folders exist already.
        let has_place = SYSTEM.iter().any(|folder| path.starts_with(folder));
        if !has_place {
            let folder = if is_folder { Some(path) } else { path.parent() };
            self.add_folders(folder.unwrap_or(path))?;
        }
        self.mounts.push(Mount {
            tree: clone_of(Path::new(""), file, OpenTreeFlags::AT_EMPTY_PATH)?,
            at: inner(path)?,
            is_file: !is_folder && !has_place,
            flags,
        });
        Ok(())
    }

    /// Adds a folder, after those above it.
    fn add_folders(&mut self, path: &Path) -> io::Result<()> {
        let all: Vec<&Path> = path
            .ancestors()
            .filter(|at| at.parent().is_some())
            .collect();
        for folder in all.into_iter().rev() {
            let folder = inner(folder)?;
            if !self.folders.contains(&folder) {
                self.folders.push(folder);
            }
        }
        Ok(())
    }

    /// Puts the calling process inside, for good. It must have one thread, and its own mount and
    /// network namespaces. Makes system calls only and allocates nothing.
    pub(super) fn enter(&self) -> io::Result<()> {
        self.leave_the_old_root()?;
        for (resource, most) in &self.limits {
            let limit = Rlimit {
                current: Some(*most),
                maximum: Some(*most),
            };
            rustix::process::setrlimit(*resource, limit)?;
        }
        self.give_up_rights()
    }

    fn leave_the_old_root(&self) -> io::Result<()> {
        let nothing_comes_in = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        rustix::mount::mount_change(c"/", nothing_comes_in)?;
        let plain = MountFlags::NOSUID | MountFlags::NODEV;
        rustix::mount::mount(c"tmpfs", PLACE, c"tmpfs", plain, Some(ROOT_OPTIONS))?;
        rustix::process::chdir(PLACE)?;
        for folder in &self.folders {
            rustix::fs::mkdir(folder.as_c_str(), Mode::from_raw_mode(0o755))?;
        }
        for (target, link) in &self.links {
            rustix::fs::symlink(target.as_c_str(), link.as_c_str())?;
        }
        for mount in &self.mounts {
            mount.put_up()?;
        }
        if let Some(container) = &self.container {
            container.rooms.put_up()?;
        }
        rustix::process::pivot_root(c".", c".")?;
        rustix::mount::unmount(c".", UnmountFlags::DETACH)?;
        rustix::process::chdir(c"/")?;
        let as_it_is = plain | MountFlags::NOEXEC | MountFlags::RDONLY;
        rustix::mount::mount_remount(c"/", as_it_is | MountFlags::BIND, c"")?;
        Ok(())
    }

    fn give_up_rights(&self) -> io::Result<()> {
        let mut kept = CapabilitySet::DAC_OVERRIDE;
        if let Some(container) = &self.container {
            kept = container.rights;
            if let Some(namespace) = &container.user_namespace {
                let kind = Some(LinkNameSpaceType::User);
                rustix::thread::move_into_link_name_space(namespace.as_fd(), kind)?;
            }
        }
        for capability in CapabilitySet::all().difference(kept).iter() {
            match rustix::thread::remove_capability_from_bounding_set(capability) {
                // The kernel does not know this capability.
                Err(rustix::io::Errno::INVAL) => {}
                removed => removed?,
            }
        }
        let (uid, gid) = self.user;
        rustix::thread::set_keep_capabilities(true)?;
        rustix::thread::set_thread_groups(&[])?;
        rustix::thread::set_thread_res_gid(gid, gid, gid)?;
        rustix::thread::set_thread_res_uid(uid, uid, uid)?;
        let sets = CapabilitySets {
            effective: kept,
            permitted: kept,
            inheritable: kept,
        };
        rustix::thread::set_capabilities(None, sets)?;
        for capability in kept.iter() {
            rustix::thread::configure_capability_in_ambient_set(capability, true)?;
        }
        Ok(rustix::thread::set_no_new_privs(true)?)
    }
}

impl Mount {
    fn put_up(&self) -> io::Result<()> {
        let at = self.at.as_c_str();
        if self.is_file {
            let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
            rustix::fs::open(at, flags, Mode::from_raw_mode(0o600))?;
        }
        let by_descriptor = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        rustix::mount::move_mount(&self.tree, c"", CWD, at, by_descriptor)?;
        rustix::mount::mount_remount(at, self.flags | MountFlags::BIND, c"")?;
        Ok(())
    }
}

/// A detached mount of a path or descriptor.
fn clone_of(path: &Path, at: impl AsFd, how: OpenTreeFlags) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | how;
    Ok(rustix::mount::open_tree(at, path, flags)?)
}

/// Whether a server checks the uid, without regard to capabilities.
fn is_judged_elsewhere(file: impl AsFd) -> io::Result<bool> {
    let found = rustix::fs::fstatfs(file)?.f_type;
    Ok(JUDGED_ELSEWHERE.contains(&(found as u64)))
}

/// An absolute path, as seen from the new root.
fn inner(path: &Path) -> io::Result<CString> {
    let outside = || io::Error::new(io::ErrorKind::InvalidInput, "the path is not absolute");
    text(path.strip_prefix("/").map_err(|_| outside())?)
}

fn text(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

fn named<T>(path: &Path, result: io::Result<T>) -> Result<T, SysError> {
    result.map_err(|source| SysError::io("fence in", path, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_without_devices_takes_nothing_else() {
        assert_eq!(rights_within(&Fence::new(None)), CONTAINER_RIGHTS);
        let kept = rights_within(&Fence::new(None).without_devices());
        assert_eq!(CONTAINER_RIGHTS.difference(kept), CapabilitySet::MKNOD);
        assert!(kept.contains(CapabilitySet::CHOWN));
    }
}
