//! The types of storages that need a kernel of their own: the conformance suite on each, and a guest
//! that goes round all of them.
//!
//! Thin volumes have a file of their own, `lvmthin.rs`.

use std::path::PathBuf;
use std::time::Duration;

use lab::{Disk, Lab, Node};

use crate::product::{Kvm, SOON, boot_sector, get, installed};
use crate::whole;

/// The conformance suite calls the programs of a storage hundreds of times.
const SUITE: Duration = Duration::from_secs(900);

const MIB: u64 = 1 << 20;

const TARGET: &str = "iqn.2026-01.lab:units";

/// Runs modules of the suite at a node. `variables` say where the storage is.
pub(crate) fn conforms(node: &Node, modules: &str, variables: &str) {
    let text = suite(node, SUITE, modules, variables);
    assert!(
        text.contains("the_storage_says_how_full_it_is ... ok"),
        "{text}"
    );
}

fn suite(node: &Node, within: Duration, modules: &str, variables: &str) -> String {
    let tests = std::env::var_os("OSTLER_LAB_STORAGE_TESTS").expect("./x lab test names it");
    let tests = PathBuf::from(tests);
    node.deliver(&[&tests], "/opt").unwrap();
    let name = tests.file_name().unwrap().to_string_lossy();
    let suite = format!("{variables} /opt/{name} {modules} --ignored --test-threads=1 2>&1");
    let output = node.run_within(within, &suite).unwrap();
    let text = output.text().replace('\n', "\n    | ");
    assert!(output.success(), "{text}");
    text
}

/// A group `vg` on a disk of its own, which must live as long as the node uses it.
fn group(lab: &Lab, node: &Node) -> Disk {
    let disk = lab.disk("pv", 512 * MIB).unwrap();
    let device = node.attach(&disk).unwrap();
    node.check(&format!("vgcreate -q vg {device}")).unwrap();
    disk
}

/// A pool `tank` on a disk of its own.
fn pool(lab: &Lab, node: &Node) -> Disk {
    let disk = lab.disk("tank", 512 * MIB).unwrap();
    let device = node.attach(&disk).unwrap();
    node.check(&format!(
        "zpool create tank {device} && zfs create tank/guests"
    ))
    .unwrap();
    disk
}

/// A server with `/srv/export` for NFS, and a share `vms` of the user `ostler` for SMB.
pub(crate) fn serve(lab: &Lab, server: &Node) -> Disk {
    let disk = lab.disk("export", 512 * MIB).unwrap();
    let device = server.attach(&disk).unwrap();
    server
        .check(&format!(
            "set -e; mkfs.ext4 -q {device}; mkdir -p /srv/export; mount {device} /srv/export
             echo '/srv/export 10.77.0.0/24(rw,fsid=0,no_root_squash,no_subtree_check)' >/etc/exports
             printf '[nfsd]\\ngrace-time=10\\nlease-time=10\\n' >/etc/nfs.conf.d/lab.conf
             systemctl start nfs-server
             printf '[global]\\nserver role = standalone server\\n[vms]\\npath = /srv/export/vms\\nread only = no\\nforce user = root\\n' >/etc/samba/smb.conf
             mkdir -p /srv/export/vms; useradd --no-create-home ostler-share
             printf 'hidden\\nhidden\\n' | smbpasswd -a -s ostler-share >/dev/null
             systemctl start smbd"
        ))
        .unwrap();
    disk
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn volumes_of_lvm_and_zfs_conform_to_what_storages_promise() {
    let lab = Lab::start(1).unwrap();
    let node = lab.node(1);
    let (_group, _pool) = (group(&lab, node), pool(&lab, node));
    conforms(node, "lab_lvm::", "OSTLER_LVM=vg");
    assert_eq!(volumes(node), "", "nothing is left");
    conforms(
        node,
        "lab_zfspool:: lab_zfspool_trees::",
        "OSTLER_ZFS=tank/guests",
    );
    let left = node
        .check("zfs list -H -o name -t all -r tank/guests")
        .unwrap();
    assert_eq!(left, "tank/guests", "nothing is left");
}

fn volumes(node: &Node) -> String {
    node.check("lvs --noheadings vg").unwrap()
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn layers_in_volumes_of_lvm_conform_to_what_storages_promise() {
    let lab = Lab::start(1).unwrap();
    let node = lab.node(1);
    let _group = group(&lab, node);
    conforms(node, "lab_lvm_chain::", "OSTLER_LVM=vg");
    if std::env::var_os("OSTLER_LAB_LONG").is_some() {
        let calls = "lab_lvm_chain_broken:: --show-output";
        let text = suite(node, 6 * SUITE, calls, "OSTLER_LVM=vg");
        println!("{text}");
    }
    assert_eq!(volumes(node), "", "nothing is left");
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn folders_of_servers_conform_to_what_storages_promise() {
    let lab = Lab::start(2).unwrap();
    let (server, node) = (lab.node(1), lab.node(2));
    let _disk = serve(&lab, server);
    conforms(node, "lab_nfs", "OSTLER_NFS=10.77.0.1:/");
    let user = "OSTLER_CIFS_USER=ostler-share:hidden";
    conforms(
        node,
        "lab_cifs",
        &format!("OSTLER_CIFS=10.77.0.1/vms {user}"),
    );
}

/// Storages of a node with Ostler, one of each type; the server is the other node.
const STORAGES: [(&str, &str); 4] = [
    ("thick", "lvm thick --vgname vg --saferemove 1"),
    ("tank", "zfspool tank --pool tank/guests --sparse 1"),
    (
        "nas",
        "nfs nas --server 10.77.0.2 --export / --content images",
    ),
    (
        "smb",
        "cifs smb --server 10.77.0.2 --share vms --username ostler-share --password hidden",
    ),
];

fn drive(node: &Node) -> String {
    let config = get(node, "/nodes/n1/qemu/100/config");
    config["virtio0"].as_str().unwrap().to_owned()
}

pub(crate) fn executes(node: &Node, vmid: u32) {
    let heard = format!(
        "timeout 30 socat -u UNIX:/run/ostler/guests/{vmid}/serial0.sock STDOUT | head -c 3"
    );
    assert_eq!(node.check(&heard).unwrap(), "kkk");
}

pub(crate) fn post(node: &Node, path: &str, options: &str) {
    node.check_within(SOON, &format!("pvesh create {path} {options} 2>&1"))
        .unwrap();
}

// covers: S0.21 S2.24 S4.18
#[test]
#[ignore = "needs the lab: ./x lab test"]
fn a_guest_goes_round_all_types_while_it_runs() {
    let lab = Lab::start(2).unwrap();
    let node = installed(&lab, Kvm::Given);
    let _served = serve(&lab, lab.node(2));
    let (_group, _pool) = (group(&lab, node), pool(&lab, node));
    for (_, options) in STORAGES {
        node.check_within(SOON, &format!("pvesm add {options}"))
            .unwrap();
    }
    node.put("/root/sector.raw", &boot_sector(), 0o644).unwrap();
    post(
        node,
        "/nodes/n1/qemu",
        "--vmid 100 --memory 64 --cpu host --serial0 socket --boot order=virtio0 \
         --virtio0 thick:0,import-from=/root/sector.raw",
    );
    post(node, "/nodes/n1/qemu/100/status/start", "");
    executes(node, 100);
    for (storage, _) in STORAGES.iter().skip(1).chain(&STORAGES[..1]) {
        let options = format!("--disk virtio0 --storage {storage} --delete 1");
        post(node, "/nodes/n1/qemu/100/move_disk", &options);
        assert!(drive(node).starts_with(storage), "{}", drive(node));
        executes(node, 100);
        let content = get(node, &format!("/nodes/n1/storage/{storage}/content"));
        assert_eq!(content.as_array().unwrap().len(), 1, "{content}");
    }
    node.check("qm stop 100").unwrap();
    for (storage, _) in &STORAGES[1..] {
        lives(node, storage);
    }
    node.check("qm destroy 100").unwrap();
    for (storage, _) in STORAGES {
        let left = get(node, &format!("/nodes/n1/storage/{storage}/content"));
        assert_eq!(left.as_array().map(Vec::len), Some(0), "{storage}: {left}");
    }
}

/// What a guest does on a storage that has snapshots: a disk is put there, snapshotted, rolled
/// back, cloned and made a template with a linked clone.
fn lives(node: &Node, storage: &str) {
    // An NFS or SMB folder has snapshots in qcow2 images.
    let format = match storage {
        "nas" | "smb" => "--format qcow2",
        _ => "",
    };
    let to = format!("--newid 101 --full 1 --storage {storage} {format}");
    post(node, "/nodes/n1/qemu/100/clone", &to);
    post(node, "/nodes/n1/qemu/101/status/start", "");
    executes(node, 101);
    post(node, "/nodes/n1/qemu/101/snapshot", "--snapname one");
    post(
        node,
        "/nodes/n1/qemu/101/snapshot",
        "--snapname two --vmstate 1",
    );
    post(node, "/nodes/n1/qemu/101/snapshot/two/rollback", "");
    executes(node, 101);
    node.check("qm resize 101 virtio0 +8M").unwrap();
    node.check(
        "qm delsnapshot 101 two && qm delsnapshot 101 one && qm stop 101 && qm template 101",
    )
    .unwrap();
    post(node, "/nodes/n1/qemu/101/clone", "--newid 102");
    post(node, "/nodes/n1/qemu/102/status/start", "");
    executes(node, 102);
    let used = node.run("qm destroy 101 2>&1").unwrap();
    if storage != "thin" {
        assert!(
            used.text().contains("linked clone"),
            "{storage}: {}",
            used.text()
        );
    }
    node.check("qm stop 102 && qm destroy 102 && qm destroy 101")
        .unwrap();
}

/// A target with two units of 32 MiB at a node.
fn target(node: &Node) {
    let script = format!(
        "set -e; modprobe -a target_core_file iscsi_target_mod
         target=/sys/kernel/config/target; group=$target/iscsi/{TARGET}/tpgt_1
         mkdir -p $group; mkdir $group/np/{}:3260
         for unit in 0 1; do
           file=/run/unit$unit; core=$target/core/fileio_$unit/unit; truncate -s 32M $file
           mkdir -p $core; echo fd_dev_name=$file,fd_dev_size=33554432 >$core/control
           echo 1 >$core/enable; echo 1111-2222-$unit >$core/wwn/vpd_unit_serial
           mkdir $group/lun/lun_$unit; ln -s $core $group/lun/lun_$unit/unit
         done
         echo 0 >$group/attrib/authentication; echo 1 >$group/attrib/generate_node_acls
         echo 0 >$group/attrib/demo_mode_write_protect; echo 1 >$group/enable",
        node.address()
    );
    node.check(&script).unwrap();
}

/// The driver of `iscsi` storages on a real kernel, while its portal goes and comes back.
#[test]
#[ignore = "needs the lab: ./x lab test"]
fn units_of_a_target_are_disks_while_its_portal_is_there() {
    let lab = Lab::start(2).unwrap();
    let (server, node) = (lab.node(1), lab.node(2));
    target(server);
    let tests = std::env::var_os("OSTLER_LAB_STORAGE_TESTS").expect("./x lab test names it");
    let tests = PathBuf::from(tests);
    node.deliver(&[&tests], "/opt").unwrap();
    let program = format!("/opt/{}", tests.file_name().unwrap().to_string_lossy());
    let passes = |test: &str| {
        let run = format!(
            "OSTLER_ISCSI={}/{TARGET} {program} --exact lab_iscsi::{test} --ignored 2>&1",
            server.address()
        );
        let output = node.run_within(SOON, &run).unwrap();
        let text = output.text().replace('\n', "\n    | ");
        assert!(output.success() && text.contains("1 passed"), "{text}");
    };
    passes("units_are_disks_of_the_node");
    lab.hub().cut(server, node);
    passes("a_portal_that_is_gone_is_noticed");
    lab.hub().heal();
    passes("a_portal_that_is_there_again_is_noticed");
}

/// A volume group that a storage makes on a unit.
#[test]
#[ignore = "needs the lab: ./x lab test"]
fn a_group_is_made_on_a_unit() {
    let lab = Lab::start(2).unwrap();
    let (server, node) = (lab.node(1), lab.node(2));
    target(server);
    let disk = lab.disk("opt", 2048 << 20).unwrap();
    node.attach(&disk).unwrap();
    whole::deliver(node, "/dev/disk/by-id/virtio-opt");
    let iscsi = format!("OSTLER_ISCSI={}/{TARGET}", server.address());
    whole::passes(node, &iscsi, "a_group_is_made_on_a_unit_that_is_empty");
}
