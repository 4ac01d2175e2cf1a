//! Takes away a volume group with all volumes in it, and what else is wanted.

use async_trait::async_trait;
use model::{Error, StorageId};
use serde::{Deserialize, Serialize};
use storage::{LvmPrograms, StorageType};
use tasks::{Probe, Step, Steps, Task};

use super::disk_group::run;
use super::disk_removal::{CleanConfig, CleanDisks, Cx, Removal, Removes, is_guests, is_in_group};
use crate::NodeContext;
use crate::host::disk_users::How;
use crate::host::disk_writes::DISKS;
use crate::host::pools::lvm;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DiskLvmDelete(Removal);

impl DiskLvmDelete {
    pub fn new(name: StorageId, cleanup_config: bool, cleanup_disks: bool) -> Self {
        Self(Removal::new(name, cleanup_config, cleanup_disks))
    }
}

/// A logical volume, as `lvs` shows it.
#[derive(Deserialize)]
pub(super) struct Logical {
    pub(super) lv_name: String,
    pub(super) lv_attr: String,
}

impl Logical {
    /// A pool of thin volumes is where guests' are.
    fn may_go(&self) -> bool {
        self.lv_attr.starts_with('t') || is_guests(StorageType::LvmThin, &self.lv_name)
    }

    /// Its device is open.
    pub(super) fn is_open(&self) -> bool {
        self.lv_attr.chars().nth(5) == Some('o') && !self.lv_attr.starts_with('t')
    }
}

pub(super) async fn volumes(node: &NodeContext, group: &str) -> Result<Vec<Logical>, Error> {
    let programs = LvmPrograms::new(node.host.clone());
    Ok(programs.list("lvs", "lv_name,lv_attr", &[group]).await?)
}

impl Task for DiskLvmDelete {
    type Node = NodeContext;
    const NAME: &'static str = "disk_lvm_delete";
    const VERSION: u32 = 1;
    const KIND: &'static str = "lvmremove";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Check],
            after: &[&Remove, &CleanConfig, &CleanDisks],
        }
    }

    fn object(&self) -> Option<String> {
        Some(DISKS.to_owned())
    }

    fn verdict(&self) -> Result<(), Error> {
        self.0.verdict()
    }
}

impl Removes for DiskLvmDelete {
    fn removal(&self) -> &Removal {
        &self.0
    }

    fn removal_mut(&mut self) -> &mut Removal {
        &mut self.0
    }
}

struct Check;

#[async_trait]
impl Step<DiskLvmDelete> for Check {
    fn name(&self) -> &'static str {
        "check"
    }

    async fn plan(&self, cx: &Cx, task: &mut DiskLvmDelete) -> Result<(), Error> {
        let removal = &mut task.0;
        let name = removal.name.to_string();
        let groups = lvm::groups(&cx.node.host).await?;
        let group = groups.into_iter().find(|group| group.name == name);
        let missing = || Error::conflict(format!("no such volume group '{name}'"));
        let group = group.ok_or_else(missing)?;
        let in_group = |spec: &_| is_in_group(spec, &name);
        removal.plan_storages(&cx.node, in_group).await?;
        for volume in volumes(&cx.node, &name).await? {
            let full = format!("{name}/{}", volume.lv_name);
            if volume.is_open() {
                return Err(Error::conflict(format!(
                    "logical volume '{full}' is in use"
                )));
            }
            if !volume.may_go() {
                let text = format!("logical volume '{full}' is no guest's: remove it first");
                return Err(Error::conflict(text));
            }
        }
        for disk in group.disks {
            let goes = |user: &crate::host::disk_users::User| match &user.how {
                How::Group(group) => *group == name,
                How::Holder(_) => true,
                _ => false,
            };
            removal.plan_wipe(&cx.node, &disk.path, goes).await?;
        }
        Ok(())
    }

    async fn probe(&self, _: &Cx, _: &mut DiskLvmDelete) -> Result<Probe, Error> {
        Ok(Probe::Done)
    }

    async fn act(&self, _: &Cx, _: &mut DiskLvmDelete) -> Result<(), Error> {
        Ok(())
    }
}

struct Remove;

#[async_trait]
impl Step<DiskLvmDelete> for Remove {
    fn name(&self) -> &'static str {
        "remove"
    }

    async fn act(&self, cx: &Cx, task: &mut DiskLvmDelete) -> Result<(), Error> {
        let name = task.0.name.to_string();
        let groups = lvm::groups(&cx.node.host).await?;
        if groups.iter().any(|group| group.name == name) {
            // What is open is refused by LVM itself.
            let removed = run(cx, "vgremove", &["--yes", &name]).await;
            task.0.settle(removed)?;
        }
        Ok(())
    }
}
