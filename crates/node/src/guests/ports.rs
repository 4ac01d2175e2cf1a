//! The ports that guests' network cards are plugged into.

use model::qemu::Net;
use model::{Error, PortSpec, Vlans, VmId, lxc};

use crate::NodeContext;
use crate::host::interfaces::bridges_of_file;

/// Said of a card whose option `firewall` is set.
pub(crate) const FIREWALL_WAITS: &str = "'firewall' is stored but has no effect yet";

/// A VM's card's tap has this name for as long as the card is there.
pub(crate) fn tap(vmid: VmId, index: u8) -> String {
    format!("tap{vmid}i{index}")
}

/// The host's end of a container's card.
pub(crate) fn veth(vmid: VmId, index: u8) -> String {
    format!("veth{vmid}i{index}")
}

/// The port of a VM's card; none where the card is on no bridge.
pub fn of_vm(vmid: VmId, index: u8, net: &Net) -> Option<PortSpec> {
    Some(PortSpec {
        name: tap(vmid, index),
        bridge: net.bridge.clone()?,
        mtu: net.mtu.filter(|mtu| *mtu > 1).map(u32::from),
        vlans: net.vlans(),
        isolated: false,
    })
}

/// The port of a container's card; none where it is on no bridge, or its cable is pulled.
pub(crate) fn of_container(vmid: VmId, index: u8, net: &lxc::Net) -> Option<PortSpec> {
    Some(PortSpec {
        name: veth(vmid, index),
        bridge: net.bridge().filter(|_| !net.is_down())?.to_owned(),
        mtu: net.mtu(),
        vlans: net.vlans(),
        isolated: false,
    })
}

impl NodeContext {
    /// Refuses VLANs that a bridge does not let through, as its `bridge-vids` in
    /// `/etc/network/interfaces` say.
    pub(crate) async fn check_vlans<'a>(
        &self,
        ports: impl IntoIterator<Item = (u8, &'a PortSpec)>,
    ) -> Result<(), Error> {
        let tagged: Vec<(u8, &PortSpec)> = ports
            .into_iter()
            .filter(|(_, port)| !port.vlans.is_empty())
            .collect();
        if tagged.is_empty() {
            return Ok(());
        }
        let bridges = bridges_of_file(self).await?;
        for (index, port) in tagged {
            let bridge = bridges.iter().find(|bridge| bridge.name == port.bridge);
            let Some(vids) = bridge.and_then(|bridge| bridge.fields.get("bridge_vids")?.as_str())
            else {
                continue;
            };
            if let Some(vlan) = not_among(&port.vlans, vids) {
                let bridge = &port.bridge;
                return Err(Error::conflict(format!(
                    "net{index}: VLAN {vlan} does not pass bridge '{bridge}' (bridge-vids {vids})"
                )));
            }
        }
        Ok(())
    }
}

/// The first VLAN of a port that is not in a list such as `2-20 30`.
fn not_among(vlans: &Vlans, vids: &str) -> Option<u16> {
    let vids = vids.replace([' ', '\t', ','], ";");
    let passing = Vlans::of(None, Some(&vids)).trunks;
    let passes = |vlan: u16| {
        let mut ranges = passing.iter();
        ranges.any(|(first, last)| (*first..=*last).contains(&vlan))
    };
    let mut named = vlans.named().flat_map(|(first, last)| first..=last);
    named.find(|vlan| !passes(*vlan))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: S0.11
    #[test]
    fn a_vlan_passes_where_it_is_listed() {
        let tag = |tag| Vlans::of(Some(tag), None);
        for vids in ["2-4094", "2 5 1000-1300", "5,7", "1-5"] {
            assert_eq!(not_among(&tag(5), vids), None, "{vids}");
        }
        assert_eq!(not_among(&tag(6), "2 5 1000-1300"), Some(6));
        let trunks = Vlans::of(Some(5), Some("10-20"));
        assert_eq!(not_among(&trunks, "2-15"), Some(16));
    }
}
