//! `/nodes/{node}/lxc`: containers

pub(super) mod clones;
pub(super) mod config;
pub(super) mod console;
pub(super) mod exec;
pub(super) mod guests;
pub(super) mod migration;
pub(super) mod power;
mod rights;
pub(super) mod snapshots;
pub(super) mod upkeep;

pub use rights::{CtRight, ct_option_right, needs_of_ct_option};
