//! Notices guests that have ended, and clears up after them.
//!
//! ```text
//!   a guest's QMP connection ──► listen: says why it shuts down
//!                                  │ lost: the guest has ended
//!                                  ▼
//!           every second, too ──► look ──► remove_traces
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use guest::RunFile;
use guest::qemu::{Backend, Event};
use model::{Error, VmId, lxc};
use storage::Attacher;
use sys::ScopeName;
use tasks::Engine;
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use crate::NodeContext;
use crate::guests::hooks::Phase;
use crate::guests::ports;
use crate::tasks::guest_object;

/// How often scopes are looked at, in milliseconds.
const LOOK_MS: u64 = 1_000;

/// How long a QEMU that has closed its monitor may take until its process is gone.
const LAST_MOMENTS: Duration = Duration::from_secs(2);
const LAST_LOOK: Duration = Duration::from_millis(10);

/// Looks after guests for as long as the agent lives. Never returns.
///
/// A guest that was shut down from inside has left an empty scope, its taps and its runtime
/// folder. No task waits for it, so that only this removes them.
pub async fn reap_guests(node: &Arc<NodeContext>, tasks: &Engine<NodeContext>) {
    let mut listeners = Listeners::default();
    loop {
        if let Err(error) = reap_once(node, tasks).await {
            warn!(%error, "guests cannot be looked after");
        }
        if let Err(error) = listeners.listen_to_all(node).await {
            warn!(%error, "guests cannot be listened to");
        }
        tokio::select! {
            () = node.clock.sleep(Duration::from_millis(LOOK_MS)) => {}
            () = listeners.one_ended() => {}
        }
    }
}

/// The tasks that listen, one for each running guest.
#[derive(Default)]
struct Listeners {
    guests: BTreeSet<VmId>,
    listening: JoinSet<VmId>,
}

impl Listeners {
    /// Begins to listen to guests that have no listener yet, such as those of an earlier agent.
    async fn listen_to_all(&mut self, node: &Arc<NodeContext>) -> Result<(), Error> {
        for scope in node.host.scopes().await? {
            let Some(vmid) = scope.vmid() else { continue };
            // A container says nothing: it is only looked at.
            if node.running.container_file(vmid).await?.is_some() {
                continue;
            }
            if self.guests.insert(vmid) {
                let node = Arc::clone(node);
                self.listening.spawn(async move {
                    if let Err(error) = listen(&node, vmid).await {
                        // It is being started, or ends.
                        debug!(%vmid, %error, "not listened to");
                        node.clock.sleep(Duration::from_millis(LOOK_MS)).await;
                    }
                    vmid
                });
            }
        }
        Ok(())
    }

    /// Waits until a guest that was listened to has ended.
    async fn one_ended(&mut self) {
        match self.listening.join_next().await {
            Some(Ok(vmid)) => {
                self.guests.remove(&vmid);
            }
            Some(Err(error)) => warn!(%error, "a listener was cut off"),
            None => std::future::pending().await,
        }
    }
}

/// Hears a guest's events until its QEMU ends.
async fn listen(node: &NodeContext, vmid: VmId) -> Result<(), Error> {
    let qmp = node.running.qmp(vmid).await?;
    let mut events = qmp.events();
    node.alerts.ends.listening(vmid);
    while let Ok(event) = events.next().await {
        note(node, vmid, &event);
    }
    let deadline = node.clock.monotonic() + LAST_MOMENTS;
    while node.running.is_running(vmid).await? && node.clock.monotonic() < deadline {
        node.clock.sleep(LAST_LOOK).await;
    }
    node.status.nudge();
    Ok(())
}

/// Says why a guest ends.
fn note(node: &NodeContext, vmid: VmId, event: &Event) {
    if event.name == "SHUTDOWN" {
        node.alerts.ends.shuts_down(vmid);
        let reason = event.data["reason"].as_str().unwrap_or("unknown");
        let by_guest = event.data["guest"] == true;
        info!(%vmid, reason, by_guest, "the guest shuts down");
    }
}

async fn reap_once(node: &NodeContext, tasks: &Engine<NodeContext>) -> Result<(), Error> {
    for scope in node.host.scopes().await? {
        let Some(vmid) = scope.vmid() else { continue };
        if node.arrivals.contains(vmid) {
            continue;
        }
        // Where a task is at work on the guest, an empty scope is that task's to deal with.
        let Some(_hold) = tasks.try_hold(&guest_object(vmid)) else {
            continue;
        };
        if node.host.members(&scope).await?.is_empty() {
            info!(%vmid, "the guest has ended");
            node.alerts.ends.ended(vmid, node.clock.wall());
            node.remove_traces(vmid).await?;
            node.call_hook_outside_tasks(vmid, Phase::PostStop).await;
        }
    }
    Ok(())
}

impl NodeContext {
    /// Removes what a guest that no longer runs has on this host: scope, taps, attached volumes,
    /// runtime folder. Ends what is left of its processes.
    pub(crate) async fn remove_traces(&self, vmid: VmId) -> Result<(), Error> {
        let file = self.running.run_file(vmid).await?;
        self.host.kill_scope(&ScopeName::guest(vmid)).await?;
        if let Some(file) = &file {
            for tap in taps_of(file) {
                network::detach(&*self.host, &tap).await?;
            }
            let epoch = file.epoch;
            let by = Attacher::Guest { vmid, epoch };
            self.detach_all(&file.volumes, &by).await;
            self.give_back(&file.pcis, &file.made_pages).await?;
        }
        if let Some(file) = self.running.container_file(vmid).await? {
            let epoch = file.epoch;
            let by = Attacher::Guest { vmid, epoch };
            self.detach_all(&file.volumes, &by).await;
            // The links themselves went with the container.
            let cards: Vec<String> = (0..lxc::NETS as u8)
                .map(|index| ports::veth(vmid, index))
                .collect();
            let cards: Vec<&str> = cards.iter().map(String::as_str).collect();
            network::forget(&*self.host, &cards).await?;
        }
        self.running.forget(vmid).await
    }
}

/// The taps that the guest was started with. Others of such a name are not its own: another node on
/// this machine may have a guest of the same number.
fn taps_of(file: &RunFile) -> impl Iterator<Item = String> {
    let devices = file.running_as.devices.iter();
    devices.filter_map(|device| match device.backend {
        Backend::Net(index) => Some(ports::tap(file.vmid, index)),
        _ => None,
    })
}
