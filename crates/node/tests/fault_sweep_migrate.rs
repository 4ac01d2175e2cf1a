//! Migrations, broken at every call that source and target make to host and store, and at every
//! request between them.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod scene;

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use model::schema::Values;
use model::{Error, ErrorKind, GuestRecord, NodeName, Record, Upid, VmId};
use node::cluster::{AgentStream, Agents};
use node::tasks::{BulkMigrate, Chosen, LxcMigrate, Moving, NodeMigrateall, QemuMigrate};
use node::{NodeContext, storage_key};
use scene::lxc::{container, up, with_lxc_programs};
use scene::*;
use serde_json::Value;
use store::{Commit, Prefix, Read, list_all};
use sys::Files;
use tasks::{Engine, Task};
use testkit::fault_sweep::{Scene, settle, sweep_faults};
use testkit::{FakeHost, Faults};

/// The link from `pve1` to `pve2`, whose requests break as other calls do.
struct Wire {
    target: Arc<NodeContext>,
    faults: Faults,
}

fn pve(number: u32) -> NodeName {
    format!("pve{number}").parse().unwrap()
}

fn lost(error: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::NodeLost, error.to_string())
}

#[async_trait]
impl Agents for Wire {
    async fn ask(&self, node: &NodeName, _op: &str, params: Values) -> Result<Value, Error> {
        assert_eq!(*node, pve(2));
        let what = params.get("what").or(params.get("look"));
        let what = format!("ask {}", what.unwrap());
        let answered = async { self.target.answer_source(&pve(1), &params).await };
        let answer = self.faults.call(&what, answered).await;
        Ok(answer.map_err(lost)??.data)
    }

    async fn stream(
        &self,
        node: &NodeName,
        _address: Option<IpAddr>,
        _op: &str,
        params: Values,
    ) -> Result<AgentStream, Error> {
        assert_eq!(*node, pve(2));
        let what = format!("stream {}", params["what"]);
        let opened = async { self.target.connect_source(&pve(1), &params).await };
        let streamed = self.faults.call(&what, opened).await.map_err(lost)??;
        Ok(AgentStream {
            descriptor: streamed.descriptor,
            held: streamed.held.unwrap_or_else(|| Box::new(())),
        })
    }
}

/// The two nodes of a migration.
struct Two<T> {
    source: Node<T>,
    target: FakeHost,
    /// The target's agent, which lives as long as the source's.
    agent: Mutex<Option<Arc<NodeContext>>>,
}

impl<T: Task<Node = NodeContext>> Two<T> {
    async fn new(source: Node<T>) -> Self {
        let target = host_with(source.host.faults().clone()).await;
        Self {
            source,
            target,
            agent: Mutex::default(),
        }
    }

    /// Lets the target do what it does by itself.
    async fn settle(&self, agent: &Arc<NodeContext>) {
        let engine = self.source.engine_on(&self.target, agent.clone()).await;
        let arrivals = Prefix::below("arrival").unwrap();
        let none_left = async {
            let left = async || {
                let listed = list_all(&*self.source.plain, &arrivals, Read::Linear).await;
                listed.unwrap().0.len()
            };
            while left().await > 0 {
                tokio::task::yield_now().await;
            }
        };
        let settled = tokio::time::timeout(Duration::from_secs(10), async {
            tokio::select! {
                () = node::migration::follow_arrivals(agent, &engine) => {}
                () = none_left => {}
            }
        });
        settled.await.expect("no guest is on its way for ever");
        settle(&engine).await;
    }
}

impl<T: Task<Node = NodeContext>> Scene for Two<T> {
    type Node = NodeContext;

    fn open(&self) -> Waiting<'_, Arc<Engine<NodeContext>>> {
        Box::pin(async {
            let target = self.source.context("pve2", &self.target, None).await;
            *self.agent.lock().unwrap() = Some(target.clone());
            let faults = self.source.host.faults().clone();
            let wire: Arc<dyn Agents> = Arc::new(Wire { target, faults });
            let source = self.source.context("pve1", &self.source.host, Some(wire));
            self.source.engine_of(source.await).await
        })
    }

    fn submit<'a>(&'a self, engine: &'a Engine<NodeContext>) -> Waiting<'a, Result<Upid, Error>> {
        self.source.submit(engine)
    }

    /// What a target does by itself comes first.
    fn inventory(&self) -> Waiting<'_, Vec<String>> {
        Box::pin(async {
            // The source may have died after its task had ended; the world is looked at from outside.
            self.faults().revive();
            let agent = self.agent.lock().unwrap().clone();
            if let Some(agent) = agent {
                self.settle(&agent).await;
            }
            let mut lines = self.source.inventory().await;
            let there = self.target.inventory(&["/var/lib/ostler"]);
            lines.extend(there.into_iter().map(|line| format!("pve2: {line}")));
            for (name, host) in [("pve1", &self.source.host), ("pve2", &self.target)] {
                let agent = self.source.context(name, host, None).await;
                let says = agent.running.status(vmid()).await.unwrap().qmp_status;
                lines.push(format!("{name}: QEMU says {says:?}"));
            }
            lines
        })
    }

    fn faults(&self) -> &Faults {
        self.source.host.faults()
    }

    fn is_also_well(&self, inventory: &[String]) -> bool {
        self.source.is_also_well(inventory)
    }
}

/// It is well too if the guest has stayed: its own task has failed.
async fn or_stayed<T: Task<Node = NodeContext>>(make: fn(VmId) -> T) -> Two<T> {
    let mut two = Two::new(node(make).await).await;
    let before = two.inventory().await;
    two.source.also_well = Arc::new(move |found| before == found);
    two
}

fn moving() -> Moving {
    Moving {
        target: pve(2),
        online: true,
        with_local_disks: false,
    }
}

#[tokio::test]
async fn bulk_migrate() {
    let make = |_| BulkMigrate {
        chosen: Chosen::default(),
        moving: moving(),
        failed: Vec::new(),
    };
    let swept = sweep_faults(move || Box::pin(or_stayed(make)) as Waiting<_>).await;
    assert!(swept.failed > 50 && swept.went_through > 20, "{swept:?}");
}

#[tokio::test]
async fn node_migrateall() {
    let make = |_| NodeMigrateall {
        chosen: Chosen::default(),
        moving: moving(),
    };
    let swept = sweep_faults(move || Box::pin(or_stayed(make)) as Waiting<_>).await;
    assert!(swept.went_through > 50, "{swept:?}");
}

fn to_pve2(vmid: VmId) -> QemuMigrate {
    QemuMigrate::new(vmid, pve(2))
}

/// A guest with a disk, a qcow2 image in a snapshot, a medium of cloud-init and an unused volume.
async fn laden() -> Two<QemuMigrate> {
    let node = cloud_node(to_pve2).await;
    let records = node::Records::new(node.plain.clone(), pve(1));
    let image = Path::new(IMAGE);
    let content = testkit::image_content(image, 1 << 20, None);
    node.host.write(image, &content, 0o600).await.unwrap();
    let change = |guest: &mut GuestRecord| {
        guest
            .config
            .set("scsi1", "local:100/vm-100-disk-2.qcow2,size=1M");
        guest.config.set("unused0", "local:100/vm-100-disk-1.raw");
        Ok(())
    };
    records.change_guest(vmid(), change).await.unwrap();
    Two::new(node).await
}

#[tokio::test]
async fn qemu_migrate() {
    let swept = sweep_faults(|| Box::pin(laden()) as Waiting<_>).await;
    assert!(swept.failed > 100 && swept.went_through > 20, "{swept:?}");
    println!("qemu_migrate: {swept:?}");
}

fn live(vmid: VmId) -> QemuMigrate {
    let mut task = to_pve2(vmid);
    (task.online, task.with_local_disks) = (true, true);
    task
}

/// A guest that runs moves with a disk and a medium; a guest that cannot stays and runs.
#[tokio::test]
async fn qemu_migrate_while_it_runs() {
    let scene = || -> Waiting<_> {
        Box::pin(async {
            let options = &[("unused0", "local:100/vm-100-disk-1.raw"), ("agent", "1")];
            Two::new(restarting_with(live, options).await).await
        })
    };
    let swept = sweep_faults(scene).await;
    assert!(swept.failed > 100 && swept.went_through > 20, "{swept:?}");
    println!("qemu_migrate_while_it_runs: {swept:?}");
}

#[tokio::test]
async fn qemu_migrate_with_a_shared_storage() {
    let scene = || -> Waiting<_> {
        Box::pin(async {
            let node = node(to_pve2).await;
            share_local(&node).await;
            // Both hosts see the same files: the target's is the source's.
            Two {
                target: node.host.clone(),
                source: node,
                agent: Mutex::default(),
            }
        })
    };
    let swept = sweep_faults(scene).await;
    assert!(swept.failed > 20 && swept.went_through > 5, "{swept:?}");
}

fn container_to_pve2(vmid: VmId) -> LxcMigrate {
    let mut task = LxcMigrate::new(vmid, pve(2));
    task.restart = true;
    task
}

/// A target with LXC. Each host has files of its own.
async fn two_with_lxc<T: Task<Node = NodeContext>>(source: Node<T>) -> Two<T> {
    let mut two = Two::new(source).await;
    two.target = with_lxc_programs(two.target).await;
    two
}

/// An image and a folder move.
#[tokio::test]
async fn lxc_migrate() {
    let scene = || -> Waiting<_> {
        Box::pin(async { two_with_lxc(container(container_to_pve2).await).await })
    };
    let swept = sweep_faults(scene).await;
    assert!(swept.failed > 100 && swept.went_through > 20, "{swept:?}");
    println!("lxc_migrate: {swept:?}");
}

/// A container that runs is started there, or here again.
#[tokio::test]
async fn lxc_migrate_while_it_runs() {
    let scene = || -> Waiting<_> {
        Box::pin(async {
            let mut two = two_with_lxc(up(container_to_pve2).await).await;
            // A start that is broken off leaves it stopped.
            let stopped = two_with_lxc(container(container_to_pve2).await).await;
            let stopped = stopped.inventory().await;
            two.source.also_well = Arc::new(move |found| found == stopped);
            two
        })
    };
    let swept = sweep_faults(scene).await;
    assert!(swept.failed > 100 && swept.went_through > 20, "{swept:?}");
    println!("lxc_migrate_while_it_runs: {swept:?}");
}

/// Marks the storage `local` as shared.
async fn share_local<T>(node: &Node<T>) {
    let mut local = storage::local("/var/lib/vz");
    if let storage::StorageSpec::Dir(spec) = &mut local.spec {
        spec.shared = Some(true);
    }
    let record = Record::new(local.clone()).encode().unwrap();
    let commit = Commit::new().put(storage_key(local.id()), record);
    node.plain.commit(commit).await.unwrap();
}

#[tokio::test]
async fn a_storage_that_is_not_shared_is_found_out() {
    let node = node(to_pve2).await;
    share_local(&node).await;
    let two = Two::new(node).await;
    let before = two.inventory().await;
    let engine = two.open().await;
    let upid = two.submit(&engine).await.unwrap();
    let ended = engine.wait(&upid).await.unwrap();
    assert_eq!(
        testkit::fault_sweep::exit_status(&ended.state),
        "storage 'local' is marked as shared, but node 'pve2' does not see what is written here"
    );
    assert_eq!(two.inventory().await, before);
}

/// covers: S1.3
#[tokio::test]
async fn a_target_that_lacks_flags_of_the_guest_is_refused_before_anything_moves() {
    let mut two = Two::new(restarting_with(live, &[]).await).await;
    two.target = two.target.program(QEMU, |disk, command| {
        match command.args.first().map(String::as_str) {
            Some("-nodefaults") => testkit::cpu_answers(&["sse2"]),
            _ => testkit::qemu_facts(disk, command),
        }
    });
    let before = two.inventory().await;
    let engine = two.open().await;
    let upid = two.submit(&engine).await.unwrap();
    let ended = engine.wait(&upid).await.unwrap();
    assert_eq!(
        testkit::fault_sweep::exit_status(&ended.state),
        "node 'pve2' lacks CPU flags that VM 100 runs with: avx2; both nodes can give it \
         'cpu: qemu64'"
    );
    assert_eq!(two.inventory().await, before);
}

#[tokio::test]
async fn the_bytes_and_names_arrive() {
    let two = laden().await;
    let taken = Path::new("/var/lib/vz/images/100");
    two.target.create_dir(taken, 0o755).await.unwrap();
    let other = taken.join("vm-100-disk-0.raw");
    two.target.write(&other, b"another's", 0o600).await.unwrap();
    let mut sent = Vec::new();
    for name in [
        "disk-0.raw",
        "disk-1.raw",
        "disk-2.qcow2",
        "cloudinit.qcow2",
    ] {
        let path = taken.join(format!("vm-100-{name}"));
        sent.push(two.source.host.read(&path).await.unwrap());
    }
    let engine = two.open().await;
    let upid = two.submit(&engine).await.unwrap();
    let ended = engine.wait(&upid).await.unwrap();
    assert!(ended.is_ok(), "{ended:?}");
    let records = node::Records::new(two.source.plain.clone(), pve(2));
    let guest = records.qemu(vmid()).await.unwrap().record.data;
    assert_eq!((guest.epoch, guest.busy), (2, None));
    let disk = guest.config.text("scsi0").unwrap();
    assert!(
        !disk.contains("disk-0") && disk.ends_with(",size=1"),
        "{disk}"
    );
    for volume in node::volumes_of_guest(&records.qemu(vmid()).await.unwrap().record.data) {
        let path = Path::new("/var/lib/vz/images").join(volume.name());
        let there = two.target.read(&path).await.unwrap();
        let at = sent.iter().position(|content| *content == there);
        sent.remove(at.expect("each volume has the bytes of one that was sent"));
        assert!(two.source.host.read(&path).await.is_err(), "{volume}");
    }
    assert_eq!(sent, Vec::<Vec<u8>>::new());
    assert_eq!(two.target.read(&other).await.unwrap(), b"another's");
}
