//! `/version`

use model::schema::{Field, Shape};

use crate::{Permission, Row};

pub(super) const ROWS: &[Row] = &[
    Row::get("/", "api_directory", "Index of the API.")
        .permission(Permission::User)
        .index()
        .returns(Shape::Array(&Shape::Object {
            fields: &[&[Field::string("subdir")]],
            open: true,
        })),
    Row::get("/version", "version", "The version of the API.")
        .permission(Permission::User)
        .index()
        .returns(Shape::Object {
            fields: &[&[
                Field::string("console")
                    .optional()
                    .one_of(&["applet", "vv", "html5", "xtermjs"]),
                Field::string("release"),
                Field::string("repoid").pattern("[0-9a-fA-F]{8,64}"),
                Field::string("version"),
            ]],
            open: false,
        }),
];
