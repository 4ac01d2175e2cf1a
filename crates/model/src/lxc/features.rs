//! What a container may do beyond the usual: `nesting=1,keyctl=1`.

use crate::schema::{Field, PropertyError, parse_properties};

pub(super) const FEATURES: &[Field] = &[
    Field::boolean("force_rw_sys").optional().default("0"),
    Field::boolean("fuse").optional().default("0"),
    Field::boolean("keyctl").optional().default("0"),
    // A helper would have to make devices on the container's behalf.
    Field::boolean("mknod").optional().default("0").unbuilt(),
    Field::string("mount")
        .optional()
        .pattern(r"[a-zA-Z0-9_; ]+"),
    Field::boolean("nesting").optional().default("0"),
];

/// The option `features`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Features {
    pub force_rw_sys: bool,
    pub fuse: bool,
    pub keyctl: bool,
    pub nesting: bool,
    /// File systems that it may mount.
    pub mount: Vec<String>,
}

impl Features {
    pub fn parse(text: &str) -> Result<Self, PropertyError> {
        let keys = parse_properties(FEATURES, text)?;
        let flag = |key: &str| keys.flag(key) == Some(true);
        let mount = keys.text("mount").unwrap_or_default().split(';');
        Ok(Self {
            force_rw_sys: flag("force_rw_sys"),
            fuse: flag("fuse"),
            keyctl: flag("keyctl"),
            nesting: flag("nesting"),
            mount: mount
                .map(|name| name.trim().to_owned())
                .filter(|name| !name.is_empty())
                .collect(),
        })
    }

    /// Whether nothing but nesting is asked for, which needs fewer rights.
    pub fn is_only_nesting(&self) -> bool {
        let nesting = Self {
            nesting: self.nesting,
            ..Self::default()
        };
        *self == nesting
    }
}
