//! The conformance suite on a store with sealed secrets, and what is below it.
#![allow(clippy::unwrap_used, reason = "everything in here is a test")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use store::conformance::{Backend, ManualClock};
use store::{
    Commit, Key, MemoryStore, Prefix, Read, Revision, SealedStore, SealingKeys, SharedStore, Store,
    StoreError, list_all,
};

struct Sealed {
    clock: Arc<ManualClock>,
    keys: SealingKeys,
}

impl Sealed {
    fn new() -> Self {
        Self {
            clock: Arc::new(ManualClock::new()),
            keys: SealingKeys::generate().unwrap(),
        }
    }
}

#[async_trait]
impl Backend for Sealed {
    async fn open(&self, kept: u64) -> SharedStore {
        let inner = Arc::new(MemoryStore::keeping(kept, self.clock.clone()));
        Arc::new(SealedStore::new(inner, self.keys.clone()))
    }

    async fn reopen(&self, _store: SharedStore) -> Option<SharedStore> {
        None
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

store::conformance_tests!(|| Some(Sealed::new()));

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn plain() -> SharedStore {
    Arc::new(MemoryStore::new(Arc::new(ManualClock::new())))
}

async fn value(store: &dyn Store, name: &str) -> Result<Vec<u8>, StoreError> {
    let (entry, _) = store.get(&key(name), Read::Linear).await?;
    Ok(entry.unwrap().value)
}

fn contains(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn secrets_are_read_by_their_owners_and_seen_by_no_server() {
    let (inner, keys) = (plain(), SealingKeys::generate().unwrap());
    // A value of before the keys.
    let old = Commit::new().put(key("secret/old"), "plain");
    inner.commit(old).await.unwrap();
    let store = SealedStore::new(inner.clone(), keys.clone());
    let mut watch = store.watch(&Prefix::all(), Revision(1)).await.unwrap();
    let commit = Commit::new()
        .put(key("secret/new"), "hush")
        .put(key("open"), "hello");
    store.commit(commit).await.unwrap();
    for (name, known) in [
        ("secret/old", "plain"),
        ("secret/new", "hush"),
        ("open", "hello"),
    ] {
        assert_eq!(
            value(&store, name).await.unwrap(),
            known.as_bytes(),
            "{name}"
        );
    }
    let (listed, _) = list_all(&store, &Prefix::all(), Read::Local).await.unwrap();
    assert!(listed.iter().any(|entry| entry.value == b"hush"));
    let seen = format!("{:?}", watch.next().await.unwrap());
    assert!(seen.contains(&format!("{:?}", b"hush".to_vec())), "{seen}");
    let below = value(&*inner, "secret/new").await.unwrap();
    assert!(!contains(&below, b"hush"));
    assert_eq!(value(&*inner, "open").await.unwrap(), b"hello");

    // The keys survive their file; others do not open the value, nor does another entry.
    let again = SealingKeys::parse(&keys.to_string()).unwrap();
    let again = SealedStore::new(inner.clone(), again);
    assert_eq!(value(&again, "secret/new").await.unwrap(), b"hush");
    let stranger = SealedStore::new(inner.clone(), SealingKeys::generate().unwrap());
    assert!(value(&stranger, "secret/new").await.is_err());
    let moved = Commit::new().put(key("secret/other"), below);
    inner.commit(moved).await.unwrap();
    assert!(value(&store, "secret/other").await.is_err());
}

#[test]
fn unreadable_keys_are_refused() {
    for text in ["", "1", "x 00", "1 zz", &format!("1 {}", "0".repeat(63))] {
        assert!(SealingKeys::parse(text).is_err(), "{text}");
    }
}
