//! Guests whose QEMU has ended without being told to.

use model::{GuestKind, UnixTime, VmId};

use super::alert::{Condition, Patience, Severity, Subject};
use crate::NodeContext;

/// It is over when the guest runs again, or is not on this node any more.
pub(super) fn conditions(node: &NodeContext) -> Vec<Condition> {
    let is_here = |vmid| node.history.guests.kind(vmid).is_some();
    let died = node.alerts.ends.died(node.clock.wall(), is_here);
    let condition = |(vmid, at): (VmId, UnixTime)| Condition {
        id: format!("guest-died/{vmid}"),
        severity: Severity::Error,
        subject: Subject::Guest(GuestKind::Qemu, vmid),
        text: format!("VM {vmid} has ended on node '{}': its QEMU died", node.name),
        advice: "look at the node's log, for lack of memory too, and start the guest again"
            .to_owned(),
        since: Some(at),
        patience: Patience::default(),
    };
    died.into_iter().map(condition).collect()
}
