//! `/ostler/deployment`: what new guests may be made of.

#[expect(
    clippy::module_inception,
    reason = "the operation has the name of what it is about"
)]
mod deployment;
mod deployment_update;

use crate::ops::{Pair, pair};

pub(in crate::ops) const PAIRS: &[Pair] = &[
    pair!("ostler_deployment", deployment::deployment),
    pair!(
        "ostler_deployment_update",
        deployment_update::deployment_update
    ),
];
