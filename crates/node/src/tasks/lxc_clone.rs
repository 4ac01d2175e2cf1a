//! Makes a container that is another one's copy, or whose file systems are linked clones of a
//! template's.
//!
//! ```text
//!   reserve ─ plan ─ copy ─ set-up ─ publish ┃ join-pool
//!   the id    names  │      a machine        ┃ point of no return: it is a guest
//!                    │      of its own
//!                    the file systems
//! ```
//!
//! The container that is copied is ours meanwhile and is not changed.

use std::time::Duration;

use async_trait::async_trait;
use guest::lxc::CtConfig;
use model::lxc::{MountSlot, Net};
use model::{Error, GuestConfig, GuestKind, GuestRecord, PoolId, StorageId, VmId};
use serde::{Deserialize, Serialize};
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::claim::check_lock;
use super::copy_file_system::{FileSystemCopy, Original, check_linkable};
use super::guest_object;
use super::new_guest::{JoinPool, NewGuest, Publish, Reserve, announce, original};
use crate::guests::disks::disks_of;
use crate::guests::options::{is_indexed, set_volume};
use crate::lxc::files;
use crate::lxc::mounts::Purpose;
use crate::volumes::attached::by_task;
use crate::{NodeContext, random_mac};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LxcClone {
    pub source: VmId,
    pub vmid: VmId,
    pub hostname: Option<String>,
    pub description: Option<String>,
    pub pool: Option<PoolId>,
    /// Copies of the file systems, also where linked clones could be made.
    pub full: bool,
    /// Where copies go; beside what they are copies of otherwise.
    pub storage: Option<StorageId>,
    /// What is copied is not the present but this snapshot.
    pub snapshot: Option<String>,
    /// How fast is copied at most; 0 for as fast as it goes.
    pub bytes_per_s: u64,
    /// Chosen by `plan`.
    #[serde(default)]
    config: GuestConfig,
    #[serde(default)]
    copies: Vec<FileSystemCopy>,
}

impl LxcClone {
    pub fn new(source: VmId, vmid: VmId) -> Self {
        Self {
            source,
            vmid,
            hostname: None,
            description: None,
            pool: None,
            full: false,
            storage: None,
            snapshot: None,
            bytes_per_s: 0,
            config: GuestConfig::default(),
            copies: Vec::new(),
        }
    }

    /// Refuses what could not be done, before it is a task.
    pub async fn check(&self, node: &NodeContext, guest: &GuestRecord) -> Result<(), Error> {
        check_lock(guest, false)?;
        let (config, _) = original(guest, self.snapshot.as_deref())?;
        let parsed = CtConfig::parse(&config).map_err(Error::invalid_fields)?;
        for (slot, mount) in &parsed.mounts {
            if mount.volume().is_none() {
                let kind = match mount.source() {
                    model::lxc::MountSource::Device(_) => "device",
                    _ => "bind",
                };
                return Err(Error::conflict(format!(
                    "unable to clone mountpoint '{slot}' (type {kind})"
                )));
            }
        }
        if !self.full {
            for (_, volume) in disks_of(GuestKind::Lxc, &config)? {
                let storage = node.storage(volume.storage()).await?;
                check_linkable(&*storage, &volume)?;
            }
            return Ok(());
        }
        if self.snapshot.is_none() && node.running.is_running(self.source).await? {
            let text = "Full clone of a running container is only possible from a snapshot";
            return Err(Error::conflict(text));
        }
        Ok(())
    }

    fn parsed(&self) -> Result<CtConfig, Error> {
        CtConfig::parse(&self.config).map_err(Error::invalid_fields)
    }
}

impl Task for LxcClone {
    type Node = NodeContext;
    const NAME: &'static str = "lxc_clone";
    const VERSION: u32 = 1;
    const KIND: &'static str = "vzclone";
    /// Many may be made of one container at the same time.
    const PATIENCE: Duration = Duration::from_secs(600);

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Reserve, &Plan, &Copy, &SetUp, &Publish],
            after: &[&JoinPool],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }

    fn other_objects(&self) -> Vec<String> {
        vec![guest_object(self.source)]
    }
}

impl NewGuest for LxcClone {
    const SHOWN_AS: &'static str = "create";
    const GUEST: GuestKind = GuestKind::Lxc;

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn options(&self) -> GuestConfig {
        self.config.clone()
    }

    fn pool(&self) -> Option<&PoolId> {
        self.pool.as_ref()
    }
}

type Cx = TaskContext<NodeContext>;

/// Decides what the new container will be.
struct Plan;

#[async_trait]
impl Step<LxcClone> for Plan {
    fn name(&self) -> &'static str {
        "plan"
    }

    async fn plan(&self, cx: &Cx, task: &mut LxcClone) -> Result<(), Error> {
        let guest = cx.node.records.lxc(task.source).await?.record.data;
        task.check(&cx.node, &guest).await?;
        let (options, is_template) = original(&guest, task.snapshot.as_deref())?;
        let mut copies: Vec<FileSystemCopy> = Vec::new();
        for (option, from) in disks_of(GuestKind::Lxc, &options)? {
            let taken: Vec<String> = copies.iter().map(|c| c.to.name().to_owned()).collect();
            let copy = if is_template && !task.full {
                FileSystemCopy::plan_linked(cx, task.vmid, &option, from, &taken).await?
            } else {
                let original = Original {
                    option: &option,
                    volume: from,
                    snapshot: task.snapshot.as_deref(),
                };
                let storage = task.storage.as_ref();
                FileSystemCopy::plan(cx, task.vmid, original, storage, &taken).await?
            };
            copies.push(copy);
        }
        task.config = configured(cx, task, options, &copies).await?;
        task.copies = copies;
        Ok(())
    }

    async fn probe(&self, _: &Cx, _: &mut LxcClone) -> Result<Probe, Error> {
        Ok(Probe::Done)
    }

    async fn act(&self, _: &Cx, _: &mut LxcClone) -> Result<(), Error> {
        Ok(())
    }
}

/// Options that are about the original alone.
const NOT_COPIED: [&str; 5] = ["parent", "lock", "template", "digest", "snaptime"];

/// The options of the new container: what distinguishes two of them is made anew.
async fn configured(
    cx: &Cx,
    task: &LxcClone,
    mut options: GuestConfig,
    copies: &[FileSystemCopy],
) -> Result<GuestConfig, Error> {
    options
        .0
        .retain(|name, _| !NOT_COPIED.contains(&name.as_str()) && !name.starts_with("unused"));
    for copy in copies {
        set_volume(&mut options, &copy.option, &copy.to)?;
    }
    let cluster = cx.node.records.cluster_options().await?;
    let names: Vec<String> = options.0.keys().cloned().collect();
    for name in names.iter().filter(|name| is_indexed(name, "net")) {
        let text = options.text(name).unwrap_or_default();
        let mut net = Net::parse(&text).map_err(|error| Error::bug(error.to_string()))?;
        net.set_mac(random_mac(cluster.mac_prefix(), &cx.node.name));
        options.set(name.clone(), net.print());
    }
    if let Some(hostname) = &task.hostname {
        options.set("hostname", hostname.as_str());
    }
    if let Some(description) = &task.description {
        options.set("description", description.trim_end());
    }
    Ok(options)
}

struct Copy;

#[async_trait]
impl Step<LxcClone> for Copy {
    fn name(&self) -> &'static str {
        "copy"
    }

    async fn probe(&self, _: &Cx, _: &mut LxcClone) -> Result<Probe, Error> {
        // Before the point of no return nothing is gone on with.
        Ok(Probe::NotDone)
    }

    async fn act(&self, cx: &Cx, task: &mut LxcClone) -> Result<(), Error> {
        announce(cx, task);
        let (source, vmid) = (task.source, task.vmid);
        cx.log(&format!(
            "creating a clone of container {source} with ID {vmid}"
        ))
        .await;
        let config = task.parsed()?;
        for copy in &task.copies {
            copy.make(cx, &config, task.bytes_per_s).await?;
        }
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &LxcClone) -> Result<(), Error> {
        for copy in &task.copies {
            copy.remove(cx).await?;
        }
        Ok(())
    }
}

/// Takes from the copy what says that it is the original.
struct SetUp;

#[async_trait]
impl Step<LxcClone> for SetUp {
    fn name(&self) -> &'static str {
        "set-up"
    }

    async fn probe(&self, _: &Cx, _: &mut LxcClone) -> Result<Probe, Error> {
        Ok(Probe::NotDone)
    }

    async fn act(&self, cx: &Cx, task: &mut LxcClone) -> Result<(), Error> {
        let config = task.parsed()?;
        if config.is_unmanaged() || !config.mounts.contains_key(&MountSlot::Root) {
            return Ok(());
        }
        let mut order = cx.node.setup_order(task.vmid, &config, None).await?;
        order.is_copy = true;
        let set_up = files::set_up(cx, &config, &order, Purpose::Write, &by_task(cx)).await;
        cx.node.detach_container(&config, &by_task(cx)).await?;
        set_up.map(drop)
    }

    async fn undo(&self, cx: &Cx, task: &LxcClone) -> Result<(), Error> {
        let config = task.parsed()?;
        cx.node.detach_container(&config, &by_task(cx)).await
    }
}
