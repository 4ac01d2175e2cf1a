//! A device of the host in a container: `dev0: /dev/ttyUSB0,mode=0660,gid=20`.

use crate::schema::{Field, PropertyError, parse_properties};

use super::format as own;

pub(super) const DEVICE: &[Field] = &[
    Field::boolean("deny-write").optional().default("0"),
    Field::integer("gid").optional().min(0.0),
    Field::string("mode").optional().pattern("0[0-7]{3}"),
    Field::string("path")
        .optional()
        .format(own::DEVICE)
        .default_key(),
    Field::integer("uid").optional().min(0.0),
];

/// An option `dev0`, `dev1`, ….
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// On the host, and in the container: below `/dev/`.
    pub path: String,
    /// As the container sees them.
    pub uid: u32,
    pub gid: u32,
    pub mode: u32,
    pub denies_write: bool,
}

impl Device {
    /// How many a container may have.
    pub const COUNT: u16 = 256;

    const MODE: u32 = 0o660;

    pub fn parse(text: &str) -> Result<Self, PropertyError> {
        let keys = parse_properties(DEVICE, text)?;
        let Some(path) = keys.text("path") else {
            let reason = "property is missing and it is not optional".to_owned();
            return Err(PropertyError::Keys(vec![("path".to_owned(), reason)]));
        };
        let id = |key: &str| match keys.integer(key).map(u32::try_from) {
            None => Ok(0),
            Some(Ok(id)) => Ok(id),
            Some(Err(_)) => {
                let reason = "value is no id of a user or group".to_owned();
                Err(PropertyError::Keys(vec![(key.to_owned(), reason)]))
            }
        };
        let mode = keys.text("mode");
        let mode = mode.and_then(|mode| u32::from_str_radix(mode, 8).ok());
        Ok(Self {
            path: path.to_owned(),
            uid: id("uid")?,
            gid: id("gid")?,
            mode: mode.unwrap_or(Self::MODE),
            denies_write: keys.flag("deny-write") == Some(true),
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
    fn a_device_has_an_owner_and_a_mode_inside() {
        let device = Device::parse("/dev/dri/renderD128,mode=0666,gid=44,deny-write=1").unwrap();
        assert_eq!((device.uid, device.gid, device.mode), (0, 44, 0o666));
        assert!(device.denies_write);
        assert_eq!(Device::parse("path=/dev/net/tun").unwrap().mode, 0o660);
        for wrong in [
            "mode=0660",
            "/etc/passwd",
            "/dev/../etc/x",
            "/dev/x,mode=660",
            "/dev/x,uid=-1",
        ] {
            assert!(Device::parse(wrong).is_err(), "{wrong}");
        }
    }
}
