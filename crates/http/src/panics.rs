//! A panic while a request is worked on is an answer too, and is counted.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt;
use hyper::Response;
use tracing::error;

use crate::envelope::{Body, Refusal};

/// Counts the panics since the start.
#[derive(Default)]
pub(crate) struct Panics(AtomicU64);

impl Panics {
    /// Answers 500 where the work panics. What it held is dropped, locks are taken all the same
    /// (`PoisonError::into_inner`): none of them guards more than one map or counter.
    pub(crate) async fn caught(
        &self,
        request: &str,
        work: impl Future<Output = Response<Body>>,
    ) -> Response<Body> {
        match AssertUnwindSafe(work).catch_unwind().await {
            Ok(response) => response,
            Err(_) => {
                let count = self.0.fetch_add(1, Ordering::Relaxed) + 1;
                error!(request, count, "a request ended in a panic");
                Refusal::text(500, "internal error, see the log of the API").into_response()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_answered_and_counted() {
        let panics = Panics::default();
        for count in 1..=2 {
            let answer = panics.caught("GET /", async { panic!("on purpose") }).await;
            assert_eq!(answer.status(), 500);
            assert_eq!(panics.0.load(Ordering::Relaxed), count);
        }
        let answer = panics.caught("GET /", async { Response::default() }).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(panics.0.load(Ordering::Relaxed), 2);
    }
}
