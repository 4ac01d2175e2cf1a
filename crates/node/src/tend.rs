//! Tends running guests: notices those that have ended and clears up after them.

use std::time::Duration;

use guest::qemu::Backend;
use model::{Error, VmId};
use sys::ScopeName;
use tasks::Engine;
use tracing::{info, warn};

use crate::World;
use crate::tasks::guest_object;

/// How often scopes are looked at, in milliseconds.
const LOOK_MS: u64 = 1_000;

/// Looks after guests for as long as the agent lives. Never returns.
///
/// A guest that was shut down from inside has left an empty scope, its taps and its runtime
/// folder. Nobody is waiting for those, so nobody else would remove them.
pub async fn tend(world: &World, tasks: &Engine<World>) {
    loop {
        if let Err(error) = tend_once(world, tasks).await {
            warn!(%error, "guests cannot be looked after");
        }
        world.clock.sleep(Duration::from_millis(LOOK_MS)).await;
    }
}

async fn tend_once(world: &World, tasks: &Engine<World>) -> Result<(), Error> {
    for scope in world.host.scopes().await? {
        let Some(vmid) = scope.vmid() else { continue };
        // Where a task is at work on the guest, an empty scope is that task's to deal with.
        let Some(_hold) = tasks.try_hold(&guest_object(vmid)) else {
            continue;
        };
        if world.host.members(&scope).await?.is_empty() {
            info!(%vmid, "the guest has ended");
            world.remove_traces(vmid).await?;
        }
    }
    Ok(())
}

impl World {
    /// Removes what a guest that no longer runs has on this host: scope, taps, runtime folder.
    /// Ends what is left of its processes.
    pub(crate) async fn remove_traces(&self, vmid: VmId) -> Result<(), Error> {
        let taps = self.taps_of(vmid).await?;
        self.host.kill_scope(&ScopeName::guest(vmid)).await?;
        for tap in taps {
            self.host.remove_tap(&tap).await?;
        }
        self.running.forget(vmid).await
    }

    /// The taps that the guest was started with. Others of such a name are not its own: another
    /// node on this machine may have a guest of the same number.
    async fn taps_of(&self, vmid: VmId) -> Result<Vec<String>, Error> {
        let Some(file) = self.running.run_file(vmid).await? else {
            return Ok(Vec::new());
        };
        let cards = file
            .running_as
            .devices
            .iter()
            .filter_map(|device| match device.backend {
                Backend::Net(index) => Some(format!("tap{vmid}i{index}")),
                _ => None,
            });
        Ok(cards.collect())
    }
}
