//! The guest's sound card: `device=ich9-intel-hda,driver=none`.

use crate::schema::{Field, PropertyError, parse_properties};

pub(super) const AUDIO: &[Field] = &[
    Field::string("device").one_of(&["ich9-intel-hda", "intel-hda", "AC97"]),
    Field::string("driver")
        .optional()
        .one_of(&["spice", "none"])
        .default("spice"),
];

/// The option `audio0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audio {
    /// QEMU's name of the card.
    pub device: String,
    /// What it plays is for a client of SPICE; otherwise it goes nowhere.
    pub is_for_spice: bool,
}

impl Audio {
    pub fn parse(text: &str) -> Result<Self, PropertyError> {
        let keys = parse_properties(AUDIO, text)?;
        Ok(Self {
            device: keys.text("device").unwrap_or_default().to_owned(),
            is_for_spice: keys.text("driver").is_none_or(|driver| driver == "spice"),
        })
    }
}
