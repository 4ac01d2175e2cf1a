//! `/nodes/{node}/network`

mod get;
mod list;

use crate::ops::{Pair, pair};

pub(in crate::ops) const PAIRS: &[Pair] = &[
    pair!("network_get", get::get),
    pair!("network_list", list::list),
];
