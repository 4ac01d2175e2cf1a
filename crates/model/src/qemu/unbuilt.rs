//! Options of Proxmox VE that this version does not implement. They are checked against their
//! schemas and then refused, so that no option is stored without effect.

use crate::schema::{Field, Format, format};

const fn properties(name: &'static str, fields: &'static [Field]) -> Field {
    Field::string(name)
        .optional()
        .format(Format::Properties { name, fields })
        .unbuilt()
}

const fn text(name: &'static str, format: &'static str) -> Field {
    Field::string(name)
        .optional()
        .format(format::unchecked(format))
        .unbuilt()
}

const PCI_ID: &str = "^0x[0-9a-fA-F]{4}$";
const PCI_ADDRESSES: &str = concat!(
    r"(?:[0-9A-Fa-f]{4}:)?[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}(?:\.[0-9A-Fa-f])?",
    r"(?:;(?:[0-9A-Fa-f]{4}:)?[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}(?:\.[0-9A-Fa-f])?)*",
);

const HOST_PCI: &[Field] = &[
    Field::string("host")
        .optional()
        .pattern(PCI_ADDRESSES)
        .default_key(),
    Field::string("device-id").optional().pattern(PCI_ID),
    Field::boolean("legacy-igd").optional().default("0"),
    Field::string("mapping")
        .optional()
        .format(format::CONFIG_ID),
    Field::string("mdev").optional().pattern(r"[^/\.:]+"),
    Field::boolean("pcie").optional().default("0"),
    Field::boolean("rombar").optional().default("1"),
    Field::string("romfile").optional().pattern(r"[^,;]+"),
    Field::string("sub-device-id").optional().pattern(PCI_ID),
    Field::string("sub-vendor-id").optional().pattern(PCI_ID),
    Field::string("vendor-id").optional().pattern(PCI_ID),
    Field::boolean("x-vga").optional().default("0"),
];

pub(super) const DEVICES: &[Field] = &[
    properties(
        "audio0",
        &[
            Field::string("device").one_of(&["ich9-intel-hda", "intel-hda", "AC97"]),
            Field::string("driver")
                .optional()
                .one_of(&["spice", "none"])
                .default("spice"),
        ],
    ),
    properties("hostpci[n]", HOST_PCI).indexed(16),
    properties(
        "ivshmem",
        &[
            Field::string("name").optional().pattern(r"[a-zA-Z0-9\-]+"),
            Field::integer("size").min(1.0),
        ],
    ),
    Field::string("parallel[n]")
        .optional()
        .pattern(r"/dev/parport\d+|/dev/usb/lp\d+")
        .indexed(3)
        .unbuilt(),
    properties(
        "spice_enhancements",
        &[
            Field::boolean("foldersharing").optional().default("0"),
            Field::string("videostreaming")
                .optional()
                .one_of(&["off", "all", "filter"])
                .default("off"),
        ],
    ),
    properties(
        "virtiofs[n]",
        &[
            Field::string("dirid")
                .format(format::CONFIG_ID)
                .default_key(),
            Field::string("cache")
                .optional()
                .one_of(&["auto", "always", "metadata", "never"])
                .default("auto"),
            Field::boolean("direct-io").optional().default("0"),
            Field::boolean("expose-acl").optional().default("0"),
            Field::boolean("expose-xattr").optional().default("0"),
        ],
    )
    .indexed(10),
];

pub(super) const PLATFORM: &[Field] = &[
    text("amd-sev", "pve-qemu-sev-fmt"),
    Field::string("hugepages")
        .optional()
        .one_of(&["any", "2", "1024"])
        .unbuilt(),
    text("intel-tdx", "pve-qemu-tdx-fmt"),
    Field::boolean("keephugepages")
        .optional()
        .default("0")
        .unbuilt(),
    Field::boolean("template").optional().default("0").unbuilt(),
];
