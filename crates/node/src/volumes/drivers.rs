//! The drivers of storages, each kept for as long as its record stays as it is: a driver may hold a
//! lock and remember things.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::{NodeName, StorageId};
use storage::{Storage, StorageConfig, StorageError, Turn, Turns};
use store::{Revision, SharedStore};
use sys::SharedHost;

use super::turns::ClusterTurns;
use crate::StorageEntry;

pub struct Drivers {
    host: SharedHost,
    turns: Arc<dyn Turns>,
    known: Mutex<BTreeMap<StorageId, Known>>,
}

struct Known {
    driver: Arc<dyn Storage>,
    /// Of the record that it was made from.
    revision: Revision,
}

impl Drivers {
    pub(crate) fn new(host: SharedHost, store: SharedStore, node: NodeName) -> Self {
        Self {
            host,
            turns: Arc::new(ClusterTurns::new(store, node)),
            known: Mutex::default(),
        }
    }

    /// A driver of a storage that may have no record.
    pub fn open(&self, config: StorageConfig, secret: Option<String>) -> Arc<dyn Storage> {
        storage::open(config, secret, self.host.clone(), self.turns.clone())
    }

    /// A turn at what other nodes change too.
    pub(crate) async fn take_turn(&self, what: &str) -> Result<Box<dyn Turn>, StorageError> {
        self.turns.take(what).await
    }

    /// The driver of a storage as its record says. A change of the record makes a new one, which
    /// remembers nothing of the old one.
    pub fn of(&self, entry: &StorageEntry) -> Arc<dyn Storage> {
        let StorageEntry {
            config,
            secret,
            modified,
        } = entry;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(config.id()) {
            Some(known) if known.revision == *modified => known.driver.clone(),
            _ => {
                let driver = self.open(config.clone(), secret.clone());
                let revision = *modified;
                let new = Known {
                    driver: driver.clone(),
                    revision,
                };
                known.insert(config.id().clone(), new);
                driver
            }
        }
    }

    /// Forgets the drivers of storages that are not among these any more.
    pub(crate) fn retain(&self, entries: &[StorageEntry]) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|id, _| entries.iter().any(|entry| entry.config.id() == id));
    }
}

#[cfg(test)]
mod tests {
    use store::MemoryStore;
    use testkit::{FakeHost, Faults, ManualClock};

    use super::*;

    fn entry(id: &str, modified: u64) -> StorageEntry {
        StorageEntry {
            config: StorageConfig::dir(id.parse().unwrap(), "/srv/x"),
            secret: None,
            modified: Revision(modified),
        }
    }

    #[test]
    fn a_driver_is_kept_until_its_record_changes() {
        let store = Arc::new(MemoryStore::new(Arc::new(ManualClock::default())));
        let host = Arc::new(FakeHost::new(Faults::default()));
        let drivers = Drivers::new(host, store, "n".parse().unwrap());
        let first = drivers.of(&entry("d1", 7));
        assert!(Arc::ptr_eq(&first, &drivers.of(&entry("d1", 7))));
        assert!(!Arc::ptr_eq(&first, &drivers.of(&entry("d2", 7))));
        let second = drivers.of(&entry("d1", 8));
        assert!(!Arc::ptr_eq(&first, &second));
        drivers.retain(&[entry("d2", 7)]);
        assert!(!Arc::ptr_eq(&second, &drivers.of(&entry("d1", 8))));
    }
}
