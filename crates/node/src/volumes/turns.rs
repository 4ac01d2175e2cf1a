//! The turns of the cluster's nodes at what all of them see.
//!
//! A turn is a key bound to a lease. A lease ends not before its time, so a node that renewed it has the
//! turn for that long, and programs are killed some time before: also if the agent is gone by then.
//! etcd before 3.6 may end leases early (decision 12), so the key is read as well.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::{Clock, NodeName};
use serde::{Deserialize, Serialize};
use storage::{StorageError, Turn, Turns};
use store::{Commit, Key, LeaseId, Precondition, Prefix, Read, Revision, SharedStore, StoreError};
use uuid::Uuid;

/// For how long a turn holds that is not kept.
const HOLDS: Duration = Duration::from_secs(60);

/// How long before that programs are killed. One may need a while to die if its disk hangs.
const MARGIN: Duration = Duration::from_secs(20);

/// How long the store may take when a turn is kept. It is a part of the margin: where two turns are kept
/// one after the other, the first is as much older.
const ANSWER: Duration = Duration::from_secs(10);

/// How long a turn is waited for: that of a node that has died ends meanwhile.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct ClusterTurns {
    store: SharedStore,
    node: NodeName,
    clock: Arc<dyn Clock>,
    patience: Duration,
}

/// What the key of a turn holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    node: NodeName,
    /// Of this turn: a node takes many.
    id: String,
}

struct Held {
    store: SharedStore,
    clock: Arc<dyn Clock>,
    what: String,
    key: Key,
    /// The commit that created the key.
    created: Revision,
    lease: LeaseId,
}

fn locked(what: &str, reason: impl ToString) -> StorageError {
    StorageError::Locked {
        what: what.to_owned(),
        reason: reason.to_string(),
    }
}

impl ClusterTurns {
    pub(crate) fn new(store: SharedStore, node: NodeName, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            node,
            clock,
            patience: PATIENCE,
        }
    }

    /// Takes a turn; none if a node has it.
    async fn try_take(&self, what: &str, key: &Key) -> Result<Option<Held>, StoreError> {
        let lease = self.store.grant(HOLDS).await?;
        let holder = Holder {
            node: self.node.clone(),
            id: Uuid::new_v4().to_string(),
        };
        let value = serde_json::to_vec(&holder).expect("a name and an id");
        let commit = Commit::new()
            .when(Precondition::Absent(key.clone()))
            .put_leased(key.clone(), value.clone(), lease);
        let created = match self.store.commit(commit).await {
            Ok(revision) => Some(revision),
            Err(StoreError::Unknown(_)) => {
                let (entry, _) = self.store.get(key, Read::Linear).await?;
                let ours = entry.filter(|entry| entry.value == value);
                ours.map(|entry| entry.created)
            }
            Err(StoreError::Conflict { .. } | StoreError::LeaseLost) => None,
            Err(error) => return Err(error),
        };
        let Some(created) = created else {
            // It ends by itself too.
            let _ = self.store.revoke(lease).await;
            return Ok(None);
        };
        Ok(Some(Held {
            store: self.store.clone(),
            clock: self.clock.clone(),
            what: what.to_owned(),
            key: key.clone(),
            created,
            lease,
        }))
    }

    /// Waits until no node has a turn. Writes down which has it.
    async fn until_free(&self, key: &Key, holder: &mut Option<Holder>) -> Result<(), StoreError> {
        let folder = key
            .as_str()
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        let folder = Prefix::below(folder).expect("the beginning of a key");
        loop {
            let (entry, revision) = self.store.get(key, Read::Linear).await?;
            let Some(entry) = entry else { return Ok(()) };
            *holder = serde_json::from_slice(&entry.value).ok();
            match self.store.watch(&folder, revision).await?.next().await {
                Ok(_) | Err(StoreError::Compacted { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[async_trait]
impl Turns for ClusterTurns {
    async fn take(&self, what: &str) -> Result<Arc<dyn Turn>, StorageError> {
        let key = Key::new(format!("turn/{what}")).map_err(|error| locked(what, error))?;
        let mut holder = None;
        let taking = async {
            loop {
                if let Some(held) = self.try_take(what, &key).await? {
                    return Ok(held);
                }
                self.until_free(&key, &mut holder).await?;
            }
        };
        match tokio::time::timeout(self.patience, taking).await {
            Ok(Ok(held)) => Ok(Arc::new(held)),
            Ok(Err::<_, StoreError>(error)) => Err(locked(what, error)),
            Err(_) => {
                let by = holder.map(|holder| format!("node '{}' changes it", holder.node));
                let by = by.unwrap_or_else(|| "it is changed all the time".to_owned());
                let waited = self.patience.as_secs();
                Err(locked(what, format!("{by}, waited for {waited} s")))
            }
        }
    }
}

#[async_trait]
impl Turn for Held {
    async fn keep(&self) -> Result<Option<Duration>, StorageError> {
        let begun = self.clock.monotonic();
        let kept = async {
            self.store.renew(self.lease).await?;
            let (entry, _) = self.store.get(&self.key, Read::Linear).await?;
            match entry.is_some_and(|entry| entry.created == self.created) {
                true => Ok(()),
                false => Err(StoreError::LeaseLost),
            }
        };
        let slow = || locked(&self.what, "the cluster's store answers too slowly");
        let kept = tokio::time::timeout(ANSWER, kept).await;
        kept.map_err(|_| slow())?.map_err(|error| match error {
            StoreError::LeaseLost => StorageError::LockLost {
                what: self.what.clone(),
            },
            error => locked(&self.what, error),
        })?;
        let passed = self.clock.monotonic().saturating_sub(begun);
        let left = (HOLDS - MARGIN).checked_sub(passed);
        left.ok_or_else(slow).map(Some)
    }

    async fn end(&self) {
        // If it fails, the lease ends by itself.
        let _ = self.store.revoke(self.lease).await;
    }
}

#[cfg(test)]
mod tests {
    use store::MemoryStore;
    use testkit::{Fault, Faults, FaultyStore, ManualClock};

    use super::*;

    fn store() -> (SharedStore, ManualClock) {
        let clock = ManualClock::default();
        (Arc::new(MemoryStore::new(Arc::new(clock.clone()))), clock)
    }

    fn turns(store: &SharedStore, node: &str) -> ClusterTurns {
        ClusterTurns::new(
            store.clone(),
            node.parse().unwrap(),
            Arc::new(ManualClock::default()),
        )
    }

    fn text(error: StorageError) -> String {
        model::Error::from(error).message
    }

    #[tokio::test]
    async fn one_node_at_a_time_has_a_turn() {
        let (store, _clock) = store();
        let (a, b) = (turns(&store, "a"), turns(&store, "b"));
        let first = a.take("lvm/vg").await.unwrap();
        let other = b.take("lvm/other").await.unwrap();
        let mut second = tokio::spawn(async move { b.take("lvm/vg").await.map(drop) });
        let early = tokio::time::timeout(Duration::from_millis(50), &mut second).await;
        assert!(early.is_err(), "two nodes at once");
        assert_eq!(other.keep().await.unwrap().map(|d| d.as_secs()), Some(40));
        first.end().await;
        second.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn the_turn_of_a_node_that_died_ends_with_its_time_and_no_sooner() {
        let (store, clock) = store();
        let (a, b) = (turns(&store, "a"), turns(&store, "b"));
        let dead = a.take("lvm/vg").await.unwrap();
        clock.advance(Duration::from_secs(30));
        let kept = dead.keep().await.unwrap().unwrap();
        let mut second = tokio::spawn(async move { b.take("lvm/vg").await.map(drop) });
        clock.advance(kept + MARGIN - Duration::from_secs(1));
        let early = tokio::time::timeout(Duration::from_millis(50), &mut second).await;
        assert!(early.is_err(), "a program of the first may still run");
        clock.advance(Duration::from_secs(3));
        second.await.unwrap().unwrap();
        let lost = text(dead.keep().await.unwrap_err());
        assert_eq!(
            lost,
            "the lock of 'lvm/vg' is lost: it was not renewed in time"
        );
    }

    #[tokio::test]
    async fn a_turn_whose_key_was_deleted_too_early_is_lost() {
        let (store, _clock) = store();
        let (a, b) = (turns(&store, "a"), turns(&store, "b"));
        let held = a.take("lvm/vg").await.unwrap();
        let key: Key = "turn/lvm/vg".parse().unwrap();
        store.commit(Commit::new().delete(key)).await.unwrap();
        assert!(held.keep().await.is_err());
        let second = b.take("lvm/vg").await.unwrap();
        assert!(held.keep().await.is_err(), "the key is another's now");
        assert!(second.keep().await.is_ok());
        held.end().await;
        assert!(second.keep().await.is_ok(), "its end is not ours");
    }

    #[tokio::test]
    async fn the_error_of_one_that_waited_too_long_names_the_holder() {
        let (store, _clock) = store();
        let _first = turns(&store, "a").take("lvm/vg").await.unwrap();
        let second = ClusterTurns {
            patience: Duration::from_millis(20),
            ..turns(&store, "b")
        };
        let late = second.take("lvm/vg").await.err().unwrap();
        let said = "cannot lock 'lvm/vg': node 'a' changes it, waited for 0 s";
        assert_eq!(text(late), said);
    }

    /// Whatever call to the store is lost, with or without its effect, there is one holder at most.
    #[tokio::test]
    async fn a_lost_answer_makes_no_second_holder() {
        for at in 0.. {
            for fault in [Fault::FailBefore, Fault::FailAfter] {
                let (store, clock) = store();
                let faults = Faults::default();
                let faulty: SharedStore = Arc::new(FaultyStore::new(store.clone(), faults.clone()));
                faults.break_call(at, fault);
                let held = turns(&faulty, "a").take("lvm/vg").await;
                if faults.calls().len() <= at {
                    assert!(at >= 1 && held.is_ok(), "{at}");
                    return;
                }
                clock.advance(HOLDS + Duration::from_secs(2));
                let second = turns(&store, "b").take("lvm/vg").await.unwrap();
                assert!(second.keep().await.is_ok());
                if let Ok(held) = held {
                    assert!(held.keep().await.is_err(), "{at} {fault:?}");
                }
            }
        }
    }
}
