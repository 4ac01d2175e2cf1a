//! Guests that QEMU runs: what only they have.

pub(crate) mod agent_turns;
pub(crate) mod ballooning;
pub(crate) mod chains;
pub(crate) mod cloud_init;
pub mod cpu;
pub(crate) mod disk_snapshots;
pub(crate) mod drives;
pub(crate) mod edit;
pub(crate) mod efi_vars;
pub(crate) mod freeze;
pub(crate) mod hotplug;
pub mod kvm;
pub(crate) mod launch;
pub(crate) mod live_copy;
pub(crate) mod monitors;
pub(crate) mod passed;
pub(crate) mod pci;
pub(crate) mod ports;
pub mod programs;
pub(crate) mod shares;
pub(crate) mod swtpm;
pub(crate) mod usb;
