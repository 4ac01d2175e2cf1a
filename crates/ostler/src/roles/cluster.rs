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
use node::membership::{
    announce, follow_certificates, follow_generation, follow_members, follow_votes, follow_witness,
    own_link,
};
use node::state::State;
use sys::SharedHost;
use tasks::Engine;
use tracing::{error, info};

use super::certificate;
use crate::config::Config;

/// How long to wait before the port is tried again.
const RETRY: Duration = Duration::from_secs(5);

pub(super) async fn identity(config: &Config, host: &SharedHost) -> Result<AgentIdentity> {
    let (agent, authority) = certificate::ensure_agent(config, host).await?;
    let (chain, key) = (agent.certificate.as_bytes(), agent.key.as_bytes());
    let name = config.node.clone();
    Ok(AgentIdentity::from_pem(
        name,
        chain,
        key,
        authority.as_bytes(),
    )?)
}

/// Reads the members, this node's own record included.
pub(super) async fn join_members(config: &Config, node: &NodeContext) -> Result<()> {
    if node.records.store().outage().is_none() {
        announce_itself(config, node).await;
    }
    node.cluster.members.load().await?;
    Ok(())
}

/// Writes this node's record again after each time without quorum. Never returns.
async fn stay_announced(config: &Config, node: &NodeContext) {
    let store = node.records.store();
    loop {
        store.until_outage(false).await;
        announce_itself(config, node).await;
        store.until_outage(true).await;
    }
}

/// Writes where this node is reached and by which certificates, unless its record says so already.
async fn announce_itself(config: &Config, node: &NodeContext) {
    let announced = async {
        let Some(identity) = &node.cluster.identity else {
            return Ok(());
        };
        let address = agent_address(config, node).await?;
        let own = Member {
            etcd_serials: node.state()?.serials().await?,
            api_fingerprint: certificate::fingerprint(&config.paths.served_certificate())?,
            ..Member::first(node.name.clone(), address, identity.fingerprint())
        };
        anyhow::Ok(announce(&**node.records.store(), &own).await?)
    };
    if let Err(error) = announced.await {
        error!(%error, "other members cannot reach this node");
    }
}

/// Where other members reach the agent: as configured, or at the address of link 0, or, outside of
/// a cluster, at the host's first address.
async fn agent_address(config: &Config, node: &NodeContext) -> Result<String> {
    if let Some(address) = &config.agent_address {
        return Ok(address.clone());
    }
    let host = match own_link(&**node.records.store(), &node.name).await? {
        Some(link) => Some(link),
        None => {
            let facts = Facts::new(node.host.clone());
            facts.address(node.name.as_str()).await
        }
    };
    let host = host.and_then(|host| host.parse().ok());
    let host = host.unwrap_or_else(|| [127, 0, 0, 1].into());
    Ok(SocketAddr::new(host, config.agent_listen().port()).to_string())
}

/// Keeps this node's part of the cluster: its record, that its etcd runs, whom that knows, whether it
/// votes, its certificates. Never returns.
pub(super) async fn keep(
    config: &Config,
    node: &NodeContext,
    tasks: &Engine<NodeContext>,
    state: &State,
) {
    tokio::join!(
        stay_announced(config, node),
        state.keep_server(),
        follow_generation(node),
        follow_members(node),
        follow_votes(node, tasks),
        follow_certificates(node),
        follow_witness(node)
    );
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
        match MemberListener::bind(address, identity.clone(), members.clone(), clock).await {
            Ok(listener) => {
                info!(%address, "other members are served");
                proto::wire::serve(listener, dispatcher.clone()).await;
            }
            Err(error) => error!(%address, %error, "other members cannot be served"),
        }
        node.clock.sleep(RETRY).await;
    }
}
