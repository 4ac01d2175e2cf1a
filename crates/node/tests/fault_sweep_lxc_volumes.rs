//! Snapshots, clones and moves of containers, broken at every call that they make to host and store.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod scene;

use std::sync::Arc;

use model::VmId;
use node::NodeContext;
use node::tasks::{
    LxcClone, LxcDelsnapshot, LxcDestroy, LxcMoveVolume, LxcReassignVolume, LxcResize, LxcRollback,
    LxcSnapshot, LxcStart, LxcTemplate, NewSize,
};
use scene::lxc::{container, put_container, start, with_lxc};
use scene::thin::{put_volume, with_storage};
use scene::*;
use tasks::Task;
use testkit::fault_sweep::Scene;

fn other() -> VmId {
    VmId::new(101).unwrap()
}

/// A container on thin volumes, running or not.
async fn thin<T>(make: fn(VmId) -> T, runs: bool) -> Node<T> {
    let node = with_storage(with_lxc(start).await).await;
    put_volume(&node, "vm-100-disk-0").await;
    put_volume(&node, "vm-100-disk-1").await;
    let mounts = [
        ("rootfs", "thin:vm-100-disk-0,size=4M"),
        ("mp0", "thin:vm-100-disk-1,mp=/data,size=4M"),
    ];
    put_container(&node, mounts).await;
    let node = if runs { node.done().await } else { node };
    node.then(make)
}

fn snapshot(vmid: VmId) -> LxcSnapshot {
    LxcSnapshot::new(vmid, "s1".into(), None)
}

async fn with_snapshot<T>(make: fn(VmId) -> T, runs: bool) -> Node<T> {
    thin(snapshot, runs).await.done().await.then(make)
}

#[tokio::test]
async fn lxc_snapshot() {
    let swept = sweep_all(|| Box::pin(thin(snapshot, false)), 15).await;
    assert!(swept.failed > 10 && swept.went_through > 3, "{swept:?}");
}

/// Whatever breaks, its processes go on.
#[tokio::test]
async fn lxc_snapshot_of_a_running_container() {
    let swept = sweep_all(|| Box::pin(thin(snapshot, true)), 25).await;
    assert!(swept.failed > 20 && swept.went_through > 3, "{swept:?}");
}

fn rollback(vmid: VmId) -> LxcRollback {
    LxcRollback::new(vmid, "s1".into(), false)
}

#[tokio::test]
async fn lxc_rollback() {
    let swept = sweep_all(|| Box::pin(with_snapshot(rollback, false)), 15).await;
    assert!(swept.failed > 10 && swept.went_through > 10, "{swept:?}");
}

/// Half deleted, it says so.
async fn half_deletable(runs: bool) -> Node<LxcDelsnapshot> {
    let mut node = with_snapshot(|vmid| LxcDelsnapshot::new(vmid, "s1".into(), false), runs).await;
    let says_so = |found: &[String]| {
        let is_guest = |line: &&String| line.starts_with("guest/100 ");
        let record = found.iter().find(is_guest).unwrap();
        record.contains(r#""state":"delete""#) && !record.contains("busy")
    };
    node.also_well = Arc::new(says_so);
    node
}

#[tokio::test]
async fn lxc_delsnapshot() {
    sweep_all(|| Box::pin(half_deletable(false)), 12).await;
    sweep_all(|| Box::pin(half_deletable(true)), 12).await;
}

fn template(vmid: VmId) -> LxcTemplate {
    LxcTemplate::new(vmid)
}

#[tokio::test]
async fn lxc_template() {
    sweep_all(|| Box::pin(thin(template, false)), 12).await;
    sweep_all(|| Box::pin(container(template)), 8).await;
}

fn linked(_: VmId) -> LxcClone {
    LxcClone::new(vmid(), other())
}

fn copied(_: VmId) -> LxcClone {
    let mut clone = linked(vmid());
    clone.full = true;
    clone
}

/// An image is copied by blocks, a folder by files.
#[tokio::test]
async fn lxc_clone() {
    let swept = sweep_all(|| Box::pin(container(copied)), 30).await;
    assert!(swept.failed > 20 && swept.went_through > 5, "{swept:?}");
}

#[tokio::test]
async fn lxc_clone_of_a_snapshot() {
    let make = |vmid| {
        let mut clone = copied(vmid);
        clone.snapshot = Some("s1".into());
        clone
    };
    sweep_all(move || Box::pin(with_snapshot(make, true)), 30).await;
}

#[tokio::test]
async fn lxc_clone_that_is_linked() {
    let scene = || -> Waiting<_> {
        Box::pin(async { thin(template, false).await.done().await.then(linked) })
    };
    sweep_all(scene, 15).await;
}

/// An image becomes a thin volume, by blocks.
#[tokio::test]
async fn lxc_move_volume() {
    let make = |vmid| moved(vmid, "rootfs");
    let scene = move || -> Waiting<_> {
        Box::pin(async move { with_storage(container(make).await).await })
    };
    sweep_all(scene, 20).await;
}

/// A folder is copied by files. It has no size, which a thin volume needs.
#[tokio::test]
async fn lxc_move_volume_that_is_a_folder() {
    let there = with_storage(container(|vmid| moved(vmid, "mp0")).await).await;
    assert_eq!(refusal(&there).await, "mp0: a new volume needs a size");
    let here = |vmid| {
        let mut task = moved(vmid, "mp0");
        task.storage = "local".parse().unwrap();
        task
    };
    sweep_all(move || Box::pin(container(here)), 20).await;
}

fn moved(vmid: VmId, option: &str) -> LxcMoveVolume {
    let mut task = LxcMoveVolume::new(vmid, option.to_owned(), "thin".parse().unwrap());
    task.delete = true;
    task
}

fn larger(vmid: VmId) -> LxcResize {
    let more = NewSize::LargerBy("4M".parse().unwrap());
    LxcResize::new(vmid, "rootfs".parse().unwrap(), more, None)
}

#[tokio::test]
async fn lxc_resize() {
    sweep_all(|| Box::pin(thin(larger, false)), 12).await;
    sweep_all(|| Box::pin(thin(larger, true)), 12).await;
}

fn to_the_copy(vmid: VmId) -> LxcReassignVolume {
    LxcReassignVolume::new(vmid, "mp0".into(), other(), "unused0".into())
}

#[tokio::test]
async fn lxc_reassign_volume() {
    let scene = || -> Waiting<_> {
        Box::pin(async { container(copied).await.done().await.then(to_the_copy) })
    };
    sweep_all(scene, 12).await;
}

async fn refusal<T: Task<Node = NodeContext>>(node: &Node<T>) -> String {
    let before = node.inventory().await;
    let said = node.run().await;
    assert_eq!(node.inventory().await, before, "{said}");
    said
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_changes_nothing() {
    let unavailable = refusal(&container(snapshot).await).await;
    assert_eq!(unavailable, "snapshot feature is not available");
    let taken = with_snapshot(snapshot, false).await;
    assert_eq!(refusal(&taken).await, "snapshot name 's1' already used");
    let missing = thin(rollback, false).await;
    assert_eq!(refusal(&missing).await, "snapshot 's1' does not exist");
    let template_of = taken.then(template);
    assert_eq!(
        refusal(&template_of).await,
        "unable to create template, because CT contains snapshots"
    );
    let running = thin(copied, true).await;
    assert_eq!(
        refusal(&running).await,
        "Full clone of a running container is only possible from a snapshot"
    );
    let not_based = thin(linked, false).await;
    assert_eq!(
        refusal(&not_based).await,
        "Linked clone feature for 'thin:vm-100-disk-0' is not available"
    );
}

#[tokio::test]
async fn a_template_does_not_start() {
    let made = thin(template, false).await.done().await;
    let started = made.then(|vmid| LxcStart::new(vmid, false, false));
    assert_eq!(
        refusal(&started).await,
        "you can't start a CT if it's a template"
    );
    // A thin clone needs its base no more.
    let cloned = started.then(linked).done().await;
    let destroyed = cloned.then(|vmid| LxcDestroy::new(vmid, false, false, false));
    assert_eq!(destroyed.run().await, "OK");
}
