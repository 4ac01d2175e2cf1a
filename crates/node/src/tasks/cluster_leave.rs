//! Leaves the cluster: this node becomes a new node on its own, without guests and users.
//!
//! ```text
//!   step-down ─ say-goodbye ┃ mark ─ restart
//!                  │   point of no return: this node is no member
//! ```
//!
//! The files of the cluster are deleted when the agent starts again: until then they are in use.

use async_trait::async_trait;
use model::Error;
use serde::{Deserialize, Serialize};
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::cluster_unvote::step_down;
use crate::NodeContext;
use crate::membership::{Roster, change};

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ClusterLeave {
    /// The cluster has removed this node, or is gone: only this node forgets it.
    pub force: bool,
}

impl Task for ClusterLeave {
    type Node = NodeContext;
    const NAME: &'static str = "cluster_leave";
    const VERSION: u32 = 1;
    const KIND: &'static str = "clusterleave";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&StepDown, &SayGoodbye],
            after: &[&Mark, &Restart],
        }
    }

    fn object(&self) -> Option<String> {
        Some("cluster".to_owned())
    }
}

type Cx = TaskContext<NodeContext>;

struct StepDown;

#[async_trait]
impl Step<ClusterLeave> for StepDown {
    fn name(&self) -> &'static str {
        "step-down"
    }

    async fn act(&self, cx: &Cx, task: &mut ClusterLeave) -> Result<(), Error> {
        match task.force {
            true => Ok(()),
            false => step_down(cx).await,
        }
    }
}

struct SayGoodbye;

#[async_trait]
impl Step<ClusterLeave> for SayGoodbye {
    fn name(&self) -> &'static str {
        "say-goodbye"
    }

    async fn probe(&self, cx: &Cx, task: &mut ClusterLeave) -> Result<Probe, Error> {
        if task.force {
            return Ok(Probe::Done);
        }
        let roster = Roster::read(&**cx.node.records.store()).await?;
        Ok(match roster.members.contains_key(&cx.node.name) {
            true => Probe::NotDone,
            false => Probe::Done,
        })
    }

    async fn act(&self, cx: &Cx, task: &mut ClusterLeave) -> Result<(), Error> {
        if task.force {
            return Ok(());
        }
        let changed = change(&**cx.node.records.store(), |roster| {
            roster.drop_member(&cx.node.name);
            Ok(())
        });
        changed.await?;
        cx.log("this node is no member of the cluster any more")
            .await;
        Ok(())
    }
}

struct Mark;

#[async_trait]
impl Step<ClusterLeave> for Mark {
    fn name(&self) -> &'static str {
        "mark"
    }

    async fn probe(&self, cx: &Cx, _task: &mut ClusterLeave) -> Result<Probe, Error> {
        Ok(match cx.node.state()?.is_decided().await? {
            true => Probe::NotDone,
            false => Probe::Done,
        })
    }

    async fn act(&self, cx: &Cx, _task: &mut ClusterLeave) -> Result<(), Error> {
        cx.node.state()?.drop_server().await?;
        let mark = cx.node.paths.leaving();
        Ok(cx.node.host.write(&mark, b"", 0o600).await?)
    }
}

struct Restart;

#[async_trait]
impl Step<ClusterLeave> for Restart {
    fn name(&self) -> &'static str {
        "restart"
    }

    async fn probe(&self, cx: &Cx, _task: &mut ClusterLeave) -> Result<Probe, Error> {
        Ok(match cx.node.state()?.is_decided().await? {
            true => Probe::NotDone,
            false => Probe::Done,
        })
    }

    async fn act(&self, cx: &Cx, _task: &mut ClusterLeave) -> Result<(), Error> {
        cx.log("restart the agent, which forgets the cluster").await;
        cx.node.state()?.restart().await;
        Ok(())
    }
}
