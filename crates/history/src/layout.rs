//! Where things are in a file.
//!
//! ```text
//!   magic 8 · version u16 · kind u8 · columns u8 · created i64 · epoch u64 · checksum u32
//!   up to byte 64: 0
//!   the archives, finest first, each as a ring of rows
//! ```
//!
//! What was never written is a hole, or missing at the end.

use model::UnixTime;

use crate::Kind;
use crate::archive::Archive;
use crate::row::{decode, row_bytes};

const MAGIC: &[u8; 8] = b"ostlhist";
const VERSION: u16 = 1;

/// The part of the header that is not 0, and the bytes that it has room in.
const HEADER_BYTES: usize = 32;
const ROOM: u64 = 64;

/// Whose history it is: a number may be given to another guest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Origin {
    /// When the guest was created; 0 for what is no guest.
    pub created: UnixTime,
    /// The guest's epoch when its history was last brought together from other nodes.
    pub epoch: u64,
}

/// The epoch of a guest that has never changed its owner.
pub const FIRST_EPOCH: u64 = 1;

pub(crate) fn header(kind: Kind, origin: Origin) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.push(kind as u8);
    bytes.push(kind.columns().len() as u8);
    bytes.extend(origin.created.to_le_bytes());
    bytes.extend(origin.epoch.to_le_bytes());
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// Reads a header; what is wrong with it is the error.
pub(crate) fn origin(kind: Kind, file: &[u8]) -> Result<Origin, String> {
    let short = || format!("its header has {} bytes", file.len().min(HEADER_BYTES));
    let bytes = file.first_chunk::<HEADER_BYTES>().ok_or_else(short)?;
    let number = |at: usize| {
        bytes[at..]
            .first_chunk()
            .map_or(0, |b| u64::from_le_bytes(*b))
    };
    let origin = Origin {
        created: number(12).cast_signed(),
        epoch: number(20),
    };
    match bytes[..] == header(kind, origin) {
        true => Ok(origin),
        false => Err(format!(
            "its header is not that of version {VERSION} for {} columns",
            kind.columns().len()
        )),
    }
}

/// Where a row of an archive is.
pub(crate) fn offset(kind: Kind, archive: usize, place: u32) -> u64 {
    let columns = kind.columns().len();
    let (before, rest) = Archive::all(kind).split_at(archive);
    let bytes = |archive: &Archive, rows: u32| row_bytes(archive, columns) as u64 * u64::from(rows);
    let before: u64 = before
        .iter()
        .map(|archive| bytes(archive, archive.rows))
        .sum();
    ROOM + before + rest.first().map_or(0, |archive| bytes(archive, place))
}

/// The length of a file in which every row was written.
pub(crate) fn file_bytes(kind: Kind) -> u64 {
    offset(kind, Archive::all(kind).len(), 0)
}

/// Adds the rows of another file of the same object that this one has no newer ones for.
pub(crate) fn merge(kind: Kind, file: &mut Vec<u8>, other: &[u8]) {
    let columns = kind.columns().len();
    for (index, archive) in Archive::all(kind).iter().enumerate() {
        for place in 0..archive.rows {
            let start = offset(kind, index, place) as usize;
            let range = start..start + row_bytes(archive, columns);
            let row = |file: &[u8]| decode(archive, columns, file.get(range.clone())?);
            let Some(theirs) = row(other) else { continue };
            if row(file).is_none_or(|own| own.slot < theirs.slot) {
                file.resize(file.len().max(range.end), 0);
                file[range.clone()].copy_from_slice(&other[range]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_of_a_thousand_guests_stays_below_a_gigabyte() {
        let bytes = file_bytes(Kind::Guest);
        assert_eq!(bytes, 524_224);
        assert!(1000 * bytes < 1_000_000_000);
        println!(
            "a guest {bytes} bytes, a node {}, a storage {}",
            file_bytes(Kind::Node),
            file_bytes(Kind::Storage)
        );
    }

    #[test]
    fn a_header_of_something_else_is_named() {
        let origin_of = Origin {
            created: -1,
            epoch: 3,
        };
        let bytes = header(Kind::Guest, origin_of);
        assert_eq!(bytes.len(), HEADER_BYTES);
        assert_eq!(origin(Kind::Guest, &bytes), Ok(origin_of));
        assert!(
            origin(Kind::Node, &bytes)
                .unwrap_err()
                .contains("19 columns")
        );
        let mut damaged = bytes;
        damaged[13] ^= 1;
        assert!(origin(Kind::Guest, &damaged).is_err());
        let short = origin(Kind::Guest, &damaged[..5]).unwrap_err();
        assert_eq!(short, "its header has 5 bytes");
    }
}
