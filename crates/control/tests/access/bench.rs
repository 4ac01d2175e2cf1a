//! An agent in memory, and callers of it.

use std::sync::Arc;

use async_trait::async_trait;
use auth::Authority;
use auth::pam::{PamError, PamRunner};
use control::{Context, Dispatcher};
use model::{Clock, Error, GuestConfig, GuestKind, GuestRecord, Record, VmId};
use node::cluster::AgentIdentity;
use node::{NodeContext, NodeOptions, Paths, registry};
use proto::Credential;
use proto::wire::{Answer, Peer, Request, Service};
use serde_json::{Value, json};
use store::{Commit, MemoryStore, SharedStore};
use tasks::{Engine, EngineOptions};
use testkit::{FakeHost, Faults, ManualClock, qemu_img};

pub(crate) const JANE: &str = "jane@pve";
pub(crate) const PASSWORD: &str = "correct horse";

/// A host on which every password is wrong.
struct Nobody;

#[async_trait]
impl PamRunner for Nobody {
    async fn authenticate(&self, _user: &str, _password: &str) -> Result<bool, PamError> {
        Ok(false)
    }
}

pub(crate) struct Bench {
    pub(crate) context: Arc<Context>,
    pub(crate) dispatcher: Arc<Dispatcher>,
}

impl Bench {
    /// A node alone, on a clock that stands still.
    pub(crate) async fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
        let store: SharedStore = Arc::new(MemoryStore::new(clock.clone()));
        Self::on("pve1", store, clock, None).await
    }

    /// A node with a store that it may share.
    pub(crate) async fn on(
        name: &str,
        store: SharedStore,
        clock: Arc<dyn Clock>,
        identity: Option<AgentIdentity>,
    ) -> Self {
        let host: sys::SharedHost =
            Arc::new(FakeHost::new(Faults::default()).program("qemu-img", qemu_img));
        let name: model::NodeName = name.parse().unwrap();
        let paths = Paths::below("/");
        let options = EngineOptions {
            node: name.clone(),
            directory: paths.tasks(),
            host: host.clone(),
            clock: clock.clone(),
            reserve_bytes: 4096,
            timeout_text: node::tasks::timeout_text,
        };
        let authority = Authority::new(store.clone(), clock.clone(), Arc::new(Nobody)).await;
        let authority = Arc::new(authority.unwrap());
        let node = NodeContext::new(NodeOptions {
            agents: None,
            state: None,
            name,
            paths,
            store: store.clone(),
            host,
            clock: clock.clone(),
            authority: authority.clone(),
            guest_user: None,
            guest_uids: None,
            kvm: Some(false),
            allow_emulation: true,
            identity: identity.map(Arc::new),
        });
        let tasks = Engine::open(options, node.clone(), &registry())
            .await
            .unwrap();
        let context = Arc::new(Context {
            store,
            clock,
            authority,
            node,
            tasks,
        });
        Self {
            dispatcher: Arc::new(Dispatcher::new(context.clone())),
            context,
        }
    }

    /// With a user of realm `pve` without rights.
    pub(crate) async fn with_jane() -> Self {
        let bench = Self::new().await;
        let user = json!({"userid": JANE, "password": PASSWORD});
        bench.root().ok("user_create", user).await;
        bench
    }

    pub(crate) fn now(&self) -> model::UnixTime {
        self.context.clock.wall()
    }

    fn caller(&self, credential: Credential) -> Caller<'_> {
        Caller {
            bench: self,
            credential,
            uid: 0,
            address: "10.0.0.1".to_owned(),
        }
    }

    /// The process of uid 0 at the other end of the socket.
    pub(crate) fn root(&self) -> Caller<'_> {
        self.caller(Credential::Peer)
    }

    pub(crate) fn nobody(&self) -> Caller<'_> {
        self.caller(Credential::None)
    }

    /// A process of the API's user that claims to be root without a credential.
    pub(crate) fn impostor(&self) -> Caller<'_> {
        Caller {
            bench: self,
            credential: Credential::Peer,
            uid: 999,
            address: "10.0.0.1".to_owned(),
        }
    }

    /// A process of the API's user with another caller's credential.
    pub(crate) fn hostile_api(&self, credential: Credential) -> Caller<'_> {
        Caller {
            bench: self,
            credential,
            uid: 999,
            address: "10.0.0.1".to_owned(),
        }
    }

    pub(crate) fn token(&self, text: &str) -> Caller<'_> {
        self.caller(Credential::Token(text.to_owned()))
    }

    /// Jane's ticket, and the CSRF token that her changes need.
    pub(crate) async fn session_of_jane(&self) -> (String, String) {
        let login = json!({"username": JANE, "password": PASSWORD});
        let session = self.nobody().ok("ticket_create", login).await;
        let text = |name: &str| session[name].as_str().unwrap().to_owned();
        (text("ticket"), text("CSRFPreventionToken"))
    }

    /// Jane with a session.
    pub(crate) async fn jane(&self) -> Caller<'_> {
        let (ticket, csrf) = self.session_of_jane().await;
        let csrf = Some(csrf);
        self.caller(Credential::Ticket { ticket, csrf })
    }

    pub(crate) async fn add_guest(&self, vmid: u32, name: &str) {
        let vmid = VmId::new(vmid).unwrap();
        let mut config = GuestConfig::default();
        config.set("name", name);
        let record = GuestRecord {
            config,
            ..GuestRecord::new(vmid, GuestKind::Qemu, self.context.node.name.clone(), 0)
        };
        let value = Record::new(record).encode().unwrap();
        let commit = Commit::new().put(node::guest_key(vmid), value);
        self.context.store.commit(commit).await.unwrap();
    }

    /// How a task ends.
    pub(crate) async fn finished(&self, upid: &Value) -> Value {
        let upid = upid.as_str().unwrap().parse().unwrap();
        match self.context.tasks.wait(&upid).await.unwrap().state {
            tasks::TaskState::Ended { status, .. } => status.into(),
            other => panic!("{other:?}"),
        }
    }

    /// The storage that every new node has.
    pub(crate) async fn add_local(&self) {
        let local = storage::local("/var/lib/vz");
        let key = node::storage_key(local.id());
        let commit = Commit::new().put(key, Record::new(local).encode().unwrap());
        self.context.store.commit(commit).await.unwrap();
    }
}

pub(crate) struct Caller<'a> {
    bench: &'a Bench,
    credential: Credential,
    uid: u32,
    address: String,
}

impl Caller<'_> {
    /// The same caller, with this client address.
    pub(crate) fn from(mut self, address: &str) -> Self {
        self.address = address.to_owned();
        self
    }

    fn request(&self, op: &str, params: Value) -> Request {
        Request {
            op: op.to_owned(),
            params: params.as_object().unwrap().clone(),
            credential: self.credential.clone(),
            id: String::new(),
            address: Some(self.address.clone()),
        }
    }

    pub(crate) async fn ask(&self, op: &str, params: Value) -> Result<Answer, Error> {
        let (peer, request) = (Peer::Local { uid: self.uid }, self.request(op, params));
        self.bench.dispatcher.request(peer, request).await
    }

    /// Calls an operation whose answer comes with a descriptor.
    pub(crate) async fn ask_stream(&self, op: &str, params: Value) -> Result<(), Error> {
        let (peer, request) = (Peer::Local { uid: self.uid }, self.request(op, params));
        self.bench.dispatcher.stream(peer, request).await.map(drop)
    }

    pub(crate) async fn ok(&self, op: &str, params: Value) -> Value {
        match self.ask(op, params.clone()).await {
            Ok(answer) => answer.data,
            Err(error) => panic!("{op} {params}: {error}"),
        }
    }

    pub(crate) async fn error(&self, op: &str, params: Value) -> Error {
        match self.ask(op, params.clone()).await {
            Ok(answer) => panic!("{op} {params} was answered: {}", answer.data),
            Err(error) => error,
        }
    }
}
