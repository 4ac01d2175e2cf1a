//! Human-readable sizes: `32G`, `1.5T`, `512`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a size (a number with an optional K, M, G or T)")]
pub struct SizeError(pub String);

/// A number of bytes. Printed with the largest binary unit that divides it, as in a disk's
/// `size=32G`, else as a plain number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ByteSize(pub u64);

const UNITS: [(char, u64); 4] = [
    ('T', 1 << 40),
    ('G', 1 << 30),
    ('M', 1 << 20),
    ('K', 1 << 10),
];

impl ByteSize {
    pub fn gib(number: u64) -> Self {
        Self(number << 30)
    }

    pub fn bytes(self) -> u64 {
        self.0
    }

    /// A size in GiB, as in a request for a new volume, rounded up to whole KiB.
    pub fn of_gib(gib: f64) -> Self {
        let kib = (gib * f64::from(1 << 20)).ceil() as u64;
        Self(kib.saturating_mul(1 << 10))
    }

    /// Rounded up to whole KiB, as image sizes are; none on overflow.
    pub fn whole_kib(self) -> Option<Self> {
        self.0.checked_next_multiple_of(1 << 10).map(Self)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = UNITS
            .iter()
            .find(|(_, unit)| self.0 >= *unit && self.0.is_multiple_of(*unit));
        match fits {
            Some((letter, unit)) => write!(f, "{}{letter}", self.0 / unit),
            None => write!(f, "{}", self.0),
        }
    }
}

impl FromStr for ByteSize {
    type Err = SizeError;

    fn from_str(value: &str) -> Result<Self, SizeError> {
        let bad = || SizeError(value.to_owned());
        let (number, unit) = match value.chars().last() {
            Some(last) if last.is_ascii_alphabetic() => {
                let unit = UNITS
                    .iter()
                    .find(|(letter, _)| *letter == last)
                    .ok_or_else(bad)?
                    .1;
                (&value[..value.len() - 1], unit)
            }
            _ => (value, 1),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 9 {
            return Err(bad());
        }
        if number.ends_with('.') {
            return Err(bad());
        }
        let whole: u64 = whole.parse().map_err(|_| bad())?;
        let bytes = whole.checked_mul(unit).ok_or_else(bad)?;
        let part = match fraction.parse::<u128>() {
            Ok(part) => part * u128::from(unit) / 10_u128.pow(fraction.len() as u32),
            Err(_) => 0,
        };
        let part = u64::try_from(part).map_err(|_| bad())?;
        bytes.checked_add(part).map(ByteSize).ok_or_else(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_read_and_print() {
        for (text, bytes) in [
            ("1G", 1 << 30),
            ("1.5K", 1536),
            ("512", 512),
            ("2T", 2 << 40),
        ] {
            assert_eq!(text.parse::<ByteSize>().unwrap().0, bytes, "{text}");
        }
        assert_eq!(ByteSize::of_gib(0.1).to_string(), "104858K");
        assert_eq!(ByteSize::of_gib(8.0), ByteSize::gib(8));
        assert_eq!(ByteSize(1025).whole_kib(), Some(ByteSize(2048)));
        assert_eq!(ByteSize(u64::MAX).whole_kib(), None);
        assert_eq!(ByteSize(32 << 30).to_string(), "32G");
        assert_eq!(ByteSize(0).to_string(), "0");
        for bad in [
            "",
            "G",
            "-1",
            "1.",
            "1 G",
            "1g",
            "99999999999999999999",
            "20000000000T",
        ] {
            assert!(bad.parse::<ByteSize>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn printing_loses_nothing(bytes: u64) {
            prop_assert_eq!(ByteSize(bytes).to_string().parse::<ByteSize>().unwrap(), ByteSize(bytes));
        }
    }
}
