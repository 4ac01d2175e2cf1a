//! Watches.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use tokio::task::JoinSet;

use super::{Backend, KEPT, all, delete, done, key, names, next, prefix, put, refused};
use crate::{
    Change, Changes, Commit, Entry, Key, Prefix, Revision, SharedStore, StoreError, Watch,
};

/// A map that is updated by a watch, and panics on visible gaps and repeats.
struct Folded {
    entries: BTreeMap<Key, Entry>,
    revision: Revision,
}

impl Folded {
    fn new(entries: Vec<Entry>, revision: Revision) -> Self {
        let entries = entries
            .into_iter()
            .map(|entry| (entry.key.clone(), entry))
            .collect();
        Self { entries, revision }
    }

    fn apply(&mut self, changes: Changes) {
        assert!(
            changes.revision > self.revision,
            "{:?} again",
            changes.revision
        );
        assert!(!changes.changes.is_empty(), "a report without a change");
        self.revision = changes.revision;
        for change in changes.changes {
            match change {
                Change::Put(entry) => {
                    assert_eq!(entry.modified, changes.revision);
                    let before = self.entries.get(&entry.key).map(|entry| entry.created);
                    assert_eq!(
                        entry.created,
                        before.unwrap_or(changes.revision),
                        "{}",
                        entry.key
                    );
                    self.entries.insert(entry.key.clone(), entry);
                }
                Change::Delete { key, revision } => {
                    assert_eq!(revision, changes.revision);
                    assert!(self.entries.remove(&key).is_some(), "{key} did not exist");
                }
            }
        }
    }

    async fn follow(&mut self, watch: &mut Box<dyn Watch>, until: Revision) {
        while self.revision < until {
            self.apply(next(watch).await);
        }
    }

    fn entries(&self) -> Vec<Entry> {
        self.entries.values().cloned().collect()
    }
}

/// Every commit puts, changes or deletes below `guest`, so the last one ends the watch.
async fn write_a_lot(store: SharedStore, writer: usize) {
    for round in 0..100 {
        let name = |number: usize| key(format!("guest/{writer}/{}", number % 7));
        let commit = Commit::new()
            .put(name(round), round.to_string())
            .delete(name(round + 3))
            .put(key(format!("other/{writer}")), "x");
        done(store.commit(commit).await);
    }
}

async fn write_from_all_sides(store: &SharedStore) -> JoinSet<()> {
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        writers.spawn(write_a_lot(store.clone(), writer));
    }
    writers
}

pub async fn watch_equals_list_while_writing(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    put(&*store, "guest/first", "1").await;
    let mut writers = write_from_all_sides(&store).await;
    // Begins in the middle of the writing.
    let (entries, revision) = all(&*store, &prefix("guest")).await;
    let mut watch = done(store.watch(&prefix("guest"), revision).await);
    let mut folded = Folded::new(entries, revision);
    // On a busy machine the writers may have ended before the watch began.
    while !writers.is_empty() {
        tokio::select! {
            changes = next(&mut watch) => folded.apply(changes),
            Some(result) = writers.join_next() => result.expect("a writer does not panic"),
        }
    }
    let last = put(&*store, "guest/last", "1").await;
    folded.follow(&mut watch, last).await;
    assert_eq!(
        (folded.entries(), last),
        all(&*store, &prefix("guest")).await
    );
}

pub async fn watch_begins_in_the_past(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let mut writers = write_from_all_sides(&store).await;
    while let Some(result) = writers.join_next().await {
        result.expect("a writer does not panic");
    }
    // More than a backend keeps in memory.
    for _ in 0..1200 {
        put(&*store, "other/0", "1").await;
    }
    let mut watch = done(store.watch(&prefix("guest"), Revision(0)).await);
    let last = put(&*store, "guest/last", "1").await;
    let mut folded = Folded::new(Vec::new(), Revision(0));
    folded.follow(&mut watch, last).await;
    assert_eq!(
        (folded.entries(), last),
        all(&*store, &prefix("guest")).await
    );
}

pub async fn watch_sees_a_commit_whole(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let mut watch = done(store.watch(&prefix("guest"), Revision(0)).await);
    let mut revisions = Vec::new();
    for _ in 0..3 {
        let commit = (0..100).fold(Commit::new(), |commit, n| {
            commit.put(key(format!("guest/{n}")), "1")
        });
        revisions.push(done(store.commit(commit).await));
    }
    let mut late = done(store.watch(&prefix("guest"), Revision(0)).await);
    for revision in revisions {
        for watch in [&mut watch, &mut late] {
            let changes = next(watch).await;
            assert_eq!((changes.revision, changes.changes.len()), (revision, 100));
        }
    }
}

pub async fn watch_reports_what_happened(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let mut watch = done(store.watch(&Prefix::all(), Revision(0)).await);
    let created = put(&*store, "a", "1").await;
    let modified = put(&*store, "a", "2").await;
    let deleted = delete(&*store, "a").await;
    let recreated = put(&*store, "a", "3").await;
    let put = |value: &str, created, modified| {
        let value = value.as_bytes().to_vec();
        Change::Put(Entry {
            key: key("a"),
            value,
            created,
            modified,
            lease: None,
        })
    };
    let expected = [
        (created, put("1", created, created)),
        (modified, put("2", created, modified)),
        (
            deleted,
            Change::Delete {
                key: key("a"),
                revision: deleted,
            },
        ),
        (recreated, put("3", recreated, recreated)),
    ];
    for (revision, change) in expected {
        assert_eq!(
            next(&mut watch).await,
            Changes {
                revision,
                changes: vec![change]
            }
        );
    }
}

pub async fn watch_sees_its_prefix_only(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let mut watch = done(store.watch(&prefix("guest"), Revision(0)).await);
    for name in ["guest", "guests/1", "guest0", "other/guest/1"] {
        put(&*store, name, "1").await;
    }
    let commit = Commit::new()
        .put(key("guest/1"), "1")
        .put(key("other"), "1");
    let revision = done(store.commit(commit).await);
    let changes = next(&mut watch).await;
    assert_eq!(changes.revision, revision);
    match &changes.changes[..] {
        [Change::Put(entry)] => assert_eq!(names(std::slice::from_ref(entry)), ["guest/1"]),
        other => panic!("{other:?} instead of guest/1 alone"),
    }
}

pub async fn two_watches_see_the_same(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let mut one = done(store.watch(&Prefix::all(), Revision(0)).await);
    let mut two = done(store.watch(&Prefix::all(), Revision(0)).await);
    for round in 0..10 {
        put(&*store, &format!("a/{round}"), "1").await;
    }
    for _ in 0..10 {
        assert_eq!(next(&mut one).await, next(&mut two).await);
    }
    drop(one);
    let revision = put(&*store, "b", "1").await;
    assert_eq!(
        next(&mut two).await.revision,
        revision,
        "the other one was dropped"
    );
}

/// Polls `next` once and drops it if it is pending.
fn glance(watch: &mut Box<dyn Watch>) -> Option<Changes> {
    let mut next = pin!(watch.next());
    match next.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(changes) => Some(done(changes)),
        Poll::Pending => None,
    }
}

pub async fn dropped_next_loses_nothing(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    // Old enough that a backend may have to fetch it, so that a wait can be cancelled there.
    for _ in 0..1500 {
        put(&*store, "a", "old").await;
    }
    let mut watch = done(store.watch(&Prefix::all(), Revision(0)).await);
    let mut folded = Folded::new(Vec::new(), Revision(0));
    let mut reports = 0;
    for round in 0..500 {
        put(&*store, "a", &round.to_string()).await;
        if let Some(changes) = glance(&mut watch) {
            folded.apply(changes);
            reports += 1;
        }
    }
    let last = put(&*store, "a", "last").await;
    while folded.revision < last {
        folded.apply(next(&mut watch).await);
        reports += 1;
    }
    assert_eq!(reports, 2001, "every commit is reported once");
}

pub async fn watch_of_a_forgotten_revision(backend: &dyn Backend) {
    let store = backend.open(50).await;
    for _ in 0..200 {
        put(&*store, "a", "1").await;
    }
    // A backend may notice when the watch is made or when it is read.
    match store.watch(&Prefix::all(), Revision(1)).await {
        Ok(mut watch) => match refused(watch.next().await) {
            StoreError::Compacted { oldest } => assert!(oldest > Revision(1)),
            error => panic!("{error} instead of Compacted"),
        },
        Err(StoreError::Compacted { oldest }) => assert!(oldest > Revision(1)),
        Err(error) => panic!("{error} instead of Compacted"),
    }
}

/// A watch that is not read must not make the store keep everything for it: it sees all commits in
/// order, or some of them and then `Compacted`.
pub async fn slow_watch_is_told(backend: &dyn Backend) {
    let store = backend.open(50).await;
    let begin = put(&*store, "a", "1").await;
    let mut slow = done(store.watch(&Prefix::all(), begin).await);
    let mut reader = done(store.watch(&Prefix::all(), begin).await);
    let mut written = Vec::new();
    for _ in 0..500 {
        let revision = put(&*store, "a", "1").await;
        assert_eq!(next(&mut reader).await.revision, revision);
        written.push(revision);
    }
    for revision in written {
        match slow.next().await {
            Ok(changes) => assert_eq!(changes.revision, revision, "a gap without a word"),
            Err(StoreError::Compacted { .. }) => break,
            Err(error) => panic!("{error} instead of Compacted"),
        }
    }
    let (entries, revision) = all(&*store, &Prefix::all()).await;
    let mut again = done(store.watch(&Prefix::all(), revision).await);
    assert_eq!(entries.len(), 1);
    let revision = put(&*store, "a", "2").await;
    assert_eq!(
        next(&mut again).await.revision,
        revision,
        "listed again, it goes on"
    );
}
