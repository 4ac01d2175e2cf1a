//! Ports of guests: a VM's tap, or the host's end of a container's veth pair, on an existing bridge,
//! with its VLANs.
//!
//! ```text
//!   node::tasks ── attach / connect (PortSpec) ──► port ──► bridge of the kernel
//!                                                      ──► bridge of the kernel that knows VLANs
//!                                                      ──► bridge of Open vSwitch
//! ```
//!
//! It creates no bridges, those are the administrator's, but for the VLAN of a bridge that knows none:
//! that VLAN gets one beside it (`vlan`).
//!
//! **Invariants.** When `attach` has returned, the device exists, is up and is a port of its bridge;
//! when it fails, the task's undo removes the device by its planned name. A port forwards nothing
//! before its VLANs are set.

mod ip;
mod limit;
mod openvswitch;
mod port;
mod vlan;

pub use limit::limit;
pub use port::{attach, connect, detach, forget, missing_bridges, set_isolated};
