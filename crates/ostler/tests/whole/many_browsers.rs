//! A hundred browsers with open change streams, at a node with a hundred guests that run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use sys::{Command, Limits, Processes, RealHost, ScopeName, Scopes};

use crate::harness::namespace::with_bridge;
use crate::harness::websocket::{TEXT, Websocket};
use crate::harness::{TestNode, left_out, put_guest, until};

const GUESTS: u32 = 100;
const BROWSERS: usize = 100;
/// A token may have so many streams.
const STREAMS: usize = 16;
const MEASURED: Duration = Duration::from_secs(60);
/// Of a processor, for a debug build on a busy machine; docs/performance.md has the figures.
const MOST: f64 = 0.5;

/// What stands for a guest: a process in its scope, which does a little.
async fn run_guests(node: &TestNode) {
    let host = RealHost::open(&node.scope_root()).unwrap();
    for vmid in 100..100 + GUESTS {
        let scope = ScopeName::guest(model::VmId::new(vmid).unwrap());
        // Each works for another time, so that its figures change with every sample.
        let work = format!(
            "while :; do n=0; while [ $n -lt {vmid}00 ]; do n=$((n+1)); done; sleep 2; done"
        );
        let command = Command::new("/bin/sh").args(["-c", &work]);
        // The agent removes a scope that it finds empty.
        until("the guest runs", async || {
            let made = host.create_scope(&scope, &Limits::default()).await;
            made.is_ok() && host.spawn(command.clone(), &scope).await.is_ok()
        })
        .await;
    }
}

/// Opens a stream and counts the rows that it brings, to the end of the test.
async fn browse(node: &TestNode, token: &str, rows: Arc<AtomicUsize>) {
    let headers = [("Authorization", token)];
    let path = "/api2/json/ostler/changes";
    let (_, mut stream) = Websocket::open(node.port, path, &headers).await.unwrap();
    assert_eq!(stream.receive().await.0, TEXT);
    tokio::spawn(async move {
        loop {
            let (_, message) = stream.receive().await;
            let message: Value = serde_json::from_slice(&message).unwrap_or_default();
            let changed = message["rows"].as_array().map_or(0, Vec::len);
            rows.fetch_add(changed, Ordering::Relaxed);
        }
    });
}

/// Processor time of a process, in seconds.
fn processor_s(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

#[test]
#[ignore = "thorough: measures for a minute"]
fn a_hundred_browsers_are_light() {
    if left_out("many_browsers") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |store| {
            for vmid in 100..100 + GUESTS {
                put_guest(store, vmid, &[("memory", "64".into())]).await;
            }
        })
        .await;
        run_guests(&node).await;
        let rows = Arc::new(AtomicUsize::new(0));
        for number in 0..BROWSERS.div_ceil(STREAMS) {
            let token =
                json!({"userid": "root@pam", "tokenid": format!("t{number}"), "privsep": 0});
            let made: Value = node.call("token_create", token).await.unwrap().data;
            let secret = made["value"].as_str().unwrap();
            let token = format!("PVEAPIToken=root@pam!t{number}={secret}");
            for _ in 0..STREAMS.min(BROWSERS - number * STREAMS) {
                browse(&node, &token, rows.clone()).await;
            }
        }
        let [api] = node.role("api")[..] else {
            panic!("there is one api")
        };
        let before = processor_s(api);
        rows.store(0, Ordering::Relaxed);
        tokio::time::sleep(MEASURED).await;
        let used = (processor_s(api) - before) / MEASURED.as_secs_f64();
        let rows = rows.load(Ordering::Relaxed) / BROWSERS;
        println!(
            "{BROWSERS} browsers, {GUESTS} guests: {:.1} % of a processor, {rows} rows for each",
            used * 100.0
        );
        assert!(used < MOST, "{used}");
        assert!(
            rows > 5 * GUESTS as usize,
            "{rows} rows are too few to measure"
        );
    });
}
