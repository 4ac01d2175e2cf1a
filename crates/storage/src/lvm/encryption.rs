//! What encryption changes of a group; nothing where there is none.

use std::path::PathBuf;

use super::crypt::{Crypt, CryptError, HEADER};
use super::group::{Group, Volume};
use crate::StorageError;

impl Group {
    pub(crate) fn is_encrypted(&self) -> bool {
        self.crypt.is_some()
    }

    /// Refuses to use an encrypted storage without what opens its volumes.
    pub(crate) async fn check_crypt(&self) -> Result<(), StorageError> {
        let Some(crypt) = &self.crypt else {
            return Ok(());
        };
        let inactive = |reason: &str| StorageError::Inactive {
            storage: self.storage.clone(),
            reason: reason.to_owned(),
        };
        if !crypt.has_key() {
            return Err(inactive("its key is missing"));
        }
        match crypt.is_installed().await {
            true => Ok(()),
            false => Err(inactive("it is encrypted, and cryptsetup is not installed")),
        }
    }

    /// How large a volume is that holds so much.
    pub(crate) fn whole_size(&self, size: u64) -> u64 {
        match self.is_encrypted() {
            true => size + HEADER,
            false => size,
        }
    }

    /// How much a volume holds.
    pub(crate) fn size_of(&self, volume: &Volume) -> u64 {
        match self.is_encrypted() {
            true => volume.size().saturating_sub(HEADER),
            false => volume.size(),
        }
    }

    /// Writes what an encrypted volume begins with. The volume is new, and active.
    pub(crate) async fn format(&self, name: &str) -> Result<(), StorageError> {
        let Some(crypt) = &self.crypt else {
            return Ok(());
        };
        let formatted = crypt.format(&self.path(name)).await;
        formatted.map_err(|error| self.not_opened(name, error))
    }

    /// Closes what may be open of an encrypted volume that has no attacher: an agent that died
    /// has left it.
    pub(crate) async fn close(&self, name: &str) -> Result<(), StorageError> {
        let Some(crypt) = &self.crypt else {
            return Ok(());
        };
        let closed = crypt.close(&self.name, name).await;
        closed.map_err(|error| self.not_opened(name, error))
    }

    /// Lets a volume that has grown be used to its end.
    pub(crate) async fn grow_open(&self, name: &str) -> Result<(), StorageError> {
        let Some(crypt) = &self.crypt else {
            return Ok(());
        };
        let grown = crypt.grow(&self.name, name).await;
        grown.map_err(|error| self.not_opened(name, error))
    }

    fn not_opened(&self, name: &str, error: CryptError) -> StorageError {
        let (storage, name) = (self.storage.clone(), name.to_owned());
        match error {
            CryptError::Foreign => StorageError::Refused(format!(
                "volume '{storage}:{name}' is not encrypted with the key of this storage"
            )),
            CryptError::InUse => StorageError::InUse { storage, name },
            CryptError::NoKey => StorageError::Inactive {
                storage,
                reason: "its key is missing".to_owned(),
            },
            CryptError::Host(error) => StorageError::of(&storage, error),
        }
    }

    /// The plain side of a volume that is active: the volume itself where nothing is encrypted.
    pub(crate) async fn opened(&self, name: &str) -> Result<PathBuf, StorageError> {
        let device = self.path(name);
        match &self.crypt {
            None => Ok(device),
            Some(crypt) => {
                let opened = crypt.open((&self.name, name), &device).await;
                opened.map_err(|error| self.not_opened(name, error))
            }
        }
    }

    /// Where an administrator finds what a volume holds.
    pub(crate) fn plain_path(&self, name: &str) -> PathBuf {
        match self.is_encrypted() {
            true => Crypt::path(&self.name, name),
            false => self.path(name),
        }
    }
}
