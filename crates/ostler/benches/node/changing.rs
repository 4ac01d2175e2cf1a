//! Lists of which one row in a hundred changes between two requests. The agent is one of the
//! bench's own, so that what it costs is not measured.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use model::{Error, VmId};
use proto::status::{StatusUpdate, WatchMessage};
use proto::wire::{Answer, Peer, Request, Responder, Service, Streamed, serve};
use proto::{Credential, Identity};
use store::{Commit, Key, MemoryStore, Read, SharedStore};
use sys::SystemClock;
use tokio::net::UnixListener;
use tokio::task::JoinSet;

use crate::lists::{RESOURCES, owner, put_guests_of, record, wait_at};
use crate::load::{Caller, Connection, Target};
use crate::process::{cpu, ms, percentile};
use crate::servers::{self, Server};

/// Requests of a row.
const ROUNDS: u32 = 200;

/// One guest of so many changes.
const PART: usize = 100;

pub(crate) const HEAD: &str = "\
| nodes | guests | gzip | bytes | p50 ms | p95 ms | api µs with the changes | bare p50 ms | ratio |
|---|---|---|---|---|---|---|---|---|";

/// An agent that has a store and says that the nodes are well.
struct Agent {
    store: SharedStore,
    nodes: u32,
}

#[async_trait]
impl Service for Agent {
    /// Any operation: the answer is worth waiting for until the api has what is in the store.
    async fn request(&self, _: Peer, _: Request) -> Result<Answer, Error> {
        let (_, revision) = self.store.get(&Key::new("x").unwrap(), Read::Local).await?;
        Ok(Answer::null().at(revision.0))
    }

    async fn stream(&self, _: Peer, _: Request) -> Result<Streamed, Error> {
        Err(Error::bug("no streams here"))
    }

    async fn verify(&self, _: Peer, _: Credential, _: Option<String>) -> Result<Identity, Error> {
        Ok(Identity::root())
    }

    async fn watch(&self, _: Peer, mut responder: Responder) -> Result<(), Error> {
        for node in 0..self.nodes {
            let well: WatchMessage<store::FeedMessage> = WatchMessage::Status(StatusUpdate {
                silent: false,
                node: owner(node, self.nodes).parse().unwrap(),
                complete: true,
                usage: None,
                guests: Vec::new(),
                storages: None,
                alerts: None,
            });
            responder.send(serde_json::to_value(well).unwrap()).await?;
        }
        let mut feed = store::feed(self.store.clone(), Vec::new());
        loop {
            let message = WatchMessage::Store(feed.next().await?);
            responder
                .send(serde_json::to_value(message).unwrap())
                .await?;
        }
    }
}

impl Agent {
    /// Gives other names to guests that lie far from each other.
    async fn change(&self, guests: u32, round: u32) {
        let vmids: Vec<u32> = (100..100 + guests).step_by(PART).collect();
        let commit = vmids.iter().fold(Commit::new(), |commit, vmid| {
            // Not the same ones each time.
            let vmid = vmid + round % u32::try_from(PART).unwrap();
            let record = record(vmid, &format!("renamed-{round}"), &owner(vmid, self.nodes));
            commit.put(node::guest_key(VmId::new(vmid).unwrap()), record)
        });
        self.store.commit(commit).await.unwrap();
    }
}

/// Prints the rows for so many guests, without TLS.
pub(crate) async fn measure(guests: u32, nodes: u32) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("node.sock");
    let store: SharedStore = Arc::new(MemoryStore::new(Arc::new(SystemClock::new())));
    put_guests_of(&store, guests, nodes).await;
    let agent = Arc::new(Agent { store, nodes });
    let mut serving = JoinSet::new();
    serving.spawn(serve(UnixListener::bind(&socket).unwrap(), agent.clone()));
    let api = Server::start(&[Path::new(servers::PLAIN), &socket]);
    let caller = Caller {
        credential: "PVEAPIToken=root@pam!bench=x".to_owned(),
        target: Target {
            port: api.port,
            tls: None,
        },
    };
    wait_at(&caller, &caller.target, guests).await;
    for gzip in [false, true] {
        row(&agent, &caller, api.pid(), guests, gzip).await;
    }
}

async fn row(agent: &Agent, caller: &Caller, api: u32, guests: u32, gzip: bool) {
    let request = caller.get(RESOURCES, gzip);
    let wait = caller.get("/api2/json/cluster/nextid", false);
    let mut connection = Connection::open(&caller.target).await;
    let raw = connection.ask(&request).await.0.to_vec();
    let mut latencies = Vec::new();
    let before = cpu(api);
    for round in 0..ROUNDS {
        agent.change(guests, round).await;
        connection.ask(&wait).await;
        let asked = Instant::now();
        connection.ask(&request).await;
        latencies.push(asked.elapsed());
    }
    let each = (cpu(api) - before).as_secs_f64() * 1e6 / f64::from(ROUNDS);
    let mut bare = bare(caller, &raw, gzip).await;
    let (p50, p95) = (
        percentile(&mut latencies, 0.5),
        percentile(&mut latencies, 0.95),
    );
    let bare = percentile(&mut bare, 0.5);
    println!(
        "| {} | {guests} | {} | {} | {} | {} | {each:.0} | {} | {:.1} |",
        agent.nodes,
        if gzip { "yes" } else { "no" },
        raw.len(),
        ms(p50),
        ms(p95),
        ms(bare),
        p50.as_secs_f64() / bare.as_secs_f64()
    );
}

/// How long the same bytes take from a bare server.
async fn bare(caller: &Caller, raw: &[u8], gzip: bool) -> Vec<std::time::Duration> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(servers::answer_file(RESOURCES, gzip));
    std::fs::write(file, raw).unwrap();
    let server = Server::start(&[Path::new(servers::BARE), folder.path()]);
    let target = Target {
        port: server.port,
        tls: None,
    };
    let request = caller.get(RESOURCES, gzip);
    let mut connection = Connection::open(&target).await;
    let mut latencies = Vec::new();
    for _ in 0..ROUNDS {
        let asked = Instant::now();
        connection.ask(&request).await;
        latencies.push(asked.elapsed());
    }
    latencies
}
