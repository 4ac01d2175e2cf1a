//! Changes of a volume group that several nodes see, and the zeroing of what is freed.
#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use model::BlockFormat;
use storage::{
    AttachMode, Attacher, LvmSpec, Storage, StorageConfig, StorageError, StorageSpec, Turn, Turns,
};
use sys::{Command, Files, Output, SharedHost};
use testkit::{Disk, FakeHost, Faults, LVM_PROGRAMS, lvm};

const MIB: u64 = 1 << 20;

const LOG: &str = "/commands";

/// What happened, in order: turns, and programs with how long they may run.
fn note(disk: &mut Disk, line: &str) {
    let log = Path::new(LOG);
    let mut content = disk.content(log).unwrap_or_default();
    content.extend_from_slice(format!("{line}\n").as_bytes());
    let size = content.len() as u64;
    disk.put(log, content, size).unwrap();
}

fn noted(disk: &mut Disk, command: &Command) -> Output {
    let by = command.deadline.map(|by| format!(" by {}", by.as_secs()));
    let what = match command.program.as_str() {
        "blkdiscard" => {
            let after = |name: &str| {
                let at = command.args.iter().position(|word| word == name).unwrap();
                command.args[at + 1].parse::<u64>().unwrap() / MIB
            };
            format!("blkdiscard {}+{}", after("--offset"), after("--length"))
        }
        "lvchange" => {
            let does = |word: &str| command.args.iter().any(|arg| arg == word);
            let what = if does("--activate") {
                "activate"
            } else {
                "tag"
            };
            format!("lvchange {what}")
        }
        program => program.to_owned(),
    };
    note(disk, &format!("{what}{}", by.unwrap_or_default()));
    match command.program.as_str() {
        "blkdiscard" => Output {
            code: Some(0),
            ..Output::default()
        },
        _ => lvm(disk, command),
    }
}

/// Turns that can be kept so many times.
struct Counted {
    host: FakeHost,
    kept: Arc<Mutex<usize>>,
}

struct Taken {
    host: FakeHost,
    what: String,
    kept: Arc<Mutex<usize>>,
}

#[async_trait]
impl Turns for Counted {
    async fn take(&self, what: &str) -> Result<Arc<dyn Turn>, StorageError> {
        self.host
            .change_files(|disk| note(disk, &format!("take {what}")));
        Ok(Arc::new(Taken {
            host: self.host.clone(),
            what: what.to_owned(),
            kept: self.kept.clone(),
        }))
    }
}

#[async_trait]
impl Turn for Taken {
    async fn keep(&self) -> Result<Option<Duration>, StorageError> {
        let mut kept = self.kept.lock().unwrap();
        let lost = || StorageError::LockLost {
            what: self.what.clone(),
        };
        *kept = kept.checked_sub(1).ok_or_else(lost)?;
        Ok(Some(Duration::from_secs(40)))
    }

    async fn end(&self) {
        self.host
            .change_files(|disk| note(disk, &format!("end {}", self.what)));
    }
}

struct Bed {
    host: FakeHost,
    storage: Arc<dyn Storage>,
    /// How many times turns can still be kept.
    kept: Arc<Mutex<usize>>,
}

fn bed(spec: LvmSpec) -> Bed {
    let mut host = FakeHost::new(Faults::default());
    for program in LVM_PROGRAMS {
        host = host.program(program, noted);
    }
    host = host.program("blkdiscard", noted);
    host = host.program("lvmconfig", lvm);
    host.change_files(|disk| {
        disk.folder("/dev/vg".as_ref());
        disk.folder("/lvm/vg".as_ref());
    });
    let spec = StorageSpec::Lvm(LvmSpec {
        vgname: "vg".to_owned(),
        ..spec
    });
    let config = StorageConfig::new("san".parse().unwrap(), spec, Vec::new());
    let shared: SharedHost = Arc::new(host.clone());
    let kept = Arc::new(Mutex::new(usize::MAX));
    let turns = Counted {
        host: host.clone(),
        kept: kept.clone(),
    };
    Bed {
        storage: storage::open(config, None, shared, Arc::new(turns)),
        host,
        kept,
    }
}

impl Bed {
    async fn allocate(&self, name: &str, mib: u64) -> Result<(), StorageError> {
        let storage = &self.storage;
        storage.allocate(name, BlockFormat::Raw, mib * MIB).await
    }

    /// What happened since the last time, without lists.
    async fn happened(&self) -> Vec<String> {
        let log = self.host.read(Path::new(LOG)).await.unwrap_or_default();
        self.host
            .change_files(|disk| assert!(disk.take_away(Path::new(LOG))));
        let text = String::from_utf8(log).unwrap();
        let lines = text.lines().filter(|line| *line != "lvs");
        lines.map(str::to_owned).collect()
    }

    async fn volumes(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .host
            .list(Path::new("/lvm/vg"))
            .await
            .unwrap_or_default()
            .into_iter()
            .map(|file| file.name)
            .collect();
        names.sort();
        names
    }
}

fn shared() -> LvmSpec {
    LvmSpec {
        shared: Some(true),
        ..LvmSpec::default()
    }
}

#[tokio::test]
async fn a_group_that_all_nodes_see_is_changed_in_turns() {
    let bed = bed(shared());
    bed.allocate("vm-100-disk-0", 8).await.unwrap();
    let turn = |program: &str| {
        let by = format!("{program} by 40");
        ["take lvm/vg", &by, "end lvm/vg"].map(str::to_owned)
    };
    let mut made = turn("lvcreate").to_vec();
    made.insert(2, "lvchange activate".to_owned());
    assert_eq!(bed.happened().await, made);
    bed.storage.resize("vm-100-disk-0", 16 * MIB).await.unwrap();
    assert_eq!(bed.happened().await, turn("lvextend"));
    // What is active is each node's own affair.
    let by = Attacher::Task("t".to_owned());
    let mode = AttachMode::Exclusive;
    let name = "vm-100-disk-0";
    bed.storage.attach(name, mode, &by).await.unwrap();
    bed.storage.detach(name, &by).await.unwrap();
    assert_eq!(bed.happened().await, ["lvchange activate"; 2]);
    bed.storage.rename(name, "vm-101-disk-0").await.unwrap();
    let renamed = bed.happened().await;
    assert!(renamed.starts_with(&["take lvm/vg".to_owned(), "lvrename by 40".to_owned()]));
    assert!(
        renamed.contains(&"lvchange tag by 40".to_owned()),
        "{renamed:?}"
    );
    assert!(bed.storage.free("vm-101-disk-0").await.unwrap());
    assert_eq!(bed.happened().await, turn("lvremove"));
}

#[tokio::test]
async fn a_group_of_one_node_needs_no_turns() {
    let bed = bed(LvmSpec::default());
    bed.allocate("vm-100-disk-0", 8).await.unwrap();
    assert!(bed.storage.free("vm-100-disk-0").await.unwrap());
    let happened = bed.happened().await;
    assert_eq!(happened, ["lvcreate", "lvchange activate", "lvremove"]);
}

#[tokio::test]
async fn without_its_turn_a_node_changes_nothing() {
    let bed = bed(shared());
    bed.allocate("vm-100-disk-0", 8).await.unwrap();
    *bed.kept.lock().unwrap() = 0;
    let before = bed.volumes().await;
    let error = bed.allocate("vm-100-disk-1", 8).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the lock of 'lvm/vg' is lost: it was not renewed in time"
    );
    for failed in [
        bed.storage.resize("vm-100-disk-0", 16 * MIB).await,
        bed.storage.rename("vm-100-disk-0", "vm-101-disk-0").await,
        bed.storage.free("vm-100-disk-0").await.map(drop),
    ] {
        assert!(matches!(failed, Err(StorageError::LockLost { .. })));
    }
    assert_eq!(bed.volumes().await, before);
}

#[tokio::test]
async fn what_is_freed_is_zeroed_while_others_change_the_group() {
    let bed = bed(LvmSpec {
        saferemove: Some(true),
        ..shared()
    });
    bed.allocate("vm-100-disk-0", 600).await.unwrap();
    bed.happened().await;
    assert!(bed.storage.free("vm-100-disk-0").await.unwrap());
    let mut zeroed = vec![
        "take lvm/vg".to_owned(),
        "lvrename by 40".to_owned(),
        "end lvm/vg".to_owned(),
        "take lvm/vg/del-vm-100-disk-0".to_owned(),
        "lvchange activate".to_owned(),
    ];
    let pieces = (0..600).step_by(32).map(|at| (at, 32.min(600 - at)));
    zeroed.extend(pieces.map(|(at, length)| format!("blkdiscard {at}+{length} by 40")));
    zeroed.extend(
        [
            "take lvm/vg",
            "lvremove by 40",
            "end lvm/vg",
            "end lvm/vg/del-vm-100-disk-0",
        ]
        .map(str::to_owned),
    );
    assert_eq!(bed.happened().await, zeroed);
    assert!(bed.volumes().await.is_empty());
}

#[tokio::test]
async fn zeroing_that_was_broken_off_is_finished_by_the_next_attempt() {
    let bed = bed(LvmSpec {
        saferemove: Some(true),
        ..shared()
    });
    bed.allocate("vm-100-disk-0", 600).await.unwrap();
    // The renaming, and one piece.
    *bed.kept.lock().unwrap() = 2;
    let broken = bed.storage.free("vm-100-disk-0").await;
    assert!(matches!(broken, Err(StorageError::LockLost { .. })));
    assert_eq!(bed.volumes().await, ["del-vm-100-disk-0"]);
    *bed.kept.lock().unwrap() = usize::MAX;
    assert!(bed.storage.free("vm-100-disk-0").await.unwrap());
    assert!(bed.volumes().await.is_empty());
    assert!(!bed.storage.free("vm-100-disk-0").await.unwrap());
}

/// Wherever the turn is lost, the volume is not active afterwards: another may have its name next.
#[tokio::test]
async fn nothing_stays_active_where_a_turn_was_lost() {
    let mut lost = 0;
    for kept in 0.. {
        let bed = bed(LvmSpec {
            saferemove: Some(true),
            ..shared()
        });
        bed.allocate("vm-100-disk-0", 40).await.unwrap();
        *bed.kept.lock().unwrap() = kept;
        let freed = bed.storage.free("vm-100-disk-0").await;
        let active = bed.host.list(Path::new("/dev/vg")).await.unwrap();
        assert!(active.is_empty(), "{kept}: {active:?}");
        match freed {
            Ok(freed) => {
                // The renaming, two pieces, and the removal in two turns.
                assert!(freed && lost == 5, "{lost}");
                return;
            }
            Err(StorageError::LockLost { .. }) => lost += 1,
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "the real time is what is measured"
)]
async fn zeroing_is_no_faster_than_was_asked() {
    let rate = "16m".to_owned().try_into().unwrap();
    let bed = bed(LvmSpec {
        saferemove: Some(true),
        saferemove_throughput: Some(rate),
        ..LvmSpec::default()
    });
    bed.allocate("vm-100-disk-0", 24).await.unwrap();
    let begun = Instant::now();
    assert!(bed.storage.free("vm-100-disk-0").await.unwrap());
    assert!(begun.elapsed() >= Duration::from_millis(1500));
    let happened = bed.happened().await;
    assert!(
        happened.contains(&"blkdiscard 16+8".to_owned()),
        "{happened:?}"
    );
}
