//! Starts the guests that are to run from the machine's boot on.

use std::time::Duration;

use model::{Error, GuestKind, UserId};
use tasks::{Engine, Submission};
use tracing::info;

use crate::NodeContext;
use crate::guests::startup_order;
use crate::tasks::{LxcStart, QemuStart};

/// The kernel's name of this boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// A guest starts only where its record can be changed.
async fn wait_for_quorum(node: &NodeContext) {
    let store = node.records.store();
    if store.outage().is_some() {
        // The words of Proxmox VE.
        info!("waiting for quorum ...");
        store.until_outage(false).await;
        info!("got quorum");
    }
}

/// Starts every guest with `onboot`, in the order of `startup`, once in each boot: an agent that
/// is started again leaves stopped guests alone.
///
/// Waits for quorum. The boot is noted before the first guest is started. If the agent dies in between, the rest
/// is not started by a later one, which could not know what an administrator did meanwhile.
pub async fn start_guests(node: &NodeContext, tasks: &Engine<NodeContext>) -> Result<(), Error> {
    let boot_id = node.host.read(BOOT_ID.as_ref()).await?;
    let noted = node.paths.state().join("last-boot");
    if node
        .host
        .read(&noted)
        .await
        .is_ok_and(|last| last == boot_id)
    {
        return Ok(());
    }
    wait_for_quorum(node).await;
    node.host.write(&noted, &boot_id, 0o644).await?;
    let delay_s = startup_order::onboot_delay_s(node).await?;
    node.clock.sleep(Duration::from_secs(delay_s)).await;
    let guests = startup_order::guests(node).await?;
    for guest in guests.into_iter().filter(|guest| guest.on_boot) {
        let submission = Submission {
            request_id: String::new(),
            user: UserId::root().to_string(),
            id: guest.vmid.to_string(),
            listed: true,
        };
        let upid = match guest.kind {
            GuestKind::Qemu => {
                let start = QemuStart::new(guest.vmid, None, false);
                tasks.submit(submission, start).await?
            }
            GuestKind::Lxc => {
                let start = LxcStart::new(guest.vmid, false, false);
                tasks.submit(submission, start).await?
            }
        };
        info!(vmid = %guest.vmid, %upid, "starts with the machine");
        // In turn: a guest that others need is up before they begin.
        tasks.wait(&upid).await?;
        node.clock.sleep(Duration::from_secs(guest.delay_s)).await;
    }
    Ok(())
}
