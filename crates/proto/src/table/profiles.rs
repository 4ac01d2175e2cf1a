//! `/ostler/cluster/profiles`: what new virtual machines of a class are like.

use model::Privilege;
use model::qemu::OPTIONS;
use model::schema::{Field, Shape, format};

use super::params::NODE;
use crate::{Check, Permission, Row};

const ID: &[Field] = &[Field::string("profile").format(format::CONFIG_ID)];

const STORAGE: Field = Field::string("storage")
    .optional()
    .format(format::STORAGE_ID);

/// What a profile has besides the options of its machines.
pub const PROFILE: &[Field] = &[
    Field::string("comment").optional().max_length(512),
    // DISK=SIZE
    Field::string("disk-size").optional().max_length(1024),
    // A template.
    Field::integer("from")
        .optional()
        .format(format::VMID)
        .range(100.0, 999_999_999.0),
    Field::boolean("full").optional(),
    STORAGE,
];

const CHANGE: &[Field] = &[
    Field::string("delete").optional().max_length(4096),
    Field::string("digest").optional().max_length(40),
];

const INSTANCES: &[Field] = &[
    NODE,
    Field::integer("count")
        .optional()
        .range(1.0, 50.0)
        .default("1"),
    Field::string("pool").optional().format(format::POOL_ID),
    Field::boolean("start").optional().default("0"),
    STORAGE,
    Field::integer("vmid")
        .optional()
        .format(format::VMID)
        .range(100.0, 999_999_999.0),
];

/// Groups of parameters before those of a virtual machine.
const fn with_options<const N: usize>(first: &[&'static [Field]]) -> [&'static [Field]; N] {
    let mut groups: [&[Field]; N] = [&[]; N];
    let mut at = 0;
    while at < N {
        groups[at] = match at < first.len() {
            true => first[at],
            false => OPTIONS[at - first.len()],
        };
        at += 1;
    }
    groups
}

const TWO_MORE: usize = OPTIONS.len() + 2;
const THREE_MORE: usize = OPTIONS.len() + 3;

const OF_NEW: &[&[Field]] = &with_options::<TWO_MORE>(&[ID, PROFILE]);
const OF_CHANGE: &[&[Field]] = &with_options::<THREE_MORE>(&[ID, PROFILE, CHANGE]);
const OF_INSTANCES: &[&[Field]] = &with_options::<TWO_MORE>(&[ID, INSTANCES]);

const SHOWN: Shape = Shape::Object {
    fields: &[ID, PROFILE, &[Field::string("digest")]],
    open: true,
};

pub(super) const ROWS: &[Row] = &[
    Row::get(
        "/ostler/cluster/profiles",
        "profile_list",
        "What new virtual machines of each class are like.",
    )
    .returns(Shape::Array(&SHOWN))
    .permission(Permission::User),
    Row::post(
        "/ostler/cluster/profiles",
        "profile_create",
        "Add a profile of virtual machines.",
    )
    .params(OF_NEW)
    .check(Check::On("/", &[Privilege::SysModify])),
    Row::get(
        "/ostler/cluster/profiles/{profile}",
        "profile_get",
        "A profile of virtual machines.",
    )
    .params(&[ID])
    .returns(SHOWN)
    .permission(Permission::User),
    Row::put(
        "/ostler/cluster/profiles/{profile}",
        "profile_update",
        "Change a profile; machines that were made of it stay as they are.",
    )
    .params(OF_CHANGE)
    .check(Check::On("/", &[Privilege::SysModify])),
    Row::delete(
        "/ostler/cluster/profiles/{profile}",
        "profile_delete",
        "Remove a profile; machines that were made of it stay.",
    )
    .params(&[ID])
    .check(Check::On("/", &[Privilege::SysModify])),
    Row::post(
        "/ostler/nodes/{node}/profiles/{profile}/create",
        "profile_instances",
        "Make virtual machines of a profile; the caller needs the rights to create or clone them.",
    )
    .params(OF_INSTANCES)
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::integer("vmid"),
            Field::string("name").optional(),
            Field::string("upid"),
        ]],
        open: false,
    }))
    .permission(Permission::User)
    .on_node(),
];
