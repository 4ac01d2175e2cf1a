//! The state of a durable backend after it was closed and reopened. Others pass trivially.

use std::time::Duration;

use super::{Backend, KEPT, all, delete, done, get, key, put, until_deleted};
use crate::{Commit, Prefix};

pub async fn commits_survive_reopening(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    for number in 0..50 {
        put(&*store, &format!("a/{number}"), "1").await;
        put(&*store, &format!("a/{number}"), "2").await;
    }
    delete(&*store, "a/7").await;
    let (entries, revision) = all(&*store, &Prefix::all()).await;
    let Some(store) = backend.reopen(store).await else {
        return;
    };
    let (again, now) = all(&*store, &Prefix::all()).await;
    assert_eq!(again, entries);
    assert!(now >= revision, "{now:?} after {revision:?}");
}

pub async fn revisions_continue_after_reopening(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let first = put(&*store, "a", "1").await;
    put(&*store, "a", "2").await;
    // The last commit leaves only its revision.
    let last = delete(&*store, "a").await;
    let Some(store) = backend.reopen(store).await else {
        return;
    };
    let mut watch = done(store.watch(&Prefix::all(), first).await);
    assert!(
        put(&*store, "a", "3").await > last,
        "a revision was used twice"
    );
    assert_eq!(
        until_deleted(&mut watch, "a").await.revision,
        last,
        "a watch resumes"
    );
}

/// It is unknown how long the store was closed, so a lease gets its full time again.
pub async fn leases_start_afresh_after_reopening(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let lease = done(store.grant(Duration::from_secs(4)).await);
    let bound = done(
        store
            .commit(Commit::new().put_leased(key("a"), "x", lease))
            .await,
    );
    backend.pass(Duration::from_secs(3)).await;
    let Some(store) = backend.reopen(store).await else {
        return;
    };
    let short = done(store.grant(Duration::from_secs(1)).await);
    done(
        store
            .commit(Commit::new().put_leased(key("short"), "x", short))
            .await,
    );
    let mut watch = done(store.watch(&Prefix::all(), bound).await);
    backend.pass(Duration::from_secs(2)).await;
    until_deleted(&mut watch, "short").await;
    assert!(
        get(&*store, "a").await.is_some(),
        "its old time went on across the restart"
    );
    done(store.renew(lease).await);
    backend.pass(Duration::from_millis(4500)).await;
    until_deleted(&mut watch, "a").await;
}
