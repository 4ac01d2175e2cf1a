//! Snapshots as layers: a snapshot is the qcow2 image that a guest had until then, and what it
//! writes afterwards goes to a new image above it.
//!
//! ```text
//!   vm-100-disk-0.qcow2 ──► two ──► one [──► the base of a linked clone]
//!   the image itself        its snapshots, newest first
//! ```
//!
//! Which layer is below another one stands in its header. A header is believed only where it names a
//! snapshot of the same image: a forged one reaches nothing else.
//!
//! Only names change while a guest has the image open: its QEMU goes on with the files that it has,
//! and is moved to the new layer afterwards (`node::qemu::chains`).
//!
//! ```text
//!   create     image ─► snapshot · new ─► image            an empty layer above what was there
//!   delete     with a snapshot below: what it holds goes up into its child, then it is removed
//!              without: what its child holds goes down into it, then it takes the child's name
//!   roll back  new ─► image
//! ```
//!
//! Cut off anywhere, each can be repeated, and a snapshot that was being made can be deleted.

use std::path::PathBuf;

use async_trait::async_trait;
use model::{BlockFormat, BlockSource, BlockSpec, StorageId};
use sys::{SharedHost, SysError};

use crate::image::{self, LayerFile};
use crate::{ImageHeader, StorageError, inspect};

/// More layers than QEMU opens in a sensible time.
const LAYERS_MAX: usize = 512;

/// A layer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layer {
    /// The image itself, which the guest writes to.
    Image,
    /// The image as it was at this snapshot.
    Snapshot(String),
}

/// A layer, as it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundLayer {
    pub layer: Layer,
    pub path: PathBuf,
    /// What its header says that is below it.
    pub backing: Option<String>,
    /// What a guest sees, in bytes.
    pub size: u64,
}

/// How a snapshot is taken out of a chain: by its place and that of the layer above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merge {
    /// What the snapshot holds goes into the layer above it.
    Up,
    /// What the layer above it holds goes into the snapshot, which takes its place.
    Down,
}

impl Merge {
    /// Of the layer at this place. What has nothing of its own image below it may hold everything: it
    /// stays where it is.
    pub fn of(layers: &[FoundLayer], at: usize) -> Self {
        match layers.get(at + 1) {
            Some(_) => Self::Up,
            None => Self::Down,
        }
    }
}

/// Where the layers of one image are.
#[async_trait]
pub(crate) trait Place: Send + Sync {
    fn host(&self) -> &SharedHost;

    /// What the headers call a layer.
    fn path(&self, layer: &Layer) -> PathBuf;

    /// What is opened.
    async fn find(&self, layer: &Layer) -> Result<PathBuf, SysError> {
        Ok(self.path(layer))
    }

    /// What the header of the layer above says of a snapshot.
    fn words(&self, snapshot: &str) -> String;

    /// The snapshot of this image that a header names.
    fn snapshot(&self, words: &str) -> Option<String>;

    async fn is_there(&self, layer: &Layer) -> Result<bool, StorageError>;

    /// Makes a layer on this snapshot, which has no name in the chain yet.
    async fn make(&self, snapshot: &str, size: u64) -> Result<(), StorageError>;

    /// Gives what `make` made the image's name; what has it goes.
    async fn put_new(&self) -> Result<(), StorageError>;

    /// Puts what `make` made above the image, which gets the name of a layer.
    async fn insert(&self, layer: &Layer) -> Result<(), StorageError> {
        self.rename(&Layer::Image, layer).await?;
        self.put_new().await
    }

    /// The snapshots that there are files of, whatever is above or below them.
    async fn all(&self) -> Result<Vec<String>, StorageError>;

    /// Removes what `make` made, if it is not needed.
    async fn remove_new(&self) -> Result<(), StorageError>;

    /// Lets a layer become as large as one that shows so much. Files grow by themselves.
    async fn make_room(&self, _layer: &Layer, _size: u64) -> Result<(), StorageError> {
        Ok(())
    }

    /// What has the new name goes.
    async fn rename(&self, from: &Layer, to: &Layer) -> Result<(), StorageError>;

    /// False where there was none.
    async fn remove(&self, layer: &Layer) -> Result<bool, StorageError>;

    /// The layers below the image's own, as `qemu-img` needs them: the base of a linked clone.
    async fn bases(&self) -> Result<Vec<LayerFile>, StorageError> {
        Ok(Vec::new())
    }

    /// Whose they are, for errors.
    fn storage(&self) -> &StorageId;

    fn name(&self) -> &str;
}

impl dyn Place + '_ {
    fn failed(&self, source: SysError) -> StorageError {
        StorageError::of(self.storage(), source)
    }

    fn no_volume(&self) -> StorageError {
        StorageError::NoVolume {
            storage: self.storage().clone(),
            name: self.name().to_owned(),
        }
    }

    fn exists(&self, snapshot: &str) -> StorageError {
        StorageError::Exists {
            storage: self.storage().clone(),
            name: format!("{}@{snapshot}", self.name()),
        }
    }

    fn no_snapshot(&self, snapshot: &str) -> StorageError {
        StorageError::no_snapshot(self.storage(), self.name(), snapshot)
    }

    fn not_newest(&self, snapshot: &str) -> StorageError {
        StorageError::not_newest(self.storage(), self.name(), snapshot)
    }

    /// What the header of a layer says that should be there.
    pub(crate) async fn header(&self, layer: &Layer) -> Result<ImageHeader, StorageError> {
        let header = self.inspect(layer).await;
        header.map_err(|source| self.failed(source))
    }

    async fn inspect(&self, layer: &Layer) -> Result<ImageHeader, SysError> {
        let path = self.find(layer).await?;
        inspect(self.host(), &path, BlockFormat::Qcow2).await
    }
}

/// These layers, files or devices, with what is below them, as a guest or a program opens them.
pub(crate) fn with_layers(
    base: Option<BlockSpec>,
    layers: &[FoundLayer],
    source: fn(String) -> BlockSource,
    mergeable: bool,
) -> Option<BlockSpec> {
    layers.iter().rev().fold(base, |below, found| {
        let source = source(found.path.display().to_string());
        Some(BlockSpec {
            read_only: true,
            can_discard: false,
            mergeable,
            backing: below.map(Box::new),
            ..BlockSpec::new(source, BlockFormat::Qcow2)
        })
    })
}

/// The layers of an image from the top, without what it is a linked clone of.
pub(crate) async fn layers(place: &dyn Place) -> Result<Vec<FoundLayer>, StorageError> {
    let (found, end) = walk(place).await?;
    match end {
        Some((_, error)) if error.is_not_found() && found.is_empty() => Err(place.no_volume()),
        Some((_, error)) => Err(place.failed(error)),
        None => Ok(found),
    }
}

/// What a guest sees, in bytes, and what the header of the lowest layer says that is below it.
pub(crate) async fn summary(place: &dyn Place) -> Result<(u64, Option<String>), StorageError> {
    let mut layers = layers(place).await?;
    let size = layers.first().map_or(0, |top| top.size);
    Ok((size, layers.pop().and_then(|lowest| lowest.backing)))
}

/// As far as the layers can be read, and the first that cannot.
async fn walk(
    place: &dyn Place,
) -> Result<(Vec<FoundLayer>, Option<(Layer, SysError)>), StorageError> {
    let mut found: Vec<FoundLayer> = Vec::new();
    let mut next = Some(Layer::Image);
    while let Some(layer) = next.take() {
        if found.len() == LAYERS_MAX || found.iter().any(|known| known.layer == layer) {
            let path = place.path(&layer);
            let text = format!("the layers above '{}' have no end", path.display());
            return Ok((found, Some((layer, SysError::Unsupported(text)))));
        }
        let looked = async {
            let path = place.find(&layer).await?;
            let header = inspect(place.host(), &path, BlockFormat::Qcow2).await?;
            Ok::<_, SysError>((path, header))
        };
        let (path, header) = match looked.await {
            Ok(found) => found,
            Err(error) => return Ok((found, Some((layer, error)))),
        };
        let below = header.backing.as_deref();
        next = below
            .and_then(|words| place.snapshot(words))
            .map(Layer::Snapshot);
        found.push(FoundLayer {
            layer,
            path,
            backing: header.backing,
            size: header.virtual_size,
        });
    }
    Ok((found, None))
}

/// The snapshots, oldest first.
pub(crate) async fn snapshots(place: &dyn Place) -> Result<Vec<String>, StorageError> {
    let layers = layers(place).await?;
    let names = layers
        .into_iter()
        .rev()
        .filter_map(|found| match found.layer {
            Layer::Snapshot(name) => Some(name),
            Layer::Image => None,
        });
    Ok(names.collect())
}

pub(crate) async fn create(place: &dyn Place, snapshot: &str) -> Result<(), StorageError> {
    let layer = Layer::Snapshot(snapshot.to_owned());
    let has_image = place.is_there(&Layer::Image).await?;
    match (has_image, place.is_there(&layer).await?) {
        (true, true) => return Err(place.exists(snapshot)),
        (false, false) => return Err(place.no_volume()),
        _ => {}
    }
    let below = if has_image { &Layer::Image } else { &layer };
    let header = place.header(below).await?;
    place.make(snapshot, header.virtual_size).await?;
    let named = match has_image {
        true => place.insert(&layer).await,
        false => place.put_new().await,
    };
    if named.is_err() && place.is_there(&layer).await? {
        // The image is what it was: nothing has been written above it.
        place.rename(&layer, &Layer::Image).await?;
    }
    named
}

pub(crate) async fn check_roll_back(place: &dyn Place, snapshot: &str) -> Result<(), StorageError> {
    let all = snapshots(place).await?;
    match all.last() {
        Some(newest) if newest == snapshot => Ok(()),
        _ if all.iter().any(|known| known == snapshot) => Err(place.not_newest(snapshot)),
        _ => Err(place.no_snapshot(snapshot)),
    }
}

/// Gives up what was written since the newest snapshot.
pub(crate) async fn roll_back(place: &dyn Place, snapshot: &str) -> Result<(), StorageError> {
    if place.is_there(&Layer::Image).await? {
        check_roll_back(place, snapshot).await?;
    }
    let layer = Layer::Snapshot(snapshot.to_owned());
    let header = match place.inspect(&layer).await {
        Err(error) if error.is_not_found() => return Err(place.no_snapshot(snapshot)),
        header => header.map_err(|source| place.failed(source))?,
    };
    place.make(snapshot, header.virtual_size).await?;
    place.put_new().await
}

/// Gives an image its name back that lost it while a snapshot was being made: that one, if one is named.
/// False where it has it.
pub(crate) async fn restore(
    place: &dyn Place,
    snapshot: Option<&str>,
) -> Result<bool, StorageError> {
    if place.is_there(&Layer::Image).await? {
        return Ok(false);
    }
    // What was the image is what no other layer is on.
    let mut tops = place.all().await?;
    for name in tops.clone() {
        let header = place.header(&Layer::Snapshot(name)).await?;
        let below = header.backing.and_then(|words| place.snapshot(&words));
        tops.retain(|top| Some(top) != below.as_ref());
    }
    match &tops[..] {
        [top] if snapshot.is_none_or(|snapshot| snapshot == top) => {
            let layer = Layer::Snapshot(top.clone());
            place.rename(&layer, &Layer::Image).await?;
            Ok(true)
        }
        [] => Err(place.no_volume()),
        tops => {
            let (storage, name, above) = (place.storage(), place.name(), tops.join("', '"));
            Err(StorageError::Refused(format!(
                "the layers of '{storage}:{name}': it is missing, and has the snapshots '{above}' above it"
            )))
        }
    }
}

/// Takes a snapshot out of the chain of an image that is not open. False where there was none.
pub(crate) async fn delete(place: &dyn Place, snapshot: &str) -> Result<bool, StorageError> {
    let layer = Layer::Snapshot(snapshot.to_owned());
    place.remove_new().await?;
    if restore(place, Some(snapshot)).await? {
        return Ok(true);
    }
    let layers = layers(place).await?;
    let Some(at) = layers.iter().position(|found| found.layer == layer) else {
        // What it held has gone up already.
        return place.remove(&layer).await;
    };
    let files = layers[at - 1..].iter().map(|found| LayerFile {
        name: place.path(&found.layer),
        path: found.path.clone(),
        format: BlockFormat::Qcow2,
    });
    let files: Vec<LayerFile> = files.chain(place.bases().await?).collect();
    let merged = match Merge::of(&layers, at) {
        Merge::Up => {
            let words = layers[at].backing.as_deref().unwrap_or_default();
            image::rebase(place.host(), &files, words).await
        }
        Merge::Down => {
            place.make_room(&layer, layers[at - 1].size).await?;
            image::commit(place.host(), &files).await
        }
    };
    merged.map_err(|source| place.failed(source))?;
    follow(place, snapshot).await?;
    Ok(true)
}

/// Gives the files the names that go with a merge. One that went up is in no header any more; one that
/// is there has taken in the layer above it.
pub(crate) async fn follow(place: &dyn Place, snapshot: &str) -> Result<(), StorageError> {
    let layer = Layer::Snapshot(snapshot.to_owned());
    place.remove_new().await?;
    let layers = layers(place).await?;
    match layers.iter().position(|found| found.layer == layer) {
        Some(at) => place.rename(&layer, &layers[at - 1].layer).await,
        None => place.remove(&layer).await.map(drop),
    }
}

/// Removes all layers, the image last. False where there was none.
pub(crate) async fn free(place: &dyn Place) -> Result<bool, StorageError> {
    let (found, end) = walk(place).await?;
    place.remove_new().await?;
    let found = found.into_iter().map(|found| found.layer);
    let mut layers: Vec<Layer> = found.chain(end.map(|(layer, _)| layer)).collect();
    // What is below one that cannot be read, and what a change that was broken off has left.
    for name in place.all().await? {
        let layer = Layer::Snapshot(name);
        if !layers.contains(&layer) {
            layers.push(layer);
        }
    }
    let mut removed = false;
    // From below: what is left after a death is found again from the top.
    for layer in layers.iter().rev() {
        removed |= place.remove(layer).await?;
    }
    Ok(removed)
}
