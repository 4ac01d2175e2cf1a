//! Snapshots inside of images, which qcow2 has, or as layers below them (`layers`).

use async_trait::async_trait;
use model::{BlockFormat, BlockSpec};

use super::Dir;
use crate::header::snapshots_of;
use crate::{
    AttachMode, Attacher, Opened, SnapshotMaker, SnapshotSpec, Snapshots, Storage, StorageError,
    chain, image,
};

#[async_trait]
impl Snapshots for Dir {
    fn maker(&self, name: &str) -> Option<SnapshotMaker> {
        let (_, format) = self.locate_image(name).ok()?;
        let maker = match self.chain_of(name) {
            Ok(Some(_)) => SnapshotMaker::Chain,
            _ => SnapshotMaker::Qemu,
        };
        (format == BlockFormat::Qcow2).then_some(maker)
    }

    async fn check_image(&self, name: &str) -> Result<(), StorageError> {
        let opened = Opened::open(&self.host, &self.image(name)?, false).await;
        opened.map(drop).map_err(|source| self.failed(source))
    }

    async fn list_snapshots(&self, name: &str) -> Result<Vec<String>, StorageError> {
        if let Some(place) = self.chain_of(name)? {
            return chain::snapshots(&place).await;
        }
        let (location, format) = self.locate_image(name)?;
        if format != BlockFormat::Qcow2 {
            return Ok(Vec::new());
        }
        let path = self.path_of(&location);
        let read = async {
            let file = self.host.open_image(&path, false, false).await?;
            snapshots_of(&self.host, &file, &path).await
        };
        read.await.map_err(|source| match source.is_not_found() {
            true => self.no_volume(name),
            false => self.failed(source),
        })
    }

    async fn create_snapshot(&self, name: &str, snapshot: &str) -> Result<(), StorageError> {
        if let Some(place) = self.chain_of(name)? {
            return chain::create(&place, snapshot).await;
        }
        if self.has_snapshot(name, snapshot).await? {
            return Err(self.exists(&format!("{name}@{snapshot}")));
        }
        self.snapshot(name, image::SnapshotAction::Create, snapshot)
            .await
    }

    async fn check_roll_back(&self, name: &str, snapshot: &str) -> Result<(), StorageError> {
        if let Some(place) = self.chain_of(name)? {
            return chain::check_roll_back(&place, snapshot).await;
        }
        match self.has_snapshot(name, snapshot).await? {
            true => Ok(()),
            false => Err(StorageError::no_snapshot(
                self.config().id(),
                name,
                snapshot,
            )),
        }
    }

    async fn roll_back(&self, name: &str, snapshot: &str) -> Result<(), StorageError> {
        if let Some(place) = self.chain_of(name)? {
            return chain::roll_back(&place, snapshot).await;
        }
        self.snapshot(name, image::SnapshotAction::Apply, snapshot)
            .await
    }

    async fn delete_snapshot(&self, name: &str, snapshot: &str) -> Result<bool, StorageError> {
        if let Some(place) = self.chain_of(name)? {
            return chain::delete(&place, snapshot).await;
        }
        if !self.has_snapshot(name, snapshot).await? {
            return Ok(false);
        }
        self.snapshot(name, image::SnapshotAction::Delete, snapshot)
            .await?;
        Ok(true)
    }

    async fn attach_snapshot(
        &self,
        name: &str,
        snapshot: &str,
        by: &Attacher,
    ) -> Result<SnapshotSpec, StorageError> {
        if let Some(place) = self.chain_of(name)? {
            let image = place.spec_of(snapshot).await?;
            return Ok(SnapshotSpec {
                image,
                inside: None,
            });
        }
        Ok(SnapshotSpec {
            image: self.attach(name, AttachMode::ReadOnly, by).await?,
            inside: Some(snapshot.to_owned()),
        })
    }

    async fn detach_snapshot(
        &self,
        name: &str,
        _snapshot: &str,
        by: &Attacher,
    ) -> Result<(), StorageError> {
        self.detach(name, by).await
    }
}

impl Dir {
    /// The image by itself: of what it is a linked clone of, its snapshots know nothing.
    fn image(&self, name: &str) -> Result<BlockSpec, StorageError> {
        let (location, format) = self.locate_image(name)?;
        Ok(BlockSpec::new(self.source(&location), format))
    }

    async fn has_snapshot(&self, name: &str, snapshot: &str) -> Result<bool, StorageError> {
        let snapshots = self.list_snapshots(name).await?;
        Ok(snapshots.iter().any(|known| known == snapshot))
    }

    async fn snapshot(
        &self,
        name: &str,
        action: image::SnapshotAction,
        snapshot: &str,
    ) -> Result<(), StorageError> {
        image::snapshot(&self.host, &self.image(name)?, action, snapshot)
            .await
            .map_err(|source| self.failed(source))
    }
}
