//! The volume with the state of a guest's TPM.

use crate::VolumeId;
use crate::schema::{Properties, PropertyError, parse_properties, print_properties};

use super::drive_fields::TPM;

/// `local:100/vm-100-disk-1.raw,size=4M,version=v2.0`.
#[derive(Debug, Clone, PartialEq)]
pub struct TpmState(Properties);

impl TpmState {
    /// The size of every TPM volume.
    pub const BYTES: u64 = 4 << 20;

    pub fn parse(text: &str) -> Result<Self, PropertyError> {
        Ok(Self(parse_properties(TPM, text)?))
    }

    pub fn print(&self) -> String {
        print_properties(TPM, &self.0)
    }

    pub fn volume(&self) -> Option<VolumeId> {
        self.0.text("file").and_then(|text| text.parse().ok())
    }

    /// Takes over the other's version if this has none. False if the versions differ.
    pub fn keep_version(&mut self, other: &Self) -> bool {
        if self.0.get("version").is_none() && other.is_version_2() {
            self.0.set(TPM, "version", "v2.0");
        }
        self.is_version_2() == other.is_version_2()
    }

    /// Whether it is TPM 2.0 and not the old 1.2.
    pub fn is_version_2(&self) -> bool {
        self.0.text("version") == Some("v2.0")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_version_it_is_the_old_one() {
        let old = TpmState::parse("local:100/t.raw,size=4M").unwrap();
        assert!(!old.is_version_2());
        let new = TpmState::parse("local:100/t.raw,version=v2.0").unwrap();
        assert!(new.is_version_2());
        assert_eq!(TpmState::parse(&new.print()).unwrap(), new);
        assert_eq!(new.volume().unwrap().to_string(), "local:100/t.raw");
        let mut silent = old.clone();
        assert!(silent.keep_version(&new) && silent.is_version_2());
        let mut other = TpmState::parse("local:100/t.raw,version=v1.2").unwrap();
        assert!(!other.keep_version(&new));
    }
}
