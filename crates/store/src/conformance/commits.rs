//! What a commit does.

use super::{Backend, KEPT, all, delete, done, get, key, next, prefix, put, refused, text};
use crate::{Commit, Precondition, Prefix, Read, Revision, StoreError};

pub async fn put_get_and_delete(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let missing = done(store.get(&key("guest/100"), Read::Linear).await);
    assert_eq!(
        missing,
        (None, Revision(0)),
        "a new store is empty and at revision 0"
    );

    let created = put(&*store, "guest/100", "one").await;
    let modified = put(&*store, "guest/100", "two").await;
    let (entry, revision) = done(store.get(&key("guest/100"), Read::Linear).await);
    let entry = entry.expect("a key that was put exists");
    assert_eq!(entry.value, b"two");
    assert_eq!(
        (entry.created, entry.modified, entry.lease),
        (created, modified, None)
    );
    assert_eq!(revision, modified);

    let deleted = delete(&*store, "guest/100").await;
    assert_eq!(
        done(store.get(&key("guest/100"), Read::Linear).await),
        (None, deleted)
    );
}

pub async fn revisions_grow_by_commit(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let mut last = Revision(0);
    for round in 0..20 {
        // Writing the same value again is a commit like any other.
        let revision = put(&*store, "a", "same").await;
        assert!(
            revision > last,
            "round {round}: {revision:?} after {last:?}"
        );
        last = revision;
    }
}

pub async fn commit_without_writes_checks_only(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let revision = put(&*store, "a", "1").await;
    let holds = Commit::new().when(Precondition::ModifiedAt(key("a"), revision));
    assert_eq!(
        done(store.commit(holds).await),
        revision,
        "nothing was written"
    );
    let fails = Commit::new().when(Precondition::Absent(key("a")));
    assert_eq!(
        refused(store.commit(fails).await),
        StoreError::Conflict { index: 0 }
    );
    assert_eq!(done(store.commit(Commit::new()).await), revision);
}

pub async fn deleting_nothing_changes_nothing(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let revision = put(&*store, "a", "1").await;
    assert_eq!(
        delete(&*store, "b").await,
        revision,
        "there is no change to number"
    );
    let mut watch = done(store.watch(&Prefix::all(), revision).await);
    let both = done(
        store
            .commit(Commit::new().delete(key("b")).delete(key("a")))
            .await,
    );
    let changes = next(&mut watch).await;
    assert_eq!(
        (changes.revision, changes.changes.len()),
        (both, 1),
        "only a existed"
    );
}

pub async fn keys_and_values_of_all_kinds(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let every_byte: Vec<u8> = (0..=255).collect();
    let keys = [
        "ä/ö/ü",
        "日本/東京",
        "🦀",
        "a b/c%_*'\"\\",
        "a/B",
        "A/b",
        "%",
        "_",
    ];
    for name in keys {
        let commit = Commit::new().put(key(name), every_byte.clone());
        done(store.commit(commit).await);
    }
    put(&*store, "empty", "").await;
    for name in keys {
        let entry = get(&*store, name)
            .await
            .unwrap_or_else(|| panic!("{name} is gone"));
        assert_eq!(entry.value, every_byte, "{name}");
    }
    assert_eq!(text(&*store, "empty").await, "");
    let (below, _) = all(&*store, &prefix("日本")).await;
    assert_eq!(super::names(&below), ["日本/東京"]);
    assert_eq!(all(&*store, &Prefix::all()).await.0.len(), keys.len() + 1);
}

pub async fn commit_is_atomic(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    put(&*store, "old", "1").await;
    let commit = Commit::new()
        .put(key("a"), "1")
        .put(key("b"), "1")
        .delete(key("old"))
        .when(Precondition::Absent(key("a")));
    let revision = done(store.commit(commit).await);
    let (entries, at) = all(&*store, &Prefix::all()).await;
    assert_eq!(super::names(&entries), ["a", "b"]);
    assert_eq!(at, revision);
    for entry in entries {
        assert_eq!(
            (entry.created, entry.modified),
            (revision, revision),
            "one commit, one revision"
        );
    }
}

pub async fn what_nobody_waits_for_is_over_before_a_linear_read(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    for round in 0..200 {
        let name = key(format!("left/{round}"));
        let commit = Commit::new().put(name.clone(), b"x".to_vec());
        // Polled once, so that it has begun, then dropped.
        tokio::select! {
            biased;
            _ = store.commit(commit) => {}
            () = std::future::ready(()) => {}
        }
        let (seen, _) = done(store.get(&name, Read::Linear).await);
        // Later commits come after it.
        put(&*store, "other", "x").await;
        let (later, _) = done(store.get(&name, Read::Linear).await);
        assert_eq!(
            seen, later,
            "round {round}: it happened after a read that did not see it"
        );
    }
}
