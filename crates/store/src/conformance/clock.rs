//! A clock that tests advance by hand.

use std::time::Duration;

use model::{Clock, Sleep, UnixTime};
use tokio::sync::watch;

/// Stands still until `advance`. Sleepers wake when their time has come on it.
pub struct ManualClock {
    now: watch::Sender<Duration>,
}

/// Some moment in 2026, since tests print it.
const WALL_AT_START: UnixTime = 1_790_000_000;

impl Default for ManualClock {
    fn default() -> Self {
        // Not zero, so that no time is mistaken for a missing one.
        Self {
            now: watch::Sender::new(Duration::from_secs(1000)),
        }
    }
}

impl ManualClock {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn advance(&self, time: Duration) {
        self.now.send_modify(|now| *now += time);
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> UnixTime {
        WALL_AT_START + self.monotonic().as_secs().cast_signed()
    }

    fn monotonic(&self) -> Duration {
        *self.now.borrow()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let mut now = self.now.subscribe();
        let deadline = now.borrow().saturating_add(duration);
        Box::pin(async move {
            if now.wait_for(|now| *now >= deadline).await.is_err() {
                // If the clock is gone, no time passes any more.
                std::future::pending().await
            }
        })
    }
}
