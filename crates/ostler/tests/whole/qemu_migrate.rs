//! Real guests that move between two nodes.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

use crate::harness::pair::{Agent, Pair, listing};
use crate::harness::writing::{VERIFY, WRITE, is_whole};
use crate::harness::{Serial, bare_pair, left_out, put_guest, tiny_disk, until};

/// Two nodes; guest 100 is at the first one and boots from a disk on `storage`, with another one.
struct Scene {
    pair: Pair,
    one: Agent,
    two: Agent,
}

impl Scene {
    async fn new(test: &str, storage: &str) -> Option<Self> {
        if left_out(test) {
            return None;
        }
        let disk = tiny_disk()?;
        let pair = Pair::new().await;
        let images = pair.folder.path().join(storage).join("images/100");
        std::fs::create_dir_all(&images).unwrap();
        std::fs::copy(disk, images.join("vm-100-disk-0.qcow2")).unwrap();
        let second = match storage {
            "layers" => "vm-100-disk-1.qcow2",
            _ => "vm-100-disk-1.raw",
        };
        let format = second.rsplit('.').next().unwrap();
        let path = images.join(second).display().to_string();
        let create = ["create", "-q", "-f", format, &path, "1M"];
        let made = Command::new("qemu-img").args(create).status();
        assert!(made.unwrap().success());
        let options: [(&str, Value); 8] = [
            ("name", "tiny".into()),
            ("memory", "128".into()),
            ("kvm", 0.into()),
            ("agent", "1".into()),
            ("serial0", "socket".into()),
            (
                "virtio0",
                format!("{storage}:100/vm-100-disk-0.qcow2,size=64M").into(),
            ),
            ("virtio1", format!("{storage}:100/{second},size=1M").into()),
            ("boot", "order=virtio0".into()),
        ];
        put_guest(&pair.store, 100, &options).await;
        let (one, two) = pair.start().await;
        Some(Self { pair, one, two })
    }

    /// The guest's console at its prompt, while it writes.
    async fn busy_guest(&self) -> Serial {
        let start = json!({"node": "pve1", "vmid": 100});
        let (status, log) = self.one.task("qemu_start", start).await;
        assert_eq!(status, "OK", "{log:?}");
        let mut serial = self.one.serial(100);
        serial.expect("tiny: ready");
        serial.ask(WRITE);
        serial
    }
}

/// Moves guest 100 while it runs; returns its console and the task's log.
async fn move_live(from: &Agent, to: &Agent, more: Value) -> (Serial, Vec<String>) {
    let mut params = json!({
        "node": from.name.as_str(), "vmid": 100, "target": to.name.as_str(), "online": 1,
    });
    params
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let (status, log) = from.task("qemu_migrate", params).await;
    assert_eq!(status, "OK", "{log:#?}");
    assert_eq!(
        to.qemu_says(100).await.as_deref(),
        Some("running"),
        "{log:#?}"
    );
    assert!(!from.has_scope(100).await && !from.runs(100).await);
    (to.serial(100), log)
}

/// For how many milliseconds the guest stood still.
fn downtime(log: &[String]) -> u64 {
    let mut lines = log.iter();
    let line = lines.find(|line| line.contains(" - downtime ")).unwrap();
    line.rsplit(' ').nth(1).unwrap().parse().unwrap()
}

fn verify(serial: &mut Serial) {
    let said = serial.ask(VERIFY);
    assert!(is_whole(&said), "{said}");
}

/// Begins a migration of guest 100 that takes minutes; returns its UPID once memory is being sent.
async fn begin_slowly(from: &Agent, to: &Agent) -> String {
    let params = json!({
        "node": from.name.as_str(), "vmid": 100, "target": to.name.as_str(), "online": 1,
        "bwlimit": 512, "with-local-disks": 1,
    });
    let upid = from.call("qemu_migrate", params).await.unwrap();
    let upid = upid.as_str().unwrap().to_owned();
    until("memory is being sent", async || {
        let log = from.log(&upid).await;
        log.iter().any(|line| line.starts_with("migration active"))
    })
    .await;
    upid
}

/// The guest runs at a node, has all that it wrote, and nothing of it is at the other one.
async fn stays(at: &Agent, other: &Agent) {
    until("the guest runs on", async || {
        at.qemu_says(100).await.as_deref() == Some("running")
    })
    .await;
    until("the target is cleared", async || {
        !other.has_scope(100).await && !at.is_expected_elsewhere(100).await
    })
    .await;
    let mut serial = at.serial(100);
    verify(&mut serial);
    serial.ask(WRITE);
}

/// Nothing of the guest is left in a folder.
fn is_empty(folder: &Path) -> bool {
    listing(folder).is_empty()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_on_shared_storage_moves_there_and_back() {
    shared(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "thorough: 50 times"]
async fn a_guest_on_shared_storage_moves_50_times() {
    shared(50).await;
}

async fn shared(times: usize) {
    let Some(scene) = Scene::new("live migration", "shared").await else {
        return;
    };
    let Scene { pair, one, two } = &scene;
    let mut serial = scene.busy_guest().await;
    let (mut downtimes, mut totals) = (Vec::new(), Vec::new());
    for time in 0..times {
        let (from, to) = if time % 2 == 0 {
            (one, two)
        } else {
            (two, one)
        };
        drop(serial);
        let begun = Instant::now();
        let log;
        (serial, log) = move_live(from, to, json!({})).await;
        totals.push(begun.elapsed().as_millis());
        downtimes.push(downtime(&log));
        verify(&mut serial);
        serial.ask(WRITE);
    }
    println!("downtimes in ms: {downtimes:?}; of all: {totals:?}");
    let bare = bare_pair::migrate(&tiny_disk().unwrap()).await;
    println!("a bare pair of QEMUs: {bare:?}");
    let images = listing(&pair.folder.path().join("shared/images/100"));
    assert_eq!(images, ["vm-100-disk-0.qcow2", "vm-100-disk-1.raw"]);
}

/// Layers that were made while it ran are opened anew by the target, which makes and merges more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_moves_with_its_layers() {
    let Some(scene) = Scene::new("layers that move", "layers").await else {
        return;
    };
    let Scene { pair, one, two } = &scene;
    let mut serial = scene.busy_guest().await;
    let snapshot = async |at: &Agent, op: &str, name: &str| {
        let params = json!({"node": at.name.as_str(), "vmid": 100, "snapname": name});
        let (status, log) = at.task(op, params).await;
        assert!(
            status == "OK" || status.starts_with("WARN"),
            "{status}: {log:?}"
        );
    };
    for (from, to, made, gone) in [
        (one, two, "s1", None),
        (two, one, "s2", Some("s1")),
        (one, two, "s3", Some("s3")),
    ] {
        snapshot(from, "qemu_snapshot", made).await;
        drop(serial);
        (serial, _) = move_live(from, to, json!({})).await;
        if let Some(gone) = gone {
            snapshot(to, "qemu_delsnapshot", gone).await;
        }
        verify(&mut serial);
        serial.ask(WRITE);
    }
    verify(&mut serial);
    assert_eq!(
        listing(&pair.folder.path().join("layers/images/100")),
        [
            "snap-s2-vm-100-disk-0.qcow2",
            "snap-s2-vm-100-disk-1.qcow2",
            "vm-100-disk-0.qcow2",
            "vm-100-disk-1.qcow2",
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_takes_its_disks_along() {
    local(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "thorough: 50 times"]
async fn a_guest_takes_its_disks_along_50_times() {
    local(50).await;
}

/// The cluster's network is the one of the node's loopback device.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_is_sent_over_the_network_for_migrations() {
    let Some(scene) = Scene::new("the migration network", "own1").await else {
        return;
    };
    let Scene { one, two, .. } = &scene;
    drop(scene.busy_guest().await);
    let options = json!({"migration": "secure,network=127.0.0.0/8"});
    one.call("cluster_options_update", options).await.unwrap();
    let more = json!({"with-local-disks": 1, "targetstorage": "own1:own2"});
    let (mut serial, log) = move_live(one, two, more.clone()).await;
    verify(&mut serial);
    let line = "use dedicated network address for sending migration traffic (127.0.0.1)";
    assert!(log.iter().any(|said| said == line), "{log:#?}");
    let mut back = json!({
        "node": "pve2", "vmid": 100, "target": "pve1", "online": 1,
        "migration_network": "198.51.100.0/24",
    });
    let more = more.as_object().unwrap().clone();
    back.as_object_mut().unwrap().extend(more);
    back["targetstorage"] = "own2:own1".into();
    let refused = two.call("qemu_migrate", back).await.unwrap_err();
    assert_eq!(
        refused.message,
        "node 'pve1': could not get migration ip: no IP address configured on local node for \
         network '198.51.100.0/24'"
    );
}

/// What it had of its base comes along.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_linked_clone_that_runs_moves_as_a_whole_image() {
    let Some(scene) = Scene::new("a linked clone that moves", "own1").await else {
        return;
    };
    let Scene { pair, one, two } = &scene;
    let done = async |op: &str, params: Value| {
        let (status, log) = one.task(op, params).await;
        assert_eq!(status, "OK", "{op}: {log:?}");
    };
    done("qemu_template", json!({"node": "pve1", "vmid": 100})).await;
    let clone = json!({"node": "pve1", "vmid": 100, "newid": 101});
    done("qemu_clone", clone).await;
    done("qemu_start", json!({"node": "pve1", "vmid": 101})).await;
    let sum = |serial: &mut Serial| {
        let said = serial.ask("echo 3 > /proc/sys/vm/drop_caches; echo sum=$(md5sum < /dev/vda)");
        let sum = said.rsplit("sum=").next().unwrap();
        sum.split_whitespace().next().unwrap().to_owned()
    };
    let mut serial = one.serial(101);
    serial.expect("tiny: ready");
    let before = sum(&mut serial);
    assert_eq!(before.len(), 32, "{before}");
    let params = json!({
        "node": "pve1", "vmid": 101, "target": "pve2", "online": 1, "with-local-disks": 1,
        "targetstorage": "own1:own2",
    });
    done("qemu_migrate", params).await;
    let mut serial = two.serial(101);
    assert_eq!(sum(&mut serial), before);
    let images =
        |storage: &str, vmid: u32| pair.folder.path().join(format!("{storage}/images/{vmid}"));
    let moved = images("own2", 101);
    assert_eq!(
        listing(&moved),
        ["vm-101-disk-0.qcow2", "vm-101-disk-1.qcow2"]
    );
    for image in listing(&moved) {
        let mut asked = Command::new("qemu-img");
        let asked = asked.args(["info", "-U"]).arg(moved.join(image)).output();
        let said = String::from_utf8(asked.unwrap().stdout).unwrap();
        assert!(
            said.contains("file format") && !said.contains("backing"),
            "{said}"
        );
    }
    assert!(is_empty(&images("own1", 101)));
    assert_eq!(listing(&images("own1", 100)).len(), 2);
}

/// Whatever is broken off while memory is sent, the guest goes on where it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_breaks_off_leaves_the_guest_where_it_was() {
    let Some(scene) = Scene::new("broken migrations", "shared").await else {
        return;
    };
    drop(scene.busy_guest().await);
    let Scene { pair, one, two } = scene;
    // The task is stopped.
    let upid = begin_slowly(&one, &two).await;
    let stop = json!({"node": "pve1", "upid": upid});
    one.call("task_stop", stop).await.unwrap();
    let (status, _) = one.ended(&upid).await;
    assert_ne!(status, "OK");
    stays(&one, &two).await;
    // The QEMU of the target ends.
    let upid = begin_slowly(&one, &two).await;
    two.kill_qemu(100).await;
    let (status, _) = one.ended(&upid).await;
    assert!(status.contains("migrat"), "{status}");
    stays(&one, &two).await;
    // The agent of the target dies.
    let upid = begin_slowly(&one, &two).await;
    drop(two);
    let (status, _) = one.ended(&upid).await;
    assert_ne!(status, "OK");
    let two = pair.agent("pve2").await;
    stays(&one, &two).await;
    // The agent of the source dies.
    one.hears(&two.name).await;
    begin_slowly(&one, &two).await;
    drop(one);
    let one = pair.agent("pve1").await;
    stays(&one, &two).await;
    // The guest itself ends.
    two.hears(&one.name).await;
    one.hears(&two.name).await;
    let upid = begin_slowly(&one, &two).await;
    one.kill_qemu(100).await;
    let (status, _) = one.ended(&upid).await;
    assert_ne!(status, "OK");
    until("nothing of the guest runs", async || {
        !one.has_scope(100).await && !two.has_scope(100).await
    })
    .await;
    let images = listing(&pair.folder.path().join("shared/images/100"));
    assert_eq!(images, ["vm-100-disk-0.qcow2", "vm-100-disk-1.raw"]);
}

async fn local(times: usize) {
    let Some(scene) = Scene::new("live migration with local disks", "own1").await else {
        return;
    };
    let Scene { pair, one, two } = &scene;
    let mut serial = scene.busy_guest().await;
    let mut downtimes = Vec::new();
    for time in 0..times {
        let (from, to) = if time % 2 == 0 {
            (one, two)
        } else {
            (two, one)
        };
        let (source, target) = if time % 2 == 0 {
            ("own1", "own2")
        } else {
            ("own2", "own1")
        };
        drop(serial);
        let more = json!({"with-local-disks": 1, "targetstorage": format!("{source}:{target}")});
        let log;
        (serial, log) = move_live(from, to, more).await;
        downtimes.push(downtime(&log));
        verify(&mut serial);
        serial.ask(WRITE);
        let images = |storage: &str| pair.folder.path().join(storage).join("images/100");
        assert!(is_empty(&images(source)));
        let moved = listing(&images(target));
        assert_eq!(moved, ["vm-100-disk-0.qcow2", "vm-100-disk-1.raw"]);
    }
    println!("downtimes in ms: {downtimes:?}");
}
