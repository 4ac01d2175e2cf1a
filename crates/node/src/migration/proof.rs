//! The proof that two nodes see the same storage: one reads what the other wrote.

use std::path::PathBuf;

use model::{Error, StorageId};
use serde::{Deserialize, Serialize};
use storage::Storage;
use uuid::Uuid;

use crate::NodeContext;

/// A file in the folder of a storage that is marked as shared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Proof {
    pub(crate) storage: StorageId,
    /// Random, and so the name of no other file.
    pub(crate) number: u64,
}

impl Proof {
    pub(crate) fn new(storage: StorageId) -> Self {
        let (number, _) = Uuid::new_v4().as_u64_pair();
        Self { storage, number }
    }

    /// None on a storage without folders.
    fn path(&self, storage: &dyn Storage) -> Option<PathBuf> {
        let root = storage.files()?.root();
        Some(root.join(format!(".ostler-{:016x}", self.number)))
    }

    /// Where it is written. Refuses a storage that nothing can be proven of.
    pub(super) async fn place(&self, node: &NodeContext) -> Result<PathBuf, Error> {
        let storage = node.storage(&self.storage).await?;
        storage.activate().await?;
        self.path(&*storage).ok_or_else(|| {
            let text = format!("storage '{}' cannot be proven to be shared", self.storage);
            Error::conflict(text)
        })
    }

    pub(crate) async fn write(&self, node: &NodeContext, text: &str) -> Result<(), Error> {
        let path = self.place(node).await?;
        Ok(node.host.write(&path, text.as_bytes(), 0o600).await?)
    }

    /// What it says here; none where it is not.
    pub(crate) async fn read(&self, node: &NodeContext) -> Result<Option<String>, Error> {
        let storage = node.storage(&self.storage).await?;
        storage.activate().await?;
        let Some(path) = self.path(&*storage) else {
            return Ok(None);
        };
        match node.host.read(&path).await {
            Ok(text) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) async fn remove(&self, node: &NodeContext) -> Result<(), Error> {
        let storage = node.storage(&self.storage).await?;
        if let Some(path) = self.path(&*storage) {
            node.host.remove(&path).await?;
        }
        Ok(())
    }
}
