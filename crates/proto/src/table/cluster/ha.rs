//! `/cluster/ha`

use crate::{Check, Permission, Row};
use model::Privilege;
use model::schema::{Field, Shape, format};

const OPEN: Shape = Shape::Object {
    fields: &[],
    open: true,
};

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/cluster/ha",
        "ha_directory",
        "Index of the high availability resources.",
    )
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::string("id")]],
        open: true,
    }))
    .check(Check::On("/", &[Privilege::SysAudit]))
    .index(),
    Row::get(
        "/cluster/ha/groups",
        "ha_group_list",
        "The high availability groups, replaced by rules.",
    )
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::string("group")]],
        open: true,
    }))
    .check(Check::On("/", &[Privilege::SysAudit])),
    Row::get(
        "/cluster/ha/groups/{group}",
        "ha_group_get",
        "A high availability group, replaced by rules.",
    )
    .params(&[&[Field::string("group").format(format::CONFIG_ID)]])
    .returns(Shape::Null)
    .check(Check::On("/", &[Privilege::SysAudit])),
    Row::get(
        "/cluster/ha/resources",
        "ha_resource_list",
        "The guests under high availability.",
    )
    .params(&[&[Field::string("type").optional().one_of(&["ct", "vm"])]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::string("sid")]],
        open: true,
    }))
    .check(Check::On("/", &[Privilege::SysAudit]))
    .unconfigured(),
    Row::get(
        "/cluster/ha/resources/{sid}",
        "ha_resource_get",
        "The high availability settings of a guest.",
    )
    .params(&[&[Field::string("sid").format(format::unchecked("pve-ha-resource-or-vm-id"))]])
    .returns(Shape::Object {
        fields: &[&[
            Field::boolean("auto-rebalance").optional().default("1"),
            Field::string("comment").optional(),
            Field::string("digest"),
            Field::boolean("failback").optional().default("1"),
            Field::string("group").optional().format(format::CONFIG_ID),
            Field::integer("max_relocate").optional(),
            Field::integer("max_restart").optional(),
            Field::string("sid").format(format::unchecked("pve-ha-resource-or-vm-id")),
            Field::string("state")
                .optional()
                .one_of(&["started", "stopped", "enabled", "disabled", "ignored"]),
            Field::string("type"),
        ]],
        open: true,
    })
    .check(Check::On("/", &[Privilege::SysAudit]))
    .unconfigured(),
    Row::get(
        "/cluster/ha/rules",
        "ha_rule_list",
        "The rules for placing guests on nodes.",
    )
    .params(&[&[
        Field::string("resource").optional(),
        Field::string("type")
            .optional()
            .one_of(&["node-affinity", "resource-affinity"]),
    ]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::string("rule")]],
        open: true,
    }))
    .check(Check::On("/", &[Privilege::SysAudit]))
    .unconfigured(),
    Row::get(
        "/cluster/ha/rules/{rule}",
        "ha_rule_get",
        "A rule for placing guests on nodes.",
    )
    .params(&[&[Field::string("rule").format(format::CONFIG_ID)]])
    .returns(Shape::Object {
        fields: &[&[
            Field::string("rule").format(format::CONFIG_ID),
            Field::string("type").one_of(&["node-affinity", "resource-affinity"]),
        ]],
        open: true,
    })
    .check(Check::On("/", &[Privilege::SysAudit]))
    .unconfigured(),
    Row::get(
        "/cluster/ha/status",
        "ha_status_directory",
        "Index of the high availability status.",
    )
    .returns(Shape::Array(&OPEN))
    .permission(Permission::User)
    .index(),
    Row::get(
        "/cluster/ha/status/current",
        "ha_status_current",
        "The state of quorum, fencing and the guests under high availability.",
    )
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::string("armed-state").optional().one_of(&[
                "armed",
                "standby",
                "disarming",
                "disarmed",
            ]),
            Field::boolean("auto-rebalance").optional().default("1"),
            Field::string("crm_state").optional(),
            Field::boolean("failback").optional().default("1"),
            Field::string("id"),
            Field::integer("max_relocate").optional(),
            Field::integer("max_restart").optional(),
            Field::string("node"),
            Field::boolean("quorate").optional(),
            Field::string("request_state").optional(),
            Field::string("resource_mode")
                .optional()
                .one_of(&["freeze", "ignore"]),
            Field::string("sid").optional(),
            Field::string("state").optional(),
            Field::string("status"),
            Field::integer("timestamp").optional(),
            Field::any("type").one_of(&["quorum", "master", "lrm", "service", "fencing"]),
        ]],
        open: true,
    }))
    .check(Check::On("/", &[Privilege::SysAudit]))
    .unconfigured(),
    Row::get(
        "/cluster/ha/status/manager_status",
        "ha_manager_status",
        "The state of the high availability manager.",
    )
    .returns(OPEN)
    .check(Check::On("/", &[Privilege::SysAudit]))
    .unconfigured(),
];
