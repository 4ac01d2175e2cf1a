//! Many guests started at once, and what each of them weighs.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::REST;
use crate::by_hand::{ByHand, CommandLine};
use crate::harness::{TestNode, put_guest};
use crate::process::{Weights, pss_mib};

const GUESTS: u32 = 100;
const MEMORY_MIB: u32 = 64;

pub(crate) const HEAD: &str = "\
| what | guests | until all run s | QEMU MiB a guest | api and agent KiB a guest |
|---|---|---|---|---|";

/// Guests without a disk: firmware looks for one and halts, so that starting is what is measured.
pub(crate) async fn measure() {
    let (lines, ours) = through_the_agent().await;
    let folders: Vec<_> = (0..GUESTS).map(|_| tempfile::tempdir().unwrap()).collect();
    let begun = Instant::now();
    let spawned: Vec<ByHand> = lines
        .iter()
        .zip(&folders)
        .map(|(line, folder)| ByHand::like(line, folder.path(), None))
        .collect();
    let guests: Vec<ByHand> = spawned.into_iter().map(ByHand::runs).collect();
    let wall = begun.elapsed();
    tokio::time::sleep(REST).await;
    let pids = guests.iter().map(ByHand::pid);
    println!(
        "{}\n{ours}",
        row("by hand, the same devices", wall, mean_mib(pids), None)
    );
}

/// The command lines of the guests, and the row.
async fn through_the_agent() -> (Vec<CommandLine>, String) {
    let vmids = 100..100 + GUESTS;
    let node = TestNode::start(async |store| {
        let options: [(&str, Value); 3] = [
            ("memory", MEMORY_MIB.into()),
            ("kvm", 0.into()),
            ("serial0", "socket".into()),
        ];
        for vmid in vmids.clone() {
            put_guest(store, vmid, &options).await;
        }
    })
    .await;
    tokio::time::sleep(REST).await;
    let before = Weights::of(&node).together();
    let begun = Instant::now();
    let mut upids = Vec::new();
    for vmid in vmids.clone() {
        let guest = json!({"node": "pve1", "vmid": vmid});
        upids.push(node.call("qemu_start", guest).await.unwrap().data);
    }
    for upid in &upids {
        assert_eq!(node.ended(upid.as_str().unwrap()).await, "OK");
    }
    let wall = begun.elapsed();
    let (mut pids, mut lines) = (Vec::new(), Vec::new());
    for vmid in vmids {
        let guest = json!({"node": "pve1", "vmid": vmid});
        let status = node.call("qemu_status", guest).await.unwrap().data;
        let pid = u32::try_from(status["pid"].as_u64().unwrap()).unwrap();
        let folder = node.root.join(format!("run/ostler/guests/{vmid}"));
        lines.push(CommandLine::of(pid, &folder));
        pids.push(pid);
    }
    tokio::time::sleep(REST).await;
    let platform = Weights::of(&node).together() - before;
    let each = platform * 1024.0 / f64::from(GUESTS);
    let row = row("by the agent", wall, mean_mib(pids.into_iter()), Some(each));
    (lines, row)
}

fn mean_mib(pids: impl Iterator<Item = u32>) -> f64 {
    pids.map(pss_mib).sum::<f64>() / f64::from(GUESTS)
}

fn row(what: &str, wall: Duration, qemu_mib: f64, platform_kib: Option<f64>) -> String {
    let wall = wall.as_secs_f64();
    let platform = platform_kib.map_or("–".to_owned(), |kib| format!("{kib:.0}"));
    format!("| {what} | {GUESTS} | {wall:.1} | {qemu_mib:.1} | {platform} |")
}
