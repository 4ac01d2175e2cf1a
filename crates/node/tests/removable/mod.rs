//! Storages on disks that are plugged in and unplugged.

use node::tasks::{StorageAttach, StorageDetach};

use super::*;

/// A storage on a disk that is plugged in and unplugged, with its unit, mounted or not.
async fn removable<T: Task<Node = NodeContext>>(make: fn(VmId) -> T, is_in: bool) -> Disks<T> {
    let disks = with_directory(make).await;
    let mut spec = json!({"type": "dir", "path": "/mnt/pve/store", "is_mountpoint": "1"});
    if !is_in {
        spec["disable"] = true.into();
        disks.has("/dev/sdb1", json!({"fstype": "ext4", "uuid": "1-2"}));
        let mounts = Path::new("/proc/mounts");
        disks.0.host.write(mounts, b"", 0o644).await.unwrap();
    }
    disks.has_storage(spec).await;
    disks
}

/// A task as the operation makes it, for a storage that is as it is now.
fn of_store<T: serde::de::DeserializeOwned>(_: VmId) -> T {
    let found = json!({"storage": "store", "name": "store", "uuid": "1-2", "kind": "ext4",
        "was_disabled": false, "was_mounted": false});
    serde_json::from_value(found).unwrap()
}

/// covers: S3.65
#[tokio::test]
async fn storage_detach() {
    sweep(|| Box::pin(removable(of_store::<StorageDetach>, true)), 12).await;
    let disks = removable(of_store::<StorageDetach>, true).await;
    assert_eq!(disks.0.run().await, "OK");
    let left = json!({"fstype": "ext4", "uuid": "1-2"});
    assert_eq!(disks.facts("/dev/sdb1").await, left);
    let record = storage(&disks).await;
    assert!(record.contains("\"disable\":true"), "{record}");
}

/// Open files and guests keep it, and it is used as before.
#[tokio::test]
async fn a_storage_in_use_is_not_detached() {
    let open = removable(of_store::<StorageDetach>, true).await;
    let mounted =
        json!({"fstype": "ext4", "uuid": "1-2", "mountpoint": "/mnt/pve/store", "open": 1});
    open.has("/dev/sdb1", mounted);
    let status = refused(&open).await;
    assert!(status.ends_with("Device or resource busy"), "{status}");
    let disks = removable(of_store::<StorageDetach>, true).await;
    let mut guest = GuestRecord::new(vmid(), GuestKind::Qemu, "pve1".parse().unwrap(), 0);
    guest.config.set("scsi0", "store:100/vm-100-disk-0.raw");
    let upid = "UPID:pve1:00000001:00000001:6B00D68B:qmclone:100:root@pam:";
    let busy = json!({"upid": upid, "node": "pve1", "epoch": 1, "shown_as": ""});
    guest.busy = serde_json::from_value(busy).unwrap();
    disks.put_guest(guest).await;
    let status = refused(&disks).await;
    assert!(
        status.contains("qmclone:100:root@pam: works on guest 100"),
        "{status}"
    );
}

/// covers: S3.65
#[tokio::test]
async fn storage_attach() {
    sweep(|| Box::pin(removable(of_store::<StorageAttach>, false)), 10).await;
    let disks = removable(of_store::<StorageAttach>, false).await;
    assert_eq!(disks.0.run().await, "OK");
    assert_eq!(
        disks.facts("/dev/sdb1").await["mountpoint"],
        "/mnt/pve/store"
    );
    let record = storage(&disks).await;
    assert!(!record.contains("disable"), "{record}");
    let unplugged = removable(of_store::<StorageAttach>, false).await;
    unplugged.has("/dev/sdb1", json!({"fstype": "ext4", "uuid": "3-4"}));
    let status = refused(&unplugged).await;
    assert!(
        status.ends_with("with file system 1-2, is not plugged in"),
        "{status}"
    );
}

/// The kernel lets go of the mount, but something else still has the disk.
fn claimed<T>(disks: &Disks<T>) {
    let mounted =
        json!({"fstype": "ext4", "uuid": "1-2", "claimed": 1, "mountpoint": "/mnt/pve/store"});
    disks.has("/dev/sdb1", mounted);
}

const IN_USE: &str =
    "the disk of storage 'store' is still in use: a container or a task that began before has it";

#[tokio::test]
async fn a_disk_that_something_unseen_has_is_not_detached() {
    let disks = removable(of_store::<StorageDetach>, true).await;
    claimed(&disks);
    assert_eq!(refused(&disks).await, IN_USE);
    let facts = disks.facts("/dev/sdb1").await;
    assert_eq!(facts["mountpoint"], "/mnt/pve/store");
}

/// What could not be written out is said, and the storage is as before.
#[tokio::test]
async fn a_disk_that_fails_to_write_is_not_detached() {
    let mut disks = removable(of_store::<StorageDetach>, true).await;
    let failing = |_: &mut _, _: &_| sys::Output {
        code: Some(1),
        stderr: b"sync: error syncing '/mnt/pve/store': Input/output error".to_vec(),
        ..sys::Output::default()
    };
    disks.0.host = disks.0.host.program("sync", failing);
    let status = refused(&disks).await;
    assert!(status.ends_with("Input/output error"), "{status}");
}

/// The undoing ends, and nothing is written below an empty mount point.
#[tokio::test]
async fn a_storage_that_cannot_be_mounted_again_stays_disabled() {
    fn no(files: &mut testkit::Disk, command: &sys::Command) -> sys::Output {
        match command.args[0].as_str() {
            "start" => sys::Output {
                code: Some(1),
                stderr: b"Job for mnt-pve-store.mount failed.".to_vec(),
                ..sys::Output::default()
            },
            _ => disk_programs(files, command),
        }
    }
    let mut disks = removable(of_store::<StorageDetach>, true).await;
    claimed(&disks);
    disks.0.host = disks.0.host.clone().program("systemctl", no);
    assert_eq!(disks.0.run().await, IN_USE);
    let record = storage(&disks).await;
    assert!(record.contains("\"disable\":true"), "{record}");
    assert!(disks.facts("/dev/sdb1").await["mountpoint"].is_null());
}

#[tokio::test]
async fn a_disk_with_another_storage_is_not_detached() {
    let disks = removable(of_store::<StorageDetach>, true).await;
    let inner = json!({"id": "inner", "type": "dir", "path": "/mnt/pve/store/inner",
        "content": ["images"]});
    let config: storage::StorageConfig = serde_json::from_value(inner).unwrap();
    let record = Record::new(config.clone()).encode().unwrap();
    let commit = Commit::new().put(storage_key(config.id()), record);
    disks.0.plain.commit(commit).await.unwrap();
    let text = "storage 'inner' is on the same disk, at '/mnt/pve/store/inner': disable it first";
    assert_eq!(refused(&disks).await, text);
}

/// Disabled, it is exported all the same.
///
/// covers: S1.9
#[tokio::test]
async fn a_disk_with_an_export_is_not_detached() {
    is_refused_for_its_export(&removable(of_store::<StorageDetach>, true).await).await;
}

#[tokio::test]
async fn of_two_disks_with_one_file_system_neither_is_attached() {
    let disks = removable(of_store::<StorageAttach>, false).await;
    disks.has("/dev/sdc", json!({"fstype": "ext4", "uuid": "1-2"}));
    let status = refused(&disks).await;
    let both = "file system 1-2 of storage 'store' is on /dev/sdb1 and /dev/sdc: one is a copy";
    assert!(status.starts_with(both), "{status}");
}

/// Something of `/dev/sdc1` is mounted in the storage's place.
async fn with_stranger() -> Disks<StorageAttach> {
    let disks = removable(of_store::<StorageAttach>, false).await;
    let mounted = json!({"fstype": "ext4", "uuid": "9-9", "mountpoint": "/mnt/pve/store"});
    disks.has("/dev/sdc1", mounted);
    let line = b"36 25 8:33 / /mnt/pve/store rw - ext4 /dev/sdc1 rw\n";
    let list = Path::new("/proc/self/mountinfo");
    disks.0.host.write(list, line, 0o644).await.unwrap();
    disks
}

#[tokio::test]
async fn another_mount_is_not_taken_for_the_storages() {
    let disks = with_stranger().await;
    let there = |files: &mut testkit::Disk| files.file("/sys/dev/block/8:33", "");
    disks.0.host.change_files(there);
    let text = "'/dev/sdc1' is mounted at '/mnt/pve/store' of storage 'store'";
    assert_eq!(refused(&disks).await, text);
}

/// A disk that was pulled leaves its mount behind, and has another name when it is back.
#[tokio::test]
async fn a_dead_mount_makes_room() {
    let disks = with_stranger().await;
    assert_eq!(disks.0.run().await, "OK");
    assert!(disks.facts("/dev/sdc1").await["mountpoint"].is_null());
    let facts = disks.facts("/dev/sdb1").await;
    assert_eq!(facts["mountpoint"], "/mnt/pve/store");
}

/// systemd does nothing where it has not seen yet that an earlier mount is gone.
#[tokio::test]
async fn what_systemd_does_not_mount_is_mounted() {
    let mut disks = removable(of_store::<StorageAttach>, false).await;
    disks.0.host = disks.0.host.program("systemctl", silent);
    assert_eq!(disks.0.run().await, "OK");
    let facts = disks.facts("/dev/sdb1").await;
    assert_eq!(facts["mountpoint"], "/mnt/pve/store");
}
