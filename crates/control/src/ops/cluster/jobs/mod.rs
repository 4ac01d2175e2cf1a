//! `/cluster/jobs`

mod realm_sync_get;
mod realm_sync_list;
mod schedule_analyze;

use crate::ops::{Pair, pair};

pub(in crate::ops) const PAIRS: &[Pair] = &[
    pair!("realm_sync_get", realm_sync_get::realm_sync_get),
    pair!("realm_sync_list", realm_sync_list::realm_sync_list),
    pair!("schedule_analyze", schedule_analyze::schedule_analyze),
];
