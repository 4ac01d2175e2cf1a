//! Removing a member.

use model::{Error, NodeName};

use super::roster::{Roster, change};
use crate::{NodeContext, schedule};

/// Takes a member, present or not, off the cluster for good. May be repeated.
///
/// Its vote goes first: etcd refuses that if too few of the others are there. Its record goes with
/// its certificates, in one commit; agents and etcd refuse it from then on. Its session is ended
/// last, when it cannot begin another one.
pub async fn remove(node: &NodeContext, name: &NodeName) -> Result<(), Error> {
    let state = node.state()?;
    let store = node.records.store();
    let roster = Roster::read(&**store).await?;
    let is_known = roster.nodes().any(|member| member.name == *name);
    if !is_known {
        // An earlier removal may have been broken off after its commit.
        state.revoke(&roster.cluster.data.revoked).await?;
        state.end_session(name).await?;
        let text = format!("Node/IP: {name} is not a known host of the cluster.");
        return Err(Error::conflict(text));
    }
    if let Some(member) = roster.members.get(name) {
        state.remove_voter(member.data.link()).await?;
    }
    let (roster, _) = change(&**store, |roster| {
        roster.drop_member(name);
        Ok(())
    })
    .await?;
    schedule::forget_node(&**store, name).await?;
    state.revoke(&roster.cluster.data.revoked).await?;
    state.end_session(name).await
}
