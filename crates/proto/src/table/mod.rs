//! The operations, one file per resource, named and ordered as in the API's tree.

mod params;
mod version;

use crate::Row;

/// All rows, in groups.
const GROUPS: &[&[Row]] = &[version::ROWS];

/// Every operation that this version has.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    GROUPS.iter().flat_map(|group| group.iter())
}

/// The row with this name.
pub fn row(name: &str) -> Option<&'static Row> {
    rows().find(|row| row.name == name)
}

#[cfg(test)]
mod tests;
