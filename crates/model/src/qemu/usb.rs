//! A USB device of the host: `host=1234:5678`, `host=1-2.3`, `mapping=NAME`.

use crate::schema::{Field, PropertyError, format, parse_properties};

pub(super) const USB: &[Field] = &[
    Field::string("host")
        .optional()
        .pattern(
            r"(?:(?:(?:(?:(0x)?([0-9A-Fa-f]{4}):(0x)?([0-9A-Fa-f]{4})))|(?:(?:(\d+)\-(\d+(\.\d+)*)))|[Ss][Pp][Ii][Cc][Ee]))",
        )
        .default_key(),
    Field::string("mapping").optional().format(format::CONFIG_ID),
    Field::boolean("usb3").optional().default("0"),
];

/// Which device of the host it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsbSource {
    /// The first one with this id, `1234:5678` in small letters.
    Id(String),
    /// What is plugged in there, `1-2.3`: the bus and the ports on the way from its root hub.
    Place(String),
    /// What a client of SPICE plugs in.
    Spice,
    /// What a mapping of the cluster is on this node.
    Mapping(String),
}

/// An option `usb0`, `usb1`, ….
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usb {
    pub source: UsbSource,
}

impl Usb {
    /// How many a guest may have.
    pub const COUNT: u8 = 14;

    pub fn parse(text: &str) -> Result<Self, PropertyError> {
        let keys = parse_properties(USB, text)?;
        let wrong = |reason: &str| Err(PropertyError::Syntax(reason.to_owned()));
        let source = match (keys.text("host"), keys.text("mapping")) {
            (Some(_), Some(_)) => return wrong("only one of 'host' or 'mapping' can be set"),
            (None, None) => return wrong("either 'host' or 'mapping' must be set"),
            (None, Some(mapping)) => UsbSource::Mapping(mapping.to_owned()),
            (Some(host), None) if host.eq_ignore_ascii_case("spice") => UsbSource::Spice,
            (Some(host), None) if host.contains('-') => UsbSource::Place(host.to_owned()),
            (Some(host), None) => UsbSource::Id(host.to_ascii_lowercase().replace("0x", "")),
        };
        Ok(Self { source })
    }

    /// Refuses what this version cannot give.
    pub(super) fn check(text: &str) -> Result<(), PropertyError> {
        match Self::parse(text)?.source {
            UsbSource::Spice => {
                let reason = "value 'spice' is not supported by this version of Ostler";
                Err(PropertyError::Syntax(reason.to_owned()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_named_by_id_place_or_mapping() {
        for (text, source) in [
            ("0x046D:0xc52b", UsbSource::Id("046d:c52b".into())),
            ("host=1-2.3,usb3=1", UsbSource::Place("1-2.3".into())),
            ("mapping=stick", UsbSource::Mapping("stick".into())),
            ("SPICE", UsbSource::Spice),
        ] {
            assert_eq!(Usb::parse(text).unwrap().source, source, "{text}");
        }
        for wrong in ["usb3=1", "host=1-2,mapping=stick", "host=x"] {
            assert!(Usb::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Usb::check("spice,usb3=1").is_err());
        assert!(Usb::check("mapping=stick").is_ok());
    }
}
