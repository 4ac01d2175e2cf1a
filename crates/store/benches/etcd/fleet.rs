//! What 1,000 agents and 100,000 records cost one etcd, and how fast all of them go on after it was
//! restarted.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use store::{
    Commit, EtcdOptions, EtcdStore, Key, Origin, Prefix, Read, Replica, Revision, Store, Watch,
    limits,
};
use sys::SystemClock;

use crate::server::{self, Server};
use crate::{RECORD_BYTES, create};

const AGENTS: usize = 1000;
const RECORDS: usize = 100_000;
/// How long everything is left alone.
const IDLE: Duration = Duration::from_secs(20);

pub(crate) async fn measure() {
    allow_descriptors();
    let folder = tempfile::tempdir().unwrap();
    let server = server::start(folder.path(), 1, 1);
    let store = create(&server.endpoint).await;
    println!(
        "| {AGENTS} agents, {RECORDS} records of {RECORD_BYTES} bytes, one member | |\n|---|---|"
    );
    let begun = Instant::now();
    fill(&store).await;
    row("records written", seconds(begun));
    row("etcd, RSS with the records", mib(rss(server.pid())));

    let begun = Instant::now();
    let id = store.id();
    let replica = Replica::open(folder.path().join("replica.db"), clock()).unwrap();
    tokio::select! {
        error = replica.follow(&store, &id) => panic!("{error}"),
        () = until_at(&replica, &store) => {}
    }
    row("an agent's first copy of all records", seconds(begun));

    let own = rss(std::process::id());
    let begun = Instant::now();
    let mut agents = agents(&server).await;
    row(
        "agents connected, each with a watch of everything",
        seconds(begun),
    );
    row("etcd, RSS with the agents", mib(rss(server.pid())));
    let each = rss(std::process::id()).saturating_sub(own) / AGENTS as u64;
    row(
        "an agent's connections and watch, RSS",
        format!("{} KiB", each >> 10),
    );

    let (proposals, used) = (proposals(&server), cpu_ms(server.pid()));
    tokio::time::sleep(IDLE).await;
    let idle = IDLE.as_secs_f64();
    let writes = (self::proposals(&server) - proposals) / idle;
    row("idle: writes of etcd per second", format!("{writes:.2}"));
    let used = (cpu_ms(server.pid()) - used) as f64 / (idle * 10.0);
    row("idle: etcd, share of a processor", format!("{used:.1} %"));

    row(
        "a change until every agent has seen it",
        seen_by_all(&store, &mut agents).await,
    );
    drop(server);
    let _server = server::start(folder.path(), 1, 1);
    let begun = Instant::now();
    let waited = seen_by_all(&store, &mut agents).await;
    row(
        "etcd killed and started: until a change is accepted and every agent has seen it",
        format!("{} (the change itself: {waited})", seconds(begun)),
    );
}

/// 1,000 agents need several thousand connections.
fn allow_descriptors() {
    let pid = std::process::id().to_string();
    // As many as are allowed.
    let raised = "prlimit --pid $0 --nofile=$(ulimit -Hn):";
    let raised = Command::new("sh").args(["-c", raised, &pid]).status();
    assert!(raised.unwrap().success(), "the limit of open files");
}

fn clock() -> Arc<SystemClock> {
    Arc::new(SystemClock::new())
}

async fn fill(store: &EtcdStore) {
    let numbers: Vec<usize> = (0..RECORDS).collect();
    for chunk in numbers.chunks(limits::WRITES_PER_COMMIT) {
        let put = |commit: Commit, number: &usize| {
            let key = Key::new(format!("guest/{number}")).unwrap();
            commit.put(key, vec![b'x'; RECORD_BYTES])
        };
        store
            .commit(chunk.iter().fold(Commit::new(), put))
            .await
            .unwrap();
    }
}

/// Waits until a replica has what the store has.
async fn until_at(replica: &Replica, store: &EtcdStore) {
    let (_, at) = store.get(&probe(), Read::Linear).await.unwrap();
    while replica
        .standing()
        .is_none_or(|standing| standing.revision < at)
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn probe() -> Key {
    Key::new("guest/0").unwrap()
}

struct Agent {
    _store: EtcdStore,
    watch: Box<dyn Watch>,
}

async fn agents(server: &Server) -> Vec<Agent> {
    let mut agents = Vec::new();
    let numbers: Vec<usize> = (0..AGENTS).collect();
    // As many at once as a machine room that gets its power back.
    for chunk in numbers.chunks(100) {
        let connected = chunk.iter().map(async |number| {
            let options =
                EtcdOptions::new(format!("agent-{number}"), vec![server.endpoint.clone()]);
            let store = EtcdStore::connect(options, clock()).await.unwrap();
            let (_, at) = store.get(&probe(), Read::Linear).await.unwrap();
            let watch = store.watch(&Prefix::all(), at).await.unwrap();
            Agent {
                _store: store,
                watch,
            }
        });
        agents.extend(join_all(connected).await);
    }
    agents
}

/// Commits a change, again until it is accepted, and waits until every agent has it.
async fn seen_by_all(store: &EtcdStore, agents: &mut [Agent]) -> String {
    let begun = Instant::now();
    let at = loop {
        let change = Commit::new().put(probe(), vec![b'y'; RECORD_BYTES]);
        match store.commit(change).await {
            Ok(at) => break at,
            Err(error) if begun.elapsed() > Duration::from_secs(60) => panic!("{error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    let committed = begun.elapsed();
    join_all(agents.iter_mut().map(|agent| see(agent, at))).await;
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    format!(
        "committed {:.0} ms, seen {:.0} ms",
        ms(committed),
        ms(begun.elapsed())
    )
}

async fn see(agent: &mut Agent, at: Revision) {
    while agent.watch.next().await.unwrap().revision < at {}
}

fn seconds(begun: Instant) -> String {
    format!("{:.1} s", begun.elapsed().as_secs_f64())
}

fn row(what: &str, value: impl std::fmt::Display) {
    println!("| {what} | {value} |");
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

/// The resident memory of a process, in bytes.
fn rss(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        << 10
}

/// The CPU time of a process, in milliseconds.
fn cpu_ms(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = stat.rsplit_once(") ").unwrap().1;
    let ticks = fields.split(' ').skip(11).take(2);
    ticks.map(|field| field.parse::<u64>().unwrap() * 10).sum()
}

/// How many proposals of a write etcd has carried out.
fn proposals(server: &Server) -> f64 {
    let address = server.endpoint.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let name = "etcd_server_proposals_applied_total ";
    let line = answer.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().parse().unwrap()
}
