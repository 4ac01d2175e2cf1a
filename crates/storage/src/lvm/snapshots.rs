//! Snapshots of images of qcow2, as layers below them.

use std::sync::Arc;

use async_trait::async_trait;

use super::Lvm;
use super::layers::{Access, Layers};
use super::names::{Family, fits};
use crate::chain::{self, Layer};
use crate::{AttachMode, Attacher, Layered, SnapshotMaker, SnapshotSpec, Snapshots, StorageError};

#[async_trait]
impl Snapshots for Lvm {
    fn maker(&self, name: &str) -> Option<SnapshotMaker> {
        self.parse(name).ok()?;
        Family::of(name).map(|_| SnapshotMaker::Chain)
    }

    fn refuses_name(&self, name: &str, snapshot: &str) -> Option<String> {
        let family = Family::of(name)?;
        let layer = family.name(&Layer::Snapshot(snapshot.to_owned()));
        let text = format!("LVM takes no volume of the name '{layer}'");
        (!fits(&self.tools.group.name, &layer)).then_some(text)
    }

    async fn check_image(&self, name: &str) -> Result<(), StorageError> {
        let work = |layers: Arc<Layers>| async move { layers.check().await };
        self.on_layers(name, Access::Look, work).await
    }

    async fn list_snapshots(&self, name: &str) -> Result<Vec<String>, StorageError> {
        self.parse(name)?;
        if Family::of(name).is_none() {
            return Ok(Vec::new());
        }
        let work = |layers: Arc<Layers>| async move { chain::snapshots(&*layers).await };
        self.on_layers(name, Access::Look, work).await
    }

    async fn create_snapshot(&self, name: &str, snapshot: &str) -> Result<(), StorageError> {
        if let Some(reason) = self.refuses_name(name, snapshot) {
            return Err(StorageError::Refused(reason));
        }
        let snapshot = snapshot.to_owned();
        let work = |layers: Arc<Layers>| async move { chain::create(&*layers, &snapshot).await };
        self.on_layers(name, Access::Change, work).await
    }

    async fn check_roll_back(&self, name: &str, snapshot: &str) -> Result<(), StorageError> {
        let snapshot = snapshot.to_owned();
        let work =
            |layers: Arc<Layers>| async move { chain::check_roll_back(&*layers, &snapshot).await };
        self.on_layers(name, Access::Look, work).await
    }

    /// What was written since goes when the guest has started: `Layered::finish`.
    async fn roll_back(&self, name: &str, snapshot: &str) -> Result<(), StorageError> {
        let snapshot = snapshot.to_owned();
        let work = |layers: Arc<Layers>| async move { chain::roll_back(&*layers, &snapshot).await };
        self.on_layers(name, Access::Change, work).await
    }

    async fn delete_snapshot(&self, name: &str, snapshot: &str) -> Result<bool, StorageError> {
        let snapshot = snapshot.to_owned();
        let work = |layers: Arc<Layers>| async move { chain::delete(&*layers, &snapshot).await };
        let deleted = self.on_layers(name, Access::Change, work).await?;
        self.finish(name).await?;
        Ok(deleted)
    }

    async fn attach_snapshot(
        &self,
        name: &str,
        snapshot: &str,
        by: &Attacher,
    ) -> Result<SnapshotSpec, StorageError> {
        let (family, layer) = (self.family(name)?, Layer::Snapshot(snapshot.to_owned()));
        let mode = AttachMode::ReadOnly;
        Ok(SnapshotSpec {
            image: self.tools.attach_layer(&family, &layer, mode, by).await?,
            inside: None,
        })
    }

    async fn detach_snapshot(
        &self,
        name: &str,
        snapshot: &str,
        by: &Attacher,
    ) -> Result<(), StorageError> {
        let (family, layer) = (self.family(name)?, Layer::Snapshot(snapshot.to_owned()));
        self.tools.release(&family, &layer, by).await
    }
}
