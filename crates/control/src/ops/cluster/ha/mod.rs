//! `/cluster/ha`: high availability is not built yet.

mod group_get;
mod group_list;
mod manager_status;
mod resource_get;
mod resource_list;
mod rule_get;
mod rule_list;
mod status_current;

use crate::ops::{Pair, pair};

pub(in crate::ops) const PAIRS: &[Pair] = &[
    pair!("ha_group_get", group_get::group_get),
    pair!("ha_group_list", group_list::group_list),
    pair!("ha_manager_status", manager_status::manager_status),
    pair!("ha_resource_get", resource_get::resource_get),
    pair!("ha_resource_list", resource_list::resource_list),
    pair!("ha_rule_get", rule_get::rule_get),
    pair!("ha_rule_list", rule_list::rule_list),
    pair!("ha_status_current", status_current::status_current),
];
