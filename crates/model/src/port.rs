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
}
