//! Concurrent commits.

use std::collections::BTreeSet;

use tokio::task::JoinSet;

use super::{Backend, KEPT, all, done, get, key, put, text};
use crate::{Commit, Precondition, Prefix, SharedStore, StoreError};

const COUNTERS: usize = 8;
const ROUNDS: usize = 25;

/// Increments a number, retrying after conflicts. Returns the number of conflicts.
async fn increment(store: &SharedStore) -> usize {
    let mut conflicts = 0;
    loop {
        let entry = get(&**store, "counter").await.expect("the counter exists");
        let count: usize = String::from_utf8_lossy(&entry.value)
            .parse()
            .expect("it is a number");
        let commit = Commit::new()
            .when(Precondition::Absent(key("never")))
            .when(Precondition::ModifiedAt(key("counter"), entry.modified))
            .put(key("counter"), (count + 1).to_string());
        match store.commit(commit).await {
            Ok(_) => return conflicts,
            Err(StoreError::Conflict { index }) => {
                assert_eq!(index, 1, "the counter is precondition 1");
                conflicts += 1;
            }
            Err(error) => panic!("a commit under contention: {error}"),
        }
    }
}

pub async fn counter_survives_contention(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    put(&*store, "counter", "0").await;
    let mut tasks = JoinSet::new();
    for _ in 0..COUNTERS {
        let store = store.clone();
        tasks.spawn(async move {
            for _ in 0..ROUNDS {
                increment(&store).await;
            }
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.expect("a counting task does not panic");
    }
    assert_eq!(
        text(&*store, "counter").await,
        (COUNTERS * ROUNDS).to_string()
    );
}

pub async fn one_of_many_creators_wins(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let mut tasks = JoinSet::new();
    for number in 0..50 {
        let store = store.clone();
        tasks.spawn(async move {
            let create = Commit::new()
                .when(Precondition::Absent(key("lock")))
                .put(key("lock"), number.to_string());
            (number, store.commit(create).await)
        });
    }
    let mut winners = Vec::new();
    while let Some(result) = tasks.join_next().await {
        match result.expect("a creating task does not panic") {
            (number, Ok(_)) => winners.push(number.to_string()),
            (_, Err(error)) => assert_eq!(error, StoreError::Conflict { index: 0 }),
        }
    }
    assert_eq!(winners, [text(&*store, "lock").await]);
}

pub async fn parallel_creates_all_succeed(backend: &dyn Backend) {
    let store = backend.open(KEPT).await;
    let mut tasks = JoinSet::new();
    for number in 0..100 {
        let store = store.clone();
        tasks.spawn(async move {
            let name = key(format!("guest/{number}"));
            let create = Commit::new()
                .when(Precondition::Absent(name.clone()))
                .put(name, "{}");
            done(store.commit(create).await)
        });
    }
    let mut revisions = BTreeSet::new();
    while let Some(revision) = tasks.join_next().await {
        revisions.insert(revision.expect("a creating task does not panic"));
    }
    assert_eq!(revisions.len(), 100, "every commit has its own revision");
    let (entries, revision) = all(&*store, &Prefix::all()).await;
    let created: BTreeSet<_> = entries.iter().map(|entry| entry.created).collect();
    assert_eq!(created, revisions);
    assert_eq!(Some(&revision), revisions.last());
}
