//! `date`, as it answers for the offset of a time zone.

use sys::{Command, Output};

use crate::host::Disk;

/// When the clocks of Europe go an hour forward and back in 2026.
const SUMMER: std::ops::Range<i64> = 1_774_746_000..1_792_890_000;

/// Reads `@SECONDS` lines and prints the offsets of central Europe, right for 2026 and the winters around
/// it.
pub fn date(_: &mut Disk, command: &Command) -> Output {
    let asked = String::from_utf8_lossy(&command.input).into_owned();
    let offset = |line: &str| match line.trim_start_matches('@').parse::<i64>() {
        Ok(at) if SUMMER.contains(&at) => "+0200\n",
        _ => "+0100\n",
    };
    Output {
        code: Some(0),
        stdout: asked.lines().map(offset).collect::<String>().into_bytes(),
        ..Output::default()
    }
}
