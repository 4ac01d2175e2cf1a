//! Agent and API in this process, on a fake host.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use auth::Authority;
use auth::pam::{PamError, PamRunner};
use control::{Context, Dispatcher};
use http::{Api, Index, Listener, ServerOptions};
use model::{Clock, Record};
use node::{NodeContext, NodeOptions, Paths, registry};
use proto::wire::Client;
use store::{Commit, MemoryStore, SharedStore};
use tasks::{Engine, EngineOptions};
use testkit::{FakeHost, Faults, qemu_img};
use tokio::net::UnixListener;
use tokio::task::JoinSet;

use crate::harness::put_guest;

/// Place and message of panics, since the first agent of this process was started.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Serves until this is dropped.
pub(crate) struct InProcess {
    pub(crate) port: u16,
    _serving: JoinSet<()>,
    _folder: tempfile::TempDir,
}

/// A host on which every password is right.
struct Anybody;

#[async_trait]
impl PamRunner for Anybody {
    async fn authenticate(&self, _user: &str, _password: &str) -> Result<bool, PamError> {
        Ok(true)
    }
}

impl InProcess {
    pub(crate) async fn start() -> Self {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let mut panics = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
            panics.push(panic.to_string());
            usual(panic);
        }));
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("node.sock");
        let mut serving = JoinSet::new();
        let context = context().await;
        let listener = UnixListener::bind(&socket).unwrap();
        let dispatcher = Arc::new(Dispatcher::new(context.clone()));
        serving.spawn(proto::wire::serve(listener, dispatcher));
        let client = Client::new(&socket);
        let index = Arc::new(Index::new(context.clock.clone()));
        let followed = (index.clone(), client.clone());
        serving.spawn(async move { match followed.0.follow(&followed.1).await {} });
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap())
            .await
            .unwrap();
        let port = listener.address().unwrap().port();
        let clock = context.clock.clone();
        let api = Arc::new(Api::new(client, clock, index, &context.node.name));
        serving.spawn(http::serve(listener, ServerOptions { tls: None }, api));
        Self {
            port,
            _serving: serving,
            _folder: folder,
        }
    }

    pub(crate) fn panics(&self) -> Vec<String> {
        let panics = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
        panics.clone()
    }
}

/// An agent with one guest and one storage.
async fn context() -> Arc<Context> {
    let clock: Arc<dyn Clock> = Arc::new(sys::SystemClock::new());
    let store: SharedStore = Arc::new(MemoryStore::new(clock.clone()));
    let local = storage::local("/var/lib/vz");
    let key = node::storage_key(local.id());
    let commit = Commit::new().put(key, Record::new(local).encode().unwrap());
    store.commit(commit).await.unwrap();
    put_guest(&store, 100, &[("memory", "64".into())]).await;
    let host: sys::SharedHost =
        Arc::new(FakeHost::new(Faults::default()).program("qemu-img", qemu_img));
    let name: model::NodeName = "pve1".parse().unwrap();
    let paths = Paths::below("/");
    let authority = Authority::new(store.clone(), clock.clone(), Arc::new(Anybody)).await;
    let authority = Arc::new(authority.unwrap());
    let node = NodeContext::new(NodeOptions {
        agents: None,
        name: name.clone(),
        paths: paths.clone(),
        store: store.clone(),
        host: host.clone(),
        clock: clock.clone(),
        authority: authority.clone(),
        guest_user: None,
        guest_uids: None,
        kvm: Some(false),
        allow_emulation: true,
        identity: None,
        state: None,
    });
    let options = EngineOptions {
        node: name,
        directory: paths.tasks(),
        host,
        clock: clock.clone(),
        reserve_bytes: 4096,
        timeout_text: node::tasks::timeout_text,
    };
    let tasks = Engine::open(options, node.clone(), &registry())
        .await
        .unwrap();
    Arc::new(Context {
        store,
        clock,
        authority,
        node,
        tasks,
    })
}
