//! `/cluster/config`

mod apiversion;
mod certificates_renew;
mod config_join;
mod dissolve;
mod force;
mod invite;
mod join;
mod leave;
pub(super) mod link;
mod member_admit;
mod node_remove;
mod nodes;
mod qdevice;
mod restore;
mod save;
mod saved;
mod totem;
mod witness;
mod witness_admit;
mod witness_remove;

use crate::ops::{Pair, pair};

pub(in crate::ops) const PAIRS: &[Pair] = &[
    pair!(
        "cluster_certificates_renew",
        certificates_renew::certificates_renew
    ),
    pair!("cluster_config_apiversion", apiversion::apiversion),
    pair!("cluster_config_join", config_join::config_join),
    pair!("cluster_config_nodes", nodes::nodes),
    pair!("cluster_config_qdevice", qdevice::qdevice),
    pair!("cluster_config_totem", totem::totem),
    pair!("cluster_dissolve", dissolve::dissolve),
    pair!("cluster_force", force::force),
    pair!("cluster_invite", invite::invite),
    pair!("cluster_join", join::join),
    pair!("cluster_leave", leave::leave),
    pair!("cluster_member_admit", member_admit::member_admit),
    pair!("cluster_node_remove", node_remove::node_remove),
    pair!("cluster_restore", restore::restore),
    pair!("cluster_save", save::save),
    pair!("cluster_saved", saved::saved),
    pair!("cluster_witness", witness::witness),
    pair!("cluster_witness_admit", witness_admit::witness_admit),
    pair!("cluster_witness_remove", witness_remove::witness_remove),
];
