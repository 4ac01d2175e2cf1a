//! The context of operations.

use std::sync::Arc;

use auth::Authority;
use model::{Clock, Error, NodeName, Upid, VmId};
use node::NodeContext;
use node::tasks::{SHORT_PATIENCE, guest_object};
use proto::wire::Answer;
use store::SharedStore;
use tasks::{Engine, Hold, Submission, Task, TaskState};

use crate::forward::unknown;
use crate::ops::Op;

/// Passed to every operation, which shares it through its `Arc`.
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
    /// Submits a task on behalf of an operation's caller; answers the UPID.
    pub async fn submit<T: Task<Node = NodeContext>>(
        &self,
        op: &Op,
        id: impl ToString,
        task: T,
    ) -> Result<Answer, Error> {
        let upid = self.tasks.submit(submission(op, id, true)?, task).await?;
        Ok(Answer::new(upid.to_string()))
    }

    /// Submits a task that is the work of one operation, which waits for its end. Task lists do not
    /// show it.
    pub async fn submit_unlisted<T: Task<Node = NodeContext>>(
        &self,
        op: &Op,
        id: impl ToString,
        task: T,
    ) -> Result<Upid, Error> {
        self.tasks.submit(submission(op, id, false)?, task).await
    }

    /// Runs a guest's task within an operation, whose answer is the result. It waits for the
    /// guest's lock for at most the task's patience, and for the work itself without limit, imports
    /// included.
    pub async fn perform<T: Task<Node = NodeContext>>(
        &self,
        op: &Op,
        vmid: VmId,
        task: T,
    ) -> Result<Answer, Error> {
        let upid = self.submit_unlisted(op, vmid, task).await?;
        self.ended(&upid).await
    }

    /// The same, for a task that task lists show.
    pub async fn perform_listed<T: Task<Node = NodeContext>>(
        &self,
        op: &Op,
        vmid: VmId,
        task: T,
    ) -> Result<Answer, Error> {
        let upid = self.tasks.submit(submission(op, vmid, true)?, task).await?;
        self.ended(&upid).await
    }

    /// Runs a task that comes before the work of an operation, to its end. `first` is different for
    /// each one of the operation.
    pub async fn perform_first<T: Task<Node = NodeContext>>(
        &self,
        op: &Op,
        id: impl ToString,
        first: &str,
        task: T,
    ) -> Result<(), Error> {
        let mut submission = submission(op, id, true)?;
        if !submission.request_id.is_empty() {
            submission.request_id = format!("{} {first}", submission.request_id);
        }
        let upid = self.tasks.submit(submission, task).await?;
        self.ended(&upid).await.map(drop)
    }

    async fn ended(&self, upid: &Upid) -> Result<Answer, Error> {
        let ended = self.tasks.wait(upid).await?;
        match ended.state {
            TaskState::Ended { .. } if ended.is_ok() => Ok(Answer::null().at(ended.revision)),
            TaskState::Ended { .. } if !ended.fields.is_empty() => {
                Err(Error::invalid_fields(ended.fields))
            }
            TaskState::Ended { status, .. } => Err(Error::conflict(status)),
            other => Err(Error::bug(format!("the change ended as {other:?}"))),
        }
    }

    /// Locks a guest for an operation that completes at once.
    pub async fn hold_guest(&self, vmid: VmId, kind: &str) -> Result<Hold, Error> {
        let object = guest_object(vmid);
        self.tasks.hold(&object, kind, SHORT_PATIENCE).await
    }

    /// Refuses a node other than this one, for what cannot reach another one yet.
    pub fn check_node(&self, node: &NodeName) -> Result<(), Error> {
        match *node == self.node.name {
            true => Ok(()),
            false => Err(unknown(node)),
        }
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
