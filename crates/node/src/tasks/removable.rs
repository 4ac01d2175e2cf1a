//! A storage on a disk that is plugged in and unplugged: a `dir` storage of one node, whose mount
//! point a unit mounts by the id of its file system (docs/disks.md).

use std::path::Path;

use model::{Error, ErrorKind, Record, StorageId};
use serde::{Deserialize, Serialize};
use storage::{StorageConfig, StorageSpec, mount_point};
use store::{Commit, Precondition, Read, StoreError};
use sys::SysError;
use tasks::TaskContext;

use crate::exports::{files_at, is_exported_by};
use crate::host::disks;
use crate::host::mount_units::{self, Mount};
use crate::host::pools::directories::directories;
use crate::records::unreadable;
use crate::{NodeContext, storage_key, volumes_of_guest};

pub(super) type Cx = TaskContext<NodeContext>;

/// Its file systems are on several devices, which have one id.
const OF_SEVERAL: &str = "btrfs";

/// A block device that has the file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Device {
    path: String,
    /// The disk that it is, or is a part of.
    disk: String,
}

/// What is mounted at the storage's mount point.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    Empty,
    /// The file system that belongs there.
    Right,
    /// One whose device is gone.
    Dead(String),
    Other(String),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Removable {
    pub(super) storage: StorageId,
    /// What its unit and its folder are called by.
    name: String,
    /// Of the file system.
    uuid: String,
    kind: String,
    /// What had the file system when the task was planned; none while the disk is unplugged.
    #[serde(default)]
    devices: Vec<Device>,
    /// As its record said before the task.
    pub(super) was_disabled: bool,
    pub(super) was_mounted: bool,
}

impl Removable {
    /// Refuses a storage that is no such one.
    pub(super) async fn find(node: &NodeContext, id: &StorageId) -> Result<Self, Error> {
        let config = node.records.storage(id).await?.config;
        let refused = |why: &str| Error::conflict(format!("storage '{id}' {why}"));
        let point = match &config.spec {
            StorageSpec::Dir(spec) => mount_point(spec.is_mountpoint.as_deref(), &spec.path),
            _ => None,
        };
        let no_mount =
            "is no 'dir' storage with 'is_mountpoint': it may be where nothing is mounted";
        let point = point
            .ok_or_else(|| refused(no_mount))?
            .trim_end_matches('/');
        if config.common.nodes.as_deref() != Some(std::slice::from_ref(&node.name)) {
            let why = format!("is not of node '{}' alone ('nodes')", node.name);
            return Err(refused(&why));
        }
        let units = directories(&node.host).await?;
        let unit = units.into_iter().find(|unit| unit.path == point);
        let name = Path::new(point).file_name().and_then(|name| name.to_str());
        let by_uuid = |device: &str| device.strip_prefix("/dev/disk/by-uuid/").map(str::to_owned);
        let found = unit.zip(name).and_then(|(unit, name)| {
            let uuid = by_uuid(&unit.device)?;
            (mount_units::folder(name) == Path::new(point)).then(|| Self {
                storage: id.clone(),
                name: name.to_owned(),
                uuid,
                kind: unit.kind,
                devices: Vec::new(),
                was_disabled: config.common.disable == Some(true),
                was_mounted: false,
            })
        });
        let no_unit = format!("is at '{point}', which no unit mounts by the id of a file system");
        found.ok_or_else(|| refused(&no_unit))
    }

    fn mount(&self) -> Mount<'_> {
        Mount {
            name: &self.name,
            uuid: &self.uuid,
            kind: &self.kind,
        }
    }

    /// The devices that have the file system now.
    pub(super) async fn find_devices(&self, node: &NodeContext) -> Result<Vec<Device>, Error> {
        let mut found: Vec<Device> = Vec::new();
        for disk in disks::disks(&node.host).await? {
            for block in disk.all() {
                let has_it = block.uuid.as_deref() == Some(&*self.uuid);
                // A device that is made of several disks is listed below each.
                if has_it && !found.iter().any(|known| known.path == block.path) {
                    found.push(Device {
                        path: block.path.clone(),
                        disk: disk.path.clone(),
                    });
                }
            }
        }
        Ok(found)
    }

    /// Notes the devices. Where one disk is a copy of another, it is the one that is mounted.
    pub(super) async fn note_devices(&mut self, node: &NodeContext) -> Result<(), Error> {
        self.devices = self.find_devices(node).await?;
        if !self.has_copies() {
            return Ok(());
        }
        let Some(mounted) = mount_units::mounted(&node.host, &self.name).await? else {
            return Ok(());
        };
        let mut right = None;
        for device in &self.devices {
            if is_from(node, &mounted, device).await? {
                right = Some(device.clone());
            }
        }
        if let Some(device) = right {
            self.devices = vec![device];
        }
        Ok(())
    }

    /// Notes also what is mounted there where `lsblk` does not know its file system.
    pub(super) async fn note_mounted(&mut self, node: &NodeContext) -> Result<(), Error> {
        self.note_devices(node).await?;
        let mounted = mount_units::mounted(&node.host, &self.name).await?;
        let (Some(mounted), true) = (mounted, self.devices.is_empty()) else {
            return Ok(());
        };
        if mounted.source.starts_with("/dev/") && !is_gone(node, &mounted).await? {
            self.devices.push(Device {
                path: mounted.source.clone(),
                disk: mounted.source,
            });
        }
        Ok(())
    }

    fn has_copies(&self) -> bool {
        self.kind != OF_SEVERAL && self.devices.len() > 1
    }

    /// Refuses where its disk is not there, or where a copy of it is, too.
    pub(super) fn check_devices(&self) -> Result<(), Error> {
        if self.devices.is_empty() {
            return Err(self.unplugged());
        }
        if !self.has_copies() {
            return Ok(());
        }
        let (id, uuid) = (&self.storage, &self.uuid);
        let paths: Vec<&str> = self.devices.iter().map(|one| one.path.as_str()).collect();
        let text = format!(
            "file system {uuid} of storage '{id}' is on {}: one is a copy of the other. Unplug the \
             copy, or give it an id of its own",
            paths.join(" and ")
        );
        Err(Error::conflict(text))
    }

    /// The disks to unplug, in words.
    pub(super) fn disks(&self) -> String {
        let mut disks: Vec<&str> = self.devices.iter().map(|one| one.disk.as_str()).collect();
        disks.dedup();
        match disks.is_empty() {
            true => "its disk".to_owned(),
            false => disks.join(" and "),
        }
    }

    pub(super) async fn place(&self, node: &NodeContext) -> Result<Place, Error> {
        let Some(mounted) = mount_units::mounted(&node.host, &self.name).await? else {
            return Ok(Place::Empty);
        };
        for device in &self.devices {
            if is_from(node, &mounted, device).await? {
                return Ok(Place::Right);
            }
        }
        let is_dead = is_gone(node, &mounted).await?;
        Ok(match is_dead {
            true => Place::Dead(mounted.source),
            false => Place::Other(mounted.source),
        })
    }

    pub(super) fn taken(&self, by: &str) -> Error {
        let (id, point) = (&self.storage, mount_units::folder(&self.name));
        let text = format!(
            "'{by}' is mounted at '{}' of storage '{id}'",
            point.display()
        );
        Error::conflict(text)
    }

    /// Mounts the file system, in the place of one whose disk is gone.
    pub(super) async fn take_place(&self, cx: &Cx) -> Result<(), Error> {
        loop {
            match self.place(&cx.node).await? {
                Place::Right => return Ok(()),
                Place::Empty => return Ok(self.mount().mount(cx).await?),
                Place::Other(by) => return Err(self.taken(&by)),
                Place::Dead(by) => {
                    let text = format!("'{by}' is gone and is still mounted: it is unmounted");
                    cx.log(&text).await;
                    mount_units::unmount_lazily(cx, &self.name).await?;
                }
            }
        }
    }

    /// Whether something still has a device of it: a copy of the mount in another namespace, another
    /// mount, a device that is made of it. One that was pulled is free.
    pub(super) async fn is_free(&self, node: &NodeContext) -> Result<bool, Error> {
        for device in &self.devices {
            match node.host.is_device_free(Path::new(&device.path)).await {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    pub(super) fn in_use(&self) -> Error {
        let text = format!(
            "the disk of storage '{}' is still in use: a container or a task that began before has it",
            self.storage
        );
        Error::conflict(text)
    }

    /// Whether nothing new may use it. One that was removed is used by nothing.
    pub(super) async fn is_disabled(&self, node: &NodeContext) -> Result<bool, Error> {
        match node.records.storage(&self.storage).await {
            Ok(entry) => Ok(entry.config.common.disable == Some(true)),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn unplugged(&self) -> Error {
        let (id, uuid) = (&self.storage, &self.uuid);
        let text =
            format!("the disk of storage '{id}', with file system {uuid}, is not plugged in");
        Error::conflict(text)
    }

    pub(super) async fn is_mounted(&self, cx: &Cx) -> Result<bool, Error> {
        Ok(mount_units::is_mounted(cx, &self.name).await?)
    }

    pub(super) async fn mount_it(&self, cx: &Cx) -> Result<(), SysError> {
        match mount_units::is_mounted(cx, &self.name).await? {
            true => Ok(()),
            false => self.mount().mount(cx).await,
        }
    }

    pub(super) async fn unmount(&self, cx: &Cx) -> Result<(), SysError> {
        mount_units::unmount(cx, &self.name).await
    }

    pub(super) async fn sync(&self, cx: &Cx) -> Result<(), SysError> {
        mount_units::sync(cx, &self.name).await
    }

    /// Refuses while another storage has its folder on the disk.
    async fn check_alone(&self, node: &NodeContext) -> Result<(), Error> {
        let point = mount_units::folder(&self.name);
        for entry in node.records.storages().await? {
            let (config, id) = (&entry.config, entry.config.id());
            let is_exported = is_exported_by(&config.spec, &node.name);
            if *id == self.storage || !(is_exported || config.is_enabled_on(&node.name)) {
                continue;
            }
            let path = files_at(&config.spec, &node.name);
            if let Some(path) = path.filter(|path| Path::new(path).starts_with(&point)) {
                if is_exported {
                    return Err(still_exported(node, id, path).await?);
                }
                let text =
                    format!("storage '{id}' is on the same disk, at '{path}': disable it first");
                return Err(Error::conflict(text));
            }
        }
        Ok(())
    }

    /// Refuses while another storage is there, or a guest that has volumes there runs or is worked on.
    pub(super) async fn check_unused(&self, node: &NodeContext) -> Result<(), Error> {
        self.check_alone(node).await?;
        for guest in node.records.guests().await? {
            let guest = guest?;
            let mut volumes = volumes_of_guest(&guest).into_iter();
            let Some(volume) = volumes.find(|volume| *volume.storage() == self.storage) else {
                continue;
            };
            let vmid = guest.vmid;
            if guest.node == node.name && node.running.is_running(vmid).await? {
                let text = format!("guest {vmid} runs and has volume '{volume}'");
                return Err(Error::conflict(text));
            }
            if let Some(busy) = &guest.busy {
                let text = format!("task {} works on guest {vmid} with '{volume}'", busy.upid);
                return Err(Error::conflict(text));
            }
        }
        Ok(())
    }

    /// Whether new work may use the storage.
    pub(super) async fn disable(&self, cx: &Cx, is_disabled: bool) -> Result<(), Error> {
        set_disabled(cx, &self.storage, is_disabled).await
    }
}

/// What an export in the way of a disk's removal is refused with: its guests, or else itself. They have
/// their disks there from any node, and whether it is enabled or not.
pub(super) async fn still_exported(
    node: &NodeContext,
    id: &StorageId,
    path: &str,
) -> Result<Error, Error> {
    let mut using = Vec::new();
    for guest in node.records.guests().await? {
        let guest = guest?;
        let mut volumes = volumes_of_guest(&guest).into_iter();
        if let Some(volume) = volumes.find(|volume| volume.storage() == id) {
            using.push(format!("guest {} has volume '{volume}'", guest.vmid));
        }
    }
    let what = format!("storage '{id}' is there, at '{path}', and exported to other nodes");
    Ok(Error::conflict(match using.is_empty() {
        true => format!("{what}: take it back first (ostler storage unexport {id})"),
        false => format!("{what}: {}", using.join(", ")),
    }))
}

/// Whether new work may use a storage. Nothing where it was removed meanwhile.
pub(super) async fn set_disabled(cx: &Cx, id: &StorageId, is_disabled: bool) -> Result<(), Error> {
    let (store, key) = (cx.node.records.store(), storage_key(id));
    loop {
        let (entry, _) = store.get(&key, Read::Linear).await?;
        let Some(entry) = entry else {
            return Ok(());
        };
        let mut record = Record::<StorageConfig>::decode(&entry.value).map_err(unreadable)?;
        let disable = &mut record.data.common.disable;
        if (*disable == Some(true)) == is_disabled {
            return Ok(());
        }
        *disable = is_disabled.then_some(true);
        let commit = Commit::new()
            .when(Precondition::ModifiedAt(key.clone(), entry.modified))
            .put(key.clone(), record.encode().map_err(unreadable)?);
        match store.commit(commit).await {
            Err(StoreError::Conflict { .. }) => {}
            result => {
                cx.committed(result?.0);
                return Ok(());
            }
        }
    }
}

/// Whether a mount is of this device.
async fn is_from(node: &NodeContext, mounted: &sys::Mount, device: &Device) -> Result<bool, Error> {
    let number = match mounted.number {
        (0, _) => number_of(node, &mounted.source).await?,
        number => Some(number),
    };
    Ok(number.is_some() && number == number_of(node, &device.path).await?)
}

/// None of what is no block device, or is not there.
async fn number_of(node: &NodeContext, path: &str) -> Result<Option<(u32, u32)>, Error> {
    match node.host.device_number(Path::new(path)).await {
        Ok(Some(number)) if number.is_block => Ok(Some((number.major, number.minor))),
        Ok(_) => Ok(None),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether the device of a mount was pulled.
async fn is_gone(node: &NodeContext, mounted: &sys::Mount) -> Result<bool, Error> {
    let path = match mounted.number {
        (0, _) if !mounted.source.starts_with("/dev/") => return Ok(false),
        (0, _) => mounted.source.clone(),
        (major, minor) => format!("/sys/dev/block/{major}:{minor}"),
    };
    Ok(node.host.stat(Path::new(&path)).await?.is_none())
}
