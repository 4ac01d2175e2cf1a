//! Tests of a whole node that need volumes of ZFS and of LVM's thin pools: run inside of a node of the lab, with the
//! programs that were built beside them.

use std::path::PathBuf;
use std::time::Duration;

use lab::{Disk, Lab, Node};

/// A task is broken off some hundred times.
const LONG: Duration = Duration::from_secs(1500);

const MIB: u64 = 1 << 20;

fn path(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable);
    PathBuf::from(path.unwrap_or_else(|| panic!("./x lab test sets {variable}")))
}

/// Runs the tests of this name; returns what they print.
fn passes(node: &Node, name: &str) -> String {
    let tests = path("OSTLER_LAB_WHOLE_TESTS");
    let tests = tests.file_name().unwrap().to_string_lossy();
    let script = format!(
        "cd /opt && TMPDIR=/opt/tmp OSTLER_ZFS=tank/guests OSTLER_LVM_THIN=vg/data \
         ./{tests} {name} --ignored --nocapture --test-threads=1 2>&1"
    );
    let output = node.run_within(LONG, &script).unwrap();
    let text = output.text();
    let end: Vec<&str> = text.lines().rev().take(60).collect();
    let end: Vec<&str> = end.into_iter().rev().collect();
    assert!(
        output.success() && text.contains("1 passed"),
        "{}",
        end.join("\n    | ")
    );
    text
}

/// A node with the pools `tank` and `vg/data`, and with the tests and the program that they start at its path. The
/// disks must live as long as it uses them.
fn prepared(lab: &Lab) -> (&Node, [Disk; 3]) {
    let node = lab.node(1);
    let disks = [("opt", 2048), ("tank", 512), ("pv", 512)].map(|(name, size)| {
        let disk = lab.disk(name, size * MIB).unwrap();
        node.attach(&disk).unwrap();
        disk
    });
    let device = |name: &str| format!("/dev/disk/by-id/virtio-{name}");
    node.check(&format!(
        "set -e; mkfs.ext4 -q {}; mount {} /opt; mkdir -m 1777 /opt/tmp
         zpool create tank {}; zfs create tank/guests
         vgcreate -q vg {}; lvcreate -q --type thin-pool -L 400M -n data vg",
        device("opt"),
        device("opt"),
        device("tank"),
        device("pv"),
    ))
    .unwrap();
    let program = path("OSTLER_LAB_PROGRAM");
    node.deliver(&[&path("OSTLER_LAB_WHOLE_TESTS"), &program], "/opt")
        .unwrap();
    let (folder, program) = (program.parent().unwrap().display(), program.display());
    node.check(&format!("mkdir -p {folder} && ln -s /opt/ostler {program}"))
        .unwrap();
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
    for name in ["volumes_of_zfs_are_whole", "thin_volumes_are_whole"] {
        passes(node, name);
    }
    let left =
        node.check("zfs list -H -o name -t all -r tank/guests; lvs --noheadings -o lv_name vg");
    assert_eq!(
        left.unwrap().split_whitespace().collect::<Vec<_>>(),
        ["tank/guests", "data"]
    );
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn snapshots_and_clones_of_volumes_cost_little_more_than_by_hand() {
    let lab = Lab::start(1).unwrap();
    let (node, _disks) = prepared(&lab);
    let said = passes(node, "snapshots_and_clones_cost_little_more");
    for line in said.lines().filter(|line| line.contains(": (")) {
        println!("{line}");
    }
}
