//! Time as an interface: code that reads a clock or waits takes a `Clock`.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

/// Seconds since 1970-01-01 UTC.
pub type UnixTime = i64;

/// A wait, performed by the clock that made it.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A source of time. `sys::SystemClock` is the real one; tests bring their own.
pub trait Clock: Send + Sync + 'static {
    /// Wall clock, for timestamps and tickets. May jump.
    fn wall(&self) -> UnixTime;

    /// Time since an arbitrary start; never goes back. Deadlines are computed from this one.
    fn monotonic(&self) -> Duration;

    /// Completes not before `duration` has passed on this clock. May be dropped at any time.
    fn sleep(&self, duration: Duration) -> Sleep;
}

/// The work's result, or none if it takes longer than `limit`; it is dropped then.
pub async fn with_timeout<T>(
    clock: &dyn Clock,
    limit: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    let (mut work, mut timeout) = (pin!(work), clock.sleep(limit));
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => timeout.as_mut().poll(cx).map(|()| None),
    })
    .await
}
