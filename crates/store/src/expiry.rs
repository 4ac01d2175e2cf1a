//! The task that ends expired leases, the same for every backend with leases.

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use model::Clock;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::StoreError;

/// A store with leases that expire.
#[async_trait]
pub(crate) trait Expires: Send + Sync + 'static {
    /// Ends every expired lease.
    async fn end_due(&self) -> Result<(), StoreError>;

    /// When the next lease can end, on the clock's monotonic time.
    fn next_deadline(&self) -> Option<Duration>;
}

/// The longest sleep, so that a lease of years does not overflow a clock.
const SLEEP_MAX: Duration = Duration::from_secs(3600);
/// The pause after the store refused to end a lease (it may be full).
const RETRY: Duration = Duration::from_secs(1);
/// If the clock advances by more than this between reading it and setting the alarm, the alarm
/// would be late by as much and is set again. A clock that a test moves by hand does that.
const JUMP: Duration = Duration::from_millis(10);

/// The task; it ends when this is dropped.
pub(crate) struct ExpiryTask(AbortHandle);

impl Drop for ExpiryTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts the task. `added` is notified when a lease is granted, since it may be the next one to
/// end. A renewal needs no notification: it only postpones the end.
#[allow(
    clippy::disallowed_methods,
    reason = "the owner of the handle supervises the task"
)]
pub(crate) fn start<S: Expires>(
    runtime: &Handle,
    store: Weak<S>,
    clock: Arc<dyn Clock>,
    added: Arc<Notify>,
) -> ExpiryTask {
    ExpiryTask(runtime.spawn(run(store, clock, added)).abort_handle())
}

async fn run<S: Expires>(store: Weak<S>, clock: Arc<dyn Clock>, added: Arc<Notify>) {
    loop {
        let Some(store) = store.upgrade() else { return };
        let ended = store.end_due().await;
        let now = clock.monotonic();
        let wait = match ended {
            Ok(()) => store
                .next_deadline()
                .map(|deadline| deadline.saturating_sub(now)),
            Err(error) => {
                tracing::warn!(%error, "leases could not be ended, trying again");
                Some(RETRY)
            }
        };
        // The store must not be held while waiting, or it would never be dropped.
        drop(store);
        let Some(wait) = wait else {
            added.notified().await;
            continue;
        };
        let sleep = clock.sleep(wait.min(SLEEP_MAX));
        if clock.monotonic().saturating_sub(now) > JUMP {
            continue;
        }
        tokio::select! {
            () = sleep => {}
            () = added.notified() => {}
        }
    }
}
