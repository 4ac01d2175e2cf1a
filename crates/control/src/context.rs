//! What operations have at hand.

use std::sync::Arc;

use auth::Authority;
use model::{Clock, Error, NodeName};
use node::World;
use store::SharedStore;
use tasks::{Engine, Submission, Task};

use crate::ops::Op;

/// Handed to every operation. Shared through its `Arc`.
pub struct Context {
    pub node: NodeName,
    pub store: SharedStore,
    pub clock: Arc<dyn Clock>,
    /// Verifies credentials, signs tickets, evaluates rights.
    pub authority: Arc<Authority>,
    /// This node: records, host, running guests.
    pub world: Arc<World>,
    pub tasks: Arc<Engine<World>>,
}

impl Context {
    /// Submits a task in the name of an operation's caller; answers the UPID.
    pub async fn submit<T: Task<World = World>>(
        &self,
        op: &Op,
        id: impl ToString,
        task: T,
    ) -> Result<proto::wire::Answer, Error> {
        let submission = Submission {
            request_id: op.request_id.clone(),
            user: op.identity()?.label(),
            id: id.to_string(),
        };
        let upid = self.tasks.submit(submission, task).await?;
        Ok(proto::wire::Answer::new(upid.to_string()))
    }

    /// Refuses a node that is not this one: there is no cluster yet.
    pub fn check_node(&self, node: &NodeName) -> Result<(), Error> {
        if *node == self.node {
            return Ok(());
        }
        let text =
            format!("hostname lookup '{node}' failed - failed to get address info for: {node}");
        Err(Error::unavailable(text))
    }
}
