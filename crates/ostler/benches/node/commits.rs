//! PUT of a guest's configuration until it is durable, beside a bare SQLite commit.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::harness::TestNode;
use crate::load::{Caller, Connection};
use crate::process::{cpu, ms, percentile};

const COMMITS: u32 = 200;

/// As long as the record that a guest has in the store.
const RECORD_BYTES: usize = 700;

pub(crate) const HEAD: &str = "\
| what | times | p50 ms | p95 ms | CPU of api, ms each | of agent |
|---|---|---|---|---|---|";

fn row(what: &str, mut latencies: Vec<Duration>, each: Option<[Duration; 2]>) -> String {
    let (p50, p95) = (
        ms(percentile(&mut latencies, 0.5)),
        ms(percentile(&mut latencies, 0.95)),
    );
    let [api, agent] = each.map_or(["–".into(), "–".into()], |each| each.map(ms));
    format!("| {what} | {COMMITS} | {p50} | {p95} | {api} | {agent} |")
}

/// One after the other on one connection with TLS; each waits for its answer. Beside them
/// reads of the same, which take the same way but for the commit.
pub(crate) async fn through_the_api(node: &TestNode, caller: &Caller, guests: u32) -> Vec<String> {
    let path = "/api2/json/nodes/pve1/qemu/100/config";
    let get = |_| caller.get(path, false);
    let put = |number| caller.put(path, &format!("description=number+{number}"));
    vec![
        asked(node, caller, &format!("GET config, {guests} guests"), get).await,
        asked(node, caller, &format!("PUT config, {guests} guests"), put).await,
        bare(&node.root),
    ]
}

async fn asked(
    node: &TestNode,
    caller: &Caller,
    what: &str,
    request: impl Fn(u32) -> Vec<u8>,
) -> String {
    let pids = [node.role("api")[0], node.role("node")[0]];
    let mut connection = Connection::open(&caller.target).await;
    let before = pids.map(cpu);
    let mut latencies = Vec::new();
    for number in 0..COMMITS {
        let asked = Instant::now();
        connection.ask(&request(number)).await;
        latencies.push(asked.elapsed());
    }
    let after = pids.map(cpu);
    let each = [0, 1].map(|at| (after[at] - before[at]) / COMMITS);
    row(what, latencies, Some(each))
}

/// The same number of commits of one record, with the same pragmas, in the same folder.
fn bare(folder: &Path) -> String {
    let connection = rusqlite::Connection::open(folder.join("bare.db")).unwrap();
    connection
        .pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))
        .unwrap();
    connection
        .pragma_update(None, "synchronous", "full")
        .unwrap();
    connection
        .execute("CREATE TABLE record (key TEXT PRIMARY KEY, value BLOB)", ())
        .unwrap();
    let mut latencies = Vec::new();
    for number in 0..COMMITS {
        let mut value = vec![b'x'; RECORD_BYTES];
        value.extend_from_slice(&number.to_be_bytes());
        let begun = Instant::now();
        connection
            .execute("REPLACE INTO record VALUES ('guest/100', ?1)", [value])
            .unwrap();
        latencies.push(begun.elapsed());
    }
    row("bare SQLite commit, fsync of its log", latencies, None)
}
