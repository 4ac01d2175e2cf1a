//! A storage of volumes of full size in a group of LVM's. All images are raw; there are neither
//! snapshots nor linked clones.
//!
//! A new volume holds what its blocks held before, as with Proxmox VE: `saferemove` zeroes what is
//! freed. The volume is renamed first (`del-vm-100-disk-0`), so that its name is free at once and
//! what was interrupted is found by the next one that frees it.

mod changing;
mod crypt;
mod encryption;
mod freeing;
mod group;
mod names;
mod programs;
mod zeroing;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use model::{BlockFormat, BlockSpec, VmId};
use sys::{SharedHost, SpaceUsage};
use tokio::sync::Mutex;

pub(crate) use self::crypt::Crypt;
pub(crate) use self::group::{Group, Volume};
pub(crate) use self::names::parse_guest_name;
pub use self::programs::LvmPrograms;
pub(crate) use self::zeroing::{Pace, zero_image};
use crate::names::free_disk_number;
use crate::{
    Alone, AttachMode, Attacher, ContentType, FileVolumes, LinkedClones, LvmSpec, Snapshots,
    Storage, StorageConfig, StorageError, Turns, VolumeInfo, VolumeName, WipeRate,
};

pub(crate) fn parse_name(name: &str) -> Option<VolumeName> {
    parse_guest_name(name).filter(|said| !said.is_base)
}

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

    fn owner(&self, name: &str) -> Result<VmId, StorageError> {
        let owner = self.parse(name)?.owner;
        owner.ok_or_else(|| StorageError::BadName(name.to_owned()))
    }

    fn describe(&self, volume: &Volume) -> Option<VolumeInfo> {
        let said = parse_name(&volume.name)?;
        let is_tagged = said
            .owner
            .is_some_and(|owner| volume.is_tagged(&tag(owner)));
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

/// The tag of a guest's volumes. Source: Proxmox VE's tags.
fn tag(owner: VmId) -> String {
    format!("pve-vm-{owner}")
}

/// What a volume is called from the moment it is freed until its blocks are zeroed.
fn freed(name: &str) -> String {
    format!("del-{name}")
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
        let volumes = self.tools.group.volumes().await?;
        Ok(volumes
            .iter()
            .filter_map(|volume| self.describe(volume))
            .collect())
    }

    async fn stat(&self, name: &str) -> Result<Option<VolumeInfo>, StorageError> {
        self.parse(name)?;
        let found = self.tools.find(name).await?;
        Ok(found.and_then(|volume| self.describe(&volume)))
    }

    async fn choose_image_name(
        &self,
        owner: VmId,
        format: BlockFormat,
        taken: &[String],
    ) -> Result<String, StorageError> {
        check_raw(format)?;
        // A volume of another kind in the group has its name too.
        let volumes = self.tools.group.layout().await?;
        let there = volumes.iter().map(|volume| volume.name.as_str());
        let number = free_disk_number(owner, there.chain(taken.iter().map(String::as_str)));
        Ok(self.image_name(owner, &format!("disk-{number}"), format))
    }

    fn image_name(&self, owner: VmId, what: &str, _format: BlockFormat) -> String {
        format!("vm-{owner}-{what}")
    }

    async fn allocate(
        &self,
        name: &str,
        format: BlockFormat,
        size: u64,
    ) -> Result<(), StorageError> {
        let owner = self.owner(name)?;
        check_raw(format)?;
        let name = name.to_owned();
        self.tools
            .change(move |changing| async move { changing.create(&name, owner, size).await })
            .await
    }

    fn new_images_are_zero(&self) -> bool {
        false
    }

    async fn zero(&self, name: &str) -> Result<(), StorageError> {
        self.parse(name)?;
        zero_image(self, &self.tools.group, name).await
    }

    async fn free(&self, name: &str) -> Result<bool, StorageError> {
        self.parse(name)?;
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
        let name = name.to_owned();
        self.tools
            .change(move |changing| async move { changing.grow(&name, size).await })
            .await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        self.parse(from)?;
        let owner = self.owner(to)?;
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
        None
    }

    fn linked_clones(&self) -> Option<&dyn LinkedClones> {
        None
    }
}
