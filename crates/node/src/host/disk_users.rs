//! Who uses a disk or a partition: what must not be written to, and why.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use model::{Error, ErrorKind, GuestRecord, PendingChange, VmId};
use serde::{Deserialize, Serialize};

use super::disks::{self, Block};
use super::facts::Facts;
use super::pools::{lvm, zfs};
use crate::NodeContext;

/// What of a node's own system is on a disk.
const SYSTEM: [&str; 3] = ["/", "/boot", "/boot/efi"];

/// A disk, or a partition of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub disk: Block,
    /// The partition, if it is one.
    pub part: Option<Block>,
    /// All disks of the node.
    all: Vec<Block>,
}

/// Which disk or partition was looked at: a name like `/dev/sdb` can be another disk's after a
/// restart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    pub path: String,
    serial: Option<String>,
    wwn: Option<String>,
    /// In bytes, of the disk.
    disk_bytes: u64,
    bytes: u64,
    /// What its partition was marked as before.
    pub parttype: Option<String>,
}

/// A use that must not be broken.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// The disk, the partition or what lies in it.
    pub device: String,
    pub how: How,
}

#[derive(Debug, Clone, PartialEq)]
pub enum How {
    Mounted(String),
    Swap,
    /// A device that is made of it.
    Holder(String),
    Group(String),
    Pool(String),
    Guest(VmId, String),
    /// It is on the disk that this node runs from.
    System,
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let device = &self.device;
        match &self.how {
            How::Mounted(at) => write!(f, "{device} is mounted at {at}"),
            How::Swap => write!(f, "{device} is swap"),
            How::Holder(holder) => write!(f, "{device} is a part of {holder}"),
            How::Group(name) => write!(f, "{device} is in the LVM volume group {name}"),
            How::Pool(name) => write!(f, "{device} is in the ZFS pool {name}"),
            How::Guest(vmid, option) => write!(f, "{device} is {option} of guest {vmid}"),
            How::System => write!(f, "this node runs from {device}"),
        }
    }
}

impl Found {
    pub fn block(&self) -> &Block {
        self.part.as_ref().unwrap_or(&self.disk)
    }

    pub fn target(&self) -> Target {
        Target {
            path: self.block().path.clone(),
            serial: self.disk.serial.clone(),
            wwn: self.disk.wwn.clone(),
            disk_bytes: self.disk.size,
            bytes: self.block().size,
            parttype: self.block().parttype.clone(),
        }
    }
}

/// Finds a disk or partition of this node by one of its names.
pub async fn find(node: &NodeContext, name: &str) -> Result<Found, Error> {
    let invalid = || Error::conflict("not a valid block device");
    if !name.starts_with("/dev/") {
        return Err(invalid());
    }
    let path = node.host.resolve(Path::new(name)).await;
    let path = path.map_err(|error| match error.is_not_found() {
        true => invalid(),
        false => error.into(),
    })?;
    let path = path.display().to_string();
    let found = look(node, &path).await?;
    found.ok_or_else(|| Error::conflict(format!("'{path}' is not a valid local disk")))
}

async fn look(node: &NodeContext, path: &str) -> Result<Option<Found>, Error> {
    let mut all = disks::disks(&node.host).await?;
    let is_it = |disk: &Block| {
        let mut parts = disk.partitions();
        disk.path == path || parts.any(|part| part.path == path)
    };
    for disk in all.iter_mut().filter(|disk| is_it(disk)) {
        disks::probe(&node.host, disk).await?;
    }
    for disk in &all {
        let part = disk.partitions().find(|part| part.path == path);
        if disk.path == path || part.is_some() {
            return Ok(Some(Found {
                part: part.cloned(),
                disk: disk.clone(),
                all: all.clone(),
            }));
        }
    }
    Ok(None)
}

impl Target {
    /// The same disk or partition as it is now; none if it is gone, or another has its name.
    pub async fn find(&self, node: &NodeContext) -> Result<Option<Found>, Error> {
        let found = look(node, &self.path).await?;
        Ok(found.filter(|found| {
            let now = found.target();
            now.serial == self.serial
                && now.wwn == self.wwn
                && now.disk_bytes == self.disk_bytes
                && now.bytes == self.bytes
        }))
    }
}

/// Who uses a disk or partition. What only lies there, without a user, is not listed.
pub async fn users(node: &NodeContext, found: &Found) -> Result<Vec<User>, Error> {
    let block = found.block();
    let mut users = Vec::new();
    for part in block.all() {
        mounts(part, found, &mut users);
    }
    members(node, block, &mut users).await?;
    system(node, found, &mut users).await?;
    guests(node, found, &mut users).await?;
    Ok(users)
}

/// Refuses a disk or partition that anything lies on.
pub async fn check_unused(node: &NodeContext, found: &Found) -> Result<(), Error> {
    let path = &found.block().path;
    let users = users(node, found).await?;
    let used = found.block().used();
    let why = users.first().map(ToString::to_string).or(used);
    match why {
        None => Ok(()),
        Some(why) => {
            let text = format!("device '{path}' is already in use ({why})");
            Err(Error::conflict(text))
        }
    }
}

/// Refuses a disk or partition with a user; without one, all that lies there may go.
pub async fn check_wipeable(node: &NodeContext, found: &Found) -> Result<(), Error> {
    let users = users(node, found).await?;
    let Some(user) = users.first() else {
        return Ok(());
    };
    let device = &user.device;
    let text = match &user.how {
        How::Mounted(at) => format!("disk/partition '{device}' is mounted ({at})"),
        How::Swap => format!("disk/partition '{device}' is mounted (swap)"),
        How::Holder(holder) => format!("disk/partition '{device}' has a holder ({holder})"),
        _ => format!("disk/partition '{}' is in use: {user}", found.block().path),
    };
    Err(Error::conflict(text))
}

/// What a check refuses, if it could look: what it could not look at decides nothing.
pub fn refusal(checked: Result<(), Error>) -> Result<Option<String>, Error> {
    match checked {
        Err(error) if error.kind == ErrorKind::Conflict => Ok(Some(error.to_string())),
        result => result.map(|()| None),
    }
}

/// Mounts of one block device, and devices that are made of it.
fn mounts(block: &Block, found: &Found, users: &mut Vec<User>) {
    let device = block.path.clone();
    let mut add = |how| {
        let device = device.clone();
        users.push(User { device, how });
    };
    match block.mountpoint.as_deref() {
        Some("[SWAP]") => add(How::Swap),
        Some(at) => add(How::Mounted(at.to_owned())),
        None => {}
    }
    for holder in block.children.iter().filter(|child| child.kind != "part") {
        add(How::Holder(holder.path.clone()));
    }
    // A file system of several disks is shown as mounted at one of them only.
    if block.fstype.as_deref() == Some("btrfs") && block.mountpoint.is_none() {
        let everything = found.all.iter().flat_map(Block::all);
        let same = |other: &&Block| other.uuid.is_some() && other.uuid == block.uuid;
        let mut others = everything.filter(same);
        if let Some(at) = others.find_map(|other| other.mountpoint.clone()) {
            add(How::Mounted(at));
        }
    }
}

/// Volume groups and pools that it is a part of.
async fn members(node: &NodeContext, block: &Block, users: &mut Vec<User>) -> Result<(), Error> {
    let holds = |kind: &str| {
        let mut all = block.all().into_iter();
        all.any(|part| part.fstype.as_deref() == Some(kind))
    };
    let mut joined = Vec::new();
    if holds("LVM2_member") {
        let groups = lvm::groups(&node.host).await?;
        for group in groups {
            let name = group.name;
            let disks = group.disks.into_iter();
            joined.extend(disks.map(|disk| (disk.path, How::Group(name.clone()))));
        }
    }
    if holds("zfs_member") {
        let members = zfs::members(&node.host).await?;
        let members = members.into_iter();
        joined.extend(members.map(|(pool, path)| (path, How::Pool(pool))));
    }
    let parts = block.all();
    for (path, how) in joined {
        if parts.iter().any(|part| part.path == path) {
            users.push(User { device: path, how });
        }
    }
    Ok(())
}

/// No partition of the disk with the node's system is anyone's to change, mounted or not.
async fn system(node: &NodeContext, found: &Found, users: &mut Vec<User>) -> Result<(), Error> {
    let mut is_system = found.disk.all().into_iter().any(|part| {
        let at = part.mountpoint.as_deref();
        at.is_some_and(|at| SYSTEM.contains(&at))
    });
    if !is_system {
        let text = Facts::new(node.host.clone()).text("/proc/mounts").await;
        if let Some(pool) = root_pool(&text) {
            let members = zfs::members(&node.host).await?;
            let parts = found.disk.all();
            is_system = members
                .iter()
                .any(|(name, path)| name == pool && parts.iter().any(|part| part.path == *path));
        }
    }
    if is_system {
        users.push(User {
            device: found.disk.path.clone(),
            how: How::System,
        });
    }
    Ok(())
}

/// The pool of ZFS that the root file system is in.
fn root_pool(mounts: &str) -> Option<&str> {
    let rows = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    let mut roots = rows.filter(|row| row.get(1) == Some(&"/") && row.get(2) == Some(&"zfs"));
    roots.next()?.first()?.split('/').next()
}

/// Guests of this node that are given the device itself.
async fn guests(node: &NodeContext, found: &Found, users: &mut Vec<User>) -> Result<(), Error> {
    let parts = found.block().all();
    let paths: BTreeSet<&str> = parts
        .iter()
        .map(|part| part.path.as_str())
        .chain([found.disk.path.as_str()])
        .collect();
    for guest in node.records.guests().await? {
        let guest = guest?;
        if guest.node != node.name {
            continue;
        }
        for (option, device) in devices(&guest) {
            // A device that is gone is no disk of this node.
            let Ok(path) = node.host.resolve(Path::new(&device)).await else {
                continue;
            };
            let path = path.display().to_string();
            if paths.contains(path.as_str()) {
                users.push(User {
                    device: path,
                    how: How::Guest(guest.vmid, option),
                });
            }
        }
    }
    Ok(())
}

/// The devices of the host that a guest names: now, in what is pending, and in snapshots.
fn devices(guest: &GuestRecord) -> Vec<(String, String)> {
    let pending = guest
        .pending
        .iter()
        .filter_map(|(name, change)| match change {
            PendingChange::Set(value) => Some((name, value)),
            PendingChange::Delete { .. } => None,
        });
    let snapshots = guest.snapshots.values();
    let snapshots = snapshots.flat_map(|snapshot| snapshot.config.0.iter());
    let all = guest.config.0.iter().chain(pending).chain(snapshots);
    all.filter_map(|(name, value)| {
        let first = value.as_str()?.split(',').next()?;
        let path = first.strip_prefix("file=").unwrap_or(first);
        let path = path.strip_prefix("volume=").unwrap_or(path);
        let device = path.starts_with("/dev/").then(|| path.to_owned())?;
        Some((name.clone(), device))
    })
    .collect()
}
