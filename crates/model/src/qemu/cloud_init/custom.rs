//! Files of the administrator's own in place of generated ones:
//! `user=local:snippets/user.yaml,vendor=local:snippets/vendor.yaml`.

use crate::VolumeId;
use crate::schema::{Field, Properties, PropertyError, format, parse_properties, print_properties};

const CUSTOM: &[Field] = &[
    Field::string("meta").optional().format(format::VOLUME_ID),
    Field::string("network")
        .optional()
        .format(format::VOLUME_ID),
    Field::string("user").optional().format(format::VOLUME_ID),
    Field::string("vendor").optional().format(format::VOLUME_ID),
];

/// The option `cicustom`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CustomFiles {
    pub meta: Option<VolumeId>,
    pub network: Option<VolumeId>,
    pub user: Option<VolumeId>,
    pub vendor: Option<VolumeId>,
}

impl CustomFiles {
    pub fn parse(text: &str) -> Result<Self, PropertyError> {
        let keys = parse_properties(CUSTOM, text)?;
        let volume = |key: &str| keys.text(key).and_then(|text| text.parse().ok());
        Ok(Self {
            meta: volume("meta"),
            network: volume("network"),
            user: volume("user"),
            vendor: volume("vendor"),
        })
    }

    pub fn print(&self) -> String {
        let mut keys = Properties::default();
        for (key, volume) in self.files() {
            if let Some(volume) = volume {
                keys.set(CUSTOM, key, volume.to_string());
            }
        }
        print_properties(CUSTOM, &keys)
    }

    /// Each file by its name.
    pub fn files(&self) -> [(&'static str, Option<&VolumeId>); 4] {
        [
            ("meta", self.meta.as_ref()),
            ("network", self.network.as_ref()),
            ("user", self.user.as_ref()),
            ("vendor", self.vendor.as_ref()),
        ]
    }
}
