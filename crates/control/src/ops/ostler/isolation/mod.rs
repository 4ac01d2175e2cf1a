//! `/ostler/isolation`: which guests reach their bridge's uplink and not each other.

#[expect(
    clippy::module_inception,
    reason = "the operation has the name of what it is about"
)]
mod isolation;
mod isolation_update;

use crate::ops::{Pair, pair};

pub(in crate::ops) const PAIRS: &[Pair] = &[
    pair!("ostler_isolation", isolation::isolation),
    pair!(
        "ostler_isolation_update",
        isolation_update::isolation_update
    ),
];
