//! File systems as trees, limited by `refquota`.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use model::VmId;

use super::ZfsPool;
use super::tiers::Making;
use crate::{Attacher, ContentType, Storage, StorageError, Trees};

/// What files of containers need: access lists, and attributes without files of their own.
pub(super) const OF_TREES: [&str; 4] = ["-o", "acltype=posixacl", "-o", "xattr=sa"];

/// The limit of a size; 0 is none.
pub(super) fn quota(size: u64) -> String {
    match size {
        0 => "refquota=none".to_owned(),
        size => format!("refquota={size}"),
    }
}

impl ZfsPool {
    fn tree(&self, name: &str) -> Result<String, StorageError> {
        let said = self.parse(name)?;
        match said.content {
            ContentType::Rootdir => Ok(said.image),
            _ => Err(StorageError::BadName(name.to_owned())),
        }
    }

    /// Where a file system is mounted; it is mounted if it is not.
    async fn mounted(&self, dataset: &str) -> Result<PathBuf, StorageError> {
        let full = self.tools.full(dataset);
        let args = [
            "get",
            "-o",
            "value",
            "-H",
            "-p",
            "mounted,mountpoint",
            &full,
        ];
        let printed = self.tools.look("zfs", &args).await?;
        let mut values = printed.lines();
        if values.next() != Some("yes") {
            self.tools.change(&["mount", &full]).await?;
        }
        let point = values
            .next()
            .map(Path::new)
            .filter(|point| point.is_absolute());
        let no_place = || self.inactive(format!("'{full}' is mounted nowhere"));
        point.map(Path::to_path_buf).ok_or_else(no_place)
    }
}

#[async_trait]
impl Trees for ZfsPool {
    fn has_quotas(&self) -> bool {
        true
    }

    async fn choose_tree_name(
        &self,
        owner: VmId,
        taken: &[String],
    ) -> Result<String, StorageError> {
        let number = self.free_disk_number(owner, taken).await?;
        Ok(format!("subvol-{owner}-disk-{number}"))
    }

    async fn create_tree(
        &self,
        name: &str,
        size: u64,
        (uid, gid): (u32, u32),
    ) -> Result<(), StorageError> {
        let tree = self.tree(name)?;
        let (quota, full) = (quota(size), self.tools.full(&tree));
        let ours = self.of_new(&tree, Making::Tree, size).await?;
        let mut args = vec!["create"];
        args.extend(OF_TREES);
        args.extend(ours.options.iter().map(String::as_str));
        args.extend(["-o", &quota, &full]);
        self.tools.change(&args).await?;
        let path = self.mounted(&tree).await;
        let given = match path {
            Ok(path) => self
                .tools
                .host
                .chown(&path, uid, gid)
                .await
                .map_err(|error| StorageError::of(self.config.id(), error)),
            Err(error) => Err(error),
        };
        if given.is_err() {
            // It was not there before.
            let _ = self.free(name).await;
        }
        given
    }

    async fn resize_tree(&self, name: &str, size: u64) -> Result<(), StorageError> {
        let tree = self.tree(name)?;
        self.tools.get(&tree).await?;
        self.tools
            .change(&["set", &quota(size), &self.tools.full(&tree)])
            .await
    }

    async fn attach_tree(&self, name: &str, _by: &Attacher) -> Result<PathBuf, StorageError> {
        self.mounted(&self.tree(name)?).await
    }

    /// ZFS shows each in a hidden folder of the file system.
    async fn snapshot_of_tree(&self, name: &str, snapshot: &str) -> Result<PathBuf, StorageError> {
        let tree = self.tree(name)?;
        self.tools
            .check_there(&format!("{tree}@{snapshot}"))
            .await?;
        Ok(self
            .mounted(&tree)
            .await?
            .join(".zfs/snapshot")
            .join(snapshot))
    }
}
