//! A list as it is sent: text of chunks, shared with other lists, and text of its own.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::node_status::Tick;
use super::sight::Sight;
use super::table::{Chunk, Guest};
use super::text::{Shape, Text};
use crate::gzip::{Deflater, Piece, SharedPiece, Stream};

/// A JSON array as text.
#[derive(Debug)]
pub struct List {
    parts: Vec<Part>,
    pieces: Arc<[Bytes]>,
    length: usize,
    /// Different lists of this process have different tags.
    pub(crate) tag: u64,
    piece: OnceLock<SharedPiece>,
    packed: [OnceLock<Stream>; Frame::ALL.len()],
}

/// The text around a list in an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Frame {
    Data,
    SuccessAndData,
}

impl Frame {
    const ALL: [Self; 2] = [Self::Data, Self::SuccessAndData];

    /// The text before and after the list.
    pub(crate) fn text(self) -> (&'static [u8], &'static [u8]) {
        match self {
            Self::Data => (b"{\"data\":", b"}"),
            Self::SuccessAndData => (b"{\"success\":1,\"data\":", b"}"),
        }
    }
}

#[derive(Debug)]
enum Part {
    Own(Bytes),
    /// All rows of a chunk. The first part with rows is sent without its leading comma.
    Chunk {
        text: Arc<Text>,
        is_first: bool,
    },
}

impl Part {
    fn bytes(&self) -> Bytes {
        match self {
            Self::Own(text) => text.clone(),
            Self::Chunk { text, is_first } => text.bytes().slice(usize::from(*is_first)..),
        }
    }
}

impl List {
    /// The text, in pieces.
    pub(crate) fn pieces(&self) -> &Arc<[Bytes]> {
        &self.pieces
    }

    /// The length of the text in bytes.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == b"[]".len()
    }

    /// The whole text as one.
    pub(crate) fn text(&self) -> Vec<u8> {
        self.pieces.concat()
    }

    /// The list in a frame, compressed. Computed once for each list, and once for each chunk.
    pub(crate) fn packed(&self, frame: Frame) -> Stream {
        let stream = self.packed[frame as usize].get_or_init(|| {
            let (before, after) = frame.text();
            Stream::new(before, self.piece(), after)
        });
        stream.clone()
    }

    fn piece(&self) -> &SharedPiece {
        self.piece.get_or_init(|| {
            let (mut deflater, comma) = (Deflater::new(), Piece::stored(b","));
            let mut stream = Piece::default();
            stream.reserve(self.length / 12);
            for part in &self.parts {
                match part {
                    Part::Own(text) => stream.push(&deflater.piece(text)),
                    Part::Chunk { text, is_first } => {
                        if !is_first {
                            stream.push(&comma);
                        }
                        stream.push(text.piece(&mut deflater));
                    }
                }
            }
            stream.into_shared()
        })
    }

    /// Whether both have the same text.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let is_same = |(one, other): (&Bytes, &Bytes)| {
            let is_shared = one.as_ptr() == other.as_ptr() && one.len() == other.len();
            is_shared || one == other
        };
        self.length == other.length
            && self.pieces.len() == other.pieces.len()
            && self.pieces.iter().zip(&*other.pieces).all(is_same)
    }
}

/// Builds a list.
pub(super) struct Builder {
    parts: Vec<Part>,
    own: Vec<u8>,
    is_empty: bool,
    tick: Tick,
    is_ticking: bool,
}

impl Builder {
    pub(super) fn new(tick: Tick) -> Self {
        Self {
            parts: Vec::new(),
            own: b"[".to_vec(),
            is_empty: true,
            tick,
            is_ticking: false,
        }
    }

    /// Adds a row. `is_ticking`: it shows the time.
    pub(super) fn row(&mut self, row: &impl serde::Serialize, is_ticking: bool) {
        self.comma();
        self.is_ticking |= is_ticking;
        serde_json::to_writer(&mut self.own, row)
            .expect("rows have plain fields, and memory takes them");
    }

    /// Adds the guests that the caller may see and that `wanted` accepts.
    pub(super) fn guests<'a>(
        &mut self,
        chunks: impl Iterator<Item = &'a Arc<Chunk>>,
        shape: Shape,
        sight: &Sight,
        wanted: impl Fn(&Guest) -> bool,
    ) {
        for chunk in chunks {
            let mut mask = visible(chunk, sight);
            for (at, guest) in chunk.guests().iter().enumerate() {
                mask &= !(u64::from(!wanted(guest)) << at);
            }
            if mask == chunk.all() {
                self.chunk(chunk, shape);
            } else if mask != 0 {
                self.some(chunk, shape, mask);
            }
        }
    }

    fn chunk(&mut self, chunk: &Chunk, shape: Shape) {
        let text = chunk.text(shape, self.tick);
        self.is_ticking |= text.is_ticking();
        self.end_own();
        let is_first = std::mem::take(&mut self.is_empty);
        self.parts.push(Part::Chunk { text, is_first });
    }

    /// Adds some rows of a chunk: copied from its text if that is cached, otherwise written.
    fn some(&mut self, chunk: &Chunk, shape: Shape, mut mask: u64) {
        let text = chunk.known_text(shape, self.tick);
        while mask != 0 {
            let at = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            self.comma();
            let guest = &chunk.guests()[at];
            self.is_ticking |= guest.state.running().is_some();
            match &text {
                Some(text) => self.own.extend_from_slice(&text.row(at)[1..]),
                None => shape.write(guest, self.tick, &mut self.own),
            }
        }
    }

    fn comma(&mut self) {
        if !std::mem::take(&mut self.is_empty) {
            self.own.push(b',');
        }
    }

    fn end_own(&mut self) {
        if !self.own.is_empty() {
            let own = std::mem::take(&mut self.own);
            self.parts.push(Part::Own(own.into()));
        }
    }

    /// The list, and the tick that it is valid for; none if it does not show the time.
    pub(super) fn end(mut self, tag: u64) -> (List, Option<Tick>) {
        self.own.push(b']');
        self.end_own();
        let pieces: Arc<[Bytes]> = self.parts.iter().map(Part::bytes).collect();
        let list = List {
            length: pieces.iter().map(Bytes::len).sum(),
            parts: self.parts,
            pieces,
            tag,
            piece: OnceLock::new(),
            packed: Default::default(),
        };
        (list, self.is_ticking.then_some(self.tick))
    }
}

/// A mask of the guests of a chunk that the caller may see.
fn visible(chunk: &Chunk, sight: &Sight) -> u64 {
    let mut mask = if sight.guests.others() {
        chunk.all()
    } else {
        0
    };
    for vmid in sight.guests.exceptions(chunk.first()..=chunk.last()) {
        if let Ok(at) = chunk.find(*vmid) {
            mask ^= 1 << at;
        }
    }
    mask
}
