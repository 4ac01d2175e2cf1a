//! Leases: they end not before their time, and then with all of their keys.

use std::time::Duration;

use super::{
    Backend, KEPT, all, delete, done, get, key, names, next, prefix, put, refused, until_deleted,
};
use crate::{Change, Commit, LeaseId, Precondition, Prefix, Revision, SharedStore, StoreError};

/// Longer than any time that a case lets pass while the lease must live.
const LONG: Duration = Duration::from_secs(60);
/// Times are as short as they can be, for backends whose clock is the real one.
const SHORT: Duration = Duration::from_secs(1);
/// More than `SHORT`, and a fraction of `LONG`.
const PASS: Duration = Duration::from_millis(1500);

async fn put_leased(store: &SharedStore, name: &str, lease: LeaseId) -> Revision {
    done(
        store
            .commit(Commit::new().put_leased(key(name), "x", lease))
            .await,
    )
}

/// Lets a short lease of its own end, which shows that the store has read its clock.
async fn pass_and_see(backend: &dyn Backend, store: &SharedStore) {
    let lease = done(store.grant(SHORT).await);
    let revision = put_leased(store, "short", lease).await;
    let mut watch = done(store.watch(&Prefix::all(), revision).await);
    backend.pass(PASS).await;
    until_deleted(&mut watch, "short").await;
}

pub async fn lease_deletes_its_keys(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let lease = done(store.grant(SHORT).await);
    put_leased(&store, "a/1", lease).await;
    put_leased(&store, "a/2", lease).await;
    let revision = put(&*store, "a/3", "stays").await;
    assert_eq!(
        get(&*store, "a/1").await.map(|entry| entry.lease),
        Some(Some(lease))
    );
    let mut watch = done(store.watch(&prefix("a"), revision).await);
    backend.pass(PASS).await;
    let mut changes = next(&mut watch).await;
    changes.changes.sort_by_key(|change| format!("{change:?}"));
    let revision = changes.revision;
    let gone = |name: &str| Change::Delete {
        key: key(name),
        revision,
    };
    assert_eq!(
        changes.changes,
        [gone("a/1"), gone("a/2")],
        "all of them in one commit"
    );
    let (entries, at) = all(&*store, &prefix("a")).await;
    assert_eq!((names(&entries), at), (vec!["a/3"], revision));
}

pub async fn lease_ends_not_before_its_time(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let lease = done(store.grant(LONG).await);
    put_leased(&store, "long", lease).await;
    for _ in 0..3 {
        pass_and_see(backend, &store).await;
        assert!(
            get(&*store, "long").await.is_some(),
            "the lease ended before its time"
        );
    }
    done(store.renew(lease).await);
}

pub async fn renewed_lease_lives_on(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let lease = done(store.grant(Duration::from_secs(4)).await);
    let revision = put_leased(&store, "renewed", lease).await;
    for _ in 0..3 {
        pass_and_see(backend, &store).await;
        done(store.renew(lease).await);
    }
    assert!(
        get(&*store, "renewed").await.is_some(),
        "it was renewed all the time"
    );
    let mut watch = done(store.watch(&Prefix::all(), revision).await);
    backend.pass(Duration::from_millis(4500)).await;
    until_deleted(&mut watch, "renewed").await;
}

pub async fn ended_lease_is_lost(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let lease = done(store.grant(SHORT).await);
    let revision = put_leased(&store, "a", lease).await;
    let mut watch = done(store.watch(&Prefix::all(), revision).await);
    backend.pass(PASS).await;
    let gone = until_deleted(&mut watch, "a").await.revision;
    assert_lost(&store, lease).await;
    let at = done(store.commit(Commit::new()).await);
    assert_eq!(at, gone, "nothing was written with a lost lease");
}

pub async fn unknown_lease_is_lost(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    for number in [1, 4711, i64::MAX.cast_unsigned()] {
        assert_lost(&store, LeaseId(number)).await;
    }
}

async fn assert_lost(store: &SharedStore, lease: LeaseId) {
    assert_eq!(refused(store.renew(lease).await), StoreError::LeaseLost);
    let both = Commit::new()
        .put(key("free"), "x")
        .put_leased(key("bound"), "x", lease);
    assert_eq!(refused(store.commit(both).await), StoreError::LeaseLost);
    assert_eq!(
        get(&**store, "free").await,
        None,
        "a commit happens wholly or not at all"
    );
    let fails = Commit::new()
        .when(Precondition::CreatedAt(key("none"), Revision(1)))
        .put_leased(key("bound"), "x", lease);
    assert_eq!(
        refused(store.commit(fails).await),
        StoreError::Conflict { index: 0 }
    );
    done(store.revoke(lease).await);
}

pub async fn revoked_lease_ends_at_once(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let lease = done(store.grant(LONG).await);
    let revision = put_leased(&store, "a", lease).await;
    put(&*store, "b", "x").await;
    done(store.revoke(lease).await);
    assert_eq!(get(&*store, "a").await, None, "no time had to pass");
    let mut watch = done(store.watch(&Prefix::all(), revision).await);
    until_deleted(&mut watch, "a").await;
    assert!(get(&*store, "b").await.is_some());
    assert_lost(&store, lease).await;
    done(store.revoke(lease).await);
}

pub async fn put_without_lease_unbinds(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let lease = done(store.grant(LONG).await);
    put_leased(&store, "kept", lease).await;
    put_leased(&store, "lost", lease).await;
    put(&*store, "kept", "mine").await;
    assert_eq!(
        get(&*store, "kept").await.map(|entry| entry.lease),
        Some(None)
    );
    done(store.revoke(lease).await);
    assert_eq!(names(&all(&*store, &Prefix::all()).await.0), ["kept"]);
}

pub async fn put_with_another_lease_rebinds(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let (one, two) = (done(store.grant(LONG).await), done(store.grant(LONG).await));
    assert_ne!(one, two);
    put_leased(&store, "a", one).await;
    put_leased(&store, "a", two).await;
    done(store.revoke(one).await);
    assert_eq!(
        get(&*store, "a").await.map(|entry| entry.lease),
        Some(Some(two))
    );
    done(store.revoke(two).await);
    assert_eq!(get(&*store, "a").await, None);
}

pub async fn deleted_key_is_unbound(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let lease = done(store.grant(LONG).await);
    put_leased(&store, "a", lease).await;
    delete(&*store, "a").await;
    let made = put(&*store, "a", "again").await;
    done(store.revoke(lease).await);
    let entry = get(&*store, "a").await.expect("it has no lease any more");
    assert_eq!(entry.created, made);
}

/// More keys than a commit may write are deleted, in one commit or in several.
pub async fn lease_of_many_keys(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let lease = done(store.grant(LONG).await);
    let mut revision = Revision(0);
    for part in 0..5 {
        let commit = (0..50).fold(Commit::new(), |commit, number| {
            commit.put_leased(key(format!("many/{part}/{number}")), "x", lease)
        });
        revision = done(store.commit(commit).await);
    }
    let mut watch = done(store.watch(&prefix("many"), revision).await);
    done(store.revoke(lease).await);
    let mut deleted = 0;
    while deleted < 250 {
        deleted += next(&mut watch).await.changes.len();
    }
    assert_eq!(all(&*store, &prefix("many")).await.0, []);
}

/// The way to hold a lock: a holder that lost its lease cannot commit, even before anyone notices.
pub async fn lock_by_lease_and_creation(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let take = async |holder: &str| {
        let lease = done(store.grant(SHORT).await);
        let lock = Commit::new()
            .when(Precondition::Absent(key("leader")))
            .put_leased(key("leader"), holder, lease);
        store.commit(lock).await
    };
    let guarded = |created| {
        Commit::new()
            .when(Precondition::CreatedAt(key("leader"), created))
            .put(key("work"), "x")
    };
    let first = done(take("one").await);
    assert_eq!(
        refused(take("two").await),
        StoreError::Conflict { index: 0 }
    );
    done(store.commit(guarded(first)).await);

    let mut watch = done(store.watch(&Prefix::all(), first).await);
    backend.pass(PASS).await;
    until_deleted(&mut watch, "leader").await;
    let second = done(take("two").await);
    assert_eq!(
        refused(store.commit(guarded(first)).await),
        StoreError::Conflict { index: 0 }
    );
    done(store.commit(guarded(second)).await);
}
