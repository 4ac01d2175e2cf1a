//! `/pools`

use model::Privilege;
use model::schema::{Field, Shape, format};

use crate::{Check, Permission, Row};

const POOLID: Field = Field::string("poolid").format(format::POOL_ID);
const COMMENT: Field = Field::string("comment").optional();
const TYPE: Field = Field::string("type")
    .optional()
    .one_of(&["qemu", "lxc", "storage"]);
const ALLOCATE: Check = Check::On("/pool/{poolid}", &[Privilege::PoolAllocate]);

const CHANGE: &[Field] = &[
    POOLID,
    Field::boolean("allow-move").optional().default("0"),
    COMMENT,
    Field::boolean("delete").optional().default("0"),
    Field::string("storage")
        .optional()
        .format(format::STORAGE_ID_LIST),
    Field::string("vms").optional().format(format::VMID_LIST),
];

const MEMBERS: Field = Field::array(
    "members",
    &Shape::Object {
        fields: &[&[
            Field::string("id"),
            Field::string("node"),
            Field::string("storage").optional(),
            Field::string("type").one_of(&["qemu", "lxc", "openvz", "storage"]),
            Field::integer("vmid").optional(),
        ]],
        open: true,
    },
);

pub(super) const ROWS: &[Row] = &[
    Row::delete("/pools", "pool_delete", "Remove an empty pool.")
        .params(&[&[POOLID]])
        .check(ALLOCATE),
    Row::get(
        "/pools",
        "pool_list",
        "The pools that the caller audits, or one with its members.",
    )
    .params(&[&[POOLID.optional(), TYPE.requires("poolid")]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[COMMENT, MEMBERS.optional(), POOLID]],
        open: true,
    }))
    .permission(Permission::User),
    Row::post("/pools", "pool_create", "Add a pool.")
        .params(&[&[POOLID, COMMENT]])
        .check(ALLOCATE),
    Row::put("/pools", "pool_update", "Change a pool or its members.")
        .params(&[CHANGE])
        .check(ALLOCATE),
    // The older paths, which cannot name a nested pool.
    Row::delete(
        "/pools/{poolid}",
        "pool_delete_by_path",
        "Remove an empty pool.",
    )
    .params(&[&[POOLID]])
    .check(ALLOCATE),
    Row::get("/pools/{poolid}", "pool_get", "A pool and its members.")
        .params(&[&[POOLID, TYPE]])
        .returns(Shape::Object {
            fields: &[&[COMMENT, MEMBERS, POOLID]],
            open: false,
        })
        .check(Check::On("/pool/{poolid}", &[Privilege::PoolAudit])),
    Row::put(
        "/pools/{poolid}",
        "pool_update_by_path",
        "Change a pool or its members.",
    )
    .params(&[CHANGE])
    .check(ALLOCATE),
];
