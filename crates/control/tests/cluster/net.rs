//! Agents that share a store, connected by TLS over the loopback device.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use control::Dispatcher;
use model::{Clock, Error, NodeName, Record};
use node::cluster::{AGENT_DOMAIN, AgentIdentity, Hearing, Member, MemberListener, member_key};
use proto::wire::{Answer, Client, Peer, Request, Responder, Service, Streamed, serve};
use proto::{Credential, Identity};
use serde_json::json;
use store::{Commit, MemoryStore, SharedStore};
use sys::SystemClock;
use testkit::{Authority, Certificate};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::bench::{Bench, JANE, PASSWORD};

/// How long a condition may take to come true.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain until {what}");
}

/// What an agent has received from other agents.
#[derive(Clone, Default)]
pub(crate) struct Received(Arc<Mutex<Vec<(Peer, Request)>>>);

impl Received {
    pub(crate) fn take(&self) -> Vec<(Peer, Request)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    pub(crate) fn ops(&self) -> Vec<String> {
        let received = self.0.lock().unwrap();
        received.iter().map(|(_, asked)| asked.op.clone()).collect()
    }

    fn add(&self, peer: &Peer, request: &Request) {
        let mut received = self.0.lock().unwrap();
        received.push((peer.clone(), request.clone()));
    }
}

/// An agent's dispatcher, which notes what other agents ask, and may not answer.
struct Noting {
    dispatcher: Arc<Dispatcher>,
    received: Received,
    /// While true, requests wait.
    held: watch::Receiver<bool>,
}

impl Noting {
    async fn note(&self, peer: &Peer, request: &Request) {
        self.received.add(peer, request);
        let mut held = self.held.clone();
        let _ = held.wait_for(|held| !held).await;
    }
}

#[async_trait]
impl Service for Noting {
    async fn request(&self, peer: Peer, request: Request) -> Result<Answer, Error> {
        self.note(&peer, &request).await;
        self.dispatcher.request(peer, request).await
    }

    async fn stream(&self, peer: Peer, request: Request) -> Result<Streamed, Error> {
        self.note(&peer, &request).await;
        self.dispatcher.stream(peer, request).await
    }

    async fn verify(
        &self,
        peer: Peer,
        credential: Credential,
        address: Option<String>,
    ) -> Result<Identity, Error> {
        self.dispatcher.verify(peer, credential, address).await
    }

    async fn watch(&self, peer: Peer, responder: Responder) -> Result<(), Error> {
        self.dispatcher.watch(peer, responder).await
    }
}

/// The store of a cluster, and its authority.
pub(crate) struct Net {
    pub(crate) authority: Authority,
    pub(crate) store: SharedStore,
    pub(crate) clock: Arc<dyn Clock>,
    /// The certificates of all nodes that were ever added.
    certificates: Vec<(String, Certificate)>,
}

/// A node of the cluster; it stops when this is dropped.
pub(crate) struct Node {
    pub(crate) bench: Bench,
    pub(crate) name: NodeName,
    pub(crate) port: u16,
    pub(crate) received: Received,
    /// Set to true, the agent does not answer other agents.
    pub(crate) hold: watch::Sender<bool>,
    _work: JoinSet<()>,
}

pub(crate) fn identity(name: &str, certificate: &Certificate, authority: &str) -> AgentIdentity {
    let Certificate { chain, key } = certificate;
    let (chain, key) = (chain.as_bytes(), key.as_bytes());
    AgentIdentity::from_pem(name.parse().unwrap(), chain, key, authority.as_bytes()).unwrap()
}

impl Net {
    pub(crate) fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        Self {
            authority: Authority::new(),
            store: Arc::new(MemoryStore::new(clock.clone())),
            clock,
            certificates: Vec::new(),
        }
    }

    /// A cluster of `pve1` and `pve2`, linked, with a user without rights.
    pub(crate) async fn two() -> (Self, Node, Node) {
        let mut net = Self::new();
        let one = net.start("pve1").await;
        let two = net.start("pve2").await;
        one.hears(&two.name).await;
        two.hears(&one.name).await;
        let user = json!({"userid": JANE, "password": PASSWORD});
        one.bench.root().ok("user_create", user).await;
        until("the user is known", async || {
            let access = two.bench.context.authority.access();
            access.user(&JANE.parse().unwrap()).is_some()
        })
        .await;
        (net, one, two)
    }

    /// Starts an agent and makes it a member.
    pub(crate) async fn start(&mut self, name: &str) -> Node {
        self.start_behind(name, async |port| port).await
    }

    /// The same for one that others reach at another port than its own.
    pub(crate) async fn start_behind(
        &mut self,
        name: &str,
        reached_at: impl AsyncFnOnce(u16) -> u16,
    ) -> Node {
        let certificate = self.authority.issue(&format!("{name}{AGENT_DOMAIN}"));
        let node = self.run(name, &certificate, self.store.clone()).await;
        self.certificates.push((name.to_owned(), certificate));
        let identity = node.bench.context.node.cluster.identity.as_ref().unwrap();
        let address = format!("127.0.0.1:{}", reached_at(node.port).await);
        self.enlist(name, &address, &identity.fingerprint()).await;
        node
    }

    /// Starts an agent with this certificate and store, which no record names.
    pub(crate) async fn run(
        &self,
        name: &str,
        certificate: &Certificate,
        store: SharedStore,
    ) -> Node {
        let own = identity(name, certificate, &self.authority.pem);
        let bench = Bench::on(name, store, self.clock.clone(), Some(own)).await;
        let node = bench.context.node.clone();
        let cluster = &node.cluster;
        let listener = MemberListener::bind(
            "127.0.0.1:0".parse().unwrap(),
            cluster.identity.clone().unwrap(),
            cluster.members.clone(),
            self.clock.clone(),
        );
        let listener = listener.await.unwrap();
        let port = listener.local_address().unwrap().port();
        let (hold, held) = watch::channel(false);
        let received = Received::default();
        let service = Noting {
            dispatcher: bench.dispatcher.clone(),
            received: received.clone(),
            held,
        };
        let mut work = JoinSet::new();
        work.spawn(serve(listener, Arc::new(service)));
        let followed = node.clone();
        work.spawn(async move { followed.cluster.follow().await });
        let arriving = node.clone();
        let context = bench.context.clone();
        work.spawn(async move {
            node::migration::follow_arrivals(&arriving, &context.tasks).await;
        });
        let authority = bench.context.authority.clone();
        work.spawn(async move { authority.follow().await });
        Node {
            name: node.name.clone(),
            bench,
            port,
            received,
            hold,
            _work: work,
        }
    }

    /// Writes a member's record.
    pub(crate) async fn enlist(&self, name: &str, address: &str, fingerprint: &str) {
        enlist(&self.store, name, address, fingerprint).await;
    }

    pub(crate) async fn remove(&self, name: &NodeName) {
        let commit = Commit::new().delete(member_key(name));
        self.store.commit(commit).await.unwrap();
    }

    /// The certificate of a node that was started, as a thief of its disk would have it.
    pub(crate) fn certificate(&self, name: &str) -> &Certificate {
        let mut all = self.certificates.iter();
        &all.find(|(known, _)| known == name).unwrap().1
    }

    /// An agent with a store of its own, in which it and the target are members. It asks what it
    /// wants.
    pub(crate) async fn intruder(
        &self,
        name: &str,
        certificate: &Certificate,
        target: &Node,
    ) -> Intruder {
        let store: SharedStore = Arc::new(MemoryStore::new(self.clock.clone()));
        let node = self.run(name, certificate, store.clone()).await;
        let own = node.bench.context.node.cluster.identity.as_ref().unwrap();
        enlist(
            &store,
            name,
            &format!("127.0.0.1:{}", node.port),
            &own.fingerprint(),
        )
        .await;
        let theirs = target.bench.context.node.cluster.identity.as_ref().unwrap();
        let address = format!("127.0.0.1:{}", target.port);
        enlist(
            &store,
            target.name.as_str(),
            &address,
            &theirs.fingerprint(),
        )
        .await;
        until("the intruder knows its target", async || {
            node.bench.context.node.cluster.link(&target.name).is_some()
        })
        .await;
        let link = node.bench.context.node.cluster.link(&target.name).unwrap();
        Intruder {
            client: link.client().clone(),
            node,
        }
    }
}

async fn enlist(store: &SharedStore, name: &str, address: &str, fingerprint: &str) {
    let name = name.parse().unwrap();
    let member = Member::first(name, address.to_owned(), fingerprint.to_owned());
    let (key, value) = (member_key(&member.name), Record::new(member).encode());
    let commit = Commit::new().put(key, value.unwrap());
    store.commit(commit).await.unwrap();
}

/// An agent that is not what it seems.
pub(crate) struct Intruder {
    pub(crate) client: Client,
    pub(crate) node: Node,
}

impl Node {
    /// Waits until this node hears that one.
    pub(crate) async fn hears(&self, other: &NodeName) {
        until("the members hear each other", async || {
            let link = self.bench.context.node.cluster.link(other);
            link.is_some_and(|link| link.hearing() == Hearing::Heard)
        })
        .await;
    }

    pub(crate) async fn misses(&self, other: &NodeName) {
        until("a member is silent", async || {
            let link = self.bench.context.node.cluster.link(other);
            link.is_some_and(|link| link.hearing() == Hearing::Silent)
        })
        .await;
    }
}
