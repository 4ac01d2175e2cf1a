//! Preconditions of commits.

use super::{Backend, KEPT, all, delete, done, get, key, put, refused, text};
use crate::{Commit, Precondition, Prefix, Revision, SharedStore, StoreError};

async fn try_when(store: &SharedStore, precondition: Precondition) -> Result<(), StoreError> {
    store
        .commit(Commit::new().when(precondition))
        .await
        .map(drop)
}

const CONFLICT: Result<(), StoreError> = Err(StoreError::Conflict { index: 0 });

pub async fn absent_holds_until_created(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let absent = Precondition::Absent(key("a"));
    assert_eq!(try_when(&store, absent.clone()).await, Ok(()));
    put(&*store, "a", "1").await;
    assert_eq!(try_when(&store, absent.clone()).await, CONFLICT);
    delete(&*store, "a").await;
    assert_eq!(try_when(&store, absent).await, Ok(()));
}

pub async fn created_at_holds_across_changes(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let created = put(&*store, "a", "1").await;
    let modified = put(&*store, "a", "2").await;
    assert_eq!(
        try_when(&store, Precondition::CreatedAt(key("a"), created)).await,
        Ok(())
    );
    assert_eq!(
        try_when(&store, Precondition::CreatedAt(key("a"), modified)).await,
        CONFLICT
    );
    assert_eq!(
        try_when(&store, Precondition::CreatedAt(key("b"), created)).await,
        CONFLICT
    );
    assert_eq!(
        try_when(&store, Precondition::CreatedAt(key("b"), Revision(0))).await,
        CONFLICT
    );
}

pub async fn modified_at_holds_until_changed(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let first = put(&*store, "a", "1").await;
    put(&*store, "b", "1").await;
    let at_first = Precondition::ModifiedAt(key("a"), first);
    assert_eq!(
        try_when(&store, at_first.clone()).await,
        Ok(()),
        "b is another key"
    );
    let second = put(&*store, "a", "1").await;
    assert_eq!(
        try_when(&store, at_first).await,
        CONFLICT,
        "the same value is a change too"
    );
    assert_eq!(
        try_when(&store, Precondition::ModifiedAt(key("a"), second)).await,
        Ok(())
    );
    delete(&*store, "a").await;
    assert_eq!(
        try_when(&store, Precondition::ModifiedAt(key("a"), second)).await,
        CONFLICT
    );
}

/// A key that was deleted and created again does not satisfy a precondition on its old revision.
pub async fn recreated_key_is_another(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let first = put(&*store, "lock", "me").await;
    delete(&*store, "lock").await;
    let second = put(&*store, "lock", "me").await;
    let entry = get(&*store, "lock").await.expect("it was made again");
    assert_eq!((entry.created, entry.modified), (second, second));
    assert_eq!(
        try_when(&store, Precondition::CreatedAt(key("lock"), first)).await,
        CONFLICT
    );
    assert_eq!(
        try_when(&store, Precondition::ModifiedAt(key("lock"), first)).await,
        CONFLICT
    );
    assert_eq!(
        try_when(&store, Precondition::CreatedAt(key("lock"), second)).await,
        Ok(())
    );
}

pub async fn first_failing_precondition_is_named(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let at = put(&*store, "a", "1").await;
    for failing in 0..4 {
        let mut commit = Commit::new().put(key("b"), "1");
        for index in 0..4 {
            let fails = index >= failing;
            commit = commit.when(match (index % 2, fails) {
                (0, true) => Precondition::Absent(key("a")),
                (0, false) => Precondition::Absent(key("none")),
                (_, true) => Precondition::ModifiedAt(key("a"), Revision(at.0 + 1)),
                (_, false) => Precondition::ModifiedAt(key("a"), at),
            });
        }
        assert_eq!(
            refused(store.commit(commit).await),
            StoreError::Conflict { index: failing }
        );
    }
}

pub async fn failed_commit_does_nothing(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let before = put(&*store, "a", "1").await;
    let commit = Commit::new()
        .when(Precondition::Absent(key("none")))
        .when(Precondition::Absent(key("a")))
        .put(key("a"), "2")
        .put(key("b"), "2");
    assert_eq!(
        refused(store.commit(commit).await),
        StoreError::Conflict { index: 1 }
    );
    let (entries, revision) = all(&*store, &Prefix::all()).await;
    assert_eq!(super::names(&entries), ["a"]);
    assert_eq!(text(&*store, "a").await, "1");
    assert_eq!(revision, before, "a commit that failed has no revision");
}

/// Preconditions are about the state before the commit, even for keys that it writes.
pub async fn precondition_on_a_key_it_writes(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let create = || {
        Commit::new()
            .put(key("a"), "1")
            .when(Precondition::Absent(key("a")))
    };
    let created = done(store.commit(create()).await);
    assert_eq!(
        refused(store.commit(create()).await),
        StoreError::Conflict { index: 0 }
    );
    let remove = || {
        Commit::new()
            .delete(key("a"))
            .when(Precondition::CreatedAt(key("a"), created))
    };
    done(store.commit(remove()).await);
    assert_eq!(
        refused(store.commit(remove()).await),
        StoreError::Conflict { index: 0 }
    );
}
