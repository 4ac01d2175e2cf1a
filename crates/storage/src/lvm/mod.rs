//! A storage of volumes of full size in a group of LVM's. All images are raw; there are neither
//! snapshots nor linked clones.
//!
//! A new volume holds what its blocks held before, as with Proxmox VE: `saferemove` zeroes what is
//! freed. The volume is renamed first (`del-vm-100-disk-0`), so that its name is free at once and
//! what was interrupted is found by the next one that frees it.

mod group;
mod names;
mod programs;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::{BlockFormat, BlockSpec, VmId};
use sys::{Command, SharedHost, SpaceUsage};

pub(crate) use self::group::{Group, Volume};
pub(crate) use self::names::parse_guest_name;
pub use self::programs::LvmPrograms;
use crate::names::free_disk_number;
use crate::{
    AttachMode, Attacher, ContentType, FileVolumes, LinkedClones, LvmSpec, Snapshots, Storage,
    StorageConfig, StorageError, VolumeInfo, VolumeName,
};

/// How much is zeroed at a time where nothing is said, in MiB. Source: Proxmox VE's default.
const STEP_MIB: u64 = 32;

/// Zeroing a volume takes as long as its disks do.
const ZERO: Duration = Duration::from_secs(24 * 3600);

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
}

impl Lvm {
    pub(crate) fn new(config: StorageConfig, spec: LvmSpec, host: SharedHost) -> Self {
        let group = Group::new(config.id().clone(), &spec.vgname, host);
        let tools = Arc::new(Tools { group, spec });
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
            size: volume.size(),
            used: Some(volume.size()),
            created: volume.created(),
            owner: said.owner,
        })
    }

    async fn change<T, F>(&self, work: impl FnOnce(Arc<Tools>) -> F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StorageError>> + Send + 'static,
    {
        self.tools.group.in_turn(work(self.tools.clone())).await
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
    async fn find(&self, name: &str) -> Result<Option<Volume>, StorageError> {
        let mut volumes = self.group.layout().await?.into_iter();
        Ok(volumes.find(|volume| volume.name == name && volume.is_thick()))
    }

    async fn get(&self, name: &str) -> Result<Volume, StorageError> {
        let found = self.find(name).await?;
        found.ok_or_else(|| self.group.no_volume(name))
    }

    /// Refuses to make a volume where there is one of that name, of whatever kind.
    async fn check_new(&self, name: &str) -> Result<(), StorageError> {
        let volumes = self.group.layout().await?;
        match volumes.iter().any(|volume| volume.name == name) {
            true => Err(self.group.exists(name)),
            false => Ok(()),
        }
    }

    /// Makes a volume that was not there, and leaves it inactive. A failure leaves nothing.
    async fn create(&self, name: &str, owner: VmId, size: u64) -> Result<(), StorageError> {
        let (size, tag) = (format!("{size}b"), tag(owner));
        // The host's automatic activation skips it; `attach` activates it. No signature of an
        // earlier volume must be found in it.
        let how = ["--yes", "--setautoactivation", "n", "--wipesignatures", "y"];
        let what = ["--addtag", &tag, "--size", &size, "--name", name];
        let args = [&how[..], &what, &[self.group.name.as_str()]].concat();
        let made = match self.group.run(name, "lvcreate", &args).await {
            // Wiping needed it to be active.
            Ok(_) => {
                let off = ["--activate", "n", &self.group.full(name)];
                self.group.run(name, "lvchange", &off).await.map(drop)
            }
            Err(error) => Err(error),
        };
        if made.is_err() && !matches!(made, Err(StorageError::Exists { .. })) {
            let _ = self.remove(name).await;
        }
        made
    }

    async fn remove(&self, name: &str) -> Result<bool, StorageError> {
        self.group.remove(name, THICK).await
    }

    async fn free(&self, name: &str) -> Result<bool, StorageError> {
        if self.spec.saferemove != Some(true) {
            return self.remove(name).await;
        }
        let volumes = self.group.layout().await?;
        let is_there = |name: &str| {
            let mut volumes = volumes.iter();
            volumes.any(|volume| volume.name == name && volume.is_thick())
        };
        let (doomed, was_there) = (freed(name), is_there(name));
        let is_left = is_there(&doomed);
        // What an earlier attempt has not finished goes first: its name is needed.
        if is_left {
            self.wipe(&doomed).await?;
        }
        if was_there {
            let args = [self.group.name.as_str(), name, &doomed];
            self.group.run(name, "lvrename", &args).await?;
            self.wipe(&doomed).await?;
        }
        Ok(is_left || was_there)
    }

    /// Overwrites a volume with zeros and removes it.
    async fn wipe(&self, name: &str) -> Result<(), StorageError> {
        self.zero(name).await?;
        self.remove(name).await.map(drop)
    }

    /// Activates a volume and overwrites it with zeros.
    async fn zero(&self, name: &str) -> Result<(), StorageError> {
        let full = self.group.full(name);
        let activate = ["--activate", "y", full.as_str()];
        self.group.run(name, "lvchange", &activate).await?;
        let step = self.spec.saferemove_stepsize.unwrap_or(STEP_MIB) << 20;
        let device = self.group.path(name).display().to_string();
        let command = Command::new("blkdiscard")
            .args(["--force", "--zeroout", "--step", &step.to_string(), &device])
            .timeout(Some(ZERO));
        let zeroed = self.group.host.run(command).await;
        let zeroed = zeroed.and_then(|output| output.checked("blkdiscard"));
        let failed = |error| StorageError::of(&self.group.storage, error);
        zeroed.map(drop).map_err(failed)
    }

    /// Gives a volume another name, and the tag of its new owner.
    async fn rename(&self, from: &str, to: &str, owner: VmId) -> Result<(), StorageError> {
        let volumes = self.group.layout().await?;
        let find = |name: &str| volumes.iter().find(|volume| volume.name == name);
        let source = find(from).filter(|volume| volume.is_thick());
        let target = find(to);
        let volume = match (source, target) {
            (Some(_), Some(_)) if from != to => return Err(self.group.exists(to)),
            (Some(volume), None) => {
                let args = [self.group.name.as_str(), from, to];
                self.group.run(from, "lvrename", &args).await?;
                volume
            }
            (_, Some(volume)) if volume.is_thick() => volume,
            _ => return Err(self.group.no_volume(to)),
        };
        let earlier = parse_name(from).and_then(|said| said.owner).map(tag);
        let (tag, full) = (tag(owner), self.group.full(to));
        let mut args: Vec<&str> = Vec::new();
        if let Some(earlier) = earlier
            .as_ref()
            .filter(|it| **it != tag && volume.is_tagged(it))
        {
            args.extend(["--deltag", earlier]);
        }
        if !volume.is_tagged(&tag) {
            args.extend(["--addtag", &tag]);
        }
        if args.is_empty() {
            return Ok(());
        }
        args.push(&full);
        self.group.run(to, "lvchange", &args).await.map(drop)
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
        Ok(())
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
        let allocate = |tools: Arc<Tools>| async move {
            tools.check_new(&name).await?;
            tools.create(&name, owner, size).await
        };
        self.change(allocate).await
    }

    fn new_images_are_zero(&self) -> bool {
        false
    }

    async fn zero(&self, name: &str) -> Result<(), StorageError> {
        self.parse(name)?;
        let name = name.to_owned();
        let zero = |tools: Arc<Tools>| async move {
            tools.zero(&name).await?;
            tools.group.deactivate(&name, THICK).await
        };
        self.change(zero).await
    }

    async fn free(&self, name: &str) -> Result<bool, StorageError> {
        self.parse(name)?;
        let name = name.to_owned();
        self.change(|tools| async move { tools.free(&name).await })
            .await
    }

    async fn resize(&self, name: &str, size: u64) -> Result<(), StorageError> {
        self.parse(name)?;
        let name = name.to_owned();
        let resize = |tools: Arc<Tools>| async move {
            if tools.get(&name).await?.size() >= size {
                return Ok(());
            }
            let (size, full) = (format!("{size}b"), tools.group.full(&name));
            let args = ["--size", size.as_str(), &full];
            tools.group.run(&name, "lvextend", &args).await.map(drop)
        };
        self.change(resize).await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        self.parse(from)?;
        let owner = self.owner(to)?;
        let (from, to) = (from.to_owned(), to.to_owned());
        self.change(|tools| async move { tools.rename(&from, &to, owner).await })
            .await
    }

    async fn attach(
        &self,
        name: &str,
        mode: AttachMode,
        by: &Attacher,
    ) -> Result<BlockSpec, StorageError> {
        self.parse(name)?;
        let (name, by) = (name.to_owned(), by.clone());
        let attach = |tools: Arc<Tools>| async move {
            let how = ["--activate", "y"];
            let named = (name.as_str(), THICK);
            tools.group.attach(named, Volume::is_thick, &how, &by).await
        };
        Ok(BlockSpec {
            read_only: mode.is_read_only(),
            ..BlockSpec::new(self.change(attach).await?, BlockFormat::Raw)
        })
    }

    async fn detach(&self, name: &str, by: &Attacher) -> Result<(), StorageError> {
        self.parse(name)?;
        let (name, by) = (name.to_owned(), by.clone());
        let detach = |tools: Arc<Tools>| async move {
            match tools.group.let_go(&name, &by) {
                true => tools.group.deactivate(&name, THICK).await,
                false => Ok(()),
            }
        };
        self.change(detach).await
    }

    fn path(&self, name: &str) -> Result<PathBuf, StorageError> {
        self.parse(name)?;
        Ok(self.tools.group.path(name))
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
