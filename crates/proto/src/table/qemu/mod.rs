//! `/nodes/{node}/qemu`

pub(super) mod agent;
pub(super) mod clones;
pub(super) mod cloudinit;
pub(super) mod config;
pub(super) mod console;
mod disks;
pub(super) mod guests;
pub(super) mod power;
pub(super) mod snapshots;
pub(super) mod status;
