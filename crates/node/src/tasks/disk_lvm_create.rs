//! Makes a volume group of LVM on a disk, and a storage if wanted.

use async_trait::async_trait;
use model::{Error, StorageId};
use serde::{Deserialize, Serialize};
use storage::{ContentType, LvmSpec, StorageSpec};
use tasks::{Steps, Task};

use super::disk_group::{Group, Label, MakesGroup, NewGroup};
use super::disk_storage::{AddStorage, AddsStorage, DiskStorage};
use crate::NodeContext;
use crate::host::disk_writes::DISKS;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DiskLvmCreate {
    group: NewGroup,
    add_storage: bool,
    storage: Option<DiskStorage>,
}

impl DiskLvmCreate {
    pub fn new(name: StorageId, device: String, add_storage: bool) -> Self {
        Self {
            group: NewGroup::new(name, device),
            add_storage,
            storage: None,
        }
    }

    /// Refuses a disk that is used and a name that is taken.
    pub async fn check(&mut self, node: &NodeContext) -> Result<(), Error> {
        self.group.check(node).await?;
        if self.add_storage {
            let id = &self.group.name;
            let spec = StorageSpec::Lvm(LvmSpec {
                vgname: id.to_string(),
                ..LvmSpec::default()
            });
            let content = vec![ContentType::Rootdir, ContentType::Images];
            self.storage = Some(DiskStorage::plan(node, id, spec, content).await?);
        }
        Ok(())
    }
}

impl Task for DiskLvmCreate {
    type Node = NodeContext;
    const NAME: &'static str = "disk_lvm_create";
    const VERSION: u32 = 1;
    const KIND: &'static str = "lvmcreate";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Label, &Group, &AddStorage],
            after: &[],
        }
    }

    fn object(&self) -> Option<String> {
        Some(DISKS.to_owned())
    }
}

#[async_trait]
impl MakesGroup for DiskLvmCreate {
    fn group(&self) -> &NewGroup {
        &self.group
    }

    async fn check(&mut self, node: &NodeContext) -> Result<(), Error> {
        Self::check(self, node).await
    }
}

impl AddsStorage for DiskLvmCreate {
    fn storage(&self) -> Option<&DiskStorage> {
        self.storage.as_ref()
    }
}
