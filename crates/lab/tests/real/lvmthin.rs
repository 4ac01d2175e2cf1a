//! `lvmthin` storages: the conformance suite on a real kernel, guests on thin volumes, and volume
//! groups that Ostler must leave alone.

use lab::{Disk, Lab, Node};
use serde_json::Value;

use crate::product::{Kvm, SOON, boot_sector, get, installed};
use crate::types::conforms;

const MIB: u64 = 1 << 20;

/// Makes the group `pve` with the thin pool `data` on a disk of its own, which must live as long as
/// the node uses it.
fn pool(lab: &Lab, node: &Node) -> Disk {
    let disk = lab.disk("pv", 1 << 30).unwrap();
    let device = node.attach(&disk).unwrap();
    node.check(&format!(
        "vgcreate -q pve {device} && lvcreate -q --type thin-pool -L 900M -n data pve"
    ))
    .unwrap();
    disk
}

/// A node with Ostler, and a storage `thin` on that pool.
fn with_storage<'lab>(lab: &'lab Lab, options: &str) -> (&'lab Node, Disk) {
    let node = installed(lab, Kvm::Given);
    let disk = pool(lab, node);
    node.check(&format!(
        "pvesm add lvmthin thin --vgname pve --thinpool data {options}"
    ))
    .unwrap();
    (node, disk)
}

/// The logical volumes of a group, but for the pool, each with a letter of its state.
fn volumes(node: &Node, group: &str) -> Vec<String> {
    let list = format!("lvs --noheadings --separator ' ' -o lv_name,lv_attr {group}");
    let printed = node.check(&list).unwrap();
    let words = printed.lines().map(|line| line.split_whitespace());
    words
        .map(|mut words| (words.next().unwrap(), words.next().unwrap()))
        .filter(|(name, _)| *name != "data")
        .map(|(name, attributes)| format!("{name} {}", &attributes[4..5]))
        .collect()
}

fn post(node: &Node, path: &str, options: &str) {
    node.check_within(SOON, &format!("pvesh create {path} {options} 2>&1"))
        .unwrap();
}

/// What a request that must be refused is refused with.
fn refusal(node: &Node, request: &str) -> String {
    let output = node.run_within(SOON, &format!("{request} 2>&1")).unwrap();
    assert!(!output.success(), "{request}: {}", output.text());
    output.text().to_owned()
}

/// Whether guest 100 executes: its boot sector writes to the first serial port.
fn executes(node: &Node, vmid: u32) {
    let heard = format!(
        "timeout 30 socat -u UNIX:/run/ostler/guests/{vmid}/serial0.sock STDOUT | head -c 3"
    );
    assert_eq!(node.check(&heard).unwrap(), "kkk");
}

fn drive(node: &Node, vmid: u32) -> String {
    let config = get(node, &format!("/nodes/n1/qemu/{vmid}/config"));
    config["virtio0"].as_str().unwrap().to_owned()
}

/// Guest 100 with a disk on the pool that boots, brought in as a file.
fn make_guest(node: &Node) {
    node.put("/root/sector.raw", &boot_sector(), 0o644).unwrap();
    post(
        node,
        "/nodes/n1/qemu",
        "--vmid 100 --memory 64 --cpu host --serial0 socket --boot order=virtio0 \
         --virtio0 thin:0,import-from=/root/sector.raw",
    );
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn thin_volumes_conform_to_what_storages_promise() {
    let lab = Lab::start(1).unwrap();
    let node = lab.node(1);
    let _disk = pool(&lab, node);
    conforms(node, "lab_lvmthin::", "OSTLER_LVM_THIN=pve/data");
    assert_eq!(volumes(node, "pve"), [""; 0], "nothing is left");
}

// covers: S1.15
#[test]
#[ignore = "needs the lab: ./x lab test"]
fn encrypted_volumes_conform_to_what_storages_promise() {
    let lab = Lab::start(1).unwrap();
    let node = lab.node(1);
    let _disk = pool(&lab, node);
    for (modules, place) in [
        ("lab_lvm::", "OSTLER_LVM=pve"),
        ("lab_lvmthin::", "OSTLER_LVM_THIN=pve/data"),
    ] {
        conforms(node, modules, &format!("{place} OSTLER_ENCRYPTED=1"));
        assert_eq!(volumes(node, "pve"), [""; 0], "nothing is left");
        assert_eq!(plain_sides(node), "", "nothing is open");
    }
}

/// What is open of encrypted volumes.
fn plain_sides(node: &Node) -> String {
    let listed = node.check("dmsetup ls --target crypt | grep -v '^No devices' || true");
    listed.unwrap()
}

// covers: S1.15
#[test]
#[ignore = "needs the lab: ./x lab test"]
fn a_guest_lives_on_encrypted_volumes() {
    let lab = Lab::start(1).unwrap();
    let (node, _disk) = with_storage(&lab, "--encrypted 1");
    lives(node, "/dev/mapper/pve-vm--100--disk--0-crypt");
    assert_eq!(plain_sides(node), "", "nothing is open");
    // What is on the disk is of no use without the key, and with it, without Ostler.
    make_guest(node);
    node.check("lvchange --activate y --ignoreactivationskip pve/vm-100-disk-0")
        .unwrap();
    let key = node.check("ostler storage-key export thin").unwrap();
    let open = "cryptsetup open --key-file - /dev/pve/vm-100-disk-0 mine";
    node.check(&format!("printf %s {} | {open}", key.trim()))
        .unwrap();
    let plain = node.check("cmp -n 512 /dev/mapper/mine /root/sector.raw && cryptsetup close mine");
    plain.unwrap();
    let told = format!("journalctl -o cat | grep -c {} || true", key.trim());
    assert_eq!(node.check(&told).unwrap().trim(), "0");
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn a_guest_lives_on_thin_volumes() {
    let lab = Lab::start(1).unwrap();
    let (node, _disk) = with_storage(&lab, "");
    lives(node, "/dev/pve/vm-100-disk-0");
}

/// All that is done with a guest's volumes, from the first to the last. `device` is what the guest
/// has open.
fn lives(node: &Node, device: &str) {
    make_guest(node);
    assert_eq!(volumes(node, "pve"), ["vm-100-disk-0 -"]);
    post(node, "/nodes/n1/qemu/100/status/start", "");
    executes(node, 100);
    assert_eq!(volumes(node, "pve"), ["vm-100-disk-0 a"]);
    // Its own user has the device only as a descriptor.
    let owner = node.check(&format!("stat -Lc %U:%a {device}")).unwrap();
    assert_eq!(owner, "root:660");

    grows(node);
    has_snapshots(node, device);
    moves(node);
    node.check("qm stop 100").unwrap();
    assert_eq!(volumes(node, "pve"), ["vm-100-disk-0 -"]);
    is_cloned(node);
    node.check("qm destroy 100 --purge").unwrap();
    assert_eq!(volumes(node, "pve"), [""; 0]);
}

/// The disk grows while the guest runs, by whole extents.
fn grows(node: &Node) {
    node.check("qm resize 100 virtio0 +5M").unwrap();
    assert!(
        drive(node, 100).ends_with("size=12M"),
        "{}",
        drive(node, 100)
    );
    let content = get(node, "/nodes/n1/storage/thin/content");
    assert_eq!(content[0]["volid"], "thin:vm-100-disk-0");
    assert_eq!(content[0]["format"], "raw");
    assert_eq!(content[0]["size"], 12 * MIB);
}

/// Snapshots of the running guest, without memory and with it.
fn has_snapshots(node: &Node, device: &str) {
    let mark = |byte: &str| {
        let write = format!("printf {byte} | dd of={device} bs=1 seek=1M conv=notrunc");
        node.check(&format!("{write} 2>&1 && sync")).unwrap();
    };
    let marked = || {
        // An inactive volume has no device.
        let read = format!(
            "dd if={device} bs=1 skip=1M count=1 iflag=direct,skip_bytes 2>/dev/null || \
             dd if={device} bs=1 skip=1M count=1 2>/dev/null"
        );
        node.check(&read).unwrap()
    };
    mark("1");
    post(node, "/nodes/n1/qemu/100/snapshot", "--snapname plain");
    executes(node, 100);
    mark("2");
    post(
        node,
        "/nodes/n1/qemu/100/snapshot",
        "--snapname memory --vmstate 1",
    );
    executes(node, 100);
    mark("3");
    let all = volumes(node, "pve");
    for snapshot in ["snap_vm-100-disk-0_plain -", "snap_vm-100-disk-0_memory -"] {
        assert!(all.iter().any(|volume| volume == snapshot), "{all:?}");
    }
    // The guest comes back with its memory, and so executes at once.
    post(node, "/nodes/n1/qemu/100/snapshot/memory/rollback", "");
    executes(node, 100);
    assert_eq!(marked(), "2");
    post(
        node,
        "/nodes/n1/qemu/100/snapshot/plain/rollback",
        "--start 1",
    );
    executes(node, 100);
    assert_eq!(marked(), "1");
    let template = refusal(node, "pvesh create /nodes/n1/qemu/100/template");
    assert!(template.contains("contains snapshots"), "{template}");
    for name in ["memory", "plain"] {
        node.check(&format!("qm delsnapshot 100 {name}")).unwrap();
    }
    assert_eq!(volumes(node, "pve"), ["vm-100-disk-0 a"]);
}

/// The disk goes to a folder and back while the guest writes its letters.
fn moves(node: &Node) {
    for (storage, format) in [("local", "--format qcow2"), ("thin", "")] {
        let options = format!("--disk virtio0 --storage {storage} {format} --delete 1");
        post(node, "/nodes/n1/qemu/100/move_disk", &options);
        assert!(
            drive(node, 100).starts_with(storage),
            "{}",
            drive(node, 100)
        );
        executes(node, 100);
        let on_thin = volumes(node, "pve");
        match storage {
            "local" => assert_eq!(on_thin, [""; 0]),
            _ => assert_eq!(on_thin, ["vm-100-disk-0 a"]),
        }
    }
    let wrong =
        "pvesh create /nodes/n1/qemu/100/move_disk --disk virtio0 --storage thin --format qcow2";
    let refused = refusal(node, wrong);
    assert!(refused.contains("unsupported format 'qcow2'"), "{refused}");
}

/// A full clone, then a template with two linked ones.
fn is_cloned(node: &Node) {
    post(node, "/nodes/n1/qemu/100/clone", "--newid 101 --full 1");
    post(node, "/nodes/n1/qemu/101/status/start", "");
    executes(node, 101);
    node.check("qm stop 101 && qm template 101").unwrap();
    assert!(drive(node, 101).starts_with("thin:base-101-disk-0"));
    for vmid in [102, 103] {
        post(node, "/nodes/n1/qemu/101/clone", &format!("--newid {vmid}"));
        post(node, &format!("/nodes/n1/qemu/{vmid}/status/start"), "");
        executes(node, vmid);
    }
    let all = volumes(node, "pve");
    for volume in ["base-101-disk-0 -", "vm-102-disk-0 a", "vm-103-disk-0 a"] {
        assert!(all.iter().any(|found| found == volume), "{all:?}");
    }
    for vmid in [102, 103, 101] {
        node.check(&format!("qm stop {vmid}; qm destroy {vmid}"))
            .unwrap();
    }
    assert_eq!(volumes(node, "pve"), ["vm-100-disk-0 -"]);
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn what_ends_with_the_agent_dead_is_let_go_by_the_next_one() {
    let lab = Lab::start(1).unwrap();
    let (node, _disk) = with_storage(&lab, "");
    make_guest(node);
    post(node, "/nodes/n1/qemu/100/status/start", "");
    executes(node, 100);
    // The agent dies, and the guest with it.
    node.check("systemctl stop ostler-node").unwrap();
    let guest = "/sys/fs/cgroup/system.slice/ostler-guests.service/ostler/guest-100";
    node.check(&format!("echo 1 >{guest}/cgroup.kill")).unwrap();
    assert_eq!(volumes(node, "pve"), ["vm-100-disk-0 a"]);
    node.check("systemctl start ostler-node").unwrap();
    let is_inactive = "lvs --noheadings -o lv_attr pve/vm-100-disk-0 | grep -q '^  Vwi---'";
    node.wait_until(SOON, is_inactive).unwrap();
    node.check("qm start 100").unwrap();
    executes(node, 100);
    node.check("qm stop 100").unwrap();
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn groups_of_others_are_left_alone() {
    let lab = Lab::start(1).unwrap();
    let (node, _disk) = with_storage(&lab, "");
    // A foreign group, with volumes that have the names of guests' disks.
    let other = lab.disk("other", 256 << 20).unwrap();
    let device = node.attach(&other).unwrap();
    node.check(&format!(
        "set -e; vgcreate -q foreign {device}; lvcreate -q -L 16M -n vm-100-disk-0 foreign
         lvcreate -q -L 16M -n vm-100-disk-1 pve; echo precious >/dev/foreign/vm-100-disk-0"
    ))
    .unwrap();
    make_guest(node);
    // A guest that uses LVM, and an administrator who has LVM look into volumes.
    let inside = "--config devices/scan_lvs=1";
    node.check(&format!(
        "set -e; lvchange -ay -K pve/vm-100-disk-0; lvextend -q -L 64M pve/vm-100-disk-0
         wipefs -q --all /dev/pve/vm-100-disk-0
         vgcreate -q {inside} inside /dev/pve/vm-100-disk-0
         lvcreate -q {inside} -an -Wn -Zn -L 8M -n root inside
         lvchange -an pve/vm-100-disk-0
         mkdir -p /etc/lvm; printf 'devices {{ scan_lvs = 1 }}\\n' >/etc/lvm/lvmlocal.conf"
    ))
    .unwrap();
    let seqno = |group: &str| {
        node.check(&format!("vgs --noheadings -o vg_seqno {group}"))
            .unwrap()
    };
    // The host activates what it finds inside, too, which then holds the guest's disk.
    let open = || node.check("lvchange -ay -K pve/vm-100-disk-0 && udevadm settle");
    let close = || node.check("vgchange -q -an inside && lvchange -an pve/vm-100-disk-0");
    let foreign = seqno("foreign");
    open().unwrap();
    let in_guest = seqno("inside");

    // The name that a volume of another kind has is passed by, and not taken over.
    post(node, "/nodes/n1/qemu/100/config", "--virtio1 thin:1");
    let config = get(node, "/nodes/n1/qemu/100/config");
    let second = config["virtio1"].as_str().unwrap();
    assert!(second.starts_with("thin:vm-100-disk-2"), "{second}");
    let taken = "pvesm alloc thin 100 vm-100-disk-1 4M";
    assert!(refusal(node, taken).contains("already exists"));
    let thick = "pvesh delete /nodes/n1/storage/thin/content/thin:vm-100-disk-1";
    assert!(refusal(node, thick).contains("does not exist"));
    // What a guest has inside is no group of the host.
    let stranger = "pvesm add lvmthin stranger --vgname inside --thinpool root";
    assert!(refusal(node, stranger).contains("no such logical volume inside/root"));
    close().unwrap();
    let status = get(node, "/nodes/n1/storage/thin/status");
    assert_eq!(status["active"], Value::from(1), "{status}");
    post(node, "/nodes/n1/qemu/100/snapshot", "--snapname one");
    node.check("qm rollback 100 one && qm delsnapshot 100 one")
        .unwrap();
    open().unwrap();
    assert_eq!(seqno("inside"), in_guest);
    close().unwrap();
    node.check("qm destroy 100 --purge").unwrap();
    assert_eq!(seqno("foreign"), foreign);
    assert_eq!(
        node.check("head -c 8 /dev/foreign/vm-100-disk-0").unwrap(),
        "precious"
    );
    assert_eq!(volumes(node, "pve"), ["vm-100-disk-1 a"]);
    assert_eq!(volumes(node, "foreign"), ["vm-100-disk-0 a"]);
}
