//! `/ostler/nodes/{node}/exports`: storages of a node that are given to the other members.

use model::Privilege;
use model::schema::{Field, Shape, format};

use super::params::{NODE, STORAGE};
use crate::{Check, Row};

/// A storage of all nodes comes or goes, and a node begins to serve the network.
const EXPORT: Check = Check::All(&[
    Check::On("/storage", &[Privilege::DatastoreAllocate]),
    Check::On("/nodes/{node}", &[Privilege::SysModify]),
]);

const EXPORTED: &[Field] = &[
    // Of the storage that the other nodes have.
    Field::string("storage"),
    Field::string("server"),
    Field::string("path"),
    Field::string("dataset").optional(),
    // Addresses and networks.
    Field::array("clients", &Shape::String),
];

pub(super) const ROWS: &[Row] = &[
    Row::get(
        "/ostler/nodes/{node}/exports",
        "export_list",
        "What a node exports to the other members, and to which addresses.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[EXPORTED, &[Field::string("origin")]],
        open: false,
    }))
    .check(Check::On("/nodes/{node}", &[Privilege::SysAudit]))
    .on_node(),
    Row::post(
        "/ostler/nodes/{node}/exports",
        "export_create",
        "Show how a storage of a node would be exported to the other members, or export it.",
    )
    .params(&[&[
        NODE,
        STORAGE,
        // `<storage>-shared` where nothing is said.
        Field::string("as").optional().format(format::STORAGE_ID),
        // Networks that may mount it besides the members.
        Field::string("network")
            .optional()
            .max_length(1024)
            .format(format::unchecked("string-list")),
        Field::boolean("dry-run").optional().default("1"),
    ]])
    .returns(Shape::Object {
        fields: &[
            EXPORTED,
            &[
                Field::array("content", &Shape::String),
                Field::string("upid").optional(),
            ],
        ],
        open: false,
    })
    .check(EXPORT)
    .on_node(),
    Row::delete(
        "/ostler/nodes/{node}/exports/{storage}",
        "export_delete",
        "Take an export back, with the storage of the other nodes.",
    )
    .params(&[&[NODE, STORAGE]])
    .check(EXPORT)
    .submit()
    .on_node(),
];
