//! Guests on thin volumes: what uses the storage's own snapshots and devices that come and go,
//! broken at every call that it makes to host, store and QEMU.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod scene;

use std::sync::Arc;

use model::VmId;
use node::NodeContext;
use node::tasks::{
    NewSize, QemuClone, QemuCreate, QemuMoveDisk, QemuResize, QemuRollback, QemuSnapshot,
    QemuStart, QemuStop, QemuTemplate,
};
use scene::thin::*;
use scene::*;
use serde_json::json;
use tasks::Task;
use testkit::fault_sweep::Scene;

const DISK: &[(&str, &str)] = &[("scsi0", "thin:vm-100-disk-0,size=4M")];

/// The same with guest 100, which has its disk there, running or not.
async fn thin<T>(make: fn(VmId) -> T, runs: bool) -> Node<T> {
    let node = with_storage(node_with(start, DISK).await).await;
    put_volume(&node, "vm-100-disk-0").await;
    let node = if runs { node.done().await } else { node };
    node.then(make)
}

fn start(vmid: VmId) -> QemuStart {
    QemuStart::new(vmid, None, false)
}

/// Without its memory.
fn snapshot(vmid: VmId) -> QemuSnapshot {
    QemuSnapshot::new(vmid, "s1".into(), None, false)
}

fn template(vmid: VmId) -> QemuTemplate {
    QemuTemplate::new(vmid, None)
}

fn without_devices(inventory: &[String]) -> Vec<String> {
    let is_device = |line: &&String| line.starts_with("file /dev/");
    let rest = inventory.iter().filter(|line| !is_device(line));
    rest.cloned().collect()
}

/// Which of the volumes are active.
async fn active<T: Task<Node = NodeContext>>(node: &Node<T>) -> Vec<String> {
    let lines = node.inventory().await.into_iter();
    let devices = lines.filter_map(|line| {
        let rest = line.strip_prefix("file /dev/pve/")?;
        Some(rest.split(' ').next()?.to_owned())
    });
    devices.collect()
}

#[tokio::test]
async fn qemu_create() {
    let create = |vmid| QemuCreate {
        vmid,
        edit: edit(json!({"scsi0": "thin:1"})),
        pool: None,
        start: false,
        becomes: None,
    };
    let scene =
        move || -> Waiting<_> { Box::pin(async move { with_storage(empty(create).await).await }) };
    let swept = sweep_all(scene, 10).await;
    assert!(swept.failed > 10 && swept.went_through > 3, "{swept:?}");
}

#[tokio::test]
async fn qemu_start_and_stop() {
    sweep_all(|| Box::pin(thin(start, false)), 40).await;
    let started = thin(start, false).await.done().await;
    assert_eq!(active(&started).await, ["vm-100-disk-0"]);
    let stop = |vmid| QemuStop::new(vmid);
    // A guest is stopped even if the store does not answer. Its volume then stays active, which does
    // no harm.
    let scene = move || -> Waiting<_> {
        Box::pin(async move {
            let mut node = thin(stop, true).await;
            let stopped = thin(start, true).await.then(stop).done().await;
            let after = without_devices(&stopped.inventory().await);
            node.also_well = Arc::new(move |found| without_devices(found) == after);
            node
        })
    };
    sweep_all(scene, 5).await;
    let stopped = started.then(stop).done().await;
    assert_eq!(active(&stopped).await, [""; 0]);
}

#[tokio::test]
async fn qemu_snapshot() {
    let swept = sweep_all(|| Box::pin(thin(snapshot, false)), 12).await;
    assert!(swept.failed > 10 && swept.went_through > 3, "{swept:?}");
}

/// The guest is paused while the storage makes them, and executes whatever breaks.
#[tokio::test]
async fn qemu_snapshot_of_a_running_guests_disks() {
    let swept = sweep_all(|| Box::pin(thin(snapshot, true)), 20).await;
    assert!(swept.failed > 20 && swept.went_through > 3, "{swept:?}");
}

#[tokio::test]
async fn qemu_rollback() {
    let rollback = |vmid| QemuRollback::new(vmid, "s1".into(), false);
    let scene = move || -> Waiting<_> {
        Box::pin(async move { thin(snapshot, false).await.done().await.then(rollback) })
    };
    let swept = sweep_all(scene, 15).await;
    assert!(swept.failed > 10 && swept.went_through > 10, "{swept:?}");
}

#[tokio::test]
async fn qemu_template_and_linked_clone() {
    sweep_all(|| Box::pin(thin(template, false)), 12).await;
    let linked = |_| QemuClone::new(vmid(), VmId::new(101).unwrap());
    let scene = move || -> Waiting<_> {
        Box::pin(async move { thin(template, false).await.done().await.then(linked) })
    };
    sweep_all(scene, 12).await;
}

#[tokio::test]
async fn qemu_clone_of_a_snapshot() {
    let copied = |_| {
        let mut clone = QemuClone::new(vmid(), VmId::new(101).unwrap());
        (clone.full, clone.snapshot) = (true, Some("s1".into()));
        clone
    };
    let scene = move || -> Waiting<_> {
        Box::pin(async move { thin(snapshot, false).await.done().await.then(copied) })
    };
    sweep_all(scene, 20).await;
}

#[tokio::test]
async fn qemu_move_disk() {
    let there = |vmid| {
        let mut task = QemuMoveDisk::new(vmid, "scsi0".to_owned());
        (task.storage, task.delete) = ("local".parse().ok(), true);
        task
    };
    sweep_all(move || Box::pin(thin(there, false)), 20).await;
    sweep_all(move || Box::pin(thin(there, true)), 40).await;
}

#[tokio::test]
async fn qemu_resize() {
    let more = |vmid| {
        let size = NewSize::LargerBy("4M".parse().unwrap());
        QemuResize::new(vmid, "scsi0".parse().unwrap(), size, None, false)
    };
    sweep_all(move || Box::pin(thin(more, false)), 8).await;
}
