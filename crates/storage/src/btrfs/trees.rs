//! Subvolumes as trees. Nothing limits their size: quotas of btrfs slow down the whole file system.

use std::path::PathBuf;

use async_trait::async_trait;
use model::VmId;

use super::{Btrfs, is_tree};
use crate::{Attacher, Storage, StorageError, Trees};

impl Btrfs {
    fn folders(&self) -> &dyn Trees {
        &self.dir
    }
}

#[async_trait]
impl Trees for Btrfs {
    fn has_quotas(&self) -> bool {
        false
    }

    async fn choose_tree_name(
        &self,
        owner: VmId,
        taken: &[String],
    ) -> Result<String, StorageError> {
        self.folders().choose_tree_name(owner, taken).await
    }

    async fn create_tree(
        &self,
        name: &str,
        size: u64,
        (uid, gid): (u32, u32),
    ) -> Result<(), StorageError> {
        let subvolume = self.subvolume(name)?.filter(|_| is_tree(name));
        let subvolume = subvolume.ok_or_else(|| StorageError::BadName(name.to_owned()))?;
        // Refuses a limit.
        self.folders().resize_tree(name, size).await?;
        self.dir.make_place(name, &subvolume).await?;
        let made = async {
            self.create(&subvolume).await?;
            self.host.chown(&subvolume, uid, gid).await
        };
        let made = made.await;
        if made.is_err() {
            // Only what we were making can be there: it was not there before.
            let _ = self.free(name).await;
        }
        made.map_err(|source| self.failed(source))
    }

    async fn resize_tree(&self, name: &str, size: u64) -> Result<(), StorageError> {
        self.folders().resize_tree(name, size).await
    }

    async fn attach_tree(&self, name: &str, by: &Attacher) -> Result<PathBuf, StorageError> {
        self.folders().attach_tree(name, by).await
    }

    async fn snapshot_of_tree(&self, name: &str, snapshot: &str) -> Result<PathBuf, StorageError> {
        let subvolume = self.subvolume(name)?.filter(|_| is_tree(name));
        let subvolume = subvolume.ok_or_else(|| StorageError::BadName(name.to_owned()))?;
        self.existing(&subvolume, name, snapshot).await
    }
}
