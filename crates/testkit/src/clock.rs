//! Clocks that do not wait.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{Clock, Sleep, UnixTime};
use tokio::sync::Notify;

/// The initial time of all test clocks.
const START: UnixTime = 1_795_217_000;

/// A clock on which every wait ends at once; time advances by its duration.
#[derive(Debug, Default, Clone)]
pub struct HastyClock {
    now: Arc<Mutex<Duration>>,
}

impl HastyClock {
    fn now(&self) -> Duration {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for HastyClock {
    fn wall(&self) -> UnixTime {
        START + self.now().as_secs() as UnixTime
    }

    fn monotonic(&self) -> Duration {
        self.now()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) += duration;
        Box::pin(tokio::task::yield_now())
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug, Default, Clone)]
pub struct ManualClock {
    now: Arc<Mutex<Duration>>,
    /// What the wall clock was set forward by.
    set_by_s: Arc<AtomicI64>,
    moved: Arc<Notify>,
}

impl ManualClock {
    pub fn advance(&self, duration: Duration) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) += duration;
        self.moved.notify_waiters();
    }

    /// Sets the wall clock forward or back, which ends no wait.
    pub fn set_by(&self, seconds: i64) {
        self.set_by_s.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> UnixTime {
        let set_by_s = self.set_by_s.load(Ordering::SeqCst);
        START + set_by_s + self.monotonic().as_secs() as UnixTime
    }

    fn monotonic(&self) -> Duration {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let clock = self.clone();
        let until = self.monotonic() + duration;
        Box::pin(async move {
            loop {
                let moved = clock.moved.notified();
                tokio::pin!(moved);
                moved.as_mut().enable();
                if clock.monotonic() >= until {
                    return;
                }
                moved.await;
            }
        })
    }
}
