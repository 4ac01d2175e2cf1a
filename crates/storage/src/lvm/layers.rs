//! Where the layers of an image of qcow2 are: volumes of the group (`names::Family`), each as large as
//! a layer can become.
//!
//! ```text
//!   vm-100-disk-0.qcow2            ──► snap_vm-100-disk-0_two.qcow2
//!   snap_vm-100-disk-0_two.qcow2   ──► snap_vm-100-disk-0_one.qcow2
//!   snap_vm-100-disk-0_one.qcow2
//! ```
//!
//! Headers are in the volumes, so all of an image are active while one of them is looked at, and until
//! its last attacher is gone.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use model::{BlockFormat, BlockSource, BlockSpec, StorageId, VmId};
use sys::{SharedHost, SysError};

use super::group::{Volume, to_its_end};
use super::names::{Family, parse_name, taking};
use super::{Lvm, THICK, Tools};
use crate::chain::{self, FoundLayer, Layer, Place, with_layers};
use crate::{AttachMode, Attacher, Layered, Opened, StorageError, image};

/// The layers of one image, which are active.
pub(super) struct Layers {
    tools: Arc<Tools>,
    family: Family,
    /// The volumes of the image when they were activated.
    found: Vec<Volume>,
}

/// What is done to layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Nothing of the group changes: another node may be changing it.
    Look,
    Change,
}

/// The name that an attachment has: readers of a snapshot need all layers, too.
fn attachment(family: &Family, layer: &Layer) -> String {
    match layer {
        Layer::Image => family.image().to_owned(),
        Layer::Snapshot(snapshot) => format!("{}@{snapshot}", family.image()),
    }
}

fn is_attachment_of(family: &Family, name: &str) -> bool {
    let rest = name.strip_prefix(family.image());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('@'))
}

fn names(volumes: &[Volume], is_meant: impl Fn(&Volume) -> bool) -> Vec<&str> {
    let meant = volumes.iter().filter(|volume| is_meant(volume));
    meant.map(|volume| volume.name.as_str()).collect()
}

impl Tools {
    /// The volumes of an image, as they are.
    async fn members(&self, family: &Family) -> Result<Vec<Volume>, StorageError> {
        let mut volumes = self.group.layout().await?;
        volumes.retain(|volume| family.owns(volume));
        Ok(volumes)
    }

    /// Ends what was broken off while a layer took the name of another one.
    pub(super) async fn settle_names(
        self: &Arc<Self>,
        family: &Family,
    ) -> Result<(), StorageError> {
        let is_left = |volume: &Volume| family.takes(&volume.name).is_some();
        if !self.members(family).await?.iter().any(is_left) {
            return Ok(());
        }
        let family = family.clone();
        self.change(|changing| async move { changing.end_naming(&family).await })
            .await
    }

    /// Makes all layers ready to be opened, for one of them. Returns them, and whether this attacher
    /// is new.
    async fn activate_layers(
        self: &Arc<Self>,
        family: &Family,
        access: Access,
        (layer, by): (&Layer, &Attacher),
    ) -> Result<(Layers, bool), StorageError> {
        if access == Access::Change {
            self.settle_names(family).await?;
        }
        let (tools, family, by) = (self.clone(), family.clone(), by.clone());
        let attachment = attachment(&family, layer);
        let activating = async move {
            let found = tools.activate_members(&family).await?;
            let is_new = tools.group.attachments.add(&attachment, &by);
            let layers = Layers {
                tools: tools.clone(),
                family,
                found,
            };
            Ok((layers, is_new))
        };
        self.group.locked(activating).await
    }

    /// Returns the volumes of the image.
    async fn activate_members(&self, family: &Family) -> Result<Vec<Volume>, StorageError> {
        let mut found = self.members(family).await?;
        let attachments = &self.group.attachments;
        let is_attached = attachments.any(|name| is_attachment_of(family, name));
        if self.spec.shared == Some(true) && !is_attached {
            // What an agent that died left active may have another name or size by now: another node
            // has changed it. What is open stays.
            let active = names(&found, |volume| volume.is_active() && !volume.is_open());
            if !active.is_empty() {
                self.group.deactivate_all(&active, THICK).await?;
                found = self.members(family).await?;
            }
        }
        let mut dropped = false;
        for volume in &found {
            dropped |= self.group.drop_other_mapping(volume).await?;
        }
        if dropped {
            found = self.members(family).await?;
        }
        // The group stays as it is, so no other node need wait.
        let inactive = names(&found, |volume| !volume.is_active());
        self.group.activate(&inactive, THICK).await?;
        Ok(found)
    }

    /// Takes back what `activate_layers` did, after the last attacher of any of the layers.
    pub(super) async fn release(
        self: &Arc<Self>,
        family: &Family,
        layer: &Layer,
        by: &Attacher,
    ) -> Result<(), StorageError> {
        let (tools, family, by) = (self.clone(), family.clone(), by.clone());
        let attachment = attachment(&family, layer);
        let releasing = async move {
            let attachments = &tools.group.attachments;
            attachments.remove(&attachment, &by);
            if attachments.any(|name| is_attachment_of(&family, name)) {
                return Ok(());
            }
            let members = tools.unwatched(&family).await?;
            // What is open is a guest's that an agent has attached that died.
            let active = names(&members, |volume| volume.is_active() && !volume.is_open());
            tools.group.deactivate_all(&active, THICK).await
        };
        self.group.locked(releasing).await
    }

    /// Works on the layers of an image while they are active, to its end.
    pub(super) async fn in_layers<T, F>(
        self: &Arc<Self>,
        family: &Family,
        access: Access,
        work: impl FnOnce(Arc<Layers>) -> F + Send + 'static,
    ) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StorageError>> + Send + 'static,
    {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let by = Attacher::Task(format!("layers {number}"));
        let (tools, family) = (self.clone(), family.clone());
        let working = async move {
            let image = (&Layer::Image, &by);
            let (layers, _) = tools.activate_layers(&family, access, image).await?;
            let done = work(Arc::new(layers)).await;
            let released = tools.release(&family, &Layer::Image, &by).await;
            let done = done?;
            released.map(|()| done)
        };
        to_its_end(&self.group.storage, working).await
    }

    /// Makes a volume with an image of qcow2 that reads as zeros. A failure leaves nothing.
    pub(super) async fn allocate(
        self: &Arc<Self>,
        family: Family,
        owner: VmId,
        size: u64,
    ) -> Result<(), StorageError> {
        let room = self.room_for(size).await?;
        let name = family.image().to_owned();
        self.change(move |changing| async move { changing.create(&name, owner, room).await })
            .await?;
        let made = self.in_layers(&family, Access::Change, move |layers| async move {
            let device = layers.device(&Layer::Image).await?;
            let made = image::create_in(layers.host(), &device, size).await;
            made.map_err(|source| layers.failed(source))
        });
        let made = made.await;
        if made.is_err() {
            let name = family.image().to_owned();
            let _ = self
                .change(|changing| async move { changing.remove(&name).await })
                .await;
        }
        made
    }

    /// The volume that is the image, or is about to be, under the name of an image.
    pub(super) async fn image_of(&self, family: &Family) -> Result<Option<Volume>, StorageError> {
        let members = self.members(family).await?.into_iter();
        let mut images =
            members.filter(|volume| family.place_of(&volume.name) == Some(Layer::Image));
        let mut image = images.next();
        if let Some(image) = &mut image {
            image.name = family.image().to_owned();
        }
        Ok(image)
    }

    async fn room_for(&self, size: u64) -> Result<u64, StorageError> {
        let room = image::room_for(&self.group.host, size).await;
        room.map_err(|source| StorageError::of(&self.group.storage, source))
    }

    /// What a guest sees of an image, in bytes.
    pub(super) async fn size_of(self: &Arc<Self>, family: Family) -> Result<u64, StorageError> {
        self.in_layers(&family, Access::Look, |layers| async move {
            let place: &dyn Place = &*layers;
            Ok(place.header(&Layer::Image).await?.virtual_size)
        })
        .await
    }

    /// Makes an image that is not open at least this large.
    pub(super) async fn grow_image(
        self: &Arc<Self>,
        family: Family,
        size: u64,
    ) -> Result<(), StorageError> {
        self.in_layers(&family, Access::Change, move |layers| async move {
            layers.make_room(&Layer::Image, size).await?;
            let device = layers.device(&Layer::Image).await?;
            let source = BlockSource::Device(device.display().to_string());
            let image = BlockSpec::new(source, BlockFormat::Qcow2);
            let grown = image::resize(layers.host(), &image, size).await;
            grown.map_err(|source| layers.failed(source))
        })
        .await
    }

    /// Refuses to rename an image that has snapshots: their names have its name.
    pub(super) async fn check_no_snapshots(&self, family: &Family) -> Result<(), StorageError> {
        let members = self.members(family).await?;
        let is_snapshot =
            |volume: &Volume| matches!(family.place_of(&volume.name), Some(Layer::Snapshot(_)));
        match members.iter().any(is_snapshot) {
            false => Ok(()),
            true => Err(StorageError::Refused(format!(
                "'{}:{}' has snapshots, it cannot be renamed",
                self.group.storage,
                family.image()
            ))),
        }
    }

    /// Discards in a guest would make holes in the image, and new tables and data end up behind the end
    /// of the volume: QEMU looks for room in one piece.
    pub(super) async fn attach_image(
        self: &Arc<Self>,
        family: &Family,
        mode: AttachMode,
        by: &Attacher,
    ) -> Result<BlockSpec, StorageError> {
        let attached = self.attach_layer(family, &Layer::Image, mode, by).await?;
        Ok(BlockSpec {
            read_only: mode.is_read_only(),
            mergeable: false,
            ..attached
        })
    }

    /// A layer with all that is below it, which are active until it is released.
    pub(super) async fn attach_layer(
        self: &Arc<Self>,
        family: &Family,
        layer: &Layer,
        mode: AttachMode,
        by: &Attacher,
    ) -> Result<BlockSpec, StorageError> {
        let access = match mode {
            AttachMode::Exclusive => Access::Change,
            AttachMode::ReadOnly => Access::Look,
        };
        let activated = self.activate_layers(family, access, (layer, by));
        let (layers, is_new) = activated.await?;
        let opened = layers.opened(layer, mode).await;
        if opened.is_err() && is_new {
            let _ = self.release(family, layer, by).await;
        }
        opened
    }

    /// The volumes of an image. The host looks at each that was just closed; what is open now is so for
    /// longer.
    async fn unwatched(&self, family: &Family) -> Result<Vec<Volume>, StorageError> {
        let members = self.members(family).await?;
        if !members.iter().any(Volume::is_open) {
            return Ok(members);
        }
        self.group.let_host_look().await;
        self.members(family).await
    }

    /// Removes an image with its snapshots, and what earlier attempts have left.
    pub(super) async fn free_layers(
        self: &Arc<Self>,
        family: &Family,
    ) -> Result<bool, StorageError> {
        self.settle_names(family).await?;
        let mut members = self.unwatched(family).await?;
        if members.iter().any(Volume::is_open) {
            return Err(StorageError::InUse {
                storage: self.group.storage.clone(),
                name: family.image().to_owned(),
            });
        }
        // The image goes last.
        members.sort_by_key(|volume| volume.name == family.image());
        for volume in &members {
            let (name, layer) = (volume.name.clone(), family.layer(&volume.name));
            self.change(move |changing| async move {
                match layer {
                    Some(_) => changing.discard(&name).await,
                    // Nothing was written to it.
                    None => changing.remove(&name).await,
                }
            })
            .await?;
        }
        let is_left = self.remove_freed(family).await?;
        Ok(!members.is_empty() || is_left)
    }

    /// Removes what was freed of an image, and zeroes it before where that is wanted. What a QEMU that
    /// stands still has open stays until the next time. False where there is nothing.
    pub(super) async fn remove_freed(
        self: &Arc<Self>,
        family: &Family,
    ) -> Result<bool, StorageError> {
        let mut any = false;
        for volume in self.group.layout().await? {
            let is_own = match family.was(&volume.name) {
                Some(Layer::Image) => true,
                Some(Layer::Snapshot(_)) => volume.is_tagged(&family.tag()),
                None => false,
            };
            if !is_own {
                continue;
            }
            match self.finish(&volume.name).await {
                // Another node zeroes it, or it goes the next time.
                Err(StorageError::InUse { .. } | StorageError::Locked { .. }) => {}
                finished => any |= finished?,
            }
        }
        Ok(any)
    }
}

impl Layers {
    fn failed(&self, source: SysError) -> StorageError {
        StorageError::of(&self.tools.group.storage, source)
    }

    async fn device(&self, layer: &Layer) -> Result<PathBuf, StorageError> {
        let found = self.find(layer).await;
        found.map_err(|source| match source.is_not_found() {
            true => self.tools.group.no_volume(&self.family.name(layer)),
            false => self.failed(source),
        })
    }

    /// A layer with all that is below it. Layers that a guest merges while it runs can be written.
    async fn opened(&self, layer: &Layer, mode: AttachMode) -> Result<BlockSpec, StorageError> {
        let is_written = !mode.is_read_only();
        if is_written {
            // A node that died while it made a snapshot may have left the image without its name.
            chain::restore(self, None).await?;
        }
        let layers = chain::layers(self).await?;
        let at = layers.iter().position(|found| found.layer == *layer);
        let layers = &layers[at.unwrap_or(layers.len())..];
        let spec = with_layers(None, layers, BlockSource::Device, is_written);
        spec.ok_or_else(|| match layer {
            Layer::Image => self.tools.group.no_volume(self.family.image()),
            Layer::Snapshot(snapshot) => {
                StorageError::no_snapshot(self.storage(), self.name(), snapshot)
            }
        })
    }

    /// Refuses an image that has its data elsewhere.
    pub(super) async fn check(&self) -> Result<(), StorageError> {
        let spec = self.opened(&Layer::Image, AttachMode::ReadOnly).await?;
        let opened = Opened::open(self.host(), &spec, false).await;
        opened.map(drop).map_err(|source| self.failed(source))
    }

    fn owner(&self) -> Result<VmId, StorageError> {
        let owner = parse_name(self.name()).and_then(|said| said.owner);
        owner.ok_or_else(|| StorageError::BadName(self.name().to_owned()))
    }

    async fn take_name(&self, from: String, to: &Layer) -> Result<(), StorageError> {
        let (family, to) = (self.family.clone(), self.family.name(to));
        self.tools
            .change(|changing| async move { changing.take_name(&family, &from, &to).await })
            .await
    }

    /// Refuses a name that a layer of another image has, or is about to take.
    async fn check_name(&self, name: &str) -> Result<(), StorageError> {
        let volumes = self.tools.group.layout().await?;
        let taken = taking(name);
        let is_others = |volume: &Volume| {
            (volume.name == name || volume.name == taken) && !self.family.owns(volume)
        };
        match volumes.iter().any(is_others) {
            true => Err(self.tools.group.exists(name)),
            false => Ok(()),
        }
    }

    async fn find_member(&self, name: &str) -> Result<Option<Volume>, StorageError> {
        let members = self.tools.members(&self.family).await?;
        Ok(members.into_iter().find(|volume| volume.name == name))
    }
}

#[async_trait]
impl Place for Layers {
    fn host(&self) -> &SharedHost {
        &self.tools.group.host
    }

    fn path(&self, layer: &Layer) -> PathBuf {
        self.tools.group.path(&self.family.name(layer))
    }

    async fn find(&self, layer: &Layer) -> Result<PathBuf, SysError> {
        let (family, name) = (&self.family, self.family.name(layer));
        let takes = |volume: &&Volume| family.takes(&volume.name).as_ref() == Some(layer);
        // Its naming was broken off: the one that has the name is what goes.
        let taking = self.found.iter().find(takes);
        let path = match taking {
            Some(volume) => self.tools.group.path(&volume.name),
            None => self.path(layer),
        };
        // Of a header that names what is no volume of the image, nothing is opened: neither another image's
        // nor a mapping that is left.
        let is_known = taking.is_some() || self.found.iter().any(|volume| volume.name == name);
        if !is_known {
            let there = self.find_member(&name).await;
            let there = there.map_err(|error| {
                SysError::io("find", &path, io::Error::other(error.to_string()))
            })?;
            if there.is_none() {
                return Err(SysError::io("find", &path, io::ErrorKind::NotFound.into()));
            }
        }
        self.host().resolve(&path).await
    }

    fn words(&self, snapshot: &str) -> String {
        self.family.name(&Layer::Snapshot(snapshot.to_owned()))
    }

    fn snapshot(&self, words: &str) -> Option<String> {
        let whole = format!("/dev/{}/", self.tools.group.name);
        let name = words.strip_prefix(&whole).unwrap_or(words);
        match self.family.layer(name) {
            Some(Layer::Snapshot(snapshot)) => Some(snapshot),
            _ => None,
        }
    }

    async fn is_there(&self, layer: &Layer) -> Result<bool, StorageError> {
        let found = self.find_member(&self.family.name(layer)).await?;
        Ok(found.is_some())
    }

    async fn make(&self, snapshot: &str, size: u64) -> Result<(), StorageError> {
        let words = self.words(snapshot);
        self.check_name(&words).await?;
        let (room, owner) = (self.tools.room_for(size).await?, self.owner()?);
        let family = self.family.clone();
        let making = self
            .tools
            .change(move |changing| async move { changing.make_layer(&family, owner, room).await });
        if let Err(error) = making.await {
            let _ = self.remove_new().await;
            return Err(error);
        }
        let made = async {
            let path = self.tools.group.path(&self.family.new_layer());
            let device = self.host().resolve(&path).await?;
            image::create_layer_in(self.host(), &device, &words, size).await
        };
        let made = made.await;
        if made.is_err() {
            let _ = self.remove_new().await;
        }
        made.map_err(|source| self.failed(source))
    }

    async fn put_new(&self) -> Result<(), StorageError> {
        self.take_name(self.family.new_layer(), &Layer::Image).await
    }

    async fn insert(&self, layer: &Layer) -> Result<(), StorageError> {
        let (family, layer) = (self.family.clone(), self.family.name(layer));
        self.tools
            .change(|changing| async move { changing.insert(&family, &layer).await })
            .await
    }

    async fn all(&self) -> Result<Vec<String>, StorageError> {
        let members = self.tools.members(&self.family).await?;
        let snapshots =
            members
                .iter()
                .filter_map(|volume| match self.family.place_of(&volume.name) {
                    Some(Layer::Snapshot(snapshot)) => Some(snapshot),
                    _ => None,
                });
        Ok(snapshots.collect())
    }

    /// Nothing was written to it, so nothing is zeroed.
    async fn remove_new(&self) -> Result<(), StorageError> {
        let name = self.family.new_layer();
        if self.find_member(&name).await?.is_none() {
            return Ok(());
        }
        self.tools
            .change(|changing| async move { changing.remove(&name).await })
            .await
            .map(drop)
    }

    async fn make_room(&self, layer: &Layer, size: u64) -> Result<(), StorageError> {
        let (room, name) = (self.tools.room_for(size).await?, self.family.name(layer));
        let found = self.find_member(&name).await?;
        if found.is_some_and(|volume| volume.size() >= room) {
            return Ok(());
        }
        self.tools
            .change(move |changing| async move { changing.grow(&name, room).await })
            .await
    }

    async fn rename(&self, from: &Layer, to: &Layer) -> Result<(), StorageError> {
        self.take_name(self.family.name(from), to).await
    }

    async fn remove(&self, layer: &Layer) -> Result<bool, StorageError> {
        let name = self.family.name(layer);
        if self.find_member(&name).await?.is_none() {
            return Ok(false);
        }
        self.tools
            .change(|changing| async move { changing.discard(&name).await })
            .await
    }

    fn storage(&self) -> &StorageId {
        &self.tools.group.storage
    }

    fn name(&self) -> &str {
        self.family.image()
    }
}

impl Lvm {
    /// The volumes of an image whose snapshots are layers.
    pub(super) fn family(&self, name: &str) -> Result<Family, StorageError> {
        self.parse(name)?;
        let none = || StorageError::Refused(format!("'{name}' has no layers"));
        Family::of(name).ok_or_else(none)
    }

    /// Works on the layers of an image while they are active, to its end.
    pub(super) async fn on_layers<T, F>(
        &self,
        name: &str,
        access: Access,
        work: impl FnOnce(Arc<Layers>) -> F + Send + 'static,
    ) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StorageError>> + Send + 'static,
    {
        let family = self.family(name)?;
        self.tools.in_layers(&family, access, work).await
    }
}

#[async_trait]
impl Layered for Lvm {
    async fn layers(&self, name: &str) -> Result<Vec<FoundLayer>, StorageError> {
        let work = |layers: Arc<Layers>| async move { chain::layers(&*layers).await };
        self.on_layers(name, Access::Look, work).await
    }

    async fn restore(&self, name: &str, snapshot: &str) -> Result<(), StorageError> {
        let snapshot = snapshot.to_owned();
        let work = |layers: Arc<Layers>| async move {
            chain::restore(&*layers, Some(&snapshot)).await.map(drop)
        };
        self.on_layers(name, Access::Change, work).await
    }

    async fn make_room(&self, name: &str, layer: &Layer, size: u64) -> Result<(), StorageError> {
        let layer = layer.clone();
        let work = move |layers: Arc<Layers>| async move { layers.make_room(&layer, size).await };
        self.on_layers(name, Access::Change, work).await
    }

    /// Takes a turn, and lets it go: another node's change of the group has ended, and the store answers.
    async fn get_ready(&self, name: &str) -> Result<(), StorageError> {
        self.family(name)?;
        self.tools.change(|_| async { Ok(()) }).await
    }

    async fn follow(&self, name: &str, snapshot: &str) -> Result<(), StorageError> {
        let snapshot = snapshot.to_owned();
        let work = |layers: Arc<Layers>| async move { chain::follow(&*layers, &snapshot).await };
        self.on_layers(name, Access::Change, work).await
    }

    async fn finish(&self, name: &str) -> Result<(), StorageError> {
        self.tools.remove_freed(&self.family(name)?).await.map(drop)
    }
}
