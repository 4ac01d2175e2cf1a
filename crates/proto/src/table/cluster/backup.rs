//! `/cluster/{backup,backup-info}`

use crate::{Check, Permission, Row};
use model::Privilege;
use model::schema::{Field, Shape, format};

/// A backup job.
const JOB: &[Field] = &[
    Field::boolean("all").optional().default("0"),
    Field::integer("bwlimit").optional().min(0.0).default("0"),
    Field::string("comment").optional().max_length(512),
    Field::string("compress")
        .optional()
        .one_of(&["0", "1", "gzip", "lzo", "zstd"])
        .default("0"),
    Field::string("dumpdir").optional(),
    Field::boolean("enabled").optional().default("1"),
    Field::string("exclude")
        .optional()
        .format(format::VMID_LIST),
    Field::array("exclude-path", &Shape::String).optional(),
    Field::object(
        "fleecing",
        &[&[
            Field::boolean("enabled")
                .optional()
                .default("0")
                .default_key(),
            Field::string("storage")
                .optional()
                .format(format::STORAGE_ID),
        ]],
    )
    .optional(),
    Field::string("id").max_length(50).pattern(r#"\S+"#),
    Field::integer("ionice")
        .optional()
        .range(0.0, 8.0)
        .default("7"),
    Field::integer("lockwait")
        .optional()
        .min(0.0)
        .default("180"),
    Field::string("mailnotification")
        .optional()
        .one_of(&["always", "failure"])
        .default("always"),
    Field::string("mailto")
        .optional()
        .format(format::unchecked("email-or-username-list")),
    Field::string("mode")
        .optional()
        .one_of(&["snapshot", "suspend", "stop"])
        .default("snapshot"),
    Field::integer("next-run").optional(),
    Field::string("node").optional().format(format::NODE),
    Field::string("notes-template")
        .optional()
        .max_length(1024)
        .requires("storage"),
    Field::string("notification-mode")
        .optional()
        .one_of(&["auto", "legacy-sendmail", "notification-system"])
        .default("auto"),
    Field::string("pbs-change-detection-mode")
        .optional()
        .one_of(&["legacy", "data", "metadata"]),
    Field::object(
        "performance",
        &[&[
            Field::integer("max-workers")
                .optional()
                .range(1.0, 256.0)
                .default("16"),
            Field::integer("pbs-entries-max")
                .optional()
                .min(1.0)
                .default("1048576"),
        ]],
    )
    .optional(),
    Field::integer("pigz").optional().default("0"),
    Field::string("pool").optional(),
    Field::boolean("protected").optional().requires("storage"),
    Field::object(
        "prune-backups",
        &[&[
            Field::boolean("keep-all").optional(),
            Field::integer("keep-daily").optional().min(0.0),
            Field::integer("keep-hourly").optional().min(0.0),
            Field::integer("keep-last").optional().min(0.0),
            Field::integer("keep-monthly").optional().min(0.0),
            Field::integer("keep-weekly").optional().min(0.0),
            Field::integer("keep-yearly").optional().min(0.0),
        ]],
    )
    .optional(),
    Field::boolean("quiet").optional().default("0"),
    Field::boolean("remove").optional().default("1"),
    Field::boolean("repeat-missed").optional().default("0"),
    Field::string("schedule")
        .optional()
        .max_length(128)
        .format(format::CALENDAR_EVENT),
    Field::string("script").optional(),
    Field::boolean("stdexcludes").optional().default("1"),
    Field::boolean("stop").optional().default("0"),
    Field::integer("stopwait").optional().min(0.0).default("10"),
    Field::string("storage")
        .optional()
        .format(format::STORAGE_ID),
    Field::string("tmpdir").optional(),
    Field::string("vmid").optional().format(format::VMID_LIST),
    Field::integer("zstd").optional().default("1"),
];

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get("/cluster/backup", "backup_list", "The backup jobs.")
        .returns(Shape::Array(&Shape::Object {
            fields: &[JOB],
            open: true,
        }))
        .check(Check::On("/", &[Privilege::SysAudit]))
        .unconfigured(),
    Row::get("/cluster/backup/{id}", "backup_get", "A backup job.")
        .params(&[&[Field::string("id").max_length(50).pattern(r#"\S+"#)]])
        .returns(Shape::Object {
            fields: &[JOB],
            open: true,
        })
        .check(Check::On("/", &[Privilege::SysAudit]))
        .unconfigured(),
    Row::get(
        "/cluster/backup/{id}/included_volumes",
        "backup_included_volumes",
        "The volumes that a backup job includes and excludes.",
    )
    .params(&[&[Field::string("id").max_length(50).pattern(r#"\S+"#)]])
    .returns(Shape::Object {
        fields: &[&[Field::array(
            "children",
            &Shape::Object {
                fields: &[&[
                    Field::array(
                        "children",
                        &Shape::Object {
                            fields: &[&[
                                Field::string("id"),
                                Field::boolean("included"),
                                Field::string("name"),
                                Field::string("reason"),
                            ]],
                            open: true,
                        },
                    )
                    .optional(),
                    Field::integer("id"),
                    Field::string("name").optional(),
                    Field::string("type").one_of(&["qemu", "lxc", "unknown"]),
                ]],
                open: true,
            },
        )]],
        open: true,
    })
    .check(Check::On("/", &[Privilege::SysAudit]))
    .unconfigured(),
    Row::get(
        "/cluster/backup-info",
        "backup_info_directory",
        "Index of the backup information.",
    )
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::string("subdir")]],
        open: true,
    }))
    .permission(Permission::Root)
    .index(),
    Row::get(
        "/cluster/backup-info/not-backed-up",
        "not_backed_up",
        "The guests without a backup job.",
    )
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::string("name").optional(),
            Field::string("type").one_of(&["qemu", "lxc"]),
            Field::integer("vmid"),
        ]],
        open: true,
    }))
    .check(Check::On("/", &[Privilege::SysAudit]))
    .unconfigured(),
];
