//! Encrypted volumes of LVM: each use goes through the kernel's encryption, and nothing stays open.
#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::path::Path;
use std::sync::Arc;

use model::{BlockFormat, BlockSource};
use storage::{
    Alone, AttachMode, Attacher, LvmSpec, LvmThinSpec, Storage, StorageConfig, StorageError,
    StorageSpec,
};
use sys::{Files, SharedHost};
use testkit::{FakeHost, Faults, LVM_PROGRAMS, cryptsetup, lvm};

const MIB: u64 = 1 << 20;
const DISK: &str = "vm-100-disk-0";
const KEY: &str = "00ff";

fn host() -> FakeHost {
    let mut host = FakeHost::new(Faults::default()).program("cryptsetup", cryptsetup);
    for program in LVM_PROGRAMS {
        host = host.program(program, lvm);
    }
    host.change_files(|disk| {
        disk.folder("/dev/vg".as_ref());
        disk.folder("/dev/mapper".as_ref());
        disk.file("/lvm/vg/data", "twi-aotz-- ");
    });
    host
}

/// A driver of a new agent.
fn open(host: &FakeHost, spec: StorageSpec, key: Option<&str>) -> Arc<dyn Storage> {
    let config = StorageConfig::new("safe".parse().unwrap(), spec, Vec::new());
    let shared: SharedHost = Arc::new(host.clone());
    let key = key.map(str::to_owned);
    storage::open(config, key, shared, Arc::new(Alone))
}

fn specs() -> [StorageSpec; 2] {
    let (vgname, encrypted) = ("vg".to_owned(), Some(true));
    [
        StorageSpec::Lvm(LvmSpec {
            vgname: vgname.clone(),
            encrypted,
            ..LvmSpec::default()
        }),
        StorageSpec::LvmThin(LvmThinSpec {
            vgname,
            thinpool: "data".to_owned(),
            encrypted,
        }),
    ]
}

fn task(name: &str) -> Attacher {
    Attacher::Task(name.to_owned())
}

async fn device(storage: &dyn Storage, by: &Attacher) -> Result<String, StorageError> {
    let attached = storage.attach(DISK, AttachMode::Exclusive, by).await?;
    match attached.source {
        BlockSource::Device(path) => Ok(path),
        other => panic!("{other:?}"),
    }
}

async fn names(host: &FakeHost, folder: &str) -> Vec<String> {
    let found = host.list(Path::new(folder)).await.unwrap();
    found.into_iter().map(|file| file.name).collect()
}

// covers: S1.15
#[tokio::test]
async fn a_volume_is_used_by_its_plain_side_from_its_first_byte_to_its_last() {
    for spec in specs() {
        let host = host();
        let storage = open(&host, spec, Some(KEY));
        storage
            .allocate(DISK, BlockFormat::Raw, 8 * MIB)
            .await
            .unwrap();
        assert!(!storage.new_images_are_zero("vm-100-disk-0"));
        assert_eq!(storage.stat(DISK).await.unwrap().unwrap().size, 8 * MIB);
        assert!(names(&host, "/dev/vg").await.is_empty(), "it is active");
        let (one, two) = (task("1"), task("2"));
        let plain = device(&*storage, &one).await.unwrap();
        assert_eq!(plain, "/dev/mapper/vg-vm--100--disk--0-crypt");
        assert_eq!(device(&*storage, &two).await.unwrap(), plain);
        storage.resize(DISK, 16 * MIB).await.unwrap();
        assert_eq!(storage.stat(DISK).await.unwrap().unwrap().size, 16 * MIB);
        storage.detach(DISK, &one).await.unwrap();
        assert_eq!(
            names(&host, "/dev/mapper").await.len(),
            1,
            "it has an attacher"
        );
        storage.detach(DISK, &two).await.unwrap();
        assert!(names(&host, "/dev/mapper").await.is_empty());
        assert!(names(&host, "/dev/vg").await.is_empty());
        assert_eq!(
            storage.path(DISK).unwrap(),
            Path::new("/dev/mapper/vg-vm--100--disk--0-crypt")
        );
    }
}

#[tokio::test]
async fn what_a_dead_agent_left_open_is_closed_before_it_goes_or_gets_another_name() {
    for spec in specs() {
        let host = host();
        let dead = open(&host, spec.clone(), Some(KEY));
        dead.allocate(DISK, BlockFormat::Raw, 8 * MIB)
            .await
            .unwrap();
        device(&*dead, &task("1")).await.unwrap();
        let storage = open(&host, spec, Some(KEY));
        storage.rename(DISK, "vm-101-disk-0").await.unwrap();
        assert!(names(&host, "/dev/mapper").await.is_empty());
        storage.rename("vm-101-disk-0", DISK).await.unwrap();
        device(&*storage, &task("2")).await.unwrap();
        assert!(storage.free(DISK).await.unwrap());
        assert!(names(&host, "/dev/mapper").await.is_empty());
        assert_eq!(names(&host, "/lvm/vg").await, ["data"]);
    }
}

#[tokio::test]
async fn snapshots_and_clones_have_the_key_of_their_origin() {
    let host = host();
    let [_, spec] = specs();
    let storage = open(&host, spec, Some(KEY));
    storage
        .allocate(DISK, BlockFormat::Raw, 8 * MIB)
        .await
        .unwrap();
    let snapshots = storage.snapshots().unwrap();
    snapshots.create_snapshot(DISK, "one").await.unwrap();
    let read = snapshots.attach_snapshot(DISK, "one", &task("1")).await;
    let plain = "/dev/mapper/vg-snap_vm--100--disk--0_one-crypt";
    assert_eq!(
        read.unwrap().image.source,
        BlockSource::Device(plain.to_owned())
    );
    snapshots
        .detach_snapshot(DISK, "one", &task("1"))
        .await
        .unwrap();
    snapshots.roll_back(DISK, "one").await.unwrap();
    device(&*storage, &task("2")).await.unwrap();
    storage.detach(DISK, &task("2")).await.unwrap();
    assert!(snapshots.delete_snapshot(DISK, "one").await.unwrap());
    storage.rename(DISK, "base-100-disk-0").await.unwrap();
    let clones = storage.linked_clones().unwrap();
    let taken = clones.plan_clone("base-100-disk-0", "101".parse().unwrap(), &[]);
    assert_eq!(taken.await.unwrap().size, 8 * MIB);
    let made = clones
        .create_clone("base-100-disk-0", "vm-101-disk-0")
        .await;
    made.unwrap();
    let by = task("3");
    let mode = AttachMode::Exclusive;
    storage.attach("vm-101-disk-0", mode, &by).await.unwrap();
    storage.detach("vm-101-disk-0", &by).await.unwrap();
    assert!(names(&host, "/dev/mapper").await.is_empty());
}

#[tokio::test]
async fn another_key_or_none_opens_nothing_and_changes_nothing() {
    for spec in specs() {
        let host = host();
        let storage = open(&host, spec.clone(), Some(KEY));
        storage
            .allocate(DISK, BlockFormat::Raw, 8 * MIB)
            .await
            .unwrap();
        let other = open(&host, spec.clone(), Some("1234"));
        let refused = device(&*other, &task("1")).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "volume 'safe:vm-100-disk-0' is not encrypted with the key of this storage"
        );
        let lost = open(&host, spec.clone(), None);
        for refused in [
            device(&*lost, &task("1")).await.map(drop),
            lost.allocate("vm-100-disk-1", BlockFormat::Raw, MIB).await,
        ] {
            let text = "unable to activate storage 'safe' - its key is missing";
            assert_eq!(refused.unwrap_err().to_string(), text);
        }
        let mut there = names(&host, "/lvm/vg").await;
        there.sort();
        assert_eq!(there, ["data", DISK]);
        assert!(device(&*storage, &task("2")).await.is_ok());
    }
}
