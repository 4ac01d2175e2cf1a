//! `/nodes/{node}/qemu/{vmid}/agent`: commands to the guest agent inside a virtual machine.

use model::Privilege::{
    self, VmGuestAgentAudit, VmGuestAgentFileRead, VmGuestAgentFileSystemMgmt,
    VmGuestAgentFileWrite, VmGuestAgentUnrestricted, VmPowerMgmt,
};
use model::schema::{Field, Shape};

use crate::table::params::{NODE, VMID};
use crate::{Check, Permission, Row};

/// Commands without arguments: each has a row of its own, and all are values of one parameter.
const COMMANDS: &[&str] = &[
    "fsfreeze-freeze",
    "fsfreeze-status",
    "fsfreeze-thaw",
    "fstrim",
    "get-fsinfo",
    "get-host-name",
    "get-memory-block-info",
    "get-memory-blocks",
    "get-osinfo",
    "get-time",
    "get-timezone",
    "get-users",
    "get-vcpus",
    "info",
    "network-get-interfaces",
    "ping",
    "shutdown",
    "suspend-disk",
    "suspend-hybrid",
    "suspend-ram",
];

const fn any(privileges: &'static [Privilege]) -> Check {
    Check::AnyOn("/vms/{vmid}", privileges)
}

const AUDIT: Check = any(&[VmGuestAgentAudit, VmGuestAgentUnrestricted]);
const FILE_SYSTEMS: Check = any(&[VmGuestAgentFileSystemMgmt, VmGuestAgentUnrestricted]);
const FREEZE_STATUS: Check = any(&[
    VmGuestAgentAudit,
    VmGuestAgentFileSystemMgmt,
    VmGuestAgentUnrestricted,
]);
const POWER: Check = any(&[VmPowerMgmt, VmGuestAgentUnrestricted]);
const UNRESTRICTED: Check = Check::On("/vms/{vmid}", &[VmGuestAgentUnrestricted]);

/// The agent's answer as `result`.
const RESULT: Shape = Shape::Object {
    fields: &[],
    open: true,
};

/// A command with no parameters but the guest.
const fn plain(row: Row, check: Check) -> Row {
    row.params(&[&[NODE, VMID]])
        .returns(RESULT)
        .check(check)
        .on_node()
        .local()
}

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/qemu/{vmid}/agent",
        "agent_directory",
        "Index of the guest agent's commands.",
    )
    .params(&[&[NODE, VMID]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::string("name")]],
        open: true,
    }))
    .permission(Permission::User)
    .on_node()
    .index(),
    Row::post(
        "/nodes/{node}/qemu/{vmid}/agent",
        "agent_command",
        "Run a guest agent command without arguments.",
    )
    .params(&[&[NODE, VMID, Field::string("command").one_of(COMMANDS)]])
    .returns(RESULT)
    // The schema names this privilege twice, and so does the refusal.
    .check(any(&[VmGuestAgentUnrestricted, VmGuestAgentUnrestricted]))
    .on_node()
    .local(),
    plain(
        Row::post(
            "/nodes/{node}/qemu/{vmid}/agent/fsfreeze-freeze",
            "agent_fsfreeze_freeze",
            "Freeze the file systems of a guest.",
        ),
        FILE_SYSTEMS,
    ),
    plain(
        Row::post(
            "/nodes/{node}/qemu/{vmid}/agent/fsfreeze-status",
            "agent_fsfreeze_status",
            "Whether the file systems of a guest are frozen.",
        ),
        FREEZE_STATUS,
    ),
    plain(
        Row::post(
            "/nodes/{node}/qemu/{vmid}/agent/fsfreeze-thaw",
            "agent_fsfreeze_thaw",
            "Thaw the file systems of a guest.",
        ),
        FILE_SYSTEMS,
    ),
    plain(
        Row::post(
            "/nodes/{node}/qemu/{vmid}/agent/fstrim",
            "agent_fstrim",
            "Discard the unused blocks of a guest's file systems.",
        ),
        FILE_SYSTEMS,
    ),
    plain(
        Row::get(
            "/nodes/{node}/qemu/{vmid}/agent/get-fsinfo",
            "agent_get_fsinfo",
            "The mounted file systems of a guest.",
        ),
        AUDIT,
    ),
    plain(
        Row::get(
            "/nodes/{node}/qemu/{vmid}/agent/get-host-name",
            "agent_get_host_name",
            "The host name of a guest.",
        ),
        AUDIT,
    ),
    plain(
        Row::get(
            "/nodes/{node}/qemu/{vmid}/agent/get-memory-block-info",
            "agent_get_memory_block_info",
            "The size of the blocks of a guest's memory.",
        ),
        AUDIT,
    ),
    plain(
        Row::get(
            "/nodes/{node}/qemu/{vmid}/agent/get-memory-blocks",
            "agent_get_memory_blocks",
            "The blocks of a guest's memory.",
        ),
        AUDIT,
    ),
    plain(
        Row::get(
            "/nodes/{node}/qemu/{vmid}/agent/get-osinfo",
            "agent_get_osinfo",
            "The operating system of a guest.",
        ),
        AUDIT,
    ),
    plain(
        Row::get(
            "/nodes/{node}/qemu/{vmid}/agent/get-time",
            "agent_get_time",
            "The time in a guest, in nanoseconds since 1970.",
        ),
        AUDIT,
    ),
    plain(
        Row::get(
            "/nodes/{node}/qemu/{vmid}/agent/get-timezone",
            "agent_get_timezone",
            "The time zone of a guest.",
        ),
        AUDIT,
    ),
    plain(
        Row::get(
            "/nodes/{node}/qemu/{vmid}/agent/get-users",
            "agent_get_users",
            "The users who are logged in to a guest.",
        ),
        AUDIT,
    ),
    plain(
        Row::get(
            "/nodes/{node}/qemu/{vmid}/agent/get-vcpus",
            "agent_get_vcpus",
            "The processors of a guest.",
        ),
        AUDIT,
    ),
    plain(
        Row::get(
            "/nodes/{node}/qemu/{vmid}/agent/info",
            "agent_info",
            "The version of a guest agent, and its commands.",
        ),
        AUDIT,
    ),
    plain(
        Row::get(
            "/nodes/{node}/qemu/{vmid}/agent/network-get-interfaces",
            "agent_network_get_interfaces",
            "The network interfaces of a guest, with their addresses.",
        ),
        AUDIT,
    ),
    plain(
        Row::post(
            "/nodes/{node}/qemu/{vmid}/agent/ping",
            "agent_ping",
            "Check that a guest agent answers.",
        ),
        AUDIT,
    ),
    plain(
        Row::post(
            "/nodes/{node}/qemu/{vmid}/agent/shutdown",
            "agent_shutdown",
            "Shut a guest down by its agent.",
        ),
        POWER,
    ),
    plain(
        Row::post(
            "/nodes/{node}/qemu/{vmid}/agent/suspend-disk",
            "agent_suspend_disk",
            "Suspend a guest to disk by its agent.",
        ),
        POWER,
    ),
    plain(
        Row::post(
            "/nodes/{node}/qemu/{vmid}/agent/suspend-hybrid",
            "agent_suspend_hybrid",
            "Suspend a guest to memory and disk by its agent.",
        ),
        POWER,
    ),
    plain(
        Row::post(
            "/nodes/{node}/qemu/{vmid}/agent/suspend-ram",
            "agent_suspend_ram",
            "Suspend a guest to memory by its agent.",
        ),
        POWER,
    ),
    Row::post(
        "/nodes/{node}/qemu/{vmid}/agent/exec",
        "agent_exec",
        "Start a program in a guest.",
    )
    .params(&[&[
        NODE,
        VMID,
        // An argument may be a whole script.
        Field::array("command", &Shape::String).max_length(65536),
        Field::string("input-data").optional().max_length(65536),
    ]])
    .returns(Shape::Object {
        fields: &[&[Field::integer("pid")]],
        open: false,
    })
    .check(UNRESTRICTED)
    .on_node()
    .local(),
    Row::get(
        "/nodes/{node}/qemu/{vmid}/agent/exec-status",
        "agent_exec_status",
        "The status and output of a program in a guest.",
    )
    .params(&[&[NODE, VMID, Field::integer("pid")]])
    .returns(Shape::Object {
        fields: &[&[
            Field::string("err-data").optional(),
            Field::boolean("err-truncated").optional(),
            Field::integer("exitcode").optional(),
            Field::boolean("exited"),
            Field::string("out-data").optional(),
            Field::boolean("out-truncated").optional(),
            Field::integer("signal").optional(),
        ]],
        open: false,
    })
    .check(UNRESTRICTED)
    .on_node(),
    Row::get(
        "/nodes/{node}/qemu/{vmid}/agent/file-read",
        "agent_file_read",
        "Read a file of a guest.",
    )
    .params(&[&[
        NODE,
        VMID,
        Field::string("file"),
        Field::integer("count")
            .optional()
            .range(1.0, 16_777_216.0)
            .default("16777216"),
        Field::boolean("decode").optional().default("1"),
        Field::integer("offset").optional().min(0.0).default("0"),
    ]])
    .returns(Shape::Object {
        fields: &[&[
            Field::string("content"),
            Field::boolean("truncated").optional(),
        ]],
        open: false,
    })
    .check(any(&[VmGuestAgentFileRead, VmGuestAgentUnrestricted]))
    .on_node(),
    Row::post(
        "/nodes/{node}/qemu/{vmid}/agent/file-write",
        "agent_file_write",
        "Write a file of a guest.",
    )
    .params(&[&[
        NODE,
        VMID,
        Field::string("content").max_length(61440),
        Field::string("file"),
        Field::boolean("encode").optional().default("1"),
    ]])
    .check(any(&[VmGuestAgentFileWrite, VmGuestAgentUnrestricted]))
    .on_node()
    .local(),
    Row::post(
        "/nodes/{node}/qemu/{vmid}/agent/set-user-password",
        "agent_set_user_password",
        "Set the password of a user of a guest.",
    )
    .params(&[&[
        NODE,
        VMID,
        Field::string("password").min_length(5).max_length(1024),
        Field::string("username"),
        Field::boolean("crypted").optional().default("0"),
    ]])
    .returns(RESULT)
    .check(UNRESTRICTED)
    .on_node()
    .local(),
];
