//! What one etcd can do to a store: late requests, restarts, replacement, no space.

use std::time::Duration;

use store::conformance::within;
use store::{
    Change, Commit, EtcdOptions, EtcdStore, Key, Origin, Precondition, Prefix, Read, Replica,
    Revision, Store, StoreError, limits,
};
use testkit::left_out::missing;

use crate::proxy::Proxy;
use crate::server::{self, Server, clock, connect, create, quick};

/// Starts a server; none, with a word about it, if there is no etcd.
fn server(flags: &[&str]) -> Option<Server> {
    if server::program().is_none() {
        missing("store on etcd", "etcd is missing (etcd/build.sh)");
        return None;
    }
    Some(Server::start_with(flags))
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

async fn put(store: &EtcdStore, name: &str, value: impl Into<Vec<u8>>) -> Revision {
    store
        .commit(Commit::new().put(key(name), value))
        .await
        .unwrap()
}

async fn exists(store: &EtcdStore, name: &str) -> bool {
    let found = store.get(&key(name), Read::Linear).await;
    found.unwrap().0.is_some()
}

/// Reaches the server through a proxy first, and directly when that has failed.
async fn through(proxy: &Proxy, server: &Server) -> EtcdStore {
    let endpoints = vec![proxy.endpoint(), server.endpoint()];
    connect(EtcdOptions {
        request_timeout: Duration::from_millis(300),
        ..quick("a", endpoints)
    })
    .await
}

#[tokio::test]
async fn a_commit_that_was_held_back_never_happens() {
    let Some(server) = server(&[]) else { return };
    let other = create(server.options("other")).await;
    let proxy = Proxy::start(server.address()).await;
    let store = through(&proxy, &server).await;
    put(&store, "before", "x").await;

    proxy.hold("late-value");
    let late = store.commit(Commit::new().put(key("late"), "late-value"));
    let (unknown, ()) = tokio::join!(late, proxy.held());
    assert!(
        matches!(unknown, Err(StoreError::Unknown(_))),
        "{unknown:?}"
    );
    assert!(!exists(&store, "late").await);

    within("etcd answers the late request", proxy.release()).await;
    assert!(
        !exists(&store, "late").await,
        "it came after a read without it"
    );
    assert!(!exists(&other, "late").await);
    put(&store, "late", "again").await;
}

#[tokio::test]
async fn a_commit_that_nobody_waits_for_never_happens_late() {
    let Some(server) = server(&[]) else { return };
    create(server.options("other")).await;
    let proxy = Proxy::start(server.address()).await;
    let store = through(&proxy, &server).await;

    proxy.hold("late-value");
    let late = store.commit(Commit::new().put(key("late"), "late-value"));
    tokio::select! {
        outcome = late => panic!("it was held: {outcome:?}"),
        () = proxy.held() => {}
    }
    // A commit is after the doubt as well as a read is.
    put(&store, "next", "x").await;
    within("etcd answers the late request", proxy.release()).await;
    assert!(!exists(&store, "late").await);
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_seen() {
    let Some(server) = server(&[]) else { return };
    create(server.options("other")).await;
    let proxy = Proxy::start(server.address()).await;
    let store = through(&proxy, &server).await;
    put(&store, "before", "x").await;
    proxy.lose_answers();
    let unknown = store.commit(Commit::new().put(key("a"), "x")).await;
    assert!(
        matches!(unknown, Err(StoreError::Unknown(_))),
        "{unknown:?}"
    );
    assert!(exists(&store, "a").await);
}

#[tokio::test]
async fn a_watch_resumes_after_a_restart_without_gap_or_repeat() {
    let Some(mut server) = server(&[]) else {
        return;
    };
    let store = create(server.options("a")).await;
    let mut watch = store.watch(&Prefix::all(), Revision(0)).await.unwrap();
    let mut written = Vec::new();
    for round in 0..3 {
        for _ in 0..5 {
            written.push(put(&store, "a", format!("{round}")).await);
        }
        server.kill();
        server.run();
        let name = key("a");
        let again = || store.get(&name, Read::Linear);
        server::answered(again).await;
    }
    written.push(put(&store, "a", "last").await);
    for revision in written {
        let changes = within("the watch", watch.next()).await.unwrap();
        assert_eq!(changes.revision, revision);
    }
    assert!(watch.resumed() > 0);
}

#[tokio::test]
async fn a_replica_follows_over_a_restart_and_into_a_new_generation() {
    let Some(mut server) = server(&[]) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let replica = Replica::open(folder.path().join("replica.db"), clock()).unwrap();
    let store = create(server.options("a")).await;
    let id = store.id();
    put(&store, "a", "1").await;
    let writing = async {
        server.kill();
        server.run();
        let name = key("a");
        server::answered(|| store.get(&name, Read::Linear)).await;
        let last = put(&store, "a", "2").await;
        replica.reached(&id, last).await;
        store
            .begin_generation(Revision(last.0 + 1000))
            .await
            .unwrap();
    };
    let (ended, ()) = tokio::join!(replica.follow(&store, &id), writing);
    assert_eq!(ended, StoreError::Moved);

    let next = connect(server.options("a")).await;
    let last = put(&next, "a", "3").await;
    let id = next.id();
    tokio::select! {
        error = replica.follow(&next, &id) => panic!("{error}"),
        () = within("the new generation", replica.reached(&id, last)) => {}
    }
    let (entry, standing) = replica.get(&key("a")).await.unwrap();
    assert_eq!(entry.unwrap().value, b"3");
    assert_eq!(standing.store, id);
}

#[tokio::test]
async fn a_watch_that_was_away_during_a_compaction_says_so() {
    let Some(server) = server(&[]) else { return };
    let other = create(server.options("other")).await;
    let proxy = Proxy::start(server.address()).await;
    let store = connect(quick("a", vec![proxy.endpoint()])).await;
    let begin = put(&store, "a", "1").await;
    let mut watch = store.watch(&Prefix::all(), begin).await.unwrap();
    put(&store, "a", "2").await;
    within("the watch", watch.next()).await.unwrap();
    proxy.cut();
    put(&other, "a", "3").await;
    let last = put(&other, "a", "4").await;
    other.compact(last).await.unwrap();
    proxy.mend();
    let ended = within("the watch", watch.next()).await;
    assert_eq!(ended, Err(StoreError::Compacted { oldest: last }));
}

#[tokio::test]
async fn a_watch_ends_with_its_store() {
    let Some(server) = server(&[]) else { return };
    let store = create(server.options("a")).await;
    let mut watch = store.watch(&Prefix::all(), Revision(0)).await.unwrap();
    drop(store);
    let ended = within("the watch", watch.next()).await;
    assert!(
        matches!(ended, Err(StoreError::Unavailable(_))),
        "{ended:?}"
    );
}

#[tokio::test]
async fn a_commit_larger_than_a_response_is_seen_whole() {
    let Some(server) = server(&[]) else { return };
    let store = create(server.options("a")).await;
    let mut commit = Commit::new();
    for number in 0..10 {
        commit = commit.put(key(&format!("part/{number}")), vec![b'x'; 125_000]);
    }
    let mut revisions = Vec::new();
    for _ in 0..8 {
        revisions.push(store.commit(commit.clone()).await.unwrap());
    }
    // Late, so that etcd has several commits for one response.
    let mut watch = store.watch(&Prefix::all(), Revision(0)).await.unwrap();
    for revision in revisions {
        let changes = within("the watch", watch.next()).await.unwrap();
        assert_eq!((changes.revision, changes.changes.len()), (revision, 10));
    }
}

/// A commit carries the keys of its preconditions twice, and the namespace with every key.
#[tokio::test]
async fn the_largest_commit_fits_into_a_request() {
    let Some(server) = server(&[]) else { return };
    let mut options = server.options("a");
    options.namespace = "n".repeat(64);
    let store = create(options).await;
    let mut commit = Commit::new();
    let mut bytes = limits::COMMIT_BYTES;
    for number in 0..limits::PRECONDITIONS_PER_COMMIT {
        let long = format!("{number:03}{}", "k".repeat(limits::KEY_BYTES - 3));
        bytes -= long.len();
        commit = commit.when(Precondition::Absent(key(&long)));
    }
    for number in 0..limits::WRITES_PER_COMMIT {
        let last = number + 1 == limits::WRITES_PER_COMMIT;
        let size = if last { bytes - 3 } else { 5000 };
        bytes -= size + 3;
        commit = commit.put(key(&format!("{number:03}")), vec![b'x'; size]);
    }
    assert_eq!(bytes, 0);
    store.commit(commit).await.unwrap();
}

#[tokio::test]
async fn a_new_generation_moves_every_handle() {
    let Some(server) = server(&[]) else { return };
    let forcing = create(server.options("a")).await;
    let other = connect(server.options("b")).await;
    let last = put(&other, "kept", "x").await;
    let mut watch = other.watch(&Prefix::all(), last).await.unwrap();
    let small = forcing.begin_generation(last).await;
    assert!(matches!(small, Err(StoreError::Limit(_))), "{small:?}");
    forcing.begin_generation(Revision(1000)).await.unwrap();

    assert_eq!(
        within("the watch", watch.next()).await,
        Err(StoreError::Moved)
    );
    for store in [&forcing, &other] {
        let read = store.get(&key("kept"), Read::Local).await;
        assert_eq!(read, Err(StoreError::Moved));
        let commit = store.commit(Commit::new().put(key("lost"), "x")).await;
        assert_eq!(commit, Err(StoreError::Moved));
    }
    let again = connect(server.options("b")).await;
    assert_ne!(again.id(), other.id());
    assert!(exists(&again, "kept").await && !exists(&again, "lost").await);
    assert!(put(&again, "new", "x").await > Revision(1000));
    let old = again.watch(&Prefix::all(), last).await.err();
    assert_eq!(
        old,
        Some(StoreError::Moved),
        "a revision of the old generation"
    );
}

/// A store that was not told: its next commit finds out.
#[tokio::test]
async fn a_commit_in_another_generation_writes_nothing() {
    let Some(server) = server(&[]) else { return };
    let forcing = create(server.options("a")).await;
    let other = connect(server.options("b")).await;
    forcing.begin_generation(Revision(1000)).await.unwrap();
    let commit = other.commit(Commit::new().put(key("lost"), "x")).await;
    assert_eq!(commit, Err(StoreError::Moved));
}

#[tokio::test]
async fn another_etcd_at_the_same_address_is_another_store() {
    let Some(mut server) = server(&[]) else {
        return;
    };
    let store = create(server.options("a")).await;
    let at = put(&store, "a", "x").await;
    let mut watch = store.watch(&Prefix::all(), at).await.unwrap();
    server.kill();
    server.forget();
    server.run();
    let new = create(server.options("b")).await;
    assert_ne!(new.id(), store.id());
    assert_eq!(
        store.get(&key("a"), Read::Linear).await,
        Err(StoreError::Moved)
    );
    assert_eq!(
        within("the watch", watch.next()).await,
        Err(StoreError::Moved)
    );
}

#[tokio::test]
async fn a_later_process_of_an_agent_ends_the_earlier_one() {
    let Some(server) = server(&[]) else { return };
    let earlier = create(server.options("node1")).await;
    let later = connect(server.options("node1")).await;
    match earlier.commit(Commit::new().put(key("a"), "x")).await {
        Err(StoreError::Unavailable(text)) => assert!(text.contains("agent 'node1'"), "{text}"),
        other => panic!("{other:?}"),
    }
    assert!(!exists(&later, "a").await);
    put(&later, "a", "x").await;
}

#[tokio::test]
async fn a_store_is_made_once_in_a_namespace() {
    let Some(server) = server(&[]) else { return };
    let refusal = |result: Result<EtcdStore, StoreError>| result.err().unwrap().to_string();
    let one = create(server.options("a")).await;
    let again = EtcdStore::create(server.options("a"), clock(), Revision(0)).await;
    assert!(refusal(again).contains("'ostler/' has a store"));
    let mut elsewhere = server.options("a");
    elsewhere.namespace = "ostler2/".to_owned();
    let nothing = EtcdStore::connect(elsewhere.clone(), clock()).await;
    assert!(refusal(nothing).contains("'ostler2/' has no store"));

    put(&one, "a", "x").await;
    let two = create(elsewhere).await;
    assert!(!exists(&two, "a").await);
    let at = two.get(&key("a"), Read::Linear).await.unwrap().1;
    assert_eq!(at, Revision(0), "revisions begin with the store");
}

/// A full etcd accepts deletions only. Doubts are settled there, too.
#[tokio::test]
async fn a_full_store_says_so_and_can_be_emptied() {
    let Some(server) = server(&["--quota-backend-bytes", "3000000"]) else {
        return;
    };
    let proxy = Proxy::start(server.address()).await;
    create(server.options("other")).await;
    let store = through(&proxy, &server).await;
    // Each under a name of its own: what is unknown may have happened.
    for attempt in 0.. {
        assert!(attempt < 100, "50 MB went into it");
        let name = key(&format!("big/{attempt}"));
        match store
            .commit(Commit::new().put(name.clone(), vec![b'x'; 500_000]))
            .await
        {
            Ok(_) => {}
            Err(StoreError::Full(_)) => {
                assert!(!exists(&store, name.as_str()).await, "nothing happened");
                break;
            }
            // The commit that filled it up.
            Err(StoreError::Unknown(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    proxy.hold("big/0");
    let late = store.commit(Commit::new().delete(key("big/0")));
    let (unknown, ()) = tokio::join!(late, proxy.held());
    assert!(
        matches!(unknown, Err(StoreError::Unknown(_))),
        "{unknown:?}"
    );
    assert!(exists(&store, "big/0").await);
    within("etcd answers the late request", proxy.release()).await;
    assert!(exists(&store, "big/0").await);

    for name in ["big/0", "big/1"] {
        store.commit(Commit::new().delete(key(name))).await.unwrap();
        assert!(!exists(&store, name).await);
    }
}

#[tokio::test]
async fn a_local_read_needs_no_session() {
    let Some(server) = server(&[]) else { return };
    let store = create(server.options("a")).await;
    let at = put(&store, "a", "x").await;
    let (entry, revision) = store.get(&key("a"), Read::Local).await.unwrap();
    assert_eq!((entry.unwrap().modified, revision), (at, at));
    let mut watch = store.watch(&Prefix::below("b").unwrap(), at).await.unwrap();
    put(&store, "b/1", "x").await;
    let changes = within("the watch", watch.next()).await.unwrap().changes;
    assert!(matches!(&changes[..], [Change::Put(_)]), "{changes:?}");
}
