//! Makes a single node of the only member of a cluster: its state moves from etcd back into its own
//! file, while its guests run on.
//!
//! ```text
//!   move ┃ adopt ─ forget ─ drop-etcd
//!    │   point of no return: `store.json` is gone
//!    quiesce ─ let changes wait ─ copy ─ compare ─ decide
//! ```

use async_trait::async_trait;
use model::Error;
use serde::{Deserialize, Serialize};
use store::Commit;
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::cluster_create::QUIET;
use crate::NodeContext;
use crate::cluster::Member;
use crate::membership::{Roster, change_own_record};
use crate::state::cluster_key;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ClusterDissolve {}

impl Task for ClusterDissolve {
    type Node = NodeContext;
    const NAME: &'static str = "cluster_dissolve";
    const VERSION: u32 = 1;
    const KIND: &'static str = "clusterdissolve";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Move],
            after: &[&Adopt, &Forget, &DropEtcd],
        }
    }

    fn object(&self) -> Option<String> {
        Some("cluster".to_owned())
    }
}

type Cx = TaskContext<NodeContext>;

struct Move;

#[async_trait]
impl Step<ClusterDissolve> for Move {
    fn name(&self) -> &'static str {
        "move"
    }

    async fn plan(&self, cx: &Cx, _task: &mut ClusterDissolve) -> Result<(), Error> {
        check_alone(cx).await
    }

    async fn probe(&self, cx: &Cx, _task: &mut ClusterDissolve) -> Result<Probe, Error> {
        Ok(match cx.node.state()?.is_decided().await? {
            true => Probe::NotDone,
            false => Probe::Done,
        })
    }

    async fn act(&self, cx: &Cx, _task: &mut ClusterDissolve) -> Result<(), Error> {
        let state = cx.node.state()?;
        let engine = cx.engine()?;
        cx.log("waiting until no other task runs").await;
        let _quiet = engine.quiesce(&cx.upid, QUIET).await?;
        check_alone(cx).await?;
        let records = state.copy_back(&cx.upid).await?;
        cx.log(&format!("copied and compared {records} records"))
            .await;
        state.decide_file().await
    }

    async fn undo(&self, cx: &Cx, _task: &ClusterDissolve) -> Result<(), Error> {
        cx.node.state()?.release().await;
        Ok(())
    }
}

/// Nodes that were invited or admitted could come as long as there is a cluster.
async fn check_alone(cx: &Cx) -> Result<(), Error> {
    let roster = Roster::read(&**cx.node.records.store()).await?;
    roster.check_alone(&cx.node.name)
}

struct Adopt;

#[async_trait]
impl Step<ClusterDissolve> for Adopt {
    fn name(&self) -> &'static str {
        "adopt"
    }

    async fn act(&self, cx: &Cx, _task: &mut ClusterDissolve) -> Result<(), Error> {
        cx.node.state()?.adopt().await?;
        cx.log("the state is in the file of this node").await;
        Ok(())
    }
}

/// Deletes what the cluster wrote about itself.
struct Forget;

#[async_trait]
impl Step<ClusterDissolve> for Forget {
    fn name(&self) -> &'static str {
        "forget"
    }

    async fn act(&self, cx: &Cx, _task: &mut ClusterDissolve) -> Result<(), Error> {
        let also = Commit::new().delete(cluster_key());
        let changed =
            change_own_record(&**cx.node.records.store(), &cx.node.name, &also, |member| {
                let Member {
                    name,
                    address,
                    fingerprint,
                    ..
                } = member.clone();
                *member = Member {
                    role: std::mem::take(&mut member.role),
                    api_fingerprint: std::mem::take(&mut member.api_fingerprint),
                    ..Member::first(name, address, fingerprint)
                };
            });
        cx.committed(changed.await?.0);
        Ok(())
    }
}

struct DropEtcd;

#[async_trait]
impl Step<ClusterDissolve> for DropEtcd {
    fn name(&self) -> &'static str {
        "drop-etcd"
    }

    async fn act(&self, cx: &Cx, _task: &mut ClusterDissolve) -> Result<(), Error> {
        cx.node.state()?.discard_server().await?;
        cx.log("this node is in no cluster any more").await;
        Ok(())
    }
}
