//! A storage of thin volumes in a pool of LVM's. All images are raw; a snapshot is a volume of its
//! own, and so is a linked clone.
//!
//! A volume is active only while it is attached, so that the host does not scan what a guest wrote
//! into it.

mod linked_clones;
mod names;
mod snapshots;

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use model::{BlockFormat, BlockSource, BlockSpec, VmId};
use sys::{SharedHost, SpaceUsage};

pub(crate) use crate::lvm::parse_guest_name as parse_name;
use crate::lvm::{Group, Volume, check_raw};
use crate::names::free_disk_number;
use crate::{
    AttachMode, Attacher, ContentType, FileVolumes, LinkedClones, LvmThinSpec, Snapshots, Storage,
    StorageConfig, StorageError, Trouble, VolumeInfo, VolumeName,
};

/// From how much of its metadata on a pool is in trouble, in percent.
const METADATA_FULL: f64 = 80.0;

pub(crate) struct LvmThin {
    config: StorageConfig,
    tools: Arc<Tools>,
}

impl LvmThin {
    pub(crate) fn new(config: StorageConfig, spec: LvmThinSpec, host: SharedHost) -> Self {
        let group = Group::new(config.id().clone(), &spec.vgname, host);
        let pool = spec.thinpool;
        let tools = Arc::new(Tools { group, pool });
        Self { config, tools }
    }

    fn parse(&self, name: &str) -> Result<VolumeName, StorageError> {
        self.config.parse(name)
    }

    fn describe(&self, volume: &Volume) -> Option<VolumeInfo> {
        let said = parse_name(&volume.name)?;
        volume.is_thin_in(&self.tools.pool).then(|| VolumeInfo {
            name: volume.name.clone(),
            content: said.content,
            format: said.format,
            size: volume.size(),
            used: volume.used(),
            created: volume.created(),
            owner: said.owner,
        })
    }
}

/// One pool, and LVM's programs for it.
struct Tools {
    group: Group,
    pool: String,
}

impl Deref for Tools {
    type Target = Group;

    fn deref(&self) -> &Group {
        &self.group
    }
}

impl Tools {
    /// Runs a change to its end, after those that began earlier.
    async fn change<T, F>(
        self: &Arc<Self>,
        work: impl FnOnce(Arc<Self>) -> F,
    ) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StorageError>> + Send + 'static,
    {
        self.group.in_turn(work(self.clone())).await
    }

    /// The pool, which must be there.
    async fn thin_pool(&self) -> Result<Volume, StorageError> {
        let volumes = self.volumes().await?;
        let mut pools = volumes.into_iter().filter(Volume::is_thin_pool);
        let none = || {
            let full = self.full(&self.pool);
            StorageError::Refused(format!("no such logical volume {full}"))
        };
        pools.find(|pool| pool.name == self.pool).ok_or_else(none)
    }

    /// A volume of the pool; none where there is no such volume, or one of that name elsewhere.
    async fn find(&self, name: &str) -> Result<Option<Volume>, StorageError> {
        let volumes = self.volumes().await?;
        let mut volumes = volumes.into_iter();
        Ok(volumes.find(|volume| volume.name == name && volume.is_thin_in(&self.pool)))
    }

    /// The same, which must be there.
    async fn get(&self, name: &str) -> Result<Volume, StorageError> {
        let found = self.find(name).await?;
        found.ok_or_else(|| StorageError::NoVolume {
            storage: self.storage.clone(),
            name: name.to_owned(),
        })
    }

    /// Refuses to make a volume where there is one of that name, in the pool or elsewhere in the
    /// group, and in a pool whose new blocks hold deleted data.
    async fn check_new(&self, name: &str) -> Result<(), StorageError> {
        let volumes = self.volumes().await?;
        if volumes.iter().any(|volume| volume.name == name) {
            let (storage, name) = (self.storage.clone(), name.to_owned());
            return Err(StorageError::Exists { storage, name });
        }
        let is_pool = |volume: &&Volume| volume.is_thin_pool() && volume.name == self.pool;
        if volumes
            .iter()
            .find(is_pool)
            .is_some_and(|pool| !pool.zeroes())
        {
            let full = self.full(&self.pool);
            let why = "new blocks are not zeroed, so guests could read deleted data of others";
            let text = format!("thin pool '{full}': {why} (lvchange --zero y {full})");
            return Err(StorageError::Refused(text));
        }
        Ok(())
    }

    /// Makes a volume that was not there, by these arguments of `lvcreate`. A failure leaves
    /// nothing.
    async fn create(&self, name: &str, args: &[&str]) -> Result<(), StorageError> {
        // Only `attach` activates it: the host's automatic activation skips it.
        let inactive = ["--yes", "--activate", "n", "--setactivationskip", "y"];
        let args = [&inactive[..], &["--name", name], args].concat();
        let made = self.run(name, "lvcreate", &args).await;
        // `check_new` found no volume of this name, so one that is there now is ours, unless
        // another program created it meanwhile.
        if made.is_err() && !matches!(made, Err(StorageError::Exists { .. })) {
            let _ = self.remove(name, &[name.to_owned()]).await;
        }
        made
    }

    /// Removes volumes of the pool that are there. False where none was.
    async fn remove(&self, name: &str, all: &[String]) -> Result<bool, StorageError> {
        let volumes = self.volumes().await?;
        let is_there = |name: &String| {
            let mut volumes = volumes.iter();
            volumes.any(|volume| volume.name == *name && volume.is_thin_in(&self.pool))
        };
        let there = all.iter().filter(|name| is_there(name));
        let full: Vec<String> = there.map(|name| self.full(name)).collect();
        if full.is_empty() {
            return Ok(false);
        }
        let mut args = vec!["--force", "--yes"];
        args.extend(full.iter().map(String::as_str));
        self.run(name, "lvremove", &args).await?;
        Ok(true)
    }

    /// Activates a volume, and returns its device.
    async fn attach(&self, name: &str, by: &Attacher) -> Result<BlockSource, StorageError> {
        let volume = self.get(name).await?;
        let how = ["--activate", "y", "--ignoreactivationskip"];
        self.group.attach(&volume, &how, by).await
    }

    /// Deactivates a volume after its last attacher.
    async fn detach(&self, name: &str, by: &Attacher) -> Result<(), StorageError> {
        if !self.let_go(name, by) {
            return Ok(());
        }
        match self.find(name).await? {
            Some(volume) => self.deactivate(&volume).await,
            None => Ok(()),
        }
    }

    /// A base can only be read.
    async fn set_base(&self, name: &str, is_base: bool) -> Result<(), StorageError> {
        if self.get(name).await?.is_read_only() == is_base {
            return Ok(());
        }
        let permission = if is_base { "r" } else { "rw" };
        let args = ["--permission", permission, &self.full(name)];
        self.run(name, "lvchange", &args).await
    }
}

#[async_trait]
impl Storage for LvmThin {
    fn config(&self) -> &StorageConfig {
        &self.config
    }

    async fn activate(&self) -> Result<(), StorageError> {
        if self.tools.thin_pool().await?.is_active() {
            return Ok(());
        }
        let activate = |tools: Arc<Tools>| async move {
            let full = tools.full(&tools.pool);
            tools
                .run(&tools.pool, "lvchange", &["--activate", "y", &full])
                .await
        };
        self.tools.change(activate).await
    }

    async fn status(&self) -> Result<SpaceUsage, StorageError> {
        let pool = self.tools.thin_pool().await?;
        if !pool.is_active() {
            let storage = self.config.id().clone();
            let reason = format!("thin pool '{}' is not active", self.tools.full(&pool.name));
            return Err(StorageError::Inactive { storage, reason });
        }
        let (total, used) = (pool.size(), pool.used().unwrap_or_default());
        Ok(SpaceUsage {
            total,
            used,
            available: total.saturating_sub(used),
        })
    }

    /// A pool whose metadata is full takes no more writes, however much room its data has.
    async fn troubles(&self) -> Result<Vec<Trouble>, StorageError> {
        let pool = self.tools.thin_pool().await?;
        let percent = pool
            .metadata_percent()
            .filter(|percent| *percent >= METADATA_FULL);
        let full = self.tools.full(&pool.name);
        let trouble = percent.map(|percent| Trouble {
            kind: "metadata-full",
            text: format!("the metadata of thin pool '{full}' is {percent:.0} % full"),
            advice: "make it larger (lvextend --poolmetadatasize), or remove snapshots",
        });
        Ok(trouble.into_iter().collect())
    }

    async fn list(&self, content: Option<ContentType>) -> Result<Vec<VolumeInfo>, StorageError> {
        if content.is_some_and(|content| content != ContentType::Images) {
            return Ok(Vec::new());
        }
        let volumes = self.tools.volumes().await?;
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
        let volumes = self.tools.volumes().await?;
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
        self.parse(name)?;
        check_raw(format)?;
        let name = name.to_owned();
        let allocate = |tools: Arc<Tools>| async move {
            tools.check_new(&name).await?;
            let (size, pool) = (format!("{size}b"), tools.full(&tools.pool));
            let args = ["--virtualsize", &size, "--thinpool", &pool];
            tools.create(&name, &args).await
        };
        self.tools.change(allocate).await
    }

    async fn free(&self, name: &str) -> Result<bool, StorageError> {
        self.parse(name)?;
        let name = name.to_owned();
        let free = |tools: Arc<Tools>| async move {
            let mut all = tools.snapshot_volumes(&name).await?;
            all.extend([names::roll_back(&name), name.clone()]);
            tools.remove(&name, &all).await
        };
        self.tools.change(free).await
    }

    async fn resize(&self, name: &str, size: u64) -> Result<(), StorageError> {
        self.parse(name)?;
        let name = name.to_owned();
        let resize = |tools: Arc<Tools>| async move {
            if tools.get(&name).await?.size() >= size {
                return Ok(());
            }
            let (size, full) = (format!("{size}b"), tools.full(&name));
            tools
                .run(&name, "lvextend", &["--size", &size, &full])
                .await
        };
        self.tools.change(resize).await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        self.parse(from)?;
        let is_base = self.parse(to)?.is_base;
        let (from, to) = (from.to_owned(), to.to_owned());
        let rename = |tools: Arc<Tools>| async move {
            if tools.find(&from).await?.is_some() {
                tools.check_new(&to).await?;
                tools.check_no_snapshots(&from).await?;
                let args = [tools.group.name.as_str(), &from, &to];
                tools.run(&from, "lvrename", &args).await?;
            }
            tools.set_base(&to, is_base).await
        };
        self.tools.change(rename).await
    }

    async fn attach(
        &self,
        name: &str,
        mode: AttachMode,
        by: &Attacher,
    ) -> Result<BlockSpec, StorageError> {
        if self.parse(name)?.is_base && !mode.is_read_only() {
            let id = self.config.id();
            let text = format!("base volume '{id}:{name}' cannot be written to");
            return Err(StorageError::Refused(text));
        }
        let (name, by) = (name.to_owned(), by.clone());
        let attach = |tools: Arc<Tools>| async move { tools.attach(&name, &by).await };
        Ok(BlockSpec {
            read_only: mode.is_read_only(),
            ..BlockSpec::new(self.tools.change(attach).await?, BlockFormat::Raw)
        })
    }

    async fn detach(&self, name: &str, by: &Attacher) -> Result<(), StorageError> {
        self.parse(name)?;
        let (name, by) = (name.to_owned(), by.clone());
        let detach = |tools: Arc<Tools>| async move { tools.detach(&name, &by).await };
        self.tools.change(detach).await
    }

    fn path(&self, name: &str) -> Result<PathBuf, StorageError> {
        self.parse(name)?;
        Ok(self.tools.path(name))
    }

    fn files(&self) -> Option<&dyn FileVolumes> {
        None
    }

    fn snapshots(&self) -> Option<&dyn Snapshots> {
        Some(self)
    }

    fn linked_clones(&self) -> Option<&dyn LinkedClones> {
        Some(self)
    }
}
