//! A replica whose process is killed at any moment: this program runs itself again as the process
//! that is killed.
#![allow(clippy::disallowed_methods, reason = "a test may run itself")]
#![allow(clippy::unwrap_used, reason = "everything in here is a test")]

use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use store::conformance::ManualClock;
use store::{Commit, Key, PageToken, Prefix, Read, Replica, SqliteStore, Store};

/// Set for the process that will be killed: the folder of its files.
const PATH: &str = "OSTLER_REPLICA_TEST_PATH";
const KEYS: usize = 1500;
const ROUNDS: usize = 10;

fn key(text: impl Into<String>) -> Key {
    Key::new(text).unwrap()
}

fn source(folder: &Path) -> SqliteStore {
    SqliteStore::open(folder.join("source.db"), Arc::new(ManualClock::new())).unwrap()
}

fn replica(folder: &Path) -> Replica {
    Replica::open(folder.join("replica.db"), Arc::new(ManualClock::new())).unwrap()
}

/// Not a test of its own: the process that is killed. It says when it has begun.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_follows_until_it_is_killed() {
    let Some(folder) = env::var_os(PATH) else {
        return;
    };
    let folder = Path::new(&folder);
    let (source, replica) = (source(folder), replica(folder));
    let id = source.id().to_owned();
    let writing = async {
        println!("begun");
        for round in 0.. {
            let commit = (0..20).fold(Commit::new(), |commit, part| {
                let name = key(format!("a/{:04}", (round * 31 + part) % KEYS));
                if part % 5 == 0 {
                    commit.delete(name)
                } else {
                    commit.put(name, format!("{round}").repeat(50))
                }
            });
            source.commit(commit).await.unwrap();
        }
    };
    tokio::select! {
        error = replica.follow(&source, &id) => panic!("{error}"),
        () = writing => {}
    }
}

async fn fill(folder: &Path) {
    let store = source(folder);
    for chunk in (0..KEYS).collect::<Vec<_>>().chunks(100) {
        let commit = chunk.iter().fold(Commit::new(), |commit, number| {
            commit.put(key(format!("a/{number:04}")), "first".repeat(40))
        });
        store.commit(commit).await.unwrap();
    }
}

/// Compares the replica with the source at the revision that it shows.
async fn compare(folder: &Path) -> bool {
    let (source, replica) = (source(folder), replica(folder));
    let Some(standing) = replica.standing() else {
        return false;
    };
    assert_eq!(standing.store, source.id());
    let mut expected = Vec::new();
    let first = PageToken {
        revision: standing.revision,
        after: key("!"),
    };
    let mut from = Some(first);
    while let Some(token) = from {
        let page = source.list(&Prefix::all(), Some(token), Read::Linear).await;
        let page = page.unwrap();
        expected.extend(page.entries);
        from = page.next;
    }
    let (entries, _) = replica.list(&Prefix::all()).await.unwrap();
    assert_eq!(entries, expected, "at {standing:?}");
    true
}

#[tokio::test]
async fn a_killed_replica_is_the_store_at_its_revision() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path()).await;
    let mut compared = 0;
    for round in 0..ROUNDS {
        // In every third round it reads the whole store.
        if round % 3 == 0 {
            for name in ["replica.db", "replica.db-wal", "replica.db-shm"] {
                // There is none in the first round.
                let _ = std::fs::remove_file(folder.path().join(name));
            }
        }
        let mut child = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                "child_that_follows_until_it_is_killed",
                "--nocapture",
            ])
            .env(PATH, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("begun")));
        // The moment of the kill is arbitrary, so that it hits every step.
        let moment = std::time::Duration::from_millis(7 * round as u64 * round as u64);
        tokio::time::sleep(moment).await;
        child.kill().unwrap();
        child.wait().unwrap();
        compared += usize::from(compare(folder.path()).await);
    }
    assert!(
        compared > ROUNDS / 2,
        "only {compared} rounds had a replica"
    );
}
