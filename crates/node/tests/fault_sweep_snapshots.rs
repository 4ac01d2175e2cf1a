//! Snapshots and suspension, broken at every call that they make to host, store and QEMU.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod scene;

use std::sync::Arc;

use model::VmId;
use node::tasks::{
    NodeSnapshotPrune, QemuDelsnapshot, QemuDestroy, QemuRollback, QemuSnapshot, QemuStart,
    QemuSuspendToDisk, SnapshotJobRun,
};
use scene::jobs::{adopt, put_job};
use scene::*;
use testkit::fault_sweep::Scene;

fn rollback(vmid: VmId) -> QemuRollback {
    QemuRollback::new(vmid, "s1".into(), false)
}

fn delsnapshot(vmid: VmId) -> QemuDelsnapshot {
    QemuDelsnapshot::new(vmid, "s1".into(), false)
}

/// What of a world is there whether its guest runs or not.
fn at_rest(inventory: &[String]) -> Vec<String> {
    let kinds = ["file /var/lib", "directory /var/lib", "guest/", "storage/"];
    let stays = |line: &&String| kinds.iter().any(|kind| line.starts_with(kind));
    inventory.iter().filter(stays).cloned().collect()
}

/// The jobs that name the guest forget it.
#[tokio::test]
async fn qemu_destroy_with_purge() {
    let purge = |vmid| {
        let mut task = QemuDestroy::new(vmid, false, true);
        task.purge = true;
        task
    };
    let scene = move || -> Waiting<_> {
        Box::pin(async move {
            let node = node(purge).await;
            let both = serde_json::json!({"schedule": "daily", "vmid": "100,101"});
            put_job(&node.plain, "both", both).await;
            let alone = serde_json::json!({"schedule": "daily", "vmid": "100"});
            put_job(&node.plain, "alone", alone).await;
            node
        })
    };
    sweep_all(scene, 20).await;

    let node = scene().await;
    assert_eq!(node.run().await, "OK");
    let left = node.inventory().await;
    let jobs: Vec<&String> = left
        .iter()
        .filter(|line| line.starts_with("snapshot-job/"))
        .collect();
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    assert!(jobs[0].contains(r#""vmid":"101""#), "{jobs:?}");
}

#[tokio::test]
async fn qemu_snapshot() {
    let swept = sweep_all(|| Box::pin(layered(snapshot, false)), 20).await;
    assert!(swept.failed > 20 && swept.went_through > 10, "{swept:?}");
}

#[tokio::test]
async fn qemu_snapshot_with_memory() {
    let swept = sweep_all(|| Box::pin(layered(snapshot, true)), 40).await;
    assert!(swept.failed > 60 && swept.went_through > 10, "{swept:?}");
}

#[tokio::test]
async fn qemu_snapshot_of_a_running_guests_disks() {
    let make = |vmid| QemuSnapshot::new(vmid, "s1".into(), None, false);
    let swept = sweep_all(|| Box::pin(layered(make, true)), 25).await;
    assert!(swept.failed > 40 && swept.went_through > 10, "{swept:?}");
}

#[tokio::test]
async fn qemu_rollback() {
    let swept = sweep_all(|| Box::pin(with_snapshot(rollback, false)), 15).await;
    assert!(swept.failed > 10 && swept.went_through > 10, "{swept:?}");
}

/// The guest is ended, rolled back and started with the memory that it had.
#[tokio::test]
async fn qemu_rollback_to_memory() {
    let scene = || -> Waiting<_> {
        Box::pin(async {
            let mut node = with_snapshot(rollback, true).await;
            let before = at_rest(&node.inventory().await);
            let is_ended = move |found: &[String]| {
                let nothing_runs = !found.iter().any(|line| line.starts_with("process"));
                // That its memory fits is written down until the next start.
                let fits = r#","wakes_at":"s1""#;
                let rest = at_rest(found).into_iter();
                let rest: Vec<String> = rest.map(|line| line.replace(fits, "")).collect();
                nothing_runs && rest == before
            };
            node.also_well = Arc::new(is_ended);
            node
        })
    };
    let swept = sweep_all(scene, 60).await;
    assert!(swept.failed > 10 && swept.went_through > 100, "{swept:?}");
}

/// A snapshot that is half deleted says so, and nothing of it is left that it does not name.
fn is_half_deleted(before: &[String], found: &[String]) -> bool {
    let is_of_snapshot = |line: &String| line.contains("s1");
    let rest = |lines: &[String]| -> Vec<String> {
        let rest = lines.iter().filter(|line| !is_of_snapshot(line));
        rest.cloned().collect()
    };
    let records: Vec<&String> = found
        .iter()
        .filter(|line| line.starts_with("guest/100 "))
        .collect();
    let says_so = records
        .iter()
        .all(|line| line.contains(r#""state":"delete""#) && !line.contains("busy"));
    rest(before) == rest(found) && says_so && records.len() == 1
}

async fn half_deletable(runs: bool) -> Node<QemuDelsnapshot> {
    let mut node = with_snapshot(delsnapshot, runs).await;
    let before = node.inventory().await;
    node.also_well = Arc::new(move |found| is_half_deleted(&before, found));
    node
}

#[tokio::test]
async fn qemu_delsnapshot() {
    let swept = sweep_all(|| Box::pin(half_deletable(false)), 15).await;
    assert!(swept.failed > 20 && swept.went_through > 5, "{swept:?}");
}

#[tokio::test]
async fn qemu_delsnapshot_while_it_runs() {
    let swept = sweep_all(|| Box::pin(half_deletable(true)), 15).await;
    assert!(swept.failed > 20 && swept.went_through > 5, "{swept:?}");
}

/// A layer is made, and QEMU moves to it.
#[tokio::test]
async fn qemu_snapshot_as_a_layer() {
    let make = |vmid| QemuSnapshot::new(vmid, "s1".into(), None, false);
    let swept = sweep_all(|| Box::pin(chained(make, false)), 25).await;
    assert!(swept.failed > 20 && swept.went_through > 10, "{swept:?}");
    let swept = sweep_all(|| Box::pin(chained(make, true)), 40).await;
    assert!(swept.failed > 40 && swept.went_through > 10, "{swept:?}");
}

#[tokio::test]
async fn qemu_rollback_to_a_layer() {
    let swept = sweep_all(|| Box::pin(with_layer(rollback, false)), 15).await;
    assert!(swept.failed > 10 && swept.went_through > 10, "{swept:?}");
}

/// Which file has the image's name, and which of them QEMU has open, may have changed.
fn but_for_the_image(inventory: &[String]) -> Vec<String> {
    let is_image = |line: &String| {
        ["vm-100-disk-2", "scsi0"]
            .iter()
            .any(|part| line.contains(part))
    };
    let rest = inventory.iter();
    let is_record = |line: &String| line.starts_with("guest/100 ");
    rest.filter(|line| is_record(line) || !is_image(line))
        .cloned()
        .collect()
}

/// A layer is merged with the one below it, and QEMU moves down.
#[tokio::test]
async fn qemu_delsnapshot_of_a_layer() {
    for runs in [false, true] {
        let scene = move || -> Waiting<_> {
            Box::pin(async move {
                let mut node = with_layer(delsnapshot, runs).await;
                let before = but_for_the_image(&node.inventory().await);
                node.also_well =
                    Arc::new(move |found| is_half_deleted(&before, &but_for_the_image(found)));
                node
            })
        };
        let swept = sweep_all(scene, 20).await;
        assert!(swept.failed > 20 && swept.went_through > 5, "{swept:?}");
    }
}

fn suspend_to_disk(vmid: VmId) -> QemuSuspendToDisk {
    QemuSuspendToDisk::new(vmid, None, false)
}

#[tokio::test]
async fn qemu_suspend_to_disk() {
    let swept = sweep_all(|| Box::pin(layered(suspend_to_disk, true)), 30).await;
    assert!(swept.failed > 40 && swept.went_through > 10, "{swept:?}");
}

/// Who is suspended stays so until awake, and then nothing of it is left.
#[tokio::test]
async fn qemu_start_of_a_suspended_guest() {
    let scene = || -> Waiting<_> {
        Box::pin(async {
            let suspended = layered(suspend_to_disk, true).await.done().await;
            suspended.then(|vmid| QemuStart::new(vmid, None, false))
        })
    };
    let swept = sweep_all(scene, 45).await;
    assert!(swept.failed > 20 && swept.went_through > 20, "{swept:?}");
}

#[tokio::test]
async fn a_disk_that_cannot_have_snapshots_is_named_before_anything_happens() {
    let node = node(snapshot).await;
    let before = node.inventory().await;
    assert_eq!(node.run().await, "snapshot feature is not available");
    assert_eq!(node.inventory().await, before);
    let taken = with_snapshot(snapshot, false).await;
    assert_eq!(taken.run().await, "snapshot name 's1' already used");
}

fn job_run(_: VmId) -> SnapshotJobRun {
    SnapshotJobRun::new("auto".into())
}

/// A job with a snapshot from before.
async fn job_with_snapshot() -> Node<SnapshotJobRun> {
    let node = with_snapshot(job_run, false).await;
    adopt(&node.plain, "s1", "auto").await;
    put_job(&node.plain, "auto", job(1)).await;
    node
}

fn job(keep_last: u64) -> serde_json::Value {
    serde_json::json!({"schedule": "daily", "vmid": "100", "keep-last": keep_last})
}

/// Without the times in names and records: the walk takes a second more or less.
fn timeless(inventory: &[String]) -> Vec<String> {
    let without = |line: &String| {
        let (mut text, mut digits) = (String::new(), String::new());
        for letter in line.chars().chain(['\n']) {
            if letter.is_ascii_digit() {
                digits.push(letter);
                continue;
            }
            text.push_str(if digits.len() < 6 { &digits } else { "#" });
            digits.clear();
            text.push(letter);
        }
        text
    };
    inventory.iter().map(without).collect()
}

/// A new snapshot is made, whole or not at all; then the old one goes, or says that it is half gone.
#[tokio::test]
async fn snapshot_job_run() {
    let scene = || -> Waiting<_> {
        Box::pin(async {
            let after = job_with_snapshot().await;
            assert_eq!(after.run().await, "OK");
            let after = timeless(&after.inventory().await);
            let both = job_with_snapshot().await;
            put_job(&both.plain, "auto", job(2)).await;
            assert_eq!(both.run().await, "OK");
            put_job(&both.plain, "auto", job(1)).await;
            let both = timeless(&both.inventory().await);
            assert_ne!(both, after);
            let mut node = job_with_snapshot().await;
            node.also_well = Arc::new(move |found| {
                let found = timeless(found);
                found == after || found == both || is_half_deleted(&both, &found)
            });
            node
        })
    };
    let swept = sweep_all(scene, 30).await;
    assert!(swept.failed > 20 && swept.went_through > 20, "{swept:?}");
}

#[tokio::test]
async fn node_snapshot_prune() {
    let scene = || -> Waiting<_> {
        Box::pin(async {
            let prune = |vmid| {
                let of = (vmid, model::GuestKind::Qemu, "s1".to_owned());
                NodeSnapshotPrune::new(vec![of])
            };
            let mut node = with_snapshot(prune, false).await;
            let before = node.inventory().await;
            node.also_well =
                Arc::new(move |found| before == found || is_half_deleted(&before, found));
            node
        })
    };
    let swept = sweep_all(scene, 15).await;
    assert!(swept.failed > 10 && swept.went_through > 10, "{swept:?}");
}
