//! A container's file systems, from its options to mounts.

use guest::lxc::CtConfig;
use model::lxc::{MountPoint, MountSlot, MountSource};
use model::{BlockFormat, BlockSource, BlockSpec, Error, VolumeId};
use storage::{AttachMode, Attacher, ContentType};
use sys::{Cell, CellMount, CellSource, Fence};

use crate::NodeContext;
use crate::guests::disk_snapshots::snapshots_of;

/// What a program is to do with a container's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The container runs.
    Run,
    /// Its files are written for it, also where it only reads them itself. What is the host's own
    /// is left out.
    Write,
    /// It runs already, and has them mounted. What is the host's own is left out.
    InUse,
}

impl NodeContext {
    /// All file systems of a container, attached and ready to be mounted.
    pub(crate) async fn container_mounts(
        &self,
        config: &CtConfig,
        purpose: Purpose,
        by: &Attacher,
    ) -> Result<Vec<CellMount>, Error> {
        if !config.mounts.contains_key(&MountSlot::Root) {
            return Err(Error::conflict("the container has no rootfs"));
        }
        let mut mounts = Vec::new();
        for (slot, mount) in &config.mounts {
            let is_ours = mount.volume().is_some();
            if purpose != Purpose::Run && !is_ours {
                continue;
            }
            let named = |error: Error| Error::new(error.kind, format!("{slot}: {error}"));
            let is_read_only = mount.is_read_only() && purpose != Purpose::Write;
            let source = self.source_of(mount, is_read_only, by).await;
            mounts.push(CellMount {
                source: source.map_err(named)?,
                at: mount.path().to_owned(),
                read_only: is_read_only,
                options: mount.options().into_iter().map(str::to_owned).collect(),
                acl: mount.acl(),
                in_use: purpose == Purpose::InUse,
            });
        }
        Ok(mounts)
    }

    async fn source_of(
        &self,
        mount: &MountPoint,
        is_read_only: bool,
        by: &Attacher,
    ) -> Result<CellSource, Error> {
        match mount.source() {
            MountSource::Bind(path) => Ok(CellSource::Folder(path.into())),
            MountSource::Device(path) => Ok(CellSource::Device(path.into())),
            MountSource::New { .. } => Err(Error::bug("a volume was not made")),
            MountSource::Volume(volume) => self.file_system(&volume, is_read_only, by).await,
        }
    }

    /// A volume, attached and ready to be mounted.
    pub(crate) async fn file_system(
        &self,
        volume: &VolumeId,
        is_read_only: bool,
        by: &Attacher,
    ) -> Result<CellSource, Error> {
        let storage = self.storage(volume.storage()).await?;
        let said = storage.config().parse(volume.name())?;
        if said.content == ContentType::Rootdir {
            storage.activate().await?;
            let none = || Error::conflict(format!("'{volume}' is no directory"));
            let trees = storage.trees().ok_or_else(none)?;
            let path = trees.attach_tree(volume.name(), by).await?;
            return Ok(CellSource::Folder(path));
        }
        if said.image_format != Some(BlockFormat::Raw) {
            let text = format!("volume '{volume}' cannot be the file system of a container");
            return Err(Error::conflict(text));
        }
        let mode = match is_read_only {
            true => AttachMode::ReadOnly,
            false => AttachMode::Exclusive,
        };
        let spec = self.attach(volume, mode, by).await?;
        self.mountable(spec, is_read_only).await
    }

    /// A snapshot of a volume, attached to be read.
    pub(crate) async fn snapshot_of_file_system(
        &self,
        volume: &VolumeId,
        snapshot: &str,
        by: &Attacher,
    ) -> Result<CellSource, Error> {
        let storage = self.storage(volume.storage()).await?;
        storage.activate().await?;
        if storage.config().parse(volume.name())?.content == ContentType::Rootdir {
            let none = || Error::conflict(format!("'{volume}' is no directory"));
            let trees = storage.trees().ok_or_else(none)?;
            let path = trees.snapshot_of_tree(volume.name(), snapshot).await?;
            return Ok(CellSource::Folder(path));
        }
        let snapshots = snapshots_of(&*storage, volume)?;
        let spec = snapshots
            .attach_snapshot(volume.name(), snapshot, by)
            .await?;
        if spec.inside.is_some() {
            let text = format!("a snapshot of '{volume}' cannot be mounted");
            return Err(Error::conflict(text));
        }
        self.mountable(spec.image, true).await
    }

    async fn mountable(&self, spec: BlockSpec, is_read_only: bool) -> Result<CellSource, Error> {
        match spec.source {
            BlockSource::File(path) => {
                let file = self
                    .host
                    .open_image(path.as_ref(), !is_read_only, false)
                    .await?;
                let format = BlockFormat::Raw;
                storage::check_whole(&self.host, &file, path.as_ref(), format).await?;
                let path = path.into();
                Ok(CellSource::Image { path, file })
            }
            BlockSource::Device(path) => Ok(CellSource::Device(path.into())),
            other => Err(Error::bug(format!("{other:?} cannot be mounted"))),
        }
    }

    /// Lets the volumes of a container go.
    pub(crate) async fn detach_container(
        &self,
        config: &CtConfig,
        by: &Attacher,
    ) -> Result<(), Error> {
        for volume in Self::container_volumes(config) {
            self.detach(&volume, by).await?;
        }
        Ok(())
    }

    /// The container's volumes, to be let go afterwards.
    pub(crate) fn container_volumes(config: &CtConfig) -> Vec<VolumeId> {
        let mounts = config.mounts.values();
        mounts.filter_map(MountPoint::volume).collect()
    }
}

/// The root of a container alone with its files: a fence around them.
pub(crate) fn cell(config: &CtConfig, mounts: Vec<CellMount>) -> (Cell, Fence) {
    cell_of(config.first_id(), mounts)
}

/// The same for the host's id of the container's 0; none where its ids are the host's.
pub(crate) fn cell_of(first_id: Option<u32>, mounts: Vec<CellMount>) -> (Cell, Fence) {
    let cell = Cell {
        mounts,
        at: Cell::INSIDE.into(),
        beside: None,
        hides: None,
        first_id,
        program: None,
    };
    (cell, Fence::new(None))
}
