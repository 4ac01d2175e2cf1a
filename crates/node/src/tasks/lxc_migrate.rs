//! Moves a container to another node. One that runs is shut down for it and started there.
//!
//! ```text
//!   claim ─ survey ─ prepare ─ shut-down ─ copy ─ hand-over ┃ finish ─ clear
//!           │                  one that runs                ┃ point of no return: `migrate`; the
//!           what moves                                      ┃ target starts one that ran
//! ```
//!
//! Undone after its shutdown, it is started again here.

use async_trait::async_trait;
use model::{Error, GuestKind, GuestRecord, NodeName, VmId};
use serde::{Deserialize, Serialize};
use tasks::{FollowUp, Probe, Step, Steps, Task, TaskContext};

use super::claim::{Claim, Claims, check_lock};
use super::migrate::{Clear, Copy, Finish, GiveAway, Move, Moves, Prepare};
use super::power_off::power_off;
use super::{LxcStart, guest_object};
use crate::NodeContext;
use crate::guests::hooks::{self, Phase};
use crate::migration::{Ask, Luggage, VERSION, Wanted, bridges};

/// How long a container may take to shut down where nothing is said.
const DEFAULT_TIMEOUT_S: u64 = 180;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LxcMigrate {
    #[serde(flatten)]
    pub moving: Move,
    /// Also one that runs, by shutting it down and starting it there.
    pub restart: bool,
    /// Asked for as with a VM; no container moves while it runs.
    pub online: bool,
    pub timeout_s: Option<u64>,
    /// Whether it runs, found by `survey`.
    #[serde(default)]
    runs: bool,
    /// Whether its shutdown was begun.
    #[serde(default)]
    is_shut_down: bool,
}

impl LxcMigrate {
    pub fn new(vmid: VmId, target: NodeName) -> Self {
        Self {
            moving: Move::new(vmid, target),
            restart: false,
            online: false,
            timeout_s: None,
            runs: false,
            is_shut_down: false,
        }
    }

    /// Refuses what could not be done, before it is a task.
    pub async fn check(&self, node: &NodeContext, guest: &GuestRecord) -> Result<(), Error> {
        self.moving.check(node, guest)?;
        self.check_guest(node, guest).await
    }

    /// The same, as far as the guest is concerned.
    pub(super) async fn check_guest(
        &self,
        node: &NodeContext,
        guest: &GuestRecord,
    ) -> Result<(), Error> {
        self.luggage(node, guest).await?;
        self.moving.find_address(node).await.map(drop)
    }

    async fn luggage(&self, node: &NodeContext, guest: &GuestRecord) -> Result<Luggage, Error> {
        let runs = node.running.is_running(guest.vmid).await?;
        if runs && !self.restart {
            let text = match self.online {
                true => "lxc live migration is currently not implemented",
                false => "can't migrate running container without --online or --restart",
            };
            return Err(Error::conflict(text));
        }
        let Move {
            target, storages, ..
        } = &self.moving;
        let luggage = node.luggage(guest, target, storages, None).await?;
        luggage.check(false)?;
        if runs {
            node.check_bridges(&bridges(guest)?, target).await?;
        }
        Ok(luggage)
    }
}

impl Task for LxcMigrate {
    type Node = NodeContext;
    const NAME: &'static str = "lxc_migrate";
    const VERSION: u32 = 1;
    const KIND: &'static str = "vzmigrate";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Claim, &Survey, &Prepare, &ShutDown, &Copy, &GiveAway],
            after: &[&Finish, &Clear],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.moving.vmid))
    }

    fn follow_up_of_failure(&self) -> Option<FollowUp<NodeContext>> {
        let task = LxcStart::new(self.moving.vmid, false, false);
        self.is_shut_down.then(|| {
            let submit: FollowUp<NodeContext> =
                Box::new(move |engine, submission| Box::pin(engine.submit(submission, task)));
            submit
        })
    }
}

impl Claims for LxcMigrate {
    const SHOWN_AS: &'static str = "migrate";

    fn vmid(&self) -> VmId {
        self.moving.vmid
    }

    fn check(&self, guest: &GuestRecord) -> Result<(), Error> {
        check_lock(guest, false)
    }
}

#[async_trait]
impl Moves for LxcMigrate {
    fn moving(&self) -> &Move {
        &self.moving
    }

    fn moving_mut(&mut self) -> &mut Move {
        &mut self.moving
    }

    fn prepare(&self, volumes: Vec<Wanted>) -> Ask {
        Ask::Prepare {
            version: VERSION,
            volumes,
            live: None,
            starts: self.runs,
        }
    }

    async fn arrived(&self, cx: &Cx) {
        if self.runs {
            cx.log("start container on target node").await;
        }
    }
}

type Cx = TaskContext<NodeContext>;

/// Finds what moves and what must be shared.
struct Survey;

#[async_trait]
impl Step<LxcMigrate> for Survey {
    fn name(&self) -> &'static str {
        "survey"
    }

    async fn plan(&self, cx: &Cx, task: &mut LxcMigrate) -> Result<(), Error> {
        let vmid = task.moving.vmid;
        let guest = cx.node.records.lxc(vmid).await?.record.data;
        let luggage = task.luggage(&cx.node, &guest).await?;
        task.runs = cx.node.running.is_running(vmid).await?;
        task.moving.survey(cx, &guest, luggage).await
    }

    async fn probe(&self, _: &Cx, _: &mut LxcMigrate) -> Result<Probe, Error> {
        Ok(Probe::Done)
    }

    async fn act(&self, cx: &Cx, task: &mut LxcMigrate) -> Result<(), Error> {
        task.moving.begin(cx, "CT").await;
        Ok(())
    }
}

/// Ends a container that runs.
struct ShutDown;

#[async_trait]
impl Step<LxcMigrate> for ShutDown {
    fn name(&self) -> &'static str {
        "shut-down"
    }

    async fn plan(&self, _: &Cx, task: &mut LxcMigrate) -> Result<(), Error> {
        task.is_shut_down = task.runs;
        Ok(())
    }

    async fn act(&self, cx: &Cx, task: &mut LxcMigrate) -> Result<(), Error> {
        if !task.runs {
            return Ok(());
        }
        let vmid = task.moving.vmid;
        cx.log(&format!("shutdown CT {vmid}")).await;
        let timeout_s = task.timeout_s.unwrap_or(DEFAULT_TIMEOUT_S);
        let ended = power_off(cx, vmid, GuestKind::Lxc, timeout_s, false).await;
        if ended.is_err() {
            task.is_shut_down = !cx.node.running.is_running(vmid).await?;
        }
        ended?;
        cx.node.remove_traces(vmid).await?;
        hooks::call_or_warn(cx, vmid, Phase::PostStop).await;
        Ok(())
    }
}
