//! Takes over storages and guests of a Proxmox VE where they lie: their records are made, nothing else. One that
//! cannot be taken over does not hold up the others; the task then ends with an error.

use async_trait::async_trait;
use auth::edit::pools;
use model::{Error, GuestRecord, PoolId, Record, VmId, VolumeId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use storage::StorageConfig;
use store::{Commit, Key, Precondition, Read, StoreError};
use tasks::{Step, Steps, Task, TaskContext};

use crate::{NodeContext, guest_key, storage_key, storage_secret_key};

/// A storage as it will be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AdoptedStorage {
    pub config: StorageConfig,
    /// Sealed.
    pub secret: Option<String>,
}

/// A guest as it will be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AdoptedGuest {
    record: GuestRecord,
    /// What must be there.
    volumes: Vec<VolumeId>,
    /// The pool that it becomes a member of, after those that it lies in; with their comments.
    #[serde(default)]
    pub pools: Vec<(PoolId, String)>,
}

impl AdoptedGuest {
    pub fn new(record: GuestRecord, volumes: Vec<VolumeId>) -> Self {
        Self {
            record,
            volumes,
            pools: Vec::new(),
        }
    }

    pub fn vmid(&self) -> VmId {
        self.record.vmid
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeAdopt {
    storages: Vec<AdoptedStorage>,
    guests: Vec<AdoptedGuest>,
    /// What was not taken over.
    #[serde(default)]
    failed: Vec<String>,
}

impl NodeAdopt {
    pub fn new(storages: Vec<AdoptedStorage>, guests: Vec<AdoptedGuest>) -> Self {
        Self {
            storages,
            guests,
            failed: Vec::new(),
        }
    }
}

impl Task for NodeAdopt {
    type Node = NodeContext;
    const NAME: &'static str = "node_adopt";
    const VERSION: u32 = 1;
    const KIND: &'static str = "adopt";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[],
            after: &[&AdoptStorages, &AdoptGuests],
        }
    }

    fn object(&self) -> Option<String> {
        None
    }

    fn verdict(&self) -> Result<(), Error> {
        match self.failed.as_slice() {
            [] => Ok(()),
            failed => Err(Error::conflict(format!(
                "not adopted: {}",
                failed.join(", ")
            ))),
        }
    }
}

type Cx = TaskContext<NodeContext>;

struct AdoptStorages;

#[async_trait]
impl Step<NodeAdopt> for AdoptStorages {
    fn name(&self) -> &'static str {
        "adopt-storages"
    }

    async fn act(&self, cx: &Cx, task: &mut NodeAdopt) -> Result<(), Error> {
        let mut failed = Vec::new();
        for storage in &task.storages {
            let id = storage.config.id();
            match adopt_storage(cx, storage).await {
                Ok(()) => cx.log(&format!("storage '{id}': adopted")).await,
                Err(error) => {
                    cx.log(&format!("ERROR: storage '{id}': {error}")).await;
                    failed.push(id.to_string());
                }
            }
        }
        task.failed = failed;
        Ok(())
    }
}

async fn adopt_storage(cx: &Cx, storage: &AdoptedStorage) -> Result<(), Error> {
    let config = &storage.config;
    let secret = match &storage.secret {
        Some(sealed) => Some(cx.node.authority.unseal(sealed).await?),
        None => None,
    };
    let driver = cx.node.drivers.open(config.clone(), secret.clone());
    driver.activate().await?;
    let (key, record) = (storage_key(config.id()), encoded(config)?);
    let mut commit = Commit::new()
        .when(Precondition::Absent(key.clone()))
        .put(key.clone(), record.clone());
    if let Some(secret) = secret {
        commit = commit.put(storage_secret_key(config.id()), secret.into_bytes());
    }
    match put_new(cx, commit, &key, &record).await? {
        true => Ok(()),
        false => Err(Error::conflict("it was defined meanwhile, as another one")),
    }
}

/// Makes a record that no other has made. True also where an earlier attempt has.
async fn put_new(cx: &Cx, commit: Commit, key: &Key, record: &[u8]) -> Result<bool, Error> {
    let store = cx.node.records.store();
    match store.commit(commit).await {
        Ok(revision) => {
            cx.committed(revision.0);
            Ok(true)
        }
        Err(StoreError::Conflict { .. }) => {
            let (entry, _) = store.get(key, Read::Linear).await?;
            Ok(entry.is_some_and(|entry| entry.value == record))
        }
        Err(error) => Err(error.into()),
    }
}

fn encoded<T: Serialize + DeserializeOwned + Clone>(data: &T) -> Result<Vec<u8>, Error> {
    let record = Record::new(data.clone()).encode();
    record.map_err(|error| Error::bug(Error::chain(&error)))
}

struct AdoptGuests;

#[async_trait]
impl Step<NodeAdopt> for AdoptGuests {
    fn name(&self) -> &'static str {
        "adopt-guests"
    }

    async fn act(&self, cx: &Cx, task: &mut NodeAdopt) -> Result<(), Error> {
        let all = task.guests.len() as u64;
        for (done, guest) in (1..).zip(&task.guests) {
            let (word, vmid) = (guest.record.kind.word(), guest.vmid());
            match adopt_guest(cx, guest).await {
                Ok(()) => cx.log(&format!("{word} {vmid}: adopted")).await,
                Err(error) => {
                    cx.log(&format!("ERROR: {word} {vmid}: {error}")).await;
                    task.failed.push(vmid.to_string());
                }
            }
            cx.progress("guests", done, all).await;
        }
        Ok(())
    }
}

async fn adopt_guest(cx: &Cx, guest: &AdoptedGuest) -> Result<(), Error> {
    for volume in &guest.volumes {
        let storage = cx.node.storage(volume.storage()).await?;
        if storage.stat(volume.name()).await?.is_none() {
            let text = format!("volume '{volume}' does not exist");
            return Err(Error::not_found(text));
        }
    }
    let (key, record) = (guest_key(guest.vmid()), encoded(&guest.record)?);
    let commit = Commit::new()
        .when(Precondition::Absent(key.clone()))
        .put(key.clone(), record.clone());
    if !put_new(cx, commit, &key, &record).await? {
        return Err(Error::conflict("its number was taken meanwhile"));
    }
    join_pool(cx, guest).await
}

async fn join_pool(cx: &Cx, guest: &AdoptedGuest) -> Result<(), Error> {
    let authority = &cx.node.authority;
    for (pool, comment) in &guest.pools {
        if authority.access().pool(pool).is_none() {
            let made = authority
                .change(|access| pools::create(access, pool, comment))
                .await;
            forgive(cx, pool, made).await?;
        }
    }
    let Some((pool, _)) = guest.pools.last() else {
        return Ok(());
    };
    let vmid = guest.vmid().get();
    let joined = authority
        .change(|access| pools::join(access, pool, vmid))
        .await;
    forgive(cx, pool, joined).await
}

/// A pool is no reason to lose the guest.
async fn forgive(
    cx: &Cx,
    pool: &PoolId,
    changed: Result<store::Revision, auth::AccessError>,
) -> Result<(), Error> {
    match changed {
        Ok(revision) => cx.committed(revision.0),
        Err(auth::AccessError::PoolExists(_)) => {}
        Err(error) if !matches!(error, auth::AccessError::Store(_)) => {
            cx.warn(&format!("pool '{pool}': {error}")).await;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
