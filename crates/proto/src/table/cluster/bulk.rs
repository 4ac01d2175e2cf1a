//! `/cluster/bulk-action`

use model::Privilege;
use model::schema::{Field, Shape, Values, format};

use super::NAMES;
use crate::{Check, Need, Permission, Row};

const VMS: Field = Field::array("vms", &Shape::Integer)
    .optional()
    .range(100.0, 999_999_999.0)
    .format(format::VMID);
const WORKERS: &[Field] = &[
    Field::integer("max-workers")
        .optional()
        .range(1.0, 64.0)
        .default("4"),
    // The same by its name in the datacenter's options.
    Field::integer("maxworkers")
        .optional()
        .range(1.0, 64.0)
        .default("4"),
];

fn on_given(params: &Values, privileges: &'static [Privilege]) -> Vec<Need> {
    let vms = params.get("vms").and_then(|vms| vms.as_array());
    let vms = vms.into_iter().flatten();
    vms.map(|vmid| Need::all(format!("/vms/{vmid}"), privileges))
        .collect()
}

fn migration(params: &Values) -> Vec<Need> {
    on_given(params, &[Privilege::VmMigrate])
}

fn power(params: &Values) -> Vec<Need> {
    on_given(params, &[Privilege::VmPowerMgmt])
}

/// Memory that is saved is a volume of the guest.
fn memory(params: &Values) -> Vec<Need> {
    let to_disk = params.get("to-disk").and_then(|to_disk| to_disk.as_bool());
    match (to_disk, params.contains_key("vms")) {
        (Some(true), true) => on_given(params, &[Privilege::VmConfigDisk]),
        (Some(true), false) => vec![Need::all("/", &[Privilege::VmConfigDisk])],
        _ => Vec::new(),
    }
}

/// On everything, or on every given guest.
const POWER: Check = Check::Any(&[
    Check::On("/", &[Privilege::VmPowerMgmt]),
    Check::Given("vms", &Check::Computed(power)),
]);

const MIGRATE: Check = Check::Any(&[
    Check::On("/", &[Privilege::VmMigrate]),
    Check::Given("vms", &Check::Computed(migration)),
]);

/// The function checks the rights on the storages, which depend on the guests.
const SUSPEND: Check = Check::All(&[
    POWER,
    Check::Any(&[
        Check::On("/", &[Privilege::VmConfigDisk]),
        Check::Computed(memory),
    ]),
]);

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/cluster/bulk-action",
        "bulk_directory",
        "Index of the kinds of objects that actions are for.",
    )
    .returns(NAMES)
    .permission(Permission::User)
    .index(),
    Row::get(
        "/cluster/bulk-action/guest",
        "bulk_guest_directory",
        "Index of the actions on many guests.",
    )
    .returns(NAMES)
    .permission(Permission::User)
    .index(),
    Row::post(
        "/cluster/bulk-action/guest/start",
        "bulk_start",
        "Start guests, in their order, and let paused ones go on.",
    )
    .params(&[
        WORKERS,
        &[Field::integer("timeout").optional().min(0.0), VMS],
    ])
    .check(POWER)
    .submit(),
    Row::post(
        "/cluster/bulk-action/guest/migrate",
        "bulk_migrate",
        "Move guests to another node.",
    )
    .params(&[&[
        Field::string("target").format(format::NODE),
        Field::integer("max-workers")
            .optional()
            .range(1.0, 64.0)
            .default("1"),
        Field::integer("maxworkers")
            .optional()
            .range(1.0, 64.0)
            .default("1"),
        Field::boolean("online").optional(),
        VMS,
        Field::boolean("with-local-disks").optional(),
    ]])
    .check(MIGRATE)
    .submit(),
    Row::post(
        "/cluster/bulk-action/guest/shutdown",
        "bulk_shutdown",
        "Shut down guests, in the reverse of their start order.",
    )
    .params(&[
        WORKERS,
        &[
            Field::boolean("force-stop").optional().default("1"),
            Field::integer("timeout").optional().min(0.0).default("180"),
            VMS,
        ],
    ])
    .check(POWER)
    .submit(),
    Row::post(
        "/cluster/bulk-action/guest/suspend",
        "bulk_suspend",
        "Suspend guests in memory or to disk, in the reverse of their start order.",
    )
    .params(&[
        WORKERS,
        &[
            Field::string("statestorage")
                .optional()
                .format(format::STORAGE_ID)
                .requires("to-disk"),
            Field::boolean("to-disk").optional().default("0"),
            VMS,
        ],
    ])
    .check(SUSPEND)
    .submit(),
];
