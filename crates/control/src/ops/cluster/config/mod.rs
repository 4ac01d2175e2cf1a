//! `/cluster/config`

mod apiversion;
mod join;
mod nodes;
mod qdevice;
mod totem;

use crate::ops::{Pair, pair};

pub(in crate::ops) const PAIRS: &[Pair] = &[
    pair!("cluster_config_apiversion", apiversion::apiversion),
    pair!("cluster_config_join", join::join),
    pair!("cluster_config_nodes", nodes::nodes),
    pair!("cluster_config_qdevice", qdevice::qdevice),
    pair!("cluster_config_totem", totem::totem),
];
