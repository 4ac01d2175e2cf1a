//! Lists.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Backend, KEPT, all, delete, done, key, names, prefix, put, refused};
use crate::{
    Commit, Entry, PageToken, Prefix, Read, Revision, SharedStore, Store, StoreError, limits,
};

const KEYS: usize = 2500;

async fn put_many(store: &dyn Store, count: usize) {
    for chunk in (0..count)
        .collect::<Vec<_>>()
        .chunks(limits::WRITES_PER_COMMIT)
    {
        let commit = chunk.iter().fold(Commit::new(), |commit, number| {
            commit.put(key(format!("guest/{number:05}")), number.to_string())
        });
        done(store.commit(commit).await);
    }
}

/// Reads all pages, and checks that they are pages of one list.
async fn pages(store: &dyn Store, below: &Prefix) -> (Vec<Entry>, Revision, usize) {
    let (mut entries, mut from, mut count) = (Vec::new(), None, 0);
    let mut revision = None;
    loop {
        let page = done(store.list(below, from, Read::Linear).await);
        assert!(
            page.entries.len() <= limits::PAGE_ENTRIES,
            "a page of {}",
            page.entries.len()
        );
        assert_eq!(
            *revision.get_or_insert(page.revision),
            page.revision,
            "one list, one revision"
        );
        entries.extend(page.entries);
        count += 1;
        match page.next {
            Some(next) => from = Some(next),
            None => return (entries, page.revision, count),
        }
    }
}

/// Deletes, changes and adds keys until stopped, but slowly enough that the lists' revisions are
/// not compacted.
async fn keep_writing(store: SharedStore, stop: Arc<AtomicBool>) {
    for round in 0..5000 {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let commit = Commit::new()
            .delete(key(format!("guest/{:05}", round % KEYS)))
            .put(
                key(format!("guest/{:05}", (round * 7 + 1) % KEYS)),
                "changed",
            )
            .put(key(format!("guest/{round:05}x")), "added");
        done(store.commit(commit).await);
    }
}

pub async fn pages_are_one_revision(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    put_many(&*store, KEYS).await;
    let (quiet, _, count) = pages(&*store, &prefix("guest")).await;
    assert_eq!((quiet.len(), count), (KEYS, 3));

    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(keep_writing(store.clone(), stop.clone()));
    let mut lists = Vec::new();
    for _ in 0..5 {
        let (entries, revision, _) = pages(&*store, &prefix("guest")).await;
        let newest = entries.iter().map(|entry| entry.modified).max();
        assert!(
            newest <= Some(revision),
            "the list of {revision:?} has an entry of {newest:?}"
        );
        let ordered = entries.windows(2).all(|pair| pair[0].key < pair[1].key);
        assert!(ordered, "keys come once and in order");
        lists.push((entries, revision));
    }
    stop.store(true, Ordering::Relaxed);
    writer.await.expect("the writer does not panic");

    for (entries, revision) in lists {
        let token = PageToken {
            revision,
            after: key("guest/!"),
        };
        let again = done(
            store
                .list(&prefix("guest"), Some(token), Read::Linear)
                .await,
        );
        assert_eq!(
            again.entries,
            entries[..again.entries.len()],
            "the past does not change"
        );
    }
}

pub async fn list_is_in_order_of_bytes(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let mut expected = vec![
        "a", "a/b", "a/B", "a/b/c", "a!", "a-b", "b", "B", "é", "z", "日", "🦀",
    ];
    for name in expected.iter().rev() {
        put(&*store, name, "1").await;
    }
    expected.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    let (entries, _) = all(&*store, &Prefix::all()).await;
    assert_eq!(names(&entries), expected);
}

pub async fn prefix_ends_at_its_slash(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    for name in [
        "guest",
        "guest!",
        "guest/1",
        "guest/1/x",
        "guest/100",
        "guest0",
        "guests/1",
    ] {
        put(&*store, name, "1").await;
    }
    assert_eq!(
        names(&all(&*store, &prefix("guest")).await.0),
        ["guest/1", "guest/1/x", "guest/100"]
    );
    assert_eq!(
        names(&all(&*store, &prefix("guest/1")).await.0),
        ["guest/1/x"]
    );
    assert_eq!(all(&*store, &Prefix::all()).await.0.len(), 7);
}

pub async fn list_of_nothing(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    assert_eq!(all(&*store, &Prefix::all()).await, (vec![], Revision(0)));
    let revision = put(&*store, "a", "1").await;
    assert_eq!(all(&*store, &prefix("b")).await, (vec![], revision));
    let revision = delete(&*store, "a").await;
    assert_eq!(all(&*store, &Prefix::all()).await, (vec![], revision));
}

/// A page is bounded in bytes too; otherwise it could be a gigabyte.
pub async fn pages_of_large_values_end_early(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let large = vec![b'x'; limits::VALUE_BYTES];
    for number in 0..10 {
        done(
            store
                .commit(Commit::new().put(key(format!("a/{number}")), large.clone()))
                .await,
        );
    }
    let (entries, _, count) = pages(&*store, &prefix("a")).await;
    assert_eq!(entries.len(), 10);
    assert!(count > 1, "10 MiB came in one page");
}

pub async fn list_of_a_forgotten_revision(backend: &dyn Backend) {
    let store = backend.open(50).await;
    put_many(&*store, KEYS).await;
    let first = done(store.list(&Prefix::all(), None, Read::Linear).await);
    let next = first.next.expect("there are several pages");
    for _ in 0..200 {
        put(&*store, "b", "1").await;
    }
    let list = store
        .list(&Prefix::all(), Some(next.clone()), Read::Linear)
        .await;
    match refused(list) {
        StoreError::Compacted { oldest } => assert!(oldest > next.revision, "{oldest:?}"),
        error => panic!("{error} instead of Compacted"),
    }
    assert_eq!(
        all(&*store, &Prefix::all()).await.0.len(),
        KEYS + 1,
        "the present is all there"
    );
}

/// A revision that the store never had means that the store was replaced.
pub async fn list_of_a_future_revision(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let revision = Revision(put(&*store, "a", "1").await.0 + 1000);
    let token = PageToken {
        revision,
        after: key("a"),
    };
    let list = store.list(&Prefix::all(), Some(token), Read::Linear).await;
    assert_eq!(refused(list), StoreError::Moved);
}
