//! `/cluster/replication`: there are no replication jobs yet.

mod get;
mod list;

use model::Error;

use crate::ops::{Pair, pair};

pub(in crate::ops) const PAIRS: &[Pair] = &[
    pair!("replication_get", get::get),
    pair!("replication_list", list::list),
];

/// The error for a missing job.
pub(in crate::ops) fn no_such_job(id: &str) -> Error {
    Error::not_found(format!("no such replication job '{id}'"))
}
