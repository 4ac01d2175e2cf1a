//! Two agents with one store, in this process, each with a folder and control groups of its own on
//! the real host, connected by TLS.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use auth::Authority;
use auth::pam::NoPam;
use control::{Context, Dispatcher};
use model::{Clock, NodeName, Record, VmId};
use node::cluster::{AGENT_DOMAIN, AgentIdentity, Hearing, Member, MemberListener, member_key};
use node::{NodeContext, NodeOptions, Paths, registry, storage_key};
use proto::Credential;
use proto::wire::{Peer, Request, Service};
use serde_json::Value;
use storage::{StorageConfig, StorageSpec};
use store::{Commit, MemoryStore, SharedStore};
use sys::{RealHost, SystemClock};
use tasks::{Engine, EngineOptions};
use testkit::Certificate;
use tokio::task::JoinSet;

use super::{Serial, until};

/// The user of guests, `games`.
const GUEST_USER: (u32, u32) = (5, 60);

pub struct Pair {
    pub store: SharedStore,
    pub folder: tempfile::TempDir,
    clock: Arc<dyn Clock>,
    authority: testkit::Authority,
}

/// An agent, until this is dropped. Its guests run on.
pub struct Agent {
    pub name: NodeName,
    pub root: PathBuf,
    pub context: Arc<Context>,
    dispatcher: Arc<Dispatcher>,
    _work: JoinSet<()>,
}

impl Pair {
    /// The storages `shared` and `layers`, which both nodes have, and `own1` and `own2`, of `pve1` and
    /// `pve2`. Snapshots on `layers` are layers.
    pub async fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("ostler-")
            .tempdir()
            .unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let pair = Self {
            store: Arc::new(MemoryStore::new(clock.clone())),
            folder,
            clock,
            authority: testkit::Authority::new(),
        };
        super::open_to_guests(pair.folder.path());
        for (name, node) in [
            ("shared", None),
            ("layers", None),
            ("own1", Some("pve1")),
            ("own2", Some("pve2")),
        ] {
            let path = pair.folder.path().join(name);
            let mut config = StorageConfig::dir(name.parse().unwrap(), path.to_str().unwrap());
            config.common.nodes = node.map(|node| vec![node.parse().unwrap()]);
            if let (StorageSpec::Dir(spec), None) = (&mut config.spec, node) {
                spec.shared = Some(true);
                spec.folder.snapshot_as_volume_chain = (name == "layers").then_some(true);
            }
            let key = storage_key(config.id());
            let commit = Commit::new().put(key, Record::new(config).encode().unwrap());
            pair.store.commit(commit).await.unwrap();
        }
        pair
    }

    /// Both agents, which hear each other.
    pub async fn start(&self) -> (Agent, Agent) {
        let (one, two) = (self.agent("pve1").await, self.agent("pve2").await);
        one.hears(&two.name).await;
        two.hears(&one.name).await;
        (one, two)
    }

    /// Starts an agent, for the first time or after it was dropped.
    pub async fn agent(&self, name: &str) -> Agent {
        let root = self.folder.path().join(name);
        for path in ["var/lib/ostler/tasks", "run/ostler/guests"] {
            std::fs::create_dir_all(root.join(path)).unwrap();
        }
        super::open_to_guests(&root);
        let host = Arc::new(RealHost::open(&self.scopes_of(name)).unwrap());
        let host: sys::SharedHost = host;
        let Certificate { chain, key } = self.authority.issue(&format!("{name}{AGENT_DOMAIN}"));
        let name: NodeName = name.parse().unwrap();
        let (chain, key, ca) = (
            chain.as_bytes(),
            key.as_bytes(),
            self.authority.pem.as_bytes(),
        );
        let identity = AgentIdentity::from_pem(name.clone(), chain, key, ca).unwrap();
        let fingerprint = identity.fingerprint();
        let authority = Authority::new(self.store.clone(), self.clock.clone(), Arc::new(NoPam));
        let authority = Arc::new(authority.await.unwrap());
        let paths = Paths::below(&root);
        let node = NodeContext::new(NodeOptions {
            agents: None,
            name: name.clone(),
            paths: paths.clone(),
            store: self.store.clone(),
            host: host.clone(),
            clock: self.clock.clone(),
            authority: authority.clone(),
            guest_user: Some(GUEST_USER),
            guest_uids: None,
            kvm: Some(false),
            allow_emulation: true,
            identity: Some(Arc::new(identity)),
            state: None,
        });
        let options = EngineOptions {
            node: name.clone(),
            directory: paths.tasks(),
            host,
            clock: self.clock.clone(),
            reserve_bytes: 4096,
            timeout_text: node::tasks::timeout_text,
        };
        let tasks = Engine::open(options, node.clone(), &registry())
            .await
            .unwrap();
        let context = Arc::new(Context {
            store: self.store.clone(),
            clock: self.clock.clone(),
            authority,
            node,
            tasks,
        });
        let dispatcher = Arc::new(Dispatcher::new(context.clone()));
        let (work, port) = self.serve(&context, &dispatcher).await;
        self.enlist(&name, port, fingerprint).await;
        Agent {
            name,
            root,
            context,
            dispatcher,
            _work: work,
        }
    }

    async fn serve(
        &self,
        context: &Arc<Context>,
        dispatcher: &Arc<Dispatcher>,
    ) -> (JoinSet<()>, u16) {
        let node = context.node.clone();
        let listener = MemberListener::bind(
            "127.0.0.1:0".parse().unwrap(),
            node.cluster.identity.clone().unwrap(),
            node.cluster.members.clone(),
            self.clock.clone(),
        );
        let listener = listener.await.unwrap();
        let port = listener.local_address().unwrap().port();
        let mut work = JoinSet::new();
        work.spawn(proto::wire::serve(listener, dispatcher.clone()));
        let context = context.clone();
        work.spawn(async move {
            tokio::join!(
                node.cluster.follow(),
                context.authority.follow(),
                node::reap_guests(&node, &context.tasks),
                node::migration::follow_arrivals(&node, &context.tasks),
            );
        });
        (work, port)
    }

    async fn enlist(&self, name: &NodeName, port: u16, fingerprint: String) {
        let address = format!("127.0.0.1:{port}");
        let member = Member::first(name.clone(), address, fingerprint);
        let (key, value) = (member_key(name), Record::new(member).encode());
        let commit = Commit::new().put(key, value.unwrap());
        self.store.commit(commit).await.unwrap();
    }

    /// The name above a node's scopes.
    fn scopes_of(&self, name: &str) -> String {
        super::scope_root_of(&self.folder.path().join(name))
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for name in ["pve1", "pve2"] {
            super::end_scopes(self.scopes_of(name));
        }
    }
}

impl Agent {
    pub async fn hears(&self, other: &NodeName) {
        until("the members hear each other", async || {
            let link = self.context.node.cluster.link(other);
            link.is_some_and(|link| link.hearing() == Hearing::Heard)
        })
        .await;
    }

    /// Calls an operation as root.
    pub async fn call(&self, op: &str, params: Value) -> Result<Value, model::Error> {
        let request = Request {
            op: op.to_owned(),
            params: params.as_object().unwrap().clone(),
            credential: Credential::Peer,
            id: uuid::Uuid::new_v4().to_string(),
            address: None,
        };
        let answer = self.dispatcher.request(Peer::Local { uid: 0 }, request);
        Ok(answer.await?.data)
    }

    /// Submits a task and waits for its end; returns its exit status and its log.
    pub async fn task(&self, op: &str, params: Value) -> (String, Vec<String>) {
        let upid = self.call(op, params).await.unwrap();
        self.ended(upid.as_str().unwrap()).await
    }

    pub async fn ended(&self, upid: &str) -> (String, Vec<String>) {
        let upid = upid.parse().unwrap();
        let ended = self.context.tasks.wait(&upid).await.unwrap();
        let status = testkit::fault_sweep::exit_status(&ended.state);
        (status, self.context.tasks.log(&upid).await.unwrap())
    }

    /// A task's log so far.
    pub async fn log(&self, upid: &str) -> Vec<String> {
        let upid = upid.parse().unwrap();
        self.context.tasks.log(&upid).await.unwrap()
    }

    /// Whether the store says that a guest is on its way to another node.
    pub async fn is_expected_elsewhere(&self, vmid: u32) -> bool {
        let key = store::Key::new(format!("arrival/{vmid}")).unwrap();
        let found = self.context.store.get(&key, store::Read::Linear).await;
        found.unwrap().0.is_some()
    }

    /// Kills the process of a guest that is here.
    pub async fn kill_qemu(&self, vmid: u32) {
        let vmid = VmId::new(vmid).unwrap();
        let running = &self.context.node.running;
        let process = running.main_process(vmid).await.unwrap().unwrap();
        super::kill(process.pid);
    }

    pub async fn runs(&self, vmid: u32) -> bool {
        let vmid = VmId::new(vmid).unwrap();
        self.context.node.running.is_running(vmid).await.unwrap()
    }

    /// QEMU's word for what a guest does here; none if it is not here.
    pub async fn qemu_says(&self, vmid: u32) -> Option<String> {
        let vmid = VmId::new(vmid).unwrap();
        let status = self.context.node.running.status(vmid).await.unwrap();
        status.qmp_status
    }

    /// A guest's console.
    pub fn serial(&self, vmid: u32) -> Serial {
        let socket = format!("run/ostler/guests/{vmid}/serial0.sock");
        Serial::connect(&self.root.join(socket))
    }

    /// Whether a scope of that guest is here.
    pub async fn has_scope(&self, vmid: u32) -> bool {
        let name = sys::ScopeName::guest(VmId::new(vmid).unwrap());
        self.context
            .node
            .host
            .scopes()
            .await
            .unwrap()
            .contains(&name)
    }
}

/// The content of a folder, by name.
pub fn listing(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).map(|entries| {
        let names = entries.map(|entry| entry.unwrap().file_name());
        names
            .map(|name| name.to_string_lossy().into_owned())
            .collect()
    });
    let mut names: Vec<String> = entries.unwrap_or_default();
    names.sort();
    names
}
