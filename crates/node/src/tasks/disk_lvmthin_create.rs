//! Makes a volume group with a pool for thin volumes on a disk, and a storage if wanted.

use async_trait::async_trait;
use model::{Error, StorageId};
use serde::{Deserialize, Serialize};
use storage::{ContentType, LvmThinSpec, StorageSpec};
use tasks::{Step, Steps, Task, TaskContext};

use super::disk_group::{Group, Label, MakesGroup, NewGroup, run};
use super::disk_storage::{AddStorage, AddsStorage, DiskStorage};
use crate::NodeContext;
use crate::host::disk_writes::{self, DISKS};
use crate::host::pools::lvm;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DiskLvmthinCreate {
    group: NewGroup,
    add_storage: bool,
    storage: Option<DiskStorage>,
}

/// What a pool on a physical volume of this size has for data and for metadata, in KiB. Source:
/// Proxmox VE's shares.
fn shares_kib(volume_bytes: u64) -> Option<(u64, u64)> {
    let data = volume_bytes.checked_sub(128 * MIB)?;
    let metadata = (data / 100).clamp(GIB, 16 * GIB);
    // LVM keeps as much again, for repairs.
    let data = data.checked_sub(2 * metadata)?;
    (data >= GIB).then_some((data >> 10, metadata >> 10))
}

impl DiskLvmthinCreate {
    pub fn new(name: StorageId, device: String, add_storage: bool) -> Self {
        Self {
            group: NewGroup::new(name, device),
            add_storage,
            storage: None,
        }
    }

    /// Refuses a disk that is used or too small, and a name that is taken.
    pub async fn check(&mut self, node: &NodeContext) -> Result<(), Error> {
        let bytes = self.group.check(node).await?;
        if shares_kib(bytes).is_none() {
            let reason = "the disk is too small: a thin pool with its metadata needs 3.2 GiB";
            return Err(Error::invalid("device", reason));
        }
        if self.add_storage {
            let id = &self.group.name;
            let spec = StorageSpec::LvmThin(LvmThinSpec {
                vgname: id.to_string(),
                thinpool: id.to_string(),
                encrypted: None,
            });
            let content = vec![ContentType::Rootdir, ContentType::Images];
            self.storage = Some(DiskStorage::plan(node, id, spec, content).await?);
        }
        Ok(())
    }
}

impl Task for DiskLvmthinCreate {
    type Node = NodeContext;
    const NAME: &'static str = "disk_lvmthin_create";
    const VERSION: u32 = 1;
    const KIND: &'static str = "lvmthincreate";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Label, &Group, &Pool, &AddStorage],
            after: &[],
        }
    }

    fn object(&self) -> Option<String> {
        Some(DISKS.to_owned())
    }
}

#[async_trait]
impl MakesGroup for DiskLvmthinCreate {
    fn group(&self) -> &NewGroup {
        &self.group
    }

    async fn check(&mut self, node: &NodeContext) -> Result<(), Error> {
        Self::check(self, node).await
    }
}

impl AddsStorage for DiskLvmthinCreate {
    fn storage(&self) -> Option<&DiskStorage> {
        self.storage.as_ref()
    }
}

type Cx = TaskContext<NodeContext>;

struct Pool;

#[async_trait]
impl Step<DiskLvmthinCreate> for Pool {
    fn name(&self) -> &'static str {
        "pool"
    }

    async fn act(&self, cx: &Cx, task: &mut DiskLvmthinCreate) -> Result<(), Error> {
        let name = task.group.name.as_str();
        let groups = lvm::groups(&cx.node.host).await?;
        let group = groups.iter().find(|group| group.name == name);
        let shares = group.and_then(|group| shares_kib(group.size));
        let (data, metadata) =
            shares.ok_or_else(|| Error::unavailable("the disk is too small for a thin pool"))?;
        let (data, metadata) = (format!("{data}k"), format!("{metadata}k"));
        let how = ["--yes", "--type", "thin-pool", "--size", &data];
        let what = ["--poolmetadatasize", &metadata, "--name", name, name];
        run(cx, "lvcreate", &[how, what].concat()).await?;
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &DiskLvmthinCreate) -> Result<(), Error> {
        let name = task.group.name.as_str();
        if task.group.ours(cx).await?.as_deref() != Some(name) {
            return Ok(());
        }
        let pools = lvm::thin_pools(&cx.node.host, Some(name)).await?;
        match pools.iter().any(|pool| pool.name == name) {
            true => {
                let pool = format!("{name}/{name}");
                disk_writes::or_left(cx, run(cx, "lvremove", &["--yes", &pool])).await
            }
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_has_as_much_metadata_as_proxmox_ve_gives_it() {
        // 1 GiB of metadata at least, and as much again.
        let small = shares_kib(8 * GIB).unwrap();
        assert_eq!(small, ((6 * GIB - 128 * MIB) >> 10, GIB >> 10));
        // 1 % of a larger one, and 16 GiB at most.
        assert_eq!(shares_kib(1000 * GIB + 128 * MIB).unwrap().1, 10 << 20);
        assert_eq!(shares_kib(9000 * GIB).unwrap().1, 16 << 20);
        assert_eq!(shares_kib(3 * GIB), None);
    }
}
