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

use model::Error;
use serde::Deserialize;

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

/// A job of whatever kind.
#[derive(Deserialize)]
struct Job {
    id: String,
}

/// What is said of a job that is not there. Replication has words of its own.
fn no_such_job(id: &str) -> Error {
    Error::invalid("id", format!("No such job '{id}'"))
}
