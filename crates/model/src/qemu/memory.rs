//! Memory: a property string since Proxmox VE 8, with one key that is always written without its
//! name.

use crate::schema::{Field, PropertyError, parse_properties};

pub(super) const MEMORY: &[Field] = &[Field::integer("current")
    .min(16.0)
    .default("512")
    .default_key()];

/// The memory in MiB.
pub fn parse_memory_mib(text: &str) -> Result<u64, PropertyError> {
    let keys = parse_properties(MEMORY, text)?;
    let mebibytes = keys
        .integer("current")
        .and_then(|number| u64::try_from(number).ok());
    mebibytes.ok_or_else(|| PropertyError::Syntax("memory is a number of MiB".to_owned()))
}

/// As a stored configuration shows it: a string.
pub fn print_memory_mib(mebibytes: u64) -> String {
    mebibytes.to_string()
}
