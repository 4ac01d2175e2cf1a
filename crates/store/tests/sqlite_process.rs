//! The file after a crash of the process or a full disk: this program runs itself again as the
//! process that crashes.
#![allow(clippy::disallowed_methods, reason = "a test may run itself")]
#![allow(clippy::unwrap_used, reason = "everything in here is a test")]

use std::collections::HashMap;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use store::conformance::ManualClock;
use store::{Commit, Key, Prefix, Read, Revision, SqliteOptions, SqliteStore, Store, StoreError};
use testkit::left_out::missing;
use tokio::task::JoinSet;

/// Set for the process that will be killed: the file to write to.
const PATH: &str = "OSTLER_STORE_TEST_PATH";
const WRITERS: usize = 4;
const PARTS: usize = 10;

fn key(text: impl Into<String>) -> Key {
    Key::new(text).unwrap()
}

fn open(path: &Path) -> SqliteStore {
    // A short history, so that it may be killed while it deletes rows, too.
    let options = SqliteOptions {
        kept_revisions: 50,
        ..SqliteOptions::default()
    };
    SqliteStore::open_with(path, Arc::new(ManualClock::new()), &options).unwrap()
}

fn run_again(test: &str, path: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture"])
        .env(PATH, path);
    command
}

/// One commit: the same number in every part, and a line in the writer's book.
async fn commit(store: &SqliteStore, writer: usize, number: u64) -> Revision {
    let mut commit = Commit::new().put(key(format!("book/{writer}/{number}")), "x");
    for part in 0..PARTS {
        commit = commit.put(key(format!("part/{writer}/{part}")), number.to_string());
    }
    if number > 20 {
        commit = commit.delete(key(format!("book/{writer}/{}", number - 20)));
    }
    store.commit(commit).await.unwrap()
}

/// The number of `part/{writer}`; panics if a commit is there only in part.
async fn number_of(store: &SqliteStore, writer: usize) -> u64 {
    let prefix = Prefix::below(&format!("part/{writer}")).unwrap();
    let (parts, _) = store::list_all(store, &prefix, Read::Linear).await.unwrap();
    let Some(first) = parts.first() else { return 0 };
    assert_eq!(parts.len(), PARTS);
    for part in &parts {
        assert_eq!(
            (&part.value, part.modified),
            (&first.value, first.modified),
            "half a commit"
        );
    }
    String::from_utf8(first.value.clone())
        .unwrap()
        .parse()
        .unwrap()
}

/// Not a test of its own: the process that is killed. It prints what was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_commits_until_it_is_killed() {
    let Some(path) = env::var_os(PATH) else {
        return;
    };
    let store = Arc::new(open(Path::new(&path)));
    let mut writers = JoinSet::<()>::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            let mut number = number_of(&store, writer).await;
            loop {
                number += 1;
                let revision = commit(&store, writer, number).await;
                let line = format!("ack {writer} {number} {}\n", revision.0);
                std::io::stdout().write_all(line.as_bytes()).unwrap();
            }
        });
    }
    writers.join_next().await;
}

/// Kills the child after this many acknowledgements, and returns all that it printed before.
fn acknowledged(mut child: Child, count: usize) -> Vec<[u64; 3]> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acks = Vec::new();
    for line in lines {
        let line = line.unwrap();
        let Some(numbers) = line.strip_prefix("ack ") else {
            continue;
        };
        let numbers: Vec<u64> = numbers.split(' ').map(|n| n.parse().unwrap()).collect();
        acks.push([numbers[0], numbers[1], numbers[2]]);
        if acks.len() == count {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    acks
}

#[tokio::test]
async fn every_acknowledged_commit_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let mut last_revision = 0;
    for round in 0..10 {
        let mut command = run_again("child_that_commits_until_it_is_killed", &path);
        let child = command.stdout(Stdio::piped()).spawn().unwrap();
        let acks = acknowledged(child, 1 + round * 37 % 150);
        let mut last: HashMap<u64, u64> = HashMap::new();
        let store = open(&path);
        for [writer, number, revision] in acks {
            last.insert(writer, number);
            last_revision = last_revision.max(revision);
        }
        for (writer, number) in last {
            let found = number_of(&store, usize::try_from(writer).unwrap()).await;
            assert!(
                found >= number,
                "round {round}: {found} of {number} by {writer}"
            );
            for number in number.saturating_sub(10).max(1)..=found {
                let line = key(format!("book/{writer}/{number}"));
                let (entry, _) = store.get(&line, Read::Linear).await.unwrap();
                assert!(entry.is_some(), "round {round}: {line} is missing");
            }
        }
        let (_, revision) = store.get(&key("any"), Read::Linear).await.unwrap();
        assert!(
            revision.0 >= last_revision,
            "round {round}: back to {revision:?}"
        );
        drop(store);
        check_file(&path);
    }
}

fn check_file(path: &Path) {
    let file = rusqlite::Connection::open(path).unwrap();
    let verdict: String = file
        .query_row("PRAGMA integrity_check", (), |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok");
}

/// Not a test of its own: runs on a file system of two megabytes.
#[tokio::test]
async fn child_on_a_small_disk() {
    let Some(path) = env::var_os(PATH).map(PathBuf::from) else {
        return;
    };
    let other = path.with_extension("other");
    std::fs::write(&other, vec![b'x'; 500_000]).unwrap();
    let store = open(&path);
    let mut acknowledged = Vec::new();
    let full = loop {
        let name = key(format!("big/{:05}", acknowledged.len()));
        match store
            .commit(Commit::new().put(name.clone(), vec![b'x'; 20_000]))
            .await
        {
            Ok(_) => acknowledged.push(name),
            Err(error) => break error,
        }
        assert!(acknowledged.len() < 1000, "20 MB went into it");
    };
    assert!(matches!(full, StoreError::Full(_)), "{full:?}");
    assert!(acknowledged.len() > 10, "{}", acknowledged.len());
    let names = async |store: &SqliteStore| -> Vec<Key> {
        let (entries, _) = store::list_all(store, &Prefix::all(), Read::Linear)
            .await
            .unwrap();
        entries.into_iter().map(|entry| entry.key).collect()
    };
    assert_eq!(names(&store).await, acknowledged);
    drop(store);
    let store = open(&path);
    assert_eq!(
        names(&store).await,
        acknowledged,
        "and so it is after opening again"
    );
    std::fs::remove_file(other).unwrap();
    store
        .commit(Commit::new().delete(acknowledged[0].clone()))
        .await
        .unwrap();
    drop(store);
    check_file(&path);
}

/// A disk that is really full. Needs the right to mount; without it only the test at the size limit
/// (`tests/sqlite.rs`) covers this.
#[test]
fn a_full_disk_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mount = r#"mount -t tmpfs -o size=2m tmpfs "$1" || exit 77; shift; exec "$@""#;
    let child = run_again("child_on_a_small_disk", &folder.path().join("state.db"));
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", mount, "sh"])
        .arg(folder.path());
    command.arg(child.get_program()).args(child.get_args());
    command.env(PATH, folder.path().join("state.db"));
    let Ok(output) = command.output() else {
        missing("a full disk", "there is no unshare");
        return;
    };
    let text = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(77) || text.contains("unshare failed") {
        missing("a full disk", text);
        return;
    }
    assert!(
        output.status.success(),
        "{}{text}",
        String::from_utf8_lossy(&output.stdout)
    );
}
