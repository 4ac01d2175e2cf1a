//! One node with one guest, on a fake host, and what is done with it: the scene of walks.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    dead_code,
    unreachable_pub,
    reason = "each test uses a part of it, and may fail where it stands"
)]

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use auth::Authority;
use auth::pam::NoPam;
use model::{Clock, Error, GuestConfig, GuestKind, GuestRecord, Record, Upid, VmId};
use node::cluster::Agents;
use node::tasks::{QemuSnapshot, QemuStart};
use node::{Edit, NodeContext, NodeOptions, Paths, guest_key, registry, storage_key};
use store::{Commit, MemoryStore, Prefix, Read, SharedStore, list_all};
use sys::{Command, Files, Links, Output, Processes};
use tasks::{Engine, EngineOptions, Submission, Task};
use testkit::fault_sweep::{Scene, Swept, exit_status, sweep_faults};
use testkit::{
    Disk, FakeHost, Faults, FaultyStore, HastyClock, genisoimage, qemu_facts, qemu_img, spawn_qemu,
};

pub mod jobs;
pub mod lxc;
pub mod state;
pub mod thin;
pub mod zfs;

use state::FakeState;

pub type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

pub const QEMU: &str = "qemu-system-x86_64";

/// One node with one guest and what is done with it.
pub struct Node<T> {
    pub host: FakeHost,
    pub plain: SharedStore,
    pub make: fn(VmId) -> T,
    /// Whether the world is well although it is neither as before the task nor as after.
    pub also_well: Judge,
}

/// Says whether a world is well.
pub type Judge = Arc<dyn Fn(&[String]) -> bool + Send + Sync>;

pub fn nothing_else() -> Judge {
    Arc::new(|_| false)
}

pub fn vmid() -> VmId {
    VmId::new(100).unwrap()
}

/// A host with a bridge and the first storage's folders.
pub async fn host() -> FakeHost {
    host_with(Faults::default()).await
}

pub async fn host_with(faults: Faults) -> FakeHost {
    let host = FakeHost::new(faults)
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
    let programs = Path::new("/usr/bin");
    host.create_dir(programs, 0o755).await.unwrap();
    host.write(&programs.join(QEMU), b"", 0o755).await.unwrap();
    host
}

/// A program that succeeds and prints nothing.
pub fn silent(_: &mut Disk, _: &Command) -> Output {
    Output {
        code: Some(0),
        ..Output::default()
    }
}

/// A store with the first storage and signing keys.
pub async fn store() -> SharedStore {
    let clock = Arc::new(HastyClock::default());
    let store: SharedStore = Arc::new(MemoryStore::new(clock.clone()));
    let local = storage::local("/var/lib/vz");
    let record = Record::new(local.clone()).encode().unwrap();
    store
        .commit(Commit::new().put(storage_key(local.id()), record))
        .await
        .unwrap();
    Authority::new(store.clone(), clock, Arc::new(NoPam))
        .await
        .unwrap();
    store
}

/// A node without guests.
pub async fn empty<T>(make: fn(VmId) -> T) -> Node<T> {
    Node {
        host: host().await,
        plain: store().await,
        make,
        also_well: nothing_else(),
    }
}

/// What an image of this name begins with.
fn holds(image: &Path) -> Vec<u8> {
    testkit::image_content(image, 1 << 20, None)
}

/// A node with guest 100, which has a disk and a card.
pub async fn node<T>(make: fn(VmId) -> T) -> Node<T> {
    node_with(make, &[]).await
}

/// The same, with more options.
pub async fn node_with<T>(make: fn(VmId) -> T, options: &[(&str, &str)]) -> Node<T> {
    let node = empty(make).await;
    node.host
        .create_dir(Path::new("/var/lib/vz/images/100"), 0o755)
        .await
        .unwrap();
    let image = Path::new("/var/lib/vz/images/100/vm-100-disk-0.raw");
    node.host.write(image, &holds(image), 0o600).await.unwrap();
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
        node.host.write(&path, &holds(&path), 0o600).await.unwrap();
    }
    for (name, value) in options {
        config.set(*name, *value);
    }
    let guest = GuestRecord {
        config,
        ..GuestRecord::new(vmid(), GuestKind::Qemu, "pve1".parse().unwrap(), 0)
    };
    let record = Record::new(guest).encode().unwrap();
    node.plain
        .commit(Commit::new().put(guest_key(vmid()), record))
        .await
        .unwrap();
    node
}

/// The same, with a medium for cloud-init, a snippet on it and an option that it is made of.
pub async fn cloud_node<T>(make: fn(VmId) -> T) -> Node<T> {
    let node = node(make).await;
    let image = Path::new("/var/lib/vz/images/100/vm-100-cloudinit.qcow2");
    let medium = testkit::image_content(image, 4 << 20, None);
    node.host.write(image, &medium, 0o600).await.unwrap();
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
pub async fn running<T>(make: fn(VmId) -> T) -> Node<T> {
    Node {
        also_well: nothing_else(),
        ..restarting(make).await
    }
}

/// The same, for a task that ends the guest and has another one start it again.
pub async fn restarting<T>(make: fn(VmId) -> T) -> Node<T> {
    restarting_with(make, &[]).await
}

pub async fn restarting_with<T>(make: fn(VmId) -> T, options: &[(&str, &str)]) -> Node<T> {
    let started = node_with(|vmid| QemuStart::new(vmid, None, false), options).await;
    // What runs may have been stopped and not started again, cleanly.
    let also_well = started.inventory().await;
    let mut node = started.done().await.then(make);
    node.also_well = Arc::new(move |found| also_well == found);
    node
}

impl<T> Node<T> {
    /// The same node for another task.
    pub fn then<U>(self, make: fn(VmId) -> U) -> Node<U> {
        Node {
            host: self.host,
            plain: self.plain,
            make,
            also_well: self.also_well,
        }
    }
}

impl<T: Task<Node = NodeContext>> Node<T> {
    pub async fn engine(&self) -> Arc<Engine<NodeContext>> {
        self.engine_of(self.context("pve1", &self.host, None).await)
            .await
    }

    /// An agent on a host, with the store of this node.
    pub async fn context(
        &self,
        name: &str,
        host: &FakeHost,
        agents: Option<Arc<dyn Agents>>,
    ) -> Arc<NodeContext> {
        let clock = Arc::new(HastyClock::default());
        self.context_at(name, host, agents, clock).await
    }

    /// The same, at the time of a clock.
    pub async fn context_at(
        &self,
        name: &str,
        host: &FakeHost,
        agents: Option<Arc<dyn Agents>>,
        clock: Arc<dyn Clock>,
    ) -> Arc<NodeContext> {
        let host: sys::SharedHost = Arc::new(host.clone());
        let faulty = FaultyStore::new(self.plain.clone(), self.host.faults().clone());
        let store: SharedStore = Arc::new(faulty);
        // The authority starts on the plain store: what it does at start is no part of a task.
        let authority = Authority::new(self.plain.clone(), clock.clone(), Arc::new(NoPam));
        let node = NodeContext::new(NodeOptions {
            agents,
            name: name.parse().unwrap(),
            paths: Paths::below("/"),
            store,
            host,
            clock,
            authority: Arc::new(authority.await.unwrap()),
            guest_user: Some((999, 999)),
            guest_uids: Some("100000-199999".parse().unwrap()),
            kvm: None,
            allow_emulation: false,
            identity: None,
            state: Some(Arc::new(FakeState(self.host.clone()))),
        });
        node.handover.keep(state::PASSWORD, "secret".to_owned());
        node
    }

    pub async fn engine_of(&self, node: Arc<NodeContext>) -> Arc<Engine<NodeContext>> {
        self.engine_on(&self.host, node).await
    }

    pub async fn engine_on(
        &self,
        host: &FakeHost,
        node: Arc<NodeContext>,
    ) -> Arc<Engine<NodeContext>> {
        let options = EngineOptions {
            node: node.name.clone(),
            directory: "/var/lib/ostler/tasks".into(),
            host: Arc::new(host.clone()),
            clock: node.clock.clone(),
            reserve_bytes: 4096,
            timeout_text: node::tasks::timeout_text,
        };
        Engine::open(options, node, &registry()).await.unwrap()
    }

    /// Does the task as if it were long ago: nothing of it is remembered.
    pub async fn done(self) -> Self {
        assert_eq!(self.run().await, "OK");
        let tasks = Path::new("/var/lib/ostler/tasks");
        for entry in self.host.list(tasks).await.unwrap() {
            self.host.remove(&tasks.join(entry.name)).await.unwrap();
        }
        self
    }

    pub async fn run(&self) -> String {
        let engine = self.engine().await;
        let upid = self.submit(&engine).await.unwrap();
        exit_status(&engine.wait(&upid).await.unwrap().state)
    }
}

impl<T: Task<Node = NodeContext>> Scene for Node<T> {
    type Node = NodeContext;

    fn open(&self) -> Waiting<'_, Arc<Engine<NodeContext>>> {
        Box::pin(self.engine())
    }

    fn submit<'a>(&'a self, engine: &'a Engine<NodeContext>) -> Waiting<'a, Result<Upid, Error>> {
        let submission = Submission {
            request_id: String::new(),
            user: "root@pam".into(),
            id: "100".into(),
            listed: true,
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
pub fn without_chance(record: &str) -> String {
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
pub async fn or_as_before<T: Task<Node = NodeContext>>(mut node: Node<T>) -> Node<T> {
    let before = node.inventory().await;
    node.also_well = Arc::new(move |found| before == found);
    node
}

/// Walks a task and prints what was broken.
pub async fn sweep_all<T: Task<Node = NodeContext>>(
    scene: impl Fn() -> Waiting<'static, Node<T>>,
    at_least: usize,
) -> Swept {
    let swept = sweep_faults(scene).await;
    assert!(swept.calls >= at_least, "{swept:?}");
    assert!(swept.breaks > 2 * swept.calls, "{swept:?}");
    println!("{}: {swept:?}", T::NAME);
    swept
}

pub fn edit(options: serde_json::Value) -> Edit {
    let serde_json::Value::Object(options) = options else {
        panic!("an object")
    };
    Edit::new(&options, &|| "BC:24:11:00:00:01".to_owned()).unwrap()
}

/// What a guest that has snapshots has.
pub const LAYERED: &[(&str, &str)] = &[
    ("scsi0", "local:100/vm-100-disk-2.qcow2,size=1"),
    ("agent", "1"),
];

pub const IMAGE: &str = "/var/lib/vz/images/100/vm-100-disk-2.qcow2";

/// A node whose guest can have snapshots, running or not.
pub async fn layered<T>(make: fn(VmId) -> T, runs: bool) -> Node<T> {
    let node = node_with(|vmid| QemuStart::new(vmid, None, false), LAYERED).await;
    let image = Path::new(IMAGE);
    node.host.write(image, &holds(image), 0o600).await.unwrap();
    let node = if runs { node.done().await } else { node };
    node.then(make)
}

/// The same, where snapshots are layers.
pub async fn chained<T>(make: fn(VmId) -> T, runs: bool) -> Node<T> {
    let node = layered(make, runs).await;
    let mut local = storage::local("/var/lib/vz");
    let storage::StorageSpec::Dir(spec) = &mut local.spec else {
        panic!("a directory")
    };
    spec.folder.snapshot_as_volume_chain = Some(true);
    let record = Record::new(local.clone()).encode().unwrap();
    let commit = Commit::new().put(storage_key(local.id()), record);
    node.plain.commit(commit).await.unwrap();
    node
}

/// The same, with a snapshot of the disks.
pub async fn with_layer<T>(make: fn(VmId) -> T, runs: bool) -> Node<T> {
    let snapshot = |vmid| QemuSnapshot::new(vmid, "s1".into(), None, false);
    chained(snapshot, runs).await.done().await.then(make)
}

/// The same, with a snapshot inside of the image. One of a running guest has its memory; the image is made to have
/// it for both, since fake programs know nothing of each other.
pub async fn with_snapshot<T>(make: fn(VmId) -> T, runs: bool) -> Node<T> {
    let node = layered(snapshot, runs).await.done().await;
    // The fake QEMU keeps the snapshots of its images to itself.
    let snapshot = Command::new("qemu-img").args(["snapshot", "-c", "s1", IMAGE]);
    let made = node.host.run(snapshot).await.unwrap();
    made.checked("qemu-img").unwrap();
    node.then(make)
}

pub fn snapshot(vmid: VmId) -> QemuSnapshot {
    QemuSnapshot::new(vmid, "s1".into(), Some("first".into()), true)
}
