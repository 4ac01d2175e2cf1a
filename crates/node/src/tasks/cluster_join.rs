//! Joins a cluster: this node's own state stays behind, the cluster's takes its place.
//!
//! ```text
//!   apply ─ move ┃ restart ─ confirm
//!           │   point of no return: `store.json` says that the state is the cluster's
//!           quiesce ─ seal the file ─ decide
//! ```

use std::time::Duration;

use async_trait::async_trait;
use model::Error;
use serde::{Deserialize, Serialize};
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::cluster_create::QUIET;
use crate::NodeContext;
use crate::membership::{Application, Contact, Roster, keep, make_keys};
use crate::state::Pointer;

/// How long the cluster may take to show this node as a member.
const CONFIRM: Duration = Duration::from_secs(80);
/// The pause before it is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClusterJoin {
    pub contact: Contact,
    /// The address of link 0: an IP address of this node.
    pub link: String,
    /// Where the agent listens for other members, `HOST:PORT`.
    pub address: String,
    pub nodeid: Option<u32>,
    /// Takes the place of a member with this name that does not answer.
    pub force: bool,
    /// The name of the password at `NodeContext::handover`.
    pub password: String,
    /// What the cluster answered.
    #[serde(default)]
    endpoints: Vec<String>,
}

impl ClusterJoin {
    pub fn new(contact: Contact, link: String, address: String, password: String) -> Self {
        Self {
            contact,
            link,
            address,
            nodeid: None,
            force: false,
            password,
            endpoints: Vec::new(),
        }
    }
}

impl Task for ClusterJoin {
    type Node = NodeContext;
    const NAME: &'static str = "cluster_join";
    const VERSION: u32 = 1;
    const KIND: &'static str = "clusterjoin";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Apply, &Move],
            after: &[&Restart, &Confirm],
        }
    }

    fn object(&self) -> Option<String> {
        Some("cluster".to_owned())
    }
}

type Cx = TaskContext<NodeContext>;

/// A node that has something of its own that the cluster's state would replace cannot join.
async fn check_empty(cx: &Cx) -> Result<(), Error> {
    match cx.node.records.guests().await?.next() {
        None => Ok(()),
        Some(_) => Err(Error::conflict("this host already contains virtual guests")),
    }
}

struct Apply;

#[async_trait]
impl Step<ClusterJoin> for Apply {
    fn name(&self) -> &'static str {
        "apply"
    }

    async fn plan(&self, cx: &Cx, _task: &mut ClusterJoin) -> Result<(), Error> {
        if cx.node.state()?.is_decided().await? {
            return Err(Error::conflict("this node is in a cluster already"));
        }
        check_empty(cx).await
    }

    async fn act(&self, cx: &Cx, task: &mut ClusterJoin) -> Result<(), Error> {
        let (node, host) = (&cx.node, &task.contact.host);
        let lost = || Error::unavailable("the password was lost with a restart of the agent");
        let password = node.handover.take(&task.password).ok_or_else(lost)?;
        let keys = make_keys(&node.host, &node.paths).await?;
        let application = Application {
            address: task.address.clone(),
            link: task.link.clone(),
            nodeid: task.nodeid,
            force: task.force,
            ..Application::new(keys, cx.clock.wall())
        };
        cx.log(&format!("Establishing API connection with host '{host}'"))
            .await;
        cx.log("Request addition of this node").await;
        let state = node.state()?;
        let admission = state.apply(&task.contact, &password, &application).await?;
        keep(&node.host, &node.paths, &admission).await?;
        task.endpoints = admission.endpoints;
        let name = &admission.cluster;
        cx.log("Join request OK, finishing setup locally").await;
        cx.log(&format!(
            "joining cluster '{name}' as node {}",
            admission.nodeid
        ))
        .await;
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &ClusterJoin) -> Result<(), Error> {
        cx.node.handover.take(&task.password);
        cx.node.host.remove_tree(&cx.node.paths.joining()).await?;
        Ok(())
    }
}

struct Move;

#[async_trait]
impl Step<ClusterJoin> for Move {
    fn name(&self) -> &'static str {
        "move"
    }

    async fn probe(&self, cx: &Cx, _task: &mut ClusterJoin) -> Result<Probe, Error> {
        Ok(match cx.node.state()?.is_decided().await? {
            true => Probe::Done,
            false => Probe::NotDone,
        })
    }

    async fn act(&self, cx: &Cx, task: &mut ClusterJoin) -> Result<(), Error> {
        let state = cx.node.state()?;
        let engine = cx.engine()?;
        cx.log("waiting until no other task runs").await;
        let _quiet = engine.quiesce(&cx.upid, QUIET).await?;
        check_empty(cx).await?;
        state.seal(&cx.upid).await?;
        state.decide(&Pointer::at(task.endpoints.clone())).await
    }

    async fn undo(&self, cx: &Cx, _task: &ClusterJoin) -> Result<(), Error> {
        cx.node.state()?.unseal().await
    }
}

struct Restart;

#[async_trait]
impl Step<ClusterJoin> for Restart {
    fn name(&self) -> &'static str {
        "restart"
    }

    async fn probe(&self, cx: &Cx, _task: &mut ClusterJoin) -> Result<Probe, Error> {
        Ok(match cx.node.state()?.is_adopted().await? {
            true => Probe::Done,
            false => Probe::NotDone,
        })
    }

    async fn act(&self, cx: &Cx, _task: &mut ClusterJoin) -> Result<(), Error> {
        cx.log("generate new node certificate, restart the agent")
            .await;
        cx.node.state()?.restart().await;
        Ok(())
    }
}

struct Confirm;

#[async_trait]
impl Step<ClusterJoin> for Confirm {
    fn name(&self) -> &'static str {
        "confirm"
    }

    async fn act(&self, cx: &Cx, _task: &mut ClusterJoin) -> Result<(), Error> {
        let own = &cx.node.name;
        let begun = cx.clock.monotonic();
        loop {
            let roster = Roster::read(&**cx.node.records.store()).await;
            match roster {
                Ok(roster) if roster.members.contains_key(own) => break,
                Err(error) if cx.clock.monotonic() - begun > CONFIRM => return Err(error),
                Ok(_) if cx.clock.monotonic() - begun > CONFIRM => {
                    let text = format!("the cluster does not show node '{own}' as a member");
                    return Err(Error::unavailable(text));
                }
                _ => cx.clock.sleep(ASK_AGAIN).await,
            }
        }
        cx.log(&format!("successfully added node '{own}' to cluster."))
            .await;
        Ok(())
    }
}
