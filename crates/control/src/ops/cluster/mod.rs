//! `/cluster`

mod backup;
mod bulk;
mod config;
mod cpu_flags;
mod create;
pub(in crate::ops) mod custom_cpu_models;
mod ha;
mod jobs;
mod log;
mod mapping;
mod metrics_export;
mod nextid;
mod nextid_reserve;
mod options;
mod options_update;
pub(super) mod replication;
mod status;
mod tasks;

use model::Error;
use serde::Deserialize;

use super::{Pair, pair};

pub(in crate::ops) use log::{Line as LogLine, lines as log_lines};

/// The operations below `/cluster`.
pub(super) const GROUPS: &[&[Pair]] = &[
    PAIRS,
    backup::PAIRS,
    bulk::PAIRS,
    config::PAIRS,
    custom_cpu_models::PAIRS,
    ha::PAIRS,
    jobs::PAIRS,
    mapping::PAIRS,
    replication::PAIRS,
];

const PAIRS: &[Pair] = &[
    pair!("cluster_cpu_flags", cpu_flags::cpu_flags),
    pair!("cluster_create", create::create),
    pair!("cluster_log", log::log),
    pair!("cluster_metrics_export", metrics_export::metrics_export),
    pair!("cluster_nextid", nextid::nextid),
    pair!("cluster_nextid_reserve", nextid_reserve::nextid_reserve),
    pair!("cluster_options", options::options),
    pair!("cluster_options_update", options_update::options_update),
    pair!("cluster_status", status::status),
    pair!("cluster_tasks", tasks::tasks),
];

/// A job of any kind.
#[derive(Deserialize)]
struct Job {
    id: String,
}

/// The error for a missing job. Replication has its own.
fn no_such_job(id: &str) -> Error {
    Error::invalid("id", format!("No such job '{id}'"))
}
