//! A storage of volumes in a dataset of ZFS. All images are raw.
//!
//! A pool that is not imported is imported, but never by force: another node may have it.

mod encryption;
mod linked_clones;
mod names;
mod snapshots;
mod tiers;
mod tools;
mod trees;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use model::{BlockFormat, BlockSource, BlockSpec, VmId};
use sys::{SharedHost, SpaceUsage};

use self::names::BASE_SNAPSHOT;
pub(crate) use self::names::parse_name;
use self::tiers::Making;
use self::tools::{Dataset, Tools};
use crate::attach::Attachments;
use crate::lvm::check_raw;
use crate::names::free_disk_number;
use crate::{
    AttachMode, Attacher, ContentType, FileVolumes, LinkedClones, Snapshots, Storage,
    StorageConfig, StorageError, Tiered, Tiers, Trees, VolumeInfo, VolumeName, ZfsPoolSpec,
};

const MIB: u64 = 1 << 20;

/// Importing a pool reads all its disks.
const IMPORT: Duration = Duration::from_secs(60);

/// What is mounted, as the kernel says.
const MOUNTS: &str = "/proc/mounts";

/// Where the disks of a pool are looked for.
const DISKS: [&str; 2] = ["/dev/disk/by-id", "/dev"];

pub(crate) struct ZfsPool {
    config: StorageConfig,
    spec: ZfsPoolSpec,
    tools: Tools,
    /// Of an encrypted storage, in hexadecimal digits.
    key: Option<String>,
    /// Who reads snapshots of a volume.
    readers: Attachments,
    /// Who knows what new volumes are to be like.
    tiers: OnceLock<Arc<dyn Tiers>>,
}

impl ZfsPool {
    pub(crate) fn new(
        config: StorageConfig,
        spec: ZfsPoolSpec,
        key: Option<String>,
        host: SharedHost,
    ) -> Self {
        let tools = Tools {
            storage: config.id().clone(),
            pool: spec.pool.clone(),
            host,
        };
        Self {
            config,
            spec,
            tools,
            key,
            readers: Attachments::default(),
            tiers: OnceLock::new(),
        }
    }

    fn parse(&self, name: &str) -> Result<VolumeName, StorageError> {
        self.config.parse(name)
    }

    /// The dataset of an image of a guest.
    fn image(&self, name: &str) -> Result<String, StorageError> {
        let said = self.parse(name)?;
        match said.image_format {
            Some(_) => Ok(said.image),
            None => Err(StorageError::BadName(name.to_owned())),
        }
    }

    fn describe(&self, dataset: &Dataset) -> Option<VolumeInfo> {
        let said = parse_name(&dataset.name)?;
        if said.image_format.is_some() != dataset.is_volume {
            return None;
        }
        // A linked clone is listed by the name that says what it is a clone of.
        let origin = dataset.origin.as_deref();
        let base = origin.and_then(|origin| {
            let (base, snapshot) = origin.strip_prefix(&self.spec.pool)?.split_once('@')?;
            let base = base.strip_prefix('/')?;
            (snapshot == BASE_SNAPSHOT).then_some(base)
        });
        let long = base.map(|base| format!("{base}/{}", dataset.name));
        let name = long.filter(|name| parse_name(name).is_some());
        Some(VolumeInfo {
            name: name.unwrap_or_else(|| dataset.name.clone()),
            content: said.content,
            format: said.format,
            size: dataset.size,
            used: Some(dataset.used),
            created: dataset.created,
            owner: said.owner,
        })
    }

    /// The dataset of a volume, an image or a tree.
    fn dataset(&self, name: &str) -> Result<String, StorageError> {
        Ok(self.parse(name)?.image)
    }

    async fn free_disk_number(&self, owner: VmId, taken: &[String]) -> Result<u32, StorageError> {
        Ok(free_number(owner, &self.tools.datasets().await?, taken))
    }

    /// Whether the storage's dataset is there.
    async fn is_there(&self) -> Result<bool, StorageError> {
        self.has_dataset(&self.spec.pool).await
    }

    /// Whether the pool is there that an encrypted storage's dataset can be made in.
    async fn is_imported(&self) -> Result<bool, StorageError> {
        let pool = self.spec.pool.split('/').next().unwrap_or_default();
        Ok(self.is_encrypted() && self.has_dataset(pool).await?)
    }

    async fn has_dataset(&self, name: &str) -> Result<bool, StorageError> {
        match self
            .tools
            .look("zfs", &["list", "-H", "-o", "name", name])
            .await
        {
            Ok(_) => Ok(true),
            Err(StorageError::NoVolume { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn import(&self) -> Result<(), StorageError> {
        let pool = self.spec.pool.split('/').next().unwrap_or_default();
        let mut args = vec!["import", "-o", "cachefile=none"];
        args.extend(DISKS.iter().flat_map(|folder| ["-d", *folder]));
        args.push(pool);
        let imported = self.tools.run("zpool", &args, IMPORT).await;
        match imported {
            Ok(_) => self.tools.change(&["mount", "-a"]).await,
            // Another activation was faster.
            Err(_) if self.is_there().await? => Ok(()),
            Err(error) => Err(self.inactive(format!("cannot import pool '{pool}': {error:#}"))),
        }
    }

    fn inactive(&self, reason: String) -> StorageError {
        let storage = self.config.id().clone();
        StorageError::Inactive { storage, reason }
    }

    /// A base has a snapshot that its clones are made of.
    async fn set_base(&self, image: &str) -> Result<(), StorageError> {
        let snapshot = format!("{}@{BASE_SNAPSHOT}", self.tools.full(image));
        match self.tools.change(&["snapshot", &snapshot]).await {
            Err(StorageError::Exists { .. }) => Ok(()),
            made => made,
        }
    }

    /// Whether the kernel has the storage's dataset mounted, which takes no program.
    async fn is_mounted(&self) -> bool {
        let mounts = self.tools.host.read(MOUNTS.as_ref()).await;
        let mounts = mounts.unwrap_or_default();
        let mounts = String::from_utf8_lossy(&mounts);
        let mut mounts = mounts.lines().map(|line| line.split(' '));
        mounts.any(|mut words| {
            words.next() == Some(self.spec.pool.as_str()) && words.nth(1) == Some("zfs")
        })
    }
}

/// The lowest number of a disk that is free.
fn free_number(owner: VmId, datasets: &[Dataset], taken: &[String]) -> u32 {
    let there = datasets.iter().map(|dataset| dataset.name.as_str());
    free_disk_number(owner, there.chain(taken.iter().map(String::as_str)))
}

/// Volumes are whole MiB. Source: Proxmox VE's rounding.
fn rounded(size: u64) -> u64 {
    size.div_ceil(MIB).max(1).saturating_mul(MIB)
}

#[async_trait]
impl Storage for ZfsPool {
    fn config(&self) -> &StorageConfig {
        &self.config
    }

    async fn activate(&self) -> Result<(), StorageError> {
        // The key of an encrypted one has to be looked at.
        if !self.is_encrypted() && self.is_mounted().await {
            return Ok(());
        }
        if self.is_there().await? {
            return self.unlock().await;
        }
        if !self.is_imported().await? {
            self.import().await?;
        }
        match self.is_there().await? {
            true => self.unlock().await,
            false if self.is_encrypted() => self.unlock().await,
            false => Err(self.inactive(format!("no such dataset '{}'", self.spec.pool))),
        }
    }

    async fn status(&self) -> Result<SpaceUsage, StorageError> {
        self.check_key().await?;
        let args = [
            "get",
            "-o",
            "value",
            "-H",
            "-p",
            "available,used",
            &self.spec.pool,
        ];
        let printed = match self.tools.look("zfs", &args).await {
            Err(StorageError::NoVolume { .. }) => {
                return Err(self.inactive(format!("no such dataset '{}'", self.spec.pool)));
            }
            printed => printed?,
        };
        let mut figures = printed
            .lines()
            .map(|line| line.trim().parse().unwrap_or_default());
        let (available, used): (u64, u64) = (
            figures.next().unwrap_or_default(),
            figures.next().unwrap_or_default(),
        );
        Ok(SpaceUsage {
            total: available + used,
            used,
            available,
        })
    }

    async fn list(&self, content: Option<ContentType>) -> Result<Vec<VolumeInfo>, StorageError> {
        let datasets = self.tools.datasets().await?;
        let mut volumes: Vec<VolumeInfo> = datasets
            .iter()
            .filter_map(|dataset| self.describe(dataset))
            .collect();
        volumes.retain(|volume| content.is_none_or(|content| content == volume.content));
        Ok(volumes)
    }

    async fn stat(&self, name: &str) -> Result<Option<VolumeInfo>, StorageError> {
        let image = self.parse(name)?.image;
        let found = self.tools.find(&image).await?;
        Ok(found.and_then(|dataset| self.describe(&dataset)))
    }

    async fn choose_image_name(
        &self,
        owner: VmId,
        format: BlockFormat,
        taken: &[String],
    ) -> Result<String, StorageError> {
        check_raw(format)?;
        let number = self.free_disk_number(owner, taken).await?;
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
        let image = self.image(name)?;
        check_raw(format)?;
        let (size, full) = (rounded(size), self.tools.full(&image));
        let ours = self.of_new(&image, Making::Volume, size).await?;
        let mut args = vec!["create"];
        if ours.is_sparse.or(self.spec.sparse) == Some(true) {
            args.push("-s");
        }
        if let Some(blocksize) = ours.blocksize.as_ref().or(self.spec.blocksize.as_ref()) {
            args.extend(["-b", blocksize]);
        }
        args.extend(ours.options.iter().map(String::as_str));
        let size = size.to_string();
        args.extend(["-V", &size, &full]);
        self.tools.change(&args).await
    }

    async fn free(&self, name: &str) -> Result<bool, StorageError> {
        let image = self.parse(name)?.image;
        self.tools.destroy(&image).await
    }

    async fn resize(&self, name: &str, size: u64) -> Result<(), StorageError> {
        let image = self.image(name)?;
        if self.tools.get(&image).await?.size >= size {
            return Ok(());
        }
        let size = format!("volsize={}", rounded(size));
        self.tools
            .change(&["set", &size, &self.tools.full(&image)])
            .await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        let name = to;
        let (from, to) = (self.parse(from)?, self.parse(to)?);
        if from.content != to.content {
            return Err(StorageError::BadName(name.to_owned()));
        }
        let (source, target) = (&from.image, &to.image);
        if source == target {
            self.tools.check_there(target).await?;
        } else {
            if from.is_base && !to.is_base {
                let base = format!("{source}@{BASE_SNAPSHOT}");
                self.tools.destroy_snapshot(&base).await?;
            }
            let (full, new) = (self.tools.full(source), self.tools.full(target));
            match self.tools.change(&["rename", &full, &new]).await {
                Err(StorageError::Exists { storage, .. }) => {
                    if from.is_base && !to.is_base {
                        self.set_base(source).await?;
                    }
                    let name = name.to_owned();
                    return Err(StorageError::Exists { storage, name });
                }
                // It has been renamed already, or there is none of either name.
                Err(StorageError::NoVolume { .. }) => self.tools.check_there(target).await?,
                renamed => renamed?,
            }
        }
        match to.is_base {
            true => self.set_base(target).await,
            false => Ok(()),
        }
    }

    /// The device of a volume is always there, so nothing is taken back either.
    async fn attach(
        &self,
        name: &str,
        mode: AttachMode,
        _by: &Attacher,
    ) -> Result<BlockSpec, StorageError> {
        let image = self.image(name)?;
        if self.parse(name)?.is_base && !mode.is_read_only() {
            let id = self.config.id();
            let text = format!("base volume '{id}:{name}' cannot be written to");
            return Err(StorageError::Refused(text));
        }
        let device = self.tools.device(&image).await?.display().to_string();
        Ok(BlockSpec {
            read_only: mode.is_read_only(),
            ..BlockSpec::new(BlockSource::Device(device), BlockFormat::Raw)
        })
    }

    async fn detach(&self, name: &str, _by: &Attacher) -> Result<(), StorageError> {
        self.parse(name).map(drop)
    }

    fn path(&self, name: &str) -> Result<PathBuf, StorageError> {
        let said = self.parse(name)?;
        let mounted = self.spec.mountpoint.clone();
        let mounted = mounted.unwrap_or_else(|| format!("/{}", self.spec.pool));
        Ok(match said.image_format {
            Some(_) => self.tools.link(&said.image),
            None => PathBuf::from(mounted).join(said.image),
        })
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

    fn trees(&self) -> Option<&dyn Trees> {
        Some(self)
    }

    fn tiered(&self) -> Option<&dyn Tiered> {
        Some(self)
    }
}
