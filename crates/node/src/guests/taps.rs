//! The taps that a guest's network cards are plugged into.

use model::qemu::Net;
use model::{PortSpec, VmId};

/// A card's tap has this name for as long as the card is there.
pub(crate) fn name(vmid: VmId, index: u8) -> String {
    format!("tap{vmid}i{index}")
}

/// The tap of a card; none where the card is on no bridge.
pub fn spec(vmid: VmId, index: u8, net: &Net) -> Option<PortSpec> {
    Some(PortSpec {
        name: name(vmid, index),
        bridge: net.bridge.clone()?,
        mtu: net.mtu.filter(|mtu| *mtu > 1).map(u32::from),
    })
}
