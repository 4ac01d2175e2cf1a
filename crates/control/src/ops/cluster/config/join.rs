//! `POST /cluster/config/join`

use std::net::{IpAddr, SocketAddr};

use model::Error;
use node::membership::Contact;
use node::tasks::ClusterJoin;
use proto::wire::Answer;
use serde::Deserialize;

use super::link;
use crate::ops::Op;

#[derive(Deserialize)]
struct Join {
    hostname: String,
    fingerprint: String,
    password: String,
    link0: Option<String>,
    nodeid: Option<u32>,
    #[serde(default)]
    force: bool,
}

pub(super) async fn join(op: Op) -> Result<Answer, Error> {
    let join: Join = op.params()?;
    check_alone(&op).await?;
    let link = link::own(&op, join.link0.as_deref()).await?;
    let node = &op.context.node;
    let contact = Contact {
        host: join.hostname,
        fingerprint: join.fingerprint,
    };
    let address = agent_address(&op, &link)?;
    let password = node.handover.put(join.password);
    let mut task = ClusterJoin::new(contact, link, address, password);
    task.nodeid = join.nodeid;
    task.force = join.force;
    op.context.submit(&op, "", task).await
}

/// Refuses a node that has something to lose, in the words of Proxmox VE.
async fn check_alone(op: &Op) -> Result<(), Error> {
    let mut found = Vec::new();
    if op.records.cluster().await?.is_some() {
        found.push("* cluster config '/etc/pve/corosync.conf' already exists");
    }
    if op.records.guests().await?.next().is_some() {
        found.push("* this host already contains virtual guests");
    }
    match found.is_empty() {
        true => Ok(()),
        false => Err(Error::conflict(format!(
            "detected the following error(s):\n{}\nCheck if node may join a cluster failed!",
            found.join("\n")
        ))),
    }
}

/// Where the agent is reached; on link 0 if its own record has no address of a network.
fn agent_address(op: &Op, link: &str) -> Result<String, Error> {
    let node = &op.context.node;
    let own = node.cluster.members.get(&node.name);
    let own = own.ok_or_else(|| Error::unavailable("this node has no record of itself"))?;
    let is_loopback = own
        .host()
        .parse::<IpAddr>()
        .is_ok_and(|host| host.is_loopback());
    let port = own.address.rsplit(':').next().unwrap_or_default().parse();
    match (is_loopback, link.parse(), port) {
        (true, Ok(link), Ok(port)) => Ok(SocketAddr::new(link, port).to_string()),
        _ => Ok(own.address),
    }
}
