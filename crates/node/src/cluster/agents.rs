//! What agents ask each other, without a caller behind it.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use async_trait::async_trait;
use model::schema::Values;
use model::{Error, ErrorKind, NodeName};
use proto::Credential;
use proto::wire::Request;
use serde_json::Value;

use super::Link;
use super::links::Links;

/// Asks the agents of other members. The one that is asked knows this node by its connection.
#[async_trait]
pub trait Agents: Send + Sync + 'static {
    /// `NodeLost`: the connection broke before the answer, so that the outcome is unknown.
    async fn ask(&self, node: &NodeName, op: &str, params: Values) -> Result<Value, Error>;

    /// Opens a connection to something at the other node, at this address of its host if one is
    /// given.
    async fn stream(
        &self,
        node: &NodeName,
        address: Option<IpAddr>,
        op: &str,
        params: Values,
    ) -> Result<AgentStream, Error>;
}

/// A connection to something at another node.
pub struct AgentStream {
    /// One end of a socket pair.
    pub descriptor: OwnedFd,
    /// The connection breaks when this is dropped.
    pub held: Box<dyn Send>,
}

impl Links {
    fn heard(&self, node: &NodeName) -> Result<Arc<Link>, Error> {
        let text = format!("no such cluster node '{node}'");
        self.get(node)
            .ok_or_else(|| Error::new(ErrorKind::NodeUnreachable, text))
    }
}

#[async_trait]
impl Agents for Links {
    async fn ask(&self, node: &NodeName, op: &str, params: Values) -> Result<Value, Error> {
        let link = self.heard(node)?;
        Ok(link.client().request(request(op, params)).await?.data)
    }

    async fn stream(
        &self,
        node: &NodeName,
        address: Option<IpAddr>,
        op: &str,
        params: Values,
    ) -> Result<AgentStream, Error> {
        let link = self.heard(node)?;
        let (_, descriptor, held) = link.stream_at(address, request(op, params)).await?;
        Ok(AgentStream {
            descriptor,
            held: Box::new(held),
        })
    }
}

fn request(op: &str, params: Values) -> Request {
    Request {
        op: op.to_owned(),
        params,
        credential: Credential::None,
        id: String::new(),
        address: None,
    }
}
