//! Takes away a pool of ZFS with all that is in it, and what else is wanted.

use async_trait::async_trait;
use model::{Error, StorageId};
use serde::{Deserialize, Serialize};
use storage::{StorageSpec, StorageType};
use sys::Command;
use tasks::{Probe, Step, Steps, Task};

use super::disk_removal::{CleanConfig, CleanDisks, Cx, Removal, Removes, is_guests};
use crate::NodeContext;
use crate::host::disk_users::{How, User};
use crate::host::disk_writes::{self, DISKS};
use crate::host::pools::zfs;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DiskZfsDelete(Removal);

impl DiskZfsDelete {
    pub fn new(name: StorageId, cleanup_config: bool, cleanup_disks: bool) -> Self {
        Self(Removal::new(name, cleanup_config, cleanup_disks))
    }
}

impl Task for DiskZfsDelete {
    type Node = NodeContext;
    const NAME: &'static str = "disk_zfs_delete";
    const VERSION: u32 = 1;
    const KIND: &'static str = "zfsremove";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Check],
            after: &[&Destroy, &CleanConfig, &CleanDisks],
        }
    }

    fn object(&self) -> Option<String> {
        Some(DISKS.to_owned())
    }

    fn verdict(&self) -> Result<(), Error> {
        self.0.verdict()
    }
}

impl Removes for DiskZfsDelete {
    fn removal(&self) -> &Removal {
        &self.0
    }

    fn removal_mut(&mut self) -> &mut Removal {
        &mut self.0
    }
}

/// Whether a dataset is the pool, a storage's or what leads to one, or a guest's.
fn may_go(dataset: &str, pool: &str, storages: &[String]) -> bool {
    let last = dataset.rsplit('/').next().unwrap_or_default();
    let leads_to = |storage: &String| {
        let rest = storage.strip_prefix(dataset);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    dataset == pool || storages.iter().any(leads_to) || is_guests(StorageType::ZfsPool, last)
}

struct Check;

#[async_trait]
impl Step<DiskZfsDelete> for Check {
    fn name(&self) -> &'static str {
        "check"
    }

    async fn plan(&self, cx: &Cx, task: &mut DiskZfsDelete) -> Result<(), Error> {
        let removal = &mut task.0;
        let name = removal.name.to_string();
        let pools = zfs::pools(&cx.node.host).await?;
        if !pools.iter().any(|pool| pool.name == name) {
            return Err(Error::conflict(format!("no such pool '{name}'")));
        }
        let dataset = |spec: &StorageSpec| match spec {
            StorageSpec::ZfsPool(spec) => Some(spec.pool.clone()),
            _ => None,
        };
        let is_there = |spec: &StorageSpec| {
            dataset(spec).is_some_and(|pool| pool.split('/').next() == Some(&*name))
        };
        removal.plan_storages(&cx.node, is_there).await?;
        let mut storages = Vec::new();
        for entry in cx.node.records.storages().await? {
            storages.extend(dataset(&entry.config.spec));
        }
        let datasets = zfs::below(&cx.node.host, &name).await?;
        if let Some(other) = datasets
            .iter()
            .find(|found| !may_go(found, &name, &storages))
        {
            let text = format!("dataset '{other}' is no guest's: remove it first");
            return Err(Error::conflict(text));
        }
        for (pool, path) in zfs::members(&cx.node.host).await? {
            let goes = |user: &User| user.how == How::Pool(name.clone());
            if pool == name {
                removal.plan_wipe(&cx.node, &path, goes).await?;
            }
        }
        Ok(())
    }

    async fn probe(&self, _: &Cx, _: &mut DiskZfsDelete) -> Result<Probe, Error> {
        Ok(Probe::Done)
    }

    async fn act(&self, _: &Cx, _: &mut DiskZfsDelete) -> Result<(), Error> {
        Ok(())
    }
}

struct Destroy;

#[async_trait]
impl Step<DiskZfsDelete> for Destroy {
    fn name(&self) -> &'static str {
        "destroy"
    }

    /// Without force: a pool with a dataset in use stays.
    async fn act(&self, cx: &Cx, task: &mut DiskZfsDelete) -> Result<(), Error> {
        let name = task.0.name.to_string();
        let pools = zfs::pools(&cx.node.host).await?;
        if pools.iter().any(|pool| pool.name == name) {
            let destroy = Command::new("zpool").args(["destroy", &name]);
            let destroyed = disk_writes::run(cx, destroy).await;
            task.0.settle(destroyed)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_guests_stays() {
        let storages = ["tank/a/guests".to_owned()];
        let may_go = |dataset: &str| may_go(dataset, "tank", &storages);
        assert!(may_go("tank") && may_go("tank/a") && may_go("tank/a/guests"));
        assert!(may_go("tank/a/guests/vm-100-disk-0") && may_go("tank/subvol-101-disk-0"));
        assert!(!may_go("tank/backup") && !may_go("tank/a/other") && !may_go("tank/ab"));
    }
}
