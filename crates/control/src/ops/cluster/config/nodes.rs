//! `GET /cluster/config/nodes`

use model::Error;
use node::cluster::Member;
use proto::wire::Answer;
use serde_json::{Value, json};

use crate::ops::Op;

/// The members; none of a node that is in no cluster. Numbers are texts, as in Proxmox VE.
pub(super) async fn nodes(op: Op) -> Result<Answer, Error> {
    if op.records.cluster().await?.is_none() {
        return Ok(Answer::new(json!([])));
    }
    let members = op.context.node.cluster.members.all();
    let rows = members.values().map(row);
    Ok(Answer::new(rows.collect::<Vec<Value>>()))
}

pub(super) fn row(member: &Member) -> Value {
    json!({
        "node": member.name,
        "name": member.name,
        "nodeid": member.nodeid.to_string(),
        "quorum_votes": member.votes.to_string(),
        "ring0_addr": member.link(),
    })
}
