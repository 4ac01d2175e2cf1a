//! Linked clones beside `qemu-img`, and beside the tools of the types of storages; snapshots and rollbacks beside QEMU's own, asked for by hand.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::by_hand::{ByHand, CONSOLE, DISK};
use crate::harness::beside::{Beside, measure as beside};
use crate::harness::ground::Ground;
use crate::harness::timed::timed;
use crate::harness::{Serial, TestNode, tiny_disk, until};
use crate::process::ms;

const CLONES: u32 = 20;
const SNAPSHOTS: u32 = 5;

pub(crate) const HEAD: &str = "\
| what | times | by the agent ms each | by hand ms each | ratio |
|---|---|---|---|---|";

/// The memory of the tiny guest of the harness.
const MEMORY_MIB: u32 = 128;

pub(crate) async fn measure() {
    let Some(disk) = tiny_disk() else { return };
    let node = TestNode::with_tiny(&disk).await;
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("disk.qcow2");
    std::fs::copy(&disk, &copy).unwrap();
    snapshots_at_rest(&node, &copy).await;
    snapshots_of_a_running_guest(&node, folder.path(), &copy).await;
    linked_clones(&node, folder.path(), &copy).await;
}

/// The same on storages that make snapshots and clones themselves, beside their own tools.
pub(crate) async fn types() {
    let grounds = [
        Ground::ceph("bench"),
        Ground::btrfs("bench"),
        Some(Ground::layers()),
    ];
    for ground in grounds.into_iter().flatten() {
        for Beside {
            what,
            times,
            agent,
            by_hand,
        } in beside(&ground).await
        {
            row(&format!("{}: {what}", ground.name()), times, agent, by_hand);
        }
    }
}

fn row(what: &str, times: u32, agent: Duration, by_hand: Duration) {
    let ratio = agent.as_secs_f64() / by_hand.as_secs_f64();
    let (agent, by_hand) = (ms(agent / times), ms(by_hand / times));
    println!("| {what} | {times} | {agent} | {by_hand} | {ratio:.1} |");
}

/// How long a task takes, from the request until it has ended.
async fn task(node: &TestNode, op: &str, more: Value) -> Duration {
    let mut params = json!({"node": "pve1", "vmid": 100});
    params
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    timed(node, op, params).await
}

fn qemu_img(arguments: &[&str]) -> Duration {
    let begun = Instant::now();
    let ended = Command::new("qemu-img").args(arguments).status().unwrap();
    assert!(ended.success(), "{arguments:?}");
    begun.elapsed()
}

async fn snapshots_at_rest(node: &TestNode, copy: &Path) {
    let copy = copy.to_str().unwrap();
    let (mut agent, mut by_hand) = ([Duration::ZERO; 3], [Duration::ZERO; 3]);
    for _ in 0..SNAPSHOTS {
        let name = json!({"snapname": "s1"});
        for (at, op) in ["qemu_snapshot", "qemu_rollback", "qemu_delsnapshot"]
            .into_iter()
            .enumerate()
        {
            agent[at] += task(node, op, name.clone()).await;
        }
        for (at, action) in ["-c", "-a", "-d"].into_iter().enumerate() {
            by_hand[at] += qemu_img(&["snapshot", action, "s1", copy]);
        }
    }
    let what = ["snapshot", "rollback", "removal of a snapshot"];
    for (at, what) in what.into_iter().enumerate() {
        let what = format!("{what}, stopped, beside `qemu-img snapshot`");
        row(&what, SNAPSHOTS, agent[at], by_hand[at]);
    }
}

async fn snapshots_of_a_running_guest(node: &TestNode, folder: &Path, copy: &Path) {
    task(node, "qemu_start", json!({})).await;
    let socket = node.root.join("run/ostler/guests/100/serial0.sock");
    Serial::connect(&socket).expect("tiny: ready");
    let mut guest = ByHand::spawn(folder, MEMORY_MIB, Some(copy)).runs();
    until("the guest by hand is there", async || {
        let seen = std::fs::read(folder.join(CONSOLE)).unwrap_or_default();
        String::from_utf8_lossy(&seen).contains("tiny: ready")
    })
    .await;
    let disk = json!({"device": DISK, "name": "disk"});
    let memory = json!({"tag": "memory", "vmstate": DISK, "devices": [DISK]});
    let (mut agent, mut by_hand) = ([Duration::ZERO; 3], [Duration::ZERO; 3]);
    for _ in 0..SNAPSHOTS {
        agent[0] += task(node, "qemu_snapshot", json!({"snapname": "disk"})).await;
        agent[1] += task(
            node,
            "qemu_snapshot",
            json!({"snapname": "memory", "vmstate": 1}),
        )
        .await;
        agent[2] += task(node, "qemu_rollback", json!({"snapname": "memory"})).await;
        let begun = Instant::now();
        guest.ask("blockdev-snapshot-internal-sync", disk.clone());
        by_hand[0] += begun.elapsed();
        let begun = Instant::now();
        guest.job("snapshot-save", memory.clone());
        by_hand[1] += begun.elapsed();
        let begun = Instant::now();
        guest.ask("stop", json!({}));
        guest.job("snapshot-load", memory.clone());
        guest.ask("cont", json!({}));
        by_hand[2] += begun.elapsed();
        for name in ["memory", "disk"] {
            task(node, "qemu_delsnapshot", json!({"snapname": name})).await;
        }
        guest.job(
            "snapshot-delete",
            json!({"tag": "memory", "devices": [DISK]}),
        );
        guest.ask("blockdev-snapshot-delete-internal-sync", disk.clone());
    }
    let what = [
        "snapshot, running, beside `blockdev-snapshot-internal-sync`",
        "snapshot with memory, beside `snapshot-save`",
        "rollback with memory, beside `snapshot-load`",
    ];
    for (at, what) in what.into_iter().enumerate() {
        row(what, SNAPSHOTS, agent[at], by_hand[at]);
    }
    task(node, "qemu_stop", json!({})).await;
}

async fn linked_clones(node: &TestNode, folder: &Path, copy: &Path) {
    task(node, "qemu_template", json!({})).await;
    let (mut agent, mut by_hand) = (Duration::ZERO, Duration::ZERO);
    for number in 0..CLONES {
        agent += task(node, "qemu_clone", json!({"newid": 300 + number})).await;
        let layer = folder.join(format!("layer-{number}.qcow2"));
        let (base, layer) = (copy.to_str().unwrap(), layer.to_str().unwrap());
        let create = ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"];
        by_hand += qemu_img(&[&create[..], &[base, layer]].concat());
    }
    let what = "linked clone, beside `qemu-img create -b`";
    row(what, CLONES, agent, by_hand);
}
