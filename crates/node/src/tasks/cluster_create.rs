//! Makes a cluster of a single node: its state moves to an etcd, while its guests run on.
//!
//! ```text
//!   start-etcd ─ move ┃ adopt ─ record
//!                 │   point of no return: `store.json` says that the state is in etcd
//!                 quiesce ─ seal the file ─ copy ─ compare ─ decide
//! ```

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::{Error, Record};
use serde::{Deserialize, Serialize};
use store::{Commit, Precondition, StoreError};
use tasks::{Probe, Step, Steps, Task, TaskContext};
use uuid::Uuid;

use crate::NodeContext;
use crate::state::{ClusterMove, ClusterRecord, Server, cluster_key};

/// How long running tasks may take to end.
const QUIET: Duration = Duration::from_secs(60);

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

fn state(cx: &Cx) -> Result<&Arc<dyn ClusterMove>, Error> {
    let none = || Error::bug("this agent's state cannot move");
    cx.node.state.as_ref().ok_or_else(none)
}

struct StartEtcd;

#[async_trait]
impl Step<ClusterCreate> for StartEtcd {
    fn name(&self) -> &'static str {
        "start-etcd"
    }

    async fn plan(&self, cx: &Cx, task: &mut ClusterCreate) -> Result<(), Error> {
        if state(cx)?.is_decided().await? {
            return Err(Error::conflict("this node is in a cluster already"));
        }
        task.server = Some(Server {
            address: task.address.clone(),
            token: Uuid::new_v4().to_string(),
        });
        Ok(())
    }

    async fn act(&self, cx: &Cx, task: &mut ClusterCreate) -> Result<(), Error> {
        cx.log(&format!("starting etcd at {}", task.address)).await;
        state(cx)?.start_server(task.server()?).await
    }

    async fn undo(&self, cx: &Cx, _task: &ClusterCreate) -> Result<(), Error> {
        state(cx)?.discard_server().await
    }
}

struct Move;

#[async_trait]
impl Step<ClusterCreate> for Move {
    fn name(&self) -> &'static str {
        "move"
    }

    async fn probe(&self, cx: &Cx, _task: &mut ClusterCreate) -> Result<Probe, Error> {
        Ok(match state(cx)?.is_decided().await? {
            true => Probe::Done,
            false => Probe::NotDone,
        })
    }

    async fn act(&self, cx: &Cx, task: &mut ClusterCreate) -> Result<(), Error> {
        let (state, server) = (state(cx)?, task.server()?);
        let engine = cx.engine()?;
        cx.log("waiting until no other task runs").await;
        let _quiet = engine.quiesce(&cx.upid, QUIET).await?;
        let last = state.seal(&cx.upid).await?;
        let records = state.copy(server, &cx.upid, last).await?;
        cx.log(&format!("copied and compared {records} records"))
            .await;
        state.decide(server).await
    }

    async fn undo(&self, cx: &Cx, _task: &ClusterCreate) -> Result<(), Error> {
        state(cx)?.unseal().await
    }
}

struct Adopt;

#[async_trait]
impl Step<ClusterCreate> for Adopt {
    fn name(&self) -> &'static str {
        "adopt"
    }

    async fn act(&self, cx: &Cx, _task: &mut ClusterCreate) -> Result<(), Error> {
        state(cx)?.adopt().await?;
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
        let record = Record::new(ClusterRecord {
            name: task.name.clone(),
            version: 1,
        });
        let value = record
            .encode()
            .map_err(|error| Error::bug(error.to_string()))?;
        let commit = Commit::new()
            .when(Precondition::Absent(cluster_key()))
            .put(cluster_key(), value);
        match cx.node.records.store().commit(commit).await {
            Ok(revision) => cx.committed(revision.0),
            // An earlier attempt has written it.
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}
