//! Forces quorum: this node's etcd goes on alone, in a new generation, after the others are lost.
//!
//! ```text
//!   force ┃ write-generation
//!         │   point of no return: this node's etcd is the only member
//! ```
//!
//! The lost voters keep their guests and have no votes. When they come back they see the later
//! generation, give up their own state and become voters again.

use std::time::Duration;

use async_trait::async_trait;
use model::{Error, NodeName};
use serde::{Deserialize, Serialize};
use tasks::{Step, Steps, Task, TaskContext};

use crate::NodeContext;
use crate::membership::change;

/// How long this node may take to find its own etcd again.
const RETURN: Duration = Duration::from_secs(60);
/// The pause before it is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClusterForce {
    /// The voters that are lost. An administrator says that they are off.
    pub lost: Vec<NodeName>,
    /// The generation that begins.
    pub generation: u64,
}

impl Task for ClusterForce {
    type Node = NodeContext;
    const NAME: &'static str = "cluster_force";
    const VERSION: u32 = 1;
    const KIND: &'static str = "clusterforce";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Force],
            after: &[&WriteGeneration],
        }
    }

    fn object(&self) -> Option<String> {
        Some("cluster".to_owned())
    }
}

type Cx = TaskContext<NodeContext>;

struct Force;

#[async_trait]
impl Step<ClusterForce> for Force {
    fn name(&self) -> &'static str {
        "force"
    }

    async fn act(&self, cx: &Cx, task: &mut ClusterForce) -> Result<(), Error> {
        let lost: Vec<&str> = task.lost.iter().map(NodeName::as_str).collect();
        let lost = lost.join(", ");
        cx.log(&format!(
            "etcd on this node goes on alone; said to be powered off: {lost}"
        ))
        .await;
        cx.node.state()?.force_quorum().await
    }
}

struct WriteGeneration;

#[async_trait]
impl Step<ClusterForce> for WriteGeneration {
    fn name(&self) -> &'static str {
        "write-generation"
    }

    async fn act(&self, cx: &Cx, task: &mut ClusterForce) -> Result<(), Error> {
        let begun = cx.clock.monotonic();
        loop {
            let changed = change(&**cx.node.records.store(), |roster| {
                roster.cluster.data.generation = task.generation;
                task.lost.iter().for_each(|lost| roster.take_votes(lost));
                Ok(())
            });
            match changed.await {
                Ok((_, revision)) => {
                    cx.committed(revision.0);
                    break;
                }
                // The store of this agent is on its way to the new generation.
                Err(error) if cx.clock.monotonic() - begun > RETURN => return Err(error),
                Err(_) => cx.clock.sleep(TRY_AGAIN).await,
            }
        }
        cx.node.cluster.generation.set(task.generation);
        cx.log("this node alone has quorum until the others are back")
            .await;
        Ok(())
    }
}
