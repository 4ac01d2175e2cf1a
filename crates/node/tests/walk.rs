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
    NewSize, QemuCloudinitUpdate, QemuConfigure, QemuCreate, QemuDestroy, QemuReboot, QemuReset,
    QemuResize, QemuResume, QemuShutdown, QemuStart, QemuStop, QemuSuspend, QemuVncproxy,
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
    /// States that are well besides those before and after the task.
    also_well: Vec<Vec<String>>,
}

fn vmid() -> VmId {
    VmId::new(100).unwrap()
}

/// A host with a bridge and the first storage's folders.
async fn host() -> FakeHost {
    let host = FakeHost::new(Faults::default())
        .program(QEMU, qemu_facts)
        .program("qemu-img", qemu_img)
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
        also_well: Vec::new(),
    }
}

/// A node with guest 100, which has a disk and a card.
async fn node<T>(make: fn(VmId) -> T) -> Node<T> {
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
    let guest = GuestRecord {
        vmid: vmid(),
        kind: GuestKind::Qemu,
        node: "pve1".parse().unwrap(),
        epoch: 1,
        busy: None,
        config,
        pending: Default::default(),
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
        also_well: Vec::new(),
        ..restarting(make).await
    }
}

/// The same, for a task that ends the guest and has another one start it again.
async fn restarting<T>(make: fn(VmId) -> T) -> Node<T> {
    let started = node(|vmid| QemuStart::new(vmid, None, false)).await;
    // What runs may have been stopped and not started again, cleanly.
    let also_well = vec![started.inventory().await];
    let engine = started.engine().await;
    let upid = started.submit(&engine).await.unwrap();
    engine.wait(&upid).await.unwrap();
    // As if it were long ago: nothing of that task is remembered.
    let tasks = Path::new("/var/lib/ostler/tasks");
    for entry in started.host.list(tasks).await.unwrap() {
        started.host.remove(&tasks.join(entry.name)).await.unwrap();
    }
    Node {
        host: started.host,
        plain: started.plain,
        make,
        also_well,
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
                    lines.push(format!(
                        "{} {}",
                        entry.key,
                        String::from_utf8_lossy(&entry.value)
                    ));
                }
            }
            lines
        })
    }

    fn faults(&self) -> &Faults {
        self.host.faults()
    }

    fn is_also_well(&self, inventory: &[String]) -> bool {
        self.also_well.iter().any(|well| well == inventory)
    }
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

fn disk_swap(vmid: VmId) -> QemuConfigure {
    let mut edit = edit(serde_json::json!({"scsi1": "local:1", "cores": 2}));
    edit.delete = vec!["scsi0".into()];
    edit.force = true;
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

/// A start that fails may leave the medium made: it is what the configuration says.
async fn starting_with_medium() -> Node<QemuStart> {
    let made = cloud_node(|vmid| QemuCloudinitUpdate { vmid }).await;
    assert_eq!(made.run().await, "OK");
    Node {
        also_well: vec![made.inventory().await],
        ..cloud_node(|vmid| QemuStart::new(vmid, None, false)).await
    }
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
async fn qemu_configure_while_it_runs() {
    let walked = walk_all(|| Box::pin(running(disk_swap)), 20).await;
    assert!(walked.failed > 20 && walked.went_through > 10, "{walked:?}");
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
