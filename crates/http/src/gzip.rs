//! Compression, for clients that ask for it.
//!
//! A long list is compressed in pieces, so that unchanged pieces are not compressed again. A piece
//! ends on a byte (sync flush) and refers to nothing before it. A sequence of pieces is one deflate
//! stream and therefore one gzip member: many clients read only the first member.
//!
//! ```text
//!   gzip header │ stored: {"data":[ │ piece │ stored: , │ piece │ … │ stored: ]} │ end, CRC, length
//! ```

use std::sync::Arc;

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress};
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue};
use hyper::{HeaderMap, Response};

use crate::answer_body::Body;

/// Shorter answers are not compressed.
pub(crate) const SMALLEST: u64 = 1024;

/// Deflate, no name, no time, fastest algorithm, unknown system (RFC 1952).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];

/// An empty last block.
const END: [u8; 2] = [3, 0];

/// The longest text of a stored block.
const STORED: usize = u16::MAX as usize;

pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    let accepts = headers
        .get(ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok());
    accepts.unwrap_or_default().split(',').any(|coding| {
        let (name, quality) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim() == "gzip" && quality.replace(' ', "") != "q=0"
    })
}

/// A piece of a deflate stream that is not its last.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    bytes: Vec<u8>,
    /// Of the text.
    crc: Crc,
}

impl Piece {
    /// A short text as it is.
    pub(crate) fn stored(text: &[u8]) -> Self {
        let mut piece = Self::default();
        for part in text.chunks(STORED) {
            let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
            piece.bytes.push(0);
            piece.bytes.extend(length.to_le_bytes());
            piece.bytes.extend((!length).to_le_bytes());
            piece.bytes.extend(part);
        }
        piece.crc.update(text);
        piece
    }

    pub(crate) fn push(&mut self, next: &Self) {
        self.bytes.extend(&next.bytes);
        self.crc.combine(&next.crc);
    }

    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    /// The piece with its bytes in shared memory.
    pub(crate) fn into_shared(self) -> SharedPiece {
        SharedPiece {
            bytes: self.bytes.into(),
            crc: self.crc,
        }
    }
}

/// A piece that several answers send.
#[derive(Debug)]
pub(crate) struct SharedPiece {
    bytes: Bytes,
    crc: Crc,
}

/// A gzip stream in parts.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) head: Bytes,
    pub(crate) pieces: Arc<[Bytes]>,
    pub(crate) tail: Bytes,
}

impl Stream {
    /// The stream of `before`, the piece's text and `after`.
    pub(crate) fn new(before: &[u8], piece: &SharedPiece, after: &[u8]) -> Self {
        let (begin, end) = (Piece::stored(before), Piece::stored(after));
        let mut crc = begin.crc;
        crc.combine(&piece.crc);
        crc.combine(&end.crc);
        let (sum, length) = (crc.sum().to_le_bytes(), crc.amount().to_le_bytes());
        Self {
            head: [&HEADER[..], &begin.bytes].concat().into(),
            pieces: [piece.bytes.clone()].into(),
            tail: [&end.bytes[..], &END, &sum, &length].concat().into(),
        }
    }
}

impl From<Stream> for Body {
    fn from(stream: Stream) -> Self {
        Self::framed(stream.head, stream.pieces, stream.tail)
    }
}

/// Compresses pieces. Level 1: most of the gain for a tenth of the time.
pub(crate) struct Deflater(Compress);

impl Deflater {
    pub(crate) fn new() -> Self {
        Self(Compress::new(Compression::fast(), false))
    }

    pub(crate) fn piece(&mut self, text: &[u8]) -> Piece {
        self.0.reset();
        // Room for all of it: a flush that meets a full output is not completed by the next call.
        let mut bytes = Vec::with_capacity(text.len() + text.len() / 8 + 64);
        let mut taken = 0;
        loop {
            let before = self.0.total_in();
            self.0
                .compress_vec(&text[taken..], &mut bytes, FlushCompress::Sync)
                .expect("a compressor that was reset takes any text");
            taken += usize::try_from(self.0.total_in() - before).unwrap_or(usize::MAX);
            // If the output has room left, it is complete.
            if bytes.len() < bytes.capacity() {
                break;
            }
            bytes.reserve(bytes.len());
        }
        bytes.shrink_to_fit();
        let mut crc = Crc::new();
        crc.update(text);
        Piece { bytes, crc }
    }
}

/// Compresses an answer that is long enough and not compressed yet.
pub(crate) fn compress(response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    let text = match body.whole() {
        Some(text) if text.len() as u64 > SMALLEST => text,
        _ => return Response::from_parts(parts, body),
    };
    if parts.headers.contains_key(CONTENT_ENCODING) {
        return Response::from_parts(parts, body);
    }
    let piece = Deflater::new().piece(&text).into_shared();
    mark(&mut parts.headers);
    Response::from_parts(parts, Stream::new(b"", &piece, b"").into())
}

pub(crate) fn mark(headers: &mut HeaderMap) {
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    fn whole(stream: &Stream) -> Vec<u8> {
        [&stream.head[..], &stream.pieces.concat(), &stream.tail].concat()
    }

    #[test]
    fn a_text_that_compresses_badly_is_complete() {
        let mut state = 1_u32;
        let text: String = (0..14_078)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                format!("{} ", (state >> 8) % 3000)
            })
            .collect();
        let piece = Deflater::new().piece(text.as_bytes()).into_shared();
        let mut read = Vec::new();
        GzDecoder::new(&whole(&Stream::new(b"", &piece, b""))[..])
            .read_to_end(&mut read)
            .unwrap();
        assert!(read == text.as_bytes());
    }

    #[test]
    fn pieces_in_any_order_are_one_member() {
        let mut deflater = Deflater::new();
        let texts: Vec<String> = (0..50)
            .map(|number| format!("a text that comes again, {number} ").repeat(number * 40))
            .collect();
        let pieces: Vec<Piece> = texts
            .iter()
            .map(|text| deflater.piece(text.as_bytes()))
            .collect();
        let mut expected = String::new();
        let mut stream = Piece::default();
        for at in [0, 49, 3, 3, 17, 1] {
            stream.push(&pieces[at]);
            stream.push(&Piece::stored(b","));
            expected.push_str(&texts[at]);
            expected.push(',');
        }
        let packed = whole(&Stream::new(b"{\"data\":[", &stream.into_shared(), b"]}"));
        let mut unpacked = String::new();
        let mut decoder = GzDecoder::new(&packed[..]);
        decoder.read_to_string(&mut unpacked).unwrap();
        assert_eq!(unpacked, format!("{{\"data\":[{expected}]}}"));
        assert!(decoder.into_inner().is_empty(), "a second member");
    }

    #[test]
    fn what_does_not_shrink_and_what_is_long_is_packed_too() {
        let mut state = 1_u64;
        let noise: Vec<u8> = (0..300_000)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[3]
            })
            .collect();
        let piece = Deflater::new().piece(&noise).into_shared();
        let packed = whole(&Stream::new(&noise[..70_000], &piece, b""));
        let mut unpacked = Vec::new();
        GzDecoder::new(&packed[..])
            .read_to_end(&mut unpacked)
            .unwrap();
        assert!(unpacked == [&noise[..70_000], &noise].concat());
    }
}
