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
| what | commits | p50 ms | p95 ms | CPU of api and agent, ms each |
|---|---|---|---|---|";

fn row(what: &str, mut latencies: Vec<Duration>, each: Option<Duration>) -> String {
    let (p50, p95) = (
        percentile(&mut latencies, 0.5),
        percentile(&mut latencies, 0.95),
    );
    let each = each.map_or("–".to_owned(), ms);
    format!(
        "| {what} | {COMMITS} | {} | {} | {each} |",
        ms(p50),
        ms(p95)
    )
}

/// One after the other on one connection with TLS; each waits for its answer.
pub(crate) async fn through_the_api(node: &TestNode, caller: &Caller, guests: u32) -> String {
    let pids = [node.role("api")[0], node.role("node")[0]];
    let spent = || pids.iter().map(|pid| cpu(*pid)).sum::<Duration>();
    let mut connection = Connection::open(&caller.target).await;
    let before = spent();
    let mut latencies = Vec::new();
    for number in 0..COMMITS {
        let path = "/api2/json/nodes/pve1/qemu/100/config";
        let request = caller.put(path, &format!("description=number+{number}"));
        let asked = Instant::now();
        connection.ask(&request).await;
        latencies.push(asked.elapsed());
    }
    let each = (spent() - before) / COMMITS;
    row(
        &format!("PUT config, {guests} guests"),
        latencies,
        Some(each),
    )
}

/// The same number of commits of one record, with the same pragmas, in the same folder.
pub(crate) fn bare(folder: &Path) -> String {
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
