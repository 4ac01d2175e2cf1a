//! `/ostler/nodes/{node}`: volumes as streams of bytes. Proxmox VE has them as commands of `pvesm`
//! only, so that they are root's here, too. The stream itself is opened on the agent's socket.

use model::schema::{Field, Shape};

use crate::Row;
use crate::table::params::NODE;

const fn snapshot(name: &'static str) -> Field {
    Field::string(name)
        .optional()
        .max_length(80)
        .pattern("[a-zA-Z0-9_][a-zA-Z0-9_.:-]*")
}

const TRAVEL: &[Field] = &[
    NODE,
    Field::string("volume").max_length(512),
    Field::string("format")
        .one_of(&[
            "raw+size",
            "tar+size",
            "qcow2+size",
            "vmdk+size",
            "zfs",
            "btrfs",
        ])
        .unbuilt_values(&["zfs", "btrfs"]),
    snapshot("snapshot").unbuilt(),
    snapshot("base").unbuilt(),
    Field::boolean("with-snapshots").optional().default("0"),
    Field::string("stream").optional().pattern("[0-9a-f]{32}"),
];

pub(in crate::table) const ROWS: &[Row] = &[
    Row::post(
        "/ostler/nodes/{node}/volume-export",
        "volume_export",
        "Send a volume into a stream that was opened before.",
    )
    .params(&[TRAVEL])
    .returns(Shape::String)
    .stream()
    .on_node(),
    Row::post(
        "/ostler/nodes/{node}/volume-import",
        "volume_import",
        "Make a volume of what comes in a stream that was opened before.",
    )
    .params(&[
        TRAVEL,
        &[
            Field::boolean("allow-rename").optional().default("0"),
            snapshot("delete-snapshot"),
            Field::boolean("verify").optional().default("0"),
        ],
    ])
    .returns(Shape::String)
    .stream()
    .on_node(),
];
