//! A folder of the host in the guest: `virtiofs0: NAME,cache=auto`.

use crate::schema::{Field, PropertyError, format, parse_properties};

pub(super) const VIRTIOFS: &[Field] = &[
    Field::string("dirid")
        .format(format::CONFIG_ID)
        .default_key(),
    Field::string("cache")
        .optional()
        .one_of(&["auto", "always", "metadata", "never"])
        .default("auto"),
    Field::boolean("direct-io").optional().default("0"),
    Field::boolean("expose-acl").optional().default("0"),
    Field::boolean("expose-xattr").optional().default("0"),
];

/// An option `virtiofs0`, `virtiofs1`, ….
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtioFs {
    /// The mapping that says which folder it is, and the name by which the guest mounts it.
    pub mapping: String,
    /// How long the guest may keep what it has read.
    pub cache: Option<String>,
    pub allows_direct_io: bool,
    pub has_acls: bool,
    pub has_attributes: bool,
}

impl VirtioFs {
    /// How many a guest may have.
    pub const COUNT: u8 = 10;

    /// The longest tag of a file system, in bytes.
    const TAG: usize = 36;

    pub fn parse(text: &str) -> Result<Self, PropertyError> {
        let keys = parse_properties(VIRTIOFS, text)?;
        let flag = |key: &str| keys.flag(key) == Some(true);
        let mapping = keys.text("dirid").unwrap_or_default().to_owned();
        if mapping.len() > Self::TAG {
            let reason = format!("the name of a folder has {} bytes at most", Self::TAG);
            return Err(PropertyError::Keys(vec![("dirid".to_owned(), reason)]));
        }
        Ok(Self {
            mapping,
            cache: keys.text("cache").map(str::to_owned),
            allows_direct_io: flag("direct-io"),
            has_acls: flag("expose-acl"),
            // The lists of rights are such attributes.
            has_attributes: flag("expose-xattr") || flag("expose-acl"),
        })
    }

    pub(super) fn check(text: &str) -> Result<(), PropertyError> {
        Self::parse(text).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_named_by_a_mapping() {
        let share = VirtioFs::parse("data,expose-acl=1,cache=never").unwrap();
        assert_eq!(
            (share.mapping.as_str(), share.cache.as_deref()),
            ("data", Some("never"))
        );
        assert!(share.has_acls && share.has_attributes && !share.allows_direct_io);
        assert!(VirtioFs::parse("/srv").is_err());
        assert!(VirtioFs::parse(&"a".repeat(37)).is_err());
    }
}
