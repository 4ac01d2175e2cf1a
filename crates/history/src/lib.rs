//! The use of resources over time: of a node, its guests and its storages.
//!
//! ```text
//!   samples ──► History: one mean a minute and object ──► Ring, a file an object
//!                                                           60 s   × 1440   a day
//!                                                           30 min × 1440   a month
//!                                                           6 h    × 1440   a year
//!                                                           7 d    × 570    a decade (nodes)
//! ```
//!
//! Means and maxima of the coarser archives are made of the rows of the next finer one, so that
//! nothing but rows is kept. It does not measure, and it does not know what a guest is.
//!
//! **Invariants.** A file never grows beyond its archives. A row carries its own time and a
//! checksum: a row that is not wholly written, or is of an earlier turn of the ring, is a gap. What
//! was not written yet, a minute at most, is all that an end of the agent loses.

mod archive;
mod columns;
mod layout;
mod minute;
mod recorder;
mod ring;
mod row;

pub use archive::{Consolidation, Timeframe};
pub use columns::{GUEST, Kind, NODE, STORAGE};
pub use layout::{FIRST_EPOCH, Origin};
pub use recorder::{History, Object, Recorded, Sample};
pub use row::Point;
