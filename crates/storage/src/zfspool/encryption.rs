//! Encrypted storages: the storage's dataset is the root of a key of its own, so all that is made
//! in it is encrypted with that key: volumes, their snapshots and clones.
//!
//! The key reaches `zfs` by standard input alone. It is loaded when the storage is activated, and
//! never unloaded.

use super::ZfsPool;
use super::tools::CHANGE;
use crate::StorageError;

/// What ZFS says of the key of a dataset.
#[derive(Debug, PartialEq, Eq)]
struct Locked {
    /// The cipher; `off` without one.
    cipher: String,
    is_loaded: bool,
    /// The dataset whose key it has.
    root: String,
}

/// Reads `encryption,keystatus,encryptionroot`, a line each.
fn parse(printed: &str) -> Option<Locked> {
    let mut lines = printed.lines().map(str::trim);
    Some(Locked {
        cipher: lines.next()?.to_owned(),
        is_loaded: lines.next()? == "available",
        root: lines.next()?.to_owned(),
    })
}

impl ZfsPool {
    pub(super) fn is_encrypted(&self) -> bool {
        self.spec.encrypted == Some(true)
    }

    async fn locked(&self) -> Result<Option<Locked>, StorageError> {
        let what = "encryption,keystatus,encryptionroot";
        let args = ["get", "-o", "value", "-H", "-p", what, &self.spec.pool];
        match self.tools.look("zfs", &args).await {
            Ok(printed) => Ok(parse(&printed)),
            Err(StorageError::NoVolume { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes the dataset of an encrypted storage where it is missing, and loads its key. Of a dataset
    /// with another key, or without one, nothing is touched: what is there would not be encrypted by
    /// a property of the storage.
    pub(super) async fn unlock(&self) -> Result<(), StorageError> {
        if !self.is_encrypted() {
            return Ok(());
        }
        let pool = &self.spec.pool;
        let Some(locked) = self.locked().await? else {
            return self.make_root().await;
        };
        if locked.cipher == "off" {
            let id = self.config.id();
            let reason = format!(
                "dataset '{pool}' is there and is not encrypted: name one that is not there, such as \
                 '{pool}/{id}'"
            );
            return Err(self.inactive(reason));
        }
        if locked.root != *pool {
            let root = locked.root;
            return Err(self.inactive(format!("dataset '{pool}' has the key of '{root}'")));
        }
        match locked.is_loaded {
            true => Ok(()),
            false => self.load_key().await,
        }
    }

    /// Fails while the key is not loaded: volumes are listed then, but cannot be read.
    pub(super) async fn check_key(&self) -> Result<(), StorageError> {
        if !self.is_encrypted() {
            return Ok(());
        }
        match self.locked().await? {
            Some(locked) if locked.is_loaded => Ok(()),
            _ => Err(self.inactive(format!("the key of '{}' is not loaded", self.spec.pool))),
        }
    }

    async fn make_root(&self) -> Result<(), StorageError> {
        let args = [
            "create",
            "-o",
            "encryption=aes-256-gcm",
            "-o",
            "keyformat=hex",
            "-o",
            "keylocation=prompt",
            &self.spec.pool,
        ];
        match self.with_key(&args).await {
            // Another activation was faster.
            Err(StorageError::Exists { .. }) => match self.locked().await? {
                Some(locked) if locked.is_loaded && locked.root == self.spec.pool => Ok(()),
                _ => Err(self.inactive(format!("dataset '{}' is being made", self.spec.pool))),
            },
            made => made,
        }
    }

    async fn load_key(&self) -> Result<(), StorageError> {
        let pool = &self.spec.pool;
        let loaded = self.with_key(&["load-key", pool]).await;
        let is_loaded = self.locked().await?.is_some_and(|locked| locked.is_loaded);
        match loaded {
            // Its file systems can be mounted now; each is mounted when it is used, too.
            _ if is_loaded => {
                let _ = self.tools.change(&["mount", pool]).await;
                Ok(())
            }
            Err(error) => Err(self.inactive(format!("cannot load the key of '{pool}': {error:#}"))),
            Ok(()) => Err(self.inactive(format!("the key of '{pool}' is not loaded"))),
        }
    }

    async fn with_key(&self, args: &[&str]) -> Result<(), StorageError> {
        let Some(key) = &self.key else {
            return Err(self.inactive("its key is missing".to_owned()));
        };
        let input = format!("{key}\n");
        self.tools
            .run_with("zfs", args, CHANGE, input)
            .await
            .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_zfs_says_of_keys_is_read() {
        let locked = parse("aes-256-gcm\nunavailable\ntank/secret\n").unwrap();
        assert!(!locked.is_loaded && locked.root == "tank/secret");
        let open = parse("off\n-\n-\n").unwrap();
        assert_eq!((open.cipher.as_str(), open.is_loaded), ("off", false));
        assert_eq!(parse(""), None);
    }
}
