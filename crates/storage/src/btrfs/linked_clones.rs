//! Linked clones: subvolumes that share the blocks of a base, and need it no more once they are
//! made.

use std::path::Path;

use async_trait::async_trait;
use model::{BlockFormat, VmId};

use super::{Btrfs, is_tree, parse_name};
use crate::{LinkedClones, NewClone, Storage, StorageError, Trees};

#[async_trait]
impl LinkedClones for Btrfs {
    fn base_name(&self, name: &str) -> Result<String, StorageError> {
        if !is_tree(name) {
            return self.clones_of_files().base_name(name);
        }
        let base = name.replacen("/subvol-", "/basevol-", 1);
        match parse_name(&base).is_some_and(|said| said.is_base) && base != name {
            true => Ok(base),
            false => Err(StorageError::BadName(name.to_owned())),
        }
    }

    async fn check_fit_for_base(&self, name: &str) -> Result<(), StorageError> {
        match self.subvolume(name)? {
            Some(subvolume) => self.check_no_snapshots(name, &subvolume).await,
            None => self.clones_of_files().check_fit_for_base(name).await,
        }
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
        self.base(base)?;
        match is_tree(base) {
            true => self.choose_tree_name(owner, taken).await,
            false => self.choose_image_name(owner, BlockFormat::Raw, taken).await,
        }
    }

    async fn plan_clone(
        &self,
        base: &str,
        owner: VmId,
        taken: &[String],
    ) -> Result<NewClone, StorageError> {
        let found = self
            .stat(base)
            .await?
            .ok_or_else(|| self.dir.no_volume(base))?;
        Ok(NewClone {
            name: self.choose_clone_name(base, owner, taken).await?,
            size: found.size,
        })
    }

    async fn create_clone(&self, base: &str, name: &str) -> Result<(), StorageError> {
        let source = self.base(base)?;
        let target = self.base(name)?;
        if is_tree(base) != is_tree(name) {
            return Err(StorageError::BadName(name.to_owned()));
        }
        if !self.dir.is_there(&source).await? {
            return Err(self.dir.no_volume(base));
        }
        self.dir.make_place(name, &target).await?;
        self.make_copy(&source, &target).await
    }
}

impl Btrfs {
    fn clones_of_files(&self) -> &dyn LinkedClones {
        &self.dir
    }

    /// The subvolume of a raw image or a tree, the only kinds that have clones here.
    fn base(&self, name: &str) -> Result<std::path::PathBuf, StorageError> {
        let subvolume = self.subvolume(name)?;
        subvolume.ok_or_else(|| StorageError::BadName(name.to_owned()))
    }

    async fn make_copy(&self, source: &Path, target: &Path) -> Result<(), StorageError> {
        let made = self.copy(source, target).await;
        if made.is_err() {
            let _ = self.delete(target).await;
            self.dir.remove_if_empty(target).await?;
        }
        made.map_err(|source| self.failed(source))
    }
}
