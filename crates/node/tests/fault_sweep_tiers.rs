//! Properties of volumes by tiers: new volumes have them however they are made, and what makes
//! those follow that are there is broken at every call.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod scene;

use std::path::Path;

use model::{GuestRecord, VmId};
use node::Records;
use node::tasks::{QemuClone, QemuCreate, QemuMoveDisk, QemuTemplate, TierApply};
use node::tiers::Selected;
use scene::zfs::{put_dataset, put_tier, set_on, with_storage};
use scene::*;
use serde_json::json;
use sys::Files;

const DISK: &[(&str, &str)] = &[
    ("tags", "db"),
    ("scsi0", "tank:vm-100-disk-0,size=1"),
    ("unused0", "tank:vm-100-disk-1"),
];

/// One volume as it was made, one that an administrator has changed, and one of a guest that is
/// gone, which a tier had set.
async fn node_of<T>(make: fn(VmId) -> T) -> Node<T> {
    let node = with_storage(node_with(make, DISK).await).await;
    put_dataset(&node, "vm-100-disk-0", "volume 4194304 -");
    put_dataset(&node, "vm-100-disk-1", "volume 4194304 -\nsync=disabled");
    let left =
        "filesystem 0 -\ncompression=zstd\nlogbias=latency\nostler:tier=gold:compression=zstd";
    put_dataset(&node, "subvol-101-disk-0", left);
    let gold = [
        ("tags", "db"),
        ("compression", "zstd"),
        ("sync", "always"),
        ("volblocksize", "64K"),
    ];
    put_tier(&node, "gold", &gold).await;
    node
}

fn apply(_: VmId) -> TierApply {
    TierApply::new(Selected::default())
}

/// covers: S4.14
#[tokio::test]
async fn tier_apply() {
    let swept = sweep_all(|| Box::pin(node_of(apply)), 8).await;
    assert!(swept.went_through > 5, "{swept:?}");
    let node = node_of(apply).await;
    assert_eq!(node.run().await, "OK");
    let both = [
        "compression=zstd",
        "ostler:tier=gold:compression=zstd,sync=always",
        "sync=always",
    ];
    assert_eq!(set_on(&node, "vm-100-disk-0").await, both);
    let by_hand = [
        "compression=zstd",
        "ostler:tier=gold:compression=zstd",
        "sync=disabled",
    ];
    assert_eq!(set_on(&node, "vm-100-disk-1").await, by_hand);
    assert_eq!(
        set_on(&node, "subvol-101-disk-0").await,
        ["logbias=latency"]
    );
    // A tier that wants something else changes what it had set, and nothing else.
    put_tier(&node, "gold", &[("tags", "db"), ("compression", "lz4")]).await;
    let node = node.done().await;
    let lighter = ["compression=lz4", "ostler:tier=gold:compression=lz4"];
    assert_eq!(set_on(&node, "vm-100-disk-0").await, lighter);
}

/// What ZFS refuses is said of its volume; the others follow.
#[tokio::test]
async fn a_volume_that_refuses_does_not_hold_up_the_others() {
    let mut node = node_of(apply).await;
    let refusing = |disk: &mut testkit::Disk, command: &sys::Command| {
        let is_it = |word: &String| word.ends_with("vm-100-disk-0");
        if command.args[0] == "set" && command.args.iter().any(is_it) {
            return sys::Output {
                code: Some(1),
                stderr: b"cannot set property for 'x': pool is read-only".to_vec(),
                ..sys::Output::default()
            };
        }
        testkit::zfs(disk, command)
    };
    node.host = node.host.program("zfs", refusing);
    let status = node.run().await;
    assert!(
        status.contains("not as their tiers say: tank:vm-100-disk-0"),
        "{status}"
    );
    assert!(set_on(&node, "vm-100-disk-0").await.is_empty());
    let other = set_on(&node, "vm-100-disk-1").await;
    assert!(other.contains(&"compression=zstd".to_owned()), "{other:?}");
}

/// ZFS sets each property by itself: the note is set although the room cannot be set aside.
#[tokio::test]
async fn what_a_failed_change_has_not_set_is_not_noted() {
    fn full(disk: &mut testkit::Disk, command: &sys::Command) -> sys::Output {
        let is_room = |word: &String| word.starts_with("reservation=");
        let mut others = command.clone();
        others.args.retain(|word| !is_room(word));
        let done = testkit::zfs(disk, &others);
        if command.args[0] == "set" && others.args.len() < command.args.len() {
            return sys::Output {
                code: Some(1),
                stderr: b"cannot set property for 'x': out of space".to_vec(),
                ..sys::Output::default()
            };
        }
        done
    }
    let mut node = node_of(apply).await;
    put_tier(
        &node,
        "gold",
        &[("tags", "db"), ("reservation", "1M"), ("sync", "always")],
    )
    .await;
    node.host = node.host.program("zfs", full);
    let status = node.run().await;
    assert!(status.starts_with("not as their tiers say: "), "{status}");
    let set = ["ostler:tier=gold:sync=always", "sync=always"];
    assert_eq!(set_on(&node, "vm-100-disk-0").await, set);
    // Once there is room, it is set aside, by another task.
    let tasks = Path::new("/var/lib/ostler/tasks");
    for entry in node.host.list(tasks).await.unwrap() {
        node.host.remove(&tasks.join(entry.name)).await.unwrap();
    }
    node.host = node.host.program("zfs", testkit::zfs);
    let node = node.done().await;
    let set = set_on(&node, "vm-100-disk-0").await;
    assert!(set.contains(&"reservation=1M".to_owned()), "{set:?}");
}

/// All volumes of a storage are looked at by one program, and all tiers are read once.
#[tokio::test]
async fn volumes_are_compared_at_once() {
    let node = node_of(apply).await;
    put_tier(&node, "gold", &[("tags", "none")]).await;
    for name in ["vm-100-disk-0", "vm-100-disk-1"] {
        put_dataset(&node, name, "volume 4194304 -");
    }
    put_dataset(&node, "subvol-101-disk-0", "filesystem 0 -");
    node.host.faults().reset();
    assert_eq!(node.run().await, "OK");
    let calls = node.host.faults().calls();
    let count = |words: &str| calls.iter().filter(|call| call.starts_with(words)).count();
    assert_eq!(count("run zfs "), 1, "{calls:?}");
    assert_eq!(count("store list tier"), 1, "{calls:?}");
}

fn with_tags(vmid: VmId) -> QemuCreate {
    QemuCreate {
        vmid,
        edit: edit(json!({"scsi0": "tank:1", "tags": "web;db"})),
        pool: None,
        start: false,
        becomes: None,
    }
}

async fn empty_with_tier<T>(make: fn(VmId) -> T) -> Node<T> {
    let node = with_storage(empty(make).await).await;
    let options = [("tags", "db"), ("sync", "always"), ("volblocksize", "64K")];
    put_tier(&node, "gold", &options).await;
    node
}

/// The volumes of a guest that is being made follow its tier, although its record does not have its
/// tags yet; so do those of its clones, which are linked or in another storage.
///
/// covers: S4.14
#[tokio::test]
async fn new_volumes_follow_the_tier_of_their_guest() {
    let swept = sweep_all(|| Box::pin(empty_with_tier(with_tags)), 10).await;
    assert!(swept.failed > 5 && swept.went_through > 3, "{swept:?}");
    let node = empty_with_tier(with_tags).await.done().await;
    let noted = "ostler:tier=gold:sync=always";
    let size = "refreservation=1073741824";
    let new = [noted, size, "sync=always", "volblocksize=64K"];
    assert_eq!(set_on(&node, "vm-100-disk-0").await, new);
    let copied = |_| {
        let mut clone = QemuClone::new(vmid(), VmId::new(102).unwrap());
        clone.full = true;
        clone
    };
    let node = node.then(copied).done().await;
    assert_eq!(set_on(&node, "vm-102-disk-0").await, new);
    let node = node.then(|vmid| QemuTemplate::new(vmid, None)).done().await;
    let linked = |_| QemuClone::new(vmid(), VmId::new(101).unwrap());
    let node = node.then(linked).done().await;
    assert_eq!(set_on(&node, "vm-101-disk-0").await, [noted, "sync=always"]);
}

/// A disk that moves here from elsewhere is a new volume.
#[tokio::test]
async fn a_disk_that_moves_gets_its_guests_tier() {
    let here = |vmid| {
        let mut task = QemuMoveDisk::new(vmid, "scsi0".to_owned());
        (task.storage, task.delete) = ("tank".parse().ok(), true);
        task
    };
    let node = with_storage(node_with(here, &[("tags", "db")]).await).await;
    put_tier(&node, "gold", &[("tags", "db"), ("refreservation", "none")]).await;
    let node = node.done().await;
    let noted = "ostler:tier=gold:refreservation=none";
    assert_eq!(set_on(&node, "vm-100-disk-0").await, [noted]);
    let records = Records::new(node.plain.clone(), "pve1".parse().unwrap());
    let guest: GuestRecord = records.guest(vmid()).await.unwrap().record.data;
    let scsi0 = guest.config.text("scsi0").unwrap();
    assert!(scsi0.starts_with("tank:vm-100-disk-0"), "{scsi0}");
}
