//! The kernel's list of the mounts that this process sees.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const MOUNTS: &str = "/proc/self/mountinfo";

/// What is mounted at a folder and below, in the order in which it was mounted.
pub(super) fn mounts_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let text = std::fs::read(MOUNTS)?;
    let lines = text.split(|byte| *byte == b'\n');
    let places = lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    let places = places.map(|place| PathBuf::from(std::ffi::OsStr::from_bytes(&plain(place))));
    Ok(places.filter(|place| place.starts_with(folder)).collect())
}

/// A path of the kernel's list of mounts, in which blanks and the like are octal numbers.
fn plain(place: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut rest = place;
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..3).filter(|_| *first == b'\\');
        let number = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        text.push(number.unwrap_or(*first));
        rest = if number.is_some() { &tail[3..] } else { tail };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_kernels_list_are_read() {
        assert_eq!(plain(br"/run/a\040b"), b"/run/a b");
        assert_eq!(plain(br"/run/\134x\"), br"/run/\x\");
    }
}
