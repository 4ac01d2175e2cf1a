//! Linked clones: thin snapshots of a base that can be written to. They share its blocks, and need
//! it no more once they are made.

use std::sync::Arc;

use async_trait::async_trait;
use model::{BlockFormat, VmId};

use super::{LvmThin, Tools, parse_name};
use crate::{LinkedClones, NewClone, Storage, StorageError};

#[async_trait]
impl LinkedClones for LvmThin {
    fn base_name(&self, name: &str) -> Result<String, StorageError> {
        let of_base = name
            .strip_prefix("vm-")
            .filter(|_| parse_name(name).is_some());
        let of_base = of_base.ok_or_else(|| StorageError::BadName(name.to_owned()))?;
        Ok(format!("base-{of_base}"))
    }

    async fn check_fit_for_base(&self, name: &str) -> Result<(), StorageError> {
        let volumes = self.tools.layout().await?;
        self.tools.check_no_snapshots_among(&volumes, name)
    }

    fn clone_format(&self) -> BlockFormat {
        BlockFormat::Raw
    }

    async fn choose_clone_name(
        &self,
        _base: &str,
        owner: VmId,
        taken: &[String],
    ) -> Result<String, StorageError> {
        self.choose_image_name(owner, BlockFormat::Raw, taken).await
    }

    async fn plan_clone(
        &self,
        base: &str,
        owner: VmId,
        taken: &[String],
    ) -> Result<NewClone, StorageError> {
        let volumes = self.tools.layout().await?;
        let mut ours = volumes.iter().filter(|volume| self.tools.has(volume));
        let found = ours.find(|volume| volume.name == base);
        let found = found.ok_or_else(|| self.tools.no_volume(base))?;
        Ok(NewClone {
            size: self.tools.size_of(found),
            name: self.free_name(owner, &volumes, taken),
        })
    }

    async fn create_clone(&self, base: &str, name: &str) -> Result<(), StorageError> {
        self.parse(name)?;
        let (base, name) = (base.to_owned(), name.to_owned());
        let create = |tools: Arc<Tools>| async move {
            let volumes = tools.layout().await?;
            tools.check_among(&volumes, &base)?;
            tools.check_new(&name, &volumes)?;
            tools.copy_blocks(&base, &name).await
        };
        self.tools.change(create).await
    }
}

impl Tools {
    /// Makes a volume that begins with the blocks of another one, and can be written to.
    pub(super) async fn copy_blocks(&self, from: &str, to: &str) -> Result<(), StorageError> {
        let origin = self.full(from);
        let args = ["--permission", "rw", "--snapshot", &origin];
        self.create_new(to, &args).await
    }
}
