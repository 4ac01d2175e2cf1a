//! How fast freed volumes are overwritten.

use serde::{Deserialize, Serialize};

/// In bytes per second, as cstream(1) takes it: `10485760` or `10m`. Its sign, which there says how the
/// average is held, makes no difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WipeRate {
    /// As it was given.
    text: String,
    bytes_per_s: u64,
}

impl WipeRate {
    pub(crate) fn bytes_per_s(&self) -> u64 {
        self.bytes_per_s
    }
}

impl TryFrom<String> for WipeRate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number = text.strip_prefix('-').unwrap_or(&text);
        let digits = number.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let shift = match &number[digits.len()..] {
            "" => Some(0),
            "k" | "K" => Some(10),
            "m" | "M" => Some(20),
            "g" | "G" => Some(30),
            _ => None,
        };
        let is_number = digits.chars().all(|c| c.is_ascii_digit());
        let plain: Option<u64> = digits.parse().ok().filter(|_| is_number);
        let bytes = plain
            .zip(shift)
            .and_then(|(plain, shift)| plain.checked_mul(1 << shift));
        match bytes.filter(|bytes| *bytes > 0) {
            Some(bytes_per_s) => Ok(Self { text, bytes_per_s }),
            None => Err(format!(
                "'{text}' is no rate in bytes per second, such as 10485760 or 10m"
            )),
        }
    }
}

impl From<WipeRate> for String {
    fn from(rate: WipeRate) -> Self {
        rate.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_cstream_reads_them() {
        for (text, bytes) in [
            ("10485760", 10 << 20),
            ("-10485760", 10 << 20),
            ("64k", 64 << 10),
            ("-10m", 10 << 20),
            ("2G", 2 << 30),
        ] {
            let rate = WipeRate::try_from(text.to_owned()).unwrap();
            assert_eq!(rate.bytes_per_s(), bytes, "{text}");
            assert_eq!(String::from(rate), text);
        }
        for bad in [
            "",
            "0",
            "-",
            "m",
            "--1",
            "+1",
            "1 m",
            "1t",
            "1.5m",
            "99999999999g",
        ] {
            assert!(WipeRate::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
