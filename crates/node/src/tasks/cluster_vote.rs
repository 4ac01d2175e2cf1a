//! Makes this node a voter: its etcd copies the state as a learner, then gets its vote.

use std::time::Duration;

use async_trait::async_trait;
use model::Error;
use serde::{Deserialize, Serialize};
use tasks::{Step, Steps, Task, TaskContext};

use crate::NodeContext;
use crate::membership::change;
use crate::state::Server;

/// How long a learner may take to catch up.
const CATCH_UP: Duration = Duration::from_secs(600);
/// The pause before etcd is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClusterVote {
    /// Where this node's etcd listens: an IP address.
    address: String,
    /// Chosen by `add-learner`.
    server: Option<Server>,
}

impl ClusterVote {
    pub fn new(address: String) -> Self {
        Self {
            address,
            server: None,
        }
    }
}

impl Task for ClusterVote {
    type Node = NodeContext;
    const NAME: &'static str = "cluster_vote";
    const VERSION: u32 = 1;
    const KIND: &'static str = "clustervote";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&AddLearner, &Host, &Promote],
            after: &[&WriteVote],
        }
    }

    fn object(&self) -> Option<String> {
        Some("cluster".to_owned())
    }
}

type Cx = TaskContext<NodeContext>;

struct AddLearner;

#[async_trait]
impl Step<ClusterVote> for AddLearner {
    fn name(&self) -> &'static str {
        "add-learner"
    }

    async fn act(&self, cx: &Cx, task: &mut ClusterVote) -> Result<(), Error> {
        task.server = Some(cx.node.state()?.add_learner(&task.address).await?);
        cx.log(&format!("etcd at {} is a learner", task.address))
            .await;
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &ClusterVote) -> Result<(), Error> {
        cx.node.state()?.remove_voter(&task.address).await
    }
}

struct Host;

#[async_trait]
impl Step<ClusterVote> for Host {
    fn name(&self) -> &'static str {
        "host"
    }

    async fn act(&self, cx: &Cx, task: &mut ClusterVote) -> Result<(), Error> {
        let none = || Error::bug("no server was chosen");
        let server = task.server.as_ref().ok_or_else(none)?;
        let cluster = cx.node.records.cluster().await?;
        let revoked = cluster.map(|cluster| cluster.revoked).unwrap_or_default();
        cx.node.state()?.host_server(server, &revoked).await
    }

    /// It may have got its vote, so it is removed before it is ended: else the others would need it.
    async fn undo(&self, cx: &Cx, task: &ClusterVote) -> Result<(), Error> {
        let state = cx.node.state()?;
        state.remove_voter(&task.address).await?;
        state.drop_server().await
    }
}

struct Promote;

#[async_trait]
impl Step<ClusterVote> for Promote {
    fn name(&self) -> &'static str {
        "promote"
    }

    async fn act(&self, cx: &Cx, task: &mut ClusterVote) -> Result<(), Error> {
        let state = cx.node.state()?;
        let begun = cx.clock.monotonic();
        while !state.promote(&task.address).await? {
            if cx.clock.monotonic() - begun > CATCH_UP {
                let text = "etcd on this node does not catch up with the others (etcd.log)";
                return Err(Error::unavailable(text));
            }
            cx.clock.sleep(ASK_AGAIN).await;
        }
        cx.log("etcd on this node has caught up and votes").await;
        Ok(())
    }
}

struct WriteVote;

#[async_trait]
impl Step<ClusterVote> for WriteVote {
    fn name(&self) -> &'static str {
        "write-vote"
    }

    async fn act(&self, cx: &Cx, _task: &mut ClusterVote) -> Result<(), Error> {
        write_votes(cx, 1).await
    }
}

/// Writes how many votes this node has, and the certificates of its etcd.
pub(super) async fn write_votes(cx: &Cx, votes: u32) -> Result<(), Error> {
    let serials = cx.node.state()?.serials().await?;
    let changed = change(&**cx.node.records.store(), |roster| {
        let own = roster.member_mut(&cx.node.name)?;
        own.votes = votes;
        own.add_etcd_serials(&serials);
        Ok(())
    });
    let (_, revision) = changed.await?;
    cx.committed(revision.0);
    Ok(())
}
