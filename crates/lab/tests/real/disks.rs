//! Disks of a node: what is made of them and taken away, by the tools of a real kernel.

use std::time::Duration;

use lab::{Lab, Node};
use serde_json::Value;

use crate::product::{Kvm, get, installed};

const DISKS: &str = "/nodes/n1/disks";

/// What must be refused, and is, for a reason.
fn refused(node: &Node, command: &str, why: &str) {
    let output = node.run(&format!("{command} 2>&1")).unwrap();
    let text = output.text();
    assert!(!output.success() && text.contains(why), "{command}: {text}");
}

/// The row of a disk in the list.
fn row(node: &Node, device: &str) -> Value {
    let rows = get(node, &format!("{DISKS}/list"));
    let mut rows = rows.as_array().unwrap().iter();
    let row = rows.find(|row| row["devpath"] == device);
    row.unwrap_or_else(|| panic!("{device} is not listed"))
        .clone()
}

fn is_empty(node: &Node, device: &str) {
    assert_eq!(
        node.check(&format!("wipefs --noheadings {device}"))
            .unwrap(),
        ""
    );
    let parts = node.check(&format!("lsblk --noheadings {device} | wc -l"));
    assert_eq!(parts.unwrap().trim(), "1");
    assert_eq!(row(node, device)["used"], Value::Null);
}

fn is_active(node: &Node, storage: &str) {
    let status = get(node, &format!("/nodes/n1/storage/{storage}/status"));
    assert_eq!(status["active"], 1, "{status}");
    assert!(status["total"].as_u64().unwrap() > 1 << 30, "{status}");
}

// covers: S3.41
#[test]
#[ignore = "needs the lab: ./x lab test"]
fn disks_become_storages_and_are_taken_away() {
    let lab = Lab::start(1).unwrap();
    let node = installed(&lab, Kvm::Given);
    let disks = ["one", "two"].map(|name| lab.disk(name, 4 << 30).unwrap());
    let devices = disks.each_ref().map(|disk| {
        let link = node.attach(disk).unwrap();
        node.check(&format!("readlink -f {link}"))
            .unwrap()
            .trim()
            .to_owned()
    });
    let [one, two] = devices.each_ref().map(String::as_str);
    table_and_wipe(node, one);
    directory(node, one);
    groups(node, [one, two]);
    pool(node, [one, two]);
    for device in [one, two] {
        is_empty(node, device);
    }
    let storages = get(node, "/storage");
    let storages = storages.as_array().unwrap().iter();
    let names: Vec<_> = storages
        .map(|row| row["storage"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["local"]);
}

fn table_and_wipe(node: &Node, disk: &str) {
    node.check(&format!("pvesh create {DISKS}/initgpt --disk {disk}"))
        .unwrap();
    assert_eq!(row(node, disk)["gpt"], 1);
    node.check(&format!("pvesh set {DISKS}/wipedisk --disk {disk}"))
        .unwrap();
    is_empty(node, disk);
}

fn directory(node: &Node, disk: &str) {
    for system in ["ext4", "xfs"] {
        node.check(&format!(
            "pvesh create {DISKS}/directory --name data --device {disk} --filesystem {system} \
             --add_storage 1"
        ))
        .unwrap();
        let mounted = node.check("findmnt -n -o FSTYPE /mnt/pve/data").unwrap();
        assert_eq!(mounted.trim(), system);
        is_active(node, "data");
        let listed = get(node, &format!("{DISKS}/directory"));
        assert_eq!(listed[0]["path"], "/mnt/pve/data", "{listed}");
        // It is mounted again by its unit.
        node.check("systemctl stop mnt-pve-data.mount && systemctl start mnt-pve-data.mount")
            .unwrap();
        node.check("systemctl is-enabled mnt-pve-data.mount")
            .unwrap();
        refused(
            node,
            &format!("pvesh set {DISKS}/wipedisk --disk {disk}"),
            "mounted",
        );
        node.check(&format!(
            "pvesh delete {DISKS}/directory/data --cleanup-config 1 --cleanup-disks 1"
        ))
        .unwrap();
        is_empty(node, disk);
        node.check("! test -e /etc/systemd/system/mnt-pve-data.mount")
            .unwrap();
    }
}

fn groups(node: &Node, [one, two]: [&str; 2]) {
    node.check(&format!(
        "pvesh create {DISKS}/lvm --name thick --device {one} --add_storage 1"
    ))
    .unwrap();
    node.check(&format!(
        "pvesh create {DISKS}/lvmthin --name thin --device {two} --add_storage 1"
    ))
    .unwrap();
    for storage in ["thick", "thin"] {
        is_active(node, storage);
    }
    assert_eq!(row(node, one)["used"], "LVM");
    refused(
        node,
        &format!("pvesh create {DISKS}/initgpt --disk {one}"),
        "LVM",
    );
    node.check(
        "pvesh create /nodes/n1/qemu --vmid 100 --memory 64 --virtio0 thick:1 --virtio1 thin:1",
    )
    .unwrap();
    refused(node, &format!("pvesh delete {DISKS}/lvm/thick"), "100");
    let thin = format!("pvesh delete {DISKS}/lvmthin/thin --volume-group thin");
    refused(node, &thin, "100");
    node.check("qm destroy 100").unwrap();
    node.check(&format!(
        "pvesh delete {DISKS}/lvm/thick --cleanup-config 1 --cleanup-disks 1"
    ))
    .unwrap();
    node.check(&format!("{thin} --cleanup-config 1 --cleanup-disks 1"))
        .unwrap();
    for device in [one, two] {
        is_empty(node, device);
    }
    assert_eq!(node.check("vgs --noheadings").unwrap(), "");
}

fn pool(node: &Node, [one, two]: [&str; 2]) {
    node.check(&format!(
        "pvesh create {DISKS}/zfs --name tank --raidlevel mirror --devices {one},{two} \
         --compression lz4 --ashift 12 --add_storage 1"
    ))
    .unwrap();
    is_active(node, "tank");
    let compression = node.check("zfs get -H -o value compression tank").unwrap();
    assert_eq!(compression.trim(), "lz4");
    let pool = get(node, &format!("{DISKS}/zfs/tank"));
    assert_eq!(pool["state"], "ONLINE", "{pool}");
    refused(
        node,
        &format!("pvesh set {DISKS}/wipedisk --disk {two}"),
        "ZFS",
    );
    node.check(&format!(
        "pvesh delete {DISKS}/zfs/tank --cleanup-config 1 --cleanup-disks 1"
    ))
    .unwrap();
    assert_eq!(node.check("zpool list -H").unwrap(), "");
}

/// Waits until there is such an alert, or none.
fn silent(node: &Node, is_open: bool) {
    let alerts = "pvesh get /ostler/alerts --output-format json";
    let count = format!("{alerts} | grep -c '\"storage-silent/n1/usb\"'");
    let wanted = u8::from(is_open);
    node.wait_until(
        Duration::from_secs(120),
        &format!("[ \"$({count})\" = {wanted} ]"),
    )
    .unwrap();
}

// covers: S3.65
#[test]
#[ignore = "needs the lab: ./x lab test"]
fn a_storage_comes_and_goes_with_its_disk() {
    let lab = Lab::start(1).unwrap();
    let node = installed(&lab, Kvm::Given);
    let disk = lab.disk("usb", 1 << 30).unwrap();
    let link = node.attach(&disk).unwrap();
    let create = format!("pvesh create {DISKS}/directory --name usb --filesystem ext4");
    let device = format!("$(readlink -f {link})");
    node.check(&format!("{create} --device {device} --add_storage 1"))
        .unwrap();
    let alloc = "pvesm alloc usb 100 vm-100-disk-0.raw 16M";
    node.check(alloc).unwrap();
    let held = node.spawn("exec sleep 600 < /mnt/pve/usb/images/100/vm-100-disk-0.raw");
    refused(node, "ostler storage detach usb", "busy");
    has_its_volume(node);
    drop(held);
    node.wait_until(
        Duration::from_secs(60),
        "pkill -x sleep; ostler storage detach usb",
    )
    .unwrap();
    node.check("! findmnt /mnt/pve/usb").unwrap();
    node.detach(&disk).unwrap();
    refused(node, "ostler storage attach usb", "is not plugged in");
    node.attach(&disk).unwrap();
    // Once the kernel has seen it.
    node.wait_until(Duration::from_secs(60), "ostler storage attach usb")
        .unwrap();
    has_its_volume(node);

    // Without a word.
    node.detach(&disk).unwrap();
    node.wait_until(Duration::from_secs(60), "! findmnt /mnt/pve/usb")
        .unwrap();
    refused(
        node,
        "pvesm alloc usb 100 vm-100-disk-1.raw 16M",
        "not mounted",
    );
    node.check("[ -z \"$(ls -A /mnt/pve/usb)\" ]").unwrap();
    silent(node, true);
    node.attach(&disk).unwrap();
    // Once the kernel has seen it.
    node.wait_until(Duration::from_secs(60), "ostler storage attach usb")
        .unwrap();
    has_its_volume(node);
    silent(node, false);
}

/// The storage is used, and has what was put there.
fn has_its_volume(node: &Node) {
    let status = get(node, "/nodes/n1/storage/usb/status");
    assert_eq!(status["active"], 1, "{status}");
    let list = node.check("pvesm list usb").unwrap();
    assert!(list.contains("vm-100-disk-0.raw"), "{list}");
}
