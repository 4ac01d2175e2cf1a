//! A PCI device of the host: `hostpci0: 0000:01:00.0,pcie=1`, `01:00;02:00.1`, `mapping=NAME`.

use crate::schema::{Field, PropertyError, format, parse_properties};

const NUMBER: &str = "^0x[0-9a-fA-F]{4}$";
const ADDRESSES: &str = concat!(
    r"(?:[0-9A-Fa-f]{4}:)?[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}(?:\.[0-9A-Fa-f])?",
    r"(?:;(?:[0-9A-Fa-f]{4}:)?[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}(?:\.[0-9A-Fa-f])?)*",
);

pub(super) const HOST_PCI: &[Field] = &[
    Field::string("host")
        .optional()
        .pattern(ADDRESSES)
        .default_key(),
    Field::string("device-id").optional().pattern(NUMBER),
    Field::boolean("legacy-igd").optional().default("0"),
    Field::string("mapping")
        .optional()
        .format(format::CONFIG_ID),
    Field::string("mdev").optional().pattern(r"[^/\.:]+"),
    Field::boolean("pcie").optional().default("0"),
    Field::boolean("rombar").optional().default("1"),
    Field::string("romfile").optional().pattern(r"[^,;]+"),
    Field::string("sub-device-id").optional().pattern(NUMBER),
    Field::string("sub-vendor-id").optional().pattern(NUMBER),
    Field::string("vendor-id").optional().pattern(NUMBER),
    Field::boolean("x-vga").optional().default("0"),
];

/// The numbers that the guest sees instead of the device's own, by the option's key.
const NUMBERS: [&str; 4] = ["device-id", "sub-device-id", "sub-vendor-id", "vendor-id"];

/// Which device of the host it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PciSource {
    /// `0000:01:00.0` in small letters, with its domain; without a function all of them.
    Devices(Vec<String>),
    /// What a mapping of the cluster is on this node.
    Mapping(String),
}

/// An option `hostpci0`, `hostpci1`, ….
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPci {
    pub source: PciSource,
    /// A device that it makes for the guest, by its kind: `nvidia-63`.
    pub mediated: Option<String>,
    /// It is at a port of PCI Express.
    pub is_express: bool,
    pub has_rom_bar: bool,
    /// The name of a file with its ROM.
    pub rom_file: Option<String>,
    /// It is the guest's display.
    pub is_display: bool,
    /// It is an integrated display of Intel's, as its older drivers look for it.
    pub is_legacy_igd: bool,
    /// Key and number, as they are given.
    pub shown_as: Vec<(&'static str, String)>,
}

impl HostPci {
    /// How many a guest may have.
    pub const COUNT: u8 = 16;

    pub fn parse(text: &str) -> Result<Self, PropertyError> {
        let keys = parse_properties(HOST_PCI, text)?;
        let wrong = |reason: &str| Err(PropertyError::Syntax(reason.to_owned()));
        let source = match (keys.text("host"), keys.text("mapping")) {
            (Some(_), Some(_)) => return wrong("only one of 'host' or 'mapping' can be set"),
            (None, None) => return wrong("either 'host' or 'mapping' must be set"),
            (None, Some(mapping)) => PciSource::Mapping(mapping.to_owned()),
            (Some(host), None) => PciSource::Devices(host.split(';').map(pci_address).collect()),
        };
        let text = |key: &str| keys.text(key).map(str::to_owned);
        let flag = |key: &str| keys.flag(key);
        let rom_file = text("romfile");
        if rom_file.as_deref().is_some_and(|name| !is_plain(name)) {
            return wrong("'romfile' is the name of a file, without a folder");
        }
        let numbers = NUMBERS.into_iter();
        Ok(Self {
            source,
            mediated: text("mdev"),
            is_express: flag("pcie") == Some(true),
            has_rom_bar: flag("rombar") != Some(false),
            rom_file,
            is_display: flag("x-vga") == Some(true),
            is_legacy_igd: flag("legacy-igd") == Some(true),
            shown_as: numbers.filter_map(|key| Some((key, text(key)?))).collect(),
        })
    }

    pub(super) fn check(text: &str) -> Result<(), PropertyError> {
        Self::parse(text).map(|_| ())
    }

    pub fn mapping(&self) -> Option<&str> {
        match &self.source {
            PciSource::Mapping(id) => Some(id),
            PciSource::Devices(_) => None,
        }
    }
}

fn is_plain(name: &str) -> bool {
    !name.contains('/') && !name.starts_with('.')
}

/// An address with its domain, in small letters: `01:00.0` is `0000:01:00.0`.
pub fn pci_address(address: &str) -> String {
    let domain = match address.matches(':').count() {
        1 => "0000:",
        _ => "",
    };
    format!("{domain}{}", address.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_named_by_its_addresses_or_a_mapping() {
        let devices =
            |names: &[&str]| PciSource::Devices(names.iter().map(|&n| n.into()).collect());
        for (text, source) in [
            ("01:00", devices(&["0000:01:00"])),
            (
                "host=0000:0A:00.1;02:00.0",
                devices(&["0000:0a:00.1", "0000:02:00.0"]),
            ),
            ("mapping=gpu", PciSource::Mapping("gpu".into())),
        ] {
            assert_eq!(HostPci::parse(text).unwrap().source, source, "{text}");
        }
        for wrong in [
            "pcie=1",
            "01:00,mapping=gpu",
            "1:0",
            "01:00,romfile=../x",
            "01:00,romfile=/etc/shadow",
            "01:00,vendor-id=10de",
        ] {
            assert!(HostPci::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_the_guest_sees_of_it_is_read() {
        let text =
            "01:00.0,pcie=1,rombar=0,romfile=v.rom,x-vga=1,vendor-id=0x10DE,sub-device-id=0x0001";
        let pci = HostPci::parse(text).unwrap();
        assert!(pci.is_express && !pci.has_rom_bar && pci.is_display && !pci.is_legacy_igd);
        assert_eq!(pci.rom_file.as_deref(), Some("v.rom"));
        let shown = [
            ("sub-device-id", "0x0001".to_owned()),
            ("vendor-id", "0x10DE".to_owned()),
        ];
        assert_eq!(pci.shown_as, shown);
        assert!(HostPci::parse("mapping=gpu").unwrap().has_rom_bar);
    }
}
