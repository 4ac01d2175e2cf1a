//! The steps that end a guest in good order, by its agent or its power button, and clear up
//! after it.

use std::time::Duration;

use async_trait::async_trait;
use model::qemu::Startup;
use model::{Error, GuestKind, VmId};
use tasks::{Probe, Step, Task, TaskContext};

use super::kill::quit;
use super::qmp_failed;
use crate::NodeContext;
use crate::guests::hooks::{self, Phase};
use crate::qemu::agent_turns::agent_option;

/// How long a guest may take where neither caller nor configuration say.
const DEFAULT_TIMEOUT_S: u64 = 60;

/// How often it is looked at meanwhile, and how often the button is pressed again: a guest that
/// is still booting misses the first time.
const LOOK_MS: u64 = 200;
const PRESS_AGAIN_S: u64 = 20;

/// How long its agent may take to say that it has heard; the power button works without a word.
const AGENT_WAIT_S: u64 = 10;

/// A task that ends a guest in good order.
pub(super) trait PowersOff: Task<Node = NodeContext> {
    fn vmid(&self) -> VmId;
    fn timeout_s(&self) -> Option<u64>;
    /// Whether what does not end in time is stopped.
    fn force_stop(&self) -> bool;

    const GUEST: GuestKind = GuestKind::Qemu;
}

pub(super) struct PowerOff;

#[async_trait]
impl<T: PowersOff> Step<T> for PowerOff {
    fn name(&self) -> &'static str {
        "power-off"
    }

    async fn probe(&self, cx: &TaskContext<NodeContext>, task: &mut T) -> Result<Probe, Error> {
        let is_running = cx.node.running.is_running(task.vmid()).await?;
        Ok(if is_running {
            Probe::NotDone
        } else {
            Probe::Done
        })
    }

    async fn act(&self, cx: &TaskContext<NodeContext>, task: &mut T) -> Result<(), Error> {
        let timeout_s = match task.timeout_s() {
            Some(timeout_s) => timeout_s,
            None => default_timeout_s(cx, task.vmid()).await,
        };
        power_off(cx, task.vmid(), T::GUEST, timeout_s, task.force_stop()).await
    }
}

/// Asks a guest to end, and waits for that. What does not end in time is stopped or an error.
pub(super) async fn power_off(
    cx: &TaskContext<NodeContext>,
    vmid: VmId,
    kind: GuestKind,
    timeout_s: u64,
    force_stop: bool,
) -> Result<(), Error> {
    let started = cx.clock.monotonic();
    let mut press_at = started;
    if cx.node.running.is_running(vmid).await? {
        hooks::call_or_warn(cx, vmid, Phase::PreStop).await;
    }
    while cx.node.running.is_running(vmid).await? {
        let now = cx.clock.monotonic();
        if now >= started + Duration::from_secs(timeout_s) {
            if force_stop {
                cx.log("the guest did not end in time, stopping it").await;
                if kind == GuestKind::Qemu {
                    quit(cx, vmid).await;
                }
                return cx.node.remove_traces(vmid).await;
            }
            return Err(Error::unavailable(match kind {
                GuestKind::Qemu => "VM quit/powerdown failed - got timeout",
                GuestKind::Lxc => "container did not stop",
            }));
        }
        if now >= press_at {
            let left = started + Duration::from_secs(timeout_s) - now;
            match kind {
                GuestKind::Lxc => cx.node.ask_container_to_end(vmid).await?,
                GuestKind::Qemu => {
                    if !ask_agent(cx, vmid, left).await? {
                        press(cx, vmid).await?;
                    }
                }
            }
            press_at = now + Duration::from_secs(PRESS_AGAIN_S);
        }
        cx.clock.sleep(Duration::from_millis(LOOK_MS)).await;
    }
    Ok(())
}

/// What the guest's `startup` gives it, as when its node shuts down. A guest is shut down although
/// the store does not answer.
async fn default_timeout_s(cx: &TaskContext<NodeContext>, vmid: VmId) -> u64 {
    let guest = cx.node.records.local().guest(vmid).await;
    let startup = guest
        .ok()
        .and_then(|guest| guest.record.data.config.text("startup"));
    let startup = startup.and_then(|text| Startup::parse(&text).ok());
    startup
        .and_then(|startup| startup.down_seconds)
        .map_or(DEFAULT_TIMEOUT_S, u64::from)
}

/// Has the guest's agent shut it down, where one is configured and answers in this time. False
/// where it must be done by the power button.
async fn ask_agent(
    cx: &TaskContext<NodeContext>,
    vmid: VmId,
    left: Duration,
) -> Result<bool, Error> {
    let guest = cx.node.records.local().qemu(vmid).await?.record.data;
    if !agent_option(&guest).enabled {
        return Ok(false);
    }
    let asking = async {
        let mut agent = cx.node.running_agent(vmid).await?;
        let asked = agent.shut_down().await;
        asked.map_err(|error| agent.failed(error))
    };
    let wait = left.min(Duration::from_secs(AGENT_WAIT_S));
    let asked = tokio::time::timeout(wait, asking).await;
    let late = || Error::unavailable("the guest agent did not answer in time");
    let asked = asked.unwrap_or_else(|_| Err(late()));
    match asked {
        Ok(()) => Ok(true),
        Err(_) if !cx.node.running.is_running(vmid).await? => Ok(true),
        Err(error) => {
            let line = format!("{error}; pressing the power button instead");
            cx.log(&line).await;
            Ok(false)
        }
    }
}

/// A guest that has just ended cannot be talked to any more, and need not be.
async fn press(cx: &TaskContext<NodeContext>, vmid: VmId) -> Result<(), Error> {
    let pressed = match cx.node.running.qmp(vmid).await {
        Ok(qmp) => qmp.press_power_button().await.map_err(qmp_failed),
        Err(error) => Err(error),
    };
    match pressed {
        Err(error) if cx.node.running.is_running(vmid).await? => Err(error),
        _ => Ok(()),
    }
}

pub(super) struct ClearUp;

#[async_trait]
impl<T: PowersOff> Step<T> for ClearUp {
    fn name(&self) -> &'static str {
        "clear-up"
    }

    async fn act(&self, cx: &TaskContext<NodeContext>, task: &mut T) -> Result<(), Error> {
        cx.node.remove_traces(task.vmid()).await?;
        hooks::call_or_warn(cx, task.vmid(), Phase::PostStop).await;
        Ok(())
    }
}
