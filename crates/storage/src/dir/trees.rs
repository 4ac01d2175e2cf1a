//! Plain folders as trees. Nothing limits their size.

use std::path::PathBuf;

use async_trait::async_trait;
use model::VmId;

use super::layout::{Location, TREE_FORMAT};
use super::{Dir, layout};
use crate::{Attacher, StorageError, Trees};

impl Dir {
    fn locate_tree(&self, name: &str) -> Result<Location, StorageError> {
        let location = self.locate(name)?;
        match layout::is_tree(&location.name) {
            true => Ok(location),
            false => Err(StorageError::BadName(name.to_owned())),
        }
    }

    fn check_unlimited(&self, size: u64) -> Result<(), StorageError> {
        if size == 0 {
            return Ok(());
        }
        let storage = self.config.id().clone();
        let what = "limits on the size of directories".to_owned();
        Err(StorageError::Unsupported { storage, what })
    }

    /// Removes a tree with its content. False where there was none.
    pub(super) async fn remove_tree(&self, location: &Location) -> Result<bool, StorageError> {
        let removed = self.host.remove_tree(&self.path_of(location)).await;
        removed.map_err(|source| self.failed(source))
    }
}

#[async_trait]
impl Trees for Dir {
    fn has_quotas(&self) -> bool {
        false
    }

    async fn choose_tree_name(
        &self,
        owner: VmId,
        taken: &[String],
    ) -> Result<String, StorageError> {
        let number = self.free_disk_number(owner, taken).await?;
        Ok(format!(
            "{owner}/subvol-{owner}-disk-{number}.{TREE_FORMAT}"
        ))
    }

    async fn create_tree(
        &self,
        name: &str,
        size: u64,
        (uid, gid): (u32, u32),
    ) -> Result<(), StorageError> {
        let location = self.locate_tree(name)?;
        self.check_unlimited(size)?;
        let path = self.path_of(&location);
        self.make_place(name, &path).await?;
        let made = async {
            self.host.create_dir(&path, 0o755).await?;
            self.host.chown(&path, uid, gid).await
        };
        let made = made.await;
        if made.is_err() {
            // Only what we were making can be there: it was not there before.
            let _ = crate::Storage::free(self, name).await;
        }
        made.map_err(|source| self.failed(source))
    }

    async fn resize_tree(&self, name: &str, size: u64) -> Result<(), StorageError> {
        self.locate_tree(name)?;
        self.check_unlimited(size)
    }

    async fn attach_tree(&self, name: &str, _by: &Attacher) -> Result<PathBuf, StorageError> {
        let path = self.path_of(&self.locate_tree(name)?);
        match self.is_there(&path).await? {
            true => Ok(path),
            false => Err(self.no_volume(name)),
        }
    }

    /// Folders have no snapshots.
    async fn snapshot_of_tree(&self, name: &str, snapshot: &str) -> Result<PathBuf, StorageError> {
        self.locate_tree(name)?;
        Err(self.no_volume(&format!("{name}@{snapshot}")))
    }
}
