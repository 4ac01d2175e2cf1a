//! `POST /ostler/cluster/quorum`

use model::{Error, NodeName};
use node::cluster::{Hearing, Member};
use node::membership::witness_answers;
use node::state::Witness;
use node::tasks::ClusterForce;
use proto::wire::Answer;
use serde::Deserialize;

use crate::ops::Op;

#[derive(Deserialize)]
struct Force {
    /// Names, with commas.
    #[serde(rename = "powered-off", default)]
    powered_off: String,
}

/// Lets this node go on without the other voters. Each of them must be out of reach and be named as
/// powered off: together they may have a majority of their own.
pub(super) async fn force(op: Op) -> Result<Answer, Error> {
    let Force { powered_off } = op.params()?;
    let powered_off: Vec<&str> = powered_off.split([',', ';', ' ']).map(str::trim).collect();
    let node = &op.context.node;
    let none = || Error::conflict("this node is in no cluster");
    let cluster = op.records.local().cluster().await?.ok_or_else(none)?;
    if op.context.store.outage().is_none() {
        return Err(Error::conflict(
            "the cluster has quorum, there is nothing to force",
        ));
    }
    let members = node.cluster.members.all();
    if members.get(&node.name).is_none_or(|own| own.votes == 0) {
        let text = "this node does not vote: force quorum at one that does";
        return Err(Error::conflict(text));
    }
    let witness = op.records.local().witness().await?;
    let names = members.keys().chain(witness.iter().map(|w| &w.name));
    let names: Vec<&str> = names.map(NodeName::as_str).collect();
    let is_known = |name: &&&str| names.contains(*name);
    let mut named = powered_off.iter().filter(|name| !name.is_empty());
    if let Some(strange) = named.find(|name| !is_known(name)) {
        let text = format!("'{strange}' is no member");
        return Err(Error::invalid("powered-off", text));
    }
    let votes = |member: &&Member| member.votes > 0 && member.name != node.name;
    let others = members.values().filter(votes);
    let mut lost: Vec<NodeName> = Vec::new();
    for other in others.map(|other| &other.name) {
        let link = node.cluster.link(other);
        if link.is_some_and(|link| link.hearing() == Hearing::Heard) {
            let text = format!(
                "node '{other}' votes and is reachable: mend what is between its etcd and this one"
            );
            return Err(Error::conflict(text));
        }
        if !powered_off.contains(&other.as_str()) {
            let text = format!("'{other}' votes: name it here if it is powered off");
            return Err(Error::invalid("powered-off", text));
        }
        lost.push(other.clone());
    }
    if let Some(witness) = witness.filter(|witness| witness.votes > 0) {
        check_lost(&op, &witness, &powered_off).await?;
        lost.push(witness.name);
    }
    let task = ClusterForce {
        lost,
        generation: cluster.generation + 1,
    };
    op.context.submit(&op, &node.name, task).await
}

/// The witness and one node may have a majority of their own.
async fn check_lost(op: &Op, witness: &Witness, powered_off: &[&str]) -> Result<(), Error> {
    let name = &witness.name;
    if witness_answers(&op.context.node, witness).await? {
        let text =
            format!("the witness '{name}' answers: mend what is between its etcd and this one");
        return Err(Error::conflict(text));
    }
    match powered_off.contains(&name.as_str()) {
        true => Ok(()),
        false => Err(Error::invalid(
            "powered-off",
            format!("the witness '{name}' votes: name it here if it is powered off"),
        )),
    }
}
