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

pub(super) const DEVICES: &[Field] = &[
    properties(
        "ivshmem",
        &[
            Field::string("name").optional().pattern(r"[a-zA-Z0-9\-]+"),
            Field::integer("size").min(1.0),
        ],
    ),
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
];

pub(super) const PLATFORM: &[Field] = &[
    text("amd-sev", "pve-qemu-sev-fmt"),
    text("intel-tdx", "pve-qemu-tdx-fmt"),
];
