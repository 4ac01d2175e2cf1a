//! Changes a container's configuration.
//!
//! ```text
//!   claim ─ make-file-systems ─ plug ─ apply ┃ limit ─ write-files ─ remove-unwanted ─ release
//!                               │      │     ┃ while it runs, its scope gets the new limits
//!                               │      └ while it runs, what it would have to be told is pending
//!                               while it runs, its cards are changed
//! ```

use std::time::Duration;

use async_trait::async_trait;
use guest::lxc::CtConfig;
use model::{Error, GuestRecord, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use store::Revision;
use sys::ScopeName;
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::claim::{Claim, Claims, Release, check_digest, check_lock};
use super::file_systems::{MakeFileSystems, MakesFileSystems};
use super::volume_delete::free_unwanted;
use super::{SHORT_PATIENCE, guest_object};
use crate::NodeContext;
use crate::lxc::edit::CtEdit;
use crate::lxc::files;
use crate::lxc::mounts::Purpose;
use crate::records::{Change, check_busy};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LxcConfigure {
    pub vmid: VmId,
    pub edit: CtEdit,
    /// The configuration that the caller knew; another one is not changed.
    pub digest: Option<String>,
    /// Also a container that is locked.
    #[serde(default)]
    pub skip_lock: bool,
    /// Volumes to be removed, found by `apply`.
    #[serde(default)]
    unwanted: Vec<VolumeId>,
}

impl LxcConfigure {
    pub fn new(vmid: VmId, edit: CtEdit, digest: Option<String>) -> Self {
        Self {
            vmid,
            edit,
            digest,
            skip_lock: false,
            unwanted: Vec::new(),
        }
    }

    /// Makes the change in one commit, without a task, where nothing has to be made, freed or told
    /// the kernel; none where it needs more than that. The caller holds the guest.
    pub async fn at_once(&self, node: &NodeContext) -> Result<Option<Revision>, Error> {
        let is_running = node.running.is_running(self.vmid).await?;
        let changes_kernel = self.edit.touches_limits() || self.edit.touches_cards();
        if self.edit.touches_volumes() || (is_running && changes_kernel) {
            return Ok(None);
        }
        let names = node.records.volume_names().await?;
        let change = |guest: &mut GuestRecord| {
            self.check(guest)?;
            check_busy(guest)?;
            self.edit.apply(guest, is_running, &names);
            Ok(Change::Write)
        };
        let revision = node.records.change_guest_if(self.vmid, change).await?;
        Ok(Some(revision))
    }
}

impl Task for LxcConfigure {
    type Node = NodeContext;
    const NAME: &'static str = "lxc_configure";
    const VERSION: u32 = 1;
    const KIND: &'static str = "vzconfig";
    const PATIENCE: Duration = SHORT_PATIENCE;

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Claim, &MakeFileSystems, &Plug, &Apply],
            after: &[&Limit, &WriteFiles, &RemoveUnwanted, &Release],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }
}

impl Claims for LxcConfigure {
    const SHOWN_AS: &'static str = "";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        check_digest(guest, self.digest.as_deref())?;
        check_lock(guest, self.skip_lock)
    }
}

type Cx = TaskContext<NodeContext>;

#[async_trait]
impl MakesFileSystems for LxcConfigure {
    fn owner(&self) -> VmId {
        self.vmid
    }

    fn edit(&self) -> &CtEdit {
        &self.edit
    }

    fn edit_mut(&mut self) -> &mut CtEdit {
        &mut self.edit
    }

    async fn ids(&self, cx: &Cx) -> Result<(u32, u32), Error> {
        let guest = cx.node.records.lxc(self.vmid).await?.record.data;
        let config = CtConfig::parse(&guest.config).map_err(Error::invalid_fields)?;
        Ok(config.owner())
    }
}

/// Changes the cards of a container that runs.
struct Plug;

impl Plug {
    /// The configuration before and after, of a container whose cards change while it runs.
    async fn configs(cx: &Cx, task: &LxcConfigure) -> Result<Option<(CtConfig, CtConfig)>, Error> {
        if !task.edit.touches_cards() || !cx.node.running.is_running(task.vmid).await? {
            return Ok(None);
        }
        let before = cx.node.records.lxc(task.vmid).await?.record.data;
        let mut after = before.clone();
        let names = cx.node.records.volume_names().await?;
        task.edit.apply(&mut after, true, &names);
        let parsed =
            |guest: &GuestRecord| CtConfig::parse(&guest.config).map_err(Error::invalid_fields);
        Ok(Some((parsed(&before)?, parsed(&after)?)))
    }
}

#[async_trait]
impl Step<LxcConfigure> for Plug {
    fn name(&self) -> &'static str {
        "plug"
    }

    async fn act(&self, cx: &Cx, task: &mut LxcConfigure) -> Result<(), Error> {
        let Some((before, after)) = Self::configs(cx, task).await? else {
            return Ok(());
        };
        cx.node.check_cards(task.vmid, &after).await?;
        let warnings = cx.node.change_cards(task.vmid, &before, &after).await?;
        for text in warnings {
            cx.warn(&text).await;
        }
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &LxcConfigure) -> Result<(), Error> {
        // The record is as it was.
        let Some((before, after)) = Self::configs(cx, task).await? else {
            return Ok(());
        };
        let changed = cx.node.change_cards(task.vmid, &after, &before).await;
        changed.map(drop)
    }
}

/// One commit: what can take effect now does, the rest waits.
struct Apply;

#[async_trait]
impl Step<LxcConfigure> for Apply {
    fn name(&self) -> &'static str {
        "apply"
    }

    async fn plan(&self, cx: &Cx, task: &mut LxcConfigure) -> Result<(), Error> {
        // What the commit will make unwanted is written down before it: the record does not show
        // it afterwards.
        let is_running = cx.node.running.is_running(task.vmid).await?;
        let mut guest = cx.node.records.lxc(task.vmid).await?.record.data;
        let names = cx.node.records.volume_names().await?;
        task.unwanted = task.edit.apply(&mut guest, is_running, &names).unwanted;
        cx.node.check_no_clones(&task.unwanted, &names).await
    }

    async fn probe(&self, cx: &Cx, task: &mut LxcConfigure) -> Result<Probe, Error> {
        let is_running = cx.node.running.is_running(task.vmid).await?;
        let before = cx.node.records.lxc(task.vmid).await?.record.data;
        let mut after = before.clone();
        let names = cx.node.records.volume_names().await?;
        task.edit.apply(&mut after, is_running, &names);
        Ok(if after == before {
            Probe::Done
        } else {
            Probe::NotDone
        })
    }

    async fn act(&self, cx: &Cx, task: &mut LxcConfigure) -> Result<(), Error> {
        let is_running = cx.node.running.is_running(task.vmid).await?;
        let names = cx.node.records.volume_names().await?;
        let change = |guest: &mut GuestRecord| {
            task.edit.apply(guest, is_running, &names);
            Ok(())
        };
        let revision = cx.node.records.change_guest(task.vmid, change).await?;
        cx.committed(revision.0);
        Ok(())
    }
}

/// Sets the limits of a container that runs.
struct Limit;

#[async_trait]
impl Step<LxcConfigure> for Limit {
    fn name(&self) -> &'static str {
        "limit"
    }

    async fn act(&self, cx: &Cx, task: &mut LxcConfigure) -> Result<(), Error> {
        if !task.edit.touches_limits() || !cx.node.running.is_running(task.vmid).await? {
            return Ok(());
        }
        let guest = cx.node.records.lxc(task.vmid).await?.record.data;
        let config = CtConfig::parse(&guest.config).map_err(Error::invalid_fields)?;
        let limits = cx.node.container_limits(task.vmid, &config).await;
        let scope = ScopeName::guest(task.vmid);
        // Memory that is in use cannot be taken away; the next start has the new limit.
        if let Err(error) = cx.node.host.limit_scope(&scope, &limits).await {
            cx.warn(&Error::from(error).to_string()).await;
        }
        Ok(())
    }
}

/// Writes the addresses of cards into the files of a container that runs, for its own next boot.
struct WriteFiles;

#[async_trait]
impl Step<LxcConfigure> for WriteFiles {
    fn name(&self) -> &'static str {
        "write-files"
    }

    async fn act(&self, cx: &Cx, task: &mut LxcConfigure) -> Result<(), Error> {
        if !task.edit.touches_cards() || !cx.node.running.is_running(task.vmid).await? {
            return Ok(());
        }
        let guest = cx.node.records.lxc(task.vmid).await?.record.data;
        let config = CtConfig::parse(&guest.config).map_err(Error::invalid_fields)?;
        if config.is_unmanaged() {
            return Ok(());
        }
        let order = cx.node.setup_order(task.vmid, &config, None).await?;
        let by = cx.node.by_guest(task.vmid).await?;
        let written = files::set_up(cx, &config, &order, Purpose::InUse, &by).await;
        if let Err(error) = written {
            // The next start writes them again.
            cx.warn(&format!("its files are as they were: {error}"))
                .await;
        }
        Ok(())
    }
}

struct RemoveUnwanted;

#[async_trait]
impl Step<LxcConfigure> for RemoveUnwanted {
    fn name(&self) -> &'static str {
        "remove-unwanted"
    }

    async fn act(&self, cx: &Cx, task: &mut LxcConfigure) -> Result<(), Error> {
        for volume in &task.unwanted {
            free_unwanted(cx, volume).await?;
        }
        Ok(())
    }
}
