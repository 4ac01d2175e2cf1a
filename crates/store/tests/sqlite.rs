//! The conformance suite on the SQLite store, and damage to its file.
#![allow(clippy::unwrap_used, reason = "everything in here is a test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use store::conformance::{Backend, ManualClock, within};
use store::{
    Commit, Key, Prefix, Read, Revision, SharedStore, SqliteOptions, SqliteStore, Store, StoreError,
};
use tempfile::TempDir;

struct Sqlite {
    folder: TempDir,
    clock: Arc<ManualClock>,
}

impl Sqlite {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::new(ManualClock::new()),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("state.db")
    }

    fn try_open(&self, options: &SqliteOptions) -> Result<SqliteStore, StoreError> {
        SqliteStore::open_with(self.path(), self.clock.clone(), options)
    }

    fn open_store(&self) -> SqliteStore {
        self.try_open(&SqliteOptions::default()).unwrap()
    }

    /// The text with which opening is refused.
    fn refusal(&self) -> String {
        match self.try_open(&SqliteOptions::default()) {
            Err(StoreError::Unavailable(text)) => text,
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("it was opened"),
        }
    }
}

#[async_trait]
impl Backend for Sqlite {
    async fn open(&self, kept: u64) -> SharedStore {
        let options = SqliteOptions {
            kept_revisions: kept,
            ..SqliteOptions::default()
        };
        Arc::new(self.try_open(&options).unwrap())
    }

    async fn reopen(&self, store: SharedStore) -> Option<SharedStore> {
        assert_eq!(
            Arc::strong_count(&store),
            1,
            "the case still holds the store"
        );
        drop(store);
        Some(Arc::new(self.open_store()))
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

store::conformance_tests!(|| Some(Sqlite::new()));

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

async fn put(store: &SqliteStore, name: &str, value: impl Into<Vec<u8>>) -> Revision {
    store
        .commit(Commit::new().put(key(name), value))
        .await
        .unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn only_its_owner_can_read_the_files() {
    let backend = Sqlite::new();
    let store = backend.open_store();
    put(&store, "a", "x").await;
    for file in fs::read_dir(backend.folder.path()).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    drop(store);
    fs::set_permissions(backend.path(), fs::Permissions::from_mode(0o644)).unwrap();
    let _store = backend.open_store();
    assert_eq!(
        mode(&backend.path()),
        0o600,
        "a file from a copy is closed again"
    );
}

#[tokio::test]
async fn a_second_opener_is_refused_until_the_first_is_gone() {
    let backend = Sqlite::new();
    let store = backend.open_store();
    let id = store.id().to_owned();
    let link = backend.folder.path().join("link.db");
    std::os::unix::fs::symlink(backend.path(), &link).unwrap();
    for path in [backend.path(), link] {
        let refusal = SqliteStore::open(path, backend.clock.clone())
            .err()
            .unwrap()
            .to_string();
        let holder = format!("the store is in use by process {}", std::process::id());
        assert!(refusal.contains(&holder), "{refusal}");
    }
    drop(store);
    assert_eq!(backend.open_store().id(), id);
}

#[tokio::test]
async fn a_watch_does_not_keep_the_file() {
    let backend = Sqlite::new();
    let store = backend.open_store();
    let mut watch = store.watch(&Prefix::all(), Revision(0)).await.unwrap();
    drop(store);
    let again = backend.open_store();
    put(&again, "a", "x").await;
    assert!(matches!(
        watch.next().await,
        Err(StoreError::Unavailable(_))
    ));
}

#[tokio::test]
async fn what_is_no_store_is_refused_and_left_as_it_is() {
    let backend = Sqlite::new();
    fs::write(
        backend.path(),
        "this is no database, however long the text is".repeat(100),
    )
    .unwrap();
    let before = (fs::read(backend.path()).unwrap(), mode(&backend.path()));
    let refusal = backend.refusal();
    assert!(
        refusal.contains("state.db: the file is not a readable store"),
        "{refusal}"
    );
    assert_eq!(
        (fs::read(backend.path()).unwrap(), mode(&backend.path())),
        before
    );

    let backend = Sqlite::new();
    let foreign = rusqlite::Connection::open(backend.path()).unwrap();
    foreign
        .execute_batch("CREATE TABLE tree (data BLOB)")
        .unwrap();
    let refusal = backend.refusal();
    assert!(
        refusal.contains("a database of another program"),
        "{refusal}"
    );

    let backend = Sqlite::new();
    fs::create_dir(backend.path()).unwrap();
    backend.refusal();
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let backend = Sqlite::new();
    drop(backend.open_store());
    let file = rusqlite::Connection::open(backend.path()).unwrap();
    file.pragma_update(None, "user_version", 3).unwrap();
    let refusal = backend.refusal();
    assert!(
        refusal.contains("format 3, this program knows formats up to 2"),
        "{refusal}"
    );
}

#[tokio::test]
async fn a_missing_folder_is_not_made() {
    let backend = Sqlite::new();
    let path = backend.folder.path().join("none/state.db");
    let refusal = SqliteStore::open(path, backend.clock.clone())
        .err()
        .unwrap()
        .to_string();
    assert!(refusal.contains("none/state.db"), "{refusal}");
}

#[test]
fn without_a_runtime_it_is_refused() {
    let refusal = Sqlite::new().refusal();
    assert!(refusal.contains("state.db"), "{refusal}");
}

/// If the file is moved away, no commit goes into a file that would be lost.
async fn refuses_after(change: impl FnOnce(&Path), expected: &str) {
    let backend = Sqlite::new();
    let store = backend.open_store();
    let at = put(&store, "a", "x").await;
    let mut watch = store.watch(&Prefix::all(), at).await.unwrap();
    change(&backend.path());
    match store.commit(Commit::new().put(key("b"), "x")).await {
        Err(StoreError::Unavailable(text)) => assert!(text.contains(expected), "{text}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(watch.next().await, Err(StoreError::Moved));
    let read = store.get(&key("a"), Read::Linear).await;
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
}

#[tokio::test]
async fn a_removed_file_stops_the_store() {
    refuses_after(|path| fs::remove_file(path).unwrap(), "went away").await;
}

#[tokio::test]
async fn a_replaced_file_stops_the_store() {
    let replace = |path: &Path| {
        let copy = path.with_extension("copy");
        fs::copy(path, &copy).unwrap();
        fs::rename(copy, path).unwrap();
    };
    refuses_after(replace, "was replaced").await;
}

#[tokio::test]
async fn a_file_changed_by_another_hand_stops_the_store() {
    let overwrite = |path: &Path| {
        let other = rusqlite::Connection::open(path).unwrap();
        other.execute("UPDATE meta SET revision = 0", ()).unwrap();
    };
    refuses_after(overwrite, "was overwritten").await;
}

const SMALL: SqliteOptions = SqliteOptions {
    kept_revisions: 10_000,
    size_limit_bytes: Some(1 << 20),
};

/// Fills a store until it is full. Returns the revision at that moment.
async fn fill(store: &SqliteStore) -> Revision {
    let value = vec![b'x'; 20_000];
    for number in 0..10_000 {
        let before = store.get(&key("any"), Read::Linear).await.unwrap().1;
        let name = key(&format!("big/{number}"));
        match store.commit(Commit::new().put(name, value.clone())).await {
            Ok(_) => {}
            Err(StoreError::Full(_)) => return before,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("200 MB went into it");
}

/// A full store has lost nothing, accepts what still fits, and can be emptied.
async fn is_full_and_recovers(store: &SqliteStore) {
    put(store, "first", "x").await;
    let at = fill(store).await;
    let (entries, revision) = store::list_all(store, &Prefix::all(), Read::Linear)
        .await
        .unwrap();
    assert_eq!(revision, at, "nothing happened");
    assert!(entries.iter().any(|entry| entry.key == key("first")));
    let mut delete = Commit::new();
    for entry in entries
        .iter()
        .filter(|entry| entry.key != key("first"))
        .take(10)
    {
        delete = delete.delete(entry.key.clone());
    }
    let deleted = store.commit(delete).await.unwrap();
    assert!(deleted > at);
    // Room is freed by deleting history, at the latest when it is needed.
    put(store, "big/again", vec![b'y'; 20_000]).await;
}

#[tokio::test]
async fn a_store_at_its_size_limit_is_full_and_recovers() {
    let backend = Sqlite::new();
    let store = backend.try_open(&SMALL).unwrap();
    within("filling", is_full_and_recovers(&store)).await;
}

/// A commit that does not fit does not fail those that were committed together with it.
#[tokio::test]
async fn neighbours_of_a_commit_that_does_not_fit_succeed() {
    let backend = Sqlite::new();
    let store = backend.try_open(&SMALL).unwrap();
    fill(&store).await;
    let small = |name: &str| store.commit(Commit::new().put(key(name), "x"));
    let large = Commit::new().put(key("large"), vec![b'x'; 1 << 20]);
    let (a, large, b) = tokio::join!(small("a"), store.commit(large), small("b"));
    assert!(a.is_ok() && b.is_ok(), "{a:?} {b:?}");
    assert!(matches!(large, Err(StoreError::Full(_))), "{large:?}");
}

#[tokio::test]
async fn a_watch_from_the_future_means_another_store() {
    let backend = Sqlite::new();
    let refused = backend
        .open_store()
        .watch(&Prefix::all(), Revision(1))
        .await;
    assert_eq!(refused.err(), Some(StoreError::Moved));
}
