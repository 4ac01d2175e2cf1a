//! Takes this node's vote back: its etcd leaves the others and ends.

use async_trait::async_trait;
use model::Error;
use serde::{Deserialize, Serialize};
use tasks::{Step, Steps, Task, TaskContext};

use super::cluster_vote::write_votes;
use crate::NodeContext;
use crate::membership::{Roster, endpoints};

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ClusterUnvote {}

impl Task for ClusterUnvote {
    type Node = NodeContext;
    const NAME: &'static str = "cluster_unvote";
    const VERSION: u32 = 1;
    const KIND: &'static str = "clusterunvote";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&StepDown],
            after: &[&DropServer, &WriteVote],
        }
    }

    fn object(&self) -> Option<String> {
        Some("cluster".to_owned())
    }
}

type Cx = TaskContext<NodeContext>;

/// Removes this node's etcd from the others, if it is one of them.
pub(super) async fn step_down(cx: &Cx) -> Result<(), Error> {
    let (state, own) = (cx.node.state()?, &cx.node.name);
    let roster = Roster::read(&**cx.node.records.store()).await?;
    let member = roster.members.get(own);
    let Some(member) = member.filter(|member| member.data.votes > 0) else {
        return Ok(());
    };
    let others = roster.members.values().map(|member| &member.data);
    let others = endpoints(own, others.filter(|member| member.name != *own));
    if others.is_empty() {
        let text = "this node has the only vote of the cluster";
        return Err(Error::conflict(text));
    }
    state.reach(others).await?;
    state.remove_voter(member.data.link()).await
}

struct StepDown;

#[async_trait]
impl Step<ClusterUnvote> for StepDown {
    fn name(&self) -> &'static str {
        "step-down"
    }

    async fn act(&self, cx: &Cx, _task: &mut ClusterUnvote) -> Result<(), Error> {
        step_down(cx).await?;
        cx.log("etcd on this node votes no more").await;
        Ok(())
    }
}

struct DropServer;

#[async_trait]
impl Step<ClusterUnvote> for DropServer {
    fn name(&self) -> &'static str {
        "drop-server"
    }

    async fn act(&self, cx: &Cx, _task: &mut ClusterUnvote) -> Result<(), Error> {
        cx.node.state()?.drop_server().await
    }
}

struct WriteVote;

#[async_trait]
impl Step<ClusterUnvote> for WriteVote {
    fn name(&self) -> &'static str {
        "write-vote"
    }

    async fn act(&self, cx: &Cx, _task: &mut ClusterUnvote) -> Result<(), Error> {
        write_votes(cx, 0).await
    }
}
