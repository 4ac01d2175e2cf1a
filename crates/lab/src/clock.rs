//! The harness's own clock: the order of events is judged outside of the nodes.

use std::time::{Duration, Instant, SystemTime};

use crate::LabError;

/// A moment of the harness's clock, which no node can see or change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Instant);

impl Moment {
    /// Now.
    #[expect(
        clippy::disallowed_methods,
        reason = "the lab measures real machines in real time"
    )]
    pub fn now() -> Moment {
        Moment(Instant::now())
    }

    /// How long ago this was.
    pub fn elapsed(self) -> Duration {
        Moment::now().since(self)
    }

    /// How long after an earlier moment this is; zero if it is not later.
    pub fn since(self, earlier: Moment) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// The moment that is this much later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Moment {
        Moment(self.0 + duration)
    }

    /// The time left until this moment; zero if it has passed.
    pub fn left(self) -> Duration {
        self.since(Moment::now())
    }
}

/// Polls a condition that has no notification.
pub fn wait_for(
    what: &str,
    timeout: Duration,
    mut condition: impl FnMut() -> bool,
) -> Result<(), LabError> {
    const LOOK_AGAIN: Duration = Duration::from_millis(20);
    let deadline = Moment::now().after(timeout);
    while !condition() {
        if deadline.left().is_zero() {
            return Err(LabError::Timeout {
                what: what.to_owned(),
                after: timeout,
            });
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    Ok(())
}

/// The wall-clock time for the nodes, in seconds since 1970 with a fraction.
#[expect(
    clippy::disallowed_methods,
    reason = "nodes are given this machine's time"
)]
pub(crate) fn time_of_day() -> f64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}
