//! What starting and stopping all guests of a node share.
//!
//! Its work is the tasks of the guests themselves. A guest that cannot be started or stopped is
//! warned of and does not hold up the others.

use model::{Error, Upid, VmId};
use serde::{Deserialize, Serialize};
use tasks::{Engine, Submission, Task, TaskContext, TaskState};

use crate::NodeContext;
use crate::guests::startup_order::{self, StartupOrder};

/// How many guests of the same turn are worked on together, by default.
const WORKERS: usize = 4;

/// Which guests.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Chosen {
    /// These only; none: all of the node.
    pub vmids: Option<Vec<VmId>>,
    /// At the same time.
    pub workers: Option<usize>,
}

impl Chosen {
    pub fn includes(&self, vmid: VmId) -> bool {
        self.vmids
            .as_ref()
            .is_none_or(|vmids| vmids.contains(&vmid))
    }

    pub(super) async fn of(&self, node: &NodeContext) -> Result<Vec<StartupOrder>, Error> {
        let mut guests = startup_order::guests(node).await?;
        guests.retain(|guest| self.includes(guest.vmid));
        Ok(guests)
    }

    /// As asked for, as the cluster's options say, or a few.
    pub(super) async fn workers(&self, node: &NodeContext) -> Result<usize, Error> {
        let options = node.records.local().cluster_options().await?;
        let workers = self.workers.or(options.max_workers());
        Ok(workers.unwrap_or(WORKERS).max(1))
    }
}

/// Submits a guest's task in the name of the caller who asked for all. Once, also where this task is cut
/// off and begins again.
pub(super) async fn submit<T: Task<Node = NodeContext>>(
    cx: &TaskContext<NodeContext>,
    vmid: VmId,
    task: T,
) -> Result<Upid, Error> {
    let engine = cx.engine()?;
    let submission = Submission {
        request_id: format!("{} {vmid}", cx.upid),
        user: cx.upid.user.clone(),
        id: vmid.to_string(),
        listed: true,
    };
    engine.submit(submission, task).await
}

pub(super) async fn wait_for_all(
    cx: &TaskContext<NodeContext>,
    upids: &[Upid],
) -> Result<(), Error> {
    let engine: std::sync::Arc<Engine<NodeContext>> = cx.engine()?;
    for upid in upids {
        if let TaskState::Ended { status, .. } = engine.wait(upid).await?.state
            && status != "OK"
        {
            cx.warn(&format!("VM {}: {status}", upid.id)).await;
        }
    }
    Ok(())
}
