//! `/nodes/{node}/disks`

use model::Privilege;
use model::schema::{Field, Format, Shape, Values, format};

use crate::table::params::NODE;
use crate::{Check, Need, Permission, Row};

const OPEN: Shape = Shape::Object {
    fields: &[],
    open: true,
};

const AUDIT: Check = Check::On("/", &[Privilege::SysAudit]);

const MODIFY: Check = Check::On("/", &[Privilege::SysModify]);

const DISK: Field = Field::string("disk").pattern(r"^/dev/[a-zA-Z0-9\/]+$");

const NAME: Field = Field::string("name").format(format::STORAGE_ID);
const ADD_STORAGE: Field = Field::boolean("add_storage").optional().default("0");

/// With the right to add and remove storages, where that is asked for.
const CHANGE: Check = Check::All(&[MODIFY, Check::Computed(storage_needs)]);

fn storage_needs(params: &Values) -> Vec<Need> {
    let flags = ["add_storage", "cleanup-config"];
    let is_set = |flag: &str| params.get(flag).and_then(|flag| flag.as_bool()) == Some(true);
    match flags.into_iter().any(is_set) {
        true => vec![Need::all("/storage", &[Privilege::DatastoreAllocate])],
        false => Vec::new(),
    }
}

const DRAID_CONFIG: Format = Format::Properties {
    name: "",
    fields: &[
        Field::integer("data").min(1.0),
        Field::integer("spares").min(0.0),
    ],
};

/// A disk of a volume group, and the group itself.
const GROUP: Shape = Shape::Object {
    fields: &[
        &[Field::array(
            "children",
            &Shape::Object {
                fields: &[MEMBER],
                open: true,
            },
        )
        .optional()],
        MEMBER,
    ],
    open: true,
};

const MEMBER: &[Field] = &[
    Field::integer("free"),
    Field::boolean("leaf"),
    Field::string("name"),
    Field::integer("size"),
];

const DEVICE: Shape = Shape::Object {
    fields: &[&[
        Field::number("cksum").optional(),
        Field::string("msg"),
        Field::string("name"),
        Field::number("read").optional(),
        Field::string("state").optional(),
        Field::number("write").optional(),
    ]],
    open: true,
};

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/disks",
        "disks_directory",
        "Index of the disks.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Array(&OPEN))
    .permission(Permission::User)
    .on_node()
    .index(),
    Row::post(
        "/nodes/{node}/disks/initgpt",
        "disk_initgpt",
        "Write an empty partition table to a disk that is not used.",
    )
    .params(&[&[
        NODE,
        DISK,
        Field::string("uuid")
            .pattern(r"[a-fA-F0-9\-]+")
            .max_length(36)
            .optional(),
    ]])
    .check(MODIFY)
    .submit()
    .on_node(),
    Row::put(
        "/nodes/{node}/disks/wipedisk",
        "disk_wipe",
        "Erase what is on a disk or partition that nobody uses.",
    )
    .params(&[&[NODE, DISK]])
    .permission(Permission::Root)
    .submit()
    .on_node(),
    Row::post(
        "/nodes/{node}/disks/directory",
        "disk_directory_create",
        "Make a file system on a disk that is not used, and mount it below /mnt/pve.",
    )
    .params(&[&[
        NODE,
        Field::string("device"),
        NAME,
        ADD_STORAGE,
        Field::string("filesystem")
            .optional()
            .one_of(&["ext4", "xfs"])
            .default("ext4"),
    ]])
    .check(CHANGE)
    .submit()
    .on_node(),
    Row::post(
        "/nodes/{node}/disks/lvm",
        "disk_lvm_create",
        "Make a volume group of LVM on a disk that is not used.",
    )
    .params(&[&[NODE, Field::string("device"), NAME, ADD_STORAGE]])
    .check(CHANGE)
    .submit()
    .on_node(),
    Row::post(
        "/nodes/{node}/disks/lvmthin",
        "disk_lvmthin_create",
        "Make a volume group with a thin pool on a disk that is not used.",
    )
    .params(&[&[NODE, Field::string("device"), NAME, ADD_STORAGE]])
    .check(CHANGE)
    .submit()
    .on_node(),
    Row::post(
        "/nodes/{node}/disks/zfs",
        "disk_zfs_create",
        "Make a pool of ZFS on disks that are not used.",
    )
    .params(&[&[
        NODE,
        Field::string("devices").format(format::unchecked("string-list")),
        NAME,
        Field::string("raidlevel").one_of(&[
            "single", "mirror", "raid10", "raidz", "raidz2", "raidz3", "draid", "draid2", "draid3",
        ]),
        ADD_STORAGE,
        Field::integer("ashift")
            .optional()
            .range(9.0, 16.0)
            .default("12"),
        Field::string("compression")
            .optional()
            .one_of(&["on", "off", "gzip", "lz4", "lzjb", "zle", "zstd"])
            .default("on"),
        Field::string("draid-config")
            .optional()
            .format(DRAID_CONFIG),
    ]])
    .check(CHANGE)
    .submit()
    .on_node(),
    Row::delete(
        "/nodes/{node}/disks/directory/{name}",
        "disk_directory_delete",
        "Unmount a directory that has a disk of its own, and forget it.",
    )
    .params(&[&[
        NAME,
        NODE,
        Field::boolean("cleanup-config").optional().default("0"),
        Field::boolean("cleanup-disks").optional().default("0"),
    ]])
    .check(CHANGE)
    .submit()
    .on_node(),
    Row::delete(
        "/nodes/{node}/disks/lvm/{name}",
        "disk_lvm_delete",
        "Remove a volume group with its volumes.",
    )
    .params(&[&[
        NAME,
        NODE,
        Field::boolean("cleanup-config").optional().default("0"),
        Field::boolean("cleanup-disks").optional().default("0"),
    ]])
    .check(CHANGE)
    .submit()
    .on_node(),
    Row::delete(
        "/nodes/{node}/disks/lvmthin/{name}",
        "disk_lvmthin_delete",
        "Remove a thin pool with its volumes.",
    )
    .params(&[&[
        NAME,
        NODE,
        Field::string("volume-group").format(format::STORAGE_ID),
        Field::boolean("cleanup-config").optional().default("0"),
        Field::boolean("cleanup-disks").optional().default("0"),
    ]])
    .check(CHANGE)
    .submit()
    .on_node(),
    Row::delete(
        "/nodes/{node}/disks/zfs/{name}",
        "disk_zfs_delete",
        "Destroy a pool of ZFS with what is in it.",
    )
    .params(&[&[
        NAME,
        NODE,
        Field::boolean("cleanup-config").optional().default("0"),
        Field::boolean("cleanup-disks").optional().default("0"),
    ]])
    .check(CHANGE)
    .submit()
    .on_node(),
    Row::get(
        "/nodes/{node}/disks/list",
        "disk_list",
        "The disks of a node, and their use.",
    )
    .params(&[&[
        NODE,
        Field::boolean("include-partitions").optional().default("0"),
        Field::boolean("skipsmart").optional().default("0"),
        Field::string("type")
            .optional()
            .one_of(&["unused", "journal_disks"]),
    ]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::string("devpath"),
            Field::boolean("gpt"),
            Field::string("health").optional(),
            Field::string("model").optional(),
            Field::boolean("mounted"),
            Field::integer("osdid"),
            Field::array("osdid-list", &Shape::Integer),
            Field::string("parent").optional(),
            Field::string("serial").optional(),
            Field::integer("size"),
            Field::string("used").optional(),
            Field::string("vendor").optional(),
            Field::string("wwn").optional(),
        ]],
        open: true,
    }))
    .check(Check::Any(&[
        Check::On("/", &[Privilege::SysAudit]),
        Check::On("/nodes/{node}", &[Privilege::SysAudit]),
    ]))
    .on_node(),
    Row::get(
        "/nodes/{node}/disks/directory",
        "disk_directory_list",
        "Directories on disks of their own.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::string("device"),
            Field::string("options"),
            Field::string("path"),
            Field::string("type"),
            Field::string("unitfile"),
        ]],
        open: true,
    }))
    .check(AUDIT)
    .on_node(),
    Row::get(
        "/nodes/{node}/disks/lvm",
        "disk_lvm_list",
        "The volume groups of a node, with their disks.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Object {
        fields: &[&[Field::array("children", &GROUP), Field::boolean("leaf")]],
        open: true,
    })
    .check(AUDIT)
    .on_node(),
    Row::get(
        "/nodes/{node}/disks/lvmthin",
        "disk_lvmthin_list",
        "The thin pools of a node.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::string("lv"),
            Field::integer("lv_size"),
            Field::integer("metadata_size"),
            Field::integer("metadata_used"),
            Field::integer("used"),
            Field::string("vg"),
        ]],
        open: true,
    }))
    .check(AUDIT)
    .on_node(),
    Row::get(
        "/nodes/{node}/disks/smart",
        "disk_smart",
        "What a disk says of its health.",
    )
    .params(&[&[NODE, DISK, Field::boolean("healthonly").optional()]])
    .returns(Shape::Object {
        fields: &[&[
            Field::array("attributes", &Shape::Any).optional(),
            Field::string("health"),
            Field::string("text").optional(),
            Field::string("type").optional(),
        ]],
        open: true,
    })
    .check(AUDIT)
    .on_node(),
    Row::get(
        "/nodes/{node}/disks/zfs",
        "disk_zfs_list",
        "The pools of ZFS that a node has imported.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::integer("alloc"),
            Field::number("dedup"),
            Field::integer("frag"),
            Field::integer("free"),
            Field::string("health"),
            Field::string("name"),
            Field::integer("size"),
        ]],
        open: true,
    }))
    .check(AUDIT)
    .on_node(),
    Row::get(
        "/nodes/{node}/disks/zfs/{name}",
        "disk_zfs_get",
        "What a pool is made of, and how that is.",
    )
    .params(&[&[Field::string("name").format(format::STORAGE_ID), NODE]])
    .returns(Shape::Object {
        fields: &[&[
            Field::string("action").optional(),
            Field::array("children", &DEVICE),
            Field::string("errors"),
            Field::string("name"),
            Field::string("scan").optional(),
            Field::string("state"),
            Field::string("status").optional(),
        ]],
        open: true,
    })
    .check(AUDIT)
    .on_node(),
];
