//! The board: `q35`, `pc-i440fx-9.2+pve1,enable-s3=1`.

use crate::schema::{Field, Properties, PropertyError, parse_properties, print_properties};

pub(super) const MACHINE: &[Field] = &[
    Field::string("type")
        .optional()
        .max_length(40)
        .pattern(
            r"(pc|pc(-i440fx)?-\d+(\.\d+)+(\+pve\d+)?(\.pxe)?|q35|pc-q35-\d+(\.\d+)+(\+pve\d+)?(\.pxe)?|virt(?:-\d+(\.\d+)+)?(\+pve\d+)?)",
        )
        .unbuilt_values(&["virt"])
        .default_key(),
    Field::number("aw-bits").optional().range(32.0, 64.0),
    Field::boolean("enable-s3").optional(),
    Field::boolean("enable-s4").optional(),
    Field::string("viommu").optional().one_of(&["intel", "virtio"]),
];

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Chipset {
    #[default]
    I440fx,
    Q35,
    /// For architectures other than x86-64; not in this version.
    Virt,
}

/// The hardware by which a guest keeps its own devices apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViommuKind {
    Intel,
    Virtio,
}

/// The option `machine`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// As the caller wrote it: `q35`, `pc-i440fx-9.2+pve1`.
    pub name: Option<String>,
    /// Whether the guest may suspend to RAM.
    pub s3: Option<bool>,
    /// Whether the guest may suspend to disk.
    pub s4: Option<bool>,
    pub viommu: Option<ViommuKind>,
    /// The width of its addresses, in bits.
    pub viommu_bits: Option<u8>,
}

impl Machine {
    pub fn parse(text: &str) -> Result<Self, PropertyError> {
        let keys = parse_properties(MACHINE, text)?;
        Ok(Self {
            name: keys.text("type").map(str::to_owned),
            s3: keys.flag("enable-s3"),
            s4: keys.flag("enable-s4"),
            viommu: keys.text("viommu").map(|kind| match kind {
                "intel" => ViommuKind::Intel,
                _ => ViommuKind::Virtio,
            }),
            viommu_bits: bits(&keys)?,
        })
    }

    pub fn print(&self) -> String {
        let mut keys = Properties::default();
        if let Some(name) = &self.name {
            keys.set(MACHINE, "type", name.as_str());
        }
        if let Some(s3) = self.s3 {
            keys.set(MACHINE, "enable-s3", s3);
        }
        if let Some(s4) = self.s4 {
            keys.set(MACHINE, "enable-s4", s4);
        }
        if let Some(kind) = self.viommu {
            let kind = match kind {
                ViommuKind::Intel => "intel",
                ViommuKind::Virtio => "virtio",
            };
            keys.set(MACHINE, "viommu", kind);
        }
        if let Some(bits) = self.viommu_bits {
            keys.set(MACHINE, "aw-bits", bits);
        }
        print_properties(MACHINE, &keys)
    }

    pub fn chipset(&self) -> Chipset {
        match self.name.as_deref() {
            Some(name) if name.starts_with("virt") => Chipset::Virt,
            Some(name) if name.contains("q35") => Chipset::Q35,
            _ => Chipset::I440fx,
        }
    }

    /// The version that the name pins, without Proxmox VE's suffix (`+pve1`).
    pub fn version(&self) -> Option<&str> {
        let name = self.name.as_deref()?;
        let name = name.split('+').next()?;
        let name = name.strip_suffix(".pxe").unwrap_or(name);
        let version = name.rsplit('-').next()?;
        version
            .starts_with(|c: char| c.is_ascii_digit())
            .then_some(version)
    }
}

/// The width of the IOMMU's addresses, a whole number of bits.
fn bits(keys: &Properties) -> Result<Option<u8>, PropertyError> {
    let Some(bits) = keys.number("aw-bits") else {
        return Ok(None);
    };
    if bits.fract() != 0.0 {
        let reason = format!("'{bits}' is not a whole number of bits");
        return Err(PropertyError::Keys(vec![("aw-bits".to_owned(), reason)]));
    }
    Ok(Some(bits as u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_iommu_has_a_kind_and_a_width() {
        let machine = Machine::parse("q35,viommu=intel,aw-bits=39").unwrap();
        assert_eq!(
            (machine.viommu, machine.viommu_bits),
            (Some(ViommuKind::Intel), Some(39))
        );
        assert_eq!(Machine::parse(&machine.print()).unwrap(), machine);
        assert!(Machine::parse("q35,viommu=amd").is_err());
        assert!(Machine::parse("q35,aw-bits=39.5").is_err());
    }

    #[test]
    fn a_name_says_chipset_and_version() {
        let cases = [
            ("pc", Chipset::I440fx, None),
            ("q35,enable-s3=1", Chipset::Q35, None),
            ("pc-i440fx-9.2+pve1", Chipset::I440fx, Some("9.2")),
            ("pc-q35-4.0.1", Chipset::Q35, Some("4.0.1")),
            ("pc-7.2.pxe", Chipset::I440fx, Some("7.2")),
            ("virt-8.0", Chipset::Virt, Some("8.0")),
        ];
        for (text, chipset, version) in cases {
            let machine = Machine::parse(text).unwrap();
            assert_eq!(
                (machine.chipset(), machine.version()),
                (chipset, version),
                "{text}"
            );
        }
        for bad in ["pc-q35", "isapc", "pc-i440fx-7.2,accel=kvm", "none"] {
            assert!(Machine::parse(bad).is_err(), "{bad}");
        }
    }
}
