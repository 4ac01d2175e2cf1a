//! Erases what is on a disk or partition.

use async_trait::async_trait;
use model::Error;
use serde::{Deserialize, Serialize};
use tasks::{Probe, Step, Steps, Task, TaskContext};

use crate::NodeContext;
use crate::host::disk_users::{self, Found, Target};
use crate::host::disk_writes::{DISKS, is_final, wipe};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DiskWipe {
    disk: String,
    target: Option<Target>,
    refusal: Option<String>,
}

impl DiskWipe {
    pub fn new(disk: String) -> Self {
        Self {
            disk,
            target: None,
            refusal: None,
        }
    }
}

/// Refuses a disk or partition with a user.
pub async fn check_wipe(node: &NodeContext, disk: &str) -> Result<Found, Error> {
    let found = disk_users::find(node, disk).await?;
    disk_users::check_wipeable(node, &found).await?;
    Ok(found)
}

impl Task for DiskWipe {
    type Node = NodeContext;
    const NAME: &'static str = "disk_wipe";
    const VERSION: u32 = 1;
    const KIND: &'static str = "wipedisk";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Check],
            after: &[&Wipe],
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

/// From here on what is on the disk goes, however often that has to be tried.
struct Check;

#[async_trait]
impl Step<DiskWipe> for Check {
    fn name(&self) -> &'static str {
        "check"
    }

    async fn plan(&self, cx: &Cx, task: &mut DiskWipe) -> Result<(), Error> {
        let found = check_wipe(&cx.node, &task.disk).await?;
        task.target = Some(found.target());
        Ok(())
    }

    async fn probe(&self, _: &Cx, _: &mut DiskWipe) -> Result<Probe, Error> {
        Ok(Probe::Done)
    }

    async fn act(&self, _: &Cx, _: &mut DiskWipe) -> Result<(), Error> {
        Ok(())
    }
}

struct Wipe;

#[async_trait]
impl Step<DiskWipe> for Wipe {
    fn name(&self) -> &'static str {
        "wipe"
    }

    async fn act(&self, cx: &Cx, task: &mut DiskWipe) -> Result<(), Error> {
        let Some(target) = &task.target else {
            return Err(Error::bug("no disk was chosen"));
        };
        let Some(found) = target.find(&cx.node).await? else {
            task.refusal = Some(format!("{} is another disk by now", target.path));
            return Ok(());
        };
        // It may have found a user while this node was down.
        let checked = disk_users::check_wipeable(&cx.node, &found).await;
        task.refusal = disk_users::refusal(checked)?;
        if task.refusal.is_some() {
            return Ok(());
        }
        match wipe(cx, &found).await {
            Err(error) if is_final(&error) => {
                let error = Error::chain(&error);
                task.refusal = Some(format!("{} may be wiped in part: {error}", target.path));
            }
            result => result?,
        }
        Ok(())
    }
}
