//! A watchdog for the guest: `i6300esb,action=reset`.

use crate::schema::{Field, Properties, PropertyError, parse_properties, print_properties};

pub(super) const WATCHDOG: &[Field] = &[
    Field::string("model")
        .optional()
        .one_of(&["i6300esb", "ib700"])
        .default("i6300esb")
        .default_key(),
    Field::string("action")
        .optional()
        .one_of(&["reset", "shutdown", "poweroff", "pause", "debug", "none"]),
];

/// The option `watchdog`.
#[derive(Debug, Clone, PartialEq)]
pub struct Watchdog(Properties);

impl Watchdog {
    pub fn parse(text: &str) -> Result<Self, PropertyError> {
        Ok(Self(parse_properties(WATCHDOG, text)?))
    }

    pub fn print(&self) -> String {
        print_properties(WATCHDOG, &self.0)
    }

    /// QEMU's name of the device.
    pub fn model(&self) -> &str {
        self.0.text("model").unwrap_or("i6300esb")
    }

    /// The action when the guest stops feeding it; QEMU resets the guest by default.
    pub fn action(&self) -> Option<&str> {
        self.0.text("action")
    }
}
