//! The display: `std`, `qxl,memory=32`, `serial0`.

use crate::schema::{Field, Properties, PropertyError, parse_properties, print_properties};

pub(super) const VGA: &[Field] = &[
    Field::string("type")
        .optional()
        .one_of(&[
            "cirrus",
            "qxl",
            "qxl2",
            "qxl3",
            "qxl4",
            "none",
            "serial0",
            "serial1",
            "serial2",
            "serial3",
            "std",
            "virtio",
            "virtio-gl",
            "vmware",
        ])
        .unbuilt_values(&["qxl2", "qxl3", "qxl4"])
        .default("std")
        .default_key(),
    Field::string("clipboard").optional().one_of(&["vnc"]),
    Field::integer("memory").optional().range(4.0, 512.0),
];

/// The type of a guest's display.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Display {
    #[default]
    Std,
    Cirrus,
    Qxl,
    Virtio,
    /// With 3D by the host's GPU, which is not implemented: treated as plain `Virtio`.
    VirtioGl,
    Vmware,
    /// No display; the console is this serial port.
    Serial(u8),
    None,
}

/// The option `vga`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Vga {
    /// `Std` by default.
    pub display: Option<Display>,
    /// The display's memory, in MiB.
    pub memory_mib: Option<u16>,
    /// Whether a clipboard is shared over VNC.
    pub clipboard: bool,
}

const NAMES: [(&str, Display); 11] = [
    ("std", Display::Std),
    ("cirrus", Display::Cirrus),
    ("qxl", Display::Qxl),
    ("virtio", Display::Virtio),
    ("virtio-gl", Display::VirtioGl),
    ("vmware", Display::Vmware),
    ("serial0", Display::Serial(0)),
    ("serial1", Display::Serial(1)),
    ("serial2", Display::Serial(2)),
    ("serial3", Display::Serial(3)),
    ("none", Display::None),
];

impl Vga {
    pub fn parse(text: &str) -> Result<Self, PropertyError> {
        let keys = parse_properties(VGA, text)?;
        let display = match keys.text("type") {
            None => None,
            Some(name) => {
                let known = NAMES.iter().find(|(other, _)| *other == name);
                Some(known.map(|(_, display)| *display).ok_or_else(|| {
                    let reason = "not supported by this version of Ostler".to_owned();
                    PropertyError::Keys(vec![("type".to_owned(), reason)])
                })?)
            }
        };
        let memory_mib = keys
            .integer("memory")
            .and_then(|number| u16::try_from(number).ok());
        Ok(Self {
            display,
            memory_mib,
            clipboard: keys.text("clipboard") == Some("vnc"),
        })
    }

    pub fn print(&self) -> String {
        let mut keys = Properties::default();
        let name = NAMES
            .iter()
            .find(|(_, display)| Some(*display) == self.display);
        if let Some((name, _)) = name {
            keys.set(VGA, "type", *name);
        }
        if self.clipboard {
            keys.set(VGA, "clipboard", "vnc");
        }
        if let Some(memory) = self.memory_mib {
            keys.set(VGA, "memory", memory);
        }
        print_properties(VGA, &keys)
    }
}
