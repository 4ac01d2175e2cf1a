//! Where the layers of an image are that has its snapshots below it: beside it, in the folder of its
//! guest.
//!
//! ```text
//!   images/100/vm-100-disk-0.qcow2              ──► snap-two-vm-100-disk-0.qcow2
//!   images/100/snap-two-vm-100-disk-0.qcow2     ──► snap-one-vm-100-disk-0.qcow2
//!   images/100/snap-one-vm-100-disk-0.qcow2
//!   images/100/.new-vm-100-disk-0.qcow2         a layer that has no name in the chain yet
//! ```

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use model::{BlockFormat, BlockSource, BlockSpec, StorageId};
use sys::SharedHost;

use super::layout::LAYER_PREFIX;
use super::{Dir, Location};
use crate::chain::{self, FoundLayer, Layer, Place, with_layers};
use crate::image::LayerFile;
use crate::{AttachMode, Layered, Storage, StorageError, image};

/// The layers of one image of a storage.
pub(super) struct Beside<'a> {
    dir: &'a Dir,
    /// The volume's name, for errors.
    name: &'a str,
    location: Location,
    image: PathBuf,
}

impl Dir {
    /// The layers of an image, if its snapshots are layers.
    pub(super) fn chain_of<'a>(
        &'a self,
        name: &'a str,
    ) -> Result<Option<Beside<'a>>, StorageError> {
        let (location, format) = self.locate_image(name)?;
        let is_chain = self.options.snapshot_as_volume_chain == Some(true);
        if !is_chain || format != BlockFormat::Qcow2 || location.name.is_base {
            return Ok(None);
        }
        let image = self.path_of(&location);
        Ok(Some(Beside {
            dir: self,
            name,
            location,
            image,
        }))
    }

    fn layered_image<'a>(&'a self, name: &'a str) -> Result<Beside<'a>, StorageError> {
        let none = || StorageError::Refused(format!("'{name}' has no layers"));
        self.chain_of(name)?.ok_or_else(none)
    }

    /// The same of any volume.
    pub(super) fn chain_of_image<'a>(
        &'a self,
        name: &'a str,
    ) -> Result<Option<Beside<'a>>, StorageError> {
        let said = self.locate(name)?.name;
        match said.owner.is_some() && said.image_format.is_some() {
            true => self.chain_of(name),
            false => Ok(None),
        }
    }

    /// Everything that an image is a layer on, for one that reads it or also writes it.
    pub(super) async fn below_image(
        &self,
        name: &str,
        location: &Location,
        mode: AttachMode,
    ) -> Result<Option<BlockSpec>, StorageError> {
        match self.chain_of_image(name)? {
            Some(place) => {
                let layers = chain::layers(&place).await?;
                self.below(location, &layers[1..], !mode.is_read_only())
                    .await
            }
            None => self.backing(location).await,
        }
    }

    /// Refuses to rename an image that has snapshots below it: their headers have its name.
    pub(super) async fn check_no_layers(&self, name: &str) -> Result<(), StorageError> {
        let Some(place) = self.chain_of_image(name)? else {
            return Ok(());
        };
        let is_there = place.is_there(&Layer::Image).await?;
        if is_there && chain::layers(&place).await?.len() > 1 {
            let storage = self.config().id();
            let text = format!("'{storage}:{name}' has snapshots, it cannot be renamed");
            return Err(StorageError::Refused(text));
        }
        Ok(())
    }

    /// These layers of an image, and what is below them.
    async fn below(
        &self,
        location: &Location,
        layers: &[FoundLayer],
        mergeable: bool,
    ) -> Result<Option<BlockSpec>, StorageError> {
        let base = self.backing(location).await?;
        Ok(with_layers(base, layers, BlockSource::File, mergeable))
    }
}

impl Beside<'_> {
    fn file_name(&self) -> &str {
        let name = self.image.file_name().and_then(|name| name.to_str());
        name.unwrap_or_default()
    }

    fn new_layer(&self) -> PathBuf {
        self.image
            .with_file_name(format!(".new-{}", self.file_name()))
    }

    /// A snapshot with all that is below it, to be read.
    pub(super) async fn spec_of(&self, snapshot: &str) -> Result<BlockSpec, StorageError> {
        let layers = chain::layers(self).await?;
        let wanted = Layer::Snapshot(snapshot.to_owned());
        let at = layers.iter().position(|found| found.layer == wanted);
        let none = || StorageError::no_snapshot(self.storage(), self.name, snapshot);
        let spec = self
            .dir
            .below(&self.location, &layers[at.ok_or_else(none)?..], false);
        spec.await?.ok_or_else(none)
    }

    async fn put(&self, from: &Path, to: &Path) -> Result<(), StorageError> {
        let put = self.dir.host.replace(from, to).await;
        put.map_err(|source| self.dir.failed(source))
    }

    async fn removed(&self, path: &Path) -> Result<bool, StorageError> {
        let removed = self.dir.host.remove(path).await;
        removed.map_err(|source| self.dir.failed(source))
    }
}

#[async_trait]
impl Place for Beside<'_> {
    fn host(&self) -> &SharedHost {
        &self.dir.host
    }

    fn path(&self, layer: &Layer) -> PathBuf {
        match layer {
            Layer::Image => self.image.clone(),
            Layer::Snapshot(snapshot) => self.image.with_file_name(self.words(snapshot)),
        }
    }

    fn words(&self, snapshot: &str) -> String {
        format!("{LAYER_PREFIX}{snapshot}-{}", self.file_name())
    }

    fn snapshot(&self, words: &str) -> Option<String> {
        let own = format!("-{}", self.file_name());
        let snapshot = words.strip_prefix(LAYER_PREFIX)?.strip_suffix(&own)?;
        let is_name = !snapshot.is_empty() && !snapshot.contains('/');
        is_name.then(|| snapshot.to_owned())
    }

    async fn is_there(&self, layer: &Layer) -> Result<bool, StorageError> {
        self.dir.is_there(&self.path(layer)).await
    }

    async fn make(&self, snapshot: &str, size: u64) -> Result<(), StorageError> {
        let (path, words) = (self.new_layer(), self.words(snapshot));
        let made = image::create_layer(self.host(), &path, &words, size).await;
        if made.is_err() {
            let _ = self.remove_new().await;
        }
        made.map_err(|source| self.dir.failed(source))
    }

    async fn put_new(&self) -> Result<(), StorageError> {
        self.put(&self.new_layer(), &self.image).await
    }

    async fn all(&self) -> Result<Vec<String>, StorageError> {
        let folder = self.image.parent().unwrap_or(&self.image);
        let entries = self.host().list(folder).await;
        let entries = entries.map_err(|source| self.dir.failed(source))?;
        let names = entries.iter().map(|entry| entry.name.as_str());
        Ok(names.filter_map(|name| self.snapshot(name)).collect())
    }

    async fn remove_new(&self) -> Result<(), StorageError> {
        self.removed(&self.new_layer()).await.map(drop)
    }

    async fn rename(&self, from: &Layer, to: &Layer) -> Result<(), StorageError> {
        self.put(&self.path(from), &self.path(to)).await
    }

    async fn remove(&self, layer: &Layer) -> Result<bool, StorageError> {
        self.removed(&self.path(layer)).await
    }

    async fn bases(&self) -> Result<Vec<LayerFile>, StorageError> {
        let base = self.dir.backing(&self.location).await?;
        let layers = base.iter().flat_map(BlockSpec::layers);
        Ok(layers
            .map(|layer| {
                let path = PathBuf::from(layer.source.path().unwrap_or_default());
                LayerFile {
                    name: path.clone(),
                    path,
                    format: layer.format,
                }
            })
            .collect())
    }

    fn storage(&self) -> &StorageId {
        self.dir.config().id()
    }

    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait]
impl Layered for Dir {
    async fn layers(&self, name: &str) -> Result<Vec<FoundLayer>, StorageError> {
        chain::layers(&self.layered_image(name)?).await
    }

    async fn restore(&self, name: &str, snapshot: &str) -> Result<(), StorageError> {
        let place = self.layered_image(name)?;
        chain::restore(&place, Some(snapshot)).await.map(drop)
    }

    /// Files grow by themselves.
    async fn make_room(&self, name: &str, _: &Layer, _: u64) -> Result<(), StorageError> {
        self.layered_image(name).map(drop)
    }

    /// Files are renamed at any time.
    async fn get_ready(&self, name: &str) -> Result<(), StorageError> {
        self.layered_image(name).map(drop)
    }

    async fn follow(&self, name: &str, snapshot: &str) -> Result<(), StorageError> {
        chain::follow(&self.layered_image(name)?, snapshot).await
    }

    /// Files go at once.
    async fn finish(&self, name: &str) -> Result<(), StorageError> {
        self.layered_image(name).map(drop)
    }
}
