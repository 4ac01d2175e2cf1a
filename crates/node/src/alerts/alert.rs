//! The condition that an alert is made of.

use std::time::Duration;

use model::UnixTime;
pub use proto::alerts::{Acknowledgement, Alert, OpenAlert, Severity, Subject};

/// What a rule has found. It is an alert once it has lasted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    pub(super) id: String,
    pub(super) severity: Severity,
    pub(super) subject: Subject,
    pub(super) text: String,
    pub(super) advice: String,
    /// None: since it was first seen.
    pub(super) since: Option<UnixTime>,
    pub(super) patience: Patience,
}

/// How long a condition lasts until it is an alert, and is gone until it is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Patience {
    pub(super) opens: Duration,
    pub(super) closes: Duration,
}

impl Patience {
    pub(super) const fn of(opens_s: u64, closes_s: u64) -> Self {
        Self {
            opens: Duration::from_secs(opens_s),
            closes: Duration::from_secs(closes_s),
        }
    }
}
