//! What each member does when the membership changes: it reaches the state at the present voters, and
//! its etcd refuses removed nodes.

use std::time::Duration;

use model::{Error, NodeName};
use tracing::warn;

use crate::NodeContext;
use crate::cluster::Member;
use crate::state::client_url;

/// How long to wait after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// The addresses of the voters among some members, a node's own first.
pub(crate) fn endpoints<'a>(
    own: &NodeName,
    members: impl Iterator<Item = &'a Member>,
) -> Vec<String> {
    let mut voters: Vec<&Member> = members.filter(|member| member.votes > 0).collect();
    voters.sort_by_key(|voter| (voter.name != *own, voter.nodeid));
    voters
        .iter()
        .map(|voter| client_url(voter.link()))
        .collect()
}

/// Waits for quorum: what this node knows without it may be old, and its etcd must not take back a
/// removed node. Never returns.
pub async fn follow_members(node: &NodeContext) {
    let mut changes = node.cluster.members.changes();
    changes.mark_changed();
    // The sender lives as long as the node.
    while changes.changed().await.is_ok() {
        node.records.store().until_outage(false).await;
        while let Err(error) = keep_up(node).await {
            warn!(%error, "a change of the members has not reached etcd on this node");
            node.clock.sleep(RETRY).await;
            node.records.store().until_outage(false).await;
        }
    }
    std::future::pending().await
}

/// Gives up a state that another member has a later generation of, with this node's etcd, and starts
/// again with that member's. Never returns.
pub async fn follow_generation(node: &NodeContext) {
    // Without quorum it is what this node had at last.
    if let Ok(Some(cluster)) = node.records.local().cluster().await {
        node.cluster.generation.set(cluster.generation);
    }
    let later = node.cluster.generation.superseded().await;
    loop {
        let moved = async {
            let member = node.cluster.members.get(&later);
            let gone = || Error::unavailable(format!("node '{later}' is no member"));
            let member = member.ok_or_else(gone)?;
            let state = node.state()?;
            warn!(node = %later, "quorum was forced there: this node takes over its state");
            state.defect(vec![client_url(member.link())]).await?;
            state.restart().await;
            Ok(())
        };
        let moved: Result<(), Error> = moved.await;
        if let Err(error) = moved {
            warn!(%error, "this node cannot take over the state of a later generation");
        }
        node.clock.sleep(RETRY).await;
    }
}

async fn keep_up(node: &NodeContext) -> Result<(), Error> {
    let state = node.state()?;
    let cluster = node.records.cluster().await?;
    let (Some(cluster), true) = (cluster, state.is_decided().await?) else {
        return Ok(());
    };
    let members = node.cluster.members.all();
    if !members.contains_key(&node.name) {
        return Ok(());
    }
    node.cluster.generation.set(cluster.generation);
    state.reach(endpoints(&node.name, members.values())).await?;
    state.revoke(&cluster.revoked).await
}
