//! The limits of the contract: the maximum is accepted, one more is refused.

use std::time::Duration;

use super::{Backend, KEPT, all, done, key, prefix, put, refused};
use crate::{Commit, Key, Precondition, Prefix, SharedStore, StoreError, limits};

/// Asserts that the commit is refused for its size and that nothing was written.
async fn refuse(store: &SharedStore, commit: Commit, what: &str) {
    let before = all(&**store, &Prefix::all()).await;
    match refused(store.commit(commit).await) {
        StoreError::Limit(_) => {}
        error => panic!("{what}: {error} instead of a limit"),
    }
    assert_eq!(
        all(&**store, &Prefix::all()).await,
        before,
        "{what} changed something"
    );
}

fn writes(count: usize) -> Commit {
    (0..count).fold(Commit::new(), |commit, n| {
        commit.put(key(format!("w/{n}")), "x")
    })
}

pub async fn too_many_writes(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    refuse(&store, writes(limits::WRITES_PER_COMMIT + 1), "101 writes").await;
    done(store.commit(writes(limits::WRITES_PER_COMMIT)).await);
    assert_eq!(
        all(&*store, &prefix("w")).await.0.len(),
        limits::WRITES_PER_COMMIT
    );
    let deletes = (0..=limits::WRITES_PER_COMMIT).fold(Commit::new(), |commit, n| {
        commit.delete(key(format!("w/{n}")))
    });
    refuse(&store, deletes, "101 deletes").await;
}

pub async fn too_many_preconditions(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let guarded = |count: usize| {
        (0..count).fold(writes(limits::WRITES_PER_COMMIT), |commit, n| {
            commit.when(Precondition::Absent(key(format!("p/{n}"))))
        })
    };
    let count = limits::PRECONDITIONS_PER_COMMIT;
    refuse(&store, guarded(count + 1), "101 preconditions").await;
    done(store.commit(guarded(count)).await);
}

pub async fn too_large_values_and_commits(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let large = || vec![b'x'; limits::VALUE_BYTES];
    let mut larger = large();
    larger.push(b'x');
    refuse(
        &store,
        Commit::new().put(key("a"), larger),
        "1 MiB and a byte",
    )
    .await;
    done(store.commit(Commit::new().put(key("a"), large())).await);
    let (entries, _) = all(&*store, &Prefix::all()).await;
    assert_eq!(entries[0].value.len(), limits::VALUE_BYTES);
    let both = Commit::new().put(key("a"), large()).put(key("b"), large());
    refuse(&store, both, "two values of 1 MiB").await;
}

pub async fn key_written_twice(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    put(&*store, "a", "1").await;
    let twice = Commit::new().put(key("a"), "2").put(key("a"), "3");
    refuse(&store, twice, "two puts of a key").await;
    let both = Commit::new().delete(key("a")).put(key("a"), "3");
    refuse(&store, both, "put and delete of a key").await;
}

pub async fn keys_have_a_shape(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    for wrong in ["", "/", "/a", "a/", "a//b", "a\nb", "a\0b"] {
        assert!(Key::new(wrong).is_err(), "{wrong:?} is no key");
    }
    assert!(
        Key::new("x".repeat(limits::KEY_BYTES + 1)).is_err(),
        "a key of 1,025 bytes"
    );
    let longest = format!("l/{}", "x".repeat(limits::KEY_BYTES - 2));
    put(&*store, &longest, "1").await;
    let (entries, _) = all(&*store, &prefix("l")).await;
    assert_eq!(super::names(&entries), [longest]);
}

pub async fn too_short_leases(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    for ttl in [Duration::ZERO, Duration::from_millis(999)] {
        let error = refused(store.grant(ttl).await);
        assert!(
            matches!(error, StoreError::Limit(_)),
            "a lease of {ttl:?}: {error}"
        );
    }
    done(store.grant(Duration::from_secs(1)).await);
}
