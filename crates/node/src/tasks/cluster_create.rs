//! Makes a cluster of a single node: its state moves to an etcd, while its guests run on.
//!
//! ```text
//!   start-etcd ─ move ┃ adopt ─ record
//!                 │   point of no return: `store.json` says that the state is in etcd
//!                 quiesce ─ seal the file ─ copy ─ compare ─ decide
//! ```

use std::time::Duration;

use async_trait::async_trait;
use model::{Error, Record};
use serde::{Deserialize, Serialize};
use store::{Commit, Precondition};
use tasks::{Probe, Step, Steps, Task, TaskContext};

use crate::NodeContext;
use crate::membership::change_own_record;
use crate::records::unreadable;
use crate::state::{ClusterRecord, Pointer, Server, cluster_key};

/// How long running tasks may take to end.
pub(super) const QUIET: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClusterCreate {
    pub name: String,
    /// Where this node's etcd listens: an IP address.
    pub address: String,
    /// Chosen by `start-etcd`.
    #[serde(default)]
    server: Option<Server>,
}

impl ClusterCreate {
    pub fn new(name: String, address: String) -> Self {
        Self {
            name,
            address,
            server: None,
        }
    }

    fn server(&self) -> Result<&Server, Error> {
        let none = || Error::bug("no server was chosen");
        self.server.as_ref().ok_or_else(none)
    }
}

impl Task for ClusterCreate {
    type Node = NodeContext;
    const NAME: &'static str = "cluster_create";
    const VERSION: u32 = 1;
    const KIND: &'static str = "clustercreate";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&StartEtcd, &Move],
            after: &[&Adopt, &WriteRecord],
        }
    }

    fn object(&self) -> Option<String> {
        Some("cluster".to_owned())
    }
}

type Cx = TaskContext<NodeContext>;

struct StartEtcd;

#[async_trait]
impl Step<ClusterCreate> for StartEtcd {
    fn name(&self) -> &'static str {
        "start-etcd"
    }

    async fn plan(&self, cx: &Cx, task: &mut ClusterCreate) -> Result<(), Error> {
        if cx.node.state()?.is_decided().await? {
            return Err(Error::conflict("this node is in a cluster already"));
        }
        task.server = Some(Server::first(task.address.clone()));
        Ok(())
    }

    async fn act(&self, cx: &Cx, task: &mut ClusterCreate) -> Result<(), Error> {
        cx.log(&format!("starting etcd at {}", task.address)).await;
        cx.node.state()?.start_server(task.server()?).await
    }

    async fn undo(&self, cx: &Cx, _task: &ClusterCreate) -> Result<(), Error> {
        cx.node.state()?.discard_server().await
    }
}

struct Move;

#[async_trait]
impl Step<ClusterCreate> for Move {
    fn name(&self) -> &'static str {
        "move"
    }

    async fn probe(&self, cx: &Cx, _task: &mut ClusterCreate) -> Result<Probe, Error> {
        Ok(match cx.node.state()?.is_decided().await? {
            true => Probe::Done,
            false => Probe::NotDone,
        })
    }

    async fn act(&self, cx: &Cx, task: &mut ClusterCreate) -> Result<(), Error> {
        let (state, server) = (cx.node.state()?, task.server()?);
        let engine = cx.engine()?;
        cx.log("waiting until no other task runs").await;
        let _quiet = engine.quiesce(&cx.upid, QUIET).await?;
        let last = state.seal(&cx.upid).await?;
        let records = state.copy(server, &cx.upid, last).await?;
        cx.log(&format!("copied and compared {records} records"))
            .await;
        state.decide(&Pointer::to(server.clone())).await
    }

    async fn undo(&self, cx: &Cx, _task: &ClusterCreate) -> Result<(), Error> {
        cx.node.state()?.unseal().await
    }
}

struct Adopt;

#[async_trait]
impl Step<ClusterCreate> for Adopt {
    fn name(&self) -> &'static str {
        "adopt"
    }

    async fn act(&self, cx: &Cx, _task: &mut ClusterCreate) -> Result<(), Error> {
        cx.node.state()?.adopt().await?;
        cx.log("the state is in etcd").await;
        Ok(())
    }
}

struct WriteRecord;

#[async_trait]
impl Step<ClusterCreate> for WriteRecord {
    fn name(&self) -> &'static str {
        "record"
    }

    async fn act(&self, cx: &Cx, task: &mut ClusterCreate) -> Result<(), Error> {
        let cluster = Record::new(ClusterRecord {
            name: task.name.clone(),
            version: 1,
            generation: 0,
            revoked: Vec::new(),
        });
        let cluster = cluster.encode().map_err(unreadable)?;
        // An earlier attempt may have written it.
        if cx.node.records.cluster().await?.is_some() {
            return Ok(());
        }
        let serials = cx.node.state()?.serials().await?;
        let also = Commit::new()
            .when(Precondition::Absent(cluster_key()))
            .put(cluster_key(), cluster);
        let changed =
            change_own_record(&**cx.node.records.store(), &cx.node.name, &also, |member| {
                member.link.clone_from(&task.address);
                member.add_etcd_serials(&serials);
            });
        cx.committed(changed.await?.0);
        Ok(())
    }
}
