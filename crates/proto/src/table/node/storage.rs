//! `/nodes/{node}/storage`

use model::Privilege;
use model::schema::{Field, Shape, format};

use crate::table::params::{NODE, STORAGE, VMID};
use crate::table::storage::PRUNE_BACKUPS;
use crate::{Check, Permission, Row};

/// A volume in the path may include its storage.
const VOLUME: &[Field] = &[NODE, Field::string("volume"), STORAGE.optional()];

const FORMATS: &[&str] = &["raw", "qcow2", "subvol", "vmdk"];

const CONTENT: Field = Field::string("content").format(format::STORAGE_CONTENT_LIST);

/// The state of a storage, without its name.
const STATUS: &[Field] = &[
    Field::boolean("active").optional(),
    Field::integer("avail").optional(),
    CONTENT,
    Field::boolean("enabled").optional(),
    Field::boolean("shared").optional(),
    Field::integer("total").optional(),
    Field::string("type"),
    Field::integer("used").optional(),
];

const LISTED: &[Field] = &[
    Field::object(
        "formats",
        &[&[
            Field::string("default").one_of(&["qcow2", "raw", "subvol", "vmdk"]),
            Field::array("supported", &Shape::String),
        ]],
    )
    .optional(),
    Field::boolean("select_existing").optional(),
    STORAGE,
    Field::number("used_fraction").optional(),
];

const VOLUME_ROW: &[Field] = &[
    Field::integer("approximate-size").optional(),
    Field::integer("ctime").optional().min(0.0),
    Field::string("encrypted").optional(),
    Field::string("format"),
    Field::string("notes").optional(),
    // Null if there is none.
    Field::any("parent").optional(),
    Field::boolean("protected").optional(),
    Field::integer("size").optional(),
    Field::integer("used").optional(),
    Field::object(
        "verification",
        &[&[Field::string("state"), Field::string("upid")]],
    )
    .optional(),
    Field::integer("vmid").optional(),
    Field::string("volid"),
];

/// A registry, unless it is Docker's, a name in it and a tag.
const IMAGE: &str = r"^(?:(?:[a-zA-Z\d]|[a-zA-Z\d][a-zA-Z\d-]*[a-zA-Z\d])(?:\.(?:[a-zA-Z\d]|[a-zA-Z\d][a-zA-Z\d-]*[a-zA-Z\d]))*(?::\d+)?/)?[a-z\d]+(?:(?:[._]|__|[-]*)[a-z\d]+)*(?:/[a-z\d]+(?:(?:[._]|__|[-]*)[a-z\d]+)*)*:\w[\w.-]{0,127}$";

/// The content types that users upload or download, and the parameters of the checksum.
const ARRIVING: &[Field] = &[
    NODE,
    STORAGE,
    Field::string("content")
        .one_of(&["iso", "vztmpl", "import"])
        .format(format::STORAGE_CONTENT),
    Field::string("filename").max_length(255),
    Field::string("checksum")
        .optional()
        .requires("checksum-algorithm"),
    Field::string("checksum-algorithm")
        .optional()
        .one_of(&["md5", "sha1", "sha224", "sha256", "sha384", "sha512"])
        .requires("checksum"),
];

/// Which backups are looked at, and by which rule.
const PRUNED: &[Field] = &[
    NODE,
    STORAGE,
    Field::string("prune-backups")
        .optional()
        .format(PRUNE_BACKUPS),
    Field::string("type").optional().one_of(&["qemu", "lxc"]),
    VMID.optional(),
];

const SEES: Check = Check::AnyOn(
    "/storage/{storage}",
    &[Privilege::DatastoreAudit, Privilege::DatastoreAllocateSpace],
);

// The rights on a single volume depend on the guest that owns it, so those operations check them
// themselves.
pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/storage",
        "node_storage_list",
        "The storages of a node, with their usage.",
    )
    .params(&[&[
        NODE,
        CONTENT.optional(),
        Field::boolean("enabled").optional().default("0"),
        Field::boolean("format").optional().default("0"),
        STORAGE.optional(),
        Field::string("target").optional().format(format::NODE),
    ]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[STATUS, LISTED],
        open: true,
    }))
    .permission(Permission::User)
    .on_node(),
    Row::get(
        "/nodes/{node}/storage/{storage}",
        "node_storage_index",
        "Index of a storage.",
    )
    .params(&[&[NODE, STORAGE]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::string("subdir")]],
        open: true,
    }))
    .check(SEES)
    .index(),
    Row::get(
        "/nodes/{node}/storage/{storage}/status",
        "node_storage_status",
        "The status and usage of a storage.",
    )
    .params(&[&[NODE, STORAGE]])
    .returns(Shape::Object {
        fields: &[STATUS],
        open: true,
    })
    .check(SEES)
    .on_node(),
    Row::get(
        "/nodes/{node}/storage/{storage}/content",
        "volume_list",
        "The volumes of a storage that the caller may see.",
    )
    .params(&[&[
        NODE,
        STORAGE,
        Field::string("content")
            .optional()
            .format(format::STORAGE_CONTENT),
        VMID.optional(),
    ]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[VOLUME_ROW],
        open: true,
    }))
    .check(SEES)
    .on_node(),
    Row::post(
        "/nodes/{node}/storage/{storage}/content",
        "volume_create",
        "Create an empty disk image.",
    )
    .params(&[&[
        NODE,
        STORAGE,
        VMID,
        Field::string("filename"),
        Field::string("size").pattern(r"\d+[MG]?"),
        Field::string("format")
            .optional()
            .one_of(FORMATS)
            .requires("size")
            .unbuilt_values(&["subvol"]),
    ]])
    .returns(Shape::String)
    .check(Check::On(
        "/storage/{storage}",
        &[Privilege::DatastoreAllocateSpace],
    ))
    .on_node(),
    Row::get(
        "/nodes/{node}/storage/{storage}/content/{volume}",
        "volume_get",
        "Size, format and path of a volume.",
    )
    .params(&[VOLUME])
    .returns(Shape::Object {
        fields: &[&[
            Field::string("format"),
            Field::string("notes").optional(),
            Field::string("path"),
            Field::boolean("protected").optional(),
            Field::integer("size"),
            Field::integer("used"),
        ]],
        open: true,
    })
    .permission(Permission::User)
    .on_node(),
    Row::post(
        "/nodes/{node}/storage/{storage}/content/{volume}",
        "volume_copy",
        "Copy a volume under another name, here or to another storage.",
    )
    .params(&[
        VOLUME,
        &[
            Field::string("target"),
            Field::string("target_node").optional().format(format::NODE),
        ],
    ])
    .permission(Permission::Root)
    .submit()
    .on_node(),
    Row::put(
        "/nodes/{node}/storage/{storage}/content/{volume}",
        "volume_update",
        "Change the notes or the protection of a backup.",
    )
    .params(&[
        VOLUME,
        &[
            Field::string("notes").optional(),
            Field::boolean("protected").optional(),
        ],
    ])
    .permission(Permission::User)
    .on_node(),
    Row::delete(
        "/nodes/{node}/storage/{storage}/content/{volume}",
        "volume_delete",
        "Delete a volume.",
    )
    .params(&[
        VOLUME,
        &[Field::integer("delay").optional().range(1.0, 30.0)],
    ])
    .permission(Permission::User)
    .submit()
    .on_node(),
    Row::get(
        "/nodes/{node}/storage/{storage}/identity",
        "storage_identity",
        "What a storage says that it is; none of the types of this version says so.",
    )
    .params(&[&[NODE, STORAGE]])
    .returns(Shape::Object {
        fields: &[&[Field::string("id"), Field::string("type")]],
        open: true,
    })
    .check(SEES)
    .on_node(),
    Row::get(
        "/nodes/{node}/storage/{storage}/import-metadata",
        "import_metadata",
        "What a machine in an OVF or OVA is made of, as parameters of the creation of a VM.",
    )
    .params(&[&[NODE, STORAGE, Field::string("volume")]])
    .returns(Shape::Object {
        fields: &[&[
            Field::any("create-args"),
            Field::any("disks").optional(),
            Field::any("net").optional(),
            Field::string("source"),
            Field::string("type").one_of(&["vm"]),
            Field::any("warnings").optional(),
        ]],
        open: false,
    })
    .permission(Permission::User)
    .on_node(),
    Row::get(
        "/nodes/{node}/storage/{storage}/prunebackups",
        "backup_prunable",
        "What a rule says about the backups of a storage: which stay and which go.",
    )
    .params(&[PRUNED])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::integer("ctime"),
            Field::string("mark").one_of(&["keep", "remove", "protected", "renamed"]),
            Field::string("type"),
            Field::integer("vmid").optional(),
            Field::string("volid"),
        ]],
        open: true,
    }))
    .check(SEES)
    .on_node(),
    Row::delete(
        "/nodes/{node}/storage/{storage}/prunebackups",
        "backup_prune",
        "Remove the backups of a storage that a rule does not keep.",
    )
    .params(&[PRUNED])
    .permission(Permission::User)
    .submit()
    .on_node(),
    // The api writes the content itself; see `control/src/ops/node/storage_upload.rs`.
    Row::post(
        "/nodes/{node}/storage/{storage}/upload",
        "volume_upload",
        "Upload an ISO image, a container template or a disk image for import.",
    )
    .params(&[
        ARRIVING,
        &[Field::string("tmpfilename")
            .optional()
            .pattern("/var/tmp/pveupload-[0-9a-f]+")],
    ])
    .returns(Shape::String)
    .check(Check::On(
        "/storage/{storage}",
        &[Privilege::DatastoreAllocateTemplate],
    ))
    .stream()
    .on_node(),
    Row::post(
        "/nodes/{node}/storage/{storage}/download-url",
        "volume_download",
        "Download an ISO image, a container template or a disk image from a URL.",
    )
    .params(&[
        ARRIVING,
        &[
            Field::string("url").pattern("https?://.*"),
            Field::string("compression").optional().unbuilt(),
            Field::boolean("verify-certificates")
                .optional()
                .default("1"),
        ],
    ])
    .check(Check::All(&[
        Check::On(
            "/storage/{storage}",
            &[Privilege::DatastoreAllocateTemplate],
        ),
        Check::Any(&[
            Check::On("/", &[Privilege::SysAudit, Privilege::SysModify]),
            Check::On("/nodes/{node}", &[Privilege::SysAccessNetwork]),
        ]),
    ]))
    .submit()
    .on_node(),
    Row::post(
        "/nodes/{node}/storage/{storage}/oci-registry-pull",
        "volume_pull",
        "Make a container template of an image in an OCI registry.",
    )
    .params(&[&[
        NODE,
        STORAGE,
        Field::string("reference").pattern(IMAGE),
        Field::string("filename")
            .optional()
            .min_length(1)
            .max_length(255),
    ]])
    .check(Check::All(&[
        Check::On(
            "/storage/{storage}",
            &[Privilege::DatastoreAllocateTemplate],
        ),
        Check::On("/nodes/{node}", &[Privilege::SysAccessNetwork]),
    ]))
    .submit()
    .on_node(),
];
