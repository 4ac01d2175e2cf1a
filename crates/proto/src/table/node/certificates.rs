//! `/nodes/{node}/certificates`

use model::schema::{Field, Shape, format};

use crate::table::params::NODE;
use crate::{Permission, Row};

const OPEN: Shape = Shape::Object {
    fields: &[],
    open: true,
};

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/certificates",
        "certificates_directory",
        "Index of the certificates.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Array(&OPEN))
    .permission(Permission::User)
    .index(),
    Row::get(
        "/nodes/{node}/certificates/info",
        "certificates_info",
        "The certificates of a node.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::string("filename").optional(),
            Field::string("fingerprint")
                .optional()
                .pattern(r#"([A-Fa-f0-9]{2}:){31}[A-Fa-f0-9]{2}"#),
            Field::string("issuer").optional(),
            Field::integer("notafter").optional(),
            Field::integer("notbefore").optional(),
            Field::string("pem")
                .optional()
                .format(format::unchecked("pem-certificate")),
            Field::integer("public-key-bits").optional(),
            Field::string("public-key-type").optional(),
            Field::array("san", &Shape::String).optional(),
            Field::string("subject").optional(),
        ]],
        open: true,
    }))
    .permission(Permission::User)
    .on_node(),
];
