//! Numbers for new guests: finding a free one, and reserving one so that no other caller gets it.

use std::collections::BTreeSet;
use std::time::Duration;

use model::{Error, VmId};
use store::{Commit, Key, Precondition, Prefix, StoreError};

use crate::{Records, guest_key};

/// How long a reservation holds. A caller makes the guest within this time, or asks again.
const RESERVED_S: u64 = 300;

/// Reservations, each bound to a lease of its own.
const RESERVED: &str = "reserved/vmid";

fn reservation_key(vmid: VmId) -> Key {
    Key::new(format!("{RESERVED}/{vmid}")).expect("a number is a word of a key")
}

impl Records {
    /// The first number of the cluster's range that no guest has and no caller has reserved. It is
    /// not reserved by this: two callers may get the same one.
    pub async fn free_vmid(&self) -> Result<VmId, Error> {
        let range = self.cluster_options().await?.vmids();
        let mut taken = self.numbers("guest").await?;
        taken.append(&mut self.numbers(RESERVED).await?);
        let free = range.clone().find(|number| !taken.contains(number));
        free.and_then(|number| VmId::new(number).ok())
            .ok_or_else(|| {
                let (lower, upper) = (range.start, range.end);
                Error::conflict(format!(
                    "unable to get any free VMID in range [{lower}, {upper}]"
                ))
            })
    }

    /// Reserves a free number. Two callers never get the same one, wherever they ask.
    pub async fn reserve_vmid(&self, user: &str) -> Result<VmId, Error> {
        let lease = self.store().grant(Duration::from_secs(RESERVED_S)).await?;
        loop {
            let vmid = self.free_vmid().await?;
            let key = reservation_key(vmid);
            let commit = Commit::new()
                .when(Precondition::Absent(guest_key(vmid)))
                .when(Precondition::Absent(key.clone()))
                .put_leased(key, user, lease);
            match self.store().commit(commit).await {
                // Another caller was faster: try the next one.
                Err(StoreError::Conflict { .. }) => {}
                result => return result.map(|_| vmid).map_err(Error::from),
            }
        }
    }

    /// Whether a guest has this number.
    pub async fn has_guest(&self, vmid: VmId) -> Result<bool, Error> {
        Ok(self
            .store()
            .get(&guest_key(vmid), self.read())
            .await?
            .0
            .is_some())
    }

    /// The numbers that the keys below a folder end in. Reads page by page, so that the records
    /// are never all in memory.
    async fn numbers(&self, folder: &str) -> Result<BTreeSet<u32>, Error> {
        let prefix = Prefix::below(folder).expect("a constant that is a key");
        'again: loop {
            let (mut numbers, mut from) = (BTreeSet::new(), None);
            loop {
                let page = match self.store().list(&prefix, from.take(), self.read()).await {
                    Err(StoreError::Compacted { .. }) => continue 'again,
                    page => page?,
                };
                let names = page.entries.iter().map(|entry| entry.key.as_str());
                let names = names.filter_map(|key| key.strip_prefix(prefix.as_str()));
                numbers.extend(names.filter_map(|name| name.parse::<u32>().ok()));
                match page.next {
                    Some(next) => from = Some(next),
                    None => return Ok(numbers),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use store::MemoryStore;
    use testkit::ManualClock;

    use super::*;
    use crate::settings::cluster_options_key;

    fn records() -> (Records, ManualClock) {
        let clock = ManualClock::default();
        let store = Arc::new(MemoryStore::new(Arc::new(clock.clone())));
        (Records::new(store, "pve1".parse().unwrap()), clock)
    }

    // covers: S2.53
    #[tokio::test]
    async fn two_callers_never_get_the_same_number() {
        let (records, clock) = records();
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let records = records.clone();
            callers.spawn(async move { records.reserve_vmid("root@pam").await.unwrap().get() });
        }
        let given: BTreeSet<u32> = callers.join_all().await.into_iter().collect();
        assert_eq!(given, (100..120).collect());
        assert_eq!(records.free_vmid().await.unwrap().get(), 120);
        // Five minutes later an unused reservation is free again.
        clock.advance(Duration::from_secs(RESERVED_S + 1));
        while records.free_vmid().await.unwrap().get() != 100 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn numbers_come_from_the_clusters_range() {
        let (records, _) = records();
        let set = |range: &'static str| {
            let records = records.clone();
            async move {
                let change = |settings: &mut crate::Settings| {
                    settings.options.insert("next-id".into(), range.into());
                    Ok(())
                };
                records
                    .change_settings(&cluster_options_key(), change)
                    .await
                    .unwrap()
            }
        };
        set("lower=500,upper=501").await;
        records
            .store()
            .commit(Commit::new().put(guest_key("100".parse().unwrap()), ""))
            .await
            .unwrap();
        assert_eq!(records.reserve_vmid("a").await.unwrap().get(), 500);
        let error = records.free_vmid().await.unwrap_err();
        assert_eq!(
            error.message,
            "unable to get any free VMID in range [500, 501]"
        );
        set("lower=100").await;
        assert_eq!(records.free_vmid().await.unwrap().get(), 101);
    }
}
