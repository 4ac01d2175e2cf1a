//! The options of a container: their schemas, and typed views of those that are more than a number
//! or a flag.
//!
//! ```text
//!   OPTIONS           all options, in groups of `Field`; the operation table takes them whole
//!   Net, MountPoint   T::parse("name=eth0,bridge=vmbr0")  ⇄  T::print()
//!   MountSlot         rootfs, mp0, mp1, …
//! ```
//!
//! Names, types, limits and enumerations are those of Proxmox VE's published schema. What LXC is
//! told is not made here but in the crate `guest`.
//!
//! **Invariant:** `T::parse(x.print()) == x` for every value of every view, and a view holds
//! nothing that its schema refuses.

mod address;
mod device;
mod features;
mod format;
mod mount;
mod net;
mod options;

#[cfg(test)]
mod tests;

pub use address::{Ip4, Ip6};
pub use device::Device;
pub use features::Features;
pub use mount::{MOUNT_OPTIONS, MountPoint, MountSlot, MountSource};
pub use net::{NETS, Net};
pub use options::{OPTIONS, OS_TYPES};

/// The path in a container, without doubled slashes and with one at its start. None where it leaves
/// the container or is the root itself.
pub fn inner_path(text: &str) -> Option<String> {
    format::inner_path(text)
}
