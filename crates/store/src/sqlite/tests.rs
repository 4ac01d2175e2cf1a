//! A failure that cannot be caused from outside: the writer dies between commit and answer.

use std::path::Path;
use std::sync::Arc;

use super::{Fault, SqliteOptions, SqliteStore};
use crate::conformance::{ManualClock, within};
use crate::{Commit, Key, Prefix, Read, Revision, Store, StoreError};

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Arc::new(ManualClock::new())).unwrap()
}

/// Commits to a store whose writer dies at `fault`, and returns whether the commit is there when
/// the store is reopened.
async fn survives(fault: Fault) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let store = open(&path);
    store
        .commit(Commit::new().put(key("before"), "x"))
        .await
        .unwrap();
    *store.core.fault.lock().unwrap() = fault;
    let answer = store.commit(Commit::new().put(key("a"), "x")).await;
    assert!(matches!(answer, Err(StoreError::Unknown(_))), "{answer:?}");
    let next = store.commit(Commit::new().put(key("b"), "x")).await;
    assert!(
        matches!(next, Err(StoreError::Unavailable(_))),
        "nothing happened to it: {next:?}"
    );
    drop(store);
    let store = open(&path);
    assert!(
        store
            .get(&key("before"), Read::Linear)
            .await
            .unwrap()
            .0
            .is_some()
    );
    assert!(
        store
            .get(&key("b"), Read::Linear)
            .await
            .unwrap()
            .0
            .is_none()
    );
    store
        .get(&key("a"), Read::Linear)
        .await
        .unwrap()
        .0
        .is_some()
}

#[tokio::test]
async fn unknown_is_said_of_a_commit_that_happened_and_of_one_that_did_not() {
    assert!(within("after", survives(Fault::AfterCommit)).await);
    assert!(!within("before", survives(Fault::BeforeCommit)).await);
}

#[tokio::test]
async fn an_unknown_outcome_stops_reads_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("state.db"));
    let mut watch = store.watch(&Prefix::all(), Revision(0)).await.unwrap();
    store.core.stop_after(&super::failure::Aftermath::Unknown(
        "fsync failed".to_owned(),
    ));
    let get = store.get(&key("a"), Read::Linear).await;
    assert!(
        matches!(get, Err(StoreError::Unavailable(_))),
        "a read would decide: {get:?}"
    );
    assert!(matches!(
        watch.next().await,
        Err(StoreError::Unavailable(_))
    ));
    assert!(matches!(
        store.renew(crate::LeaseId(1)).await,
        Err(StoreError::Unavailable(_))
    ));
}

/// Old rows are deleted from the file, for any number of commits.
#[tokio::test]
async fn the_past_does_not_grow() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let options = SqliteOptions {
        kept_revisions: 20,
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open_with(&path, Arc::new(ManualClock::new()), &options).unwrap();
    for _ in 0..200 {
        let commit = Commit::new().put(key("a"), "x").put(key("b"), "y");
        store.commit(commit).await.unwrap();
        store.commit(Commit::new().delete(key("b"))).await.unwrap();
    }
    drop(store);
    let connection = rusqlite::Connection::open(&path).unwrap();
    let count = |sql: &str| {
        connection
            .query_row(sql, (), |row| row.get::<_, i64>(0))
            .unwrap()
    };
    let rows = count("SELECT count(*) FROM version");
    assert!((20..100).contains(&rows), "{rows} rows of 600");
    let forgotten = "SELECT count(*) FROM version, meta WHERE ended <= compacted";
    assert_eq!(count(forgotten), 0);
}

/// The statements that run on every request must find their rows by an index.
#[tokio::test]
async fn no_statement_reads_the_whole_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    drop(open(&path));
    let connection = rusqlite::Connection::open(&path).unwrap();
    for sql in [
        "SELECT value FROM version WHERE key = 'a' AND ended IS NULL",
        "SELECT value FROM version WHERE key > 'a' AND ended IS NULL AND 1 = 1 ORDER BY key",
        "SELECT value FROM version WHERE key > 'a' AND revision <= 5
             AND (ended IS NULL OR ended > 5) ORDER BY key",
        "SELECT value FROM version WHERE revision > 5 ORDER BY revision, key",
        "SELECT key FROM version WHERE lease = 5 AND ended IS NULL",
        "SELECT number FROM version WHERE ended <= 5 ORDER BY ended LIMIT 9",
        "UPDATE version SET ended = 5 WHERE key = 'a' AND ended IS NULL RETURNING created",
    ] {
        let mut explain = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap();
        let steps = explain
            .query_map((), |row| row.get::<_, String>(3))
            .unwrap();
        let plan = steps.collect::<Result<Vec<_>, _>>().unwrap().join("; ");
        let searches = plan.contains("SEARCH") && !plan.contains("SCAN");
        assert!(searches && !plan.contains("TEMP B-TREE"), "{sql}: {plan}");
    }
}
