//! `/nodes/{node}/services`

use model::Privilege;
use model::schema::{Field, Shape};

use crate::table::params::NODE;
use crate::{Check, Row};

/// The services that the API knows.
pub const SERVICES: &[&str] = &[
    "chrony",
    "corosync",
    "cron",
    "ksmtuned",
    "lxcfs",
    "postfix",
    "proxmox-firewall",
    "pve-cluster",
    "pve-firewall",
    "pve-ha-crm",
    "pve-ha-lrm",
    "pve-lxc-syscalld",
    "pvedaemon",
    "pvefw-logger",
    "pveproxy",
    "pvescheduler",
    "pvestatd",
    "qmeventd",
    "spiceproxy",
    "sshd",
    "syslog",
    "systemd-journald",
    "systemd-timesyncd",
];

/// Active states of systemd.
const ACTIVE_STATES: &[&str] = &[
    "active",
    "inactive",
    "failed",
    "activating",
    "deactivating",
    "maintenance",
    "reloading",
    "refreshing",
    "unknown",
];

/// Sub-states of systemd.
const STATES: &[&str] = &[
    "dead",
    "condition",
    "start-pre",
    "start",
    "start-post",
    "running",
    "exited",
    "reload",
    "reload-signal",
    "reload-notify",
    "mounting",
    "stop",
    "stop-watchdog",
    "stop-sigterm",
    "stop-sigkill",
    "stop-post",
    "final-watchdog",
    "final-sigterm",
    "final-sigkill",
    "failed",
    "dead-before-auto-restart",
    "failed-before-auto-restart",
    "dead-resources-pinned",
    "auto-restart",
    "auto-restart-queued",
    "cleaning",
    "unknown",
];

/// Unit file states of systemd.
const UNIT_STATES: &[&str] = &[
    "enabled",
    "enabled-runtime",
    "linked",
    "linked-runtime",
    "alias",
    "masked",
    "masked-runtime",
    "static",
    "disabled",
    "indirect",
    "generated",
    "transient",
    "bad",
    "not-found",
    "unknown",
];

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/services",
        "service_list",
        "The services of a node.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::string("active-state").one_of(ACTIVE_STATES),
            Field::string("desc"),
            Field::string("name"),
            Field::string("service"),
            Field::string("state").one_of(STATES),
            Field::string("unit-state").one_of(UNIT_STATES),
        ]],
        open: true,
    }))
    .check(Check::On("/nodes/{node}", &[Privilege::SysAudit]))
    .on_node(),
    Row::get(
        "/nodes/{node}/services/{service}",
        "service_directory",
        "Index of a service.",
    )
    .params(&[&[NODE, Field::string("service").one_of(SERVICES)]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::string("subdir")]],
        open: true,
    }))
    .check(Check::On("/nodes/{node}", &[Privilege::SysAudit]))
    .index(),
    Row::get(
        "/nodes/{node}/services/{service}/state",
        "service_state",
        "The state of a service.",
    )
    .params(&[&[NODE, Field::string("service").one_of(SERVICES)]])
    .returns(Shape::Object {
        fields: &[&[
            Field::string("active-state").one_of(ACTIVE_STATES),
            Field::string("desc"),
            Field::string("name"),
            Field::string("service"),
            Field::string("state").one_of(STATES),
            Field::string("unit-state").one_of(UNIT_STATES),
        ]],
        open: true,
    })
    .check(Check::On("/nodes/{node}", &[Privilege::SysAudit]))
    .on_node(),
];
