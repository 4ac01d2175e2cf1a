//! Linked clones: datasets that begin with the blocks of a base's snapshot, and need it.

use async_trait::async_trait;
use model::{BlockFormat, VmId};

use super::tiers::Making;
use super::tools::Dataset;
use super::trees::{OF_TREES, quota};
use super::{BASE_SNAPSHOT, ZfsPool, free_number};
use crate::{ContentType, LinkedClones, NewClone, StorageError, VolumeName};

#[async_trait]
impl LinkedClones for ZfsPool {
    fn base_name(&self, name: &str) -> Result<String, StorageError> {
        let dataset = self.dataset(name)?;
        let of_image = dataset
            .strip_prefix("vm-")
            .map(|rest| format!("base-{rest}"));
        let of_tree = dataset
            .strip_prefix("subvol-")
            .map(|rest| format!("basevol-{rest}"));
        let base = of_image.or(of_tree);
        base.ok_or_else(|| StorageError::BadName(name.to_owned()))
    }

    /// A dataset keeps its snapshots under each name.
    async fn check_fit_for_base(&self, name: &str) -> Result<(), StorageError> {
        self.dataset(name).map(drop)
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
        let datasets = self.tools.datasets().await?;
        self.clone_name(&self.parse(base)?, owner, (&datasets, taken))
    }

    async fn plan_clone(
        &self,
        base: &str,
        owner: VmId,
        taken: &[String],
    ) -> Result<NewClone, StorageError> {
        let (name, base) = (base, self.parse(base)?);
        let datasets = self.tools.datasets().await?;
        let found = datasets.iter().find(|dataset| dataset.name == base.image);
        let is_tree = base.content == ContentType::Rootdir;
        let found = found.filter(|dataset| dataset.is_volume != is_tree);
        Ok(NewClone {
            size: found.ok_or_else(|| self.tools.no_volume(name))?.size,
            name: self.clone_name(&base, owner, (&datasets, taken))?,
        })
    }

    async fn create_clone(&self, base: &str, name: &str) -> Result<(), StorageError> {
        let (base, said) = (self.dataset(base)?, self.parse(name)?);
        if said.base.as_ref() != Some(&base) {
            return Err(StorageError::BadName(name.to_owned()));
        }
        let origin = format!("{}@{BASE_SNAPSHOT}", self.tools.full(&base));
        let full = self.tools.full(&said.image);
        // A clone does not have the properties that were set on its origin.
        let making = match said.content {
            ContentType::Rootdir => Making::TreeClone,
            _ => Making::VolumeClone,
        };
        let is_tree = making == Making::TreeClone;
        // It is as large as its base, which is looked at only where that matters.
        let size = match is_tree || self.sets_aside(&said.image).await? {
            true => self.tools.get(&base).await?.size,
            false => 0,
        };
        let ours = self.of_new(&said.image, making, size).await?;
        let mut args = vec!["clone"];
        args.extend(ours.options.iter().map(String::as_str));
        let limit;
        if is_tree {
            limit = quota(size);
            args.extend(OF_TREES.iter().chain([&"-o", &limit.as_str()]));
        }
        args.extend([origin.as_str(), &full]);
        self.tools.change(&args).await
    }
}

impl ZfsPool {
    /// A name that neither one of these datasets has nor another volume that is to be made.
    fn clone_name(
        &self,
        base: &VolumeName,
        owner: VmId,
        (datasets, taken): (&[Dataset], &[String]),
    ) -> Result<String, StorageError> {
        let number = free_number(owner, datasets, taken);
        let kind = match base.content {
            ContentType::Rootdir => "subvol",
            _ => "vm",
        };
        Ok(format!("{}/{kind}-{owner}-disk-{number}", base.image))
    }
}
