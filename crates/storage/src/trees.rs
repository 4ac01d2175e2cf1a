//! Directories as volumes: the file system of a container without an image.

use std::path::PathBuf;

use async_trait::async_trait;
use model::VmId;

use crate::{Attacher, StorageError};

/// Trees of a storage, `subvol-<vmid>-disk-<n>`. `Storage::{stat, list, free, rename}` know them too;
/// an image's methods answer `BadName` for them.
#[async_trait]
pub trait Trees: Send + Sync {
    /// Whether a tree can be limited in size. Where it cannot, its size is always 0: no limit.
    fn has_quotas(&self) -> bool;

    /// A name for a new tree of this guest, as `choose_image_name` chooses it: an image and a tree
    /// never have the same number.
    async fn choose_tree_name(&self, owner: VmId, taken: &[String])
    -> Result<String, StorageError>;

    /// Makes an empty tree whose top belongs to this uid and gid. `Exists` where there is one,
    /// `Unsupported` where a size is given and cannot be kept. A failure leaves nothing.
    async fn create_tree(
        &self,
        name: &str,
        size: u64,
        owner: (u32, u32),
    ) -> Result<(), StorageError>;

    /// Changes the limit. May be repeated.
    async fn resize_tree(&self, name: &str, size: u64) -> Result<(), StorageError>;

    /// Makes a tree ready to be used on this node, and says where it is. `Storage::detach` takes
    /// that back. May be repeated by the same attacher.
    async fn attach_tree(&self, name: &str, by: &Attacher) -> Result<PathBuf, StorageError>;

    /// Where a snapshot of a tree is, to be read; nothing has to be taken back. `NoVolume` where
    /// there is none.
    async fn snapshot_of_tree(&self, name: &str, snapshot: &str) -> Result<PathBuf, StorageError>;
}
