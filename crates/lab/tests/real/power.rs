//! Power is lost between the change of a volume's name and the record of it.

use lab::{Disk, Lab, Node};

use crate::cluster::{SOON, installed_cluster, run, start_again};
use crate::product::boot_sector;

const MIB: u64 = 1 << 20;

/// A pool of ZFS and one of thin volumes, as storages `tank` and `thin`.
fn pools(lab: &Lab, node: &Node) -> [Disk; 2] {
    let [zfs, lvm] = ["tank", "pv"].map(|name| lab.disk(name, 512 * MIB).unwrap());
    let (zfs_device, lvm_device) = (node.attach(&zfs).unwrap(), node.attach(&lvm).unwrap());
    node.check(&format!(
        "set -e; zpool create tank {zfs_device}
         vgcreate -q vg {lvm_device}; lvcreate -q --type thin-pool -L 400M -n data vg
         pvesm add zfspool tank --pool tank --sparse 1
         pvesm add lvmthin thin --vgname vg --thinpool data"
    ))
    .unwrap();
    [zfs, lvm]
}

/// Turns a guest into a template. The node is reset the moment this is so.
fn template_cut_at(node: &Node, vmid: u32, condition: &str) {
    let before = node.boot_id().unwrap();
    // A node that is reset answers no more.
    let _ = node.run_within(
        SOON,
        &format!(
            "(until {condition}; do :; done; echo b >/proc/sysrq-trigger) &
             qm template {vmid}; wait"
        ),
    );
    node.kill().unwrap();
    start_again(node);
    assert_ne!(node.boot_id().unwrap(), before);
}

/// The volumes of a guest in both pools.
fn volumes(node: &Node, vmid: u32) -> Vec<String> {
    let all = "zfs list -H -o name -t volume; lvs --noheadings -o lv_name vg";
    let listed = node.check(all).unwrap();
    let names = listed
        .lines()
        .map(|line| line.trim().trim_start_matches("tank/"));
    let mut own: Vec<String> = names
        .filter(|name| name.contains(&format!("-{vmid}-")))
        .map(str::to_owned)
        .collect();
    own.sort();
    own
}

/// What a guest's record names.
fn named(node: &Node, vmid: u32) -> Vec<String> {
    let config = run(node, &format!("qm config {vmid}"));
    let disks = config.lines().filter(|line| line.starts_with("virtio"));
    let mut names: Vec<String> = disks
        .map(|line| line.split([':', ',']).nth(2).unwrap().to_owned())
        .collect();
    names.sort();
    names
}

// covers: S2.24
#[test]
#[ignore = "needs the lab: ./x lab test"]
fn power_that_is_lost_between_a_new_name_and_its_record_loses_no_disk() {
    let lab = installed_cluster(1);
    let node = lab.node(1);
    let _pools = pools(&lab, node);
    node.put("/root/sector.raw", &boot_sector(), 0o644).unwrap();
    run(
        node,
        "qm create 100 --memory 64 --cpu host --serial0 socket --boot order=virtio0 \
         --virtio0 tank:0,import-from=/root/sector.raw \
         --virtio1 thin:0,import-from=/root/sector.raw",
    );
    // LVM writes its copy of what it changed just after the change.
    let moments = [
        (101, "[ -L /dev/zvol/tank/base-101-disk-0 ]"),
        (102, "grep -q base-102 /etc/lvm/backup/vg"),
    ];
    for (vmid, condition) in moments {
        run(node, &format!("qm clone 100 {vmid} --full 1"));
        assert_eq!(volumes(node, vmid).len(), 2);
        template_cut_at(node, vmid, condition);
        let idle =
            "! pvesh get /nodes/n1/tasks --source active --output-format json | grep -q UPID";
        node.wait_until(SOON, idle).unwrap();
        let (there, named) = (volumes(node, vmid), named(node, vmid));
        println!("{vmid}: {there:?}");
        assert_eq!(there, named);
        is_whole(node, vmid);
    }
    run(node, "qm destroy 100");
    for vmid in [100, 101, 102] {
        assert_eq!(volumes(node, vmid), [""; 0]);
    }
}

/// A linked clone of the template boots, and all of it can be destroyed.
fn is_whole(node: &Node, vmid: u32) {
    if !run(node, &format!("qm config {vmid}")).contains("template: 1") {
        run(node, &format!("qm template {vmid}"));
    }
    run(node, &format!("qm clone {vmid} 200 && qm start 200"));
    crate::types::executes(node, 200);
    run(
        node,
        &format!("qm stop 200 && qm destroy 200 && qm destroy {vmid}"),
    );
}
