//! A storage on a disk that is plugged in and unplugged: a `dir` storage of one node, whose mount
//! point a unit mounts by the id of its file system (docs/disks.md).

use std::path::Path;

use model::{Error, Record, StorageId};
use serde::{Deserialize, Serialize};
use storage::{StorageConfig, StorageSpec, mount_point};
use store::{Commit, Precondition, Read, StoreError};
use tasks::TaskContext;

use crate::host::disks::{self, Block};
use crate::host::mount_units::{self, Mount};
use crate::host::pools::directories::directories;
use crate::records::unreadable;
use crate::{NodeContext, storage_key, volumes_of_guest};

pub(super) type Cx = TaskContext<NodeContext>;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Removable {
    pub(super) storage: StorageId,
    /// What its unit and its folder are called by.
    name: String,
    /// Of the file system.
    uuid: String,
    kind: String,
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

    /// The disk that has the file system; none while it is unplugged.
    pub(super) async fn disk(&self, node: &NodeContext) -> Result<Option<String>, Error> {
        let all = disks::disks(&node.host).await?;
        let has_it = |disk: &&Block| {
            let mut blocks = disk.all().into_iter();
            blocks.any(|block| block.uuid.as_deref() == Some(&self.uuid))
        };
        Ok(all.iter().find(has_it).map(|disk| disk.path.clone()))
    }

    pub(super) fn unplugged(&self) -> Error {
        let (id, uuid) = (&self.storage, &self.uuid);
        let text =
            format!("the disk of storage '{id}', with file system {uuid}, is not plugged in");
        Error::conflict(text)
    }

    pub(super) async fn is_mounted(&self, cx: &Cx) -> Result<bool, Error> {
        Ok(mount_units::is_mounted(cx, &self.name).await?)
    }

    pub(super) async fn mount_it(&self, cx: &Cx) -> Result<(), Error> {
        match self.is_mounted(cx).await? {
            true => Ok(()),
            false => Ok(self.mount().mount(cx).await?),
        }
    }

    pub(super) async fn unmount(&self, cx: &Cx) -> Result<(), Error> {
        Ok(mount_units::unmount(cx, &self.name).await?)
    }

    /// Refuses while a guest that has volumes there runs, or is worked on.
    pub(super) async fn check_unused(&self, node: &NodeContext) -> Result<(), Error> {
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
        let (store, key) = (cx.node.records.store(), storage_key(&self.storage));
        loop {
            let (entry, _) = store.get(&key, Read::Linear).await?;
            // One that was removed meanwhile is used by nothing.
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
}
