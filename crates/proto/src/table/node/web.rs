//! `/nodes/{node}/{query-oci-repo-tags,query-url-metadata,subscription}`

use model::Privilege;
use model::schema::{Field, Shape};

use crate::table::params::NODE;
use crate::{Check, Permission, Row};

/// A registry, unless it is Docker's, and a name in it.
const REPOSITORY: &str = r"^(?:(?:[a-zA-Z\d]|[a-zA-Z\d][a-zA-Z\d-]*[a-zA-Z\d])(?:\.(?:[a-zA-Z\d]|[a-zA-Z\d][a-zA-Z\d-]*[a-zA-Z\d]))*(?::\d+)?/)?[a-z\d]+(?:(?:[._]|__|[-]*)[a-z\d]+)*(?:/[a-z\d]+(?:(?:[._]|__|[-]*)[a-z\d]+)*)*$";

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/query-oci-repo-tags",
        "query_oci_repo_tags",
        "The tags of an image in an OCI registry.",
    )
    .params(&[&[NODE, Field::string("reference").pattern(REPOSITORY)]])
    .returns(Shape::Array(&Shape::String))
    .check(Check::On("/nodes/{node}", &[Privilege::SysAccessNetwork]))
    .on_node(),
    Row::get(
        "/nodes/{node}/query-url-metadata",
        "query_url_metadata",
        "Size, type and name of the file at a URL.",
    )
    .params(&[&[
        NODE,
        Field::string("url").pattern(r#"https?://.*"#),
        Field::boolean("verify-certificates")
            .optional()
            .default("1"),
    ]])
    .returns(Shape::Object {
        fields: &[&[
            Field::string("filename").optional(),
            Field::string("mimetype").optional(),
            Field::integer("size").optional(),
        ]],
        open: true,
    })
    .check(Check::Any(&[
        Check::On("/", &[Privilege::SysAudit, Privilege::SysModify]),
        Check::On("/nodes/{node}", &[Privilege::SysAccessNetwork]),
    ]))
    .on_node(),
    Row::get(
        "/nodes/{node}/subscription",
        "subscription",
        "The subscription of a node.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Object {
        fields: &[&[
            Field::integer("checktime").optional(),
            Field::string("key").optional(),
            Field::string("level").optional(),
            Field::string("message").optional(),
            Field::string("nextduedate").optional(),
            Field::string("productname").optional(),
            Field::string("regdate").optional(),
            Field::string("serverid").optional(),
            Field::string("signature").optional(),
            Field::integer("sockets").optional(),
            Field::string("status").one_of(&[
                "new",
                "notfound",
                "active",
                "invalid",
                "expired",
                "suspended",
            ]),
            Field::string("url").optional(),
        ]],
        open: false,
    })
    .permission(Permission::User)
    .on_node()
    .unconfigured(),
];
