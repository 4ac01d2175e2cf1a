//! `/nodes/{node}/replication`: there are no replication jobs yet.

mod list;
mod log;
mod status;

use serde::Deserialize;

use crate::ops::{Pair, pair};

pub(in crate::ops) const PAIRS: &[Pair] = &[
    pair!("node_replication_list", list::list),
    pair!("node_replication_log", log::log),
    pair!("node_replication_status", status::status),
];

#[derive(Deserialize)]
struct Job {
    id: String,
}
