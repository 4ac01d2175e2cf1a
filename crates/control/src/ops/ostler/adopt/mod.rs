//! `/ostler/nodes/{node}/adopt`: guests and storages of a Proxmox VE, taken over where they lie.
//!
//! ```text
//!   /etc/pve (a copy), config.db ──► Source ──► storages ──► guests ──► plan ──(confirmed)──► NodeAdopt
//!                                      files: the texts        raw: lines for LXC itself
//! ```

#[expect(
    clippy::module_inception,
    reason = "the operation has the name of what it is about"
)]
mod adopt;
mod database;
mod files;
mod guests;
mod left;
mod raw;
mod running;
mod source;
mod storages;

use crate::ops::{Pair, pair};

pub(in crate::ops) const PAIRS: &[Pair] = &[pair!("node_adopt", adopt::adopt)];
