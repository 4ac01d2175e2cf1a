//! Takes away a pool of thin volumes with all volumes in it, and what else is wanted.

use async_trait::async_trait;
use model::{Error, StorageId};
use serde::{Deserialize, Serialize};
use storage::{LvmPrograms, StorageSpec, StorageType};
use tasks::{Probe, Step, Steps, Task};

use super::disk_group::run;
use super::disk_lvm_delete::volumes;
use super::disk_removal::{CleanConfig, CleanDisks, Cx, Removal, Removes, is_guests};
use crate::NodeContext;
use crate::host::disk_users::{How, User};
use crate::host::disk_writes::DISKS;
use crate::host::pools::lvm;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DiskLvmthinDelete {
    group: StorageId,
    removal: Removal,
}

impl DiskLvmthinDelete {
    pub fn new(
        group: StorageId,
        name: StorageId,
        cleanup_config: bool,
        cleanup_disks: bool,
    ) -> Self {
        Self {
            group,
            removal: Removal::new(name, cleanup_config, cleanup_disks),
        }
    }
}

impl Task for DiskLvmthinDelete {
    type Node = NodeContext;
    const NAME: &'static str = "disk_lvmthin_delete";
    const VERSION: u32 = 1;
    const KIND: &'static str = "lvmthinremove";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Check],
            after: &[&Remove, &RemoveGroup, &CleanConfig, &CleanDisks],
        }
    }

    fn object(&self) -> Option<String> {
        Some(DISKS.to_owned())
    }

    fn verdict(&self) -> Result<(), Error> {
        self.removal.verdict()
    }
}

impl Removes for DiskLvmthinDelete {
    fn removal(&self) -> &Removal {
        &self.removal
    }

    fn removal_mut(&mut self) -> &mut Removal {
        &mut self.removal
    }
}

/// A volume and the pool that it is in.
#[derive(Deserialize)]
struct Thin {
    lv_name: String,
    lv_attr: String,
    pool_lv: String,
}

struct Check;

#[async_trait]
impl Step<DiskLvmthinDelete> for Check {
    fn name(&self) -> &'static str {
        "check"
    }

    async fn plan(&self, cx: &Cx, task: &mut DiskLvmthinDelete) -> Result<(), Error> {
        let (group, removal) = (task.group.to_string(), &mut task.removal);
        let name = removal.name.to_string();
        let groups = lvm::groups(&cx.node.host).await?;
        let found = groups.into_iter().find(|found| found.name == group);
        let missing = || Error::conflict(format!("no such thin pool {group}/{name}"));
        let found = found.ok_or_else(missing)?;
        let pools = lvm::thin_pools(&cx.node.host, Some(&group)).await?;
        if !pools.iter().any(|pool| pool.name == name) {
            return Err(missing());
        }
        let in_pool = |spec: &StorageSpec| match spec {
            StorageSpec::LvmThin(spec) => spec.vgname == group && spec.thinpool == name,
            _ => false,
        };
        removal.plan_storages(&cx.node, in_pool).await?;
        let programs = LvmPrograms::new(cx.node.host.clone());
        let columns = "lv_name,lv_attr,pool_lv";
        let volumes: Vec<Thin> = programs.list("lvs", columns, &[&group]).await?;
        for volume in volumes.iter().filter(|volume| volume.pool_lv == name) {
            let full = format!("{group}/{}", volume.lv_name);
            if volume.lv_attr.chars().nth(5) == Some('o') {
                return Err(Error::conflict(format!(
                    "logical volume '{full}' is in use"
                )));
            }
            if !is_guests(StorageType::LvmThin, &volume.lv_name) {
                let text = format!("logical volume '{full}' is no guest's: remove it first");
                return Err(Error::conflict(text));
            }
        }
        // The group goes with its disks only if nothing else is in it.
        let is_alone = volumes
            .iter()
            .all(|volume| volume.lv_name == name || volume.pool_lv == name);
        if removal.cleanup_disks && !is_alone {
            let text =
                format!("volume group '{group}' has other volumes: its disks cannot be wiped");
            return Err(Error::conflict(text));
        }
        for disk in found.disks {
            let goes = |user: &User| match &user.how {
                How::Group(named) => *named == group,
                How::Holder(_) => true,
                _ => false,
            };
            removal.plan_wipe(&cx.node, &disk.path, goes).await?;
        }
        Ok(())
    }

    async fn probe(&self, _: &Cx, _: &mut DiskLvmthinDelete) -> Result<Probe, Error> {
        Ok(Probe::Done)
    }

    async fn act(&self, _: &Cx, _: &mut DiskLvmthinDelete) -> Result<(), Error> {
        Ok(())
    }
}

struct Remove;

#[async_trait]
impl Step<DiskLvmthinDelete> for Remove {
    fn name(&self) -> &'static str {
        "remove"
    }

    async fn act(&self, cx: &Cx, task: &mut DiskLvmthinDelete) -> Result<(), Error> {
        let (group, name) = (task.group.to_string(), task.removal.name.to_string());
        let pools = lvm::thin_pools(&cx.node.host, Some(&group)).await?;
        if pools.iter().any(|pool| pool.name == name) {
            let pool = format!("{group}/{name}");
            let removed = run(cx, "lvremove", &["--yes", &pool]).await;
            task.removal.settle(removed)?;
        }
        Ok(())
    }
}

/// The group goes too if its disks are wanted back.
struct RemoveGroup;

#[async_trait]
impl Step<DiskLvmthinDelete> for RemoveGroup {
    fn name(&self) -> &'static str {
        "remove-group"
    }

    async fn act(&self, cx: &Cx, task: &mut DiskLvmthinDelete) -> Result<(), Error> {
        let removal = &mut task.removal;
        if removal.refusal.is_some() || !removal.cleanup_disks {
            return Ok(());
        }
        let group = task.group.to_string();
        let groups = lvm::groups(&cx.node.host).await?;
        if !groups.iter().any(|found| found.name == group) {
            return Ok(());
        }
        if !volumes(&cx.node, &group).await?.is_empty() {
            removal.refusal = Some(format!("volume group '{group}' has other volumes by now"));
            return Ok(());
        }
        let removed = run(cx, "vgremove", &[&group]).await;
        removal.settle(removed)
    }
}
