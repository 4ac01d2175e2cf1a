//! Ceph's program for images, and how it is called.

use std::time::Duration;

use model::StorageId;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sys::{Output, SysError};

use super::Place;
use crate::StorageError;
use crate::ceph::Cluster;

const PROGRAM: &str = "rbd";

/// The time-out of calls that only read.
const LOOK: Duration = Duration::from_secs(10);

/// What the program exits with: the numbers of errno.
mod exit {
    pub(super) const NOT_PERMITTED: i32 = 1;
    pub(super) const NO_ENTRY: i32 = 2;
    pub(super) const DENIED: i32 = 13;
    pub(super) const BUSY: i32 = 16;
    pub(super) const EXISTS: i32 = 17;
    pub(super) const NO_SPACE: i32 = 28;
    pub(super) const QUOTA: i32 = 122;
}

/// An image, or a snapshot of one, as lists have it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Listed {
    pub(super) image: String,
    pub(super) snapshot: Option<String>,
    pub(super) size: u64,
    pub(super) parent: Option<Parent>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Parent {
    pub(super) pool: String,
    #[serde(default)]
    pub(super) pool_namespace: String,
    pub(super) image: String,
    pub(super) snapshot: String,
}

/// One image.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Info {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) parent: Option<Parent>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Snapshot {
    pub(super) id: u64,
    pub(super) name: String,
    /// `true` or `false`.
    #[serde(default)]
    protected: String,
}

impl Snapshot {
    pub(super) fn is_protected(&self) -> bool {
        self.protected == "true"
    }
}

/// The program for one pool, or one namespace of it.
pub(super) struct Tools {
    pub(super) storage: StorageId,
    pub(super) place: Place,
    pub(super) cluster: std::sync::Arc<Cluster>,
}

impl Tools {
    /// All images with their snapshots.
    pub(super) async fn all(&self) -> Result<Vec<Listed>, StorageError> {
        self.look("", &["ls", "-l", &self.place.whole()]).await
    }

    /// The names alone.
    pub(super) async fn names(&self) -> Result<Vec<String>, StorageError> {
        self.look("", &["ls", &self.place.whole()]).await
    }

    pub(super) async fn find(&self, image: &str) -> Result<Option<Info>, StorageError> {
        let found = self.look(image, &["info", &self.place.of(image)]).await;
        or_none(found)
    }

    pub(super) async fn get(&self, image: &str) -> Result<Info, StorageError> {
        self.look(image, &["info", &self.place.of(image)]).await
    }

    /// Oldest first, those of others among them.
    pub(super) async fn snapshots(&self, image: &str) -> Result<Vec<Snapshot>, StorageError> {
        let args = ["snap", "ls", &self.place.of(image)];
        let mut all: Vec<Snapshot> = self.look(image, &args).await?;
        all.sort_by_key(|snapshot| snapshot.id);
        Ok(all)
    }

    async fn look<T: DeserializeOwned>(
        &self,
        image: &str,
        args: &[&str],
    ) -> Result<T, StorageError> {
        let args = [args, &["--format", "json"]].concat();
        let printed = self.run(image, &args, Some(LOOK)).await?;
        serde_json::from_slice(&printed).map_err(|error| {
            let text = format!("{PROGRAM} printed what is no list: {error}");
            StorageError::Refused(text)
        })
    }

    /// Changes something of an image, which errors name. What has begun is brought to its end, also
    /// if the caller has gone: half of a renaming would be in the way of the next attempt.
    pub(super) async fn change(&self, image: &str, args: &[&str]) -> Result<(), StorageError> {
        self.run(image, args, None).await.map(drop)
    }

    async fn run(
        &self,
        image: &str,
        args: &[&str],
        timeout: Option<Duration>,
    ) -> Result<Vec<u8>, StorageError> {
        self.cluster.prepare().await?;
        let (cluster, args) = (self.cluster.clone(), args.to_vec());
        let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
        let running = tokio::spawn(async move {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            cluster.run(PROGRAM, &args, timeout).await
        });
        let output = match running.await {
            Ok(output) => output?,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Only a runtime that shuts down cancels it; no caller is left then.
                Err(_) => return Err(StorageError::Silent(self.storage.clone())),
            },
        };
        match output.success() {
            true => Ok(output.stdout),
            false => Err(self.failed(image, output)),
        }
    }

    fn failed(&self, image: &str, output: Output) -> StorageError {
        let (storage, name) = (self.storage.clone(), image.to_owned());
        let says = String::from_utf8_lossy(&output.stderr).into_owned();
        let place = self.place.whole();
        match output.code {
            Some(exit::NO_ENTRY) if image.is_empty() || says.contains("error opening pool") => self
                .cluster
                .inactive(format!("there is no pool or namespace '{place}'")),
            Some(exit::NO_ENTRY) => StorageError::NoVolume { storage, name },
            Some(exit::EXISTS) => StorageError::Exists { storage, name },
            Some(exit::BUSY) => StorageError::InUse { storage, name },
            Some(exit::NO_SPACE | exit::QUOTA) => StorageError::Full(storage),
            Some(exit::NOT_PERMITTED | exit::DENIED) => {
                let user = self.cluster.user();
                let reason = format!("user '{user}' of the cluster may not do this in '{place}'");
                self.cluster.inactive(reason)
            }
            _ => match output.checked(PROGRAM) {
                Err(error) => StorageError::of(&self.storage, error),
                Ok(_) => StorageError::of(&self.storage, SysError::Unsupported(says)),
            },
        }
    }
}

/// Whether an image was not removed for its snapshots.
pub(super) fn has_snapshots(error: &StorageError) -> bool {
    match error {
        StorageError::Host { source, .. } => source.to_string().contains("image has snapshots"),
        _ => false,
    }
}

/// None where there is no such image.
pub(super) fn or_none<T>(found: Result<T, StorageError>) -> Result<Option<T>, StorageError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(StorageError::NoVolume { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
