//! `POST /ostler/cluster/restore`

use model::{Error, NodeName};
use node::NodeContext;
use node::cluster::Hearing;
use node::state::SavedState;
use node::tasks::ClusterRestore;
use proto::wire::Answer;
use serde::Deserialize;

use super::{link, saved};
use crate::ops::Op;

#[derive(Deserialize)]
struct Restore {
    saved: Option<String>,
    link0: Option<String>,
    /// Names, with commas.
    #[serde(rename = "powered-off", default)]
    powered_off: String,
}

/// A member of a cluster restores it from its own copy or from a saved state, once no node reaches the
/// state any more; a new node becomes the one that saved it.
pub(super) async fn restore(op: Op) -> Result<Answer, Error> {
    let restore: Restore = op.params()?;
    let task = match op.context.node.state()?.is_decided().await? {
        true => of_member(&op, &restore).await?,
        false => of_new_node(&op, &restore).await?,
    };
    op.context.submit(&op, &op.context.node.name, task).await
}

async fn of_member(op: &Op, restore: &Restore) -> Result<ClusterRestore, Error> {
    let node = &op.context.node;
    if op.context.store.outage().is_none() {
        return Err(Error::conflict(
            "the cluster has its state, there is nothing to restore",
        ));
    }
    let known = node.records.local().cluster().await?;
    let copy = op.context.store.copy();
    let revision = copy.map_or(0, |copy| copy.revision.0);
    let members = node.cluster.members.all();
    let others: Vec<NodeName> = members
        .keys()
        .filter(|name| **name != node.name)
        .cloned()
        .collect();
    let mut generation = known.map_or(0, |cluster| cluster.generation);
    if let Some(name) = &restore.saved {
        let state = saved::examine(op, name).await?;
        let cluster = state.cluster.as_ref();
        let cluster = cluster
            .ok_or_else(|| Error::invalid("saved", "this is the state of a node in no cluster"))?;
        generation = generation.max(cluster.generation);
        check_known(node, &state)?;
    } else if members.is_empty() {
        let text = "this node has no copy of the state: name a saved one";
        return Err(Error::invalid("saved", text));
    }
    let off = powered_off(&restore.powered_off, &others)?;
    for other in &others {
        check_gone(
            node,
            other,
            &off,
            restore.saved.is_none().then_some(revision),
        )?;
    }
    let own = members.get(&node.name).map(|own| own.link().to_owned());
    let link = restore.link0.as_deref().or(own.as_deref());
    Ok(ClusterRestore {
        saved: restore.saved.clone(),
        link: Some(link::own(op, link).await?),
        generation: generation + 1,
        revision,
        lock_guests: restore.saved.is_some() && !others.is_empty(),
        chosen: String::new(),
    })
}

async fn of_new_node(op: &Op, restore: &Restore) -> Result<ClusterRestore, Error> {
    let node = &op.context.node;
    let missing = || Error::invalid("saved", "property is missing and it is not optional");
    let name = restore.saved.as_ref().ok_or_else(missing)?;
    let state = saved::examine(op, name).await?;
    check_known(node, &state)?;
    if node.records.guests().await?.next().is_some() {
        return Err(Error::conflict("this host already contains virtual guests"));
    }
    let others = state.members.iter().map(|member| member.name.clone());
    let others: Vec<NodeName> = others.filter(|name| *name != node.name).collect();
    let off = powered_off(&restore.powered_off, &others)?;
    if let Some(other) = others.iter().find(|other| !off.contains(other)) {
        return Err(name_it(other));
    }
    let own = state.members.iter().find(|member| member.name == node.name);
    let own = own.map(|own| own.link().to_owned());
    let link = restore.link0.as_deref().or(own.as_deref());
    Ok(ClusterRestore {
        saved: restore.saved.clone(),
        link: match state.cluster {
            Some(_) => Some(link::own(op, link).await?),
            None => None,
        },
        generation: state.cluster.map_or(0, |cluster| cluster.generation + 1),
        revision: 0,
        lock_guests: !others.is_empty(),
        chosen: String::new(),
    })
}

/// Guests belong to nodes by name.
fn check_known(node: &NodeContext, state: &SavedState) -> Result<(), Error> {
    let names = state.members.iter().map(|member| member.name.as_str());
    let names: Vec<&str> = names.collect();
    match names.contains(&node.name.as_str()) {
        true => Ok(()),
        false => {
            let (own, known) = (&node.name, names.join(", "));
            let text =
                format!("this node is '{own}', the saved state knows {known}: give it such a name");
            Err(Error::invalid("saved", text))
        }
    }
}

fn powered_off(named: &str, others: &[NodeName]) -> Result<Vec<NodeName>, Error> {
    let names = named.split([',', ';', ' ']).map(str::trim);
    let names = names.filter(|name| !name.is_empty());
    let known = names.map(|name| {
        let known = others.iter().find(|other| other.as_str() == name);
        let strange = || Error::invalid("powered-off", format!("'{name}' is no other member"));
        known.cloned().ok_or_else(strange)
    });
    known.collect()
}

fn name_it(other: &NodeName) -> Error {
    let text = format!("'{other}' does not answer: name it here if it is powered off");
    Error::invalid("powered-off", text)
}

/// A member that is heard may run guests and have a newer copy than this one; one that is not heard
/// must be off. `revision` is the one of this node's copy, if that is to be restored.
fn check_gone(
    node: &NodeContext,
    other: &NodeName,
    off: &[NodeName],
    revision: Option<u64>,
) -> Result<(), Error> {
    let link = node.cluster.link(other);
    let Some(link) = link.filter(|link| link.hearing() == Hearing::Heard) else {
        return match off.contains(other) {
            true => Ok(()),
            false => Err(name_it(other)),
        };
    };
    let text = match (link.state(), revision) {
        (Some(state), _) if state.quorate => {
            format!("node '{other}' reaches the state of the cluster: nothing is lost")
        }
        (Some(state), Some(revision)) if state.revision <= revision => return Ok(()),
        (Some(_), Some(_)) => {
            format!("node '{other}' has a newer copy of the state: restore it there")
        }
        _ => format!("node '{other}' is running: power it off, or restore its copy of the state"),
    };
    Err(Error::conflict(text))
}
