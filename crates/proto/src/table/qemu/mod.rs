//! `/nodes/{node}/qemu`

pub(super) mod agent;
pub(super) mod clones;
pub(super) mod cloudinit;
pub(super) mod config;
pub(super) mod console;
mod disks;
pub(super) mod guests;
pub(super) mod migration;
pub(super) mod power;
mod rights;
pub(super) mod snapshots;
pub(super) mod status;

pub(in crate::table) use rights::use_of_bridges;
pub use rights::{OptionRight, bridge_paths, needs_of_option, option_right};
