//! `/cluster`

mod backup;
mod config;
mod ha;
mod jobs;
mod log;
mod nextid;
mod options;
pub(super) mod replication;
mod status;

use super::{Pair, pair};

pub(in crate::ops) use log::{Line as LogLine, lines as log_lines};

/// What lies below `/cluster`.
pub(super) const GROUPS: &[&[Pair]] = &[
    PAIRS,
    backup::PAIRS,
    config::PAIRS,
    ha::PAIRS,
    jobs::PAIRS,
    replication::PAIRS,
];

const PAIRS: &[Pair] = &[
    pair!("cluster_log", log::log),
    pair!("cluster_nextid", nextid::get),
    pair!("cluster_nextid_reserve", nextid::reserve),
    pair!("cluster_options", options::get),
    pair!("cluster_options_update", options::update),
    pair!("cluster_status", status::status),
    pair!("cluster_tasks", status::tasks),
];
