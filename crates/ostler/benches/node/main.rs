//! What a node costs beside what it cannot do without; `./x bench` runs it and
//! docs/performance.md says how to read it. All load stays on the loopback and is bounded.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench prints, fails where it stands, starts programs and reads real time"
)]

mod by_hand;
mod changing;
mod commits;
mod crowd;
mod disks;
#[path = "../../tests/whole/harness/mod.rs"]
mod harness;
mod lists;
mod load;
mod process;
mod servers;
mod starts;

use std::time::{Duration, Instant};

use harness::{TestNode, left_out};
use load::{Caller, Target};
use process::Weights;
use serde_json::json;

/// How many guests the nodes have.
const SIZES: [u32; 3] = [10, 2_000, 10_000];

/// How long a node is left alone before it is weighed.
const REST: Duration = Duration::from_secs(3);

/// The parts that can be measured alone.
const PARTS: [&str; 4] = ["lists", "starts", "disks", "crowd"];

fn main() {
    // Cargo adds an argument of its own.
    let mut arguments = std::env::args().skip(1).filter(|word| word != "--bench");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(16)
        .enable_all()
        .build()
        .unwrap();
    match arguments.next().as_deref() {
        Some(servers::PLAIN) => runtime.block_on(servers::plain(arguments.next().unwrap())),
        Some(servers::BARE) => {
            let (answers, tls) = (arguments.next().unwrap(), arguments.next());
            runtime.block_on(servers::bare(answers, tls));
        }
        Some(part) if !PARTS.contains(&part) => panic!("there is no part '{part}': {PARTS:?}"),
        _ if left_out("bench") => {}
        part => runtime.block_on(measure(part)),
    }
}

/// Measures one part, or all.
async fn measure(part: Option<&str>) {
    let begun = Instant::now();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    println!(
        "{} processors, load before it began: {}",
        std::thread::available_parallelism().unwrap(),
        load.trim()
    );
    println!(
        "CPU: utime + stime of /proc/PID/stat, in steps of 10 ms, over all requests of a row."
    );
    let wanted = |name: &str| part.is_none_or(|part| part == name);
    if wanted("lists") {
        nodes().await;
        println!("\n### Lists that change\n\n{}", changing::HEAD);
        for (guests, nodes) in [(2_000, 1), (10_000, 1), (10_000, 3)] {
            changing::measure(guests, nodes).await;
        }
    }
    if wanted("starts") {
        println!("\n### Start of a guest under emulation\n\n{}", starts::HEAD);
        starts::measure().await;
    }
    if wanted("disks") {
        println!("\n### Snapshots and clones\n\n{}", disks::HEAD);
        disks::measure().await;
        disks::types().await;
    }
    if wanted("crowd") {
        println!("\n### Many guests started at once\n\n{}", crowd::HEAD);
        crowd::measure().await;
    }
    println!("\nThe whole took {:.0} s.", begun.elapsed().as_secs_f64());
}

/// What nodes of each size answer, change and weigh.
async fn nodes() {
    let mut weights = vec![weigh_empty().await];
    let (mut commits, mut unchanged) = (Vec::new(), Vec::new());
    println!("\n### GET, CPU per request\n\n{}", lists::HEAD);
    for guests in SIZES {
        let node = TestNode::start(async |store| lists::put_guests(store, guests).await).await;
        let caller = caller(&node).await;
        lists::wait_for(&caller, guests).await;
        tokio::time::sleep(REST).await;
        let before = Weights::of(&node);
        unchanged.extend(lists::measure(&node, &caller).await);
        tokio::time::sleep(REST).await;
        let after = Weights::of(&node);
        weights.push(format!("| {guests} | at rest | {before} |"));
        weights.push(format!("| {guests} | after the rows above | {after} |"));
        commits.extend(commits::through_the_api(&node, &caller, guests).await);
    }
    println!("\n### Unchanged lists\n\n{}", lists::UNCHANGED_HEAD);
    unchanged.iter().for_each(|row| println!("{row}"));
    println!(
        "\n### A VM's configuration, until the answer\n\n{}",
        commits::HEAD
    );
    commits.iter().for_each(|row| println!("{row}"));
    println!("\n### PSS in MiB (smaps_rollup)\n\n{}", process::HEAD);
    weights.iter().for_each(|row| println!("{row}"));
}

async fn weigh_empty() -> String {
    let node = TestNode::start(async |_| {}).await;
    let caller = caller(&node).await;
    lists::wait_for(&caller, 0).await;
    tokio::time::sleep(REST).await;
    format!("| 0 | at rest | {} |", Weights::of(&node))
}

/// A token of root's, and TLS that trusts the node's own authority.
async fn caller(node: &TestNode) -> Caller {
    let params = json!({"userid": "root@pam", "tokenid": "bench", "privsep": 0});
    let token = node.call("token_create", params).await.unwrap().data;
    let target = Target {
        port: node.port,
        tls: Some(load::connector(
            &node.root.join("var/lib/ostler/tls/ca.pem"),
        )),
    };
    Caller::with_token(&token, target)
}
