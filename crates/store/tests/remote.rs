//! A feed and its replica: secrets are left out, nothing is lost, order is kept.
#![allow(clippy::unwrap_used, reason = "everything in here is a test")]

use std::collections::BTreeMap;
use std::sync::Arc;

use store::conformance::{ManualClock, within};
use store::{
    Change, Changes, Commit, Feed, FeedMessage, Key, MemoryStore, Prefix, Read, ReplicaFeed,
    Revision, SharedStore, SqliteStore, Step, feed,
};

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

type Map = BTreeMap<String, Vec<u8>>;

/// A replica that keeps all data.
#[derive(Default)]
struct Replica {
    feed: ReplicaFeed,
    /// None before the first snapshot, and after the store was replaced.
    revision: Option<Revision>,
    map: Map,
    arriving: Map,
    snapshots: usize,
}

impl Replica {
    /// Takes a message as a transport would carry it.
    fn accept(&mut self, message: &FeedMessage) {
        let text = serde_json::to_string(message).unwrap();
        let step = self.feed.accept(serde_json::from_str(&text).unwrap());
        match step.unwrap() {
            Step::Page {
                entries,
                revision,
                first,
                last,
            } => {
                if first {
                    self.arriving.clear();
                }
                let entries = entries.into_iter();
                self.arriving
                    .extend(entries.map(|entry| (entry.key.as_str().to_owned(), entry.value)));
                if last {
                    self.map = std::mem::take(&mut self.arriving);
                    self.revision = Some(revision);
                    self.snapshots += 1;
                }
            }
            Step::Changes(changes) => self.apply(changes),
            Step::Forget => {
                self.map.clear();
                self.revision = None;
            }
        }
    }

    fn apply(&mut self, changes: Changes) {
        self.revision = Some(changes.revision);
        for change in changes.changes {
            match change {
                Change::Put(entry) => {
                    drop(self.map.insert(entry.key.as_str().to_owned(), entry.value));
                }
                Change::Delete { key, .. } => drop(self.map.remove(key.as_str())),
            }
        }
    }

    /// Takes messages until it has a revision.
    async fn reach(&mut self, feed: &mut Feed, revision: Revision) {
        while self.revision < Some(revision) {
            self.accept(&feed.next().await.unwrap());
        }
    }
}

async fn whole(store: &SharedStore) -> Map {
    let listed = store::list_all(&**store, &Prefix::all(), Read::Local).await;
    let entries = listed.unwrap().0.into_iter();
    entries
        .map(|entry| (entry.key.as_str().to_owned(), entry.value))
        .collect()
}

async fn feeds_without_secrets(store: SharedStore) {
    for number in 0..1200 {
        put(&store, &format!("secret/{number}"), "hidden").await;
    }
    put(&store, "guest/1", "seen").await;
    let mut feed = feed(store.clone(), secrets());
    let mut replica = Replica::default();
    let mut wire = String::new();
    let mut carry = async |replica: &mut Replica| {
        let message = feed.next().await.unwrap();
        wire.push_str(&serde_json::to_string(&message).unwrap());
        replica.accept(&message);
    };
    carry(&mut replica).await;
    let both = Commit::new()
        .put(key("secret/a"), "hidden")
        .put(key("guest/2"), "seen");
    store.commit(both).await.unwrap();
    let last = put(&store, "task/1", "hidden").await;
    while replica.revision < Some(last) {
        carry(&mut replica).await;
    }
    let is_clean = !wire.contains("hidden") && !wire.contains("secret");
    assert!(is_clean, "{wire}");
    let names: Vec<&str> = replica.map.keys().map(String::as_str).collect();
    assert_eq!(
        (names, replica.revision),
        (vec!["guest/1", "guest/2"], Some(last))
    );
}

#[tokio::test]
async fn secrets_never_leave_a_memory_store() {
    within("secrets", feeds_without_secrets(memory())).await;
}

#[tokio::test]
async fn secrets_never_leave_an_sqlite_store() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new());
    let store = SqliteStore::open(folder.path().join("state.db"), clock).unwrap();
    within("secrets", feeds_without_secrets(Arc::new(store))).await;
}

#[tokio::test]
async fn a_hidden_commit_still_moves_the_revision() {
    let store = memory();
    let (mut feed, mut replica) = (feed(store.clone(), secrets()), Replica::default());
    replica.reach(&mut feed, Revision(0)).await;
    let hidden = put(&store, "secret/1", "x").await;
    within("the hidden revision", replica.reach(&mut feed, hidden)).await;
    assert_eq!((replica.revision, replica.map.len()), (Some(hidden), 0));
}

#[tokio::test]
async fn a_replica_is_complete_with_the_last_page_and_follows_then() {
    let store = memory();
    for number in 0..1500 {
        put(&store, &format!("guest/{number}"), "x").await;
    }
    let (mut feed, mut replica) = (feed(store.clone(), Vec::new()), Replica::default());
    replica.accept(&feed.next().await.unwrap());
    assert_eq!(replica.revision, None);
    replica.reach(&mut feed, Revision(1500)).await;
    let commit = Commit::new().delete(key("guest/7")).put(key("a"), "y");
    let last = store.commit(commit).await.unwrap();
    replica.reach(&mut feed, last).await;
    assert_eq!(replica.map, whole(&store).await);
    assert_eq!(replica.snapshots, 1);
}

#[tokio::test]
async fn a_feed_that_fell_behind_sends_a_new_snapshot() {
    let store: SharedStore = Arc::new(MemoryStore::keeping(10, Arc::new(ManualClock::new())));
    put(&store, "guest/old", "x").await;
    let (mut feed, mut replica) = (feed(store.clone(), secrets()), Replica::default());
    let begin = put(&store, "guest/1", "x").await;
    replica.reach(&mut feed, begin).await;
    let follows = put(&store, "guest/1", "y").await;
    replica.reach(&mut feed, follows).await;
    assert_eq!(replica.snapshots, 1);
    let deletion = Commit::new().delete(key("guest/old"));
    store.commit(deletion).await.unwrap();
    let mut last = Revision(0);
    for number in 0..100 {
        last = put(&store, "guest/1", &number.to_string()).await;
    }
    replica.reach(&mut feed, last).await;
    assert_eq!(replica.snapshots, 2);
    assert_eq!(replica.map, whole(&store).await);
    let next = put(&store, "guest/2", "x").await;
    replica.reach(&mut feed, next).await;
    assert_eq!(replica.map, whole(&store).await);
}

#[tokio::test]
async fn a_replaced_store_is_forgotten_and_read_again() {
    let store = memory();
    let at = put(&store, "guest/1", "x").await;
    let mut replica = Replica::default();
    replica.reach(&mut feed(store, Vec::new()), at).await;
    replica.accept(&FeedMessage::Moved);
    assert_eq!((replica.revision, replica.map.len()), (None, 0));
    // The other store's revisions may be smaller.
    replica.accept(&page(0, true));
    assert_eq!(replica.revision, Some(Revision(0)));
}

fn page(revision: u64, last: bool) -> FeedMessage {
    FeedMessage::SnapshotPage {
        entries: vec![],
        revision: Revision(revision),
        last,
    }
}

#[test]
fn messages_out_of_order_are_refused() {
    let changes = |revision| {
        FeedMessage::Changes(Changes {
            revision: Revision(revision),
            changes: vec![],
        })
    };
    for messages in [
        vec![changes(5)],
        vec![page(5, false), changes(6)],
        vec![page(5, true), changes(5)],
        vec![page(5, true), page(6, false), changes(7)],
        vec![page(5, true), changes(6), page(4, true)],
        vec![page(5, true), FeedMessage::Moved, changes(6)],
    ] {
        let mut feed = ReplicaFeed::default();
        let (last, before) = messages.split_last().unwrap();
        for message in before {
            feed.accept(message.clone()).unwrap();
        }
        assert!(feed.accept(last.clone()).is_err(), "{messages:?}");
    }
}

#[test]
fn pages_of_another_revision_begin_a_snapshot_anew() {
    let mut feed = ReplicaFeed::default();
    let firsts: Vec<bool> = [(5, false), (5, false), (7, false), (7, true), (9, true)]
        .map(|(revision, last)| match feed.accept(page(revision, last)) {
            Ok(Step::Page { first, .. }) => first,
            other => panic!("{other:?}"),
        })
        .to_vec();
    assert_eq!(firsts, [true, false, true, false, true]);
}

/// A page of a snapshot can be four megabytes; a message must not be.
#[tokio::test]
async fn large_pages_are_cut_into_messages() {
    let store = memory();
    for number in 0..8 {
        put(&store, &format!("guest/{number}"), &"x".repeat(700_000)).await;
    }
    let (mut feed, mut replica) = (feed(store, Vec::new()), Replica::default());
    let mut messages = 0;
    while replica.revision.is_none() {
        let message = feed.next().await.unwrap();
        if let FeedMessage::SnapshotPage { entries, .. } = &message {
            assert_eq!(entries.len(), 1, "two would be more than a mebibyte");
        }
        replica.accept(&message);
        messages += 1;
    }
    assert_eq!(messages, 8);
}
