//! Makes a snapshot of a container, running or not.
//!
//! ```text
//!   claim ─ prepare ─ snapshot-disks ─ publish ┃ release
//!              │            │                  ┃ point of no return: the snapshot is whole
//!              │            its processes stand still, and what they have written is on the disks
//!              in the record, marked
//! ```

use async_trait::async_trait;
use guest::lxc::CtConfig;
use model::{Error, GuestRecord, VmId};
use serde::{Deserialize, Serialize};
use sys::{CellMount, ScopeName};
use tasks::{Step, Steps, Task, TaskContext};

use super::claim::{Claim, Claims, Release};
use super::guest_object;
use super::make_snapshot::{MakesSnapshot, Prepare, Publish, check_new_snapshot};
use crate::NodeContext;
use crate::guests::disks::Disk;
use crate::lxc::mounts::Purpose;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LxcSnapshot {
    pub vmid: VmId,
    pub name: String,
    pub description: Option<String>,
    /// The snapshot job that makes it.
    #[serde(default)]
    pub job: Option<String>,
    /// Chosen by `prepare`.
    #[serde(default)]
    disks: Vec<Disk>,
}

impl LxcSnapshot {
    pub fn new(vmid: VmId, name: String, description: Option<String>) -> Self {
        Self {
            vmid,
            name,
            description,
            job: None,
            disks: Vec::new(),
        }
    }
}

impl Task for LxcSnapshot {
    type Node = NodeContext;
    const NAME: &'static str = "lxc_snapshot";
    const VERSION: u32 = 1;
    const KIND: &'static str = "vzsnapshot";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Claim, &Prepare, &SnapshotDisks, &Publish],
            after: &[&Release],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }
}

impl Claims for LxcSnapshot {
    const SHOWN_AS: &'static str = "snapshot";

    fn vmid(&self) -> VmId {
        self.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        check_new_snapshot(guest, &self.name)
    }
}

impl MakesSnapshot for LxcSnapshot {
    fn snapshot(&self) -> &str {
        &self.name
    }

    fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    fn job(&self) -> Option<&str> {
        self.job.as_deref()
    }

    fn set_disks(&mut self, disks: Vec<Disk>) {
        self.disks = disks;
    }
}

type Cx = TaskContext<NodeContext>;

struct SnapshotDisks;

#[async_trait]
impl Step<LxcSnapshot> for SnapshotDisks {
    fn name(&self) -> &'static str {
        "snapshot-disks"
    }

    async fn act(&self, cx: &Cx, task: &mut LxcSnapshot) -> Result<(), Error> {
        let node = &cx.node;
        if !node.running.is_running(task.vmid).await? {
            return node.snapshot_by_storage(&task.disks, &task.name).await;
        }
        let mounts = mounts_in_use(cx, task.vmid).await?;
        // Most is written before anything stands still.
        flush(cx, &mounts).await?;
        let scope = ScopeName::guest(task.vmid);
        node.host.freeze_scope(&scope).await?;
        let made = async {
            flush(cx, &mounts).await?;
            node.snapshot_by_storage(&task.disks, &task.name).await
        };
        let made = made.await;
        node.host.thaw_scope(&scope).await?;
        made
    }

    async fn undo(&self, cx: &Cx, task: &LxcSnapshot) -> Result<(), Error> {
        let scope = ScopeName::guest(task.vmid);
        cx.node.host.thaw_scope(&scope).await?;
        cx.node.delete_by_storage(&task.disks, &task.name).await
    }
}

/// The file systems that a running container has mounted.
pub(super) async fn mounts_in_use(cx: &Cx, vmid: VmId) -> Result<Vec<CellMount>, Error> {
    let guest = cx.node.records.lxc(vmid).await?.record.data;
    let config = CtConfig::parse(&guest.config).map_err(Error::invalid_fields)?;
    let by = cx.node.by_guest(vmid).await?;
    cx.node.container_mounts(&config, Purpose::InUse, &by).await
}

async fn flush(cx: &Cx, mounts: &[CellMount]) -> Result<(), Error> {
    for mount in mounts {
        cx.node.host.sync_mount(mount).await?;
    }
    Ok(())
}
