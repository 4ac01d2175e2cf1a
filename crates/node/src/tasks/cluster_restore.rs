//! Restores the state from a saved one, or from this node's copy, after all voters have lost it.
//!
//! ```text
//!   save ─ restart ┃ confirm
//!           │   point of no return: `store.json` names the new etcd
//!           the next start of the agent restores (`state::restore`)
//! ```

use async_trait::async_trait;
use model::Error;
use serde::{Deserialize, Serialize};
use tasks::{Probe, Step, Steps, Task, TaskContext};

use crate::NodeContext;
use crate::state::RestoreOrder;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClusterRestore {
    /// The name of the saved state; none: this node's copy.
    pub saved: Option<String>,
    /// Where this node's etcd listens; none: the state is one of a single node.
    pub link: Option<String>,
    /// The generation that begins.
    pub generation: u64,
    /// The last revision that this node knows of.
    pub revision: u64,
    /// Whether guests may run elsewhere than the saved state says.
    pub lock_guests: bool,
    /// The name of what is restored, chosen by `save`.
    #[serde(default)]
    pub chosen: String,
}

impl Task for ClusterRestore {
    type Node = NodeContext;
    const NAME: &'static str = "cluster_restore";
    const VERSION: u32 = 1;
    const KIND: &'static str = "clusterrestore";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Save, &Restart],
            after: &[&Confirm],
        }
    }

    fn object(&self) -> Option<String> {
        Some("cluster".to_owned())
    }
}

type Cx = TaskContext<NodeContext>;

struct Save;

#[async_trait]
impl Step<ClusterRestore> for Save {
    fn name(&self) -> &'static str {
        "save"
    }

    async fn plan(&self, cx: &Cx, task: &mut ClusterRestore) -> Result<(), Error> {
        let own_copy = || format!("copy-{}", cx.clock.wall());
        task.chosen = task.saved.clone().unwrap_or_else(own_copy);
        Ok(())
    }

    async fn act(&self, cx: &Cx, task: &mut ClusterRestore) -> Result<(), Error> {
        if task.saved.is_none() {
            let records = cx.node.state()?.save(&task.chosen).await?;
            cx.log(&format!("saved {records} records of this node's copy"))
                .await;
        }
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &ClusterRestore) -> Result<(), Error> {
        match task.saved {
            Some(_) => Ok(()),
            None => cx.node.state()?.remove_saved(&task.chosen).await,
        }
    }
}

struct Restart;

#[async_trait]
impl Step<ClusterRestore> for Restart {
    fn name(&self) -> &'static str {
        "restart"
    }

    async fn probe(&self, cx: &Cx, _task: &mut ClusterRestore) -> Result<Probe, Error> {
        Ok(match cx.node.state()?.is_restored(&cx.upid).await? {
            true => Probe::Done,
            false => Probe::NotDone,
        })
    }

    async fn act(&self, cx: &Cx, task: &mut ClusterRestore) -> Result<(), Error> {
        cx.log("restart the agent, which restores the state").await;
        let state = cx.node.state()?;
        let order = RestoreOrder {
            by: cx.upid.clone(),
            saved: task.chosen.clone(),
            link: task.link.clone(),
            generation: task.generation,
            revision: task.revision,
            lock_guests: task.lock_guests,
            failed: None,
        };
        state.order_restore(&order).await?;
        state.restart().await;
        Ok(())
    }

    async fn undo(&self, cx: &Cx, _task: &ClusterRestore) -> Result<(), Error> {
        if let Some(why) = cx.node.state()?.cancel_restore().await? {
            cx.log(&format!("the state could not be restored: {why}"))
                .await;
        }
        Ok(())
    }
}

struct Confirm;

#[async_trait]
impl Step<ClusterRestore> for Confirm {
    fn name(&self) -> &'static str {
        "confirm"
    }

    async fn act(&self, cx: &Cx, task: &mut ClusterRestore) -> Result<(), Error> {
        cx.log("the state is restored").await;
        if task.link.is_none() {
            return Ok(());
        }
        cx.node.cluster.generation.set(task.generation);
        if task.lock_guests {
            let text = "guests are locked: see that each runs nowhere, then unlock it (qm unlock)";
            cx.log(text).await;
        }
        cx.log("other nodes take it over when they come back").await;
        Ok(())
    }
}
