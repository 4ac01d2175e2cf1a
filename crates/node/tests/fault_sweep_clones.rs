//! Templates, clones and moving disks, broken at every call that they make to host, store and QEMU.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod scene;

use model::VmId;
use node::tasks::{
    NewSize, QemuClone, QemuDestroy, QemuMoveDisk, QemuReassignDisk, QemuResize, QemuStart,
    QemuTemplate,
};
use scene::*;
use testkit::fault_sweep::Scene;

/// The guest that is made of guest 100.
fn copied(_: VmId) -> QemuClone {
    let mut clone = linked(vmid());
    clone.full = true;
    clone
}

fn linked(_: VmId) -> QemuClone {
    QemuClone::new(vmid(), VmId::new(101).unwrap())
}

#[tokio::test]
async fn qemu_clone() {
    let swept = sweep_all(|| Box::pin(layered(copied, false)), 20).await;
    assert!(swept.failed > 20 && swept.went_through > 5, "{swept:?}");
}

#[tokio::test]
async fn qemu_clone_of_a_running_guest() {
    let swept = sweep_all(|| Box::pin(layered(copied, true)), 35).await;
    assert!(swept.failed > 50 && swept.went_through > 5, "{swept:?}");
}

#[tokio::test]
async fn qemu_clone_of_a_snapshot() {
    let make = |id| {
        let mut clone = copied(id);
        clone.snapshot = Some("s1".into());
        clone
    };
    sweep_all(move || Box::pin(with_snapshot(make, false)), 20).await;
}

fn template(vmid: VmId) -> QemuTemplate {
    QemuTemplate::new(vmid, None)
}

#[tokio::test]
async fn qemu_template() {
    let swept = sweep_all(|| Box::pin(layered(template, false)), 12).await;
    assert!(swept.failed > 10 && swept.went_through > 5, "{swept:?}");
}

/// As a machine of a profile is made.
#[tokio::test]
async fn qemu_clone_with_changes() {
    let changed = |id| {
        let mut clone = linked(id);
        clone.changes.options = [("cores".to_owned(), 2.into())].into();
        clone.changes.sizes = [("scsi0".parse().unwrap(), 64 << 20)].into();
        clone
    };
    let scene = move || -> Waiting<_> {
        Box::pin(async move { layered(template, false).await.done().await.then(changed) })
    };
    let swept = sweep_all(scene, 12).await;
    assert!(swept.failed > 10 && swept.went_through > 5, "{swept:?}");

    let node = scene().await;
    assert_eq!(node.run().await, "OK");
    let found = node.inventory().await;
    let guest = found.iter().find(|line| line.starts_with("guest/101 "));
    let guest = guest.unwrap();
    assert!(
        guest.contains("size=64M") && guest.contains(r#""cores":2"#),
        "{guest}"
    );
}

#[tokio::test]
async fn qemu_clone_that_is_linked() {
    let scene = || -> Waiting<_> {
        Box::pin(async { layered(template, false).await.done().await.then(linked) })
    };
    let swept = sweep_all(scene, 15).await;
    assert!(swept.failed > 15 && swept.went_through > 5, "{swept:?}");
}

#[tokio::test]
async fn a_template_is_not_started_and_not_changed_under_its_clones() {
    let made = layered(template, false).await.done().await;
    let started = made.then(|vmid| QemuStart::new(vmid, None, false));
    assert_eq!(
        started.run().await,
        "you can't start a vm if it's a template"
    );
    let cloned = started.then(linked).done().await;
    let before = cloned.inventory().await;
    let in_use = "base volume 'local:100/base-100-disk-2.qcow2' is still in use by linked cloned";
    let resized = cloned.then(|vmid| {
        let more = NewSize::LargerBy("1G".parse().unwrap());
        QemuResize::new(vmid, "scsi0".parse().unwrap(), more, None, false)
    });
    assert_eq!(resized.run().await, in_use);
    let destroyed = resized.then(|vmid| QemuDestroy::new(vmid, false, true));
    assert_eq!(destroyed.run().await, in_use);
    assert_eq!(destroyed.inventory().await, before);
    let first = destroyed.then(|_| QemuDestroy::new(VmId::new(101).unwrap(), false, true));
    assert_eq!(first.run().await, "OK");
    assert_eq!(
        first
            .then(|vmid| QemuDestroy::new(vmid, false, true))
            .run()
            .await,
        "OK"
    );
}

fn to_raw(vmid: VmId) -> QemuMoveDisk {
    let mut task = QemuMoveDisk::new(vmid, "scsi0".into());
    (task.format, task.delete) = (Some(model::BlockFormat::Raw), true);
    task
}

#[tokio::test]
async fn qemu_move_disk() {
    let swept = sweep_all(|| Box::pin(layered(to_raw, false)), 20).await;
    assert!(swept.failed > 20 && swept.went_through > 10, "{swept:?}");
}

#[tokio::test]
async fn qemu_move_disk_while_it_runs() {
    let swept = sweep_all(|| Box::pin(layered(to_raw, true)), 40).await;
    assert!(swept.failed > 50 && swept.went_through > 30, "{swept:?}");
}

/// To the guest that was just made as its copy, beside what that has.
fn to_the_copy(vmid: VmId) -> QemuReassignDisk {
    QemuReassignDisk::new(
        vmid,
        "scsi0".into(),
        VmId::new(101).unwrap(),
        "scsi5".into(),
    )
}

#[tokio::test]
async fn qemu_reassign_disk() {
    let scene = || -> Waiting<_> {
        Box::pin(async { layered(copied, false).await.done().await.then(to_the_copy) })
    };
    let swept = sweep_all(scene, 15).await;
    assert!(swept.failed > 15 && swept.went_through > 5, "{swept:?}");
}

#[tokio::test]
async fn a_disk_that_cannot_be_anothers_stays() {
    let copied = layered(copied, false).await.done().await;
    let before = copied.inventory().await;
    let missing = copied.then(|vmid| {
        let task = to_the_copy(vmid);
        QemuReassignDisk::new(vmid, "scsi9".into(), task.target, task.target_disk)
    });
    assert_eq!(
        missing.run().await,
        "Disk 'scsi9' for VM '100' does not exist"
    );
    let taken = missing.then(|vmid| {
        let task = to_the_copy(vmid);
        QemuReassignDisk::new(vmid, "scsi0".into(), task.target, "scsi0".into())
    });
    let text = "Target disk key 'scsi0' is already in use for VM '101'";
    assert_eq!(taken.run().await, text);
    assert_eq!(taken.inventory().await, before);
}
