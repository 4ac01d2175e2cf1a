//! One link a member: requests to it, and whether it is heard.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use model::{Clock, Error, ErrorKind, NodeName, with_timeout};
use proto::status::{PeerMessage, PeerState};
use proto::wire::{Answer, Client, Request};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tracing::{info, warn};

use super::connector::MemberConnector;
use super::hearing::Hearing;
use super::transport::Places;
use super::{AgentIdentity, Generation, Members};
use crate::StatusBoard;

/// An agent sends a beat this often.
pub const BEAT: Duration = Duration::from_secs(1);

/// A member that has sent nothing for so long is silent.
const SILENCE: Duration = Duration::from_secs(4);

/// How long to wait before a silent member is connected to again.
const RETRY: Duration = Duration::from_secs(1);

/// The link to another member.
pub struct Link {
    node: NodeName,
    client: Client,
    connector: MemberConnector,
    clock: Arc<dyn Clock>,
    hearing: Arc<watch::Sender<Hearing>>,
    status: Arc<StatusBoard>,
    generation: Arc<Generation>,
    state: watch::Sender<Option<PeerState>>,
}

impl Link {
    pub fn node(&self) -> &NodeName {
        &self.node
    }

    /// Requests to the member's agent. They fail within a second while it is silent, and when it
    /// falls silent.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Opens a stream. It ends when the third value is dropped, and when the member falls silent.
    pub async fn stream(&self, request: Request) -> Result<(Answer, OwnedFd, JoinSet<()>), Error> {
        self.stream_at(None, request).await
    }

    /// The same at another address of the member's host.
    pub(super) async fn stream_at(
        &self,
        address: Option<IpAddr>,
        request: Request,
    ) -> Result<(Answer, OwnedFd, JoinSet<()>), Error> {
        let client = match address {
            None => self.client.clone(),
            Some(_) => Client::over(MemberConnector {
                address,
                ..self.connector.clone()
            }),
        };
        let mut hearing = self.hearing.subscribe();
        let opened = tokio::select! {
            opened = client.stream_held(request) => opened,
            () = fallen_silent(&mut hearing) => Err(timed_out()),
        };
        let (answer, descriptor, held) = opened?;
        let mut kept = JoinSet::new();
        kept.spawn(async move {
            fallen_silent(&mut hearing).await;
            drop(held);
        });
        Ok((answer, descriptor, kept))
    }

    pub fn hearing(&self) -> Hearing {
        *self.hearing.borrow()
    }

    /// What it last had of the cluster's state.
    pub fn state(&self) -> Option<PeerState> {
        self.state.borrow().clone()
    }

    /// What the member reports.
    pub fn status(&self) -> &Arc<StatusBoard> {
        &self.status
    }

    async fn follow(&self) {
        loop {
            let Err(error) = self.follow_once().await;
            self.status.lose();
            if self.hearing.send_replace(Hearing::Silent) != Hearing::Silent {
                warn!(node = %self.node, %error, "a member is silent");
            }
            self.client.hang_up().await;
            self.clock.sleep(RETRY).await;
        }
    }

    async fn follow_once(&self) -> Result<std::convert::Infallible, Error> {
        let mut feed = self.client.watch().await?;
        loop {
            let message = with_timeout(&*self.clock, SILENCE, feed.next()).await;
            let message = message.ok_or_else(timed_out)??;
            let garbled =
                |error: serde_json::Error| Error::new(ErrorKind::NodeGarbled, error.to_string());
            match serde_json::from_value(message).map_err(garbled)? {
                PeerMessage::Status(update) if update.node == self.node => {
                    self.status.take(update);
                }
                PeerMessage::Status(update) => {
                    let text = format!("a report about node '{}'", update.node);
                    return Err(Error::new(ErrorKind::NodeGarbled, text));
                }
                PeerMessage::Beat { generation, state } => {
                    self.generation.heard(&self.node, generation);
                    self.state.send_replace(state);
                }
            }
            if self.hearing() != Hearing::Heard {
                self.hearing.send_replace(Hearing::Heard);
                info!(node = %self.node, "a member is heard");
            }
        }
    }
}

/// Waits until a member that was heard is silent.
async fn fallen_silent(hearing: &mut watch::Receiver<Hearing>) {
    while hearing.changed().await.is_ok() {
        if *hearing.borrow_and_update() == Hearing::Silent {
            return;
        }
    }
}

fn timed_out() -> Error {
    Error::new(ErrorKind::NodeLost, "Connection timed out")
}

/// The links to all other members.
pub(super) struct Links {
    own: NodeName,
    members: Arc<Members>,
    clock: Arc<dyn Clock>,
    identity: Option<Arc<AgentIdentity>>,
    generation: Arc<Generation>,
    places: Places,
    links: RwLock<BTreeMap<NodeName, Arc<Link>>>,
    changed: watch::Sender<()>,
}

impl Links {
    pub(super) fn new(
        own: NodeName,
        members: Arc<Members>,
        clock: Arc<dyn Clock>,
        identity: Option<Arc<AgentIdentity>>,
        generation: Arc<Generation>,
    ) -> Self {
        Self {
            own,
            members,
            clock,
            identity,
            generation,
            places: Places::default(),
            links: RwLock::default(),
            changed: watch::Sender::new(()),
        }
    }

    pub(super) fn get(&self, node: &NodeName) -> Option<Arc<Link>> {
        let links = self.links.read().unwrap_or_else(PoisonError::into_inner);
        links.get(node).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Link>> {
        let links = self.links.read().unwrap_or_else(PoisonError::into_inner);
        links.values().cloned().collect()
    }

    /// Notifies when there are other links.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Makes a link for every other member and listens to it. Never returns.
    pub(super) async fn follow(&self) {
        let mut changes = self.members.changes();
        let mut listening = JoinSet::new();
        let mut handles: BTreeMap<NodeName, AbortHandle> = BTreeMap::new();
        loop {
            changes.mark_unchanged();
            let all = self.members.all();
            let is_other = |node: &NodeName| *node != self.own && all.contains_key(node);
            let mut links = BTreeMap::new();
            for node in all.keys().filter(|node| is_other(node)) {
                let link = self.get(node).unwrap_or_else(|| {
                    let link = Arc::new(self.link(node));
                    let listener = link.clone();
                    let handle = listening.spawn(async move { listener.follow().await });
                    handles.insert(node.clone(), handle);
                    link
                });
                links.insert(node.clone(), link);
            }
            handles.retain(|node, handle| {
                let stays = is_other(node);
                if !stays {
                    handle.abort();
                }
                stays
            });
            *self.links.write().unwrap_or_else(PoisonError::into_inner) = links;
            self.changed.send_replace(());
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            while listening.try_join_next().is_some() {}
        }
    }

    fn link(&self, node: &NodeName) -> Link {
        let hearing = Arc::new(watch::Sender::new(Hearing::Unknown));
        let connector = MemberConnector {
            node: node.clone(),
            address: None,
            identity: self.identity.clone(),
            members: self.members.clone(),
            clock: self.clock.clone(),
            places: self.places.clone(),
            hearing: hearing.clone(),
        };
        Link {
            node: node.clone(),
            client: Client::over(connector.clone()),
            connector,
            clock: self.clock.clone(),
            hearing,
            status: StatusBoard::new(node.clone(), self.clock.clone()),
            generation: self.generation.clone(),
            state: watch::Sender::new(None),
        }
    }
}
