//! Every task of a node, broken at every call that it makes to host and store.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail where it stands"
)]

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use auth::Authority;
use auth::pam::NoPam;
use model::{Error, GuestConfig, GuestKind, GuestRecord, Record, Upid, VmId};
use node::tasks::{
    Chosen, NewSize, NodeStartall, NodeStopall, QemuClone, QemuCloudinitUpdate, QemuConfigure,
    QemuCreate, QemuDelsnapshot, QemuDestroy, QemuMoveDisk, QemuReboot, QemuReset, QemuResize,
    QemuResume, QemuRollback, QemuShutdown, QemuSnapshot, QemuStart, QemuStop, QemuSuspend,
    QemuSuspendToDisk, QemuTemplate, QemuVncproxy,
};
use node::{Edit, Paths, World, WorldOptions, guest_key, registry, storage_key};
use store::{Commit, MemoryStore, Prefix, Read, SharedStore, list_all};
use sys::{Command, Files, Links, Output};
use tasks::{Engine, EngineOptions, Submission, Task};
use testkit::walk::{Scene, Walked, walk};
use testkit::{
    Disk, FakeHost, Fault, Faults, FaultyStore, HastyClock, genisoimage, qemu_facts, qemu_img,
    spawn_qemu,
};

type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

const QEMU: &str = "qemu-system-x86_64";

/// One node with one guest and what is done with it.
struct Node<T> {
    host: FakeHost,
    plain: SharedStore,
    make: fn(VmId) -> T,
    /// Whether the world is well although it is neither as before the task nor as after.
    also_well: Arc<dyn Fn(&[String]) -> bool + Send + Sync>,
}

fn nothing_else() -> Arc<dyn Fn(&[String]) -> bool + Send + Sync> {
    Arc::new(|_| false)
}

fn vmid() -> VmId {
    VmId::new(100).unwrap()
}

/// A host with a bridge and the first storage's folders.
async fn host() -> FakeHost {
    let host = FakeHost::new(Faults::default())
        .program(QEMU, qemu_facts)
        .program("qemu-img", qemu_img)
        .program("tc", silent)
        .program("/var/lib/vz/snippets/hook.sh", silent)
        .program("genisoimage", genisoimage)
        .spawner(QEMU, spawn_qemu);
    host.create_dir(Path::new("/run/ostler/guests"), 0o755)
        .await
        .unwrap();
    for folder in [
        "images",
        "template/cache",
        "template/iso",
        "dump",
        "snippets",
        "import",
        "private",
    ] {
        host.create_dir(&Path::new("/var/lib/vz").join(folder), 0o755)
            .await
            .unwrap();
    }
    host.create_bridge("vmbr0").await.unwrap();
    host
}

/// A program that does what it is told and says nothing.
fn silent(_: &mut Disk, _: &Command) -> Output {
    Output {
        code: Some(0),
        ..Output::default()
    }
}

/// A store with the first storage and signing keys.
async fn store() -> SharedStore {
    let clock = Arc::new(HastyClock::default());
    let store: SharedStore = Arc::new(MemoryStore::new(clock.clone()));
    let local = storage::local("/var/lib/vz");
    let record = Record::new(local.clone()).encode().unwrap();
    store
        .commit(Commit::new().put(storage_key(&local.id), record))
        .await
        .unwrap();
    Authority::new(store.clone(), clock, Arc::new(NoPam))
        .await
        .unwrap();
    store
}

/// A node without guests.
async fn empty<T>(make: fn(VmId) -> T) -> Node<T> {
    Node {
        host: host().await,
        plain: store().await,
        make,
        also_well: nothing_else(),
    }
}

/// A node with guest 100, which has a disk and a card.
async fn node<T>(make: fn(VmId) -> T) -> Node<T> {
    node_with(make, &[]).await
}

/// The same, with more options.
async fn node_with<T>(make: fn(VmId) -> T, options: &[(&str, &str)]) -> Node<T> {
    let node = empty(make).await;
    node.host
        .create_dir(Path::new("/var/lib/vz/images/100"), 0o755)
        .await
        .unwrap();
    let image = Path::new("/var/lib/vz/images/100/vm-100-disk-0.raw");
    node.host.write(image, b"x", 0o600).await.unwrap();
    let mut config = GuestConfig::default();
    config.set("memory", "64");
    config.set("kvm", 0);
    config.set("net0", "virtio=BC:24:11:E2:6F:5F,bridge=vmbr0");
    config.set("scsi0", "local:100/vm-100-disk-0.raw,size=1");
    for path in [
        "images/100/vm-100-disk-1.raw",
        "template/iso/a.iso",
        "template/iso/b.iso",
        "snippets/hook.sh",
    ] {
        let path = Path::new("/var/lib/vz").join(path);
        node.host.write(&path, b"x", 0o600).await.unwrap();
    }
    for (name, value) in options {
        config.set(*name, *value);
    }
    let guest = GuestRecord {
        vmid: vmid(),
        kind: GuestKind::Qemu,
        node: "pve1".parse().unwrap(),
        epoch: 1,
        busy: None,
        config,
        pending: Default::default(),
        snapshots: Default::default(),
        suspended: None,
        created: 0,
    };
    let record = Record::new(guest).encode().unwrap();
    node.plain
        .commit(Commit::new().put(guest_key(vmid()), record))
        .await
        .unwrap();
    node
}

/// The same, with a medium for cloud-init, a snippet on it and an option that it is made of.
async fn cloud_node<T>(make: fn(VmId) -> T) -> Node<T> {
    let node = node(make).await;
    let image = Path::new("/var/lib/vz/images/100/vm-100-cloudinit.qcow2");
    node.host.write(image, b"x", 0o600).await.unwrap();
    let snippet = Path::new("/var/lib/vz/snippets/vendor.yaml");
    node.host
        .write(snippet, b"#cloud-config\n{}\n", 0o600)
        .await
        .unwrap();
    let records = node::Records::new(node.plain.clone(), "pve1".parse().unwrap());
    let options = [
        (
            "ide2",
            "local:100/vm-100-cloudinit.qcow2,media=cdrom,size=4M",
        ),
        ("ciuser", "lab"),
        ("cicustom", "vendor=local:snippets/vendor.yaml"),
    ];
    let change = |guest: &mut GuestRecord| {
        for (option, value) in options {
            guest.config.set(option, value);
        }
        Ok(())
    };
    records.change_guest(vmid(), change).await.unwrap();
    node
}

/// The same, with the guest running.
async fn running<T>(make: fn(VmId) -> T) -> Node<T> {
    Node {
        also_well: nothing_else(),
        ..restarting(make).await
    }
}

/// The same, for a task that ends the guest and has another one start it again.
async fn restarting<T>(make: fn(VmId) -> T) -> Node<T> {
    restarting_with(make, &[]).await
}

async fn restarting_with<T>(make: fn(VmId) -> T, options: &[(&str, &str)]) -> Node<T> {
    let started = node_with(|vmid| QemuStart::new(vmid, None, false), options).await;
    // What runs may have been stopped and not started again, cleanly.
    let also_well = started.inventory().await;
    let mut node = started.done().await.then(make);
    node.also_well = Arc::new(move |found| also_well == found);
    node
}

impl<T> Node<T> {
    /// The same node for another task.
    fn then<U>(self, make: fn(VmId) -> U) -> Node<U> {
        Node {
            host: self.host,
            plain: self.plain,
            make,
            also_well: self.also_well,
        }
    }
}

impl<T: Task<World = World>> Node<T> {
    async fn engine(&self) -> Arc<Engine<World>> {
        let host: sys::SharedHost = Arc::new(self.host.clone());
        let faulty = FaultyStore::new(self.plain.clone(), self.host.faults().clone());
        let store: SharedStore = Arc::new(faulty);
        let clock = Arc::new(HastyClock::default());
        // The authority starts on the plain store: what it does at start is no part of a task.
        let authority = Authority::new(self.plain.clone(), clock.clone(), Arc::new(NoPam));
        let world = World::new(WorldOptions {
            node: "pve1".parse().unwrap(),
            paths: Paths::below("/"),
            store,
            host: host.clone(),
            clock: clock.clone(),
            authority: Arc::new(authority.await.unwrap()),
            guest_user: Some((999, 999)),
            kvm: None,
            allow_emulation: false,
        });
        let options = EngineOptions {
            node: "pve1".parse().unwrap(),
            directory: "/var/lib/ostler/tasks".into(),
            host,
            clock,
        };
        Engine::open(options, world, &registry()).await.unwrap()
    }

    /// Does the task as if it were long ago: nothing of it is remembered.
    async fn done(self) -> Self {
        assert_eq!(self.run().await, "OK");
        let tasks = Path::new("/var/lib/ostler/tasks");
        for entry in self.host.list(tasks).await.unwrap() {
            self.host.remove(&tasks.join(entry.name)).await.unwrap();
        }
        self
    }

    async fn run(&self) -> String {
        let engine = self.engine().await;
        let upid = self.submit(&engine).await.unwrap();
        match engine.wait(&upid).await.unwrap().state {
            tasks::TaskState::Ended { status, .. } => status,
            other => format!("{other:?}"),
        }
    }
}

impl<T: Task<World = World>> Scene for Node<T> {
    type World = World;

    fn open(&self) -> Waiting<'_, Arc<Engine<World>>> {
        Box::pin(self.engine())
    }

    fn submit<'a>(&'a self, engine: &'a Engine<World>) -> Waiting<'a, Result<Upid, Error>> {
        let submission = Submission {
            request_id: String::new(),
            user: "root@pam".into(),
            id: "100".into(),
        };
        Box::pin(engine.submit(submission, (self.make)(vmid())))
    }

    fn inventory(&self) -> Waiting<'_, Vec<String>> {
        Box::pin(async {
            let mut lines = self.host.inventory(&["/var/lib/ostler"]);
            let (entries, _) = list_all(&*self.plain, &Prefix::all(), Read::Linear)
                .await
                .unwrap();
            for entry in entries {
                if !entry.key.as_str().starts_with("secret/") {
                    let value = String::from_utf8_lossy(&entry.value);
                    lines.push(format!("{} {}", entry.key, without_chance(&value)));
                }
            }
            lines
        })
    }

    fn faults(&self) -> &Faults {
        self.host.faults()
    }

    fn is_also_well(&self, inventory: &[String]) -> bool {
        (self.also_well)(inventory)
    }
}

/// A record without what is made up for each new guest.
fn without_chance(record: &str) -> String {
    const MADE_UP: [(&str, usize); 2] = [("BC:24:11:", 8), ("uuid=", 36)];
    let mut text = record.to_owned();
    for (before, length) in MADE_UP {
        let places: Vec<usize> = text.match_indices(before).map(|(at, _)| at).collect();
        for at in places {
            let from = at + before.len();
            text.replace_range(from..from + length, &"x".repeat(length));
        }
    }
    text
}

/// A node for which it is well too that nothing has happened.
async fn or_as_before<T: Task<World = World>>(mut node: Node<T>) -> Node<T> {
    let before = node.inventory().await;
    node.also_well = Arc::new(move |found| before == found);
    node
}

/// Walks a task and prints what was broken.
async fn walk_all<T: Task<World = World>>(
    scene: impl Fn() -> Waiting<'static, Node<T>>,
    at_least: usize,
) -> Walked {
    let walked = walk(scene).await;
    assert!(walked.calls >= at_least, "{walked:?}");
    assert_eq!(walked.breaks, walked.calls * Fault::ALL.len());
    println!("{}: {walked:?}", T::NAME);
    walked
}

fn edit(options: serde_json::Value) -> Edit {
    let serde_json::Value::Object(options) = options else {
        panic!("an object")
    };
    Edit::new(&options, &|| "BC:24:11:00:00:01".to_owned()).unwrap()
}

fn creation(vmid: VmId) -> QemuCreate {
    let options = serde_json::json!({
        "memory": "64", "scsi0": "local:1", "virtio1": "local:2,format=qcow2",
        "net0": "virtio,bridge=vmbr0", "ide2": "local:cloudinit"
    });
    QemuCreate {
        vmid,
        edit: edit(options),
        pool: None,
        start: false,
    }
}

/// A new disk that is filled from an image which somebody has brought.
fn import(vmid: VmId) -> QemuConfigure {
    let source = "local:0,import-from=local:import/brought.raw";
    QemuConfigure::new(
        vmid,
        edit(serde_json::json!({"scsi1": source})),
        None,
        false,
    )
}

fn disk_swap(vmid: VmId) -> QemuConfigure {
    let mut edit = edit(serde_json::json!({"scsi1": "local:1", "cores": 2}));
    edit.delete = vec!["scsi0".into()];
    edit.force = true;
    QemuConfigure::new(vmid, edit, None, false)
}

/// What the guest that is changed while it runs has besides.
const MORE: &[(&str, &str)] = &[
    ("scsihw", "virtio-scsi-single"),
    ("ide2", "local:iso/a.iso,media=cdrom"),
    (
        "virtio1",
        "local:100/vm-100-disk-1.raw,iothread=1,size=1,mbps=5",
    ),
    ("net1", "virtio=BC:24:11:00:00:11,bridge=vmbr0,link_down=1"),
    ("net2", "virtio=BC:24:11:00:00:12,bridge=vmbr0"),
    ("boot", "order=scsi0"),
    ("hotplug", "network,disk,usb,cpu"),
    ("cores", "4"),
    ("vcpus", "2"),
];

/// A guest that runs, whose devices are changed in every way that there is.
async fn hot<T>(make: fn(VmId) -> T) -> Node<T> {
    let node = restarting_with(make, MORE).await;
    Node {
        also_well: nothing_else(),
        ..node
    }
}

fn hot_drives(vmid: VmId) -> QemuConfigure {
    let mut edit = edit(serde_json::json!({
        "scsi1": "local:1,iothread=1", "scsi0": "local:100/vm-100-disk-0.raw,size=1,iops=10",
        "ide2": "local:iso/b.iso,media=cdrom",
    }));
    edit.delete = vec!["virtio1".into()];
    edit.force = true;
    QemuConfigure::new(vmid, edit, None, false)
}

fn hot_cards(vmid: VmId) -> QemuConfigure {
    let mut edit = edit(serde_json::json!({
        "net0": "virtio=BC:24:11:E2:6F:5F,bridge=vmbr0,rate=2,link_down=1",
        "net1": "e1000=BC:24:11:00:00:11,bridge=vmbr0",
        "net3": "virtio,bridge=vmbr0,rate=1.5,link_down=1",
    }));
    edit.delete = vec!["net2".into()];
    QemuConfigure::new(vmid, edit, None, false)
}

fn hot_board(vmid: VmId) -> QemuConfigure {
    let edit = edit(serde_json::json!({
        "vcpus": 3, "balloon": 32, "tablet": false, "cpulimit": 0.5, "memory": "96",
    }));
    QemuConfigure::new(vmid, edit, None, false)
}

fn larger(vmid: VmId) -> QemuResize {
    let more = NewSize::LargerBy("1G".parse().unwrap());
    QemuResize::new(vmid, "scsi0".parse().unwrap(), more, None, false)
}

#[tokio::test]
async fn qemu_start() {
    let scene = || Box::pin(node(|vmid| QemuStart::new(vmid, None, false))) as Waiting<_>;
    let walked = walk_all(scene, 40).await;
    assert!(walked.failed > 20 && walked.went_through > 20, "{walked:?}");
}

/// The administrator's script is called in a scope of the task, of which nothing is left.
#[tokio::test]
async fn qemu_start_with_a_script() {
    let options = &[("hookscript", "local:snippets/hook.sh")];
    let start = |vmid| QemuStart::new(vmid, None, false);
    let walked = walk_all(move || Box::pin(node_with(start, options)), 45).await;
    assert!(walked.failed > 20 && walked.went_through > 20, "{walked:?}");
    walk_all(
        move || Box::pin(restarting_with(QemuStop::new, options)),
        10,
    )
    .await;
}

#[tokio::test]
async fn node_startall() {
    let scene = async || {
        let node = node_with(
            |_| NodeStartall {
                chosen: Chosen::default(),
                force: false,
            },
            &[("onboot", "1"), ("startup", "order=1,up=2")],
        )
        .await;
        // A guest that does not start is its own task's failure.
        or_as_before(node).await
    };
    walk_all(move || Box::pin(scene()), 30).await;
}

#[tokio::test]
async fn node_stopall() {
    let scene = async || {
        let node = running(|_| NodeStopall {
            chosen: Chosen::default(),
            timeout_s: 60,
            force_stop: true,
        })
        .await;
        // A guest that does not stop is its own task's failure.
        or_as_before(node).await
    };
    walk_all(move || Box::pin(scene()), 8).await;
}

/// A start that fails may leave the medium made: it is what the configuration says.
async fn starting_with_medium() -> Node<QemuStart> {
    let made = cloud_node(|vmid| QemuCloudinitUpdate { vmid }).await;
    assert_eq!(made.run().await, "OK");
    let made = made.inventory().await;
    let mut node = cloud_node(|vmid| QemuStart::new(vmid, None, false)).await;
    node.also_well = Arc::new(move |found| made == found);
    node
}

#[tokio::test]
async fn qemu_start_with_cloud_init() {
    let walked = walk_all(|| Box::pin(starting_with_medium()), 60).await;
    assert!(walked.failed > 40 && walked.went_through > 20, "{walked:?}");
}

#[tokio::test]
async fn qemu_cloudinit_update() {
    let make = |vmid| QemuCloudinitUpdate { vmid };
    let walked = walk_all(move || Box::pin(cloud_node(make)), 30).await;
    assert!(walked.failed > 20 && walked.went_through > 10, "{walked:?}");
}

/// What is on the medium, and that nothing of it lies anywhere else.
#[tokio::test]
async fn a_medium_is_made_of_what_the_guest_is_told() {
    let node = cloud_node(|vmid| QemuCloudinitUpdate { vmid }).await;
    assert_eq!(node.run().await, "OK");
    let calls = node.host.faults().calls();
    let made = calls
        .iter()
        .find(|call| call.starts_with("run genisoimage"));
    let made = made.unwrap();
    for part in [
        "-volid cidata",
        " user-data=",
        " network-config=",
        " vendor-data=",
    ] {
        assert!(made.contains(part), "{made}");
    }
    let written = calls
        .iter()
        .find(|call| call.starts_with("run qemu-img convert"));
    let volume = "driver=qcow2,file.driver=file,\
                  file.filename=/var/lib/vz/images/100/vm-100-cloudinit.qcow2";
    assert!(written.unwrap().ends_with(volume), "{written:?}");
    let left = node.inventory().await;
    assert!(!left.iter().any(|line| line.contains(".seed")), "{left:?}");
    let seed = left.iter().find(|line| line.starts_with("seed/100 "));
    assert!(seed.unwrap().contains("\"ciuser\":\"lab\""), "{seed:?}");
}

/// What is on a medium can be made again, so one that was lost is.
#[tokio::test]
async fn a_medium_that_is_lost_is_made_anew() {
    let node = cloud_node(|vmid| QemuStart::new(vmid, None, false)).await;
    let image = Path::new("/var/lib/vz/images/100/vm-100-cloudinit.qcow2");
    node.host.remove(image).await.unwrap();
    assert_eq!(node.run().await, "OK");
    let made = node.host.stat(image).await.unwrap();
    assert_eq!(made.unwrap().size, 4 << 20);
}

#[tokio::test]
async fn a_snippet_that_is_missing_ends_the_start_with_one_clear_line() {
    let node = cloud_node(|vmid| QemuStart::new(vmid, None, false)).await;
    let snippet = Path::new("/var/lib/vz/snippets/vendor.yaml");
    node.host.remove(snippet).await.unwrap();
    let before = node.inventory().await;
    let wanted = "volume 'local:snippets/vendor.yaml' does not exist";
    assert_eq!(node.run().await, wanted);
    assert_eq!(node.inventory().await, before);
}

#[tokio::test]
async fn qemu_create() {
    let walked = walk_all(|| Box::pin(empty(creation)), 20).await;
    assert!(walked.failed > 20 && walked.went_through > 10, "{walked:?}");
}

#[tokio::test]
async fn qemu_configure() {
    let walked = walk_all(|| Box::pin(node(disk_swap)), 20).await;
    assert!(walked.failed > 20 && walked.went_through > 10, "{walked:?}");
}

#[tokio::test]
async fn qemu_configure_importing() {
    let scene = || -> Waiting<_> {
        Box::pin(async {
            let node = node(import).await;
            let image = Path::new("/var/lib/vz/import/brought.raw");
            node.host.write(image, b"content", 0o600).await.unwrap();
            node
        })
    };
    let walked = walk_all(scene, 25).await;
    assert!(walked.failed > 20 && walked.went_through > 10, "{walked:?}");
}

#[tokio::test]
async fn qemu_configure_waits_where_nothing_is_plugged() {
    let walked = walk_all(
        || Box::pin(restarting_with(disk_swap, &[("hotplug", "0")])),
        20,
    )
    .await;
    assert!(walked.failed > 20 && walked.went_through > 10, "{walked:?}");
}

#[tokio::test]
async fn qemu_configure_plugs_and_unplugs_drives() {
    let walked = walk_all(|| Box::pin(hot(hot_drives)), 40).await;
    assert!(walked.failed > 20 && walked.went_through > 40, "{walked:?}");
}

#[tokio::test]
async fn qemu_configure_plugs_and_unplugs_cards() {
    let walked = walk_all(|| Box::pin(hot(hot_cards)), 40).await;
    assert!(walked.failed > 20 && walked.went_through > 40, "{walked:?}");
}

#[tokio::test]
async fn qemu_configure_changes_the_board() {
    let walked = walk_all(|| Box::pin(hot(hot_board)), 30).await;
    assert!(walked.failed > 10 && walked.went_through > 40, "{walked:?}");
}

/// What took effect is configuration, what QEMU cannot do waits, and both are what QEMU has.
#[tokio::test]
async fn what_takes_effect_while_it_runs_is_configuration() {
    let node = hot(hot_drives).await;
    assert_eq!(node.run().await, "OK");
    let lines = node.inventory().await.join("\n");
    assert!(lines.contains("device scsi1 {"), "{lines}");
    assert!(lines.contains("device virtioscsi1 {"), "{lines}");
    assert!(!lines.contains("virtio1"), "{lines}");
    assert!(
        lines.contains("setting qom-set /objects/throttle-scsi0"),
        "{lines}"
    );
    assert!(lines.contains(" ide2 local:iso/b.iso"), "{lines}");
    assert!(
        lines.contains("\"pending\":{}") || !lines.contains("\"pending\""),
        "{lines}"
    );
    let node = hot(hot_board).await;
    assert_eq!(node.run().await, "OK");
    let lines = node.inventory().await.join("\n");
    assert!(
        lines.contains("device cpu3 {") && !lines.contains("device tablet"),
        "{lines}"
    );
    assert!(lines.contains("\"pending\":{\"memory\""), "{lines}");
}

#[tokio::test]
async fn a_boot_disk_stays_plugged_and_the_caller_is_told() {
    let node = hot(|vmid| {
        let edit = Edit {
            delete: vec!["scsi0".into()],
            ..Edit::default()
        };
        QemuConfigure::new(vmid, edit, None, false)
    })
    .await;
    let status = node.run().await;
    let wanted =
        "Parameter verification failed. scsi0: hotplug problem - can't unplug bootdisk 'scsi0'";
    assert_eq!(status, wanted);
}

#[tokio::test]
async fn qemu_destroy() {
    walk_all(
        || Box::pin(node(|vmid| QemuDestroy::new(vmid, false, true))),
        20,
    )
    .await;
}

#[tokio::test]
async fn qemu_stop() {
    walk_all(|| Box::pin(running(QemuStop::new)), 8).await;
}

#[tokio::test]
async fn qemu_shutdown() {
    let make = |vmid| QemuShutdown {
        vmid,
        timeout_s: None,
        force_stop: false,
    };
    walk_all(|| Box::pin(running(make)), 8).await;
}

#[tokio::test]
async fn qemu_resize() {
    let walked = walk_all(|| Box::pin(node(larger)), 15).await;
    assert!(walked.failed > 20 && walked.went_through > 10, "{walked:?}");
}

#[tokio::test]
async fn qemu_reboot() {
    walk_all(
        || {
            Box::pin(restarting(|vmid| QemuReboot {
                vmid,
                timeout_s: None,
            }))
        },
        8,
    )
    .await;
}

#[tokio::test]
async fn qemu_suspend() {
    walk_all(|| Box::pin(running(QemuSuspend::new)), 4).await;
}

#[tokio::test]
async fn qemu_resume() {
    walk_all(|| Box::pin(running(QemuResume::new)), 4).await;
}

#[tokio::test]
async fn qemu_reset() {
    walk_all(|| Box::pin(running(QemuReset::new)), 4).await;
}

/// A console that is there no more: the task must end, wherever it is broken off.
#[tokio::test]
async fn qemu_vncproxy() {
    let make = |vmid| QemuVncproxy::new(vmid, "gone".to_owned());
    walk_all(move || Box::pin(running(make)), 4).await;
}

#[test]
fn every_task_is_walked() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let files = std::fs::read_dir(folder).unwrap().flatten();
    let tests: String = files
        .filter_map(|file| std::fs::read_to_string(file.path()).ok())
        .collect();
    for name in registry().names() {
        assert!(
            tests.contains(&format!("async fn {name}()")),
            "no test is called {name}"
        );
    }
}

#[tokio::test]
async fn a_guest_that_runs_is_not_started_again() {
    let node = node(|vmid| QemuStart::new(vmid, None, false)).await;
    assert_eq!(node.run().await, "OK");
    assert_eq!(node.run().await, "VM 100 already running");
}

#[tokio::test]
async fn an_id_that_is_taken_is_refused_and_its_owner_is_untouched() {
    let node = node(creation).await;
    let before = node.inventory().await;
    let status = node.run().await;
    assert_eq!(
        status,
        "unable to create VM 100 - VM 100 already exists on node 'pve1'"
    );
    assert_eq!(node.inventory().await, before);
}

/// A `qemu-img` for which the disk is full when the second image comes.
fn full_for_the_second(disk: &mut Disk, command: &Command) -> Output {
    if !command.args.iter().any(|argument| argument == "qcow2") {
        return qemu_img(disk, command);
    }
    let stderr = b"qemu-img: vm-100-disk-1.qcow2: No space left on device".to_vec();
    Output {
        code: Some(1),
        stdout: Vec::new(),
        stderr,
    }
}

#[tokio::test]
async fn on_a_full_disk_a_creation_leaves_nothing() {
    let mut node = empty(creation).await;
    node.host = node.host.clone().program("qemu-img", full_for_the_second);
    let before = node.inventory().await;
    assert_eq!(node.run().await, "no space left on storage 'local'");
    assert_eq!(node.inventory().await, before);
}

#[tokio::test]
async fn a_bridge_that_is_missing_ends_the_start_with_one_clear_line() {
    let node = node(|vmid| QemuStart::new(vmid, None, false)).await;
    node.host.remove_bridge("vmbr0").await.unwrap();
    let before = node.inventory().await;
    assert_eq!(node.run().await, "bridge 'vmbr0' does not exist");
    assert_eq!(node.inventory().await, before);
}

/// What a guest that has snapshots has.
const LAYERED: &[(&str, &str)] = &[
    ("scsi0", "local:100/vm-100-disk-2.qcow2,size=1"),
    ("agent", "1"),
];

const IMAGE: &str = "/var/lib/vz/images/100/vm-100-disk-2.qcow2";

/// A node whose guest can have snapshots, running or not.
async fn layered<T>(make: fn(VmId) -> T, runs: bool) -> Node<T> {
    let node = node_with(|vmid| QemuStart::new(vmid, None, false), LAYERED).await;
    let image = Path::new(IMAGE);
    node.host.write(image, b"x", 0o600).await.unwrap();
    let node = if runs { node.done().await } else { node };
    node.then(make)
}

/// The same, with a snapshot. One of a running guest has its memory; the image is made to have
/// it for both, since fake programs know nothing of each other.
async fn with_snapshot<T>(make: fn(VmId) -> T, runs: bool) -> Node<T> {
    let node = layered(snapshot, runs).await.done().await;
    let of_image = format!("{IMAGE}@s1");
    node.host
        .write(Path::new(&of_image), b"", 0o644)
        .await
        .unwrap();
    node.then(make)
}

fn snapshot(vmid: VmId) -> QemuSnapshot {
    QemuSnapshot::new(vmid, "s1".into(), Some("first".into()), true)
}

fn rollback(vmid: VmId) -> QemuRollback {
    QemuRollback::new(vmid, "s1".into(), false)
}

fn delsnapshot(vmid: VmId) -> QemuDelsnapshot {
    QemuDelsnapshot::new(vmid, "s1".into(), false)
}

/// What of a world is there whether its guest runs or not.
fn at_rest(inventory: &[String]) -> Vec<String> {
    let kinds = ["file /var/lib", "directory /var/lib", "guest/", "storage/"];
    let stays = |line: &&String| kinds.iter().any(|kind| line.starts_with(kind));
    inventory.iter().filter(stays).cloned().collect()
}

#[tokio::test]
async fn qemu_snapshot() {
    let walked = walk_all(|| Box::pin(layered(snapshot, false)), 20).await;
    assert!(walked.failed > 20 && walked.went_through > 10, "{walked:?}");
}

#[tokio::test]
async fn qemu_snapshot_with_memory() {
    let walked = walk_all(|| Box::pin(layered(snapshot, true)), 40).await;
    assert!(walked.failed > 60 && walked.went_through > 10, "{walked:?}");
}

#[tokio::test]
async fn qemu_snapshot_of_a_running_guests_disks() {
    let make = |vmid| QemuSnapshot::new(vmid, "s1".into(), None, false);
    let walked = walk_all(|| Box::pin(layered(make, true)), 25).await;
    assert!(walked.failed > 40 && walked.went_through > 10, "{walked:?}");
}

#[tokio::test]
async fn qemu_rollback() {
    let walked = walk_all(|| Box::pin(with_snapshot(rollback, false)), 15).await;
    assert!(walked.failed > 10 && walked.went_through > 10, "{walked:?}");
}

/// The guest is ended, rolled back and started with the memory that it had.
#[tokio::test]
async fn qemu_rollback_to_memory() {
    let scene = || -> Waiting<_> {
        Box::pin(async {
            let mut node = with_snapshot(rollback, true).await;
            let before = at_rest(&node.inventory().await);
            let is_ended = move |found: &[String]| {
                let nothing_runs = !found.iter().any(|line| line.starts_with("process"));
                nothing_runs && at_rest(found) == before
            };
            node.also_well = Arc::new(is_ended);
            node
        })
    };
    let walked = walk_all(scene, 60).await;
    assert!(
        walked.failed > 10 && walked.went_through > 100,
        "{walked:?}"
    );
}

/// A snapshot that is half deleted says so, and nothing of it is left that it does not name.
fn is_half_deleted(before: &[String], found: &[String]) -> bool {
    let is_of_snapshot = |line: &String| line.contains("s1");
    let rest = |lines: &[String]| -> Vec<String> {
        let rest = lines.iter().filter(|line| !is_of_snapshot(line));
        rest.cloned().collect()
    };
    let records: Vec<&String> = found
        .iter()
        .filter(|line| line.starts_with("guest/100 "))
        .collect();
    let says_so = records
        .iter()
        .all(|line| line.contains(r#""state":"delete""#) && !line.contains("busy"));
    rest(before) == rest(found) && says_so && records.len() == 1
}

async fn half_deletable(runs: bool) -> Node<QemuDelsnapshot> {
    let mut node = with_snapshot(delsnapshot, runs).await;
    let before = node.inventory().await;
    node.also_well = Arc::new(move |found| is_half_deleted(&before, found));
    node
}

#[tokio::test]
async fn qemu_delsnapshot() {
    let walked = walk_all(|| Box::pin(half_deletable(false)), 15).await;
    assert!(walked.failed > 20 && walked.went_through > 5, "{walked:?}");
}

#[tokio::test]
async fn qemu_delsnapshot_while_it_runs() {
    let walked = walk_all(|| Box::pin(half_deletable(true)), 15).await;
    assert!(walked.failed > 20 && walked.went_through > 5, "{walked:?}");
}

fn suspend_to_disk(vmid: VmId) -> QemuSuspendToDisk {
    QemuSuspendToDisk::new(vmid, None, false)
}

#[tokio::test]
async fn qemu_suspend_to_disk() {
    let walked = walk_all(|| Box::pin(layered(suspend_to_disk, true)), 30).await;
    assert!(walked.failed > 40 && walked.went_through > 10, "{walked:?}");
}

/// Who is suspended stays so until awake, and then nothing of it is left.
#[tokio::test]
async fn qemu_start_of_a_suspended_guest() {
    let scene = || -> Waiting<_> {
        Box::pin(async {
            let suspended = layered(suspend_to_disk, true).await.done().await;
            suspended.then(|vmid| QemuStart::new(vmid, None, false))
        })
    };
    let walked = walk_all(scene, 45).await;
    assert!(walked.failed > 20 && walked.went_through > 20, "{walked:?}");
}

#[tokio::test]
async fn a_disk_that_cannot_have_snapshots_is_named_before_anything_happens() {
    let node = node(snapshot).await;
    let before = node.inventory().await;
    assert_eq!(node.run().await, "snapshot feature is not available");
    assert_eq!(node.inventory().await, before);
    let taken = with_snapshot(snapshot, false).await;
    assert_eq!(taken.run().await, "snapshot name 's1' already used");
}

/// The guest that is made of guest 100.
fn copied(_: VmId) -> QemuClone {
    let mut clone = linked(vmid());
    clone.full = true;
    clone
}

fn linked(_: VmId) -> QemuClone {
    QemuClone::new(vmid(), VmId::new(101).unwrap())
}

#[tokio::test]
async fn qemu_clone() {
    let walked = walk_all(|| Box::pin(layered(copied, false)), 20).await;
    assert!(walked.failed > 20 && walked.went_through > 5, "{walked:?}");
}

#[tokio::test]
async fn qemu_clone_of_a_running_guest() {
    let walked = walk_all(|| Box::pin(layered(copied, true)), 35).await;
    assert!(walked.failed > 50 && walked.went_through > 5, "{walked:?}");
}

#[tokio::test]
async fn qemu_clone_of_a_snapshot() {
    let make = |id| {
        let mut clone = copied(id);
        clone.snapshot = Some("s1".into());
        clone
    };
    walk_all(move || Box::pin(with_snapshot(make, false)), 20).await;
}

fn template(vmid: VmId) -> QemuTemplate {
    QemuTemplate::new(vmid, None)
}

#[tokio::test]
async fn qemu_template() {
    let walked = walk_all(|| Box::pin(layered(template, false)), 12).await;
    assert!(walked.failed > 10 && walked.went_through > 5, "{walked:?}");
}

#[tokio::test]
async fn qemu_clone_that_is_linked() {
    let scene = || -> Waiting<_> {
        Box::pin(async { layered(template, false).await.done().await.then(linked) })
    };
    let walked = walk_all(scene, 15).await;
    assert!(walked.failed > 15 && walked.went_through > 5, "{walked:?}");
}

#[tokio::test]
async fn a_template_is_not_started_and_not_destroyed_under_its_clones() {
    let made = layered(template, false).await.done().await;
    let started = made.then(|vmid| QemuStart::new(vmid, None, false));
    assert_eq!(
        started.run().await,
        "you can't start a vm if it's a template"
    );
    let cloned = started.then(linked).done().await;
    let destroyed = cloned.then(|vmid| QemuDestroy::new(vmid, false, true));
    let before = destroyed.inventory().await;
    let base = "local:100/base-100-disk-2.qcow2";
    assert_eq!(
        destroyed.run().await,
        format!("base volume '{base}' is still in use by linked cloned")
    );
    assert_eq!(destroyed.inventory().await, before);
    let first = destroyed.then(|_| QemuDestroy::new(VmId::new(101).unwrap(), false, true));
    assert_eq!(first.run().await, "OK");
    assert_eq!(
        first
            .then(|vmid| QemuDestroy::new(vmid, false, true))
            .run()
            .await,
        "OK"
    );
}

fn to_raw(vmid: VmId) -> QemuMoveDisk {
    let mut task = QemuMoveDisk::new(vmid, "scsi0".into());
    (task.format, task.delete) = (Some(model::BlockFormat::Raw), true);
    task
}

#[tokio::test]
async fn qemu_move_disk() {
    let walked = walk_all(|| Box::pin(layered(to_raw, false)), 20).await;
    assert!(walked.failed > 20 && walked.went_through > 10, "{walked:?}");
}

#[tokio::test]
async fn qemu_move_disk_while_it_runs() {
    let walked = walk_all(|| Box::pin(layered(to_raw, true)), 40).await;
    assert!(walked.failed > 50 && walked.went_through > 30, "{walked:?}");
}
