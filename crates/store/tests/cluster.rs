//! The store of a cluster: the conformance suite, and an origin that falls silent and comes back.
#![allow(clippy::unwrap_used, reason = "everything in here is a test")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::pending;
use model::Clock;
use store::conformance::{Backend, ManualClock, within};
use store::{
    Change, ClusterOptions, ClusterStore, Commit, Connect, Entry, Key, LeaseId, MemoryStore,
    Origin, Outage, Page, PageToken, Prefix, Read, Replica, Revision, SharedStore, SqliteOptions,
    SqliteStore, Store, StoreError, Watch,
};
use sys::SystemClock;
use tempfile::TempDir;

/// What a call to an origin comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    /// Nothing is answered.
    Silent,
    /// The member has no leader.
    NoLeader,
    /// A commit is carried out and its answer is lost; all else is silent.
    AnswersLost,
    Replaced,
}

/// A store at the end of a way that breaks.
struct Distant {
    store: SharedStore,
    id: &'static str,
    way: Mutex<Way>,
    calls: AtomicUsize,
    avoided: AtomicUsize,
}

impl Distant {
    fn new(store: SharedStore, id: &'static str) -> Arc<Self> {
        Arc::new(Self {
            store,
            id,
            way: Mutex::new(Way::Open),
            calls: AtomicUsize::new(0),
            avoided: AtomicUsize::new(0),
        })
    }

    fn set(&self, way: Way) {
        *self.way.lock().unwrap() = way;
    }

    async fn go(&self) -> Result<(), StoreError> {
        self.calls.fetch_add(1, Ordering::AcqRel);
        let way = *self.way.lock().unwrap();
        match way {
            Way::Open => Ok(()),
            Way::Silent | Way::AnswersLost => pending().await,
            Way::NoLeader => Err(StoreError::NoQuorum),
            Way::Replaced => Err(StoreError::Moved),
        }
    }
}

#[async_trait]
impl Store for Distant {
    async fn get(&self, key: &Key, read: Read) -> Result<(Option<Entry>, Revision), StoreError> {
        self.go().await?;
        self.store.get(key, read).await
    }

    async fn list(
        &self,
        prefix: &Prefix,
        from: Option<PageToken>,
        read: Read,
    ) -> Result<Page, StoreError> {
        self.go().await?;
        self.store.list(prefix, from, read).await
    }

    async fn commit(&self, commit: Commit) -> Result<Revision, StoreError> {
        let is_lost = *self.way.lock().unwrap() == Way::AnswersLost;
        if is_lost {
            self.store.commit(commit).await?;
            return pending().await;
        }
        self.go().await?;
        self.store.commit(commit).await
    }

    async fn watch(&self, prefix: &Prefix, after: Revision) -> Result<Box<dyn Watch>, StoreError> {
        self.go().await?;
        self.store.watch(prefix, after).await
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        self.go().await?;
        self.store.grant(ttl).await
    }

    async fn renew(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.go().await?;
        self.store.renew(lease).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.go().await?;
        self.store.revoke(lease).await
    }
}

impl Origin for Distant {
    fn id(&self) -> String {
        self.id.to_owned()
    }

    fn avoid_member(&self) {
        self.avoided.fetch_add(1, Ordering::AcqRel);
    }
}

/// Finds this origin, unless it is unreachable.
struct Finds {
    origin: Mutex<Arc<Distant>>,
    is_reachable: AtomicBool,
}

impl Finds {
    fn new(origin: Arc<Distant>) -> Arc<Self> {
        Arc::new(Self {
            origin: Mutex::new(origin),
            is_reachable: AtomicBool::new(true),
        })
    }
}

#[async_trait]
impl Connect for Finds {
    async fn connect(&self) -> Result<Arc<dyn Origin>, StoreError> {
        match self.is_reachable.load(Ordering::Acquire) {
            true => Ok(self.origin.lock().unwrap().clone()),
            false => Err(StoreError::Unavailable("connection refused".to_owned())),
        }
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("replica.db")
}

/// Opens a file that an earlier handle may still be closing.
async fn once_free<T>(open: impl Fn() -> Result<T, StoreError>) -> T {
    let opened = async {
        loop {
            match open() {
                Ok(opened) => return opened,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    within("the file is free", opened).await
}

mod suite {
    use super::*;

    /// The origin is a store in SQLite, so that it can be opened again.
    struct Both {
        folder: TempDir,
        clock: Arc<ManualClock>,
    }

    impl Both {
        fn new() -> Self {
            Self {
                folder: tempfile::tempdir().unwrap(),
                clock: Arc::new(ManualClock::new()),
            }
        }

        async fn open_both(&self, options: &SqliteOptions) -> SharedStore {
            let path = self.folder.path().join("state.db");
            let open = || SqliteStore::open_with(&path, self.clock.clone(), options);
            let origin = Distant::new(Arc::new(once_free(open).await), "store-1");
            let open = || Replica::open(file(self.folder.path()), self.clock.clone());
            let store = ClusterStore::open(
                once_free(open).await,
                Finds::new(origin.clone()),
                Some(origin),
                self.clock.clone(),
                ClusterOptions::default(),
            );
            within("a connection", store.until_outage(false)).await;
            Arc::new(store)
        }
    }

    #[async_trait]
    impl Backend for Both {
        async fn open(&self, kept: u64) -> SharedStore {
            let options = SqliteOptions {
                kept_revisions: kept,
                ..SqliteOptions::default()
            };
            self.open_both(&options).await
        }

        async fn reopen(&self, store: SharedStore) -> Option<SharedStore> {
            drop(store);
            Some(self.open_both(&SqliteOptions::default()).await)
        }

        async fn pass(&self, time: Duration) {
            self.clock.advance(time);
        }
    }

    store::conformance_tests!(|| Some(Both::new()));
}

/// A handle with short times.
struct Bed {
    folder: TempDir,
    clock: Arc<dyn Clock>,
    origin: Arc<Distant>,
    finds: Arc<Finds>,
}

impl Bed {
    fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let store = Arc::new(MemoryStore::new(clock.clone()));
        let origin = Distant::new(store, "store-1");
        Self {
            folder: tempfile::tempdir().unwrap(),
            finds: Finds::new(origin.clone()),
            clock,
            origin,
        }
    }

    async fn open(&self) -> ClusterStore {
        let options = ClusterOptions {
            slow: Duration::from_millis(30),
            probe_timeout: Duration::from_millis(30),
            loss: Duration::from_millis(90),
            pause: Duration::from_millis(10),
            idle: Duration::from_secs(7),
        };
        let open = || Replica::open(file(self.folder.path()), self.clock.clone());
        ClusterStore::open(
            once_free(open).await,
            self.finds.clone(),
            None,
            self.clock.clone(),
            options,
        )
    }

    /// A handle whose replica has the keys `a` and `b`.
    async fn filled(&self) -> ClusterStore {
        let store = self.open().await;
        within("a connection", store.until_outage(false)).await;
        put(&store, "a", "1").await.unwrap();
        put(&store, "b", "1").await.unwrap();
        copied(&store).await;
        store
    }
}

/// Waits until the replica has what the origin has: a local read shows it in an outage.
async fn copied(store: &ClusterStore) {
    let all = async {
        loop {
            let (_, at) = store.get(&key("a"), Read::Linear).await.unwrap();
            if store.copy().is_some_and(|copy| copy.revision == at) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    within("a copy", all).await;
}

async fn lose(bed: &Bed, store: &ClusterStore, way: Way) {
    bed.origin.set(way);
    let _ = store.get(&key("a"), Read::Linear).await;
    within("the loss", store.until_outage(true)).await;
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

async fn put(store: &dyn Store, name: &str, value: &str) -> Result<Revision, StoreError> {
    store.commit(Commit::new().put(key(name), value)).await
}

async fn local(store: &dyn Store, name: &str) -> String {
    let (entry, _) = store.get(&key(name), Read::Local).await.unwrap();
    String::from_utf8(entry.unwrap().value).unwrap()
}

#[tokio::test]
async fn in_an_outage_reads_go_on_and_changes_fail_at_once() {
    for way in [Way::Silent, Way::NoLeader] {
        let bed = Bed::new();
        let store = bed.filled().await;
        assert_eq!(store.outage(), None);
        bed.origin.set(way);
        // Before the loss is known, a local read waits a moment, a linear one until it is known.
        assert_eq!(local(&store, "a").await, "1");
        let refused = store.get(&key("a"), Read::Linear).await;
        assert_eq!(refused.unwrap_err(), StoreError::NoQuorum);
        let outage = store.outage().unwrap();
        assert!(outage.age.is_some() && !outage.reason.is_empty());

        let begun = bed.clock.monotonic();
        for _ in 0..100 {
            assert_eq!(local(&store, "b").await, "1");
            assert_eq!(put(&store, "a", "2").await, Err(StoreError::NoQuorum));
            let lease = store.grant(Duration::from_secs(5)).await;
            assert_eq!(lease, Err(StoreError::NoQuorum));
        }
        let took = bed.clock.monotonic() - begun;
        assert!(took < Duration::from_secs(5), "300 calls took {took:?}");
        let page = store.list(&Prefix::all(), None, Read::Local).await.unwrap();
        assert_eq!(page.entries.len(), 2);
        let refused = store.list(&Prefix::all(), None, Read::Linear).await;
        assert_eq!(refused.unwrap_err(), StoreError::NoQuorum);

        bed.origin.set(Way::Open);
        within("the return", store.until_outage(false)).await;
        put(&store, "a", "3").await.unwrap();
        assert_eq!(local(&store, "a").await, "3");
    }
}

#[tokio::test]
async fn calls_outlast_the_election_of_a_leader() {
    let bed = Bed::new();
    let store = bed.filled().await;
    bed.origin.set(Way::NoLeader);
    let calls = async {
        let a = key("a");
        let read = store.get(&a, Read::Linear);
        let (read, commit) = tokio::join!(read, put(&store, "b", "elected"));
        read.unwrap();
        commit.unwrap();
    };
    let election = async {
        let before = bed.origin.calls.load(Ordering::Acquire);
        while bed.origin.calls.load(Ordering::Acquire) < before + 4 {
            tokio::task::yield_now().await;
        }
        bed.origin.set(Way::Open);
    };
    within("an election", async { tokio::join!(calls, election) }).await;
    assert_eq!(store.outage(), None);
}

#[tokio::test]
async fn a_silent_member_is_avoided() {
    let bed = Bed::new();
    let store = bed.filled().await;
    lose(&bed, &store, Way::Silent).await;
    assert!(bed.origin.avoided.load(Ordering::Acquire) > 0);
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_unknown_and_its_handle_sees_it_later() {
    let bed = Bed::new();
    let store = bed.filled().await;
    bed.origin.set(Way::AnswersLost);
    let lost = put(&store, "a", "2").await;
    assert!(matches!(lost, Err(StoreError::Unknown(_))), "{lost:?}");
    assert!(store.outage().is_some());
    bed.origin.set(Way::Open);
    within("the return", store.until_outage(false)).await;
    let (entry, _) = store.get(&key("a"), Read::Linear).await.unwrap();
    assert_eq!(entry.unwrap().value, b"2");
}

#[tokio::test]
async fn a_node_starts_from_its_replica_and_goes_over_to_the_origin_by_itself() {
    let bed = Bed::new();
    drop(bed.filled().await);
    put(&*bed.origin.store, "a", "while it was down")
        .await
        .unwrap();
    bed.finds.is_reachable.store(false, Ordering::Release);
    let store = bed.open().await;
    assert_eq!(local(&store, "a").await, "1");
    assert_eq!(put(&store, "a", "2").await, Err(StoreError::NoQuorum));
    let refused = |outage: &Outage| outage.reason.contains("connection refused");
    let told = async {
        while !store.outage().is_some_and(|outage| refused(&outage)) {
            tokio::task::yield_now().await;
        }
    };
    within("a reason", told).await;
    // What begins now goes on from the replica's revision.
    let page = store.list(&Prefix::all(), None, Read::Local).await.unwrap();
    let mut watch = store.watch(&Prefix::all(), page.revision).await.unwrap();
    bed.finds.is_reachable.store(true, Ordering::Release);
    let changes = within("the change", watch.next()).await.unwrap();
    let Change::Put(entry) = &changes.changes[0] else {
        panic!("{changes:?}")
    };
    assert_eq!(entry.value, b"while it was down");
    assert_eq!(local(&store, "a").await, "while it was down");
}

#[tokio::test]
async fn a_watch_misses_nothing_of_what_happens_in_an_outage() {
    let bed = Bed::new();
    let store = bed.filled().await;
    let (_, at) = store.get(&key("a"), Read::Linear).await.unwrap();
    let mut watch = store.watch(&Prefix::all(), at).await.unwrap();
    lose(&bed, &store, Way::Silent).await;
    // Others have a majority.
    let last = put(&*bed.origin.store, "a", "2").await.unwrap();
    let (_, here) = store.get(&key("a"), Read::Local).await.unwrap();
    let mut late = store.watch(&Prefix::all(), here).await.unwrap();
    bed.origin.set(Way::Open);
    for watch in [&mut watch, &mut late] {
        let seen = async { while watch.next().await.unwrap().revision < last {} };
        within("the change", seen).await;
    }
}

#[tokio::test]
async fn pages_of_a_replica_are_one_revision() {
    let bed = Bed::new();
    let store = bed.filled().await;
    for number in 0..1100 {
        put(&store, &format!("many/{number}"), "x").await.unwrap();
    }
    copied(&store).await;
    lose(&bed, &store, Way::NoLeader).await;
    let first = store.list(&Prefix::all(), None, Read::Local).await.unwrap();
    assert_eq!(first.entries.len(), store::limits::PAGE_ENTRIES);
    let all = Prefix::all();
    let second = store.list(&all, first.next.clone(), Read::Local).await;
    let second = second.unwrap();
    assert_eq!((second.entries.len(), second.next), (102, None));
    assert_eq!(second.revision, first.revision);
    let mut other = first.next.unwrap();
    other.revision.0 -= 1;
    let refused = store.list(&Prefix::all(), Some(other), Read::Local).await;
    assert!(matches!(refused, Err(StoreError::Compacted { .. })));
}

#[tokio::test]
async fn a_store_that_replaces_the_origin_is_found_and_copied() {
    let bed = Bed::new();
    let store = bed.filled().await;
    let other = Arc::new(MemoryStore::new(bed.clock.clone()));
    put(&*other, "a", "restored").await.unwrap();
    let other = Distant::new(other, "store-2");
    *bed.finds.origin.lock().unwrap() = other;
    bed.origin.set(Way::Replaced);
    let refused = store.get(&key("a"), Read::Linear).await;
    assert_eq!(refused.unwrap_err(), StoreError::Moved);
    let is_restored = |(entry, _): (Option<Entry>, Revision)| entry.unwrap().value == b"restored";
    let found = async {
        let a = key("a");
        while !store.get(&a, Read::Local).await.is_ok_and(is_restored) {
            tokio::task::yield_now().await;
        }
    };
    within("the new store", found).await;
}

#[tokio::test]
async fn a_closed_store_ends_its_watches_and_leaves_its_origin() {
    let bed = Bed::new();
    let store = bed.filled().await;
    lose(&bed, &store, Way::Silent).await;
    let mut watch = store.watch(&Prefix::all(), Revision(0)).await.unwrap();
    drop(store);
    let ended = within("the end", watch.next()).await;
    assert!(matches!(ended, Err(StoreError::Unavailable(_))));
    let left = async {
        // This test's own two.
        while Arc::strong_count(&bed.origin) > 2 {
            tokio::task::yield_now().await;
        }
    };
    within("the origin is left", left).await;
}

#[test]
fn a_replica_that_cannot_be_read_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        file(folder.path()),
        "not a database at all, and long enough",
    )
    .unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let open = || Replica::open_or_replace(file(folder.path()), clock.clone());
    let replica = open().unwrap();
    assert_eq!(replica.standing(), None);
    let refused = open().err().unwrap().to_string();
    assert!(refused.contains("in use"), "{refused}");
}
