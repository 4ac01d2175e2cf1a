//! `/nodes/{node}/tasks`

use model::schema::{Field, Shape, format};

use crate::table::params::{NODE, VMID};
use crate::{Permission, Row};

const UPID: Field = Field::string("upid");

/// The parts of a UPID.
const PARTS: &[Field] = &[
    Field::string("id"),
    Field::string("node"),
    Field::integer("pid"),
    Field::integer("pstart"),
    Field::integer("starttime"),
    Field::string("type"),
    UPID,
    Field::string("user"),
    Field::string("tokenid").optional(),
];

// Each of these checks rights on the task: its owner may see and stop it, other callers need
// Sys.Audit or Sys.Modify on the node.
pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/tasks",
        "task_list",
        "The tasks of a node, newest first.",
    )
    .params(&[&[
        NODE,
        Field::boolean("errors").optional().default("0"),
        Field::integer("limit").optional().min(0.0).default("50"),
        Field::integer("since").optional(),
        Field::string("source")
            .optional()
            .one_of(&["archive", "active", "all"])
            .default("archive"),
        Field::integer("start").optional().min(0.0).default("0"),
        Field::string("statusfilter")
            .optional()
            .format(format::TASK_STATUS_LIST),
        Field::string("typefilter").optional(),
        Field::integer("until").optional(),
        Field::string("userfilter").optional(),
        VMID.optional(),
    ]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[
            PARTS,
            &[
                Field::integer("endtime").optional(),
                Field::string("status").optional(),
            ],
        ],
        open: false,
    }))
    .permission(Permission::User)
    .on_node(),
    Row::get(
        "/nodes/{node}/tasks/{upid}/status",
        "task_status",
        "The status of a task.",
    )
    .params(&[&[NODE, UPID]])
    .returns(Shape::Object {
        fields: &[
            PARTS,
            &[
                Field::string("exitstatus").optional(),
                Field::string("status").one_of(&["running", "stopped"]),
            ],
        ],
        open: false,
    })
    .permission(Permission::User)
    .on_node(),
    Row::get(
        "/nodes/{node}/tasks/{upid}/log",
        "task_log",
        "The log of a task.",
    )
    .params(&[&[
        NODE,
        UPID,
        Field::boolean("download").optional().unbuilt(),
        Field::integer("limit").optional().min(0.0).default("50"),
        Field::integer("start").optional().min(0.0).default("0"),
    ]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::integer("n"), Field::string("t")]],
        open: false,
    }))
    .permission(Permission::User)
    .on_node(),
    Row::delete("/nodes/{node}/tasks/{upid}", "task_stop", "Stop a task.")
        .params(&[&[NODE, UPID]])
        .permission(Permission::User)
        .on_node()
        .local(),
    Row::get(
        "/nodes/{node}/tasks/{upid}",
        "task_directory",
        "Index of a task.",
    )
    .params(&[&[NODE, UPID]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::string("name")]],
        open: false,
    }))
    .permission(Permission::User)
    .index(),
];
