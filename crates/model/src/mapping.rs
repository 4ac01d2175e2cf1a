//! Mappings: names under which a device or a folder is known to the whole cluster, with what it is
//! on each node.

use crate::schema::{Field, Format, Properties, format, parse_properties};

/// What a mapping stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MappingKind {
    Pci,
    Usb,
    Dir,
}

impl MappingKind {
    /// As in paths of the API and of permissions.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pci => "pci",
            Self::Usb => "usb",
            Self::Dir => "dir",
        }
    }

    /// The keys of what a mapping is on one node.
    pub fn fields(self) -> &'static [Field] {
        match self {
            Self::Pci => PCI_MAP,
            Self::Usb => USB_MAP,
            Self::Dir => DIR_MAP,
        }
    }

    /// What is on this node, in the order in which it was given. What cannot be read is left out:
    /// it was checked before it was stored.
    pub fn on_node<'a>(
        self,
        map: impl IntoIterator<Item = &'a str>,
        node: &str,
    ) -> Vec<Properties> {
        map.into_iter()
            .filter_map(|text| parse_properties(self.fields(), text).ok())
            .filter(|entry| entry.text("node") == Some(node))
            .collect()
    }
}

const NODE: Field = Field::string("node").format(format::NODE);

/// `vendor:device`, four hexadecimal digits each.
const ID: &str = "[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}";

/// Addresses of PCI devices; one without a function means all its functions.
const PCI_PATH: &str = concat!(
    r"(?:[a-f0-9]{4,}:[a-f0-9]{2}:[a-f0-9]{2}(?:\.[a-f0-9])?;)*",
    r"[a-f0-9]{4,}:[a-f0-9]{2}:[a-f0-9]{2}(?:\.[a-f0-9])?",
);

/// The path of a folder, as it can stand in a property string.
const FOLDER: Format = Format::named("pve-storage-path-in-property-string", |value| {
    let rest = value.strip_prefix('/').unwrap_or_default();
    match rest.is_empty() || rest.contains([';', ',', '=', '(', ')', '\n']) {
        // Clients see the line break.
        true => Err(
            "Value does not look like a valid absolute path. These symbols are \
                     currently not allowed in path: ;,=()\n"
                .to_owned(),
        ),
        false => Ok(()),
    }
});

/// A PCI device on one node.
pub const PCI_MAP: &[Field] = &[
    Field::string("description").optional().max_length(4096),
    Field::string("id").pattern(ID),
    Field::integer("iommugroup").optional(),
    NODE,
    Field::string("path").pattern(PCI_PATH),
    Field::string("subsystem-id").optional().pattern(ID),
];

/// A USB device on one node: what is plugged in where, or wherever a device with this id is.
pub const USB_MAP: &[Field] = &[
    Field::string("description").optional().max_length(4096),
    Field::string("id").pattern(ID),
    NODE,
    Field::string("path")
        .optional()
        .pattern(r"(\d+)\-(\d+(\.\d+)*)"),
];

/// A folder on one node.
pub const DIR_MAP: &[Field] = &[NODE, Field::string("path").format(FOLDER)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_something_else_on_each_node() {
        let map = [
            "node=a,path=0000:01:00.0,id=10de:1b80",
            "node=b,path=0000:02:00;0000:03:00.1,id=10de:1b80,iommugroup=3",
            "node=a,path=0000:04:00.0,id=10de:1b80",
        ];
        let on = |node: &str| {
            let entries = MappingKind::Pci.on_node(map, node);
            let paths = entries.iter().filter_map(|entry| entry.text("path"));
            paths.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(on("a"), ["0000:01:00.0", "0000:04:00.0"]);
        assert_eq!(on("b"), ["0000:02:00;0000:03:00.1"]);
        assert!(on("c").is_empty());
    }

    #[test]
    fn what_is_no_device_and_no_folder_is_refused() {
        let wrong = |kind: MappingKind, text: &str| {
            let error = parse_properties(kind.fields(), text).unwrap_err();
            error.reason("map")
        };
        assert_eq!(
            wrong(MappingKind::Usb, "node=a,id=zz"),
            "format error\nmap.id: value does not match the regex pattern"
        );
        for path in ["rel", "/", "/a(b"] {
            let reason = wrong(MappingKind::Dir, &format!("node=a,path={path}"));
            assert!(reason.contains("valid absolute path"), "{path}: {reason}");
        }
        let address = wrong(MappingKind::Pci, "node=a,id=10de:1b80,path=01:00.0");
        assert!(address.contains("map.path"), "{address}");
    }
}
