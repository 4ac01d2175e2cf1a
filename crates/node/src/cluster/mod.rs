//! The other members: who they are, connections to them, and what they report.
//!
//! ```text
//!   store: member/<name> ══ watch ══► Members ◄── every connection asks: still present?
//!                                        │
//!   this agent ── Link (one a member) ── MemberConnector ══ TLS 1.3, both sides ══► MemberListener
//!                   │ requests; a feed of status and beats                         their agent
//!                   └ silent for some seconds: requests fail at once
//! ```
//!
//! **Invariant:** a connection's peer is a member by three proofs: the cluster's authority signed its
//! certificate for an agent, the certificate names the node, and the node's record has the
//! certificate's fingerprint now. A removed member's open connections end with its record.

mod agents;
mod connector;
mod generation;
mod hearing;
mod identity;
mod links;
mod listener;
mod members;
mod reports;
mod transport;

use std::sync::Arc;

use auth::vouch::Vouchers;
use model::{Clock, NodeName};
use store::SharedStore;

pub use agents::{AgentStream, Agents};
pub use generation::Generation;
pub use hearing::Hearing;
pub use identity::{AGENT_DOMAIN, AgentIdentity};
pub use links::{BEAT, Link};
pub use listener::MemberListener;
pub use members::{Member, Members, member_key, members_prefix};
pub use reports::Reports;
pub use transport::MemberStream;

use crate::StatusBoard;
use links::Links;

/// What this node knows of the cluster that it belongs to. A single node is a cluster of one.
pub struct Cluster {
    pub members: Arc<Members>,
    /// None: no connection to other members can be made.
    pub identity: Option<Arc<AgentIdentity>>,
    /// Vouchers of other members that were used here.
    pub vouchers: Vouchers,
    /// What is asked of other agents without a caller.
    pub agents: Arc<dyn Agents>,
    pub generation: Arc<Generation>,
    /// Held while this node's certificates are renewed: its record names the ones that are in use.
    pub(crate) renewing: tokio::sync::Mutex<()>,
    links: Arc<Links>,
}

impl Cluster {
    pub(crate) fn new(
        node: NodeName,
        store: SharedStore,
        clock: Arc<dyn Clock>,
        identity: Option<Arc<AgentIdentity>>,
        agents: Option<Arc<dyn Agents>>,
    ) -> Self {
        let members = Arc::new(Members::new(store, clock.clone()));
        let generation = Arc::new(Generation::default());
        let links = Links::new(
            node,
            members.clone(),
            clock,
            identity.clone(),
            generation.clone(),
        );
        let links = Arc::new(links);
        Self {
            agents: agents.unwrap_or_else(|| links.clone()),
            links,
            members,
            identity,
            vouchers: Vouchers::default(),
            generation,
            renewing: tokio::sync::Mutex::default(),
        }
    }

    /// The link to another member that is present.
    pub fn link(&self, node: &NodeName) -> Option<Arc<Link>> {
        self.links.get(node)
    }

    /// The links to all other members, by name.
    pub fn links(&self) -> Vec<Arc<Link>> {
        self.links.all()
    }

    /// The status of this node, whose board is given, and of all others.
    pub fn reports(&self, own: &Arc<StatusBoard>) -> Reports<'_> {
        Reports::new(&self.links, own.feed())
    }

    /// Follows the records of members and what they report, for as long as the agent lives. Never
    /// returns.
    pub async fn follow(&self) {
        tokio::join!(self.members.follow(), self.links.follow());
    }
}
