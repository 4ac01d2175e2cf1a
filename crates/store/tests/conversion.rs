//! Moving the state from one store to another.
#![allow(clippy::unwrap_used, reason = "everything in here is a test")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use store::conformance::{Backend, ManualClock};
use store::conversion::{ConversionError, SwitchStore, copy, summary};
use store::{
    Commit, Key, MemoryStore, Page, PageToken, Prefix, Read, Revision, SharedStore, SqliteStore,
    Store, StoreError, list_all,
};
use testkit::{Fault, Faults, FaultyStore};

/// A store that can be replaced keeps the same promises.
struct Switched {
    clock: Arc<ManualClock>,
}

#[async_trait]
impl Backend for Switched {
    async fn open(&self, kept: u64) -> SharedStore {
        let memory = Arc::new(MemoryStore::keeping(kept, self.clock.clone()));
        Arc::new(SwitchStore::new(memory))
    }

    async fn reopen(&self, _store: SharedStore) -> Option<SharedStore> {
        None
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

store::conformance_tests!(|| Some(Switched {
    clock: Arc::new(ManualClock::new()),
}));

fn key(text: impl Into<String>) -> Key {
    Key::new(text).unwrap()
}

fn memory() -> SharedStore {
    Arc::new(MemoryStore::new(Arc::new(ManualClock::new())))
}

async fn put(store: &dyn Store, name: &str, value: impl Into<Vec<u8>>) -> Revision {
    store
        .commit(Commit::new().put(key(name), value))
        .await
        .unwrap()
}

/// Enough for several pages and several commits, some of them by size.
async fn fill(store: &dyn Store) {
    for guest in 0..2_500 {
        put(store, &format!("guests/{guest}"), format!("of {guest}")).await;
    }
    for large in 0..4 {
        put(store, &format!("large/{large}"), vec![large; 700 << 10]).await;
    }
}

async fn content(store: &dyn Store) -> Vec<(String, Vec<u8>)> {
    let (entries, _) = list_all(store, &Prefix::all(), Read::Linear).await.unwrap();
    let entries = entries.into_iter();
    entries
        .map(|entry| (entry.key.to_string(), entry.value))
        .collect()
}

#[tokio::test]
async fn a_copy_holds_what_the_source_holds() {
    let (from, to) = (memory(), memory());
    fill(&*from).await;
    let lease = from.grant(Duration::from_secs(60)).await.unwrap();
    let session = Commit::new().put_leased(key("sessions/n1"), "x", lease);
    from.commit(session).await.unwrap();
    let mut seen = Vec::new();
    let copied = copy(&*from, &*to, "UPID:1", |done, all| seen.push((done, all))).await;
    assert_eq!(copied.unwrap().entries, 2_504);
    assert_eq!(seen.last(), Some(&(2_504, 2_504)));
    assert!(seen.is_sorted() && seen.len() >= 28, "{}", seen.len());

    let mut expected = content(&*from).await;
    expected.retain(|(name, _)| name != "sessions/n1");
    let mut found = content(&*to).await;
    found.retain(|(name, _)| name != "system/conversion");
    assert_eq!(found, expected);
    assert_eq!(
        summary(&*from).await.unwrap().0,
        summary(&*to).await.unwrap().0
    );
    put(&*to, "guests/7", "changed").await;
    assert_ne!(
        summary(&*from).await.unwrap().0,
        summary(&*to).await.unwrap().0
    );
}

#[tokio::test]
async fn a_store_of_others_is_no_target() {
    let (from, to) = (memory(), memory());
    put(&*from, "a", "1").await;
    put(&*to, "theirs", "1").await;
    let refused = copy(&*from, &*to, "UPID:1", |_, _| {}).await;
    assert!(matches!(refused, Err(ConversionError::NotEmpty(found)) if found == key("theirs")));
    assert_eq!(content(&*to).await, [("theirs".to_owned(), b"1".to_vec())]);

    let to = memory();
    put(&*to, "system/conversion", "UPID:another").await;
    let refused = copy(&*from, &*to, "UPID:1", |_, _| {}).await;
    assert!(matches!(refused, Err(ConversionError::NotEmpty(_))));
}

/// Breaks the copy at every call to the target, before and after its effect; the same conversion
/// then completes.
#[tokio::test]
async fn a_copy_that_was_broken_off_is_done_again() {
    let from = memory();
    for guest in 0..250 {
        put(&*from, &format!("guests/{guest}"), "x").await;
    }
    let expected = content(&*from).await;
    let mut number = 0;
    'calls: loop {
        for fault in [Fault::FailBefore, Fault::FailAfter] {
            let faults = Faults::default();
            let plain = memory();
            let to = FaultyStore::new(plain.clone(), faults.clone());
            faults.break_call(number, fault);
            if copy(&*from, &to, "UPID:1", |_, _| {}).await.is_ok() {
                break 'calls;
            }
            faults.reset();
            copy(&*from, &to, "UPID:1", |_, _| {}).await.unwrap();
            let mut found = content(&*plain).await;
            found.retain(|(name, _)| name != "system/conversion");
            assert_eq!(found, expected, "broken at call {number}: {fault:?}");
        }
        number += 1;
    }
    assert!(number > 6, "{number}");
}

#[tokio::test]
async fn users_of_a_replaced_store_list_again() {
    let (old, new) = (memory(), memory());
    put(&*old, "a", "1").await;
    put(&*new, "a", "1").await;
    let switch = SwitchStore::new(old.clone());
    let mut watch = switch.watch(&Prefix::all(), Revision(0)).await.unwrap();
    assert_eq!(watch.next().await.unwrap().revision, Revision(1));
    let waiting = tokio::spawn(async move { watch.next().await });
    tokio::task::yield_now().await;
    switch.replace(new.clone());
    assert_eq!(waiting.await.unwrap(), Err(StoreError::Moved));
    assert_eq!(put(&switch, "b", "2").await, Revision(2));
    assert_eq!(content(&*new).await.len(), 2);
    assert_eq!(content(&*old).await.len(), 1);
    assert_eq!(Arc::strong_count(&old), 1, "nothing keeps it open");
}

/// A store that answers once the test allows it.
struct Slow {
    store: SharedStore,
    entered: tokio::sync::Notify,
    may_fail: tokio::sync::Notify,
}

#[async_trait]
impl Store for Slow {
    async fn get(
        &self,
        key: &Key,
        read: Read,
    ) -> Result<(Option<store::Entry>, Revision), StoreError> {
        self.store.get(key, read).await
    }

    async fn list(
        &self,
        prefix: &Prefix,
        from: Option<PageToken>,
        read: Read,
    ) -> Result<Page, StoreError> {
        self.store.list(prefix, from, read).await
    }

    async fn commit(&self, _commit: Commit) -> Result<Revision, StoreError> {
        self.entered.notify_one();
        self.may_fail.notified().await;
        Err(StoreError::Unavailable("sealed".to_owned()))
    }

    async fn watch(
        &self,
        prefix: &Prefix,
        after: Revision,
    ) -> Result<Box<dyn store::Watch>, StoreError> {
        self.store.watch(prefix, after).await
    }

    async fn grant(&self, ttl: Duration) -> Result<store::LeaseId, StoreError> {
        self.store.grant(ttl).await
    }

    async fn renew(&self, lease: store::LeaseId) -> Result<(), StoreError> {
        self.store.renew(lease).await
    }

    async fn revoke(&self, lease: store::LeaseId) -> Result<(), StoreError> {
        self.store.revoke(lease).await
    }
}

#[tokio::test]
async fn a_call_that_a_replaced_store_refuses_is_moved() {
    let slow = Arc::new(Slow {
        store: memory(),
        entered: tokio::sync::Notify::new(),
        may_fail: tokio::sync::Notify::new(),
    });
    let switch = Arc::new(SwitchStore::new(slow.clone()));
    let committing = tokio::spawn({
        let switch = switch.clone();
        async move { switch.commit(Commit::new().put(key("a"), "1")).await }
    });
    slow.entered.notified().await;
    switch.replace(memory());
    slow.may_fail.notify_one();
    assert_eq!(committing.await.unwrap(), Err(StoreError::Moved));
}

#[tokio::test]
async fn a_sealed_store_refuses_changes_until_it_is_unsealed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let clock = Arc::new(ManualClock::new());
    let store = SqliteStore::open(&path, clock.clone()).unwrap();
    let last = put(&store, "a", "1").await;
    let lease = store.grant(Duration::from_secs(5)).await.unwrap();
    let sessions = Commit::new().put_leased(key("session"), "x", lease);
    let last = store.commit(sessions).await.unwrap().max(last);
    assert_eq!(store.seal("UPID:1").await, Ok(last));
    assert_eq!(store.seal("UPID:1").await, Ok(last), "it may be repeated");
    let taken = store.seal("UPID:2").await.unwrap_err().to_string();
    assert!(taken.contains("UPID:1"), "{taken}");

    let commit = store.commit(Commit::new().put(key("a"), "2")).await;
    let refusal = commit.unwrap_err().to_string();
    assert!(refusal.contains("it is being moved by UPID:1"), "{refusal}");
    assert!(store.grant(Duration::from_secs(5)).await.is_err());
    assert!(store.revoke(lease).await.is_err());
    clock.advance(Duration::from_secs(60));
    let (entry, revision) = store.get(&key("session"), Read::Linear).await.unwrap();
    assert!(entry.is_some() && revision == last, "also no lease ends");

    // The seal is in the file, and older programs do not open it.
    drop(store);
    let version = rusqlite::Connection::open(&path).unwrap();
    let version: i32 = version
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 2);
    let store = SqliteStore::open(&path, clock.clone()).unwrap();
    assert_eq!(store.sealed_by().await.unwrap().as_deref(), Some("UPID:1"));
    assert!(
        store
            .commit(Commit::new().put(key("a"), "2"))
            .await
            .is_err()
    );
    store.unseal().await.unwrap();
    store.unseal().await.unwrap();
    assert_eq!(store.sealed_by().await, Ok(None));
    put(&store, "a", "2").await;
    drop(store);
    let store = SqliteStore::open(&path, clock).unwrap();
    assert_eq!(store.sealed_by().await, Ok(None));
}

/// Changes that come while the store is held reach the new one.
#[tokio::test]
async fn changes_wait_while_a_store_is_held() {
    let (old, new) = (memory(), memory());
    let switch = Arc::new(SwitchStore::new(old.clone()));
    let hold = switch.hold().await;
    let mut committing = tokio::spawn({
        let switch = switch.clone();
        async move { switch.commit(Commit::new().put(key("a"), "1")).await }
    });
    let early = tokio::time::timeout(Duration::from_millis(50), &mut committing).await;
    assert!(early.is_err(), "{early:?}");
    assert!(switch.get(&key("a"), Read::Linear).await.is_ok());
    switch.replace(new.clone());
    drop(hold);
    committing.await.unwrap().unwrap();
    assert_eq!(content(&*old).await, []);
    assert_eq!(content(&*new).await.len(), 1);
}

/// A store that continues another one begins beyond its revisions, in place of what was there.
#[tokio::test]
async fn a_file_is_made_anew_at_a_revision() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let clock = Arc::new(ManualClock::new());
    let before = SqliteStore::open(&path, clock.clone()).unwrap();
    put(&before, "a", "1").await;
    let in_use = SqliteStore::create(&path, clock.clone(), Revision(7)).map(drop);
    assert!(in_use.unwrap_err().to_string().contains("in use"));
    drop(before);
    let store = SqliteStore::create(&path, clock.clone(), Revision(7)).unwrap();
    assert_eq!(content(&store).await, []);
    assert_eq!(put(&store, "b", "2").await, Revision(8));
    let early = store.watch(&Prefix::all(), Revision(3)).await.map(drop);
    assert!(matches!(early, Err(StoreError::Compacted { .. })));
    store.close().unwrap();
    let moved = folder.path().join("moved.db");
    std::fs::rename(&path, &moved).unwrap();
    let store = SqliteStore::open(&moved, clock).unwrap();
    assert_eq!(content(&store).await.len(), 1);
}
