//! The record of a guest on its way, and the commit that brings it to its new node.

use model::lxc::MountSlot;
use model::qemu::DriveSlot;
use model::{
    Error, GuestConfig, GuestRecord, NodeName, PendingChange, Record, Upid, VmId, VolumeId,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Commit, Key, Precondition, Prefix, Read, Revision, StoreError, list_all};

use crate::guests::options::is_indexed;
use crate::records::unreadable;
use crate::{Records, guest_key};

/// A guest that may come to `target`, and what is made there for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Arrival {
    pub(crate) vmid: VmId,
    /// The task of the source, which has claimed the guest.
    pub(crate) upid: Upid,
    pub(crate) source: NodeName,
    pub(crate) target: NodeName,
    pub(crate) volumes: Vec<VolumeId>,
    /// For a guest that runs.
    #[serde(default)]
    pub(crate) live: Option<Expected>,
    /// Whether it is started once it has come.
    #[serde(default)]
    pub(crate) starts: bool,
}

/// What is started for a guest that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Expected {
    /// Whether it is to execute.
    pub(crate) executes: bool,
    pub(crate) taps: Vec<String>,
}

/// An arrival as it was read.
#[derive(Debug, Clone)]
pub(crate) struct ArrivalEntry {
    pub(crate) arrival: Arrival,
    modified: Revision,
}

fn prefix() -> Prefix {
    Prefix::below("arrival").expect("a constant that is a key")
}

fn key(vmid: VmId) -> Key {
    Key::new(format!("arrival/{vmid}")).expect("a number is a word of a key")
}

/// What a guest's record becomes when the guest moves.
pub(crate) struct HandOver<'a> {
    pub(crate) vmid: VmId,
    pub(crate) upid: &'a Upid,
    pub(crate) to: &'a NodeName,
    /// Volumes and what they are called at the target.
    pub(crate) renamed: &'a [(VolumeId, VolumeId)],
}

impl Records {
    /// The numbers of the guests that may come to this node.
    pub(crate) async fn arrivals(&self, target: &NodeName) -> Result<Vec<VmId>, Error> {
        let (entries, _) = list_all(&**self.store(), &prefix(), Read::Linear).await?;
        let read = |entry: &store::Entry| Record::<Arrival>::decode(&entry.value);
        let all: Result<Vec<_>, _> = entries.iter().map(read).collect();
        let all = all.map_err(unreadable)?.into_iter();
        let mine = all.filter(|record| record.data.target == *target);
        Ok(mine.map(|record| record.data.vmid).collect())
    }

    pub(crate) async fn arrival(&self, vmid: VmId) -> Result<Option<ArrivalEntry>, Error> {
        let (entry, _) = self.store().get(&key(vmid), Read::Linear).await?;
        let Some(entry) = entry else {
            return Ok(None);
        };
        let record = Record::<Arrival>::decode(&entry.value).map_err(unreadable)?;
        Ok(Some(ArrivalEntry {
            arrival: record.data,
            modified: entry.modified,
        }))
    }

    /// Writes an arrival, if there is none and the guest is as it was read.
    pub(crate) async fn announce(
        &self,
        arrival: &Arrival,
        guest: &crate::GuestEntry,
    ) -> Result<(), Error> {
        let value = Record::new(arrival.clone()).encode().map_err(unreadable)?;
        let (key, guest_key) = (key(arrival.vmid), guest_key(arrival.vmid));
        let commit = Commit::new()
            .when(Precondition::Absent(key.clone()))
            .when(Precondition::ModifiedAt(guest_key, guest.modified))
            .put(key, value);
        self.store().commit(commit).await?;
        Ok(())
    }

    /// Removes an arrival that is as it was read; one that is gone is no error.
    pub(crate) async fn forget_arrival(&self, entry: &ArrivalEntry) -> Result<(), Error> {
        let key = key(entry.arrival.vmid);
        let unchanged = Precondition::ModifiedAt(key.clone(), entry.modified);
        let commit = Commit::new().when(unchanged).delete(key);
        match self.store().commit(commit).await {
            Err(StoreError::Conflict { .. }) => Ok(()),
            result => result.map(drop).map_err(Error::from),
        }
    }

    /// Gives a guest to its new node, if that still expects it: the owner, the epoch and the names
    /// of volumes in one commit, which also ends the claim.
    pub(crate) async fn hand_over(&self, over: &HandOver<'_>) -> Result<Revision, Error> {
        loop {
            let HandOver { vmid, upid, to, .. } = *over;
            let expected = self.arrival(vmid).await?;
            let is_mine = |entry: &ArrivalEntry| entry.arrival.upid == *upid;
            let expected = expected.filter(is_mine).ok_or_else(|| {
                Error::conflict(format!("node '{to}' does not expect guest {vmid} any more"))
            })?;
            let mut entry = self.guest(vmid).await?;
            let guest = &mut entry.record.data;
            if guest.busy.as_ref().is_none_or(|busy| busy.upid != *upid) {
                let text = format!("guest {vmid} is claimed by another task");
                return Err(Error::conflict(text));
            }
            guest.node = to.clone();
            guest.epoch += 1;
            guest.busy = None;
            rename_volumes(guest, over.renamed);
            let guest_key = guest_key(vmid);
            let commit = Commit::new()
                .when(Precondition::ModifiedAt(key(vmid), expected.modified))
                .when(Precondition::ModifiedAt(guest_key.clone(), entry.modified))
                .put(guest_key, entry.record.encode().map_err(unreadable)?);
            match self.store().commit(commit).await {
                Err(StoreError::Conflict { .. }) => {}
                result => return Ok(result?),
            }
        }
    }
}

/// Replaces volumes wherever a guest's record names them.
pub(super) fn rename_volumes(guest: &mut GuestRecord, renamed: &[(VolumeId, VolumeId)]) {
    let new_name = |volume: &VolumeId| {
        let mut renamed = renamed.iter();
        renamed.find(|(from, _)| from == volume).map(|(_, to)| to)
    };
    let in_text = |text: &str| {
        let mut properties: Vec<String> = text.split(',').map(str::to_owned).collect();
        for property in &mut properties {
            let (key, value) = match property.split_once('=') {
                Some((key @ ("file" | "volume"), value)) => (format!("{key}="), value),
                _ => (String::new(), property.as_str()),
            };
            let named = value.parse::<VolumeId>().ok();
            if let Some(to) = named.as_ref().and_then(new_name) {
                *property = format!("{key}{to}");
            }
        }
        properties.join(",")
    };
    let in_value = |value: &mut Value| {
        if let Value::String(text) = value {
            *text = in_text(text);
        }
    };
    let in_config = |config: &mut GuestConfig| {
        let names = |name: &str| {
            name == "vmstate"
                || name.parse::<DriveSlot>().is_ok()
                || name.parse::<MountSlot>().is_ok()
                || is_indexed(name, "unused")
        };
        let options = config.0.iter_mut();
        options
            .filter(|(name, _)| names(name))
            .for_each(|(_, value)| in_value(value));
    };
    in_config(&mut guest.config);
    for change in guest.pending.values_mut() {
        if let PendingChange::Set(value) = change {
            in_value(value);
        }
    }
    for snapshot in guest.snapshots.values_mut() {
        in_config(&mut snapshot.config);
    }
    let memories = guest
        .snapshots
        .values_mut()
        .map(|snapshot| &mut snapshot.memory);
    for memory in memories.chain([&mut guest.suspended]).flatten() {
        if let Some(to) = new_name(&memory.volume) {
            memory.volume = to.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{GuestKind, SavedMemory, Snapshot};

    use super::*;

    fn volume(text: &str) -> VolumeId {
        text.parse().unwrap()
    }

    #[test]
    fn volumes_are_renamed_wherever_they_are_named() {
        let node = "a".parse().unwrap();
        let mut guest = GuestRecord::new("100".parse().unwrap(), GuestKind::Qemu, node, 0);
        let from = "local:100/vm-100-disk-0.qcow2";
        guest.config.set("scsi0", format!("{from},size=1G"));
        guest
            .config
            .set("ide2", "file=local:100/vm-100-cloudinit.qcow2,media=cdrom");
        guest.config.set("unused0", "local:100/vm-100-disk-1.raw");
        guest
            .config
            .set("description", format!("was once {from},size=1G"));
        let mut before = guest.config.clone();
        before.set("vmstate", "local:100/vm-100-state-s1.raw");
        let memory = SavedMemory {
            volume: volume("local:100/vm-100-state-s1.raw"),
            running_as: Value::Null,
        };
        let snapshot = Snapshot {
            config: before,
            description: None,
            parent: None,
            created: 0,
            memory: Some(memory),
            state: None,
            job: None,
        };
        guest.snapshots.insert("s1".to_owned(), snapshot);
        let waits = PendingChange::Set(format!("{from},backup=0").into());
        guest.pending.insert("scsi1".to_owned(), waits);
        let renamed = [
            (from, "fast:vm-100-disk-5"),
            ("local:100/vm-100-cloudinit.qcow2", "fast:vm-100-cloudinit"),
            ("local:100/vm-100-disk-1.raw", "fast:vm-100-disk-6"),
            ("local:100/vm-100-state-s1.raw", "fast:vm-100-state-s1"),
        ];
        let renamed = renamed.map(|(from, to)| (volume(from), volume(to)));
        let description = guest.config.text("description");
        rename_volumes(&mut guest, &renamed);
        let named = crate::volumes_of_guest(&guest);
        let new: Vec<VolumeId> = renamed.iter().map(|(_, to)| to.clone()).collect();
        assert!(named.iter().all(|volume| new.contains(volume)), "{named:?}");
        assert_eq!(named.len(), new.len());
        let disk = guest.config.text("scsi0").unwrap();
        assert_eq!(disk, "fast:vm-100-disk-5,size=1G");
        let snapshot = &guest.snapshots["s1"].config;
        assert_eq!(snapshot.text("vmstate").unwrap(), "fast:vm-100-state-s1");
        assert_eq!(guest.config.text("description"), description);
    }
}
