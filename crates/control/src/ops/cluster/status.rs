//! `GET /cluster/status`

use std::net::IpAddr;

use model::{Error, NodeName};
use node::cluster::Hearing;
use node::host::facts::Facts;
use proto::wire::Answer;
use serde_json::{Value, json};

use crate::ops::Op;

/// A user's tasks include those of the user's tokens; a token's are only its own.
pub(super) fn is_of(user: &str, me: &str) -> bool {
    user == me || user.split('!').next() == Some(me)
}

/// A node that is in no cluster has no number.
pub(super) async fn status(op: Op) -> Result<Answer, Error> {
    let node = &op.context.node;
    let members = node.cluster.members.all();
    let cluster = cluster_row(&op, members.len()).await?;
    let is_alone = cluster.is_none() && members.len() < 2;
    let nodeid = |name: &NodeName| match members.get(name) {
        Some(member) if !is_alone => member.nodeid,
        _ => 0,
    };
    let name = node.name.as_str();
    let mut own = row(&node.name, nodeid(&node.name), true, true);
    if let Some(address) = Facts::new(node.host.clone()).address(name).await {
        own["ip"] = address.into();
    }
    let others = members.values().filter(|member| member.name != node.name);
    let others = others.map(|member| {
        let link = node.cluster.link(&member.name);
        let is_online = link.is_some_and(|link| link.hearing() == Hearing::Heard);
        let mut row = row(&member.name, member.nodeid, false, is_online);
        if member.host().parse::<IpAddr>().is_ok() {
            row["ip"] = member.host().into();
        }
        row
    });
    let rows = cluster.into_iter().chain([own]).chain(others);
    Ok(Answer::new(rows.collect::<Vec<Value>>()))
}

/// Quorate is a cluster whose state is not known to be out of reach.
async fn cluster_row(op: &Op, nodes: usize) -> Result<Option<Value>, Error> {
    let cluster = op.records.cluster().await?;
    let quorate = u8::from(op.context.store.outage().is_none());
    Ok(cluster.map(|cluster| {
        json!({
            "id": "cluster",
            "type": "cluster",
            "name": cluster.name,
            "version": cluster.version,
            "nodes": nodes,
            "quorate": quorate,
        })
    }))
}

fn row(node: &NodeName, nodeid: u32, is_local: bool, is_online: bool) -> Value {
    json!({
        "id": format!("node/{node}"),
        "type": "node",
        "name": node,
        "nodeid": nodeid,
        "local": u8::from(is_local),
        "online": u8::from(is_online),
        "level": "",
    })
}
