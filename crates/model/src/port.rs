//! What the crate network gives to the crate guest: a port of a bridge.

use serde::{Deserialize, Serialize};

/// A guest's link to a bridge: a VM's tap, or the host's end of a container's veth pair. The
/// interface exists and is up as long as this value exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortSpec {
    /// The interface name, `tap<vmid>i<n>`; 15 characters at most (the kernel's IFNAMSIZ).
    pub name: String,
    /// The bridge that it is a port of.
    pub bridge: String,
    pub mtu: Option<u32>,
    #[serde(default)]
    pub vlans: Vlans,
    /// It reaches only ports of the bridge that are not isolated.
    #[serde(default)]
    pub isolated: bool,
}

/// The VLANs of a port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vlans {
    /// Frames of this VLAN are the guest's untagged ones.
    pub tag: Option<u16>,
    /// First and last of the VLANs that it sends and gets tagged. Without these and a tag it has
    /// all, where its bridge knows VLANs.
    pub trunks: Vec<(u16, u16)>,
}

impl Vlans {
    /// The highest number of a VLAN.
    pub const LAST: u16 = 4094;

    /// Of a card's options; trunks as `5;10-20`. Parts that are no VLANs are left out: the options'
    /// own rules refuse them.
    pub fn of(tag: Option<u16>, trunks: Option<&str>) -> Self {
        let parts = trunks.unwrap_or_default().split(';');
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            let is_range = 1 <= first && first <= last && last <= Self::LAST;
            is_range.then_some((first, last))
        };
        Self {
            tag,
            trunks: parts.filter_map(range).collect(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.tag.is_none() && self.trunks.is_empty()
    }

    /// First and last of all VLANs that are named.
    pub fn named(&self) -> impl Iterator<Item = (u16, u16)> {
        let tag = self.tag.map(|tag| (tag, tag));
        tag.into_iter().chain(self.trunks.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trunks_are_numbers_and_ranges() {
        let vlans = Vlans::of(Some(7), Some("2;10-20;4094"));
        assert_eq!(vlans.trunks, [(2, 2), (10, 20), (4094, 4094)]);
        let named: Vec<_> = vlans.named().collect();
        assert_eq!(named[0], (7, 7));
        assert_eq!(named.len(), 4);
        assert!(Vlans::of(None, Some("0;20-10;4095;x")).is_empty());
    }
}
