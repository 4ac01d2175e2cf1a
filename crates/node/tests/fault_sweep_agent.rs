//! What is done through a guest's agent, broken at every call that it makes to host and store.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail where it stands"
)]

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use auth::Authority;
use auth::pam::NoPam;
use model::{Error, GuestConfig, GuestKind, GuestRecord, Record, Upid, VmId};
use node::tasks::{QemuShutdown, QemuStart, QemuStop};
use node::{Freeze, NodeContext, NodeOptions, Paths, guest_key, registry, thaw_abandoned};
use store::{Commit, MemoryStore, SharedStore};
use sys::Files;
use tasks::{Engine, EngineOptions, Submission, Task};
use testkit::fault_sweep::{Scene, exit_status, sweep_faults};
use testkit::{FakeHost, Fault, Faults, FaultyStore, HastyClock, qemu_facts, spawn_qemu};

type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

const QEMU: &str = "qemu-system-x86_64";
const FROZEN: &str = "frozen file systems";

fn vmid() -> VmId {
    VmId::new(100).unwrap()
}

/// A node on which guest 100 runs, with an agent.
struct Node {
    host: FakeHost,
    plain: SharedStore,
}

impl Node {
    async fn new(agent: &str) -> Self {
        let host = FakeHost::new(Faults::default())
            .program(QEMU, qemu_facts)
            .spawner(QEMU, spawn_qemu);
        let guests = Path::new("/run/ostler/guests");
        host.create_dir(guests, 0o755).await.unwrap();
        let clock = Arc::new(HastyClock::default());
        let plain: SharedStore = Arc::new(MemoryStore::new(clock.clone()));
        Authority::new(plain.clone(), clock, Arc::new(NoPam))
            .await
            .unwrap();
        let mut config = GuestConfig::default();
        config.set("memory", "64");
        config.set("kvm", 0);
        config.set("agent", agent);
        let guest = GuestRecord {
            config,
            ..GuestRecord::new(vmid(), GuestKind::Qemu, "pve1".parse().unwrap(), 0)
        };
        let record = Record::new(guest).encode().unwrap();
        let commit = Commit::new().put(guest_key(vmid()), record);
        plain.commit(commit).await.unwrap();
        let node = Self { host, plain };
        let (_, engine) = node.open().await;
        let start = QemuStart::new(vmid(), None, false);
        assert_eq!(run(&engine, start).await, "OK");
        // As if it were long ago: nothing of that task is remembered.
        let tasks = Path::new("/var/lib/ostler/tasks");
        for entry in node.host.list(tasks).await.unwrap() {
            node.host.remove(&tasks.join(entry.name)).await.unwrap();
        }
        node
    }

    async fn open(&self) -> (Arc<NodeContext>, Arc<Engine<NodeContext>>) {
        let host: sys::SharedHost = Arc::new(self.host.clone());
        let faults = self.host.faults().clone();
        let clock = Arc::new(HastyClock::default());
        let authority = Authority::new(self.plain.clone(), clock.clone(), Arc::new(NoPam));
        let context = NodeContext::new(NodeOptions {
            agents: None,
            name: "pve1".parse().unwrap(),
            paths: Paths::below("/"),
            store: Arc::new(FaultyStore::new(self.plain.clone(), faults)),
            host: host.clone(),
            clock: clock.clone(),
            authority: Arc::new(authority.await.unwrap()),
            guest_user: Some((999, 999)),
            guest_uids: Some("100000-199999".parse().unwrap()),
            kvm: None,
            allow_emulation: false,
            identity: None,
            state: None,
        });
        let options = EngineOptions {
            node: "pve1".parse().unwrap(),
            directory: "/var/lib/ostler/tasks".into(),
            host,
            clock,
            reserve_bytes: 4096,
            timeout_text: node::tasks::timeout_text,
        };
        let tasks = registry();
        let engine = Engine::open(options, context.clone(), &tasks).await;
        (context, engine.unwrap())
    }

    fn is_frozen(&self) -> bool {
        let inventory = self.host.inventory(&[]);
        inventory.iter().any(|line| line == FROZEN)
    }

    fn has_mark(&self) -> bool {
        let inventory = self.host.inventory(&[]);
        let mark = "file /run/ostler/guests/100.frozen";
        inventory.iter().any(|line| line.starts_with(mark))
    }

    /// Lets the next agent look for frozen guests until there is none.
    async fn until_thawed(&self, place: &str) {
        let (context, engine) = self.open().await;
        let looked = tokio::time::timeout(Duration::from_secs(20), async {
            while self.is_frozen() || self.has_mark() {
                tokio::task::yield_now().await;
            }
        });
        tokio::select! {
            () = thaw_abandoned(&context, &engine) => {}
            looked = looked => assert!(looked.is_ok(), "never thawed after {place}"),
        }
    }
}

fn submission() -> Submission {
    Submission {
        request_id: String::new(),
        user: "root@pam".into(),
        id: "100".into(),
        listed: true,
    }
}

async fn run<T: Task<Node = NodeContext>>(engine: &Arc<Engine<NodeContext>>, task: T) -> String {
    let upid = engine.submit(submission(), task).await.unwrap();
    exit_status(&engine.wait(&upid).await.unwrap().state)
}

impl Scene for Node {
    type Node = NodeContext;

    fn open(&self) -> Waiting<'_, Arc<Engine<NodeContext>>> {
        Box::pin(async { Node::open(self).await.1 })
    }

    fn submit<'a>(&'a self, engine: &'a Engine<NodeContext>) -> Waiting<'a, Result<Upid, Error>> {
        let task = QemuShutdown {
            vmid: vmid(),
            timeout_s: None,
            force_stop: false,
        };
        Box::pin(engine.submit(submission(), task))
    }

    fn inventory(&self) -> Waiting<'_, Vec<String>> {
        Box::pin(async { self.host.inventory(&["/var/lib/ostler"]) })
    }

    fn faults(&self) -> &Faults {
        self.host.faults()
    }
}

#[tokio::test]
async fn a_shutdown_by_the_agent() {
    let swept = sweep_faults(|| Box::pin(Node::new("1")) as Waiting<'static, Node>).await;
    assert!(swept.calls >= 12, "{swept:?}");
    println!("{swept:?}");
}

/// Freezes, and thaws if that went well; whether it was frozen meanwhile.
async fn freeze_and_thaw(node: &Node, context: &NodeContext) -> Result<bool, Error> {
    let frozen = context.freeze(vmid()).await?;
    let was_frozen = node.is_frozen();
    assert_eq!(was_frozen, frozen == Freeze::Frozen { filesystems: 1 });
    context.thaw(vmid()).await?;
    Ok(was_frozen)
}

#[tokio::test]
async fn a_guest_that_was_frozen_is_thawed_whatever_breaks() {
    let clean = Node::new("1").await;
    let (context, _engine) = clean.open().await;
    clean.host.faults().reset();
    assert_eq!(freeze_and_thaw(&clean, &context).await, Ok(true));
    let calls = clean.host.faults().calls();
    assert!(!clean.is_frozen() && !clean.has_mark());
    assert!(calls.len() >= 10, "{calls:?}");
    let mut died_frozen = 0;
    for (number, call) in calls.iter().enumerate() {
        for &fault in Fault::of(call) {
            let node = Node::new("1").await;
            let (context, engine) = node.open().await;
            let faults = node.host.faults();
            faults.break_call(number, fault);
            let place = format!("{fault:?} at call {number} ({call})");
            let ended = tokio::select! {
                ended = freeze_and_thaw(&node, &context) => Some(ended),
                () = faults.death() => None,
            };
            faults.revive();
            drop((context, engine));
            if let Some(Ok(_)) = ended {
                assert!(!node.is_frozen() && !node.has_mark(), "after {place}");
            }
            died_frozen += usize::from(node.is_frozen());
            node.until_thawed(&place).await;
        }
    }
    assert!(
        died_frozen > 0,
        "no break left it frozen: nothing was shown"
    );
}

#[tokio::test]
async fn what_is_not_to_be_frozen_is_left_alone() {
    for agent in ["0", "1,freeze-fs=0", "1,freeze-fs-on-backup=0"] {
        let node = Node::new(agent).await;
        let (context, engine) = node.open().await;
        assert_eq!(
            context.freeze(vmid()).await,
            Ok(Freeze::NotWanted),
            "{agent}"
        );
        assert_eq!(run(&engine, QemuStop::new(vmid())).await, "OK");
    }
    let node = Node::new("1").await;
    let (context, engine) = node.open().await;
    assert_eq!(run(&engine, QemuStop::new(vmid())).await, "OK");
    let stopped = Error::conflict("VM 100 is not running");
    assert_eq!(context.freeze(vmid()).await, Ok(Freeze::NoAgent(stopped)));
    assert_eq!(context.thaw(vmid()).await, Ok(()));
}

/// The file systems of a guest that a task is at work on are that task's to thaw.
#[tokio::test]
async fn a_guest_that_is_being_worked_on_stays_frozen() {
    let node = Node::new("1").await;
    let (context, engine) = node.open().await;
    let hold = engine.try_hold(&node::tasks::guest_object(vmid())).unwrap();
    context.freeze(vmid()).await.unwrap();
    let looked = async {
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = thaw_abandoned(&context, &engine) => {}
        () = looked => {}
    }
    assert!(node.is_frozen() && node.has_mark());
    drop(hold);
    node.until_thawed("nothing").await;
}

/// Callers who come while an agent is busy are each served, in their order.
#[tokio::test]
async fn callers_of_one_agent_take_turns() {
    let node = Node::new("1").await;
    let (context, _engine) = node.open().await;
    let first = context.guest_agent(vmid()).await.unwrap();
    let served = std::sync::Mutex::new(Vec::new());
    let ask = async |number: u32| {
        let mut agent = context.guest_agent(vmid()).await.unwrap();
        agent.ping().await.unwrap();
        served.lock().unwrap().push(number);
    };
    let free = async {
        tokio::task::yield_now().await;
        assert!(served.lock().unwrap().is_empty());
        drop(first);
    };
    tokio::join!(biased; ask(1), ask(2), ask(3), free);
    assert_eq!(*served.lock().unwrap(), [1, 2, 3]);
}
