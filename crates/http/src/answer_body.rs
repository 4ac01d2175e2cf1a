//! The body of an answer: pieces of memory, which answers may share, sent without a copy.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

/// The rest of a body: a head, shared pieces, and a tail.
#[derive(Debug, Default)]
pub(crate) struct Body {
    head: Bytes,
    pieces: Option<Arc<[Bytes]>>,
    /// The number of pieces that were sent.
    sent: usize,
    tail: Bytes,
    left: u64,
}

impl Body {
    pub(crate) fn framed(head: Bytes, pieces: Arc<[Bytes]>, tail: Bytes) -> Self {
        let lengths = pieces.iter().map(Bytes::len).sum::<usize>();
        Self {
            left: (head.len() + lengths + tail.len()) as u64,
            head,
            pieces: Some(pieces),
            sent: 0,
            tail,
        }
    }

    /// The body as one piece; none if it has several.
    pub(crate) fn whole(&self) -> Option<Bytes> {
        let is_whole = self.pieces.is_none() && self.tail.is_empty();
        is_whole.then(|| self.head.clone())
    }

    fn next(&mut self) -> Option<Bytes> {
        if !self.head.is_empty() {
            return Some(std::mem::take(&mut self.head));
        }
        if let Some(pieces) = &self.pieces {
            while let Some(piece) = pieces.get(self.sent) {
                self.sent += 1;
                if !piece.is_empty() {
                    return Some(piece.clone());
                }
            }
            self.pieces = None;
        }
        let tail = std::mem::take(&mut self.tail);
        (!tail.is_empty()).then_some(tail)
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(text: T) -> Self {
        let head = text.into();
        Self {
            left: head.len() as u64,
            head,
            ..Self::default()
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.next();
        if let Some(piece) = &next {
            self.left -= piece.len() as u64;
        }
        Poll::Ready(next.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use hyper::body::Body as _;

    use super::*;

    #[tokio::test]
    async fn pieces_come_in_order_and_their_length_is_known() {
        let piece = Bytes::from_static;
        let pieces: Arc<[Bytes]> = [piece(b"b"), Bytes::new(), piece(b"c")].into();
        for (head, tail, expected) in [("a", "d", "abcd"), ("", "", "bc"), ("a", "", "abc")] {
            let body = Body::framed(head.into(), Arc::clone(&pieces), tail.into());
            assert_eq!(body.size_hint().exact(), Some(expected.len() as u64));
            assert_eq!(body.whole(), None);
            let sent = body.collect().await.unwrap().to_bytes();
            assert_eq!(sent, expected.as_bytes());
        }
        assert_eq!(Body::from("x").whole(), Some(piece(b"x")));
        assert!(Body::default().is_end_stream());
    }
}
