//! What network hands to guest: a port of a bridge.

use serde::{Deserialize, Serialize};

/// A guest's link to a bridge: a VM's tap, or the host's end of a container's veth pair. It exists
/// and is up when this value exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortSpec {
    /// The interface name, `tap<vmid>i<n>`; 15 characters at most (the kernel's IFNAMSIZ).
    pub name: String,
    /// The bridge that it is a port of.
    pub bridge: String,
    pub mtu: Option<u32>,
}
