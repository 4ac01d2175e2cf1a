//! A cluster that loses members, while stores write to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use store::conformance::within;
use store::{
    Change, Commit, EtcdOptions, EtcdStore, Key, Precondition, Prefix, Read, Revision, Store,
    StoreError, Watch,
};
use tokio::task::JoinHandle;

use crate::cluster::{Cluster, inside};
use crate::server::{answered, connect, create, quick};

fn key(text: impl Into<String>) -> Key {
    Key::new(text).unwrap()
}

fn options(agent: &str, endpoints: Vec<String>) -> EtcdOptions {
    EtcdOptions {
        request_timeout: Duration::from_millis(1000),
        ping_interval: Duration::from_millis(1000),
        ..quick(agent, endpoints)
    }
}

/// Increments a counter, and makes a key of its own with each increment.
struct Writer {
    store: Arc<EtcdStore>,
    name: usize,
    /// Wakes those that wait for progress.
    count: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

/// The keys that a writer made, with their revisions as far as they were answered, and the keys that
/// it read to be missing after an unknown outcome.
#[derive(Default)]
struct Book {
    made: BTreeMap<Key, Option<Revision>>,
    missing: Vec<Key>,
}

impl Writer {
    async fn run(self) -> Book {
        let mut book = Book::default();
        for number in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let name = key(format!("made/{}/{number:05}", self.name));
            match self.increment(&name).await {
                Ok(revision) => {
                    book.made.insert(name, Some(revision));
                    self.count.fetch_add(1, Ordering::Relaxed);
                }
                Err(StoreError::Unknown(_)) => {
                    if self.was_made(&name).await {
                        book.made.insert(name, None);
                    } else {
                        book.missing.push(name);
                    }
                }
                Err(
                    StoreError::Conflict { .. } | StoreError::NoQuorum | StoreError::Unavailable(_),
                ) => book.missing.push(name),
                Err(error) => panic!("{error}"),
            }
        }
        book
    }

    async fn increment(&self, name: &Key) -> Result<Revision, StoreError> {
        let (counter, _) = self.store.get(&key("counter"), Read::Linear).await?;
        let counter = counter.expect("it was made before");
        let count: usize = str::from_utf8(&counter.value).unwrap().parse().unwrap();
        let commit = Commit::new()
            .when(Precondition::ModifiedAt(key("counter"), counter.modified))
            .when(Precondition::Absent(name.clone()))
            .put(key("counter"), (count + 1).to_string())
            .put(name.clone(), "x");
        self.store.commit(commit).await
    }

    async fn was_made(&self, name: &Key) -> bool {
        answered(|| self.store.get(name, Read::Linear))
            .await
            .0
            .is_some()
    }
}

/// The writers of a test.
struct Writers {
    stores: Vec<Arc<EtcdStore>>,
    counts: Vec<Arc<AtomicUsize>>,
    stop: Arc<AtomicBool>,
    books: Vec<JoinHandle<Book>>,
}

impl Writers {
    async fn start(cluster: &Cluster) -> Self {
        let first = create(options("n0", cluster.endpoints_from(0))).await;
        let counter = Commit::new().put(key("counter"), "0");
        first.commit(counter).await.unwrap();
        let mut writers = Self {
            stores: vec![Arc::new(first)],
            counts: Vec::new(),
            stop: Arc::new(AtomicBool::new(false)),
            books: Vec::new(),
        };
        for n in 1..Cluster::SIZE {
            let store = connect(options(&format!("n{n}"), cluster.endpoints_from(n))).await;
            writers.stores.push(Arc::new(store));
        }
        for (name, store) in writers.stores.iter().enumerate() {
            let count = Arc::new(AtomicUsize::new(0));
            let writer = Writer {
                store: Arc::clone(store),
                name,
                count: Arc::clone(&count),
                stop: Arc::clone(&writers.stop),
            };
            writers.counts.push(count);
            writers.books.push(tokio::spawn(writer.run()));
        }
        writers
    }

    /// Waits until every writer has had success again.
    async fn all_go_on(&self) {
        let seen: Vec<_> = self
            .counts
            .iter()
            .map(|c| c.load(Ordering::Relaxed))
            .collect();
        let waiting = async {
            while self
                .counts
                .iter()
                .zip(&seen)
                .any(|(count, before)| count.load(Ordering::Relaxed) < before + 3)
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        within("all writers go on", waiting).await;
    }

    /// Stops, and checks that the store is what the writers' books say.
    async fn balance(self, mut watch: Box<dyn Watch>) {
        self.stop.store(true, Ordering::Relaxed);
        let (mut made, mut missing) = (BTreeMap::new(), Vec::new());
        for book in self.books {
            let book = book.await.unwrap();
            made.extend(book.made);
            missing.extend(book.missing);
        }
        let store = &self.stores[0];
        let all = Prefix::below("made").unwrap();
        let list = || store::list_all(&**store, &all, Read::Linear);
        let (entries, _) = answered(list).await;
        let names: Vec<_> = entries.iter().map(|entry| &entry.key).collect();
        assert_eq!(
            names,
            made.keys().collect::<Vec<_>>(),
            "all of them, no other"
        );
        for entry in &entries {
            let answered = made[&entry.key];
            assert!(
                answered.is_none_or(|at| at == entry.created),
                "{}",
                entry.key
            );
        }
        let counter = store.get(&key("counter"), Read::Linear).await.unwrap().0;
        assert_eq!(counter.unwrap().value, made.len().to_string().as_bytes());
        assert!(missing.iter().all(|key| !made.contains_key(key)));

        let mut by_revision: Vec<_> = entries.iter().map(|e| (e.created, &e.key)).collect();
        by_revision.sort_unstable();
        for (revision, name) in by_revision {
            let changes = within("the watch", watch.next()).await.unwrap();
            assert_eq!(changes.revision, revision, "a gap or a repeat");
            match &changes.changes[..] {
                [Change::Put(entry)] => assert_eq!(entry.key, *name),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// The leader is killed, stopped and continued, and cut off, one after the other.
#[test]
fn what_was_acknowledged_survives_the_loss_of_every_leader() {
    inside(async {
        let mut cluster = Cluster::start(1000).await;
        let writers = Writers::start(&cluster).await;
        let made = Prefix::below("made").unwrap();
        let watch = writers.stores[1].watch(&made, Revision(0)).await.unwrap();
        writers.all_go_on().await;

        let leader = cluster.leader(None).await;
        cluster.kill(leader);
        writers.all_go_on().await;
        cluster.start_again(leader);
        writers.all_go_on().await;

        let leader = cluster.leader(None).await;
        cluster.signal(leader, "STOP");
        writers.all_go_on().await;
        cluster.signal(leader, "CONT");
        writers.all_go_on().await;

        let leader = cluster.leader(None).await;
        cluster.cut(leader);
        cluster.leader(Some(leader)).await;
        writers.all_go_on().await;
        cluster.heal(leader);
        writers.all_go_on().await;

        writers.balance(watch).await;
    });
}

#[test]
fn a_minority_reads_what_it_has_and_writes_nothing() {
    inside(async {
        let cluster = Cluster::start(1000).await;
        let majority = create(options("a", cluster.endpoints_from(0))).await;
        let lonely = cluster.leader(None).await;
        let others = cluster.endpoints_from(lonely)[1..].to_vec();
        let minority = connect(options("b", vec![cluster.endpoint(lonely)])).await;
        let majority = {
            drop(majority);
            connect(options("a", others)).await
        };
        let at = majority
            .commit(Commit::new().put(key("a"), "1"))
            .await
            .unwrap();
        let (old, _) = minority.get(&key("a"), Read::Linear).await.unwrap();
        assert_eq!(old.as_ref().unwrap().modified, at);

        cluster.cut(lonely);
        let lost = minority.commit(Commit::new().put(key("lost"), "x")).await;
        assert!(
            matches!(lost, Err(StoreError::NoQuorum | StoreError::Unknown(_))),
            "{lost:?}"
        );
        cluster.leader(Some(lonely)).await;
        let put = Commit::new().put(key("a"), "2");
        answered(|| majority.commit(put.clone())).await;
        // Once the member knows that it has no leader, it says so at once.
        let told = async {
            while minority.commit(Commit::new().put(key("lost"), "x")).await
                != Err(StoreError::NoQuorum)
            {}
        };
        within("the minority knows", told).await;
        let linear = minority.get(&key("a"), Read::Linear).await;
        assert_eq!(linear, Err(StoreError::NoQuorum));
        let local = minority.get(&key("a"), Read::Local).await.unwrap().0;
        assert_eq!(local, old);

        cluster.heal(lonely);
        let (lost, a) = (key("lost"), key("a"));
        let (lost, _) = answered(|| minority.get(&lost, Read::Linear)).await;
        assert_eq!(lost, None);
        let (a, _) = answered(|| minority.get(&a, Read::Linear)).await;
        assert_eq!(a.unwrap().value, b"2");
    });
}

/// The follower that got the commit is cut off from the leader. The proposal waits in its connection,
/// which delivers it when the network is whole again.
#[test]
fn a_forwarded_proposal_that_was_held_back_never_happens() {
    inside(async {
        // Long elections: nothing but the proposal happens during the cut.
        let cluster = Cluster::start(5000).await;
        let first = create(options("first", cluster.endpoints_from(0))).await;
        let leader = cluster.leader(None).await;
        let follower = (leader + 1) % Cluster::SIZE;
        let store = connect(EtcdOptions {
            request_timeout: Duration::from_millis(300),
            ..options(
                "a",
                vec![cluster.endpoint(follower), cluster.endpoint(leader)],
            )
        })
        .await;
        let behind = connect(options("b", vec![cluster.endpoint(follower)])).await;
        for store in [&first, &store, &behind] {
            store
                .commit(Commit::new().put(key("before"), "x"))
                .await
                .unwrap();
        }

        cluster.cut(follower);
        let late = store.commit(Commit::new().put(key("late"), "x")).await;
        assert!(matches!(late, Err(StoreError::Unknown(_))), "{late:?}");
        let (seen, _) = store.get(&key("late"), Read::Linear).await.unwrap();
        assert_eq!(seen, None);
        cluster.heal(follower);

        // It goes through the same connection, after the late one.
        let next = Commit::new().put(key("next"), "x");
        answered(|| behind.commit(next.clone())).await;
        let (seen, _) = first.get(&key("late"), Read::Linear).await.unwrap();
        assert_eq!(seen, None, "it came after a read without it");
    });
}
