//! How many programs each operation calls. A call takes a tenth of a second or more on real storages, so
//! what one call can do and check does not take two.
#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::sync::Arc;

use model::{BlockFormat, VmId};
use storage::{
    AttachMode, Attacher, LvmSpec, LvmThinSpec, RbdSpec, Storage, StorageConfig, StorageError,
    StorageSpec, ZfsPoolSpec,
};
use sys::SharedHost;
use testkit::{FakeHost, Faults, LVM_PROGRAMS, lvm, rbd, zfs, zvol_id};

const MIB: u64 = 1 << 20;

/// Operations in their order, and the most programs of each that zfspool, lvmthin, lvm and rbd may call;
/// `-` for what a type cannot do.
const MOST: &str = "
    activate            0 0 0 0
    choose              1 1 1 1
    allocate            1 2 3 1
    stat                1 1 1 1
    attach              1 1 1 1
    detach              0 1 1 0
    resize              2 2 2 2
    snapshot            1 1 - 1
    list-snapshots      1 1 - 1
    check-roll-back     1 1 - 1
    roll-back           1 3 - 1
    delete-snapshot     1 1 - 1
    delete-no-snapshot  1 1 - 1
    rename              1 2 3 1
    to-base             2 3 - 3
    plan-clone          1 1 - 2
    clone               1 2 - 1
    free-clone          1 2 - 1
    free                1 2 1 4
    free-nothing        1 1 1 1
";

/// What makes a storage, and its place in the table.
struct Bed {
    place: usize,
    storage: Arc<dyn Storage>,
    host: FakeHost,
    faults: Faults,
}

fn bed(place: usize, spec: StorageSpec) -> Bed {
    let faults = Faults::default();
    let mut host = FakeHost::new(faults.clone())
        .program("zfs", zfs)
        .program("/lib/udev/zvol_id", zvol_id)
        .program("rbd", rbd);
    for program in LVM_PROGRAMS {
        host = host.program(program, lvm);
    }
    host.change_files(|disk| {
        disk.file(
            "/proc/mounts",
            "proc /proc proc rw 0 0\ntank/guests /tank/guests zfs rw 0 0\n",
        );
        disk.file("/zfs/tank:guests", "filesystem 0 -");
        disk.file("/lvm/vg/data", "twi-aotz-- ");
        disk.folder("/dev/vg".as_ref());
        disk.file("/rbd/rbd/other", "4096");
        disk.file("/etc/ceph/ceph.conf", "[global]\n");
    });
    let shared: SharedHost = Arc::new(host.clone());
    let content = spec.kind().contents().to_vec();
    let config = StorageConfig::new("case".parse().unwrap(), spec, content);
    Bed {
        place,
        storage: storage::open(config, None, shared, Arc::new(storage::Alone)),
        host,
        faults,
    }
}

fn beds() -> [Bed; 4] {
    let (vgname, thinpool) = ("vg".to_owned(), "data".to_owned());
    [
        bed(
            0,
            StorageSpec::ZfsPool(ZfsPoolSpec {
                pool: "tank/guests".to_owned(),
                ..ZfsPoolSpec::default()
            }),
        ),
        bed(
            1,
            StorageSpec::LvmThin(LvmThinSpec {
                vgname: vgname.clone(),
                thinpool,
                encrypted: None,
            }),
        ),
        bed(
            2,
            StorageSpec::Lvm(LvmSpec {
                vgname,
                ..LvmSpec::default()
            }),
        ),
        bed(3, StorageSpec::Rbd(RbdSpec::default())),
    ]
}

impl Bed {
    /// Holds the programs that were called since the last time against the table.
    fn called(&self, operation: &str) {
        let calls = self.faults.calls();
        self.faults.reset();
        let programs: Vec<&String> = calls
            .iter()
            .filter(|call| call.starts_with("run "))
            .collect();
        let row = MOST
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        let row = row.into_iter().find(|row| row.first() == Some(&operation));
        let most: usize = row.unwrap()[self.place + 1].parse().unwrap();
        let kind = self.storage.config().spec.kind().as_str();
        assert!(
            programs.len() <= most,
            "{kind}: {operation} may call {most} programs, and calls {programs:#?}"
        );
    }
}

fn vmid(number: u32) -> VmId {
    VmId::new(number).unwrap()
}

async fn snapshots(bed: &Bed, name: &str) {
    let Some(all) = bed.storage.snapshots() else {
        return;
    };
    all.create_snapshot(name, "one").await.unwrap();
    bed.called("snapshot");
    let again = all.create_snapshot(name, "one").await;
    assert!(
        matches!(again, Err(StorageError::Exists { .. })),
        "{again:?}"
    );
    bed.faults.reset();
    assert_eq!(all.list_snapshots(name).await.unwrap(), ["one"]);
    bed.called("list-snapshots");
    all.check_roll_back(name, "one").await.unwrap();
    bed.called("check-roll-back");
    all.roll_back(name, "one").await.unwrap();
    bed.called("roll-back");
    for refused in [all.check_roll_back(name, "two"), all.roll_back(name, "two")] {
        refused.await.unwrap_err();
    }
    bed.faults.reset();
    assert!(all.delete_snapshot(name, "one").await.unwrap());
    bed.called("delete-snapshot");
    assert!(!all.delete_snapshot(name, "one").await.unwrap());
    bed.called("delete-no-snapshot");
}

/// Makes an image a base with a clone, and removes both.
async fn clones(bed: &Bed, name: &str) {
    let storage = &*bed.storage;
    let Some(all) = storage.linked_clones() else {
        assert!(storage.free(name).await.unwrap());
        return bed.called("free");
    };
    let base = all.base_name(name).unwrap();
    storage.rename(name, &base).await.unwrap();
    bed.called("to-base");
    let clone = all.plan_clone(&base, vmid(102), &[]).await.unwrap();
    bed.called("plan-clone");
    assert_eq!(clone.size, 16 * MIB);
    all.create_clone(&base, &clone.name).await.unwrap();
    bed.called("clone");
    let again = all.create_clone(&base, &clone.name).await;
    assert!(
        matches!(again, Err(StorageError::Exists { .. })),
        "{again:?}"
    );
    if bed.place != 1 {
        let text = storage.free(&base).await.unwrap_err().to_string();
        assert!(text.ends_with("is still in use by linked clones"), "{text}");
    }
    bed.faults.reset();
    assert!(storage.free(&clone.name).await.unwrap());
    bed.called("free-clone");
    assert!(storage.free(&base).await.unwrap());
    bed.called("free");
}

#[tokio::test]
async fn no_operation_calls_more_programs_than_it_needs() {
    for bed in beds() {
        let storage = &*bed.storage;
        storage.activate().await.unwrap();
        // The agent asks every few seconds; what a driver has seen it need not ask again.
        storage.list(None).await.ok();
        bed.faults.reset();
        storage.activate().await.unwrap();
        bed.called("activate");
        let raw = BlockFormat::Raw;
        let name = storage
            .choose_image_name(vmid(100), raw, &[])
            .await
            .unwrap();
        bed.called("choose");
        storage.allocate(&name, raw, 8 * MIB).await.unwrap();
        bed.called("allocate");
        let again = storage.allocate(&name, raw, 8 * MIB).await;
        assert!(
            matches!(again, Err(StorageError::Exists { .. })),
            "{again:?}"
        );
        bed.faults.reset();
        assert_eq!(storage.stat(&name).await.unwrap().unwrap().size, 8 * MIB);
        bed.called("stat");
        let by = Attacher::Task("UPID:a:task".to_owned());
        storage
            .attach(&name, AttachMode::Exclusive, &by)
            .await
            .unwrap();
        bed.called("attach");
        storage.detach(&name, &by).await.unwrap();
        bed.called("detach");
        storage.resize(&name, 16 * MIB).await.unwrap();
        bed.called("resize");
        snapshots(&bed, &name).await;
        let other = storage.image_name(vmid(101), "disk-0", raw);
        storage.rename(&name, &other).await.unwrap();
        bed.called("rename");
        storage.rename(&name, &other).await.unwrap();
        bed.faults.reset();
        clones(&bed, &other).await;
        assert!(!storage.free(&other).await.unwrap());
        bed.called("free-nothing");
        let gone = storage.attach(&other, AttachMode::Exclusive, &by).await;
        assert!(
            matches!(gone, Err(StorageError::NoVolume { .. })),
            "{gone:?}"
        );
        storage.detach(&other, &by).await.unwrap();
    }
}

/// What has the name of a volume but is in another pool, or of another kind, is not touched.
#[tokio::test]
async fn volumes_of_others_in_the_group_stay() {
    let [_, thin, thick, _] = beds();
    let (name, by) = ("vm-100-disk-0", Attacher::Task("UPID:a:task".to_owned()));
    for (bed, others) in [
        (&thin, "-wi------- "),
        (&thin, "Vwi---tz-- more"),
        (&thick, "Vwi---tz-- data"),
        // As its own guest has it attached.
        (&thin, "-wi-a----- "),
        (&thin, "Vwi-a-tz-- more"),
        (&thick, "Vwi-a-tz-- data"),
    ] {
        let is_active = others.as_bytes()[4] == b'a';
        bed.host.change_files(|disk| {
            disk.file("/lvm/vg/vm-100-disk-0", others);
            if is_active {
                disk.file("/dev/vg/vm-100-disk-0", "");
            }
        });
        let storage = &*bed.storage;
        assert!(!storage.free(name).await.unwrap());
        storage.detach(name, &by).await.unwrap();
        let refused = [
            storage
                .attach(name, AttachMode::Exclusive, &by)
                .await
                .map(drop),
            storage.resize(name, 64 * MIB).await,
            storage.rename(name, "vm-101-disk-0").await,
            storage.allocate(name, BlockFormat::Raw, MIB).await,
        ];
        for refusal in refused {
            refusal.unwrap_err();
        }
        if let Some(snapshots) = storage.snapshots() {
            snapshots.create_snapshot(name, "one").await.unwrap_err();
            snapshots.check_roll_back(name, "one").await.unwrap_err();
        }
        bed.host.change_files(|disk| {
            let there = disk.content("/lvm/vg/vm-100-disk-0".as_ref()).unwrap();
            assert_eq!(String::from_utf8(there).unwrap(), others);
            let has_device = disk.content("/dev/vg/vm-100-disk-0".as_ref()).is_some();
            assert_eq!(has_device, is_active);
            assert_eq!(
                disk.beside("/lvm/vg/").len(),
                2,
                "nothing new beside the pool"
            );
        });
    }
}
