//! Requests for other members: which member that is, and the request as it is sent there.
//!
//! The owner verifies and permits all of it again. It gets the caller's own credential; only for
//! root of this node's socket, which has none, does this agent vouch.

use std::sync::Arc;
use std::time::Duration;

use auth::vouch::Vouched;
use futures_util::future::join_all;
use model::schema::Values;
use model::{Error, ErrorKind, NodeName, Upid, with_timeout};
use node::NodeContext;
use node::cluster::{Hearing, Link};
use proto::wire::{Answer, Peer, Request, Streamed};
use proto::{Credential, Identity, Row, Target};
use serde_json::Value;
use tracing::warn;

use crate::lanes::Permit;

/// Replaces the node by the task's own where it is another member: a UPID is enough to find a task.
pub(crate) fn name_owner_of_task(node: &NodeContext, row: &Row, params: &mut Values) {
    if row.target != Target::Node {
        return;
    }
    let upid = params.get("upid").and_then(|upid| upid.as_str());
    let Some(Ok(upid)) = upid.map(str::parse::<Upid>) else {
        return;
    };
    if upid.node == node.name || node.cluster.members.get(&upid.node).is_some() {
        params.insert("node".to_owned(), upid.node.as_str().into());
    }
}

/// The other node that an operation is for; none if it is for this one.
pub(crate) fn owner(
    node: &NodeContext,
    peer: &Peer,
    row: &Row,
    params: &Values,
) -> Result<Option<NodeName>, Error> {
    let Some(parameter) = row.target.parameter() else {
        return Ok(None);
    };
    let Some(name) = params.get(parameter).and_then(|node| node.as_str()) else {
        return Ok(None);
    };
    let name = NodeName::new(name).map_err(|error| Error::invalid(parameter, error.to_string()))?;
    if name == node.name {
        return Ok(None);
    }
    if matches!(peer, Peer::Node { .. }) {
        return Err(Error::unavailable("proxy loop detected"));
    }
    match node.cluster.members.get(&name) {
        Some(_) => Ok(Some(name)),
        None => Err(unknown(&name)),
    }
}

/// There is no such member.
pub(crate) fn unknown(node: &NodeName) -> Error {
    let text = format!("hostname lookup '{node}' failed - failed to get address info for: {node}");
    Error::unavailable(text)
}

/// A permitted request for another member.
pub(crate) struct Forwarded {
    link: Arc<Link>,
    request: Request,
    _permit: Permit,
}

impl Forwarded {
    /// `caller` is the verified identity. The parameters are sent as they were given, but with the
    /// name of the owner.
    pub(crate) fn new(
        node: &NodeContext,
        row: &Row,
        owner: &NodeName,
        request: &Request,
        caller: Option<&Identity>,
        permit: Permit,
    ) -> Result<Self, Error> {
        let link = node.cluster.link(owner).ok_or_else(unreachable)?;
        let mut request = request.clone();
        if let Some(parameter) = row.target.parameter() {
            let owner = owner.as_str().into();
            request.params.insert(parameter.to_owned(), owner);
        }
        vouch(node, owner, &mut request, caller)?;
        Ok(Self {
            link,
            request,
            _permit: permit,
        })
    }

    pub(crate) async fn answer(self) -> Result<Answer, Error> {
        self.link.client().request(self.request).await
    }

    /// The stream of the owner; its bytes are carried until the caller is gone.
    pub(crate) async fn stream(self) -> Result<Streamed, Error> {
        let (answer, descriptor, held) = self.link.stream(self.request).await?;
        Ok(Streamed {
            answer,
            descriptor,
            held: Some(Box::new(held)),
        })
    }
}

fn unreachable() -> Error {
    Error::new(ErrorKind::NodeUnreachable, "No route to host")
}

/// Signs a request of root that has no credential for the node that it is sent to.
fn vouch(
    node: &NodeContext,
    to: &NodeName,
    request: &mut Request,
    caller: Option<&Identity>,
) -> Result<(), Error> {
    if request.credential != Credential::Peer || caller.is_none() {
        return Ok(());
    }
    let identity = node.cluster.identity.as_ref().ok_or_else(unreachable)?;
    let voucher = Vouched {
        from: &node.name,
        to,
        op: &request.op,
        id: &request.id,
        params: &request.params,
    }
    .sign(&identity.voucher_key, node.clock.wall())?;
    request.credential = Credential::Vouched(voucher);
    Ok(())
}

/// How long the other nodes may take for their part of an answer.
const PART: Duration = Duration::from_secs(2);

/// The rows of all other members that are heard, each about itself. A member that does not answer in
/// time is left out.
pub(crate) async fn gather(
    node: &NodeContext,
    request: &Request,
    caller: Option<&Identity>,
) -> Vec<Value> {
    let links = node.cluster.links();
    let heard = links.iter().filter(|link| link.hearing() == Hearing::Heard);
    let parts = heard.map(|link| async {
        let part = with_timeout(&*node.clock, PART, part(node, link, request, caller)).await;
        match part {
            Some(Ok(rows)) => rows,
            Some(Err(error)) => {
                warn!(node = %link.node(), %error, op = request.op, "a node's part is missing");
                Vec::new()
            }
            None => {
                warn!(node = %link.node(), op = request.op, "a node's part is late");
                Vec::new()
            }
        }
    });
    join_all(parts).await.concat()
}

async fn part(
    node: &NodeContext,
    link: &Link,
    request: &Request,
    caller: Option<&Identity>,
) -> Result<Vec<Value>, Error> {
    let mut request = request.clone();
    vouch(node, link.node(), &mut request, caller)?;
    let Value::Array(mut rows) = link.client().request(request).await?.data else {
        return Err(Error::new(ErrorKind::NodeGarbled, "the answer is no list"));
    };
    rows.retain(|row| row["node"] == link.node().as_str());
    Ok(rows)
}
