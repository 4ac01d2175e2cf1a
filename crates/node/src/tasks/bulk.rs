//! What actions on many guests share.
//!
//! Their work is the tasks of the guests themselves. One that fails does not hold up the others; the
//! task ends with an error that names the failed ones.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use model::{Error, GuestKind, Upid, VmId};
use tasks::{Task, TaskContext, TaskState};

use super::node_all::{Chosen, submit};
use super::{LxcShutdown, LxcStart, QemuShutdown, QemuStart};
use crate::NodeContext;
use crate::guests::startup_order::{self, StartupOrder};

type Cx = TaskContext<NodeContext>;

/// An action, by the words of its log.
pub(super) struct Action {
    /// "Starting"
    pub(super) doing: &'static str,
    /// "start:"
    pub(super) failed_to: &'static str,
    pub(super) order: Order,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Startup,
    Reverse,
}

impl Action {
    /// Runs the action for each chosen guest, some at a time; guests of the next turn wait for all
    /// of the one before. Returns the guests for which it failed.
    pub(super) async fn on<F>(
        &self,
        cx: &Cx,
        chosen: &Chosen,
        act: impl Fn(StartupOrder) -> F,
    ) -> Result<Vec<VmId>, Error>
    where
        F: Future<Output = Result<(), Error>>,
    {
        self.announce(cx, chosen).await;
        let workers = chosen.workers(&cx.node).await?;
        let mut turns = startup_order::groups(chosen.of(&cx.node).await?);
        if self.order == Order::Reverse {
            turns.reverse();
        }
        let mut failed = Vec::new();
        for turn in turns {
            let delay_s = turn.iter().map(|guest| guest.delay_s).max();
            let act = &act;
            let acting = stream::iter(turn).map(|guest| async move {
                let (vmid, kind) = (guest.vmid, guest.kind);
                (vmid, kind, act(guest).await)
            });
            let mut acting = std::pin::pin!(acting.buffer_unordered(workers));
            while let Some((vmid, kind, ended)) = acting.next().await {
                if let Err(error) = ended {
                    let doing = self.doing;
                    let word = kind.word();
                    cx.warn(&format!("{doing} {word} {vmid} failed: {error}"))
                        .await;
                    failed.push(vmid);
                }
            }
            if self.order == Order::Startup {
                // Guests that others need are up before those begin.
                let delay = Duration::from_secs(delay_s.unwrap_or(0));
                cx.clock.sleep(delay).await;
            }
        }
        Ok(failed)
    }

    /// The result of a task with these failures.
    pub(super) fn verdict(&self, failed: &[VmId]) -> Result<(), Error> {
        verdict(self.failed_to, failed)
    }

    async fn announce(&self, cx: &Cx, chosen: &Chosen) {
        let doing = self.doing;
        let text = match &chosen.vmids {
            None => format!("{doing} all guests"),
            Some(vmids) => format!("{doing} guests: {}", list(vmids)),
        };
        cx.log(&text).await;
    }
}

/// The result of a task that failed to do this to these guests.
pub(super) fn verdict(failed_to: &str, failed: &[VmId]) -> Result<(), Error> {
    match failed {
        [] => Ok(()),
        _ => {
            let text = format!("Some guests failed to {failed_to} {}", list(failed));
            Err(Error::conflict(text))
        }
    }
}

pub(super) fn list(vmids: &[VmId]) -> String {
    let vmids: Vec<String> = vmids.iter().map(VmId::to_string).collect();
    vmids.join(", ")
}

/// Runs a guest's task to its end.
pub(super) async fn run<T: Task<Node = NodeContext>>(
    cx: &Cx,
    vmid: VmId,
    task: T,
) -> Result<(), Error> {
    let upid = submit(cx, vmid, task).await?;
    until_ended(cx, &upid).await
}

/// Waits for a task of a guest; its error is the result.
pub(super) async fn until_ended(cx: &Cx, upid: &Upid) -> Result<(), Error> {
    let summary = cx.engine()?.wait(upid).await?;
    match summary.state {
        TaskState::Ended { ref status, .. } if !summary.is_ok() => {
            Err(Error::conflict(status.clone()))
        }
        _ => Ok(()),
    }
}

/// Skips a guest that does not run.
pub(super) async fn is_skipped(cx: &Cx, vmid: VmId) -> Result<bool, Error> {
    let is_running = cx.node.running.is_running(vmid).await?;
    if !is_running {
        cx.warn(&format!("Skipping VM {vmid}, not running.")).await;
    }
    Ok(!is_running)
}

/// Starts a guest of whatever kind, to its end.
pub(super) async fn start(
    cx: &Cx,
    guest: &StartupOrder,
    timeout_s: Option<u64>,
) -> Result<(), Error> {
    match guest.kind {
        GuestKind::Qemu => run(cx, guest.vmid, QemuStart::new(guest.vmid, timeout_s, false)).await,
        GuestKind::Lxc => run(cx, guest.vmid, LxcStart::new(guest.vmid, false, false)).await,
    }
}

/// Submits the start of a guest of whatever kind.
pub(super) async fn submit_start(cx: &Cx, guest: &StartupOrder) -> Result<Upid, Error> {
    match guest.kind {
        GuestKind::Qemu => submit(cx, guest.vmid, QemuStart::new(guest.vmid, None, false)).await,
        GuestKind::Lxc => submit(cx, guest.vmid, LxcStart::new(guest.vmid, false, false)).await,
    }
}

/// Submits the shutdown of a guest of whatever kind.
pub(super) async fn submit_shutdown(
    cx: &Cx,
    guest: &StartupOrder,
    timeout_s: u64,
    force_stop: bool,
) -> Result<Upid, Error> {
    let (vmid, timeout_s) = (guest.vmid, Some(timeout_s));
    match guest.kind {
        GuestKind::Qemu => {
            let task = QemuShutdown {
                vmid,
                timeout_s,
                force_stop,
            };
            submit(cx, vmid, task).await
        }
        GuestKind::Lxc => {
            let task = LxcShutdown {
                vmid,
                timeout_s,
                force_stop,
            };
            submit(cx, vmid, task).await
        }
    }
}
