//! The read-only copy: fed from a store over a channel, it answers like the store.
#![allow(clippy::unwrap_used, reason = "everything in here is a test")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use store::conformance::{Backend, ManualClock, within};
use store::remote::FeedError;
use store::{
    Change, Changes, Commit, Entry, Feed, FeedMessage, Key, LeaseId, MemoryStore, Page, PageToken,
    Prefix, Read, RemoteStore, Revision, SharedStore, SqliteStore, Store, StoreError, Watch, feed,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn secrets() -> Vec<Prefix> {
    vec![
        Prefix::below("secret").unwrap(),
        Prefix::below("task").unwrap(),
    ]
}

fn memory() -> SharedStore {
    Arc::new(MemoryStore::new(Arc::new(ManualClock::new())))
}

async fn put(store: &SharedStore, name: &str, value: &str) -> Revision {
    store
        .commit(Commit::new().put(key(name), value))
        .await
        .unwrap()
}

/// Carries messages as a transport would, as text over a channel, until either end closes.
fn connect(mut feed: Feed, copy: &RemoteStore) -> JoinHandle<()> {
    let (wire, mut received) = mpsc::channel::<String>(4);
    let mut feeder = copy.feeder();
    tokio::spawn(async move {
        while let Some(text) = received.recv().await {
            feeder.accept(serde_json::from_str(&text).unwrap()).unwrap();
        }
    });
    tokio::spawn(async move {
        while let Ok(message) = feed.next().await {
            if wire
                .send(serde_json::to_string(&message).unwrap())
                .await
                .is_err()
            {
                return;
            }
        }
    })
}

/// Writes go to the store, reads come from its copy: to a caller it is one store.
struct Mirror {
    origin: Arc<MemoryStore>,
    copy: RemoteStore,
    connection: JoinHandle<()>,
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Mirror {
    /// For callers that must read the writes of others: asks the store for its revision, and waits
    /// until the copy has reached it.
    async fn catch_up(&self) -> Result<(), StoreError> {
        let (_, revision) = self.origin.get(&key("any"), Read::Linear).await?;
        self.copy.wait_for(revision).await
    }
}

#[async_trait]
impl Store for Mirror {
    async fn get(&self, key: &Key, _read: Read) -> Result<(Option<Entry>, Revision), StoreError> {
        self.catch_up().await?;
        self.copy.get(key, Read::Local).await
    }

    async fn list(
        &self,
        prefix: &Prefix,
        from: Option<PageToken>,
        _read: Read,
    ) -> Result<Page, StoreError> {
        self.catch_up().await?;
        self.copy.list(prefix, from, Read::Local).await
    }

    async fn commit(&self, commit: Commit) -> Result<Revision, StoreError> {
        let revision = self.origin.commit(commit).await?;
        self.copy.wait_for(revision).await?;
        Ok(revision)
    }

    async fn watch(&self, prefix: &Prefix, after: Revision) -> Result<Box<dyn Watch>, StoreError> {
        self.copy.watch(prefix, after).await
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        self.origin.grant(ttl).await
    }

    async fn renew(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.origin.renew(lease).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.origin.revoke(lease).await?;
        self.catch_up().await
    }
}

struct Mirrored {
    clock: Arc<ManualClock>,
}

impl Mirrored {
    fn new() -> Self {
        Self {
            clock: Arc::new(ManualClock::new()),
        }
    }
}

#[async_trait]
impl Backend for Mirrored {
    async fn open(&self, kept: u64) -> SharedStore {
        let origin = Arc::new(MemoryStore::new(self.clock.clone()));
        let copy = RemoteStore::keeping(kept);
        let connection = connect(feed(origin.clone(), Vec::new()), &copy);
        copy.wait_for(Revision(0)).await.unwrap();
        Arc::new(Mirror {
            origin,
            copy,
            connection,
        })
    }

    async fn reopen(&self, _store: SharedStore) -> Option<SharedStore> {
        None
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

store::conformance_tests!(Mirrored::new);

async fn copies_without_secrets(store: SharedStore) {
    for number in 0..1200 {
        put(&store, &format!("secret/{number}"), "hidden").await;
    }
    put(&store, "guest/1", "seen").await;
    let copy = RemoteStore::new();
    let mut feed = feed(store.clone(), secrets());
    let mut feeder = copy.feeder();
    let mut wire = String::new();
    let mut carry = async |feed: &mut Feed| {
        let message = feed.next().await.unwrap();
        wire.push_str(&serde_json::to_string(&message).unwrap());
        feeder.accept(message).unwrap();
    };
    carry(&mut feed).await;
    let both = Commit::new()
        .put(key("secret/a"), "hidden")
        .put(key("guest/2"), "seen");
    store.commit(both).await.unwrap();
    let last = put(&store, "task/1", "hidden").await;
    while copy.revision() < Some(last) {
        carry(&mut feed).await;
    }
    assert!(
        !wire.contains("hidden") && !wire.contains("secret"),
        "{wire}"
    );
    let (entries, revision) = store::list_all(&copy, &Prefix::all(), Read::Local)
        .await
        .unwrap();
    let names: Vec<_> = entries.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!((names, revision), (vec!["guest/1", "guest/2"], last));
}

#[tokio::test]
async fn secrets_never_leave_a_memory_store() {
    within("secrets", copies_without_secrets(memory())).await;
}

#[tokio::test]
async fn secrets_never_leave_an_sqlite_store() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new());
    let store = SqliteStore::open(folder.path().join("state.db"), clock).unwrap();
    within("secrets", copies_without_secrets(Arc::new(store))).await;
}

#[tokio::test]
async fn a_hidden_commit_still_moves_the_revision() {
    let store = memory();
    let copy = RemoteStore::new();
    let connection = connect(feed(store.clone(), secrets()), &copy);
    let mut watch = {
        copy.wait_for(Revision(0)).await.unwrap();
        copy.watch(&Prefix::all(), Revision(0)).await.unwrap()
    };
    let hidden = put(&store, "secret/1", "x").await;
    within("the hidden revision", copy.wait_for(hidden))
        .await
        .unwrap();
    let shown = put(&store, "guest/1", "x").await;
    assert_eq!(
        within("the change", watch.next()).await.unwrap().revision,
        shown
    );
    connection.abort();
}

#[tokio::test]
async fn nothing_is_answered_before_the_snapshot_is_complete() {
    let store = memory();
    for number in 0..1500 {
        put(&store, &format!("guest/{number}"), "x").await;
    }
    let copy = RemoteStore::new();
    let (mut feed, mut feeder) = (feed(store, Vec::new()), copy.feeder());
    while copy.revision().is_none() {
        let got = copy.get(&key("guest/1"), Read::Local).await;
        assert!(matches!(got, Err(StoreError::Unavailable(_))), "{got:?}");
        assert!(copy.watch(&Prefix::all(), Revision(0)).await.is_err());
        feeder.accept(feed.next().await.unwrap()).unwrap();
    }
    assert_eq!(copy.revision(), Some(Revision(1500)));
    assert!(
        copy.get(&key("guest/1"), Read::Local)
            .await
            .unwrap()
            .0
            .is_some()
    );
}

#[tokio::test]
async fn a_copy_changes_nothing_and_promises_nothing_it_cannot_keep() {
    let store = memory();
    let copy = RemoteStore::new();
    copy.feeder()
        .accept(feed(store, Vec::new()).next().await.unwrap())
        .unwrap();
    let lease = LeaseId(1);
    let write = Commit::new().put(key("a"), "x");
    assert_eq!(copy.commit(write).await, Err(StoreError::ReadOnly));
    assert_eq!(
        copy.grant(Duration::from_secs(9)).await,
        Err(StoreError::ReadOnly)
    );
    assert_eq!(copy.renew(lease).await, Err(StoreError::ReadOnly));
    assert_eq!(copy.revoke(lease).await, Err(StoreError::ReadOnly));
    let linear = copy.get(&key("a"), Read::Linear).await;
    assert!(
        matches!(linear, Err(StoreError::Unavailable(_))),
        "{linear:?}"
    );
    assert!(copy.list(&Prefix::all(), None, Read::Linear).await.is_err());
    assert_eq!(
        copy.get(&key("a"), Read::Local).await,
        Ok((None, Revision(0)))
    );
}

/// Takes messages until the copy has a revision.
async fn carry_until(
    feed: &mut Feed,
    feeder: &mut store::Feeder,
    copy: &RemoteStore,
    at: Revision,
) {
    while copy.revision() < Some(at) {
        feeder.accept(feed.next().await.unwrap()).unwrap();
    }
}

#[tokio::test]
async fn a_feed_that_fell_behind_sends_a_new_snapshot() {
    let store: SharedStore = Arc::new(MemoryStore::keeping(10, Arc::new(ManualClock::new())));
    put(&store, "guest/old", "x").await;
    let copy = RemoteStore::new();
    let (mut feed, mut feeder) = (feed(store.clone(), secrets()), copy.feeder());
    let begin = put(&store, "guest/1", "x").await;
    carry_until(&mut feed, &mut feeder, &copy, begin).await;
    let follows = put(&store, "guest/1", "y").await;
    carry_until(&mut feed, &mut feeder, &copy, follows).await;
    let mut watch = copy.watch(&Prefix::all(), follows).await.unwrap();

    store
        .commit(Commit::new().delete(key("guest/old")))
        .await
        .unwrap();
    let mut last = Revision(0);
    for number in 0..100 {
        last = put(&store, "guest/1", &number.to_string()).await;
    }
    let message = feed.next().await.unwrap();
    assert!(
        matches!(message, FeedMessage::SnapshotPage { last: true, .. }),
        "{message:?}"
    );
    feeder.accept(message).unwrap();
    let lost = watch.next().await;
    assert_eq!(lost, Err(StoreError::Compacted { oldest: last }));
    let there = store::list_all(&*store, &Prefix::all(), Read::Local).await;
    assert_eq!(
        store::list_all(&copy, &Prefix::all(), Read::Local).await,
        there
    );
    let next = put(&store, "guest/2", "x").await;
    carry_until(&mut feed, &mut feeder, &copy, next).await;
}

#[tokio::test]
async fn a_moved_store_is_copied_again() {
    let store = memory();
    let copy = RemoteStore::new();
    let at = put(&store, "guest/1", "x").await;
    let mut feeder = copy.feeder();
    carry_until(&mut feed(store, Vec::new()), &mut feeder, &copy, at).await;
    let mut watch = copy.watch(&Prefix::all(), at).await.unwrap();
    let waiting = tokio::spawn({
        let copy = copy.clone();
        async move { copy.wait_for(Revision(100)).await }
    });
    tokio::task::yield_now().await;

    feeder.accept(FeedMessage::Moved).unwrap();
    assert_eq!(watch.next().await, Err(StoreError::Moved));
    assert_eq!(
        within("the wait", waiting).await.unwrap(),
        Err(StoreError::Moved)
    );
    assert!(
        copy.get(&key("guest/1"), Read::Local).await.is_err(),
        "it means nothing now"
    );
    let page = FeedMessage::SnapshotPage {
        entries: vec![],
        revision: Revision(0),
        last: true,
    };
    feeder.accept(page).unwrap();
    assert_eq!(
        copy.get(&key("guest/1"), Read::Local).await,
        Ok((None, Revision(0)))
    );
}

#[tokio::test]
async fn a_new_connection_takes_over_and_the_old_copy_answers_meanwhile() {
    let store = memory();
    let copy = RemoteStore::new();
    let at = put(&store, "guest/1", "x").await;
    let mut first = copy.feeder();
    carry_until(&mut feed(store.clone(), Vec::new()), &mut first, &copy, at).await;
    let mut watch = copy.watch(&Prefix::all(), at).await.unwrap();
    let waiting = copy.wait_for(Revision(at.0 + 1));

    let mut second = copy.feeder();
    let page = FeedMessage::SnapshotPage {
        entries: vec![],
        revision: at,
        last: true,
    };
    assert_eq!(first.accept(page), Err(FeedError::Superseded));
    assert!(
        copy.get(&key("guest/1"), Read::Local)
            .await
            .unwrap()
            .0
            .is_some()
    );
    let at = put(&store, "guest/2", "x").await;
    carry_until(&mut feed(store, Vec::new()), &mut second, &copy, at).await;
    assert_eq!(
        watch.next().await,
        Err(StoreError::Moved),
        "it may be another store"
    );
    within("the wait", waiting).await.unwrap();
}

#[tokio::test]
async fn messages_out_of_order_are_refused() {
    let copy = RemoteStore::new();
    let changes = |revision| {
        let change = Change::Delete {
            key: key("a"),
            revision: Revision(revision),
        };
        FeedMessage::Changes(Changes {
            revision: Revision(revision),
            changes: vec![change],
        })
    };
    let page = |revision, last| FeedMessage::SnapshotPage {
        entries: vec![],
        revision: Revision(revision),
        last,
    };
    let refused = |messages: &[FeedMessage]| {
        let mut feeder = copy.feeder();
        let (last, before) = messages.split_last().unwrap();
        before
            .iter()
            .for_each(|message| feeder.accept(message.clone()).unwrap());
        let answer = feeder.accept(last.clone());
        assert!(
            matches!(answer, Err(FeedError::OutOfOrder(_))),
            "{answer:?}"
        );
        assert_eq!(feeder.accept(page(90, true)), Err(FeedError::Superseded));
    };
    refused(&[changes(5)]);
    refused(&[page(5, false), changes(6)]);
    refused(&[page(5, true), changes(5)]);
    refused(&[page(5, true), changes(6), page(4, true)]);
    refused(&[page(5, true), FeedMessage::Moved, changes(6)]);
}

/// A page of a snapshot can be four megabytes; a message must not be.
#[tokio::test]
async fn large_pages_are_cut_into_messages() {
    let store = memory();
    for number in 0..8 {
        put(&store, &format!("guest/{number}"), &"x".repeat(700_000)).await;
    }
    let copy = RemoteStore::new();
    let (mut feed, mut feeder) = (feed(store, Vec::new()), copy.feeder());
    let mut messages = 0;
    while copy.revision().is_none() {
        let message = feed.next().await.unwrap();
        if let FeedMessage::SnapshotPage { entries, .. } = &message {
            assert_eq!(entries.len(), 1, "two would be more than a mebibyte");
        }
        feeder.accept(message).unwrap();
        messages += 1;
    }
    assert_eq!(messages, 8);
}
