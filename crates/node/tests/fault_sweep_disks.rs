//! The tasks of a node's disks, broken at every call, and what they refuse.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod removable;
mod scene;

use std::path::Path;
use std::sync::Arc;

use model::{Error, GuestKind, GuestRecord, PendingChange, Record, Upid, VmId};
use node::tasks::{
    DiskDirectoryCreate, DiskDirectoryDelete, DiskInitgpt, DiskLvmCreate, DiskLvmDelete,
    DiskLvmthinCreate, DiskLvmthinDelete, DiskWipe, DiskZfsCreate, DiskZfsDelete, FileSystem,
    PoolWanted, RaidLevel, ScrubAction, ZpoolAdd, ZpoolAttach, ZpoolClear, ZpoolDetach,
    ZpoolOnline, ZpoolReplace, ZpoolScrub,
};
use node::{NodeContext, guest_key, storage_key};
use scene::*;
use serde_json::{Value, json};
use store::Commit;
use sys::Files;
use tasks::{Engine, Task};
use testkit::fault_sweep::{Scene, exit_status, sweep_faults};
use testkit::{Faults, disk_programs, group_programs, pool_programs, put_disk};

const GIB: u64 = 1 << 30;

const GROUP_PROGRAMS: [&str; 11] = [
    "lvmconfig",
    "pvs",
    "vgs",
    "lvs",
    "pvcreate",
    "vgcreate",
    "lvcreate",
    "lvremove",
    "vgremove",
    "pvremove",
    "lvchange",
];

/// A node with disks; what is on them is compared too.
struct Disks<T>(Node<T>);

/// A node with an empty disk `/dev/sdb`, and the disk that it runs from.
async fn disks<T>(make: fn(VmId) -> T) -> Disks<T> {
    let mut node = empty(make).await;
    let programs = [
        "blkid",
        "lsblk",
        "wipefs",
        "sfdisk",
        "blockdev",
        "dd",
        "udevadm",
        "mkfs.ext4",
        "mkfs.xfs",
        "mount",
        "umount",
        "systemctl",
    ];
    for program in programs {
        node.host = node.host.program(program, disk_programs);
    }
    node.host = node.host.program("sync", silent);
    for program in GROUP_PROGRAMS {
        node.host = node.host.program(program, group_programs);
    }
    for program in ["zpool", "zfs"] {
        node.host = node.host.program(program, pool_programs);
    }
    let folders = [
        "/dev",
        "/proc/self",
        "/mnt/pve",
        "/etc/systemd/system/multi-user.target.wants",
    ];
    for folder in folders {
        node.host
            .create_dir(Path::new(folder), 0o755)
            .await
            .unwrap();
    }
    for file in ["/etc/fstab", "/proc/mounts", "/proc/self/mountinfo"] {
        node.host.write(Path::new(file), b"", 0o644).await.unwrap();
    }
    let disks = Disks(node);
    disks.has("/dev/sda", json!({"pttype": "gpt", "serial": "A"}));
    disks.has("/dev/sda1", json!({"fstype": "vfat"}));
    disks.has("/dev/sda2", json!({"fstype": "ext4", "mountpoint": "/"}));
    disks.has("/dev/sdb", json!({"serial": "B"}));
    disks
}

impl<T> Disks<T> {
    fn has(&self, path: &str, facts: Value) {
        let put = |files: &mut _| put_disk(files, path, &facts, 8 * GIB);
        self.0.host.change_files(put);
    }

    async fn facts(&self, path: &str) -> Value {
        let text = self.0.host.read(Path::new(path)).await.unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// A storage `store` of this node.
    async fn has_storage(&self, mut spec: Value) {
        spec["id"] = STORE.into();
        spec["content"] = json!(["images"]);
        spec["nodes"] = json!(["pve1"]);
        let config: storage::StorageConfig = serde_json::from_value(spec).unwrap();
        let record = Record::new(config.clone()).encode().unwrap();
        let commit = Commit::new().put(storage_key(config.id()), record);
        self.0.plain.commit(commit).await.unwrap();
    }

    async fn has_guest(&self, option: &str, value: &str) {
        let mut guest = GuestRecord::new(vmid(), GuestKind::Qemu, "pve1".parse().unwrap(), 0);
        guest.config.set(option, value);
        self.put_guest(guest).await;
    }

    async fn put_guest(&self, guest: GuestRecord) {
        let record = Record::new(guest).encode().unwrap();
        let commit = Commit::new().put(guest_key(vmid()), record);
        self.0.plain.commit(commit).await.unwrap();
    }
}

impl<T: Task<Node = NodeContext>> Scene for Disks<T> {
    type Node = NodeContext;

    fn open(&self) -> Waiting<'_, Arc<Engine<NodeContext>>> {
        self.0.open()
    }

    fn submit<'a>(&'a self, engine: &'a Engine<NodeContext>) -> Waiting<'a, Result<Upid, Error>> {
        self.0.submit(engine)
    }

    fn inventory(&self) -> Waiting<'_, Vec<String>> {
        Box::pin(async {
            let mut lines = self.0.inventory().await;
            for entry in self.0.host.list(Path::new("/dev")).await.unwrap() {
                if !entry.name.starts_with("sd") {
                    continue;
                }
                let mut facts = self.facts(&format!("/dev/{}", entry.name)).await;
                for id in ["uuid", "ptuuid"] {
                    if !facts[id].is_null() {
                        facts[id] = "chosen".into();
                    }
                }
                lines.push(format!("{} {facts}", entry.name));
            }
            lines
        })
    }

    fn faults(&self) -> &Faults {
        self.0.faults()
    }
}

async fn sweep<T: Task<Node = NodeContext>>(
    scene: impl Fn() -> Waiting<'static, Disks<T>>,
    at_least: usize,
) {
    let swept = sweep_faults(scene).await;
    assert!(swept.calls >= at_least, "{swept:?}");
    assert!(swept.breaks > 2 * swept.calls, "{swept:?}");
    assert!(swept.failed > 0 && swept.went_through > 0, "{swept:?}");
}

/// How the task ends, which must have changed nothing.
async fn refused<T: Task<Node = NodeContext>>(disks: &Disks<T>) -> String {
    let before = disks.inventory().await;
    let status = disks.0.run().await;
    assert_eq!(disks.inventory().await, before, "{status}");
    status
}

fn initgpt(_: VmId) -> DiskInitgpt {
    let uuid = "0f5a6d2e-8a3c-4b1d-9e7f-112233445566";
    DiskInitgpt::new("/dev/sdb".to_owned(), Some(uuid.to_owned()))
}

fn wipe(_: VmId) -> DiskWipe {
    DiskWipe::new("/dev/sdb".to_owned())
}

#[tokio::test]
async fn disk_initgpt() {
    sweep(|| Box::pin(disks(initgpt)), 12).await;
    let disks = disks(initgpt).await;
    assert_eq!(disks.0.run().await, "OK");
    let table = disks.facts("/dev/sdb").await;
    assert_eq!(table["ptuuid"], "0f5a6d2e-8a3c-4b1d-9e7f-112233445566");
}

/// A disk with two partitions that are not used.
async fn written<T>(make: fn(VmId) -> T) -> Disks<T> {
    let disks = disks(make).await;
    disks.has("/dev/sdb", json!({"serial": "B", "pttype": "gpt"}));
    disks.has("/dev/sdb1", json!({"fstype": "ext4", "uuid": "1-2"}));
    disks.has("/dev/sdb2", json!({"fstype": "zfs_member"}));
    disks
}

#[tokio::test]
async fn disk_wipe() {
    sweep(|| Box::pin(written(wipe)), 14).await;
    let disks = written(wipe).await;
    assert_eq!(disks.0.run().await, "OK");
    assert_eq!(disks.facts("/dev/sdb").await, json!({"serial": "B"}));
    let left = disks.0.host.list(Path::new("/dev")).await.unwrap();
    assert!(!left.iter().any(|entry| entry.name == "sdb1"));
}

/// A partition keeps its place, and is marked as one of Linux.
#[tokio::test]
async fn a_partition_is_wiped_alone() {
    let disks = written(|_| DiskWipe::new("/dev/sdb1".to_owned())).await;
    assert_eq!(disks.0.run().await, "OK");
    let wiped = json!({"parttype": "0fc63daf-8483-4772-8e79-3d69d8477de4"});
    assert_eq!(disks.facts("/dev/sdb1").await, wiped);
    assert_eq!(disks.facts("/dev/sdb2").await["fstype"], "zfs_member");
}

// covers: S3.41
#[tokio::test]
async fn a_disk_in_use_is_named_with_its_user() {
    let cases = [
        (
            json!({"mountpoint": "/srv"}),
            "disk/partition '/dev/sdb1' is mounted (/srv)",
        ),
        (
            json!({"mountpoint": "[SWAP]"}),
            "disk/partition '/dev/sdb1' is mounted (swap)",
        ),
        (
            json!({"holder": "vg-x"}),
            "disk/partition '/dev/sdb1' has a holder (/dev/mapper/vg-x)",
        ),
    ];
    for (facts, text) in cases {
        let disks = written(wipe).await;
        disks.has("/dev/sdb1", facts);
        assert_eq!(refused(&disks).await, text);
    }
    let disks = written(initgpt).await;
    let text = "device '/dev/sdb' is already in use (partitions)";
    assert_eq!(refused(&disks).await, text);
    disks.has("/dev/sdb2", json!({"mountpoint": "/srv"}));
    let text = "device '/dev/sdb' is already in use (/dev/sdb2 is mounted at /srv)";
    assert_eq!(refused(&disks).await, text);
}

#[tokio::test]
async fn a_file_system_of_several_disks_is_mounted_on_all() {
    let disks = disks(wipe).await;
    disks.has("/dev/sdb", json!({"fstype": "btrfs", "uuid": "7-7"}));
    disks.has(
        "/dev/sdc",
        json!({"fstype": "btrfs", "uuid": "7-7", "mountpoint": "/data"}),
    );
    let text = "disk/partition '/dev/sdb' is mounted (/data)";
    assert_eq!(refused(&disks).await, text);
}

/// Also a partition of it that nothing is mounted from.
#[tokio::test]
async fn the_disk_that_a_node_runs_from_is_never_written_to() {
    let part = disks(|_| DiskWipe::new("/dev/sda1".to_owned())).await;
    let text = "disk/partition '/dev/sda1' is in use: this node runs from /dev/sda";
    assert_eq!(refused(&part).await, text);
    let disk = disks(|_| DiskWipe::new("/dev/sda".to_owned())).await;
    let text = "disk/partition '/dev/sda2' is mounted (/)";
    assert_eq!(refused(&disk).await, text);
}

#[tokio::test]
async fn a_disk_that_a_guest_is_given_is_the_guests() {
    for (option, value) in [
        ("scsi1", "/dev/sdb,size=8G"),
        ("mp0", "volume=/dev/sdb,mp=/x"),
    ] {
        let disks = disks(wipe).await;
        disks.has_guest(option, value).await;
        let text =
            format!("disk/partition '/dev/sdb' is in use: /dev/sdb is {option} of guest 100");
        assert_eq!(refused(&disks).await, text);
    }
}

#[tokio::test]
async fn what_is_no_disk_is_refused() {
    for (device, text) in [
        ("/dev/sdz", "not a valid block device"),
        ("/etc/passwd", "not a valid block device"),
        ("/dev", "not a valid block device"),
    ] {
        let mut disks = disks(wipe).await;
        disks.0.make = match device {
            "/dev/sdz" => |_| DiskWipe::new("/dev/sdz".to_owned()),
            "/dev" => |_| DiskWipe::new("/dev".to_owned()),
            _ => |_| DiskWipe::new("/etc/passwd".to_owned()),
        };
        assert_eq!(refused(&disks).await, text);
    }
    let part = written(|_| DiskInitgpt::new("/dev/sdb1".to_owned(), None)).await;
    assert_eq!(refused(&part).await, "/dev/sdb1 is a partition");
}

/// A disk that fails ends the task, which says what may be left.
#[tokio::test]
async fn a_disk_that_fails_ends_its_task() {
    let mut disks = disks(wipe).await;
    let failing = |_: &mut _, _: &_| sys::Output {
        code: Some(1),
        stderr: b"dd: error writing '/dev/sdb': Input/output error".to_vec(),
        ..sys::Output::default()
    };
    disks.0.host = disks.0.host.program("dd", failing);
    let status = disks.0.run().await;
    assert!(
        status.starts_with("/dev/sdb may be wiped in part: "),
        "{status}"
    );
    assert!(status.ends_with("Input/output error"), "{status}");
}

const STORE: &str = "store";

fn directory(_: VmId) -> DiskDirectoryCreate {
    let name = STORE.parse().unwrap();
    DiskDirectoryCreate::new(name, "/dev/sdb".to_owned(), FileSystem::Ext4, true)
}

/// With systemd, where a unit mounts it.
async fn with_systemd<T>(make: fn(VmId) -> T) -> Disks<T> {
    let disks = disks(make).await;
    let running = Path::new("/run/systemd/system");
    disks.0.host.create_dir(running, 0o755).await.unwrap();
    disks
}

async fn text<T>(disks: &Disks<T>, path: &str) -> String {
    let text = disks.0.host.read(Path::new(path)).await.unwrap();
    String::from_utf8(text).unwrap()
}

/// The record of the storage that was made.
async fn storage<T: Task<Node = NodeContext>>(disks: &Disks<T>) -> String {
    let lines = disks.inventory().await;
    let mut records = lines.into_iter();
    records
        .find(|line| line.starts_with("storage/store "))
        .unwrap()
}

#[tokio::test]
async fn disk_directory_create() {
    sweep(|| Box::pin(with_systemd(directory)), 50).await;
    let disks = with_systemd(directory).await;
    assert_eq!(disks.0.run().await, "OK");
    let unit = text(&disks, "/etc/systemd/system/mnt-pve-store.mount").await;
    let made = disks.facts("/dev/sdb1").await;
    let uuid = made["uuid"].as_str().unwrap();
    assert!(unit.contains(&format!(
        "What=/dev/disk/by-uuid/{uuid}\nWhere=/mnt/pve/store\nType=ext4\n"
    )));
    assert_eq!(made["mountpoint"], "/mnt/pve/store");
    assert_eq!(made["parttype"], "0fc63daf-8483-4772-8e79-3d69d8477de4");
    let storage = storage(&disks).await;
    for part in [
        "\"is_mountpoint\":\"1\"",
        "\"nodes\":[\"pve1\"]",
        "\"path\":\"/mnt/pve/store\"",
    ] {
        assert!(storage.contains(part), "{storage}");
    }
}

#[tokio::test]
async fn without_systemd_a_directory_is_in_fstab() {
    sweep(|| Box::pin(disks(directory)), 50).await;
    let disks = disks(directory).await;
    assert_eq!(disks.0.run().await, "OK");
    let fstab = text(&disks, "/etc/fstab").await;
    assert!(fstab.starts_with("UUID="), "{fstab}");
    assert!(
        fstab.ends_with(" /mnt/pve/store ext4 defaults,nofail 0 2\n"),
        "{fstab}"
    );
}

/// A partition is used as it is, and marked.
#[tokio::test]
async fn a_directory_on_a_partition_leaves_the_others_alone() {
    let make = |_| {
        let (name, device) = (STORE.parse().unwrap(), "/dev/sdb1".to_owned());
        DiskDirectoryCreate::new(name, device, FileSystem::Xfs, false)
    };
    async fn free<T>(make: fn(VmId) -> T) -> Disks<T> {
        let disks = written(make).await;
        disks.has("/dev/sdb1", json!({"parttype": "x"}));
        disks
    }
    sweep(move || Box::pin(free(make)), 30).await;
    let disks = free(make).await;
    assert_eq!(disks.0.run().await, "OK");
    assert_eq!(disks.facts("/dev/sdb1").await["fstype"], "xfs");
    assert_eq!(disks.facts("/dev/sdb2").await["fstype"], "zfs_member");
}

#[tokio::test]
async fn a_name_that_is_taken_is_refused() {
    let taken = disks(directory).await;
    let unit = "/etc/systemd/system/mnt-pve-store.mount";
    taken
        .0
        .host
        .write(Path::new(unit), b"", 0o644)
        .await
        .unwrap();
    let status = refused(&taken).await;
    assert_eq!(
        status,
        format!("a systemd mount unit already exists: {unit}")
    );

    let full = disks(directory).await;
    full.0
        .host
        .create_dir(Path::new("/mnt/pve/store/x"), 0o755)
        .await
        .unwrap();
    assert_eq!(refused(&full).await, "'/mnt/pve/store' is not empty");

    let local = disks(|_| {
        DiskDirectoryCreate::new(
            "local".parse().unwrap(),
            "/dev/sdb".to_owned(),
            FileSystem::Ext4,
            true,
        )
    })
    .await;
    assert_eq!(refused(&local).await, "storage ID 'local' already defined");

    let group = disks(lvm).await;
    group.has("/dev/sdc", json!({"fstype": "LVM2_member", "vg": "store"}));
    assert_eq!(
        refused(&group).await,
        "volume group with name 'store' already exists"
    );

    let pool = disks(zfs).await;
    pool.has("/dev/sdc", json!({}));
    pool.has(
        "/dev/sdd",
        json!({"fstype": "zfs_member", "label": "store", "imported": true}),
    );
    assert_eq!(
        refused(&pool).await,
        "pool 'store' already exists on node 'pve1'"
    );
}

/// The user is named: a group and a pool too.
#[tokio::test]
async fn a_member_of_a_group_or_pool_is_refused() {
    let group = disks(lvm).await;
    group.has("/dev/sdb", json!({"fstype": "LVM2_member", "vg": "other"}));
    let text = "device '/dev/sdb' is already in use (/dev/sdb is in the LVM volume group other)";
    assert_eq!(refused(&group).await, text);
    let pool = disks(wipe).await;
    pool.has(
        "/dev/sdb",
        json!({"fstype": "zfs_member", "label": "tank", "imported": true}),
    );
    let text = "disk/partition '/dev/sdb' is in use: /dev/sdb is in the ZFS pool tank";
    assert_eq!(refused(&pool).await, text);
}

fn lvm(_: VmId) -> DiskLvmCreate {
    DiskLvmCreate::new(STORE.parse().unwrap(), "/dev/sdb".to_owned(), true)
}

fn lvmthin(_: VmId) -> DiskLvmthinCreate {
    DiskLvmthinCreate::new(STORE.parse().unwrap(), "/dev/sdb".to_owned(), true)
}

#[tokio::test]
async fn disk_lvm_create() {
    sweep(|| Box::pin(disks(lvm)), 30).await;
    let disks = disks(lvm).await;
    assert_eq!(disks.0.run().await, "OK");
    assert_eq!(disks.facts("/dev/sdb").await["vg"], "store");
    let storage = storage(&disks).await;
    assert!(storage.contains("\"vgname\":\"store\""), "{storage}");
}

#[tokio::test]
async fn disk_lvmthin_create() {
    sweep(|| Box::pin(disks(lvmthin)), 30).await;
    let disks = disks(lvmthin).await;
    assert_eq!(disks.0.run().await, "OK");
    assert_eq!(disks.facts("/dev/sdb").await["lvs"], json!(["store"]));
    let storage = storage(&disks).await;
    assert!(storage.contains("\"thinpool\":\"store\""), "{storage}");
}

fn zfs(_: VmId) -> DiskZfsCreate {
    let pool = PoolWanted {
        name: STORE.parse().unwrap(),
        devices: vec!["/dev/sdb".to_owned(), "/dev/sdc".to_owned()],
        level: RaidLevel::Mirror,
        draid: None,
        ashift: 12,
        compression: "on".to_owned(),
    };
    DiskZfsCreate::new(pool, true)
}

async fn two_disks(make: fn(VmId) -> DiskZfsCreate) -> Disks<DiskZfsCreate> {
    let disks = disks(make).await;
    disks.has("/dev/sdc", json!({"serial": "C"}));
    disks
}

#[tokio::test]
async fn disk_zfs_create() {
    sweep(|| Box::pin(two_disks(zfs)), 30).await;
    let disks = two_disks(zfs).await;
    assert_eq!(disks.0.run().await, "OK");
    assert_eq!(disks.facts("/dev/sdc").await["label"], "store");
    let storage = storage(&disks).await;
    assert!(storage.contains("\"pool\":\"store\""), "{storage}");
}

/// A disk is empty again, and its storage is gone.
async fn all_gone<T: Task<Node = NodeContext>>(disks: &Disks<T>) {
    assert_eq!(disks.0.run().await, "OK");
    assert_eq!(disks.facts("/dev/sdb").await, json!({"serial": "B"}));
    let lines = disks.inventory().await;
    let left = ["storage/store", "sdb1", "mnt-pve-store", "/mnt/pve/store"];
    for line in lines {
        assert!(!left.iter().any(|word| line.contains(word)), "{line}");
    }
}

fn store_name() -> model::StorageId {
    STORE.parse().unwrap()
}

async fn with_directory<T: Task<Node = NodeContext>>(make: fn(VmId) -> T) -> Disks<T> {
    let disks = with_systemd(make).await;
    disks.has("/dev/sdb", json!({"serial": "B", "pttype": "gpt"}));
    let mounted = json!({"fstype": "ext4", "uuid": "1-2", "mountpoint": "/mnt/pve/store"});
    disks.has("/dev/sdb1", mounted);
    let unit = "[Mount]\nWhat=/dev/disk/by-uuid/1-2\nWhere=/mnt/pve/store\nType=ext4\n";
    let host = &disks.0.host;
    host.create_dir(Path::new("/mnt/pve/store"), 0o755)
        .await
        .unwrap();
    for (file, text) in [
        ("/etc/systemd/system/mnt-pve-store.mount", unit),
        (
            "/etc/systemd/system/multi-user.target.wants/mnt-pve-store.mount",
            "",
        ),
    ] {
        host.write(Path::new(file), text.as_bytes(), 0o644)
            .await
            .unwrap();
    }
    disks
        .has_storage(json!({"type": "dir", "path": "/mnt/pve/store"}))
        .await;
    disks
}

fn directory_delete(_: VmId) -> DiskDirectoryDelete {
    DiskDirectoryDelete::new(store_name(), true, true)
}

#[tokio::test]
async fn disk_directory_delete() {
    sweep(|| Box::pin(with_directory(directory_delete)), 30).await;
    all_gone(&with_directory(directory_delete).await).await;
    let open = with_directory(directory_delete).await;
    let mounted =
        json!({"fstype": "ext4", "uuid": "1-2", "mountpoint": "/mnt/pve/store", "open": 1});
    open.has("/dev/sdb1", mounted);
    let status = refused(&open).await;
    assert!(status.ends_with("Device or resource busy"), "{status}");
}

/// A storage of all nodes, in a folder of a disk of this one.
fn export_on_store() -> storage::StorageConfig {
    serde_json::from_value(json!({"id": "vms", "type": "nfs", "content": ["images"],
        "nodes": ["pve2"], "server": "10.0.0.1", "export": "/mnt/pve/store/exports/vms",
        "path": "/mnt/pve/vms", "disable": true,
        "exporter": {"node": "pve1", "origin": "store", "mount_point": "/mnt/pve/store",
        "fsid": "0f5a6d2e-8a3c-4b1d-9e7f-112233445566"}}))
    .unwrap()
}

impl<T> Disks<T> {
    async fn has_export(&self) {
        let config = export_on_store();
        let record = Record::new(config.clone()).encode().unwrap();
        let commit = Commit::new().put(storage_key(config.id()), record);
        self.0.plain.commit(commit).await.unwrap();
    }
}

/// A task that takes the disk away is refused for an export on it, and for a guest there.
async fn is_refused_for_its_export<T: Task<Node = NodeContext>>(disks: &Disks<T>) {
    let exported =
        "storage 'vms' is there, at '/mnt/pve/store/exports/vms', and exported to other nodes: ";
    disks.has_export().await;
    let first = format!("{exported}take it back first (ostler storage unexport vms)");
    assert_eq!(refused(disks).await, first);
    disks.has_guest("scsi0", "vms:100/vm-100-disk-0.raw").await;
    let guest = format!("{exported}guest 100 has volume 'vms:100/vm-100-disk-0.raw'");
    assert_eq!(refused(disks).await, guest);
}

/// covers: S1.9
#[tokio::test]
async fn a_directory_with_an_export_is_not_taken_away() {
    is_refused_for_its_export(&with_directory(directory_delete).await).await;
}

/// Without more, what was there stays on the disk and in the storages.
#[tokio::test]
async fn a_directory_that_is_taken_away_keeps_its_files() {
    let make = |_| DiskDirectoryDelete::new(store_name(), false, false);
    let disks = with_directory(make).await;
    assert_eq!(disks.0.run().await, "OK");
    let left = json!({"fstype": "ext4", "uuid": "1-2"});
    assert_eq!(disks.facts("/dev/sdb1").await, left);
    storage(&disks).await;
}

async fn with_group<T>(make: fn(VmId) -> T, volumes: Value) -> Disks<T> {
    let disks = disks(make).await;
    let facts = json!({"serial": "B", "fstype": "LVM2_member", "vg": "store", "lvs": volumes});
    disks.has("/dev/sdb", facts);
    disks
}

async fn plain_group(make: fn(VmId) -> DiskLvmDelete) -> Disks<DiskLvmDelete> {
    let disks = with_group(make, json!(["vm-100-disk-0"])).await;
    disks
        .has_storage(json!({"type": "lvm", "vgname": "store"}))
        .await;
    disks
}

fn lvm_delete(_: VmId) -> DiskLvmDelete {
    DiskLvmDelete::new(store_name(), true, true)
}

#[tokio::test]
async fn disk_lvm_delete() {
    sweep(|| Box::pin(plain_group(lvm_delete)), 24).await;
    all_gone(&plain_group(lvm_delete).await).await;
    let missing = disks(lvm_delete).await;
    assert_eq!(refused(&missing).await, "no such volume group 'store'");
}

async fn thin_group(make: fn(VmId) -> DiskLvmthinDelete) -> Disks<DiskLvmthinDelete> {
    let disks = with_group(make, json!(["store"])).await;
    disks
        .has_storage(json!({"type": "lvmthin", "vgname": "store", "thinpool": "store"}))
        .await;
    disks
}

fn lvmthin_delete(_: VmId) -> DiskLvmthinDelete {
    DiskLvmthinDelete::new(store_name(), store_name(), true, true)
}

#[tokio::test]
async fn disk_lvmthin_delete() {
    sweep(|| Box::pin(thin_group(lvmthin_delete)), 24).await;
    all_gone(&thin_group(lvmthin_delete).await).await;
    let missing = disks(lvmthin_delete).await;
    assert_eq!(refused(&missing).await, "no such thin pool store/store");
    let others = with_group(lvmthin_delete, json!(["store", "data"])).await;
    let text = "volume group 'store' has other volumes: its disks cannot be wiped";
    assert_eq!(refused(&others).await, text);
}

async fn with_pool(make: fn(VmId) -> DiskZfsDelete) -> Disks<DiskZfsDelete> {
    let disks = disks(make).await;
    let member = json!({"serial": "B", "fstype": "zfs_member", "label": "store", "imported": true});
    disks.has("/dev/sdb", member);
    disks
        .has_storage(json!({"type": "zfspool", "pool": "store"}))
        .await;
    disks
}

fn zfs_delete(_: VmId) -> DiskZfsDelete {
    DiskZfsDelete::new(store_name(), true, true)
}

#[tokio::test]
async fn disk_zfs_delete() {
    sweep(|| Box::pin(with_pool(zfs_delete)), 24).await;
    all_gone(&with_pool(zfs_delete).await).await;
    let missing = disks(zfs_delete).await;
    assert_eq!(refused(&missing).await, "no such pool 'store'");
}

/// A pool `store` on a mirror of `/dev/sdb` and `/dev/sdc`, and two empty disks.
async fn mirror<T>(make: fn(VmId) -> T) -> Disks<T> {
    let disks = disks(make).await;
    let member = |more: Value| {
        let mut facts =
            json!({"fstype": "zfs_member", "label": "store", "imported": true, "vdev": "mirror-0"});
        for (key, value) in more.as_object().unwrap() {
            facts[key] = value.clone();
        }
        facts
    };
    disks.has("/dev/sdb", member(json!({"serial": "B"})));
    disks.has(
        "/dev/sdc",
        member(json!({"serial": "C", "offline": 1, "errors": 1})),
    );
    disks.has("/dev/sdd", json!({"serial": "D"}));
    disks.has(
        "/dev/sde",
        json!({"serial": "E", "vendor": "LSI", "model": "MR9361-8i"}),
    );
    disks
}

fn device(letter: char) -> String {
    format!("/dev/sd{letter}")
}

fn add(_: VmId) -> ZpoolAdd {
    ZpoolAdd::new(store_name(), vec![device('d'), device('e')], None, false)
}

#[tokio::test]
async fn zpool_add() {
    sweep(|| Box::pin(mirror(add)), 20).await;
    let grown = mirror(add).await;
    // A disk of a RAID controller is said.
    assert_eq!(grown.0.run().await, "WARNINGS: 1");
    assert_eq!(grown.facts("/dev/sdd").await["vdev"], "mirror-1");
    assert_eq!(grown.facts("/dev/sde").await["label"], "store");
    let one = |_| ZpoolAdd::new(store_name(), vec![device('d')], None, false);
    let text = "1 disks are no groups of 2, as the pool has";
    assert_eq!(refused(&mirror(one).await).await, text);
    let used = |_| ZpoolAdd::new(store_name(), vec![device('d'), device('b')], None, true);
    let text = "device '/dev/sdb' is already in use (/dev/sdb is in the ZFS pool store)";
    assert_eq!(refused(&mirror(used).await).await, text);
    let twice = |_| ZpoolAdd::new(store_name(), vec![device('d'), device('d')], None, false);
    let text = "device '/dev/sdd' is given twice";
    assert_eq!(refused(&mirror(twice).await).await, text);
    assert_eq!(refused(&disks(add).await).await, "no such pool 'store'");
}

/// What `zpool` refuses leaves the disks as they were.
#[tokio::test]
async fn a_refusal_of_zpool_changes_nothing() {
    fn no(files: &mut testkit::Disk, command: &sys::Command) -> sys::Output {
        match command.args[0].as_str() {
            "add" => sys::Output {
                code: Some(1),
                stdout: Vec::new(),
                stderr: b"cannot add to 'store': one or more vdevs refer to the same device"
                    .to_vec(),
            },
            _ => pool_programs(files, command),
        }
    }
    let mut disks = mirror(add).await;
    disks.0.host = disks.0.host.clone().program("zpool", no);
    let status = refused(&disks).await;
    assert!(
        status.contains("one or more vdevs refer to the same device"),
        "{status}"
    );
}

fn attach(_: VmId) -> ZpoolAttach {
    ZpoolAttach::new(store_name(), device('b'), device('d'))
}

#[tokio::test]
async fn zpool_attach() {
    sweep(|| Box::pin(mirror(attach)), 20).await;
    let disks = mirror(attach).await;
    assert_eq!(disks.0.run().await, "OK");
    assert_eq!(disks.facts("/dev/sdd").await["vdev"], "mirror-0");
    let stranger = |_| ZpoolAttach::new(store_name(), device('e'), device('d'));
    let text = "pool 'store' has no device '/dev/sde'";
    assert!(refused(&mirror(stranger).await).await.ends_with(text));
}

fn replace(_: VmId) -> ZpoolReplace {
    ZpoolReplace::new(store_name(), device('c'), device('d'))
}

#[tokio::test]
async fn zpool_replace() {
    sweep(|| Box::pin(mirror(replace)), 20).await;
    let disks = mirror(replace).await;
    assert_eq!(disks.0.run().await, "OK");
    assert_eq!(disks.facts("/dev/sdd").await["vdev"], "mirror-0");
    assert_eq!(disks.facts("/dev/sdc").await, json!({"serial": "C"}));
}

fn detach(_: VmId) -> ZpoolDetach {
    ZpoolDetach::new(store_name(), device('c'))
}

#[tokio::test]
async fn zpool_detach() {
    sweep(|| Box::pin(mirror(detach)), 10).await;
    let disks = mirror(detach).await;
    assert_eq!(disks.0.run().await, "OK");
    assert_eq!(disks.facts("/dev/sdc").await, json!({"serial": "C"}));
    // The other one is not whole.
    let whole = |_| ZpoolDetach::new(store_name(), device('b'));
    let text = "'/dev/sdb' is the last whole device of mirror-0";
    assert_eq!(refused(&mirror(whole).await).await, text);
}

fn online(_: VmId) -> ZpoolOnline {
    ZpoolOnline::new(store_name(), device('c'), true)
}

#[tokio::test]
async fn zpool_online() {
    sweep(|| Box::pin(mirror(online)), 10).await;
    let disks = mirror(online).await;
    assert_eq!(disks.0.run().await, "OK");
    assert_eq!(disks.facts("/dev/sdc").await["offline"], Value::Null);
}

fn clear(_: VmId) -> ZpoolClear {
    ZpoolClear::new(store_name())
}

#[tokio::test]
async fn zpool_clear() {
    sweep(|| Box::pin(mirror(clear)), 8).await;
    let disks = mirror(clear).await;
    assert_eq!(disks.0.run().await, "OK");
    assert_eq!(disks.facts("/dev/sdc").await["errors"], Value::Null);
}

fn scrub(_: VmId) -> ZpoolScrub {
    ZpoolScrub::new(store_name(), ScrubAction::Start)
}

fn stop(_: VmId) -> ZpoolScrub {
    ZpoolScrub::new(store_name(), ScrubAction::Stop)
}

async fn scrubbing(make: fn(VmId) -> ZpoolScrub) -> Disks<ZpoolScrub> {
    let disks = mirror(make).await;
    let mut facts = disks.facts("/dev/sdb").await;
    facts["scan"] = "running".into();
    disks.has("/dev/sdb", facts);
    disks
}

#[tokio::test]
async fn zpool_scrub() {
    sweep(|| Box::pin(mirror(scrub)), 8).await;
    sweep(|| Box::pin(scrubbing(stop)), 8).await;
    let disks = scrubbing(stop).await;
    assert_eq!(disks.0.run().await, "OK");
    assert_eq!(disks.facts("/dev/sdb").await["scan"], "canceled");
    let text = "a scrub of pool 'store' is running";
    assert_eq!(refused(&scrubbing(scrub).await).await, text);
    let text = "no scrub of pool 'store' is running";
    assert_eq!(refused(&mirror(stop).await).await, text);
}

#[tokio::test]
async fn what_a_guest_or_somebody_else_has_stays() {
    let guests = plain_group(lvm_delete).await;
    guests
        .has_guest("scsi0", "store:vm-100-disk-0,size=1G")
        .await;
    let text = "volume 'store:vm-100-disk-0' of guest 100 is there";
    assert_eq!(refused(&guests).await, text);

    let waiting = plain_group(lvm_delete).await;
    let mut guest = GuestRecord::new(vmid(), GuestKind::Qemu, "pve1".parse().unwrap(), 0);
    let value = PendingChange::Set("store:vm-100-disk-0,size=1G".into());
    guest.pending.insert("scsi0".to_owned(), value);
    waiting.put_guest(guest).await;
    assert_eq!(refused(&waiting).await, text);

    let foreign = with_group(lvm_delete, json!(["osd-block-1"])).await;
    let text = "logical volume 'store/osd-block-1' is no guest's: remove it first";
    assert_eq!(refused(&foreign).await, text);

    let system = disks(|_| DiskLvmDelete::new(store_name(), false, false)).await;
    system.has("/dev/sda1", json!({"fstype": "LVM2_member", "vg": "store"}));
    assert_eq!(
        refused(&system).await,
        "cannot take it away: this node runs from /dev/sda"
    );
}

/// On a machine without udev, `lsblk` does not know what lies on a disk.
#[tokio::test]
async fn what_lies_on_a_disk_is_read_from_it() {
    let group = disks(wipe).await;
    let facts = json!({"fstype": "LVM2_member", "vg": "other", "unnoted": 1});
    group.has("/dev/sdb", facts);
    let text = "disk/partition '/dev/sdb' is in use: /dev/sdb is in the LVM volume group other";
    assert_eq!(refused(&group).await, text);
    let files = disks(directory).await;
    files.has("/dev/sdb", json!({"fstype": "ext4", "unnoted": 1}));
    assert_eq!(
        refused(&files).await,
        "device '/dev/sdb' is already in use (ext4)"
    );
}

/// Tasks of disks wait for each other, and the second looks again.
#[tokio::test]
async fn of_two_tasks_at_one_disk_one_is_refused() {
    let disks = disks(lvm).await;
    let engine = disks.open().await;
    let first = disks.submit(&engine).await.unwrap();
    let submission = tasks::Submission {
        request_id: "another".to_owned(),
        user: "root@pam".into(),
        id: "sdb".into(),
        listed: true,
    };
    let second = engine.submit(submission, wipe(vmid())).await.unwrap();
    let first = engine.wait(&first).await.unwrap();
    let second = engine.wait(&second).await.unwrap();
    assert_eq!(exit_status(&first.state), "OK");
    let text = "disk/partition '/dev/sdb' is in use: /dev/sdb is in the LVM volume group store";
    assert_eq!(exit_status(&second.state), text);
    assert_eq!(disks.facts("/dev/sdb").await["vg"], "store");
}
