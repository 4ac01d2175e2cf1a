//! What operations have at hand.

use std::sync::Arc;

use auth::Authority;
use model::{Clock, Error, NodeName, Upid, VmId};
use node::NodeContext;
use node::tasks::{SHORT_PATIENCE, guest_object};
use proto::wire::Answer;
use store::SharedStore;
use tasks::{Engine, Hold, Submission, Task, TaskState};

use crate::ops::Op;

/// Handed to every operation. Shared through its `Arc`.
pub struct Context {
    pub store: SharedStore,
    pub clock: Arc<dyn Clock>,
    /// Verifies credentials, signs tickets, evaluates rights.
    pub authority: Arc<Authority>,
    /// This node: its name, its records, its host, running guests.
    pub node: Arc<NodeContext>,
    pub tasks: Arc<Engine<NodeContext>>,
}

impl Context {
    /// Submits a task in the name of an operation's caller; answers the UPID.
    pub async fn submit<T: Task<Node = NodeContext>>(
        &self,
        op: &Op,
        id: impl ToString,
        task: T,
    ) -> Result<Answer, Error> {
        let upid = self.tasks.submit(submission(op, id, true)?, task).await?;
        Ok(Answer::new(upid.to_string()))
    }

    /// Submits a task that is the work of this one operation, which waits for its end: no list
    /// shows it.
    pub async fn submit_unlisted<T: Task<Node = NodeContext>>(
        &self,
        op: &Op,
        id: impl ToString,
        task: T,
    ) -> Result<Upid, Error> {
        self.tasks.submit(submission(op, id, false)?, task).await
    }

    /// Does a guest's task within an operation: what it came to is the answer. It waits for its turn
    /// as long as the task has patience, and for its work as long as that takes, an import as well.
    pub async fn perform<T: Task<Node = NodeContext>>(
        &self,
        op: &Op,
        vmid: VmId,
        task: T,
    ) -> Result<Answer, Error> {
        let upid = self.submit_unlisted(op, vmid, task).await?;
        let ended = self.tasks.wait(&upid).await?;
        match ended.state {
            TaskState::Ended { .. } if ended.is_ok() => Ok(Answer::null().at(ended.revision)),
            TaskState::Ended { .. } if !ended.fields.is_empty() => {
                Err(Error::invalid_fields(ended.fields))
            }
            TaskState::Ended { status, .. } => Err(Error::conflict(status)),
            other => Err(Error::bug(format!("the change ended as {other:?}"))),
        }
    }

    /// Holds a guest for an operation that is done at once.
    pub async fn hold_guest(&self, vmid: VmId, kind: &str) -> Result<Hold, Error> {
        let object = guest_object(vmid);
        self.tasks.hold(&object, kind, SHORT_PATIENCE).await
    }

    /// Refuses a node that is not this one: there is no cluster yet.
    pub fn check_node(&self, node: &NodeName) -> Result<(), Error> {
        if *node == self.node.name {
            return Ok(());
        }
        let text =
            format!("hostname lookup '{node}' failed - failed to get address info for: {node}");
        Err(Error::unavailable(text))
    }
}

fn submission(op: &Op, id: impl ToString, listed: bool) -> Result<Submission, Error> {
    Ok(Submission {
        request_id: op.request_id.clone(),
        user: op.identity()?.label(),
        id: id.to_string(),
        listed,
    })
}
