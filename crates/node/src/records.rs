//! Records of guests and storages: reading them, and changing them without losing a change.

use model::{
    Busy, Error, ErrorKind, GuestKind, GuestRecord, NodeName, Record, RecordError, StorageId, Upid,
    VmId,
};
use storage::{StorageConfig, VolumeNames};
use store::list_all;
use store::{
    Commit, Entry, Key, Precondition, Prefix, Read, Revision, SharedStore, Store, StoreError,
};

use crate::Edit;
use crate::state::{ClusterRecord, Witness, cluster_key, witness_key};

/// The key of a guest's record.
pub fn guest_key(vmid: VmId) -> Key {
    Key::new(format!("guest/{vmid}")).expect("a number is a word of a key")
}

/// The key of what a guest's cloud-init medium was last made of.
pub fn seed_key(vmid: VmId) -> Key {
    Key::new(format!("seed/{vmid}")).expect("a number is a word of a key")
}

/// The key of a storage's record.
pub fn storage_key(id: &StorageId) -> Key {
    Key::new(format!("storage/{id}")).expect("a storage id is a word of a key")
}

/// The key of a storage's secret, of types that have one.
pub fn storage_secret_key(id: &StorageId) -> Key {
    Key::new(format!("secret/storage/{id}")).expect("a storage id is a word of a key")
}

/// Everything below which storages are.
pub(crate) fn storages_prefix() -> Prefix {
    Prefix::below("storage").expect("a constant that is a key")
}

/// The key of an encrypted storage's own key. It outlives the storage: without it, what is there is
/// lost.
pub fn storage_encryption_key(id: &StorageId) -> Key {
    Key::new(format!("secret/storage-key/{id}")).expect("a storage id is a word of a key")
}

/// The secret of a storage; none where its type has none, or it was not given.
pub async fn storage_secret(
    store: &dyn Store,
    read: Read,
    config: &StorageConfig,
) -> Result<Option<String>, Error> {
    let key = match config.spec.is_encrypted() {
        true => storage_encryption_key(config.id()),
        false if config.spec.kind().secret().is_none() => return Ok(None),
        false => storage_secret_key(config.id()),
    };
    let (entry, _) = store.get(&key, read).await?;
    Ok(entry.map(|entry| String::from_utf8_lossy(&entry.value).into_owned()))
}

/// A guest's record as it was read.
#[derive(Debug, Clone)]
pub struct GuestEntry {
    pub record: Record<GuestRecord>,
    /// The commit that last wrote it; what a change is held against.
    pub modified: Revision,
}

/// A storage's record as it was read.
#[derive(Clone)]
pub struct StorageEntry {
    pub config: StorageConfig,
    /// A change of it writes the record too.
    pub secret: Option<String>,
    /// The commit that last wrote it; a driver is kept for as long as this stays.
    pub modified: Revision,
}

/// What becomes of a record that was changed in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Write,
    Keep,
}

/// Refuses a guest that a task works on.
pub(crate) fn check_busy(guest: &GuestRecord) -> Result<(), Error> {
    let Some(busy) = &guest.busy else {
        return Ok(());
    };
    let by = match busy.shown_as.as_str() {
        "" => "busy",
        shown => shown,
    };
    Err(Error::conflict(format!(
        "{} is locked ({by})",
        guest.kind.word()
    )))
}

/// Reads and changes records.
#[derive(Clone)]
pub struct Records {
    store: SharedStore,
    node: NodeName,
    read: Read,
}

impl Records {
    pub fn new(store: SharedStore, node: NodeName) -> Self {
        Self {
            store,
            node,
            read: Read::Linear,
        }
    }

    /// The same for what must also work without quorum: the newest records while there is one, those
    /// of this node's own copy without. Changes are made on what was read with quorum, as ever.
    #[must_use]
    pub fn local(&self) -> Self {
        Self {
            read: Read::Local,
            ..self.clone()
        }
    }

    pub(crate) fn read(&self) -> Read {
        self.read
    }

    pub fn store(&self) -> &SharedStore {
        &self.store
    }

    /// A guest of whatever kind and node.
    pub async fn find(&self, vmid: VmId) -> Result<Option<GuestEntry>, Error> {
        let (entry, _) = self.store.get(&guest_key(vmid), self.read).await?;
        entry.as_ref().map(decode_guest).transpose()
    }

    /// A guest of this node, of whatever kind.
    pub async fn guest(&self, vmid: VmId) -> Result<GuestEntry, Error> {
        self.own(vmid, None).await
    }

    /// A virtual machine of this node.
    pub async fn qemu(&self, vmid: VmId) -> Result<GuestEntry, Error> {
        self.of_kind(vmid, GuestKind::Qemu).await
    }

    /// A container of this node.
    pub async fn lxc(&self, vmid: VmId) -> Result<GuestEntry, Error> {
        self.of_kind(vmid, GuestKind::Lxc).await
    }

    /// A guest of this node, of that kind.
    pub async fn of_kind(&self, vmid: VmId, kind: GuestKind) -> Result<GuestEntry, Error> {
        self.own(vmid, Some(kind)).await
    }

    /// A guest of this node to make a change on.
    async fn newest(&self, vmid: VmId) -> Result<GuestEntry, Error> {
        let linear = Self {
            read: Read::Linear,
            ..self.clone()
        };
        linear.guest(vmid).await
    }

    /// A guest of this node, in the words of Proxmox VE where it has none such.
    async fn own(&self, vmid: VmId, kind: Option<GuestKind>) -> Result<GuestEntry, Error> {
        let is_meant = |entry: &GuestEntry| {
            let guest = &entry.record.data;
            guest.node == self.node && kind.is_none_or(|kind| guest.kind == kind)
        };
        let entry = self.find(vmid).await?.filter(is_meant);
        entry.ok_or_else(|| {
            let folder = match kind {
                Some(GuestKind::Lxc) => "lxc",
                Some(GuestKind::Qemu) | None => "qemu-server",
            };
            let file = format!("nodes/{}/{folder}/{vmid}.conf", self.node);
            Error::not_found(format!("Configuration file '{file}' does not exist"))
        })
    }

    /// All guests, by key. One is decoded when its turn comes: decoded they weigh many times what
    /// they weigh in the store, and there may be thousands.
    pub async fn guests(
        &self,
    ) -> Result<impl Iterator<Item = Result<GuestRecord, Error>> + use<>, Error> {
        let prefix = Prefix::below("guest").expect("a constant that is a key");
        let (entries, _) = list_all(&*self.store, &prefix, self.read).await?;
        let decode = |entry: Entry| Ok(decode_guest(&entry)?.record.data);
        Ok(entries.into_iter().map(decode))
    }

    /// Changes a guest's record. `change` may be called several times, each time on the newest
    /// record; what it refuses is not written.
    pub async fn change_guest(
        &self,
        vmid: VmId,
        mut change: impl FnMut(&mut GuestRecord) -> Result<(), Error>,
    ) -> Result<Revision, Error> {
        let change = |guest: &mut GuestRecord| change(guest).map(|()| Change::Write);
        self.change_guest_if(vmid, change).await
    }

    /// The same, where `change` may find that nothing is to be written.
    pub(crate) async fn change_guest_if(
        &self,
        vmid: VmId,
        mut change: impl FnMut(&mut GuestRecord) -> Result<Change, Error>,
    ) -> Result<Revision, Error> {
        loop {
            let mut entry = self.newest(vmid).await?;
            if change(&mut entry.record.data)? == Change::Keep {
                return Ok(entry.modified);
            }
            let key = guest_key(vmid);
            let commit = Commit::new()
                .when(Precondition::ModifiedAt(key.clone(), entry.modified))
                .put(key, entry.record.encode().map_err(unreadable)?);
            match self.store.commit(commit).await {
                Err(StoreError::Conflict { .. }) => {}
                result => return Ok(result?),
            }
        }
    }

    /// Changes two guests' records in one commit. `change` may be called several times, each time
    /// on the newest records.
    pub async fn change_two(
        &self,
        first: VmId,
        second: VmId,
        mut change: impl FnMut(&mut GuestRecord, &mut GuestRecord),
    ) -> Result<Revision, Error> {
        loop {
            let (mut one, mut two) = (self.newest(first).await?, self.newest(second).await?);
            change(&mut one.record.data, &mut two.record.data);
            let mut commit = Commit::new();
            for (vmid, entry) in [(first, one), (second, two)] {
                let key = guest_key(vmid);
                commit = commit
                    .when(Precondition::ModifiedAt(key.clone(), entry.modified))
                    .put(key, entry.record.encode().map_err(unreadable)?);
            }
            match self.store.commit(commit).await {
                Err(StoreError::Conflict { .. }) => {}
                result => return Ok(result?),
            }
        }
    }

    /// Marks a guest as worked on by a task. No error where it already is, by the same task.
    pub async fn claim(&self, vmid: VmId, upid: &Upid, shown_as: &str) -> Result<Revision, Error> {
        self.change_guest(vmid, |guest| {
            if guest.busy.as_ref().is_none_or(|busy| busy.upid != *upid) {
                check_busy(guest)?;
            }
            guest.busy = Some(Busy {
                upid: upid.clone(),
                node: self.node.clone(),
                epoch: guest.epoch,
                shown_as: shown_as.to_owned(),
            });
            Ok(())
        })
        .await
    }

    /// Whether a guest is marked by this task.
    pub async fn is_claimed(&self, vmid: VmId, upid: &Upid) -> Result<bool, Error> {
        let busy = self.guest(vmid).await?.record.data.busy;
        Ok(busy.is_some_and(|busy| busy.upid == *upid))
    }

    /// Takes this task's mark off a guest; other tasks' stay.
    pub async fn release(&self, vmid: VmId, upid: &Upid) -> Result<Revision, Error> {
        self.change_guest(vmid, |guest| {
            if guest.busy.as_ref().is_some_and(|busy| busy.upid == *upid) {
                guest.busy = None;
            }
            Ok(())
        })
        .await
    }

    /// Deletes a guest's record, if this task has it marked. One that is gone is no error.
    pub async fn delete_guest(&self, vmid: VmId, upid: &Upid) -> Result<(), Error> {
        loop {
            let entry = match self.newest(vmid).await {
                Err(error) if error.kind == ErrorKind::NotFound => return Ok(()),
                entry => entry?,
            };
            if entry.record.data.busy.is_none_or(|busy| busy.upid != *upid) {
                return Ok(());
            }
            let key = guest_key(vmid);
            let commit = Commit::new()
                .when(Precondition::ModifiedAt(key.clone(), entry.modified))
                .delete(key)
                .delete(seed_key(vmid));
            match self.store.commit(commit).await {
                Err(StoreError::Conflict { .. }) => {}
                result => return result.map(|_| ()).map_err(Error::from),
            }
        }
    }

    /// The cluster, if this node is in one.
    pub async fn cluster(&self) -> Result<Option<ClusterRecord>, Error> {
        let (entry, _) = self.store.get(&cluster_key(), self.read).await?;
        let record = entry.map(|entry| Record::<ClusterRecord>::decode(&entry.value));
        let record = record.transpose().map_err(unreadable)?;
        Ok(record.map(|record| record.data))
    }

    /// The witness of the cluster.
    pub async fn witness(&self) -> Result<Option<Witness>, Error> {
        let (entry, _) = self.store.get(&witness_key(), self.read).await?;
        let record = entry.map(|entry| Record::<Witness>::decode(&entry.value));
        let record = record.transpose().map_err(unreadable)?;
        Ok(record.map(|record| record.data))
    }

    /// All storages, by id.
    pub async fn storages(&self) -> Result<Vec<StorageEntry>, Error> {
        let (entries, _) = list_all(&*self.store, &storages_prefix(), self.read).await?;
        let mut storages = Vec::new();
        for entry in &entries {
            storages.push(self.read_storage(entry).await?);
        }
        Ok(storages)
    }

    pub async fn storage(&self, id: &StorageId) -> Result<StorageEntry, Error> {
        let (entry, _) = self.store.get(&storage_key(id), self.read).await?;
        let missing = || Error::not_found(format!("storage '{id}' does not exist"));
        self.read_storage(&entry.ok_or_else(missing)?).await
    }

    async fn read_storage(&self, entry: &Entry) -> Result<StorageEntry, Error> {
        let record = Record::<StorageConfig>::decode(&entry.value).map_err(unreadable)?;
        Ok(StorageEntry {
            secret: storage_secret(&*self.store, self.read, &record.data).await?,
            config: record.data,
            modified: entry.modified,
        })
    }

    /// What the names of volumes mean, for an edit that has to do with volumes.
    pub(crate) async fn names_for(&self, edit: &Edit) -> Result<VolumeNames, Error> {
        match edit.touches_volumes() {
            true => self.volume_names().await,
            false => Ok(VolumeNames::default()),
        }
    }

    /// What the names of all volumes mean now.
    pub async fn volume_names(&self) -> Result<VolumeNames, Error> {
        let storages = self.storages().await?;
        Ok(VolumeNames::of(storages.iter().map(|entry| &entry.config)))
    }
}

fn decode_guest(entry: &Entry) -> Result<GuestEntry, Error> {
    let record = Record::decode(&entry.value).map_err(unreadable)?;
    Ok(GuestEntry {
        record,
        modified: entry.modified,
    })
}

pub(crate) fn unreadable(error: RecordError) -> Error {
    Error::bug(Error::chain(&error))
}
