//! What the crate network gives to the crate guest: a tap device for QEMU.

use serde::{Deserialize, Serialize};

/// A tap device on a bridge. The interface exists and is up when this value exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TapSpec {
    /// The interface name, `tap<vmid>i<n>`; 15 characters at most (the kernel's IFNAMSIZ).
    pub name: String,
    /// The bridge that it is a port of.
    pub bridge: String,
    pub mtu: Option<u32>,
}
