//! `POST /ostler/cluster/leave`

use model::{Error, VmId};
use node::NodeContext;
use node::membership::Roster;
use node::tasks::ClusterLeave;
use proto::wire::Answer;
use serde::Deserialize;

use crate::ops::Op;

#[derive(Deserialize)]
struct Leave {
    #[serde(default)]
    force: bool,
}

/// With `force` only this node forgets the cluster: for one that was removed, or cannot ask.
pub(super) async fn leave(op: Op) -> Result<Answer, Error> {
    let Leave { force } = op.params()?;
    let node = &op.context.node;
    if !node.state()?.is_decided().await? {
        return Err(Error::conflict("this node is in no cluster"));
    }
    let roster = Roster::read(&**node.records.store()).await;
    let members = roster.map(|roster| roster.members);
    match (force, members) {
        (true, Ok(members)) if members.contains_key(&node.name) => {
            let text = "this node is a member and reaches the cluster: leave without it";
            return Err(Error::invalid("force", text));
        }
        (false, Err(error)) => return Err(error),
        (false, Ok(members)) if !members.contains_key(&node.name) => {
            let text = "this node was removed from its cluster: use 'force' to forget it";
            return Err(Error::conflict(text));
        }
        (false, Ok(members)) if members.len() == 1 => {
            let text = "this node is the last one of its cluster";
            return Err(Error::conflict(text));
        }
        _ => {}
    }
    if let Some(vmid) = guest_in_the_way(node, force).await? {
        let text = format!("this node has guest {vmid}: move it away or remove it first");
        return Err(Error::conflict(text));
    }
    if let (false, Some(export)) = (force, node.exports().await?.first()) {
        let id = export.config.id();
        let text = format!("this node exports storage '{id}': ostler storage unexport {id}");
        return Err(Error::conflict(text));
    }
    let task = ClusterLeave { force };
    op.context.submit(&op, &node.name, task).await
}

/// A guest of this node; where the cluster keeps the guests' records, only one that runs.
async fn guest_in_the_way(node: &NodeContext, force: bool) -> Result<Option<VmId>, Error> {
    for guest in node.records.local().guests().await? {
        let guest = guest?;
        let is_here = guest.node == node.name;
        if is_here && (!force || node.running.is_running(guest.vmid).await?) {
            return Ok(Some(guest.vmid));
        }
    }
    Ok(None)
}
