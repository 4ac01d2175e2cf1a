//! Linked clones: images that begin with the blocks of a base's snapshot, and need it.

use async_trait::async_trait;
use model::{BlockFormat, VmId};

use super::{BASE_SNAPSHOT, Rbd};
use crate::{LinkedClones, NewClone, Storage, StorageError};

#[async_trait]
impl LinkedClones for Rbd {
    fn base_name(&self, name: &str) -> Result<String, StorageError> {
        let image = self.image(name)?;
        let of_base = image.strip_prefix("vm-").map(|rest| format!("base-{rest}"));
        of_base.ok_or_else(|| StorageError::BadName(name.to_owned()))
    }

    /// An image keeps its snapshots under each name.
    async fn check_fit_for_base(&self, name: &str) -> Result<(), StorageError> {
        self.parse(name).map(drop)
    }

    fn clone_format(&self) -> BlockFormat {
        BlockFormat::Raw
    }

    async fn choose_clone_name(
        &self,
        base: &str,
        owner: VmId,
        taken: &[String],
    ) -> Result<String, StorageError> {
        let base = self.image(base)?;
        let name = self.choose_image_name(owner, BlockFormat::Raw, taken);
        Ok(format!("{base}/{}", name.await?))
    }

    async fn plan_clone(
        &self,
        base: &str,
        owner: VmId,
        taken: &[String],
    ) -> Result<NewClone, StorageError> {
        let size = self.tools.get(&self.image(base)?).await?.size;
        let name = self.choose_clone_name(base, owner, taken).await?;
        Ok(NewClone { name, size })
    }

    async fn create_clone(&self, base: &str, name: &str) -> Result<(), StorageError> {
        let (base, said) = (self.image(base)?, self.parse(name)?);
        if said.base.as_ref() != Some(&base) {
            return Err(StorageError::BadName(name.to_owned()));
        }
        let place = &self.tools.place;
        let origin = format!("{}@{BASE_SNAPSHOT}", place.of(&base));
        let full = place.of(&said.image);
        let mut args = vec!["clone"];
        if let Some(pool) = &self.spec.data_pool {
            args.extend(["--data-pool", pool]);
        }
        args.extend([origin.as_str(), &full]);
        self.tools.change(&said.image, &args).await
    }
}
