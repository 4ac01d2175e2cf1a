//! `/cluster/bulk-action`: one action on many guests.

mod migrate;
mod shutdown;
mod start;
mod suspend;

use model::VmId;
use node::tasks::Chosen;
use serde::Deserialize;

use crate::ops::{Pair, pair};

pub(in crate::ops) const PAIRS: &[Pair] = &[
    pair!("bulk_migrate", migrate::migrate),
    pair!("bulk_shutdown", shutdown::shutdown),
    pair!("bulk_start", start::start),
    pair!("bulk_suspend", suspend::suspend),
];

/// What all actions have.
#[derive(Deserialize)]
struct Guests {
    vms: Option<Vec<VmId>>,
    #[serde(rename = "max-workers")]
    max_workers: Option<usize>,
    maxworkers: Option<usize>,
}

impl From<Guests> for Chosen {
    fn from(guests: Guests) -> Self {
        Self {
            vmids: guests.vms,
            workers: guests.max_workers.or(guests.maxworkers),
        }
    }
}
