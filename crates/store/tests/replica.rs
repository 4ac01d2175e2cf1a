//! The replica: it follows a store, also one that loses changes, and is whole at every moment.
#![allow(clippy::unwrap_used, reason = "everything in here is a test")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use store::conformance::{ManualClock, within};
use store::{
    Changes, Commit, Entry, Key, LeaseId, MemoryStore, Page, PageToken, Prefix, Read, Replica,
    Revision, SharedStore, Store, StoreError, Watch,
};
use tempfile::TempDir;
use testkit::{Fault, Faults, FaultyStore};

const ID: &str = "store-1";

struct Bed {
    folder: TempDir,
    clock: Arc<ManualClock>,
}

impl Bed {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::new(ManualClock::new()),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("replica.db")
    }

    fn open(&self) -> Replica {
        Replica::open(self.path(), self.clock.clone()).unwrap()
    }

    fn store(&self, kept: u64) -> SharedStore {
        Arc::new(MemoryStore::keeping(kept, self.clock.clone()))
    }

    /// The text with which opening is refused.
    fn refusal(&self) -> String {
        let opened = Replica::open(self.path(), self.clock.clone());
        opened.err().unwrap().to_string()
    }
}

fn key(text: impl Into<String>) -> Key {
    Key::new(text).unwrap()
}

async fn put(store: &SharedStore, name: &str, value: &str) -> Revision {
    store
        .commit(Commit::new().put(key(name), value))
        .await
        .unwrap()
}

/// Follows until the replica has reached a revision.
async fn follow_to(replica: &Replica, source: &SharedStore, id: &str, revision: Revision) {
    let following = async {
        tokio::select! {
            error = replica.follow(&**source, id) => panic!("{error}"),
            () = replica.reached(id, revision) => {}
        }
    };
    within("the replica", following).await;
}

/// Asserts that the replica is the store at the revision that it shows.
async fn assert_equal(replica: &Replica, source: &SharedStore) {
    let (entries, standing) = replica.list(&Prefix::all()).await.unwrap();
    let (expected, _) = store::list_all(&**source, &Prefix::all(), Read::Linear)
        .await
        .unwrap();
    assert_eq!(entries, expected, "at {standing:?}");
}

#[tokio::test]
async fn it_follows_a_store() {
    let bed = Bed::new();
    let (replica, source) = (bed.open(), bed.store(1000));
    assert_eq!(replica.standing(), None);
    let empty = replica.get(&key("a")).await;
    assert!(
        matches!(empty, Err(StoreError::Unavailable(_))),
        "{empty:?}"
    );

    put(&source, "a/1", "before").await;
    put(&source, "a/2", "").await;
    let lease = source.grant(Duration::from_secs(60)).await.unwrap();
    let leased = Commit::new().put_leased(key("b"), vec![0, 255], lease);
    let first = source.commit(leased).await.unwrap();
    follow_to(&replica, &source, ID, first).await;
    assert_equal(&replica, &source).await;

    let following = async {
        put(&source, "a/1", "after").await;
        let last = source.commit(Commit::new().delete(key("b"))).await.unwrap();
        replica.reached(ID, last).await;
        last
    };
    let last = tokio::select! {
        error = replica.follow(&*source, ID) => panic!("{error}"),
        last = within("the replica", following) => last,
    };
    assert_equal(&replica, &source).await;
    let (entry, standing) = replica.get(&key("a/1")).await.unwrap();
    assert_eq!(entry.unwrap().value, b"after");
    assert_eq!((standing.store.as_str(), standing.revision), (ID, last));
    assert_eq!(replica.get(&key("b")).await.unwrap().0, None);
    let (below, _) = replica.list(&Prefix::below("a").unwrap()).await.unwrap();
    let names: Vec<_> = below.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(names, ["a/1", "a/2"]);
}

#[tokio::test]
async fn its_age_grows_while_the_store_is_silent_and_over_a_restart() {
    let bed = Bed::new();
    let (replica, source) = (bed.open(), bed.store(1000));
    let at = put(&source, "a", "1").await;
    follow_to(&replica, &source, ID, at).await;
    assert_eq!(replica.standing().unwrap().age, Duration::ZERO);
    bed.clock.advance(Duration::from_secs(30));
    assert_eq!(replica.standing().unwrap().age, Duration::from_secs(30));
    replica.close().await;
    bed.clock.advance(Duration::from_secs(30));
    let replica = bed.open();
    assert_eq!(replica.standing().unwrap().age, Duration::from_secs(60));
    let following = async {
        // The clock stands still while the probe is not due.
        while replica.standing().unwrap().age > Duration::from_secs(5) {
            bed.clock.advance(Duration::from_secs(5));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        error = replica.follow(&*source, ID) => panic!("{error}"),
        () = within("a probe", following) => {}
    }
}

/// Counts lists, and can lose changes as a faulty server does.
struct Lossy {
    store: SharedStore,
    lists: AtomicUsize,
    /// The revision that watches lose.
    lost: Revision,
    resumed: Arc<AtomicU64>,
}

impl Lossy {
    fn new(store: SharedStore, lost: Revision) -> Self {
        Self {
            store,
            lists: AtomicUsize::new(0),
            lost,
            resumed: Arc::default(),
        }
    }
}

struct LossyWatch {
    watch: Box<dyn Watch>,
    lost: Revision,
    resumed: Arc<AtomicU64>,
}

#[async_trait]
impl Watch for LossyWatch {
    async fn next(&mut self) -> Result<Changes, StoreError> {
        let changes = self.watch.next().await?;
        if changes.revision != self.lost {
            return Ok(changes);
        }
        self.resumed.fetch_add(1, Ordering::AcqRel);
        self.watch.next().await
    }

    fn resumed(&self) -> u64 {
        self.resumed.load(Ordering::Acquire)
    }
}

#[async_trait]
impl Store for Lossy {
    async fn get(&self, key: &Key, read: Read) -> Result<(Option<Entry>, Revision), StoreError> {
        self.store.get(key, read).await
    }

    async fn list(
        &self,
        prefix: &Prefix,
        from: Option<PageToken>,
        read: Read,
    ) -> Result<Page, StoreError> {
        self.lists.fetch_add(1, Ordering::AcqRel);
        self.store.list(prefix, from, read).await
    }

    async fn commit(&self, commit: Commit) -> Result<Revision, StoreError> {
        self.store.commit(commit).await
    }

    async fn watch(&self, prefix: &Prefix, after: Revision) -> Result<Box<dyn Watch>, StoreError> {
        Ok(Box::new(LossyWatch {
            watch: self.store.watch(prefix, after).await?,
            lost: self.lost,
            resumed: Arc::clone(&self.resumed),
        }))
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        self.store.grant(ttl).await
    }

    async fn renew(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.store.renew(lease).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.store.revoke(lease).await
    }
}

#[tokio::test]
async fn it_resumes_at_its_revision() {
    let bed = Bed::new();
    let (replica, source) = (bed.open(), bed.store(1000));
    let at = put(&source, "a", "1").await;
    follow_to(&replica, &source, ID, at).await;
    replica.close().await;
    let mut last = at;
    for round in 0..100 {
        last = put(&source, &format!("a/{round}"), "x").await;
    }
    let replica = bed.open();
    assert_eq!(replica.standing().unwrap().revision, at);
    let counting = Arc::new(Lossy::new(source.clone(), Revision(u64::MAX)));
    let shared: SharedStore = counting.clone();
    follow_to(&replica, &shared, ID, last).await;
    assert_equal(&replica, &source).await;
    assert_eq!(
        counting.lists.load(Ordering::Acquire),
        0,
        "nothing was read twice"
    );
}

#[tokio::test]
async fn what_a_watch_lost_is_found_after_its_interruption() {
    let bed = Bed::new();
    let (replica, source) = (bed.open(), bed.store(1000));
    put(&source, "kept", "x").await;
    let at = put(&source, "deleted", "x").await;
    let lossy: SharedStore = Arc::new(Lossy::new(source.clone(), Revision(at.0 + 1)));
    let is_there = async || replica.get(&key("deleted")).await.unwrap().0.is_some();
    let compared = async {
        replica.reached(ID, at).await;
        let delete = Commit::new().delete(key("deleted"));
        source.commit(delete).await.unwrap();
        let last = put(&source, "later", "x").await;
        replica.reached(ID, last).await;
        assert!(is_there().await, "the watch lost its end");
        while is_there().await {
            bed.clock.advance(Duration::from_secs(5));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        error = replica.follow(&*lossy, ID) => panic!("{error}"),
        () = within("a comparison", compared) => {}
    }
    assert_equal(&replica, &source).await;
}

#[tokio::test]
async fn it_catches_up_over_a_compaction() {
    let bed = Bed::new();
    let (replica, source) = (bed.open(), bed.store(50));
    for number in 0..2500 {
        put(&source, &format!("a/{number:04}"), "x").await;
    }
    let at = put(&source, "b", "x").await;
    follow_to(&replica, &source, ID, at).await;
    assert_equal(&replica, &source).await;
    for number in (0..2500).step_by(7) {
        put(&source, &format!("a/{number:04}"), "changed").await;
        let delete = Commit::new().delete(key(format!("a/{:04}", number + 1)));
        source.commit(delete).await.unwrap();
    }
    let last = put(&source, "0", "first").await;
    follow_to(&replica, &source, ID, last).await;
    assert_equal(&replica, &source).await;
}

/// The new store has lower revisions, and fewer keys.
#[tokio::test]
async fn another_store_replaces_the_content() {
    let bed = Bed::new();
    let (replica, old, new) = (bed.open(), bed.store(1000), bed.store(1000));
    for number in 0..10 {
        put(&old, &format!("a/{number}"), "old").await;
    }
    let at = put(&old, "b", "old").await;
    follow_to(&replica, &old, ID, at).await;
    let at = put(&new, "a/3", "new").await;
    follow_to(&replica, &new, "store-2", at).await;
    assert_equal(&replica, &new).await;
    assert_eq!(replica.standing().unwrap().revision, at);
}

#[tokio::test]
async fn a_replaced_source_ends_the_following() {
    let bed = Bed::new();
    let (replica, old, new) = (bed.open(), bed.store(1000), bed.store(1000));
    put(&old, "a", "1").await;
    let at = put(&old, "a", "2").await;
    follow_to(&replica, &old, ID, at).await;
    // The same id, but it never had the replica's revision.
    let ended = within("the end", replica.follow(&*new, ID)).await;
    assert_eq!(ended, StoreError::Moved);
    assert_equal(&replica, &old).await;
}

/// The source breaks at every call: the replica shows the old content or the new one, and gets the
/// new one in the end.
#[tokio::test]
async fn it_is_whole_at_every_step_of_a_comparison() {
    let bed = Bed::new();
    let source = bed.store(50);
    for chunk in 0..25 {
        let commit = (0..100).fold(Commit::new(), |commit, number| {
            commit.put(key(format!("a/{chunk:02}/{number:02}")), "old")
        });
        source.commit(commit).await.unwrap();
    }
    let replica = bed.open();
    let at = put(&source, "b", "old").await;
    follow_to(&replica, &source, ID, at).await;
    let (old, _) = replica.list(&Prefix::all()).await.unwrap();
    replica.close().await;
    let mut last = at;
    for number in 0..200 {
        last = put(&source, &format!("a/{:02}/50", number % 25), "new").await;
    }
    let (new, _) = store::list_all(&*source, &Prefix::all(), Read::Linear)
        .await
        .unwrap();
    let mut steps = 0;
    loop {
        let faults = Faults::default();
        faults.break_call(steps, Fault::DieBefore);
        let breaking: SharedStore = Arc::new(FaultyStore::new(source.clone(), faults.clone()));
        let replica = bed.open();
        let is_over = tokio::select! {
            error = replica.follow(&*breaking, ID) => panic!("{error}"),
            () = faults.death() => false,
            () = replica.reached(ID, last) => true,
        };
        let (shown, _) = replica.list(&Prefix::all()).await.unwrap();
        assert_eq!(
            shown,
            if is_over { &new[..] } else { &old[..] },
            "step {steps}"
        );
        replica.close().await;
        if is_over {
            break;
        }
        steps += 1;
    }
    assert!(steps >= 3, "a list of three pages, and {steps} steps");
}

#[tokio::test]
async fn what_is_no_replica_is_refused() {
    let bed = Bed::new();
    let replica = bed.open();
    assert!(bed.refusal().contains("in use by process"));
    replica.close().await;
    let file = rusqlite::Connection::open(bed.path()).unwrap();
    file.pragma_update(None, "user_version", 9).unwrap();
    assert!(bed.refusal().contains("format 9"));
    drop(file);

    let bed = Bed::new();
    let foreign = rusqlite::Connection::open(bed.path()).unwrap();
    foreign
        .execute_batch("CREATE TABLE tree (data BLOB)")
        .unwrap();
    assert!(bed.refusal().contains("a database of another program"));

    let bed = Bed::new();
    std::fs::write(bed.path(), "this is no database".repeat(500)).unwrap();
    assert!(bed.refusal().contains("not a replica"));
}

/// What a power failure leaves of a file: SQLite's log need not be on the disk.
fn after_power_failure(bed: &Bed) -> (Bed, Replica) {
    let left = Bed::new();
    std::fs::copy(bed.path(), left.path()).unwrap();
    let replica = left.open();
    (left, replica)
}

#[tokio::test]
async fn a_power_failure_costs_the_newest_commits_alone() {
    let bed = Bed::new();
    let (replica, source) = (bed.open(), bed.store(1000));
    let first = put(&source, "a", "1").await;
    follow_to(&replica, &source, ID, first).await;
    let (_, left) = after_power_failure(&bed);
    assert_eq!(left.standing().unwrap().revision, first);
    let followed = async {
        let second = put(&source, "a", "2").await;
        replica.reached(ID, second).await;
        loop {
            bed.clock.advance(Duration::from_secs(5));
            tokio::task::yield_now().await;
            let (_, left) = after_power_failure(&bed);
            if left.standing().unwrap().revision == second {
                break;
            }
        }
    };
    let following = async {
        tokio::select! {
            error = replica.follow(&*source, ID) => panic!("{error}"),
            () = followed => {}
        }
    };
    within("the file on the disk", following).await;
}
