//! Commits in etcd until a watch reports them, beside bare puts and watches of the same etcd in the
//! same run; and what many agents and records cost. `./x bench etcd` runs it.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench prints, fails where it stands, starts programs and reads real time"
)]

mod bare;
mod fleet;
mod server;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bare::Putting;
use store::{
    ClusterOptions, ClusterStore, Commit, Connect, EtcdOptions, EtcdStore, Key, Origin,
    Precondition, Prefix, Read, Replica, Revision, SharedStore, Store, StoreError,
};
use sys::SystemClock;

const TIMES: usize = 1000;
/// As long as the record that a guest has in the store.
const RECORD_BYTES: usize = 700;

#[tokio::main]
async fn main() {
    // Cargo adds an argument of its own.
    let part = std::env::args().skip(1).find(|word| word != "--bench");
    match part.as_deref() {
        None => {
            one_member().await;
            three_members().await;
        }
        Some("fleet") => fleet::measure().await,
        Some(part) => panic!("there is no part '{part}': fleet"),
    }
}

async fn one_member() {
    let folder = tempfile::tempdir().unwrap();
    let server = server::start(folder.path(), 1, 1);
    let endpoint = &server.endpoint;
    let store: SharedStore = Arc::new(create(endpoint).await);
    let cluster = cluster(endpoint, folder.path()).await;
    println!("| put → watch, one member, fsync | times | p50 ms | p95 ms |\n|---|---|---|---|");
    // In turns, so that both meet the same load.
    let (mut ours, mut wrapped, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    let (mut read, mut read_wrapped) = (Vec::new(), Vec::new());
    let mut committing = Committing::start(store.clone(), store.clone(), "guest/100").await;
    let mut with_replica = Committing::start(cluster.clone(), cluster.clone(), "guest/101").await;
    let mut putting = Putting::start(endpoint, endpoint).await;
    for _ in 0..TIMES {
        ours.push(committing.once().await);
        wrapped.push(with_replica.once().await);
        bare.push(putting.once().await);
        read.push(get(&store, Read::Linear).await);
        read_wrapped.push(get(&cluster, Read::Local).await);
    }
    let ratio = median(&mut ours) / median(&mut bare);
    row("the store: commit with a precondition", &mut ours);
    row(
        "the store of a cluster: the same, with a replica",
        &mut wrapped,
    );
    row("bare etcd", &mut bare);
    row("a linear read of the store", &mut read);
    row("a local read of the store of a cluster", &mut read_wrapped);
    println!("\nRatio of p50: {ratio:.2}");
}

/// A change at one node until another node sees it, each with a server of its own.
async fn three_members() {
    let folder = tempfile::tempdir().unwrap();
    let servers: Vec<_> = (1..=3)
        .map(|number| server::start(folder.path(), number, 3))
        .collect();
    let [one, two] = [0, 1].map(|number| servers[number].endpoint.clone());
    let made = create(&one).await;
    drop(made);
    let here = cluster(&one, &folder.path().join("m1")).await;
    let there = cluster(&two, &folder.path().join("m2")).await;
    let mut committing = Committing::start(here, there, "guest/100").await;
    let mut putting = Putting::start(&one, &two).await;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        ours.push(committing.once().await);
        bare.push(putting.once().await);
    }
    let ratio = median(&mut ours) / median(&mut bare);
    println!("\n| put at A → watch at B, three members, fsync | times | p50 ms | p95 ms |");
    println!("|---|---|---|---|");
    row(
        "the store of a cluster: commit with a precondition",
        &mut ours,
    );
    row("bare etcd", &mut bare);
    println!("\nRatio of p50: {ratio:.2}");
}

async fn create(endpoint: &str) -> EtcdStore {
    let begun = Instant::now();
    loop {
        let options = EtcdOptions::new("bench", vec![endpoint.to_owned()]);
        match EtcdStore::create(options, Arc::new(SystemClock::new()), Revision(0)).await {
            Ok(store) => return store,
            Err(error) if begun.elapsed() > Duration::from_secs(20) => panic!("{error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// The store as an agent has it, with a replica beside etcd's data.
async fn cluster(endpoint: &str, folder: &Path) -> SharedStore {
    struct Found(String);
    #[async_trait]
    impl Connect for Found {
        async fn connect(&self) -> Result<Arc<dyn Origin>, StoreError> {
            let options = EtcdOptions::new(self.0.clone(), vec![self.0.clone()]);
            let store = EtcdStore::connect(options, Arc::new(SystemClock::new())).await?;
            Ok(Arc::new(store))
        }
    }
    let clock = Arc::new(SystemClock::new());
    let replica = Replica::open(folder.join("replica.db"), clock.clone()).unwrap();
    let found = Arc::new(Found(endpoint.to_owned()));
    let store = ClusterStore::open(replica, found, None, clock, ClusterOptions::default());
    store.until_outage(false).await;
    Arc::new(store)
}

async fn get(store: &SharedStore, read: Read) -> Duration {
    let key = Key::new("guest/100").unwrap();
    let begun = Instant::now();
    store.get(&key, read).await.unwrap();
    begun.elapsed()
}

/// Commits at one store and watches at another, or at the same.
struct Committing {
    store: SharedStore,
    /// Its watch ends with it.
    _seen_by: SharedStore,
    key: Key,
    watch: Box<dyn store::Watch>,
    last: Revision,
}

impl Committing {
    async fn start(store: SharedStore, seen_by: SharedStore, key: &str) -> Self {
        let key = Key::new(key).unwrap();
        let commit = Commit::new().put(key.clone(), vec![b'x'; RECORD_BYTES]);
        let last = store.commit(commit).await.unwrap();
        let watch = seen_by.watch(&Prefix::all(), last).await.unwrap();
        Self {
            store,
            _seen_by: seen_by,
            key,
            watch,
            last,
        }
    }

    async fn once(&mut self) -> Duration {
        let commit = Commit::new()
            .when(Precondition::ModifiedAt(self.key.clone(), self.last))
            .put(self.key.clone(), vec![b'x'; RECORD_BYTES]);
        let begun = Instant::now();
        self.last = self.store.commit(commit).await.unwrap();
        // Before it come those of the others.
        while self.watch.next().await.unwrap().revision < self.last {}
        begun.elapsed()
    }
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}

fn row(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let ms = |part: f64| times[(times.len() as f64 * part) as usize].as_secs_f64() * 1000.0;
    println!("| {what} | {TIMES} | {:.2} | {:.2} |", ms(0.5), ms(0.95));
}
