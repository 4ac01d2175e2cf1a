//! The end of a connection whose client may still be sending.
//!
//! A request that is refused early leaves bytes unread. Closing then resets the connection, and
//! the client may lose the answer that was sent before. So our side is closed first, and what
//! still comes is thrown away for a moment.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long, and how many bytes, a client may go on.
const TIME: Duration = Duration::from_secs(2);
const BYTES: usize = 4 << 20;

/// Thrown away at a time.
const BLOCK: usize = 16 * 1024;

/// A stream that lingers when it is shut down.
pub(crate) struct Linger<S> {
    stream: S,
    /// Once our side is closed.
    rest: Option<Rest>,
}

struct Rest {
    time: Pin<Box<Sleep>>,
    bytes: usize,
}

impl<S> Linger<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, rest: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Linger<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Linger<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = &mut *self;
        if this.rest.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
        }
        let rest = this.rest.get_or_insert_with(|| Rest {
            time: Box::pin(sleep(TIME)),
            bytes: BYTES,
        });
        let mut block = [0; BLOCK];
        while rest.bytes > 0 && rest.time.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut block);
            let read = ready!(Pin::new(&mut this.stream).poll_read(context, &mut buffer));
            // What breaks now is over as well.
            if read.is_err() || buffer.filled().is_empty() {
                break;
            }
            rest.bytes = rest.bytes.saturating_sub(buffer.filled().len());
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// Shuts a stream down whose other side has sent so much; how much of that was taken, and
    /// whether the other side saw the end before its own.
    async fn shut(sent: usize, closes: bool) -> (usize, Duration) {
        let (ours, mut theirs) = duplex(64 * 1024);
        let began = tokio::time::Instant::now();
        let ending = tokio::spawn(async move {
            let mut stream = Linger::new(ours);
            stream.write_all(b"answer").await.unwrap();
            stream.shutdown().await.unwrap();
        });
        let mut taken = 0;
        while taken < sent && theirs.write_all(&[0; 1024]).await.is_ok() {
            taken += 1024;
        }
        let mut answer = Vec::new();
        theirs.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"answer");
        if closes {
            drop(theirs);
            ending.await.unwrap();
        } else {
            ending.await.unwrap();
            drop(theirs);
        }
        (taken, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_still_sending_gets_its_answer() {
        let (taken, time) = shut(1 << 20, true).await;
        assert_eq!((taken, time), (1 << 20, Duration::ZERO));
        // One that does not close, and one that does not stop.
        assert!(shut(0, false).await.1 >= TIME);
        let (taken, _) = shut(usize::MAX, true).await;
        assert!((BYTES..BYTES + 256 * 1024).contains(&taken), "{taken}");
    }
}
