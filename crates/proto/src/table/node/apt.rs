//! `/nodes/{node}/apt` and the appliance templates

use model::Privilege;
use model::schema::{Field, Shape};

use crate::table::params::NODE;
use crate::{Check, Permission, Row};

const OPEN: Shape = Shape::Object {
    fields: &[],
    open: true,
};
/// The architectures of packages.
const ARCHITECTURES: &[&str] = &[
    "armhf", "arm64", "amd64", "ppc64el", "risc64", "s390x", "all",
];

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/aplinfo",
        "aplinfo",
        "The container templates that can be downloaded.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Array(&OPEN))
    .permission(Permission::User)
    .on_node()
    .unconfigured(),
    Row::get(
        "/nodes/{node}/apt",
        "apt_directory",
        "Index of the packages.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::string("id")]],
        open: true,
    }))
    .permission(Permission::User)
    .index(),
    Row::get(
        "/nodes/{node}/apt/changelog",
        "apt_changelog",
        "The changelog of a package.",
    )
    .params(&[&[
        NODE,
        Field::string("name").pattern(r#"(?:[a-z0-9][-+.a-z0-9:]+)"#),
        Field::string("version").optional(),
    ]])
    .returns(Shape::String)
    .check(Check::On("/nodes/{node}", &[Privilege::SysModify]))
    .on_node(),
    Row::get(
        "/nodes/{node}/apt/repositories",
        "apt_repositories",
        "The package repositories.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Object {
        fields: &[&[
            Field::string("digest"),
            Field::array(
                "errors",
                &Shape::Object {
                    fields: &[&[Field::string("error"), Field::string("path")]],
                    open: true,
                },
            ),
            Field::array(
                "files",
                &Shape::Object {
                    fields: &[&[
                        Field::array("digest", &Shape::Integer),
                        Field::string("file-type").one_of(&["list", "sources"]),
                        Field::string("path"),
                        Field::array(
                            "repositories",
                            &Shape::Object {
                                fields: &[&[
                                    Field::string("Comment").optional(),
                                    Field::array("Components", &Shape::String).optional(),
                                    Field::boolean("Enabled"),
                                    Field::string("FileType").one_of(&["list", "sources"]),
                                    Field::array(
                                        "Options",
                                        &Shape::Object {
                                            fields: &[&[
                                                Field::string("Key"),
                                                Field::array("Values", &Shape::String),
                                            ]],
                                            open: true,
                                        },
                                    )
                                    .optional(),
                                    Field::array("Suites", &Shape::String),
                                    Field::array("Types", &Shape::String),
                                    Field::array("URIs", &Shape::String),
                                ]],
                                open: true,
                            },
                        ),
                    ]],
                    open: true,
                },
            ),
            Field::array(
                "infos",
                &Shape::Object {
                    fields: &[&[
                        Field::string("index"),
                        Field::string("kind"),
                        Field::string("message"),
                        Field::string("path"),
                        Field::string("property").optional(),
                    ]],
                    open: true,
                },
            ),
            Field::array(
                "standard-repos",
                &Shape::Object {
                    fields: &[&[
                        Field::string("handle"),
                        Field::string("name"),
                        Field::boolean("status").optional(),
                    ]],
                    open: true,
                },
            ),
        ]],
        open: true,
    })
    .check(Check::On("/nodes/{node}", &[Privilege::SysAudit]))
    .on_node(),
    Row::get(
        "/nodes/{node}/apt/update",
        "apt_update_list",
        "The packages that can be upgraded.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::string("Arch").one_of(ARCHITECTURES),
            Field::string("Description"),
            Field::string("NotifyStatus").optional(),
            Field::string("OldVersion").optional(),
            Field::string("Origin"),
            Field::string("Package"),
            Field::string("Priority"),
            Field::string("Section"),
            Field::string("Title"),
            Field::string("Version"),
        ]],
        open: true,
    }))
    .check(Check::On("/nodes/{node}", &[Privilege::SysModify]))
    .on_node(),
    Row::get(
        "/nodes/{node}/apt/versions",
        "apt_versions",
        "The versions of the packages in use.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::string("Arch").one_of(ARCHITECTURES),
            Field::string("CurrentState").one_of(&[
                "Installed",
                "NotInstalled",
                "UnPacked",
                "HalfConfigured",
                "HalfInstalled",
                "ConfigFiles",
            ]),
            Field::string("Description"),
            Field::string("ManagerVersion").optional(),
            Field::string("NotifyStatus").optional(),
            Field::string("OldVersion").optional(),
            Field::string("Origin"),
            Field::string("Package"),
            Field::string("Priority"),
            Field::string("RunningKernel").optional(),
            Field::string("Section"),
            Field::string("Title"),
            Field::string("Version"),
        ]],
        open: true,
    }))
    .check(Check::On("/nodes/{node}", &[Privilege::SysAudit]))
    .on_node(),
];
