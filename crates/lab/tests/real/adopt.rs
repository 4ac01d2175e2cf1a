//! A pool of ZFS and a thin pool, laid out by hand as Proxmox VE lays them out, are taken over with their guests.

use lab::{Disk, Lab, Node};

use crate::product::{Kvm, SOON, boot_sector, get, installed};
use crate::types::{executes, post};

const MIB: u64 = 1 << 20;

const STORAGES: &str = "zfspool: tank\n\tpool tank/guests\n\tsparse 1\n\tcontent images,rootdir\n\tmountpoint /tank/guests\n\n\
    lvmthin: local-lvm\n\tthinpool data\n\tvgname pve\n\tcontent rootdir,images\n";

/// A template, a linked clone with a snapshot, and a disk on a thin pool with a snapshot. After their
/// snapshots both disks are overwritten: only a rollback makes them boot.
const LAY_OUT: &str = "set -e
    zfs create -s -V 8M tank/guests/base-9000-disk-0
    lvcreate -q -y -T -L 200M pve/data
    lvcreate -q -y -T pve/data -V 8M -n vm-101-disk-0
    udevadm settle
    dd if=/root/sector.raw of=/dev/zvol/tank/guests/base-9000-disk-0 conv=fsync status=none
    zfs snapshot tank/guests/base-9000-disk-0@__base__
    zfs clone tank/guests/base-9000-disk-0@__base__ tank/guests/vm-100-disk-0
    zfs snapshot tank/guests/vm-100-disk-0@first
    dd if=/root/sector.raw of=/dev/pve/vm-101-disk-0 conv=fsync status=none
    lvcreate -q -y -s -pr -n snap_vm-101-disk-0_first pve/vm-101-disk-0
    udevadm settle
    dd if=/dev/zero of=/dev/zvol/tank/guests/vm-100-disk-0 bs=512 count=1 conv=fsync status=none
    dd if=/dev/zero of=/dev/pve/vm-101-disk-0 bs=512 count=1 conv=fsync status=none
    lvchange -an pve/vm-101-disk-0
    zpool export tank";

fn vm(disk: &str, more: &str) -> String {
    format!(
        "boot: order=virtio0\ncpu: host\nmemory: 64\nserial0: socket\nvirtio0: {disk},size=8M\n{more}"
    )
}

fn lay_out(lab: &Lab, node: &Node) -> [Disk; 2] {
    let [pool, group] = ["tank", "pve"].map(|name| lab.disk(name, 512 * MIB).unwrap());
    let (of_pool, of_group) = (node.attach(&pool).unwrap(), node.attach(&group).unwrap());
    let make = format!(
        "zpool create tank {of_pool} && zfs create tank/guests && vgcreate -q pve {of_group}"
    );
    node.check(&make).unwrap();
    node.put("/root/sector.raw", &boot_sector(), 0o644).unwrap();
    node.check_within(SOON, LAY_OUT).unwrap();
    let snapshot = |disk: &str| {
        let then = vm(disk, "snaptime: 1700000000\n");
        format!("parent: first\n\n[first]\n{then}")
    };
    let clone = "tank:base-9000-disk-0/vm-100-disk-0";
    let thin = "local-lvm:vm-101-disk-0";
    node.check("mkdir -p /root/pve/nodes/was/qemu-server")
        .unwrap();
    for (path, text) in [
        ("storage.cfg", STORAGES.to_owned()),
        (
            "nodes/was/qemu-server/9000.conf",
            vm("tank:base-9000-disk-0", "template: 1\n"),
        ),
        (
            "nodes/was/qemu-server/100.conf",
            vm(clone, &snapshot(clone)),
        ),
        ("nodes/was/qemu-server/101.conf", vm(thin, &snapshot(thin))),
    ] {
        node.put(&format!("/root/pve/{path}"), text.as_bytes(), 0o600)
            .unwrap();
    }
    [pool, group]
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn pools_of_a_proxmox_ve_are_taken_over_with_their_guests() {
    let lab = Lab::start(1).unwrap();
    let node = installed(&lab, Kvm::Given);
    let _disks = lay_out(&lab, node);
    let plan = node
        .check_within(SOON, "ostler adopt /root/pve -o json")
        .unwrap();
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let note = plan["storages"][0]["warnings"][0].as_str().unwrap();
    assert!(note.contains("'tank' is imported first"), "{plan:#}");
    assert!(
        !node
            .check("zpool list -H -o name")
            .unwrap()
            .contains("tank")
    );
    let digest = plan["digest"].as_str().unwrap();
    node.check_within(
        SOON,
        &format!("ostler adopt /root/pve --confirm {digest} 2>&1"),
    )
    .unwrap();
    for vmid in [100, 101] {
        let of = |path: &str| format!("/nodes/n1/qemu/{vmid}/{path}");
        post(node, &of("snapshot/first/rollback"), "");
        post(node, &of("status/start"), "");
        executes(node, vmid);
        node.check(&format!("qm stop {vmid}")).unwrap();
    }
    post(node, "/nodes/n1/qemu/9000/clone", "--newid 102");
    post(node, "/nodes/n1/qemu/102/status/start", "");
    executes(node, 102);
    node.check(
        "qm stop 102 && qm destroy 102 && qm destroy 100 && qm destroy 9000 && qm destroy 101",
    )
    .unwrap();
    for storage in ["tank", "local-lvm"] {
        let left = get(node, &format!("/nodes/n1/storage/{storage}/content"));
        assert_eq!(left.as_array().map(Vec::len), Some(0), "{storage}: {left}");
    }
}
