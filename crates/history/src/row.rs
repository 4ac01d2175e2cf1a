//! Rows, as values and as bytes.
//!
//! ```text
//!   slot u32 · mean f32 × columns · maximum f32 × columns · checksum u32     all little-endian
//! ```
//!
//! The finest archive has no maxima: a minute's is its mean. An unknown value is NaN.

use model::UnixTime;

use crate::archive::{Archive, MINUTE_S};

/// The values of one row, one a column; NaN where unknown.
pub(crate) type Values = Vec<f32>;

/// What an object used in the time that ends then.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    pub time: UnixTime,
    /// One a column, in the order of `Kind::columns`; NaN where unknown.
    pub values: Vec<f32>,
}

impl Point {
    pub fn is_unknown(&self) -> bool {
        self.values.iter().all(|value| value.is_nan())
    }
}

/// A row that was written.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) slot: u32,
    pub(crate) mean: Values,
    pub(crate) max: Values,
}

const NUMBER_BYTES: usize = 4;

fn has_maxima(archive: &Archive) -> bool {
    archive.step_s != MINUTE_S
}

/// How long a row is.
pub(crate) fn row_bytes(archive: &Archive, columns: usize) -> usize {
    let parts = if has_maxima(archive) { 2 } else { 1 };
    (parts * columns + 2) * NUMBER_BYTES
}

pub(crate) fn encode(archive: &Archive, row: &Row) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(row_bytes(archive, row.mean.len()));
    bytes.extend(row.slot.to_le_bytes());
    let maxima: &[f32] = if has_maxima(archive) { &row.max } else { &[] };
    for value in row.mean.iter().chain(maxima) {
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// The row that these bytes are; none where none was written, or not wholly.
pub(crate) fn decode(archive: &Archive, columns: usize, bytes: &[u8]) -> Option<Row> {
    let (bytes, checksum) = bytes.split_last_chunk::<NUMBER_BYTES>()?;
    let (slot, values) = bytes.split_first_chunk::<NUMBER_BYTES>()?;
    let slot = u32::from_le_bytes(*slot);
    if slot == 0 || crc32fast::hash(bytes) != u32::from_le_bytes(*checksum) {
        return None;
    }
    let (numbers, _) = values.as_chunks::<NUMBER_BYTES>();
    let mut mean: Values = numbers.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let max = match has_maxima(archive) {
        true if mean.len() == 2 * columns => mean.split_off(columns),
        false if mean.len() == columns => mean.clone(),
        _ => return None,
    };
    Some(Row { slot, mean, max })
}

/// The row of a coarser archive that these rows are: a column is known where it is in half of them.
pub(crate) fn consolidate(slot: u32, of: u32, rows: &[Row]) -> Option<Row> {
    let columns = rows.first()?.mean.len();
    let known = |values: fn(&Row) -> &Values, column: usize| {
        let values = rows.iter().map(move |row| values(row)[column]);
        values.filter(|value| !value.is_nan())
    };
    let (mut mean, mut max) = (Values::new(), Values::new());
    for column in 0..columns {
        let count = known(|row| &row.mean, column).count();
        let is_known = 2 * count >= of as usize;
        let sum: f64 = known(|row| &row.mean, column).map(f64::from).sum();
        let highest = known(|row| &row.max, column).fold(f32::NAN, f32::max);
        let of_known = |value: f32| if is_known { value } else { f32::NAN };
        mean.push(of_known((sum / count as f64) as f32));
        max.push(of_known(highest));
    }
    let is_known = mean.iter().any(|value| !value.is_nan());
    is_known.then_some(Row { slot, mean, max })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Kind;

    fn row(slot: u32, values: &[f32]) -> Row {
        let mean = values.to_vec();
        let max = mean.clone();
        Row { slot, mean, max }
    }

    #[test]
    fn a_column_is_known_where_half_of_it_is() {
        let rows = [row(1, &[1.0, 5.0]), row(2, &[3.0, f32::NAN])];
        let made = consolidate(1, 4, &rows).unwrap();
        assert_eq!((made.mean[0], made.max[0]), (2.0, 3.0));
        assert!(made.mean[1].is_nan() && made.max[1].is_nan());
        assert!(consolidate(1, 6, &rows).is_none());
    }

    #[test]
    fn a_maximum_is_that_of_the_finer_maxima() {
        let mut peak = row(1, &[2.0]);
        peak.max = vec![9.0];
        let made = consolidate(1, 2, &[peak, row(2, &[4.0])]).unwrap();
        assert_eq!((made.mean[0], made.max[0]), (3.0, 9.0));
    }

    proptest! {
        #[test]
        fn a_row_is_read_as_it_was_written(
            slot in 1..u32::MAX,
            mean in prop::collection::vec(-1e12f32..1e12, 2),
            cut in 0..1000usize,
        ) {
            for archive in Archive::all(Kind::Node) {
                let written = row(slot, &mean);
                let mut bytes = encode(archive, &written);
                prop_assert_eq!(bytes.len(), row_bytes(archive, 2));
                let read = decode(archive, 2, &bytes).unwrap();
                prop_assert_eq!((read.slot, &read.mean), (slot, &mean));
                // Only a part of it reached the disk: the rest has what was there before.
                let cut = cut % bytes.len();
                let before = encode(archive, &row(slot ^ 1, &[7.0, 7.0]));
                let is_whole = before[cut..] == bytes[cut..];
                bytes[cut..].copy_from_slice(&before[cut..]);
                let read = decode(archive, 2, &bytes);
                prop_assert!(is_whole || cut == 0 || read.is_none());
            }
        }
    }
}
