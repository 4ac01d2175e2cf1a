//! `/nodes/{node}/qemu/{vmid}/{config,pending,resize,unlink}`

use model::Privilege;
use model::qemu::{DriveSource, OPTIONS, is_cloud_init_option};
use model::schema::{Field, Shape, Values, format};

use super::disks::DISKS;
use super::guests::{source_of, space_needs};
use crate::table::params::{NODE, SKIPLOCK, VMID};
use crate::{Check, Need, Row};

pub(super) const DIGEST: Field = Field::string("digest").optional().max_length(40);

/// Parameters of a change that are no options of the guest.
const CHANGE: &[Field] = &[
    NODE,
    VMID,
    SKIPLOCK,
    DIGEST,
    Field::string("delete")
        .optional()
        .format(format::CONFIG_ID_LIST),
    Field::boolean("force").optional().requires("delete"),
    Field::string("revert")
        .optional()
        .format(format::CONFIG_ID_LIST),
];

const POST_ONLY: &[Field] = &[
    Field::integer("background_delay")
        .optional()
        .range(1.0, 30.0),
    Field::string("import-working-storage")
        .optional()
        .format(format::STORAGE_ID)
        .unbuilt(),
];

const fn with_options<const N: usize>(first: [&'static [Field]; 2]) -> [&'static [Field]; N] {
    let mut groups: [&[Field]; N] = [first[0]; N];
    groups[1] = first[1];
    let mut at = 0;
    while at < OPTIONS.len() {
        groups[at + 2] = OPTIONS[at];
        at += 1;
    }
    groups
}

const PUT: &[&[Field]] = &with_options::<{ OPTIONS.len() + 2 }>([CHANGE, &[]]);
const POST: &[&[Field]] = &with_options::<{ OPTIONS.len() + 2 }>([CHANGE, POST_ONLY]);

/// What a configuration shows beyond its options.
const SHOWN: &[Field] = &[
    Field::string("digest"),
    Field::string("meta").optional(),
    Field::string("parent").optional(),
    Field::string("running-nets-host-mtu").optional(),
    Field::string("runningcpu").optional(),
    Field::string("runningmachine").optional(),
    Field::integer("snaptime").optional(),
    Field::string("vmstate").optional(),
];
const CONFIG: &[&[Field]] = &with_options::<{ OPTIONS.len() + 2 }>([SHOWN, &[]]);

/// The privilege that an option's change needs. Source: the groups of options in Proxmox VE's
/// documentation of `VM.Config.*`.
fn privilege_of(option: &str, value: Option<&str>) -> Privilege {
    let stem = option.trim_end_matches(|c: char| c.is_ascii_digit());
    match stem {
        "ide" | "sata" | "scsi" | "virtio"
            if value.is_some_and(|value| value.contains("media=cdrom")) =>
        {
            Privilege::VmConfigCdrom
        }
        "ide" | "sata" | "scsi" | "virtio" | "efidisk" | "tpmstate" | "unused"
        | "vmstatestorage" => Privilege::VmConfigDisk,
        "cdrom" => Privilege::VmConfigCdrom,
        "cores" | "sockets" | "vcpus" | "cpu" | "cpulimit" | "cpuunits" | "numa" | "affinity"
        | "smp" => Privilege::VmConfigCpu,
        "memory" | "balloon" | "shares" => Privilege::VmConfigMemory,
        "net" => Privilege::VmConfigNetwork,
        "name" | "description" | "onboot" | "ostype" | "boot" | "bootdisk" | "startup" | "tags"
        | "protection" | "agent" | "acpi" | "autostart" | "reboot" | "freeze" | "hotplug"
        | "localtime" | "startdate" | "tablet" | "tdf" | "template" | "migrate_downtime"
        | "migrate_speed" | "hookscript" | "smbios" | "kvm" => Privilege::VmConfigOptions,
        _ => Privilege::VmConfigHwType,
    }
}

/// The privileges of which each option's change needs one, by sets.
fn privileges_of(option: &str, value: Option<&str>) -> Vec<Vec<Privilege>> {
    if is_cloud_init_option(option) {
        return vec![vec![
            Privilege::VmConfigCloudinit,
            Privilege::VmConfigNetwork,
        ]];
    }
    if value.is_some_and(|value| is_new_medium(option, value)) {
        return vec![
            vec![Privilege::VmConfigCdrom],
            vec![Privilege::VmConfigCloudinit],
        ];
    }
    vec![vec![privilege_of(option, value)]]
}

/// Whether a drive with cloud-init's data is asked for: `STORAGE:cloudinit`.
fn is_new_medium(option: &str, value: &str) -> bool {
    matches!(
        source_of(option, value),
        Some(DriveSource::NewCloudInit { .. })
    )
}

fn change_needs(params: &Values) -> Vec<Need> {
    let path = format!("/vms/{}", params.get("vmid").cloned().unwrap_or_default());
    let set = params
        .iter()
        .filter(|(name, _)| model::schema::find(OPTIONS, name).is_some());
    let mut privileges: Vec<Vec<Privilege>> = set
        .flat_map(|(name, value)| privileges_of(name, value.as_str()))
        .collect();
    for list in ["delete", "revert"] {
        let names = params
            .get(list)
            .and_then(|names| names.as_str())
            .unwrap_or_default();
        privileges.extend(format::split_list(names).flat_map(|name| privileges_of(name, None)));
    }
    privileges.sort_unstable();
    privileges.dedup();
    let each = privileges.into_iter().map(|privileges| Need {
        path: path.clone(),
        any: privileges.len() > 1,
        privileges,
    });
    each.chain(space_needs(params)).collect()
}

/// Any of these is needed to be heard at all; what is changed decides which.
const CHANGE_CHECK: Check = Check::All(&[
    Check::AnyOn(
        "/vms/{vmid}",
        &[
            Privilege::VmConfigDisk,
            Privilege::VmConfigCdrom,
            Privilege::VmConfigCpu,
            Privilege::VmConfigMemory,
            Privilege::VmConfigNetwork,
            Privilege::VmConfigHwType,
            Privilege::VmConfigOptions,
            Privilege::VmConfigCloudinit,
        ],
    ),
    Check::Computed(change_needs),
]);

const PENDING: Shape = Shape::Array(&Shape::Object {
    fields: &[&[
        Field::integer("delete").optional().range(0.0, 2.0),
        Field::string("key"),
        Field::any("pending").optional(),
        Field::any("value").optional(),
    ]],
    open: false,
});

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/qemu/{vmid}/config",
        "qemu_config",
        "A virtual machine's configuration, pending changes included.",
    )
    .params(&[&[
        NODE,
        VMID,
        Field::boolean("current").optional().default("0"),
        Field::string("snapshot")
            .optional()
            .max_length(40)
            .format(format::CONFIG_ID),
    ]])
    .returns(Shape::Object {
        fields: CONFIG,
        open: false,
    })
    .check(Check::On("/vms/{vmid}", &[Privilege::VmAudit]))
    .on_node(),
    Row::put(
        "/nodes/{node}/qemu/{vmid}/config",
        "qemu_configure",
        "Change a virtual machine's configuration and wait until that is done.",
    )
    .params(PUT)
    .check(CHANGE_CHECK)
    .on_node(),
    Row::post(
        "/nodes/{node}/qemu/{vmid}/config",
        "qemu_configure_task",
        "Change a virtual machine's configuration in a task.",
    )
    .params(POST)
    .check(CHANGE_CHECK)
    .submit()
    .on_node(),
    Row::get(
        "/nodes/{node}/qemu/{vmid}/pending",
        "qemu_pending",
        "The configuration, with what waits for the next start.",
    )
    .params(&[&[NODE, VMID]])
    .returns(PENDING)
    .check(Check::On("/vms/{vmid}", &[Privilege::VmAudit]))
    .on_node(),
    Row::put(
        "/nodes/{node}/qemu/{vmid}/resize",
        "qemu_resize",
        "Make a disk larger.",
    )
    .params(&[&[
        NODE,
        VMID,
        SKIPLOCK,
        DIGEST,
        Field::string("disk").one_of(DISKS),
        Field::string("size").pattern(r"\+?\d+(\.\d+)?[KMGT]?"),
    ]])
    .check(Check::On("/vms/{vmid}", &[Privilege::VmConfigDisk]))
    .submit()
    .on_node(),
    Row::put(
        "/nodes/{node}/qemu/{vmid}/unlink",
        "qemu_unlink",
        "Take drives out of a virtual machine, or remove unused volumes.",
    )
    .params(&[&[
        NODE,
        VMID,
        Field::boolean("force").optional(),
        Field::string("idlist").format(format::CONFIG_ID_LIST),
    ]])
    .check(Check::On("/vms/{vmid}", &[Privilege::VmConfigDisk]))
    .on_node(),
];
