//! What the agent is to the other members: its identity, its record, its port.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use control::Dispatcher;
use node::NodeContext;
use node::cluster::{AgentIdentity, Member, MemberListener};
use node::host::facts::Facts;
use sys::SharedHost;
use tracing::{error, info};

use super::certificate;
use crate::config::Config;

/// How long to wait before the port is tried again.
const RETRY: Duration = Duration::from_secs(5);

pub(super) async fn identity(config: &Config, host: &SharedHost) -> Result<AgentIdentity> {
    let [chain, key, authority] = certificate::ensure_agent(config, host).await?;
    let name = config.node.clone();
    Ok(AgentIdentity::from_pem(name, &chain, &key, &authority)?)
}

/// Reads the members, this node's own record included.
pub(super) async fn join_members(config: &Config, node: &NodeContext) -> Result<()> {
    if let Some(identity) = &node.cluster.identity {
        let address = match &config.agent_address {
            Some(address) => address.clone(),
            None => {
                let facts = Facts::new(node.host.clone());
                let host = facts.address(node.name.as_str()).await;
                let host = host.and_then(|host| host.parse().ok());
                let host = host.unwrap_or_else(|| [127, 0, 0, 1].into());
                SocketAddr::new(host, config.agent_listen().port()).to_string()
            }
        };
        let own = Member {
            name: node.name.clone(),
            nodeid: 1,
            address,
            fingerprint: identity.fingerprint.clone(),
            role: String::new(),
            votes: 1,
        };
        if let Err(error) = node.cluster.members.announce(&own).await {
            error!(%error, "other members cannot reach this node");
        }
    }
    node.cluster.members.load().await?;
    Ok(())
}

/// Serves other members. The port is opened if the configuration names it, or once there is another
/// member. Never returns.
pub(super) async fn serve_members(
    config: &Config,
    node: &NodeContext,
    dispatcher: Arc<Dispatcher>,
) {
    let Some(identity) = &node.cluster.identity else {
        return pending().await;
    };
    let members = &node.cluster.members;
    let mut changes = members.changes();
    while config.agent_listen.is_none() && members.all().len() < 2 {
        if changes.changed().await.is_err() {
            return pending().await;
        }
    }
    let address = config.agent_listen();
    loop {
        let clock = node.clock.clone();
        match MemberListener::bind(address, identity, members.clone(), clock).await {
            Ok(listener) => {
                info!(%address, "other members are served");
                proto::wire::serve(listener, dispatcher.clone()).await;
            }
            Err(error) => error!(%address, %error, "other members cannot be served"),
        }
        node.clock.sleep(RETRY).await;
    }
}
