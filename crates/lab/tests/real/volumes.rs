//! Tests of a whole node that need volumes of ZFS and of LVM's thin pools: run inside of a node of the lab, with the
//! programs that were built beside them.

use std::path::PathBuf;

use lab::{Disk, Lab, Node};

use crate::whole;

/// What the tests find here.
const POOLS: &str = "OSTLER_ZFS=tank/guests OSTLER_LVM_THIN=vg/data OSTLER_LVM=thick";

const MIB: u64 = 1 << 20;

/// A node with the pools `tank` and `vg/data`, the group `thick`, and with the tests and the program that they start at its path. The
/// disks must live as long as it uses them.
fn prepared(lab: &Lab) -> (&Node, [Disk; 4]) {
    let node = lab.node(1);
    let disks = [("opt", 2048), ("tank", 512), ("pv", 512), ("thick", 6144)].map(|(name, size)| {
        let disk = lab.disk(name, size * MIB).unwrap();
        node.attach(&disk).unwrap();
        disk
    });
    let device = |name: &str| format!("/dev/disk/by-id/virtio-{name}");
    node.check(&format!(
        "set -e; zpool create tank {}; zfs create tank/guests
         vgcreate -q vg {}; lvcreate -q --type thin-pool -L 400M -n data vg
         vgcreate -q thick {}",
        device("tank"),
        device("pv"),
        device("thick"),
    ))
    .unwrap();
    whole::deliver(node, &device("opt"));
    (node, disks)
}

// covers: S2.24 S4.18
#[test]
#[ignore = "needs the lab: ./x lab test"]
fn volumes_are_whole_or_gone_wherever_a_task_is_broken_off() {
    if std::env::var_os("OSTLER_LAB_LONG").is_none() {
        println!("left out: it takes a quarter of an hour; OSTLER_LAB_LONG=1 ./x lab test volumes");
        return;
    }
    let lab = Lab::start(1).unwrap();
    let (node, _disks) = prepared(&lab);
    for name in [
        "volumes_of_zfs_are_whole",
        "thin_volumes_are_whole",
        "layers_of_lvm_are_whole",
    ] {
        whole::passes(node, POOLS, name);
    }
    let left =
        node.check("zfs list -H -o name -t all -r tank/guests; lvs --noheadings -o lv_name vg");
    assert_eq!(
        left.unwrap().split_whitespace().collect::<Vec<_>>(),
        ["tank/guests", "data"]
    );
}

/// Runs tests with a guest that has its layers in volumes. Under two emulations each takes minutes.
fn pass_with_a_guest(tests: &[&str]) {
    if std::env::var_os("OSTLER_LAB_LONG").is_none() {
        println!("left out: it takes minutes; OSTLER_LAB_LONG=1 ./x lab test volumes");
        return;
    }
    let lab = Lab::start(1).unwrap();
    let (node, _disks) = prepared(&lab);
    let guest = PathBuf::from(std::env::var_os("OSTLER_LAB_GUEST").expect("./x lab test names it"));
    let guest = guest.canonicalize().unwrap();
    node.deliver(&[&guest], "/opt").unwrap();
    let guest = guest.file_name().unwrap().display();
    let variables = format!("{POOLS} OSTLER_TINY_GUEST=/opt/{guest}");
    for name in tests {
        whole::passes(node, &variables, name);
        println!("passed: {name}");
        // Its node is gone with the guest.
        node.check("lvremove -q -y thick").unwrap();
    }
}

// covers: S2.73 S4.17
#[test]
#[ignore = "needs the lab: ./x lab test"]
fn layers_in_volumes_come_and_go_under_a_guest() {
    pass_with_a_guest(&[
        "layers_that_are_not_zeroed_come_and_go",
        "a_rollback_of_volumes_is_to_the_newest",
        "layers_in_volumes_come_and_go",
    ]);
}

// covers: S2.73 S4.17
#[test]
#[ignore = "needs the lab: ./x lab test"]
fn layers_in_volumes_that_are_broken_off_lose_no_write() {
    pass_with_a_guest(&["layers_in_volumes_that_are_broken_off"]);
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn snapshots_and_clones_of_volumes_cost_little_more_than_by_hand() {
    let lab = Lab::start(1).unwrap();
    let (node, _disks) = prepared(&lab);
    let said = whole::passes(node, POOLS, "snapshots_and_clones_cost_little_more");
    for line in said.lines().filter(|line| line.contains(": (")) {
        println!("{line}");
    }
}
