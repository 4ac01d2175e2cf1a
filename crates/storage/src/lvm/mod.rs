//! A storage of volumes of full size in a group of LVM's. An image is raw, or with
//! `snapshot-as-volume-chain` one of qcow2, whose snapshots are layers (`layers`). There are no linked
//! clones.
//!
//! A new volume holds what its blocks held before, as with Proxmox VE: `saferemove` zeroes what is
//! freed. The volume is renamed first (`del-vm-100-disk-0`), so that its name is free at once and
//! what was interrupted is found by the next one that frees it.

mod changing;
mod crypt;
mod encryption;
mod freeing;
mod group;
mod layers;
mod names;
mod programs;
mod snapshots;
mod zeroing;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use model::{BlockFormat, BlockSpec, VmId};
use sys::{SharedHost, SpaceUsage};
use tokio::sync::Mutex;

pub(crate) use self::crypt::Crypt;
pub(crate) use self::group::{Group, Volume};
use self::names::{Family, fits, image_part, with_format};
pub(crate) use self::names::{parse_guest_name, parse_name};
pub use self::programs::LvmPrograms;
pub(crate) use self::zeroing::{Pace, zero_image};
use crate::chain::Layer;
use crate::names::free_disk_number;
use crate::{
    Alone, AttachMode, Attacher, ContentType, FileVolumes, Layered, LinkedClones, LvmSpec,
    Snapshots, Storage, StorageConfig, StorageError, Turns, VolumeInfo, VolumeName, WipeRate,
};

pub(crate) fn check_raw(format: BlockFormat) -> Result<(), StorageError> {
    match format {
        BlockFormat::Raw => Ok(()),
        other => Err(StorageError::BadFormat(other)),
    }
}

pub(crate) struct Lvm {
    config: StorageConfig,
    tools: Arc<Tools>,
}

struct Tools {
    group: Group,
    spec: LvmSpec,
    /// Those of all nodes that see the group.
    turns: Arc<dyn Turns>,
    changes: Arc<Mutex<()>>,
    zeroing: Mutex<()>,
}

impl Lvm {
    /// `turns` count for a group that all nodes see.
    pub(crate) fn new(
        config: StorageConfig,
        spec: LvmSpec,
        key: Option<String>,
        host: SharedHost,
        turns: Arc<dyn Turns>,
    ) -> Self {
        let is_encrypted = spec.encrypted == Some(true);
        let crypt = is_encrypted.then(|| Crypt::new(host.clone(), key));
        let group = Group::new(config.id().clone(), &spec.vgname, host, crypt);
        let turns = match spec.shared {
            Some(true) => turns,
            _ => Arc::new(Alone),
        };
        let tools = Arc::new(Tools {
            group,
            spec,
            turns,
            changes: Arc::default(),
            zeroing: Mutex::default(),
        });
        Self { config, tools }
    }

    fn parse(&self, name: &str) -> Result<VolumeName, StorageError> {
        self.config.parse(name)
    }

    /// Whether new images may be of qcow2, and have snapshots.
    fn has_layers(&self) -> bool {
        self.tools.spec.snapshot_as_volume_chain == Some(true)
    }

    fn check_format(&self, format: BlockFormat) -> Result<(), StorageError> {
        match format {
            BlockFormat::Qcow2 if self.has_layers() => Ok(()),
            format => check_raw(format),
        }
    }

    /// Refuses a new name that could not be changed when the volume goes.
    fn check_new_name(&self, name: &str) -> Result<(), StorageError> {
        let gets_others = Family::of(name).is_some() || self.tools.spec.saferemove == Some(true);
        match gets_others && !fits(&self.tools.group.name, name) {
            false => Ok(()),
            true => Err(StorageError::BadName(name.to_owned())),
        }
    }

    fn owner(&self, name: &str) -> Result<VmId, StorageError> {
        let owner = self.parse(name)?.owner;
        owner.ok_or_else(|| StorageError::BadName(name.to_owned()))
    }

    /// Of an image of qcow2 only its header says how large it is: in lists it has the size of its
    /// volume, as with Proxmox VE.
    fn describe(&self, volume: &Volume) -> Option<VolumeInfo> {
        let said = parse_name(&volume.name)?;
        let is_tagged = said
            .owner
            .is_some_and(|owner| volume.is_tagged(&owner_tag(owner)));
        let is_meant = self.tools.spec.tagged_only != Some(true) || is_tagged;
        (volume.is_thick() && is_meant).then(|| VolumeInfo {
            name: volume.name.clone(),
            content: said.content,
            format: said.format,
            size: self.tools.group.size_of(volume),
            used: Some(volume.size()),
            created: volume.created(),
            owner: said.owner,
        })
    }
}

/// Gives those images their names whose naming was broken off: no other volume has the name.
fn put_names_in_place(volumes: &mut [Volume]) {
    let there: Vec<String> = volumes.iter().map(|volume| volume.name.clone()).collect();
    for volume in volumes {
        let name = image_part(&volume.name).to_owned();
        let family = Family::of(&name).filter(|family| family.owns(volume));
        let is_image =
            family.is_some_and(|family| family.takes(&volume.name) == Some(Layer::Image));
        if is_image && !there.contains(&name) {
            volume.name = name;
        }
    }
}

/// The tag of a guest's volumes. Source: Proxmox VE's tags.
fn owner_tag(owner: VmId) -> String {
    format!("pve-vm-{owner}")
}

/// The tags of an image. Its layers have the same.
fn tags(name: &str, owner: VmId) -> Vec<String> {
    let family = Family::of(name).map(|family| family.tag());
    [owner_tag(owner)].into_iter().chain(family).collect()
}

/// Volumes with blocks of their own, as `lvchange` and `lvremove` select them.
const THICK: &str = "lv_attr=~\"^[-mMrR]\"";

impl Tools {
    /// How freed volumes are zeroed.
    fn pace(&self) -> Pace {
        let rate = self.spec.saferemove_throughput.as_ref();
        Pace {
            step_mib: self.spec.saferemove_stepsize,
            bytes_per_s: rate.map(WipeRate::bytes_per_s),
        }
    }

    async fn find(&self, name: &str) -> Result<Option<Volume>, StorageError> {
        let mut volumes = self.group.layout().await?.into_iter();
        Ok(volumes.find(|volume| volume.name == name && volume.is_thick()))
    }

    async fn get(&self, name: &str) -> Result<Volume, StorageError> {
        let found = self.find(name).await?;
        found.ok_or_else(|| self.group.no_volume(name))
    }
}

#[async_trait]
impl Storage for Lvm {
    fn config(&self) -> &StorageConfig {
        &self.config
    }

    /// A group needs nothing to be used. One that is missing is found by `status`, as with Proxmox
    /// VE.
    async fn activate(&self) -> Result<(), StorageError> {
        self.tools.group.check_crypt().await
    }

    async fn status(&self) -> Result<SpaceUsage, StorageError> {
        let space = self.tools.group.space().await?;
        let none = || {
            let name = &self.tools.group.name;
            StorageError::Refused(format!("no such volume group '{name}'"))
        };
        let (total, available) = space.ok_or_else(none)?.bytes();
        Ok(SpaceUsage {
            total,
            used: total.saturating_sub(available),
            available,
        })
    }

    async fn list(&self, content: Option<ContentType>) -> Result<Vec<VolumeInfo>, StorageError> {
        if content.is_some_and(|content| content != ContentType::Images) {
            return Ok(Vec::new());
        }
        let mut volumes = self.tools.group.volumes().await?;
        put_names_in_place(&mut volumes);
        Ok(volumes
            .iter()
            .filter_map(|volume| self.describe(volume))
            .collect())
    }

    fn lists_size_of(&self, name: &str) -> bool {
        Family::of(name).is_none()
    }

    async fn stat(&self, name: &str) -> Result<Option<VolumeInfo>, StorageError> {
        self.parse(name)?;
        let Some(family) = Family::of(name) else {
            let found = self.tools.find(name).await?;
            return Ok(found.and_then(|volume| self.describe(&volume)));
        };
        let found = self.tools.image_of(&family).await?;
        let Some(described) = found.and_then(|volume| self.describe(&volume)) else {
            return Ok(None);
        };
        let size = self.tools.size_of(family).await?;
        Ok(Some(VolumeInfo { size, ..described }))
    }

    async fn choose_image_name(
        &self,
        owner: VmId,
        format: BlockFormat,
        taken: &[String],
    ) -> Result<String, StorageError> {
        self.check_format(format)?;
        // A volume of another kind in the group has its name too.
        let volumes = self.tools.group.layout().await?;
        // The name of an image may be about to be taken by a part of it.
        let there = volumes.iter().map(|volume| image_part(&volume.name));
        let number = free_disk_number(owner, there.chain(taken.iter().map(String::as_str)));
        Ok(self.image_name(owner, &format!("disk-{number}"), format))
    }

    fn image_name(&self, owner: VmId, what: &str, format: BlockFormat) -> String {
        with_format(format!("vm-{owner}-{what}"), format)
    }

    async fn allocate(
        &self,
        name: &str,
        format: BlockFormat,
        size: u64,
    ) -> Result<(), StorageError> {
        let owner = self.owner(name)?;
        self.check_format(format)?;
        if self.config.image_format(name)? != format {
            return Err(StorageError::BadName(name.to_owned()));
        }
        self.check_new_name(name)?;
        if let Some(family) = Family::of(name) {
            return self.tools.allocate(family, owner, size).await;
        }
        let name = name.to_owned();
        self.tools
            .change(move |changing| async move { changing.create(&name, owner, size).await })
            .await
    }

    fn new_images_are_zero(&self, name: &str) -> bool {
        Family::of(name).is_some()
    }

    async fn zero(&self, name: &str) -> Result<(), StorageError> {
        self.parse(name)?;
        match self.new_images_are_zero(name) {
            true => Ok(()),
            false => zero_image(self, &self.tools.group, name).await,
        }
    }

    async fn free(&self, name: &str) -> Result<bool, StorageError> {
        self.parse(name)?;
        if let Some(family) = Family::of(name) {
            return self.tools.free_layers(&family).await;
        }
        if self.tools.spec.saferemove == Some(true) {
            return self.tools.free_safely(name).await;
        }
        let name = name.to_owned();
        self.tools
            .change(move |changing| async move { changing.remove(&name).await })
            .await
    }

    async fn resize(&self, name: &str, size: u64) -> Result<(), StorageError> {
        self.parse(name)?;
        if let Some(family) = Family::of(name) {
            return self.tools.grow_image(family, size).await;
        }
        let name = name.to_owned();
        self.tools
            .change(move |changing| async move { changing.grow(&name, size).await })
            .await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        let owner = self.owner(to)?;
        if self.config.image_format(from)? != self.config.image_format(to)? {
            return Err(StorageError::BadName(to.to_owned()));
        }
        self.check_new_name(to)?;
        if let Some(family) = Family::of(from) {
            self.tools.settle_names(&family).await?;
            self.tools.check_no_snapshots(&family).await?;
        }
        let (from, to) = (from.to_owned(), to.to_owned());
        self.tools
            .change(move |changing| async move { changing.rename(&from, &to, owner).await })
            .await
    }

    async fn attach(
        &self,
        name: &str,
        mode: AttachMode,
        by: &Attacher,
    ) -> Result<BlockSpec, StorageError> {
        self.parse(name)?;
        if let Some(family) = Family::of(name) {
            return self.tools.attach_image(&family, mode, by).await;
        }
        let (name, by, tools) = (name.to_owned(), by.clone(), self.tools.clone());
        // The group stays as it is, so no other node need wait.
        let attach = async move {
            let how = ["--activate", "y"];
            let named = (name.as_str(), THICK);
            tools.group.attach(named, Volume::is_thick, &how, &by).await
        };
        Ok(BlockSpec {
            read_only: mode.is_read_only(),
            ..BlockSpec::new(self.tools.group.locked(attach).await?, BlockFormat::Raw)
        })
    }

    async fn detach(&self, name: &str, by: &Attacher) -> Result<(), StorageError> {
        self.parse(name)?;
        if let Some(family) = Family::of(name) {
            return self.tools.release(&family, &Layer::Image, by).await;
        }
        let (name, by, tools) = (name.to_owned(), by.clone(), self.tools.clone());
        let detach = async move {
            match tools.group.let_go(&name, &by) {
                true => tools.group.deactivate(&name, THICK).await,
                false => Ok(()),
            }
        };
        self.tools.group.locked(detach).await
    }

    fn path(&self, name: &str) -> Result<PathBuf, StorageError> {
        self.parse(name)?;
        Ok(self.tools.group.plain_path(name))
    }

    fn files(&self) -> Option<&dyn FileVolumes> {
        None
    }

    fn snapshots(&self) -> Option<&dyn Snapshots> {
        self.has_layers().then_some(self)
    }

    fn layered(&self) -> Option<&dyn Layered> {
        Some(self)
    }

    fn linked_clones(&self) -> Option<&dyn LinkedClones> {
        None
    }
}
