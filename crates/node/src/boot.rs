//! Starts the guests that are to run from the machine's boot on.

use std::time::Duration;

use guest::qemu::VmConfig;
use model::{Error, UserId, VmId};
use tasks::{Engine, Submission};
use tracing::{info, warn};

use crate::World;
use crate::tasks::QemuStart;

/// The kernel's name of this boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// A guest that starts with the machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Onboot {
    /// Those without an order come last.
    order: u32,
    vmid: VmId,
    /// How long the next one waits after this one was started, in seconds.
    delay_s: u64,
}

/// Starts every guest with `onboot`, in the order of `startup`, once in each boot: an agent that
/// is started again leaves stopped guests alone.
///
/// The boot is noted before the first guest is started. If the agent dies in between, the rest
/// is not started by a later one, which could not know what an administrator did meanwhile.
pub async fn start_guests(world: &World, tasks: &Engine<World>) -> Result<(), Error> {
    let boot_id = world.host.read(BOOT_ID.as_ref()).await?;
    let noted = world.paths.state().join("last-boot");
    if world
        .host
        .read(&noted)
        .await
        .is_ok_and(|last| last == boot_id)
    {
        return Ok(());
    }
    world.host.write(&noted, &boot_id, 0o644).await?;
    let mut guests = guests_of(world).await?;
    guests.sort();
    for guest in guests {
        let submission = Submission {
            request_id: String::new(),
            user: UserId::root().to_string(),
            id: guest.vmid.to_string(),
        };
        let upid = tasks
            .submit(submission, QemuStart::new(guest.vmid, None, false))
            .await?;
        info!(vmid = %guest.vmid, %upid, "starts with the machine");
        // In turn: a guest that others need is up before they begin.
        tasks.wait(&upid).await?;
        world.clock.sleep(Duration::from_secs(guest.delay_s)).await;
    }
    Ok(())
}

async fn guests_of(world: &World) -> Result<Vec<Onboot>, Error> {
    let mut found = Vec::new();
    for entry in world.records.guests().await? {
        let guest = entry.record.data;
        let is_ours = guest.node == world.node && guest.config.flag("onboot") == Some(true);
        if !is_ours {
            continue;
        }
        match VmConfig::parse(&guest.config) {
            Ok(config) => {
                let startup = config.startup.unwrap_or_default();
                found.push(Onboot {
                    order: startup.order.unwrap_or(u32::MAX),
                    vmid: guest.vmid,
                    delay_s: startup.up_seconds.unwrap_or(0).into(),
                });
            }
            Err(errors) => warn!(vmid = %guest.vmid, ?errors, "cannot start with the machine"),
        }
    }
    Ok(found)
}
