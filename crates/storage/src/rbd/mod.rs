//! A storage of images in a pool of Ceph. All are raw; QEMU reaches them by itself, through librbd.

mod linked_clones;
mod snapshots;
mod tools;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::{BlockFormat, BlockSource, BlockSpec, RbdSource, VmId};
use serde::Deserialize;
use sys::{SharedHost, SpaceUsage};
use tokio::sync::OnceCell;

use self::tools::{Parent, Tools, or_none};
use crate::ceph::Cluster;
use crate::lvm::check_raw;
use crate::names::free_disk_number;
use crate::{
    AttachMode, Attacher, ContentType, FileVolumes, LinkedClones, RbdSpec, Snapshots, Storage,
    StorageConfig, StorageError, VolumeInfo, VolumeName,
};

const MIB: u64 = 1 << 20;

/// The pool where nothing is said. Source: Proxmox VE's default.
const POOL: &str = "rbd";

/// The snapshot of a base that its clones are made of. Source: Proxmox VE's layout.
const BASE_SNAPSHOT: &str = "__base__";

/// The time-out of the question how full a pool is.
const STATUS: Duration = Duration::from_secs(10);

/// The names are those of ZFS's volumes.
pub(crate) fn parse_name(name: &str) -> Option<VolumeName> {
    let is_image = |said: &VolumeName| said.image_format.is_some();
    crate::zfspool::parse_name(name).filter(is_image)
}

/// A pool, or a namespace of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    pool: String,
    namespace: Option<String>,
}

impl Place {
    /// How programs name it.
    fn whole(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{}/{namespace}", self.pool),
            None => self.pool.clone(),
        }
    }

    fn of(&self, image: &str) -> String {
        format!("{}/{image}", self.whole())
    }

    fn has(&self, parent: &Parent) -> bool {
        let namespace = self.namespace.as_deref().unwrap_or_default();
        parent.pool == self.pool && parent.pool_namespace == namespace
    }
}

pub(crate) struct Rbd {
    config: StorageConfig,
    spec: RbdSpec,
    tools: Tools,
    /// The pool was seen.
    seen: OnceCell<()>,
}

impl Rbd {
    pub(crate) fn new(
        config: StorageConfig,
        spec: RbdSpec,
        secret: Option<String>,
        host: SharedHost,
    ) -> Self {
        let (monitors, user) = (spec.monhost.clone(), spec.username.clone());
        let cluster = Cluster::new(config.id(), monitors, user, secret, host);
        let place = Place {
            pool: spec.pool.clone().unwrap_or_else(|| POOL.to_owned()),
            namespace: spec.namespace.clone(),
        };
        let tools = Tools {
            storage: config.id().clone(),
            place,
            cluster: Arc::new(cluster),
        };
        Self {
            config,
            spec,
            tools,
            seen: OnceCell::new(),
        }
    }

    fn parse(&self, name: &str) -> Result<VolumeName, StorageError> {
        self.config.parse(name)
    }

    /// The image's own name.
    fn image(&self, name: &str) -> Result<String, StorageError> {
        Ok(self.parse(name)?.image)
    }

    /// None for images that are no guest's.
    fn describe(&self, image: &str, size: u64, parent: Option<&Parent>) -> Option<VolumeInfo> {
        let said = parse_name(image)?;
        // A linked clone is listed by the name that says what it is a clone of.
        let parent = parent.filter(|parent| parent.snapshot == BASE_SNAPSHOT);
        let base = parent.filter(|parent| self.tools.place.has(parent));
        let long = base.map(|base| format!("{}/{image}", base.image));
        let name = long.filter(|name| parse_name(name).is_some());
        Some(VolumeInfo {
            name: name.unwrap_or_else(|| image.to_owned()),
            content: said.content,
            format: said.format,
            size,
            // What it takes is only known after its blocks were counted, and so is its age.
            used: None,
            created: 0,
            owner: said.owner,
        })
    }

    /// How QEMU opens an image of this size, or one of its snapshots.
    fn source(&self, image: &str, snapshot: Option<&str>, size: u64) -> BlockSource {
        let place = &self.tools.place;
        BlockSource::Rbd(RbdSource {
            pool: place.pool.clone(),
            namespace: place.namespace.clone(),
            image: image.to_owned(),
            snapshot: snapshot.map(str::to_owned),
            user: self.tools.cluster.user().to_owned(),
            conf: self.tools.cluster.conf().display().to_string(),
            size,
        })
    }

    /// Makes what a base has besides its content: a snapshot that its clones are made of, protected.
    async fn set_base(&self, image: &str) -> Result<(), StorageError> {
        let base = format!("{}@{BASE_SNAPSHOT}", self.tools.place.of(image));
        let args = ["snap", "create", "--no-progress", &base];
        match self.tools.change(image, &args).await {
            Err(StorageError::Exists { .. }) => {}
            made => made?,
        }
        match self.tools.change(image, &["snap", "protect", &base]).await {
            // It is protected already.
            Err(StorageError::InUse { .. }) => Ok(()),
            protected => protected,
        }
    }
}

/// Images are whole MiB. Source: Proxmox VE's rounding.
fn rounded(size: u64) -> String {
    format!("{}M", size.div_ceil(MIB).max(1))
}

#[async_trait]
impl Storage for Rbd {
    fn config(&self) -> &StorageConfig {
        &self.config
    }

    /// Nothing to make but the file that says where the cluster is; the pool is looked for once.
    async fn activate(&self) -> Result<(), StorageError> {
        self.tools.cluster.prepare().await?;
        let look = || async { self.tools.names().await.map(drop) };
        self.seen.get_or_try_init(look).await.map(drop)
    }

    /// Of the pool that has the data. Source: Proxmox VE's choice of figures.
    async fn status(&self) -> Result<SpaceUsage, StorageError> {
        self.tools.cluster.prepare().await?;
        let args = ["df", "--format", "json"];
        let output = self.tools.cluster.run("ceph", &args, Some(STATUS)).await?;
        let printed = output.checked("ceph");
        let printed = printed.map_err(|error| StorageError::of(self.config.id(), error))?;
        let pool = self
            .spec
            .data_pool
            .as_ref()
            .unwrap_or(&self.tools.place.pool);
        let found = PoolStats::of(&printed, pool);
        let none = || {
            let reason = format!("there is no pool '{pool}'");
            self.tools.cluster.inactive(reason)
        };
        let PoolStats { stored, max_avail } = found.ok_or_else(none)?;
        Ok(SpaceUsage {
            total: stored.saturating_add(max_avail),
            used: stored,
            available: max_avail,
        })
    }

    async fn list(&self, content: Option<ContentType>) -> Result<Vec<VolumeInfo>, StorageError> {
        if content.is_some_and(|content| content != ContentType::Images) {
            return Ok(Vec::new());
        }
        let all = self.tools.all().await?;
        let images = all.iter().filter(|listed| listed.snapshot.is_none());
        let mut volumes: Vec<VolumeInfo> = images
            .filter_map(|one| self.describe(&one.image, one.size, one.parent.as_ref()))
            .collect();
        volumes.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(volumes)
    }

    async fn stat(&self, name: &str) -> Result<Option<VolumeInfo>, StorageError> {
        let found = self.tools.find(&self.image(name)?).await?;
        Ok(found.and_then(|info| self.describe(&info.name, info.size, info.parent.as_ref())))
    }

    async fn choose_image_name(
        &self,
        owner: VmId,
        format: BlockFormat,
        taken: &[String],
    ) -> Result<String, StorageError> {
        check_raw(format)?;
        let there = self.tools.names().await?;
        let number = free_disk_number(owner, there.iter().chain(taken).map(String::as_str));
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
        let (size, full) = (rounded(size), self.tools.place.of(&image));
        let mut args = vec!["create", "--size", &size];
        if let Some(pool) = &self.spec.data_pool {
            args.extend(["--data-pool", pool]);
        }
        args.push(&full);
        self.tools.change(&image, &args).await
    }

    /// What is half made, or half removed, has no snapshots that could be asked for, and goes too.
    async fn free(&self, name: &str) -> Result<bool, StorageError> {
        let said = self.parse(name)?;
        let (full, image) = (self.tools.place.of(&said.image), said.image);
        let args = ["rm", "--no-progress", &full];
        // Most have no snapshots, but each base has one.
        if !said.is_base {
            match self.tools.change(&image, &args).await {
                Err(error) if tools::has_snapshots(&error) => {}
                removed => return Ok(or_none(removed)?.is_some()),
            }
        }
        let snapshots = or_none(self.tools.snapshots(&image).await)?;
        // Those with clones first: if one stays, all stay.
        let mut snapshots = snapshots.unwrap_or_default();
        snapshots.sort_by_key(|snapshot| !snapshot.is_protected());
        for snapshot in snapshots {
            if snapshot.is_protected() {
                self.unprotect(&image, &snapshot.name).await?;
            }
            self.remove_snapshot(&image, &snapshot.name).await?;
        }
        Ok(or_none(self.tools.change(&image, &args).await)?.is_some())
    }

    async fn resize(&self, name: &str, size: u64) -> Result<(), StorageError> {
        let image = self.image(name)?;
        if self.tools.get(&image).await?.size >= size {
            return Ok(());
        }
        let (size, full) = (rounded(size), self.tools.place.of(&image));
        let args = ["resize", "--no-progress", "--size", &size, &full];
        self.tools.change(&image, &args).await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        let (from, to) = (self.parse(from)?, self.parse(to)?);
        let (source, target) = (&from.image, &to.image);
        if source == target {
            self.tools.get(target).await?;
        } else {
            if from.is_base && !to.is_base {
                self.remove_snapshot(source, BASE_SNAPSHOT).await?;
            }
            let place = &self.tools.place;
            let args = ["rename", &place.of(source), &place.of(target)];
            match self.tools.change(target, &args).await {
                // It has been renamed already, or there is none of either name.
                Err(StorageError::NoVolume { .. }) => drop(self.tools.get(target).await?),
                Err(error @ StorageError::Exists { .. }) => {
                    if from.is_base && !to.is_base {
                        self.set_base(source).await?;
                    }
                    return Err(error);
                }
                renamed => renamed?,
            }
        }
        match to.is_base {
            true => self.set_base(target).await,
            false => Ok(()),
        }
    }

    async fn attach(
        &self,
        name: &str,
        mode: AttachMode,
        _by: &Attacher,
    ) -> Result<BlockSpec, StorageError> {
        let said = self.parse(name)?;
        if said.is_base && !mode.is_read_only() {
            let id = self.config.id();
            let text = format!("base volume '{id}:{name}' cannot be written to");
            return Err(StorageError::Refused(text));
        }
        let size = self.tools.get(&said.image).await?.size;
        let source = self.source(&said.image, None, size);
        Ok(BlockSpec {
            read_only: mode.is_read_only(),
            ..BlockSpec::new(source, BlockFormat::Raw)
        })
    }

    /// An image is always there, so nothing is taken back either.
    async fn detach(&self, name: &str, _by: &Attacher) -> Result<(), StorageError> {
        self.parse(name).map(drop)
    }

    /// No path of the file system: what QEMU's programs take for a file name. Source: Proxmox VE's
    /// form of it.
    fn path(&self, name: &str) -> Result<PathBuf, StorageError> {
        let full = self.tools.place.of(&self.image(name)?);
        let (conf, user) = (self.tools.cluster.conf(), self.tools.cluster.user());
        let conf = conf.display();
        Ok(PathBuf::from(format!("rbd:{full}:conf={conf}:id={user}")))
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

/// How full a pool is, in bytes of guests.
#[derive(Deserialize)]
struct PoolStats {
    stored: u64,
    max_avail: u64,
}

impl PoolStats {
    /// Reads what `ceph df` prints.
    fn of(printed: &[u8], pool: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct All {
            pools: Vec<One>,
        }
        #[derive(Deserialize)]
        struct One {
            name: String,
            stats: PoolStats,
        }
        let all: All = serde_json::from_slice(printed).ok()?;
        let found = all.pools.into_iter().find(|one| one.name == pool)?;
        Some(found.stats)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_guests_images() {
        let said = parse_name("base-100-disk-0/vm-101-disk-0").unwrap();
        assert_eq!(said.image, "vm-101-disk-0");
        assert_eq!(said.base.as_deref(), Some("base-100-disk-0"));
        assert_eq!(parse_name("subvol-100-disk-0"), None);
        assert_eq!(parse_name("vm-100-disk-0@one"), None);
    }

    #[test]
    fn a_pool_is_as_full_as_its_monitors_say() {
        let printed = br#"{"stats":{"total_bytes":9},"pools":[
            {"name":"rbd","id":1,"stats":{"stored":70,"objects":5,"max_avail":1735764352}}]}"#;
        let stats = PoolStats::of(printed, "rbd").unwrap();
        assert_eq!((stats.stored, stats.max_avail), (70, 1_735_764_352));
        assert!(PoolStats::of(printed, "other").is_none());
    }

    #[test]
    fn sizes_are_whole_mebibytes() {
        assert_eq!(rounded(1), "1M");
        assert_eq!(rounded((8 << 20) + 1), "9M");
    }
}
