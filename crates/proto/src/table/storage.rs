//! `/storage`

use model::Privilege;
use model::retention::Retention;
use model::schema::{Field, Format, Shape, format};

use super::cluster_options::BWLIMIT;
use super::params::{NODE, STORAGE};
use crate::{Check, Permission, Row};

const TYPE: Field = Field::string("type").one_of(&[
    "btrfs",
    "cephfs",
    "cifs",
    "dir",
    "esxi",
    "iscsi",
    "iscsidirect",
    "lvm",
    "lvmthin",
    "nfs",
    "pbs",
    "rbd",
    "zfs",
    "zfspool",
]);

/// Types without a driver in this version.
const UNBUILT_TYPES: &[&str] = &["esxi", "pbs", "zfs"];

const LIMITS: Format = Format::Properties {
    name: "bwlimit",
    fields: BWLIMIT,
};

/// How many backups of a guest are kept.
pub(in crate::table) const PRUNE_BACKUPS: Format =
    Format::named("prune-backups", check_prune_backups);

fn check_prune_backups(value: &str) -> Result<(), String> {
    Retention::parse(value).map(drop)
}

/// The options that can be set on a new storage and changed later.
const OPTIONS: &[Field] = &[
    Field::string("blocksize")
        .optional()
        .format(format::unchecked("pve-storage-zfs-blocksize")),
    Field::string("bwlimit").optional().format(LIMITS),
    Field::string("comstar_hg").optional().unbuilt(),
    Field::string("comstar_tg").optional().unbuilt(),
    Field::string("content")
        .optional()
        .format(format::STORAGE_CONTENT_LIST),
    Field::string("content-dirs")
        .optional()
        .format(format::DIR_OVERRIDE_LIST),
    Field::boolean("create-base-path").optional().default("yes"),
    Field::boolean("create-subdirs").optional().default("yes"),
    Field::string("data-pool").optional(),
    Field::boolean("disable").optional(),
    Field::string("domain").optional().max_length(256),
    Field::string("encryption-key").optional().unbuilt(),
    Field::string("fingerprint")
        .optional()
        .pattern(r#"([A-Fa-f0-9]{2}:){31}[A-Fa-f0-9]{2}"#)
        .unbuilt(),
    Field::string("format")
        .optional()
        .one_of(&["raw", "qcow2", "subvol", "vmdk"])
        .unbuilt_values(&["subvol"]),
    Field::string("fs-name")
        .optional()
        .format(format::CONFIG_ID),
    Field::boolean("fuse").optional(),
    Field::string("is_mountpoint").optional().default("no"),
    Field::string("keyring").optional(),
    Field::boolean("krbd").optional().default("0").unbuilt(),
    Field::string("lio_tpg").optional().unbuilt(),
    Field::string("master-pubkey").optional().unbuilt(),
    Field::integer("max-protected-backups")
        .optional()
        .min(-1.0)
        .default("Unlimited for users with Datastore.Allocate privilege, 5 for other users"),
    Field::boolean("mkdir").optional().default("yes"),
    Field::string("monhost")
        .optional()
        .format(format::unchecked("pve-storage-portal-dns-list")),
    Field::string("mountpoint")
        .optional()
        .format(format::STORAGE_PATH),
    Field::string("namespace").optional(),
    Field::boolean("nocow").optional().default("0"),
    Field::string("nodes").optional().format(format::NODE_LIST),
    Field::boolean("nowritecache").optional().unbuilt(),
    Field::string("options")
        .optional()
        .format(format::unchecked("pve-storage-options")),
    Field::string("password").optional().max_length(256),
    Field::string("pool").optional(),
    Field::integer("port")
        .optional()
        .range(1.0, 65535.0)
        .unbuilt(),
    Field::string("preallocation")
        .optional()
        .one_of(&["off", "metadata", "falloc", "full"])
        .default("metadata"),
    Field::string("prune-backups")
        .optional()
        .format(PRUNE_BACKUPS),
    Field::boolean("saferemove").optional(),
    Field::integer("saferemove-stepsize")
        .optional()
        .one_of(&["1", "2", "4", "8", "16", "32"])
        .default("32"),
    Field::string("saferemove_throughput").optional(),
    Field::string("server").optional().format(format::SERVER),
    Field::boolean("shared").optional(),
    Field::boolean("skip-cert-verification")
        .optional()
        .default("false")
        .unbuilt(),
    Field::string("smbversion")
        .optional()
        .one_of(&["default", "2.0", "2.1", "3", "3.0", "3.11"])
        .default("default"),
    Field::boolean("snapshot-as-volume-chain")
        .optional()
        .default("0"),
    Field::boolean("sparse").optional(),
    Field::string("subdir")
        .optional()
        .format(format::STORAGE_PATH),
    Field::boolean("tagged_only").optional(),
    Field::string("username").optional(),
    Field::string("zfs-base-path")
        .optional()
        .format(format::STORAGE_PATH)
        .unbuilt(),
];

/// The options that can only be set on a new storage.
const FIXED: &[Field] = &[
    TYPE.unbuilt_values(UNBUILT_TYPES),
    Field::string("authsupported").optional().unbuilt(),
    Field::string("base").optional().format(format::VOLUME_ID),
    Field::string("datastore").optional().unbuilt(),
    // Of Ostler: the dataset of a zfspool storage is made with a key that the cluster keeps.
    Field::boolean("encrypted").optional(),
    Field::string("export")
        .optional()
        .format(format::STORAGE_PATH),
    Field::string("iscsiprovider").optional().unbuilt(),
    Field::string("path")
        .optional()
        .format(format::STORAGE_PATH),
    Field::string("portal").optional().format(format::PORTAL),
    Field::string("share").optional(),
    Field::string("target").optional(),
    Field::string("thinpool")
        .optional()
        .format(format::LVM_NAME),
    Field::string("vgname").optional().format(format::LVM_NAME),
];

const CHANGED: Shape = Shape::Object {
    fields: &[&[
        Field::object("config", &[&[Field::string("encryption-key").optional()]]).optional(),
        Field::string("storage"),
        TYPE,
    ]],
    open: true,
};

const ALLOCATE: Check = Check::On("/storage", &[Privilege::DatastoreAllocate]);

pub(super) const ROWS: &[Row] = &[
    Row::get(
        "/storage",
        "storage_list",
        "The storages that the caller may use or audit.",
    )
    .params(&[&[TYPE.optional()]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::string("storage")]],
        open: true,
    }))
    .permission(Permission::User),
    Row::post("/storage", "storage_create", "Add a storage.")
        .params(&[&[STORAGE], FIXED, OPTIONS])
        .returns(CHANGED)
        .check(ALLOCATE),
    Row::get(
        "/storage/{storage}",
        "storage_get",
        "The configuration of a storage.",
    )
    .params(&[&[STORAGE]])
    .returns(Shape::Object {
        fields: &[&[]],
        open: true,
    })
    .check(Check::On(
        "/storage/{storage}",
        &[Privilege::DatastoreAllocate],
    )),
    Row::put(
        "/storage/{storage}",
        "storage_update",
        "Change the configuration of a storage.",
    )
    .params(&[
        &[
            STORAGE,
            Field::string("delete")
                .optional()
                .max_length(4096)
                .format(format::CONFIG_ID_LIST),
            Field::string("digest").optional().max_length(64),
        ],
        OPTIONS,
    ])
    .returns(CHANGED)
    .check(ALLOCATE),
    Row::get(
        "/ostler/storage/{storage}/key",
        "storage_key",
        "The key of an encrypted storage, also of one that was removed.",
    )
    .params(&[&[STORAGE]])
    .returns(Shape::Object {
        fields: &[&[Field::string("storage"), Field::string("key")]],
        open: false,
    })
    .permission(Permission::Root),
    Row::post(
        "/ostler/nodes/{node}/storage/{storage}/attach",
        "storage_attach",
        "Make a storage usable again whose disk was plugged in.",
    )
    .params(&[&[NODE, STORAGE]])
    .check(ALLOCATE)
    .submit()
    .on_node(),
    Row::post(
        "/ostler/nodes/{node}/storage/{storage}/detach",
        "storage_detach",
        "Make a storage's disk ready to be unplugged.",
    )
    .params(&[&[NODE, STORAGE]])
    .check(ALLOCATE)
    .submit()
    .on_node(),
    Row::delete(
        "/storage/{storage}",
        "storage_delete",
        "Remove a storage; its volumes are kept.",
    )
    .params(&[&[STORAGE]])
    .check(ALLOCATE),
];
