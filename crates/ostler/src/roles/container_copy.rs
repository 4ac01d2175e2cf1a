//! `ostler container-copy`: one file into a running container, or out of it. `pct` runs it, as root
//! of the host.
//!
//! It enters the container's mounts and user namespace before it touches a path, and nothing else of
//! it: the container cannot see this process, nor reach the host's program through it. Links lead
//! to the container's own files. A file is opened only when it is known to be a regular one, so that
//! a pipe does not make it wait and a device is not touched.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use model::VmId;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::thread::{CapabilitySet, CapabilitySets, LinkNameSpaceType};
use serde::{Deserialize, Serialize};

use super::container_files::target_of;
use crate::new_file::{NewFile, Wanted, check_links, open_regular, own_descriptors};

/// No list of users is larger.
const LARGEST: u64 = 4 << 20;

/// What the container's root may do to its files.
const RIGHTS: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID);

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CopyOrder {
    pub(crate) vmid: VmId,
    /// The host's id of the container's first process.
    pub(crate) init: u32,
    pub(crate) direction: Direction,
    /// The file in the container.
    pub(crate) path: String,
    pub(crate) attributes: Attributes,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Direction {
    /// Standard input becomes the file.
    Push,
    /// The file goes to standard output.
    Pull,
}

/// As they are given: users and groups by name or number.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Attributes {
    pub(crate) user: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) mode: Option<u32>,
}

impl Attributes {
    /// With the names of the system that this process sees.
    pub(crate) fn looked_up(&self, descriptors: BorrowedFd<'_>) -> Result<Wanted> {
        let id = |what, list, name: &Option<String>| {
            let name = name.as_deref();
            name.map(|name| id_of(descriptors, what, list, name))
                .transpose()
        };
        Ok(Wanted {
            user: id("user", "/etc/passwd", &self.user)?,
            group: id("group", "/etc/group", &self.group)?,
            mode: self.mode,
        })
    }
}

fn id_of(descriptors: BorrowedFd<'_>, what: &str, list: &str, name: &str) -> Result<u32> {
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    let mut text = Vec::new();
    let file = open_regular(descriptors, Path::new(list));
    file?.take(LARGEST).read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let found = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?
    });
    found.with_context(|| format!("{what} '{name}' is not in {list}"))
}

pub(crate) fn container_copy(order: &str) -> ExitCode {
    let done = || -> Result<()> {
        let order = serde_json::from_str(order).context("reading the order")?;
        carry_out(&order)
    };
    match done() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(order: &CopyOrder) -> Result<()> {
    // The container's own list of descriptors has none of this process.
    let descriptors = own_descriptors()?;
    enter(order).with_context(|| format!("entering container '{}'", order.vmid))?;
    let descriptors = descriptors.as_fd();
    let path = Path::new(&order.path);
    match order.direction {
        Direction::Pull => {
            let mut file = open_regular(descriptors, path)?;
            let mut output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
            let copied = io::copy(&mut file, &mut output);
            copied.with_context(|| format!("copying '{}'", order.path))?;
        }
        Direction::Push => {
            let wanted = order.attributes.looked_up(descriptors)?;
            check_links(path).with_context(|| format!("opening '{}'", order.path))?;
            let target = target_of(&order.path)?;
            let new = NewFile::begin(&target)?;
            let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
            let written = io::copy(&mut input, &mut new.file());
            written.with_context(|| format!("writing '{}'", order.path))?;
            let placed = new.finish(descriptors, wanted);
            placed.with_context(|| format!("placing '{}'", order.path))?;
        }
    }
    Ok(())
}

/// Becomes the container's root, as far as its files go.
fn enter(order: &CopyOrder) -> Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let path = format!("/proc/{}", order.init);
    let process = rustix::fs::openat(CWD, &path, flags, Mode::empty())?;
    // The number may be another process's by now, or LXC's own.
    if !is_payload(&text_of(&process, "cgroup")?, order.vmid) {
        bail!("it has ended");
    }
    if !is_first(&text_of(&process, "status")?) {
        bail!("it is starting or ending");
    }
    let host = root()?;
    let (user, mounts) = (part(&process, "ns/user")?, part(&process, "ns/mnt")?);
    if is_own(&mounts, "mnt")? {
        bail!("it has no mounts of its own");
    }
    if !is_own(&user, "user")? {
        move_into(&user, LinkNameSpaceType::User)?;
    }
    move_into(&mounts, LinkNameSpaceType::Mount)?;
    // Its mounts begin as a copy of the host's, with the host's files as the root.
    if root()? == host {
        bail!("it has not entered its files yet");
    }
    rustix::thread::set_thread_groups(&[])?;
    let (uid, gid) = (rustix::process::Uid::ROOT, rustix::process::Gid::ROOT);
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    let rights = CapabilitySets {
        effective: RIGHTS,
        permitted: RIGHTS,
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, rights)?;
    Ok(rustix::thread::set_no_new_privs(true)?)
}

/// Which folder `/` is.
fn root() -> io::Result<impl PartialEq> {
    let root = rustix::fs::stat("/")?;
    Ok((root.st_dev, root.st_ino))
}

/// Whether a process belongs to the container itself, not to LXC's monitor of it.
fn is_payload(groups: &str, vmid: VmId) -> bool {
    groups.contains(&format!("/guest-{vmid}/payload"))
}

/// Whether a process is the first of a process namespace below this one.
fn is_first(status: &str) -> bool {
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let ids: Vec<&str> = ids.unwrap_or_default().split_whitespace().collect();
    ids.len() > 1 && ids.last() == Some(&"1")
}

fn text_of(process: &OwnedFd, name: &str) -> io::Result<String> {
    let mut text = String::new();
    File::from(part(process, name)?).read_to_string(&mut text)?;
    Ok(text)
}

fn part(process: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(process, name, flags, Mode::empty())?)
}

fn is_own(namespace: &OwnedFd, kind: &str) -> io::Result<bool> {
    let own = rustix::fs::stat(format!("/proc/self/ns/{kind}"))?;
    let other = rustix::fs::fstat(namespace)?;
    Ok((own.st_dev, own.st_ino) == (other.st_dev, other.st_ino))
}

fn move_into(namespace: &OwnedFd, kind: LinkNameSpaceType) -> io::Result<()> {
    rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(kind))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monitor_of_a_container_is_not_entered() {
        let vmid = VmId::new(100).unwrap();
        let groups = |of: &str| format!("4:memory:/ostler/guest-{of}\n1:cpu:/ostler/guest-{of}\n");
        assert!(is_payload(&groups("100/payload"), vmid));
        assert!(is_payload(&groups("100/payload/init.scope"), vmid));
        assert!(!is_payload(&groups("100/monitor"), vmid));
        assert!(!is_payload(&groups("1001/payload"), vmid));
        assert!(!is_payload(&groups("100"), vmid));
    }

    #[test]
    fn only_the_first_process_of_a_container_is_entered() {
        let status = |ids: &str| format!("Name:\tx\nNStgid:\t{ids}\nNSpid:\t{ids}\nVmPeak:\t1\n");
        assert!(is_first(&status("4711\t1")));
        assert!(is_first(&status("4711\t52\t1")));
        // `lxc-start` itself, and the host's first.
        assert!(!is_first(&status("4711")));
        assert!(!is_first(&status("1")));
        assert!(!is_first(&status("4712\t7")));
        assert!(!is_first("Name:\tx\n"));
    }
}
