//! A storage of thin volumes in a pool of LVM's. All images are raw; a snapshot is a volume of its
//! own, and so is a linked clone.
//!
//! A volume is active only while it is attached, so that the host does not scan what a guest wrote
//! into it.

mod linked_clones;
mod names;
mod snapshots;

use std::collections::BTreeSet;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use model::{BlockFormat, BlockSource, BlockSpec, VmId};
use sys::{SharedHost, SpaceUsage};

pub(crate) use crate::lvm::parse_guest_name as parse_name;
use crate::lvm::{Crypt, Group, Volume, check_raw, zero_image};
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
    pub(crate) fn new(
        config: StorageConfig,
        spec: LvmThinSpec,
        key: Option<String>,
        host: SharedHost,
    ) -> Self {
        let is_encrypted = spec.encrypted == Some(true);
        let crypt = is_encrypted.then(|| Crypt::new(host.clone(), key));
        let group = Group::new(config.id().clone(), &spec.vgname, host, crypt);
        let pool = spec.thinpool;
        let tools = Tools {
            group,
            pool,
            is_active: AtomicBool::new(false),
            seen: Mutex::default(),
        };
        let tools = Arc::new(tools);
        Self { config, tools }
    }

    fn parse(&self, name: &str) -> Result<VolumeName, StorageError> {
        self.config.parse(name)
    }

    /// A name for a new disk that no volume of the group has, of whatever kind.
    fn free_name(&self, owner: VmId, volumes: &[Volume], taken: &[String]) -> String {
        let there = volumes.iter().map(|volume| volume.name.as_str());
        let number = free_disk_number(owner, there.chain(taken.iter().map(String::as_str)));
        self.image_name(owner, &format!("disk-{number}"), BlockFormat::Raw)
    }

    fn describe(&self, volume: &Volume) -> Option<VolumeInfo> {
        let said = parse_name(&volume.name)?;
        volume.is_thin_in(&self.tools.pool).then(|| VolumeInfo {
            name: volume.name.clone(),
            content: said.content,
            format: said.format,
            size: self.tools.size_of(volume),
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
    /// The pool was seen active, since when `status` has not found it otherwise.
    is_active: AtomicBool,
    seen: Mutex<Seen>,
}

/// The volumes of the pool in the last list, and what was attached since. That one is not there any
/// more LVM says itself; into another pool none moves.
#[derive(Default)]
struct Seen {
    names: BTreeSet<String>,
    /// Counts what makes a list old that began before.
    changes: u64,
}

impl Seen {
    fn forget(&mut self, is_gone: impl Fn(&str) -> bool) {
        self.names.retain(|name| !is_gone(name));
        self.changes += 1;
    }
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
        self.group.locked(work(self.clone())).await
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers which volumes of the pool are in a list of the group's that began after so many
    /// changes. If there were more, what is new in it may be gone again.
    fn see(&self, volumes: &[Volume], changes: u64) {
        let ours = volumes.iter().filter(|volume| self.has(volume));
        let listed: BTreeSet<String> = ours.map(|volume| volume.name.clone()).collect();
        let mut seen = self.seen();
        match seen.changes == changes {
            true => seen.names = listed,
            false => seen.names.retain(|name| listed.contains(name)),
        }
    }

    fn has(&self, volume: &Volume) -> bool {
        volume.is_thin_in(&self.pool)
    }

    /// All volumes of the group.
    async fn volumes(&self) -> Result<Vec<Volume>, StorageError> {
        let changes = self.seen().changes;
        let volumes = self.group.volumes().await?;
        self.see(&volumes, changes);
        Ok(volumes)
    }

    /// The same without how full each is.
    async fn layout(&self) -> Result<Vec<Volume>, StorageError> {
        let changes = self.seen().changes;
        let volumes = self.group.layout().await?;
        self.see(&volumes, changes);
        Ok(volumes)
    }

    /// The volumes of the pool, as `lvchange` and `lvremove` select them.
    fn kind(&self) -> String {
        format!("pool_lv=\"{}\" && lv_attr=~\"^V\"", self.pool)
    }

    /// The pool, which must be there.
    async fn thin_pool(&self) -> Result<Volume, StorageError> {
        let volumes = self.volumes().await?;
        let mut pools = volumes.into_iter().filter(Volume::is_thin_pool);
        let none = || {
            let full = self.full(&self.pool);
            StorageError::Refused(format!("no such logical volume {full}"))
        };
        let pool = pools.find(|pool| pool.name == self.pool).ok_or_else(none);
        let is_active = pool.as_ref().is_ok_and(Volume::is_active);
        self.is_active.store(is_active, Ordering::SeqCst);
        pool
    }

    /// A volume of the pool; none where there is no such volume, or one of that name elsewhere.
    async fn find(&self, name: &str) -> Result<Option<Volume>, StorageError> {
        let mut volumes = self.volumes().await?.into_iter();
        Ok(volumes.find(|volume| volume.name == name && self.has(volume)))
    }

    /// Refuses where the pool has no such volume. One that it had in the last list LVM looks for
    /// itself.
    async fn check_there(&self, name: &str) -> Result<(), StorageError> {
        if self.seen().names.contains(name) {
            return Ok(());
        }
        self.check_among(&self.layout().await?, name)
    }

    /// Refuses where the pool has no such volume among all of the group. What was seen is no answer:
    /// another list may end meanwhile that began earlier.
    fn check_among(&self, volumes: &[Volume], name: &str) -> Result<(), StorageError> {
        let mut ours = volumes.iter().filter(|volume| self.has(volume));
        match ours.any(|volume| volume.name == name) {
            true => Ok(()),
            false => Err(self.no_volume(name)),
        }
    }

    /// Refuses to make a volume where there is one of that name, in the pool or elsewhere in the
    /// group, and in a pool whose new blocks hold deleted data.
    fn check_new(&self, name: &str, volumes: &[Volume]) -> Result<(), StorageError> {
        if volumes.iter().any(|volume| volume.name == name) {
            return Err(self.exists(name));
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

    /// Makes a volume by these arguments of `lvcreate`. `Exists` where there is one of that name.
    async fn create(&self, name: &str, args: &[&str]) -> Result<(), StorageError> {
        // Only `attach` activates it: the host's automatic activation skips it.
        let inactive = ["--yes", "--activate", "n", "--setactivationskip", "y"];
        let args = [&inactive[..], &["--name", name], args].concat();
        self.run(name, "lvcreate", &args).await.map(drop)
    }

    /// The same for a name that a list has just shown to be free, or that only we give. A failure
    /// leaves nothing.
    async fn create_new(&self, name: &str, args: &[&str]) -> Result<(), StorageError> {
        let made = self.create(name, args).await;
        // One that is there now is ours, unless another program created it meanwhile.
        if made.is_err() && !matches!(made, Err(StorageError::Exists { .. })) {
            let _ = self.remove(name).await;
        }
        made
    }

    /// Encrypts a volume that was just made, where the storage is encrypted. A failure leaves nothing.
    async fn encrypt_new(&self, name: &str) -> Result<(), StorageError> {
        if !self.is_encrypted() {
            return Ok(());
        }
        let encrypted = async {
            self.group.activate(&[name], &self.kind()).await?;
            self.format(name).await?;
            self.deactivate(name, &self.kind()).await
        };
        let encrypted = encrypted.await;
        if encrypted.is_err() {
            let _ = self.remove(name).await;
        }
        encrypted
    }

    /// Removes a volume of the pool. False where there was none.
    async fn remove(&self, name: &str) -> Result<bool, StorageError> {
        self.seen().forget(|seen| seen == name);
        let removed = self.group.remove(name, &self.kind()).await;
        self.seen().forget(|seen| seen == name);
        removed
    }

    /// Removes a volume of the pool with its snapshots and what a roll-back has left.
    async fn remove_whole(&self, name: &str) -> Result<bool, StorageError> {
        let volumes = self.layout().await?;
        let mut all: Vec<String> = self
            .snapshots_among(&volumes, name)
            .iter()
            .map(|snapshot| names::snapshot(name, snapshot))
            .collect();
        let is_there = |name: &String| self.check_among(&volumes, name).is_ok();
        let rest = [names::roll_back(name), name.to_owned()];
        all.extend(rest.into_iter().filter(is_there));
        if all.is_empty() {
            return Ok(false);
        }
        for name in &all {
            self.close(name).await?;
        }
        let full: Vec<String> = all.iter().map(|name| self.full(name)).collect();
        let mut args = vec!["--force", "--yes"];
        args.extend(full.iter().map(String::as_str));
        let is_gone = |seen: &str| all.iter().any(|name| name == seen);
        self.seen().forget(is_gone);
        let removed = self.run(name, "lvremove", &args).await;
        self.seen().forget(is_gone);
        removed.map(|_| true)
    }

    /// Activates a volume, and returns its device.
    async fn attach(&self, name: &str, by: &Attacher) -> Result<BlockSource, StorageError> {
        let how = ["--activate", "y", "--ignoreactivationskip"];
        let kind = self.kind();
        let attached = self
            .group
            .attach((name, &kind), |volume| self.has(volume), &how, by)
            .await?;
        self.seen().names.insert(name.to_owned());
        Ok(attached)
    }

    /// Deactivates a volume after its last attacher.
    async fn detach(&self, name: &str, by: &Attacher) -> Result<(), StorageError> {
        match self.let_go(name, by) {
            true => self.deactivate(name, &self.kind()).await,
            false => Ok(()),
        }
    }

    /// Gives a volume without snapshots another name. A base can only be read.
    async fn rename(&self, from: &str, to: &str, is_base: bool) -> Result<(), StorageError> {
        let volumes = self.layout().await?;
        let find = |name: &str| {
            let mut volumes = volumes.iter();
            volumes.find(|volume| volume.name == name && self.has(volume))
        };
        let volume = match find(from).filter(|_| from != to) {
            Some(volume) => {
                self.check_new(to, &volumes)?;
                self.check_no_snapshots_among(&volumes, from)?;
                self.close(from).await?;
                let args = [self.group.name.as_str(), from, to];
                self.run(from, "lvrename", &args).await?;
                volume
            }
            None => find(to).ok_or_else(|| self.no_volume(to))?,
        };
        self.seen().forget(|seen| seen == from);
        if volume.is_read_only() == is_base {
            return Ok(());
        }
        let permission = if is_base { "r" } else { "rw" };
        let args = ["--permission", permission, &self.full(to)];
        self.run(to, "lvchange", &args).await.map(drop)
    }
}

#[async_trait]
impl Storage for LvmThin {
    fn config(&self) -> &StorageConfig {
        &self.config
    }

    /// Once the pool was seen active, no program is asked for it: LVM activates it with its volumes.
    async fn activate(&self) -> Result<(), StorageError> {
        self.tools.check_crypt().await?;
        if self.tools.is_active.load(Ordering::SeqCst) {
            return Ok(());
        }
        if self.tools.thin_pool().await?.is_active() {
            return Ok(());
        }
        let activate = |tools: Arc<Tools>| async move {
            let full = tools.full(&tools.pool);
            let args = ["--activate", "y", &full];
            tools.run(&tools.pool, "lvchange", &args).await?;
            tools.is_active.store(true, Ordering::SeqCst);
            Ok(())
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
        Ok(self.free_name(owner, &self.tools.layout().await?, taken))
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
            tools.check_new(&name, &tools.layout().await?)?;
            let (size, pool) = (tools.whole_size(size), tools.full(&tools.pool));
            let args = ["--virtualsize", &format!("{size}b"), "--thinpool", &pool];
            tools.create_new(&name, &args).await?;
            tools.encrypt_new(&name).await
        };
        self.tools.change(allocate).await
    }

    /// What an encrypted volume has never written reads as anything.
    fn new_images_are_zero(&self, _name: &str) -> bool {
        !self.tools.is_encrypted()
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
        let name = name.to_owned();
        let free = |tools: Arc<Tools>| async move { tools.remove_whole(&name).await };
        self.tools.change(free).await
    }

    async fn resize(&self, name: &str, size: u64) -> Result<(), StorageError> {
        self.parse(name)?;
        let name = name.to_owned();
        let resize = |tools: Arc<Tools>| async move {
            let found = tools.find(&name).await?;
            let whole = tools.whole_size(size);
            if found.ok_or_else(|| tools.no_volume(&name))?.size() < whole {
                let (whole, full) = (format!("{whole}b"), tools.full(&name));
                let args = ["--size", &whole, &full];
                tools.run(&name, "lvextend", &args).await?;
            }
            tools.grow_open(&name).await
        };
        self.tools.change(resize).await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        self.parse(from)?;
        let is_base = self.parse(to)?.is_base;
        let (from, to) = (from.to_owned(), to.to_owned());
        let rename = |tools: Arc<Tools>| async move { tools.rename(&from, &to, is_base).await };
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
        Ok(self.tools.plain_path(name))
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
