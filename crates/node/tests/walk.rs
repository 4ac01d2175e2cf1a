//! Every task of a node, broken at every call that it makes to host and store.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use model::{Error, GuestConfig, GuestKind, GuestRecord, Record, Upid, VmId};
use node::tasks::{QemuStart, QemuStop};
use node::{Paths, World, WorldOptions, guest_key, registry, storage_key};
use store::{Commit, MemoryStore, Prefix, Read, SharedStore, list_all};
use sys::{Files, Links};
use tasks::{Engine, EngineOptions, Submission, Task};
use testkit::walk::{Scene, Walked, walk};
use testkit::{FakeHost, Fault, Faults, FaultyStore, HastyClock, qemu_facts, spawn_qemu};

type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

const QEMU: &str = "qemu-system-x86_64";

/// One node with one guest, whose task `make` says what is done with it.
struct Node<T> {
    host: FakeHost,
    plain: SharedStore,
    make: fn(VmId) -> T,
}

fn vmid() -> VmId {
    VmId::new(100).unwrap()
}

async fn node<T>(make: fn(VmId) -> T) -> Node<T> {
    let host = FakeHost::new(Faults::default())
        .program(QEMU, qemu_facts)
        .spawner(QEMU, spawn_qemu);
    host.create_dir(Path::new("/run/ostler/guests"), 0o755)
        .await
        .unwrap();
    host.create_dir(Path::new("/var/lib/vz/images/100"), 0o755)
        .await
        .unwrap();
    for content in [
        "template/cache",
        "template/iso",
        "dump",
        "snippets",
        "import",
        "private",
    ] {
        host.create_dir(&Path::new("/var/lib/vz").join(content), 0o755)
            .await
            .unwrap();
    }
    host.write(
        Path::new("/var/lib/vz/images/100/vm-100-disk-0.raw"),
        b"x",
        0o600,
    )
    .await
    .unwrap();
    host.create_bridge("vmbr0").await.unwrap();
    let plain: SharedStore = Arc::new(MemoryStore::new(Arc::new(HastyClock::default())));
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
    let local = storage::local("/var/lib/vz");
    let commit = Commit::new()
        .put(guest_key(vmid()), Record::new(guest).encode().unwrap())
        .put(storage_key(&local.id), Record::new(local).encode().unwrap());
    plain.commit(commit).await.unwrap();
    Node { host, plain, make }
}

impl<T: Task<World = World>> Node<T> {
    async fn engine(&self) -> Arc<Engine<World>> {
        let host: sys::SharedHost = Arc::new(self.host.clone());
        let store = FaultyStore::new(self.plain.clone(), self.host.faults().clone());
        let clock = Arc::new(HastyClock::default());
        let world = World::new(WorldOptions {
            node: "pve1".parse().unwrap(),
            paths: Paths::below("/"),
            store: Arc::new(store),
            host: host.clone(),
            clock: clock.clone(),
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
                lines.push(format!(
                    "{} {}",
                    entry.key,
                    String::from_utf8_lossy(&entry.value)
                ));
            }
            lines
        })
    }

    fn faults(&self) -> &Faults {
        self.host.faults()
    }
}

fn assert_all_broken(walked: &Walked, at_least: usize) {
    assert!(walked.calls >= at_least, "{walked:?}");
    assert_eq!(walked.breaks, walked.calls * Fault::ALL.len());
    println!("{walked:?}");
}

#[tokio::test]
async fn qemu_start() {
    let make = |vmid| QemuStart::new(vmid, None, false);
    let walked = walk(|| Box::pin(node(make))).await;
    assert_all_broken(&walked, 40);
    assert!(walked.failed > 20 && walked.went_through > 20, "{walked:?}");
}

#[tokio::test]
async fn qemu_stop() {
    let walked = walk(|| {
        Box::pin(async {
            let started = node(|vmid| QemuStart::new(vmid, None, false)).await;
            let engine = started.engine().await;
            let upid = started.submit(&engine).await.unwrap();
            engine.wait(&upid).await.unwrap();
            // A minute later: another task of another moment.
            for entry in started
                .host
                .list(Path::new("/var/lib/ostler/tasks"))
                .await
                .unwrap()
            {
                let path = Path::new("/var/lib/ostler/tasks").join(entry.name);
                started.host.remove(&path).await.unwrap();
            }
            Node {
                host: started.host,
                plain: started.plain,
                make: QemuStop::new,
            }
        })
    })
    .await;
    assert_all_broken(&walked, 8);
}

#[tokio::test]
async fn a_guest_that_runs_is_not_started_again() {
    let node = node(|vmid| QemuStart::new(vmid, None, false)).await;
    let engine = node.engine().await;
    for wanted in ["OK", "VM 100 already running"] {
        let upid = node.submit(&engine).await.unwrap();
        let tasks::TaskState::Ended { status, .. } = engine.wait(&upid).await.unwrap().state else {
            panic!("not ended")
        };
        assert_eq!(status, wanted);
    }
}

#[tokio::test]
async fn a_bridge_that_is_missing_ends_the_start_with_one_clear_line() {
    let node = node(|vmid| QemuStart::new(vmid, None, false)).await;
    node.host.remove_bridge("vmbr0").await.unwrap();
    let engine = node.engine().await;
    let before = node.inventory().await;
    let upid = node.submit(&engine).await.unwrap();
    let state = engine.wait(&upid).await.unwrap().state;
    assert!(
        format!("{state:?}").contains("bridge 'vmbr0' does not exist"),
        "{state:?}"
    );
    assert_eq!(node.inventory().await, before);
}
