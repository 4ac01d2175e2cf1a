//! What the tasks share that make an export and take it back: its folder and its record.

use std::io;
use std::path::Path;
use std::pin::Pin;

use model::{Error, Record, StorageId};
use storage::{Exporter, NfsSpec, StorageConfig, StorageSpec};
use store::{Commit, Precondition, StoreError};
use sys::{Command, FileKind, Mounts, SharedHost, SysError};
use tasks::TaskContext;

use super::disk_storage::read;
use crate::exports::place::{MARK, is_marked};
use crate::host::disk_writes::{or_left, run};
use crate::records::unreadable;
use crate::{NodeContext, storage_key};

pub(super) type Cx = TaskContext<NodeContext>;

/// The storage of an export, with what its record says of it.
pub(super) struct Exported<'a> {
    pub(super) config: &'a StorageConfig,
    pub(super) spec: &'a NfsSpec,
    pub(super) exporter: &'a Exporter,
}

impl<'a> Exported<'a> {
    /// None of a storage that Ostler does not export.
    pub(super) fn of(config: &'a StorageConfig) -> Option<Self> {
        match &config.spec {
            StorageSpec::Nfs(spec) => Some(Self {
                config,
                spec,
                exporter: spec.exporter.as_ref()?,
            }),
            _ => None,
        }
    }

    pub(super) fn id(&self) -> &StorageId {
        self.config.id()
    }

    pub(super) fn folder(&self) -> &Path {
        Path::new(&self.spec.export)
    }

    /// Makes the folder, or the dataset with its mount point. May be repeated.
    pub(super) async fn make(&self, cx: &Cx, is_nocow: bool) -> Result<(), Error> {
        let folder = &self.spec.export;
        let Some(dataset) = &self.exporter.dataset else {
            cx.node.host.create_dir(self.folder(), 0o755).await?;
            self.check_place(cx).await?;
            if is_nocow {
                run(cx, Command::new("chattr").args(["+C", folder])).await?;
            }
            return Ok(());
        };
        let is_ours = is_marked(&cx.node, dataset, &self.exporter.fsid).await?;
        if is_ours == Some(false) {
            return Err(Error::conflict(format!(
                "dataset '{dataset}' exists already"
            )));
        }
        if is_ours.is_none() {
            // Writes that a client waits for are on the disk, whatever the pool says.
            let set = [
                format!("mountpoint={folder}"),
                "canmount=on".to_owned(),
                "sync=standard".to_owned(),
                "atime=off".to_owned(),
                // A pool that is shared would share it too, with everybody.
                "sharenfs=off".to_owned(),
                "sharesmb=off".to_owned(),
                format!("{MARK}={}", self.exporter.fsid),
            ];
            let options = set.iter().flat_map(|pair| ["-o", pair]);
            let create = Command::new("zfs").arg("create").args(options);
            run(cx, create.arg(dataset)).await?;
        }
        if !self.is_mounted(&cx.node.host).await? {
            run(cx, Command::new("zfs").args(["mount", dataset])).await?;
        }
        self.check_place(cx).await
    }

    /// Refuses a folder that is elsewhere than it was planned: what is exported is the file system
    /// that has it.
    async fn check_place(&self, cx: &Cx) -> Result<(), Error> {
        let planned = &self.exporter.mount_point;
        let is_itself = self.is_itself(&cx.node.host).await?;
        if is_itself && self.is_on(&cx.node.host, planned).await? {
            return Ok(());
        }
        Err(Error::conflict(format!(
            "'{}' leads elsewhere than to the file system at '{planned}'",
            self.spec.export
        )))
    }

    /// Whether no part of its path is a link.
    async fn is_itself(&self, host: &SharedHost) -> Result<bool, SysError> {
        match host.resolve(self.folder()).await {
            Err(error) if error.is_not_found() => Ok(false),
            found => Ok(found? == self.folder()),
        }
    }

    async fn is_mounted(&self, host: &SharedHost) -> Result<bool, SysError> {
        let mounts = Mounts::read(host).await?;
        Ok(mounts.at(&self.exporter.mount_point).is_some())
    }

    /// Whether the folder is on the file system that is mounted at `point`.
    async fn is_on(&self, host: &SharedHost, point: &str) -> Result<bool, SysError> {
        let mounts = Mounts::read(host).await?;
        let mount = mounts.covering(&self.spec.export);
        Ok(mount.is_some_and(|mount| mount.point == point))
    }

    /// Removes the folder or dataset that was made, unless something is in it. `is_new`: nothing can
    /// be, where it is not mounted.
    pub(super) async fn remove(&self, cx: &Cx, is_new: bool) -> Result<(), Error> {
        let host = &cx.node.host;
        if let Some(dataset) = &self.exporter.dataset {
            let is_ours = is_marked(&cx.node, dataset, &self.exporter.fsid).await?;
            if is_ours == Some(true) {
                let is_empty = match self.is_mounted(host).await? {
                    true => is_empty(host, self.folder()).await?,
                    false => is_new,
                };
                if !is_empty {
                    return self.leave(cx, dataset).await;
                }
                let destroy = Command::new("zfs").args(["destroy", dataset]);
                or_left(cx, run(cx, destroy)).await?;
                if self.is_mounted(host).await? {
                    return Ok(());
                }
            } else if is_ours.is_some() {
                // It is another's by now.
                return Ok(());
            }
        }
        if !self.is_itself(host).await? {
            return Ok(());
        }
        // Below a file system that is not mounted any more is a folder of another one.
        let is_there = self.is_on(host, &self.exporter.mount_point).await?;
        if self.exporter.dataset.is_none() && !is_there {
            return self.leave(cx, &self.spec.export).await;
        }
        if !is_empty(host, self.folder()).await? {
            return self.leave(cx, &self.spec.export).await;
        }
        match remove_folders(host, self.folder()).await {
            Err(error) if is_busy(&error) => {
                let why = Error::chain(&error);
                cx.warn(&format!("left as it is: {why}")).await;
                Ok(())
            }
            removed => Ok(removed?),
        }
    }

    /// Removes the folder above, which was made with it.
    pub(super) async fn remove_parent(&self, cx: &Cx) -> Result<(), Error> {
        if let Some(parent) = self.folder().parent() {
            cx.node.host.remove_dir(parent).await?;
        }
        Ok(())
    }

    async fn leave(&self, cx: &Cx, what: &str) -> Result<(), Error> {
        cx.warn(&format!(
            "'{what}' is left as it is: it has files, or is not mounted"
        ))
        .await;
        Ok(())
    }

    /// Whether its record is there, as it is or changed since.
    pub(super) async fn is_recorded(&self, node: &NodeContext) -> Result<bool, Error> {
        let found = read(node, self.id()).await?;
        Ok(found.is_some_and(|(config, _)| self.is_same(&config)))
    }

    fn is_same(&self, other: &StorageConfig) -> bool {
        let other = other.spec.exporter();
        other.is_some_and(|other| other.fsid == self.exporter.fsid)
    }

    /// Writes the record of a new storage that nothing uses yet.
    pub(super) async fn record(&self, cx: &Cx) -> Result<(), Error> {
        let key = storage_key(self.id());
        let mut config = self.config.clone();
        config.common.disable = Some(true);
        let record = Record::new(config).encode().map_err(unreadable)?;
        let commit = Commit::new()
            .when(Precondition::Absent(key.clone()))
            .put(key, record);
        match cx.node.records.store().commit(commit).await {
            // It may be ours, of an attempt whose answer was lost.
            Err(StoreError::Conflict { .. }) if self.is_recorded(&cx.node).await? => Ok(()),
            Err(StoreError::Conflict { .. }) => Err(defined(self.id())),
            result => {
                cx.committed(result?.0);
                Ok(())
            }
        }
    }

    /// Deletes the record, and has the server forget the export.
    pub(super) async fn forget(&self, cx: &Cx) -> Result<(), Error> {
        let (store, key) = (cx.node.records.store(), storage_key(self.id()));
        while let Some((config, at)) = read(&cx.node, self.id()).await? {
            if !self.is_same(&config) {
                break;
            }
            let commit = Commit::new()
                .when(Precondition::ModifiedAt(key.clone(), at))
                .delete(key.clone());
            match store.commit(commit).await {
                Err(StoreError::Conflict { .. }) => {}
                result => {
                    cx.committed(result?.0);
                    break;
                }
            }
        }
        if let Some(why) = cx.node.serve_exports().await? {
            cx.warn(&format!(
                "the server still exports it, which is tried again: {why}"
            ))
            .await;
        }
        Ok(())
    }
}

pub(super) fn defined(id: &StorageId) -> Error {
    Error::conflict(format!("storage ID '{id}' already defined"))
}

/// Something is mounted there, or has it open.
fn is_busy(error: &SysError) -> bool {
    matches!(error, SysError::Io { source, .. } if source.kind() == io::ErrorKind::ResourceBusy)
}

/// Whether there is no file in a folder, only folders.
fn is_empty<'a>(
    host: &'a SharedHost,
    folder: &'a Path,
) -> Pin<Box<dyn Future<Output = Result<bool, SysError>> + Send + 'a>> {
    Box::pin(async move {
        for entry in host.list(folder).await? {
            let is_folder = entry.kind == FileKind::Directory;
            if !is_folder || !is_empty(host, &folder.join(entry.name)).await? {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

/// Removes a folder in which there are only folders.
/// A file that appears meanwhile stays, with the folders that it is in.
fn remove_folders<'a>(
    host: &'a SharedHost,
    folder: &'a Path,
) -> Pin<Box<dyn Future<Output = Result<(), SysError>> + Send + 'a>> {
    Box::pin(async move {
        for entry in host.list(folder).await? {
            if entry.kind == FileKind::Directory {
                remove_folders(host, &folder.join(entry.name)).await?;
            }
        }
        host.remove_dir(folder).await.map(drop)
    })
}
