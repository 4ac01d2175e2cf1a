//! `rrddata` of nodes, guests and storages: no history is kept yet, so that there is none.

mod guest;
mod node;
mod storage;

use crate::ops::{Pair, pair};

pub(in crate::ops) const PAIRS: &[Pair] = &[
    pair!("lxc_rrddata", guest::lxc),
    pair!("node_rrddata", node::node),
    pair!("qemu_rrddata", guest::qemu),
    pair!("storage_rrddata", storage::storage),
];
