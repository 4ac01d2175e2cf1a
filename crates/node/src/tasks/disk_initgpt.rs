//! Writes an empty partition table to a disk.

use async_trait::async_trait;
use model::Error;
use serde::{Deserialize, Serialize};
use tasks::{Probe, Step, Steps, Task, TaskContext};
use uuid::Uuid;

use crate::NodeContext;
use crate::host::disk_users::{self, Found, Target};
use crate::host::disk_writes::{DISKS, is_final, write_table};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DiskInitgpt {
    disk: String,
    /// The table's id; one is chosen where none is given.
    uuid: Option<String>,
    target: Option<Target>,
    refusal: Option<String>,
}

impl DiskInitgpt {
    pub fn new(disk: String, uuid: Option<String>) -> Self {
        Self {
            disk,
            uuid,
            target: None,
            refusal: None,
        }
    }
}

/// Refuses what is no whole disk, or used.
pub async fn check_initgpt(node: &NodeContext, disk: &str) -> Result<Found, Error> {
    let found = disk_users::find(node, disk).await?;
    if found.part.is_some() {
        return Err(Error::conflict(format!("{disk} is a partition")));
    }
    disk_users::check_unused(node, &found).await?;
    Ok(found)
}

impl Task for DiskInitgpt {
    type Node = NodeContext;
    const NAME: &'static str = "disk_initgpt";
    const VERSION: u32 = 1;
    const KIND: &'static str = "diskinit";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Check],
            after: &[&WriteTable],
        }
    }

    fn object(&self) -> Option<String> {
        Some(DISKS.to_owned())
    }

    fn verdict(&self) -> Result<(), Error> {
        self.refusal
            .clone()
            .map_or(Ok(()), |text| Err(Error::unavailable(text)))
    }
}

type Cx = TaskContext<NodeContext>;

/// From here on the disk's old table, if it had one, may be gone.
struct Check;

#[async_trait]
impl Step<DiskInitgpt> for Check {
    fn name(&self) -> &'static str {
        "check"
    }

    async fn plan(&self, cx: &Cx, task: &mut DiskInitgpt) -> Result<(), Error> {
        let found = check_initgpt(&cx.node, &task.disk).await?;
        task.target = Some(found.target());
        task.uuid.get_or_insert_with(|| Uuid::new_v4().to_string());
        Ok(())
    }

    async fn probe(&self, _: &Cx, _: &mut DiskInitgpt) -> Result<Probe, Error> {
        Ok(Probe::Done)
    }

    async fn act(&self, _: &Cx, _: &mut DiskInitgpt) -> Result<(), Error> {
        Ok(())
    }
}

struct WriteTable;

#[async_trait]
impl Step<DiskInitgpt> for WriteTable {
    fn name(&self) -> &'static str {
        "write-table"
    }

    async fn act(&self, cx: &Cx, task: &mut DiskInitgpt) -> Result<(), Error> {
        let (Some(target), Some(uuid)) = (&task.target, &task.uuid) else {
            return Err(Error::bug("no disk was chosen"));
        };
        let Some(found) = target.find(&cx.node).await? else {
            task.refusal = Some(format!("{} is another disk by now", target.path));
            return Ok(());
        };
        // It may have found a user while this node was down.
        let checked = disk_users::check_unused(&cx.node, &found).await;
        task.refusal = disk_users::refusal(checked)?;
        if task.refusal.is_some() {
            return Ok(());
        }
        match write_table(cx, &target.path, uuid).await {
            Err(error) if is_final(&error) => task.refusal = Some(Error::chain(&error)),
            result => result?,
        }
        Ok(())
    }
}
