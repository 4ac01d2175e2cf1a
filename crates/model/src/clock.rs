//! Time as a seam: everything that reads a clock or waits is handed one of these.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// Seconds since 1970-01-01 UTC.
pub type UnixTime = i64;

/// A wait that somebody else performs.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A source of time. `sys::SystemClock` is the real one; tests bring their own.
pub trait Clock: Send + Sync + 'static {
    /// Wall clock, for what people and tickets see. May jump.
    fn wall(&self) -> UnixTime;

    /// Time since an arbitrary start; never goes back. Deadlines are computed from this one.
    fn monotonic(&self) -> Duration;

    /// Completes not before `duration` has passed on this clock. May be dropped at any time.
    fn sleep(&self, duration: Duration) -> Sleep;
}
