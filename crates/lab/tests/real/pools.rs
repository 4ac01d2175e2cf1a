//! Pools of ZFS on a real kernel: they grow, lose a member and get another one while a guest runs, and
//! hold what is encrypted.

use std::time::Duration;

use lab::{Disk, Lab, Node};
use serde_json::Value;

use crate::product::{Kvm, SOON, boot_sector, get, installed};

const POOLS: &str = "/ostler/nodes/n1/pools";

/// Small disks, by the names that the kernel gives them.
fn disks<const N: usize>(lab: &Lab, node: &Node) -> ([Disk; N], [String; N]) {
    let disks =
        std::array::from_fn(|number| lab.disk(&format!("member{number}"), 256 << 20).unwrap());
    let devices = disks.each_ref().map(|disk| {
        let link = node.attach(disk).unwrap();
        let device = node.check(&format!("readlink -f {link}")).unwrap();
        device.trim().to_owned()
    });
    (disks, devices)
}

fn run(node: &Node, command: &str) {
    node.check_within(SOON, &format!("{command} 2>&1")).unwrap();
}

fn refused(node: &Node, command: &str, why: &str) {
    let output = node.run_within(SOON, &format!("{command} 2>&1")).unwrap();
    let text = output.text();
    assert!(!output.success() && text.contains(why), "{command}: {text}");
}

fn pool(node: &Node) -> Value {
    get(node, &format!("{POOLS}/tank"))
}

/// Guest 100 with a disk on the storage that boots, running.
fn start_guest(node: &Node, storage: &str) {
    node.put("/root/sector.raw", &boot_sector(), 0o644).unwrap();
    run(
        node,
        &format!(
            "pvesh create /nodes/n1/qemu --vmid 100 --memory 64 --cpu host --serial0 socket --boot \
             order=virtio0 --virtio0 {storage}:0,import-from=/root/sector.raw"
        ),
    );
    run(node, "qm start 100");
    executes(node);
}

/// Its boot sector writes to the first serial port.
fn executes(node: &Node) {
    let heard = "timeout 30 socat -u UNIX:/run/ostler/guests/100/serial0.sock STDOUT | head -c 3";
    assert_eq!(node.check(heard).unwrap(), "kkk");
}

/// Waits until there is such an alert, or none.
fn alert(node: &Node, id: &str, is_open: bool) {
    let count =
        format!("pvesh get /ostler/alerts --output-format json | grep -c '\"{id}/n1/tank\"'");
    let wanted = u8::from(is_open);
    node.wait_until(
        Duration::from_secs(90),
        &format!("[ \"$({count})\" = {wanted} ]"),
    )
    .unwrap();
}

// covers: S0.16 S0.20 S0.22
#[test]
#[ignore = "needs the lab: ./x lab test"]
fn a_mirror_grows_loses_a_member_and_gets_another_while_a_guest_runs() {
    let lab = Lab::start(1).unwrap();
    let node = installed(&lab, Kvm::Given);
    let (_disks, [one, two, three, four, five]) = disks(&lab, node);
    run(
        node,
        &format!(
            "pvesh create /nodes/n1/disks/zfs --name tank --raidlevel mirror --devices {one},{two} \
             --add_storage 1"
        ),
    );
    start_guest(node, "tank");
    let before = pool(node);
    assert_eq!(before["health"], "ONLINE", "{before}");
    let mirror = &before["devices"][0]["children"][0];
    assert_eq!(mirror["name"], "mirror-0", "{before}");
    assert!(mirror["children"][1]["guid"].is_string(), "{before}");

    let add = format!("ostler pool add tank {three},{four}");
    let plan = node.check(&add).unwrap();
    assert!(plan.contains("mirror"), "{plan}");
    assert_eq!(pool(node)["size"], before["size"], "a plan adds nothing");
    refused(
        node,
        &format!("ostler pool add tank {three}"),
        "no groups of 2",
    );
    refused(
        node,
        &format!("ostler pool add tank {one},{three}"),
        "ZFS pool tank",
    );
    run(node, &format!("{add} --dry-run 0"));
    let grown = pool(node);
    let size = |pool: &Value| pool["size"].as_u64().unwrap();
    assert!(size(&grown) > size(&before) * 19 / 10, "{before} {grown}");
    executes(node);

    scrub_and_repair(node, [&one, &two, &five]);
}

/// A mirror loses `two`, gets `five` for it, and `two` back for a while.
fn scrub_and_repair(node: &Node, [one, two, five]: [&str; 3]) {
    run(node, "ostler pool scrub tank");
    node.wait_until(SOON, "ostler pool list | grep -q 'scrub finished'")
        .unwrap();
    assert_eq!(pool(node)["scan"]["errors"], 0);

    let mirror = pool(node)["devices"][0]["children"][0].clone();
    let lost = mirror["children"][1]["guid"].as_str().unwrap().to_owned();
    run(node, &format!("zpool offline -f tank {lost}"));
    alert(node, "pool-degraded", true);
    assert_eq!(pool(node)["health"], "DEGRADED");
    executes(node);
    refused(
        node,
        &format!("ostler pool detach tank {one}"),
        "last whole device",
    );
    run(node, &format!("ostler pool replace tank {two} {five}"));
    node.wait_until(SOON, "[ \"$(zpool list -H -o health tank)\" = ONLINE ]")
        .unwrap();
    alert(node, "pool-degraded", false);
    executes(node);
    // The one that was replaced is free again.
    run(
        node,
        &format!("pvesh set /nodes/n1/disks/wipedisk --disk {two}"),
    );
    run(node, &format!("ostler pool attach tank {one} {two}"));
    node.wait_until(SOON, "! zpool status tank | grep -q 'in progress'")
        .unwrap();
    run(node, &format!("ostler pool detach tank {two}"));
    assert_eq!(
        pool(node)["devices"][0]["children"][0]["children"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    run(node, &format!("ostler pool online tank {one} --expand 1"));
    run(node, "ostler pool clear tank");
    executes(node);
}

/// What has just looked at its devices may keep it for a moment.
fn export(node: &Node) {
    node.wait_until(SOON, "zpool export tank").unwrap();
}

// covers: S1.15 S2.76
#[test]
#[ignore = "needs the lab: ./x lab test"]
fn an_encrypted_storage_has_its_key_whenever_it_is_imported() {
    let lab = Lab::start(1).unwrap();
    let node = installed(&lab, Kvm::Given);
    let (_disks, [one]) = disks(&lab, node);
    run(node, &format!("zpool create tank {one}"));
    let add = |pool: &str| format!("pvesm add zfspool safe --pool {pool} --encrypted 1");
    refused(node, &add("tank"), "is not encrypted");
    run(node, &add("tank/safe"));
    start_guest(node, "safe");
    let get = |what: &str| {
        let disk = "tank/safe/vm-100-disk-0";
        node.check(&format!("zfs get -H -o value {what} {disk}"))
            .unwrap()
    };
    assert_eq!(
        get("encryption,encryptionroot").lines().collect::<Vec<_>>(),
        ["aes-256-gcm", "tank/safe"]
    );
    run(node, "qm snapshot 100 s1");
    run(node, "qm stop 100");
    // As after a restart of the machine: the pool comes back without its key.
    export(node);
    // The agent may be faster.
    run(node, "zpool import tank || zpool list tank");
    run(node, "qm start 100");
    executes(node);
    assert_eq!(get("keystatus").trim(), "available");
    let key = node.check("ostler storage-key export safe").unwrap();
    assert_eq!(key.trim().len(), 64);
    run(node, "qm stop 100");
    // What was exported opens it without Ostler.
    run(node, "pvesm remove safe");
    export(node);
    run(node, "zpool import tank");
    run(
        node,
        &format!("echo {} | zfs load-key tank/safe", key.trim()),
    );
    run(node, &add("tank/safe"));
    run(node, "qm start 100");
    executes(node);
    run(node, "qm stop 100");
    let moved = node.run_within(SOON, "qm move-disk 100 virtio0 local 2>&1");
    let moved = moved.unwrap().text().to_owned();
    assert!(
        moved.contains("'safe' is encrypted, 'local' is not"),
        "{moved}"
    );
    let told = format!("journalctl -o cat | grep -c {} || true", key.trim());
    assert_eq!(node.check(&told).unwrap().trim(), "0");
}

// covers: S4.14
#[test]
#[ignore = "needs the lab: ./x lab test"]
fn volumes_have_the_properties_of_their_guests_tier() {
    let lab = Lab::start(1).unwrap();
    let node = installed(&lab, Kvm::Given);
    let (_disks, [one]) = disks(&lab, node);
    run(node, &format!("zpool create tank {one}"));
    run(
        node,
        "pvesm add zfspool tank --pool tank --content images,rootdir",
    );
    let shown = |disk: &str, what: &str| {
        let get = format!("zfs get -H -o value,source {what} tank/{disk}");
        let printed = node.check(&get).unwrap();
        printed.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    start_guest(node, "tank");
    let default = shown("vm-100-disk-0", "compression");
    run(
        node,
        "ostler tier add gold --tags db --sync always --compression zstd --copies 2 \
         --refreservation none --reservation 4M --volblocksize 32K",
    );
    run(node, "qm set 100 --tags db");
    // What was set by hand stays; a plan changes nothing.
    run(node, "zfs set sync=disabled tank/vm-100-disk-0");
    let plan = node.check("ostler tier apply").unwrap();
    for said in ["set by hand", "new volumes only", "compression"] {
        assert!(plan.contains(said), "{said}: {plan}");
    }
    assert_eq!(shown("vm-100-disk-0", "ostler:tier"), "- -");
    run(node, "ostler tier apply --dry-run 0");
    for (property, value) in [
        ("compression", "zstd local"),
        ("copies", "2 local"),
        ("refreservation", "none local"),
        ("reservation", "4M local"),
        ("sync", "disabled local"),
    ] {
        assert_eq!(shown("vm-100-disk-0", property), value);
    }
    executes(node);
    // A new disk has them at once, and so has a file system.
    run(node, "qm set 100 --virtio1 tank:0.01");
    for (property, value) in [
        ("compression", "zstd local"),
        ("refreservation", "none default"),
        ("sync", "always local"),
        ("volblocksize", "32K -"),
    ] {
        assert_eq!(shown("vm-100-disk-1", property), value);
    }
    run(node, "ostler tier delete gold");
    run(node, "ostler tier apply --dry-run 0");
    for (property, value) in [
        ("compression", &*default),
        ("sync", "disabled local"),
        ("ostler:tier", "- -"),
    ] {
        assert_eq!(shown("vm-100-disk-0", property), value);
    }
    let reserved = shown("vm-100-disk-0", "reservation");
    assert!(reserved.starts_with("none "), "{reserved}");
    executes(node);
}
