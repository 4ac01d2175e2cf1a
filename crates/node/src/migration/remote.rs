//! The source's side of the requests.

use std::net::IpAddr;

use model::{Error, ErrorKind, NodeName, Upid, VmId};
use serde::de::DeserializeOwned;

use super::ask::{Ask, Asked, OP, read};
use crate::NodeContext;
use crate::cluster::AgentStream;

/// The agent of the node that a guest moves to.
pub(crate) struct Remote<'a> {
    pub(crate) node: &'a NodeContext,
    pub(crate) target: &'a NodeName,
    pub(crate) vmid: VmId,
    pub(crate) upid: &'a Upid,
    /// Where volumes, disks and memory are sent; none: where all else is.
    pub(crate) address: Option<IpAddr>,
}

impl Remote<'_> {
    fn asked(&self, what: Ask) -> Asked {
        Asked {
            vmid: self.vmid,
            upid: self.upid.clone(),
            what,
        }
    }

    pub(crate) async fn ask<T: DeserializeOwned>(&self, what: Ask) -> Result<T, Error> {
        let params = self.asked(what).params()?;
        let asked = self.node.cluster.agents.ask(self.target, OP, params).await;
        read(asked.map_err(|error| named(self.target, error))?)
    }

    pub(crate) async fn stream(&self, what: Ask) -> Result<AgentStream, Error> {
        let params = self.asked(what).params()?;
        let agents = &self.node.cluster.agents;
        let opened = agents.stream(self.target, self.address, OP, params).await;
        opened.map_err(|error| named(self.target, error))
    }
}

/// An error of another node, with its name.
pub(super) fn named(node: &NodeName, error: Error) -> Error {
    let message = match error.kind {
        ErrorKind::NotImplemented => {
            format!("node '{node}' runs a version of Ostler that takes no guests")
        }
        _ => format!("node '{node}': {}", error.message),
    };
    Error { message, ..error }
}

/// Whether the other node was not reached, or did not answer.
pub(crate) fn is_out_of_reach(error: &Error) -> bool {
    matches!(
        error.kind,
        ErrorKind::NodeUnreachable | ErrorKind::NodeLost | ErrorKind::NodeGarbled
    )
}
