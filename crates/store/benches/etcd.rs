//! A commit in etcd until a watch reports it, beside a bare put and watch of the same etcd in the
//! same run; `./x bench etcd` runs it.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench prints, fails where it stands, starts programs and reads real time"
)]

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use prost::Message;
use store::{
    ClusterOptions, ClusterStore, Commit, Connect, EtcdOptions, EtcdStore, Key, Origin,
    Precondition, Prefix, Read, Replica, Revision, SharedStore, Store, StoreError,
};
use sys::SystemClock;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Streaming};
use tonic_prost::ProstCodec;

const TIMES: usize = 1000;
/// As long as the record that a guest has in the store.
const RECORD_BYTES: usize = 700;

#[tokio::main]
async fn main() {
    let cache = std::env::var("OSTLER_CACHE").unwrap_or_else(|_| "/var/cache/ostler".to_owned());
    let program = PathBuf::from(cache).join("etcd");
    let folder = tempfile::tempdir().unwrap();
    let [_, _, middle, low] = std::process::id().to_be_bytes();
    let address = Ipv4Addr::new(127, 63, middle, low);
    let endpoint = format!("http://{address}:2379");
    let _server = start(&program, folder.path(), address);
    let store: SharedStore = Arc::new(create(&endpoint).await);
    let cluster = cluster(&endpoint, folder.path()).await;
    println!("| put → watch, one member, fsync | times | p50 ms | p95 ms |\n|---|---|---|---|");
    // In turns, so that both meet the same load.
    let (mut ours, mut wrapped, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    let (mut read, mut read_wrapped) = (Vec::new(), Vec::new());
    let mut committing = Committing::start(store.clone(), "guest/100").await;
    let mut with_replica = Committing::start(cluster.clone(), "guest/101").await;
    let mut putting = Putting::start(&endpoint).await;
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

/// Ends the server.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn start(program: &std::path::Path, folder: &std::path::Path, address: Ipv4Addr) -> Server {
    let (client, peer) = (
        format!("http://{address}:2379"),
        format!("http://{address}:2380"),
    );
    let process = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--"])
        .arg(program)
        .arg("--data-dir")
        .arg(folder)
        .args(["--listen-client-urls", &client])
        .args(["--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer])
        .args(["--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("default={peer}")])
        .args(["--log-level", "error"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Server(process)
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
async fn cluster(endpoint: &str, folder: &std::path::Path) -> SharedStore {
    struct Found(String);
    #[async_trait]
    impl Connect for Found {
        async fn connect(&self) -> Result<Arc<dyn Origin>, StoreError> {
            let options = EtcdOptions::new("cluster", vec![self.0.clone()]);
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

struct Committing {
    store: SharedStore,
    key: Key,
    watch: Box<dyn store::Watch>,
    last: Revision,
}

impl Committing {
    async fn start(store: SharedStore, key: &str) -> Self {
        let key = Key::new(key).unwrap();
        let commit = Commit::new().put(key.clone(), vec![b'x'; RECORD_BYTES]);
        let last = store.commit(commit).await.unwrap();
        let watch = store.watch(&Prefix::all(), last).await.unwrap();
        Self {
            store,
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

struct Putting {
    channel: Channel,
    responses: Streaming<WatchResponse>,
}

impl Putting {
    async fn start(endpoint: &str) -> Self {
        let target = Endpoint::from_shared(endpoint.to_owned()).unwrap();
        let create = WatchRequest {
            create: Some(WatchCreate {
                key: b"bare".to_vec(),
            }),
        };
        let requests = stream::iter([create]).chain(stream::pending());
        let mut grpc = Grpc::new(target.connect().await.unwrap());
        grpc.ready().await.unwrap();
        let path = PathAndQuery::from_static("/etcdserverpb.Watch/Watch");
        let codec = ProstCodec::<WatchRequest, WatchResponse>::default();
        let answer = grpc.streaming(Request::new(requests), path, codec).await;
        let mut responses = answer.unwrap().into_inner();
        assert!(responses.message().await.unwrap().unwrap().created);
        Self {
            channel: target.connect().await.unwrap(),
            responses,
        }
    }

    async fn once(&mut self) -> Duration {
        let put = PutRequest {
            key: b"bare".to_vec(),
            value: vec![b'x'; RECORD_BYTES],
        };
        let begun = Instant::now();
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.unwrap();
        let path = PathAndQuery::from_static("/etcdserverpb.KV/Put");
        let codec = ProstCodec::<PutRequest, Done>::default();
        grpc.unary(Request::new(put), path, codec).await.unwrap();
        self.responses.message().await.unwrap().unwrap();
        begun.elapsed()
    }
}

#[derive(Clone, PartialEq, Message)]
struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Done {}

#[derive(Clone, PartialEq, Message)]
struct WatchRequest {
    #[prost(message, optional, tag = "1")]
    create: Option<WatchCreate>,
}

#[derive(Clone, PartialEq, Message)]
struct WatchCreate {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct WatchResponse {
    #[prost(bool, tag = "3")]
    created: bool,
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
