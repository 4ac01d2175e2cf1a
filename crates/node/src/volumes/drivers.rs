//! The drivers of storages, each kept for as long as its record stays as it is: a driver may hold a
//! lock and remember things.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::{NodeName, StorageId};
use storage::{Storage, StorageConfig, StorageError, Tiers, Turn, Turns};
use store::Revision;
use sys::SharedHost;

use crate::StorageEntry;

pub struct Drivers {
    node: NodeName,
    host: SharedHost,
    turns: Arc<dyn Turns>,
    tiers: Arc<dyn Tiers>,
    known: Mutex<BTreeMap<StorageId, Known>>,
}

struct Known {
    driver: Arc<dyn Storage>,
    /// Of the record that it was made from.
    revision: Revision,
}

impl Drivers {
    pub(crate) fn new(
        node: NodeName,
        host: SharedHost,
        turns: Arc<dyn Turns>,
        tiers: Arc<dyn Tiers>,
    ) -> Self {
        Self {
            node,
            host,
            turns,
            tiers,
            known: Mutex::default(),
        }
    }

    /// A driver of a storage that may have no record. What this node exports, it reaches by its path.
    pub fn open(&self, config: StorageConfig, secret: Option<String>) -> Arc<dyn Storage> {
        let exporter = config.spec.exporter();
        if exporter.is_some_and(|exporter| exporter.node == self.node)
            && let Some(driver) = storage::exported(&config, &self.host)
        {
            return driver;
        }
        storage::open(config, secret, self.host.clone(), self.turns.clone())
    }

    /// A turn at what other nodes change too.
    pub(crate) async fn take_turn(&self, what: &str) -> Result<Arc<dyn Turn>, StorageError> {
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
                if let Some(tiered) = driver.tiered() {
                    tiered.follow(self.tiers.clone());
                }
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
    use async_trait::async_trait;
    use model::VmId;
    use storage::{Alone, Tier};
    use testkit::{FakeHost, Faults};

    use super::*;

    struct NoTiers;

    #[async_trait]
    impl Tiers for NoTiers {
        async fn tier_of(&self, _owner: VmId) -> Result<Option<Tier>, StorageError> {
            Ok(None)
        }
    }

    fn entry(id: &str, modified: u64) -> StorageEntry {
        StorageEntry {
            config: StorageConfig::dir(id.parse().unwrap(), "/srv/x"),
            secret: None,
            modified: Revision(modified),
        }
    }

    #[test]
    fn a_driver_is_kept_until_its_record_changes() {
        let host = Arc::new(FakeHost::new(Faults::default()));
        let node = "n1".parse().unwrap();
        let drivers = Drivers::new(node, host, Arc::new(Alone), Arc::new(NoTiers));
        let first = drivers.of(&entry("d1", 7));
        assert!(Arc::ptr_eq(&first, &drivers.of(&entry("d1", 7))));
        assert!(!Arc::ptr_eq(&first, &drivers.of(&entry("d2", 7))));
        let second = drivers.of(&entry("d1", 8));
        assert!(!Arc::ptr_eq(&first, &second));
        drivers.retain(&[entry("d2", 7)]);
        assert!(!Arc::ptr_eq(&second, &drivers.of(&entry("d1", 8))));
    }
}
