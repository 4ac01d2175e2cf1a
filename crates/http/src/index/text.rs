//! The cached JSON text of the rows of a chunk.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use memchr::memmem;

use super::guests::{list_row, resource_row};
use super::node_status::Tick;
use super::table::Guest;
use crate::gzip::{Deflater, Piece};

/// The key of the uptime in a row. It cannot be part of a string: there, quotes are escaped.
const UPTIME: &[u8] = b"\"uptime\":";

/// How lists write a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Shape {
    /// As `/cluster/resources` does.
    Resource,
    /// As the list of a node's guests does.
    List,
    /// The same with everything.
    FullList,
}

impl Shape {
    pub(super) const ALL: usize = 3;

    pub(super) fn write(self, guest: &Guest, tick: Tick, out: &mut Vec<u8>) {
        let written = match self {
            Self::Resource => serde_json::to_writer(out, &resource_row(guest, tick)),
            Self::List => serde_json::to_writer(out, &list_row(guest, tick, false)),
            Self::FullList => serde_json::to_writer(out, &list_row(guest, tick, true)),
        };
        written.expect("rows have plain fields, and memory takes them");
    }
}

/// The rows of a chunk, each with a comma before it.
#[derive(Debug)]
pub(super) struct Text {
    bytes: Bytes,
    /// Where each row ends.
    ends: Box<[u32]>,
    /// A mask of the rows that show the time.
    ticking: u64,
    tick: Tick,
    piece: OnceLock<Piece>,
}

impl Text {
    /// Writes the rows. Those that are not in the mask `dirty` are copied from an earlier text.
    pub(super) fn new(
        shape: Shape,
        guests: &[Guest],
        tick: Tick,
        earlier: Option<&Self>,
        dirty: u64,
    ) -> Self {
        let room = earlier.map_or(guests.len() * 300, |text| text.bytes.len() + 64);
        let mut bytes = Vec::with_capacity(room);
        let mut ends = Vec::with_capacity(guests.len());
        let mut ticking = 0;
        for (at, guest) in guests.iter().enumerate() {
            let running = guest.state.running();
            ticking |= u64::from(running.is_some()) << at;
            let known = earlier.filter(|_| dirty & 1 << at == 0);
            match (known, running) {
                (None, _) => {
                    bytes.push(b',');
                    shape.write(guest, tick, &mut bytes);
                }
                (Some(text), Some(running)) if text.tick != tick => {
                    write_with_uptime(text.row(at), running.uptime.at(tick), &mut bytes);
                }
                (Some(text), _) => bytes.extend_from_slice(text.row(at)),
            }
            ends.push(u32::try_from(bytes.len()).expect("64 rows are less than 4 GiB"));
        }
        bytes.shrink_to_fit();
        Self {
            bytes: bytes.into(),
            ends: ends.into(),
            ticking,
            tick,
            piece: OnceLock::new(),
        }
    }

    /// Whether the text is valid at a tick.
    pub(super) fn is_of(&self, tick: Tick) -> bool {
        !self.is_ticking() || self.tick == tick
    }

    pub(super) fn is_ticking(&self) -> bool {
        self.ticking != 0
    }

    /// All rows.
    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// One row, with the comma before it.
    pub(super) fn row(&self, at: usize) -> &[u8] {
        let begin = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[begin as usize..self.ends[at] as usize]
    }

    /// All rows without the first comma, compressed. Computed once.
    pub(super) fn piece(&self, deflater: &mut Deflater) -> &Piece {
        self.piece.get_or_init(|| deflater.piece(&self.bytes[1..]))
    }
}

/// Copies a row with another uptime.
fn write_with_uptime(row: &[u8], uptime: u64, out: &mut Vec<u8>) {
    let digits = memmem::find(row, UPTIME).map(|at| at + UPTIME.len());
    let begin = digits.expect("a running guest's row shows its uptime");
    let length = row[begin..].iter().take_while(|byte| byte.is_ascii_digit());
    let end = begin + length.count();
    out.extend_from_slice(&row[..begin]);
    out.extend_from_slice(uptime.to_string().as_bytes());
    out.extend_from_slice(&row[end..]);
}

/// A text and a mask of the rows that have changed since.
#[derive(Debug, Clone, Default)]
pub(super) struct Memo {
    pub(super) text: Option<Arc<Text>>,
    pub(super) dirty: u64,
}

impl Memo {
    /// The memo for a copy of the chunk. A text of which more than half has changed is dropped: it
    /// is not requested any more, or worth no more than a new one.
    pub(super) fn carried(&self, rows: usize) -> Self {
        if self.dirty.count_ones() as usize > rows / 2 {
            Self::default()
        } else {
            self.clone()
        }
    }
}
