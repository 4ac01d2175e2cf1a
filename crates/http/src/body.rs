//! Reading a body: so much of it, in so much time.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body;
use model::Clock;

use crate::envelope::Refusal;

/// A body may take this long.
const WHOLE: Duration = Duration::from_secs(60);

/// Of a body that is not at its end, at least so many bytes must come in so long.
const STRETCH: Duration = Duration::from_secs(10);
const STRETCH_BYTES: usize = 1024;

/// Holds what comes against the time in which it must come.
pub(crate) struct Pace {
    stretch: Duration,
    bytes: usize,
    /// When this stretch ends, and what has come in it.
    end: Duration,
    came: usize,
}

impl Pace {
    pub(crate) fn new(stretch: Duration, bytes: usize, clock: &dyn Clock) -> Self {
        Self {
            stretch,
            bytes,
            end: clock.monotonic() + stretch,
            came: 0,
        }
    }

    pub(crate) fn came(&mut self, bytes: usize) {
        self.came += bytes;
    }

    /// What is read, unless it comes too slowly.
    pub(crate) async fn keep<T>(
        &mut self,
        clock: &dyn Clock,
        reading: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::pin!(reading);
        loop {
            let left = self.end.saturating_sub(clock.monotonic());
            tokio::select! {
                biased;
                read = &mut reading => return Some(read),
                () = clock.sleep(left) => {}
            }
            if self.came < self.bytes {
                return None;
            }
            (self.end, self.came) = (clock.monotonic() + self.stretch, 0);
        }
    }
}

/// Reads a whole body. One that is announced to be too long is not begun.
pub(crate) async fn collect<B: Body<Data = Bytes> + Unpin>(
    mut body: B,
    limit: usize,
    clock: &dyn Clock,
) -> Result<Vec<u8>, Refusal> {
    let too_large = || Refusal::text(501, "for data too large");
    let slow = || Refusal::text(408, "the request's body comes too slowly");
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let end = clock.monotonic() + WHOLE;
    let mut pace = Pace::new(STRETCH, STRETCH_BYTES, clock);
    let mut whole = Vec::new();
    while let Some(frame) = pace.keep(clock, body.frame()).await.ok_or_else(slow)? {
        let frame = frame.map_err(|_| Refusal::text(400, "the request's body broke off"))?;
        let data = frame.into_data().unwrap_or_default();
        if data.len() > limit - whole.len() {
            return Err(too_large());
        }
        pace.came(data.len());
        whole.extend_from_slice(&data);
        if clock.monotonic() >= end {
            return Err(slow());
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;
    use testkit::ManualClock;

    use super::*;

    type Sender = tokio::sync::mpsc::UnboundedSender<Bytes>;

    /// A body that comes as it is sent, and what it is read to.
    fn reading() -> (
        Sender,
        ManualClock,
        tokio::task::JoinHandle<Result<Vec<u8>, Refusal>>,
    ) {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let frames = futures_util::stream::poll_fn(move |context| {
            let piece = receiver.poll_recv(context);
            piece.map(|piece| piece.map(|piece| Ok::<_, Infallible>(Frame::data(piece))))
        });
        let clock = ManualClock::default();
        let own = clock.clone();
        let read =
            tokio::spawn(async move { collect(StreamBody::new(frames), 512 * 1024, &own).await });
        (sender, clock, read)
    }

    /// Lets the reader take what has arrived.
    async fn settle() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_body_that_drips_is_given_up() {
        for (bytes, seconds) in [(0, 10), (1, 10), (1_023, 10), (1_024, 20)] {
            let (sender, clock, read) = reading();
            sender.send(Bytes::from(vec![b'x'; bytes])).unwrap();
            for second in 0..seconds {
                settle().await;
                assert!(!read.is_finished(), "{bytes} bytes, {second} s");
                clock.advance(Duration::from_secs(1));
            }
            assert_eq!(
                read.await.unwrap().unwrap_err().status,
                408,
                "{bytes} bytes"
            );
        }
    }

    #[tokio::test]
    async fn a_body_takes_a_minute_at_most() {
        let (sender, clock, read) = reading();
        let mut seconds = 0;
        while !read.is_finished() {
            assert!(seconds < 61, "it is still being read");
            // A reader that has given up takes no more.
            let _ = sender.send(Bytes::from(vec![b'x'; 1_024]));
            settle().await;
            clock.advance(Duration::from_secs(1));
            seconds += 1;
        }
        assert_eq!(read.await.unwrap().unwrap_err().status, 408);
        assert!(seconds >= 60, "{seconds}");
    }

    #[tokio::test]
    async fn what_is_announced_too_long_is_not_read() {
        let clock = ManualClock::default();
        let read = collect(Full::new(Bytes::from(vec![b'x'; 101])), 100, &clock).await;
        assert_eq!(read.unwrap_err().reason, "for data too large");
        let read = collect(Full::new(Bytes::from(vec![b'x'; 100])), 100, &clock).await;
        assert_eq!(read.unwrap().len(), 100);
    }
}
