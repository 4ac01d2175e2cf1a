//! Compression, for clients that ask for it.
//!
//! A long list is compressed in pieces, each by itself, so that a piece that has not changed is
//! not compressed again. Pieces end on a byte and refer to nothing before them. Put behind each
//! other they are one deflate stream, and so one gzip member: clients that read only the first
//! member of a file read all of it.
//!
//! ```text
//!   gzip header │ stored: {"data":[ │ piece │ stored: , │ piece │ … │ stored: ]} │ end, CRC, length
//! ```

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress};
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue};
use hyper::{HeaderMap, Response};

use crate::answer_body::Body;

/// Below this nothing is won.
pub(crate) const SMALLEST: u64 = 1024;

/// Deflate, no name, no time, fastest algorithm, unknown system (RFC 1952).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];

/// A last block with nothing in it.
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

    /// Takes the compressed bytes for sharing, and leaves what the end of a stream needs.
    pub(crate) fn into_shared(self) -> SharedPiece {
        SharedPiece {
            bytes: self.bytes.into(),
            crc: self.crc,
        }
    }
}

/// A piece that many answers send.
#[derive(Debug)]
pub(crate) struct SharedPiece {
    pub(crate) bytes: Bytes,
    crc: Crc,
}

/// What stands before and behind a piece in a gzip stream whose text is `before`, the piece's
/// text and `after`.
pub(crate) fn around(before: &[u8], piece: &SharedPiece, after: &[u8]) -> (Bytes, Bytes) {
    let (begin, end) = (Piece::stored(before), Piece::stored(after));
    let mut crc = begin.crc;
    crc.combine(&piece.crc);
    crc.combine(&end.crc);
    let head = [&HEADER[..], &begin.bytes].concat();
    let (sum, length) = (crc.sum().to_le_bytes(), crc.amount().to_le_bytes());
    let tail = [&end.bytes[..], &END, &sum, &length].concat();
    (head.into(), tail.into())
}

/// Makes pieces. Level 1: most of the gain for a tenth of the time.
pub(crate) struct Deflater(Compress);

impl Deflater {
    pub(crate) fn new() -> Self {
        Self(Compress::new(Compression::fast(), false))
    }

    pub(crate) fn piece(&mut self, text: &[u8]) -> Piece {
        self.0.reset();
        let mut bytes = Vec::with_capacity(text.len() / 8 + 64);
        let mut taken = 0;
        loop {
            let before = self.0.total_in();
            self.0
                .compress_vec(&text[taken..], &mut bytes, FlushCompress::Sync)
                .expect("a compressor that was reset takes any text");
            taken += usize::try_from(self.0.total_in() - before).unwrap_or(usize::MAX);
            // Room that is left says that nothing is held back.
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

/// Compresses an answer that is worth it, unless it is compressed already.
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
    let (head, tail) = around(b"", &piece, b"");
    mark(&mut parts.headers);
    let body = Body::framed(head, [piece.bytes].into(), tail);
    Response::from_parts(parts, body)
}

pub(crate) fn mark(headers: &mut HeaderMap) {
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

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
        let mut whole = String::new();
        let mut stream = Piece::default();
        for at in [0, 49, 3, 3, 17, 1] {
            stream.push(&pieces[at]);
            stream.push(&Piece::stored(b","));
            whole.push_str(&texts[at]);
            whole.push(',');
        }
        let stream = stream.into_shared();
        let (head, tail) = around(b"{\"data\":[", &stream, b"]}");
        let packed = [&head[..], &stream.bytes, &tail].concat();
        let mut unpacked = String::new();
        let mut decoder = GzDecoder::new(&packed[..]);
        decoder.read_to_string(&mut unpacked).unwrap();
        assert_eq!(unpacked, format!("{{\"data\":[{whole}]}}"));
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
        let (head, tail) = around(&noise[..70_000], &piece, b"");
        let packed = [&head[..], &piece.bytes, &tail].concat();
        let mut unpacked = Vec::new();
        GzDecoder::new(&packed[..])
            .read_to_end(&mut unpacked)
            .unwrap();
        assert!(unpacked == [&noise[..70_000], &noise].concat());
    }
}
