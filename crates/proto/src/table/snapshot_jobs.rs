//! `/ostler/cluster/snapshot-jobs`: snapshots by a schedule and before changes.

use model::Privilege;
use model::schema::{Field, Shape, format};

use crate::{Check, Row};

const ID: Field = Field::string("id").format(format::CONFIG_ID);

const DIGEST: Field = Field::string("digest").optional().max_length(40);

const SCHEDULE: Field = Field::string("schedule")
    .optional()
    .max_length(128)
    .format(format::CALENDAR_EVENT);

const fn keep(name: &'static str) -> Field {
    Field::integer(name).optional().range(0.0, 10_000.0)
}

/// What a job can be given besides its schedule.
pub const SNAPSHOT_JOB: &[Field] = &[
    Field::boolean("all").optional().default("0"),
    // Words of `config`, `resize`, `exec`.
    Field::string("before").optional().max_length(64),
    Field::string("comment").optional().max_length(512),
    Field::boolean("enabled").optional().default("1"),
    Field::string("exclude")
        .optional()
        .format(format::VMID_LIST)
        .max_length(8192),
    keep("keep-daily"),
    keep("keep-hourly"),
    keep("keep-last"),
    keep("keep-monthly"),
    keep("keep-weekly"),
    keep("keep-yearly"),
    Field::string("node").optional().format(format::NODE),
    Field::string("pool").optional().format(format::POOL_ID),
    // The name gets the time of the run, of 16 letters.
    Field::string("prefix")
        .optional()
        .format(format::CONFIG_ID)
        .max_length(24),
    Field::boolean("repeat-missed").optional().default("0"),
    Field::string("tag").optional().max_length(128),
    Field::string("vmid")
        .optional()
        .format(format::VMID_LIST)
        .max_length(8192),
    Field::boolean("vmstate").optional().default("0"),
];

const RUN: &[Field] = &[
    Field::string("node"),
    Field::string("upid").optional(),
    // When the run began; when it was due, if no caller asked for it.
    Field::integer("starttime").optional(),
    Field::integer("due").optional(),
    Field::integer("endtime").optional(),
    Field::string("status").optional(),
    Field::integer("missed"),
    Field::array(
        "missed-runs",
        &Shape::Object {
            fields: &[&[
                Field::integer("due"),
                Field::string("reason").one_of(&["late", "still-running"]),
            ]],
            open: false,
        },
    ),
];

const JOB: Shape = Shape::Object {
    fields: &[
        &[ID, SCHEDULE],
        SNAPSHOT_JOB,
        &[
            DIGEST,
            Field::integer("updated"),
            Field::integer("next-run").optional(),
            Field::integer("last-run").optional(),
            Field::string("state").optional(),
            Field::integer("missed"),
            Field::array(
                "nodes",
                &Shape::Object {
                    fields: &[RUN],
                    open: false,
                },
            ),
        ],
    ],
    open: false,
};

const BEGUN: Shape = Shape::Array(&Shape::Object {
    fields: &[&[
        Field::string("node"),
        Field::string("upid").optional(),
        Field::string("error").optional(),
    ]],
    open: false,
});

pub(super) const ROWS: &[Row] = &[
    Row::get(
        "/ostler/cluster/snapshot-jobs",
        "snapshot_job_list",
        "The jobs that make snapshots, with their last, next and missed runs.",
    )
    .returns(Shape::Array(&JOB))
    .check(Check::On("/", &[Privilege::SysAudit])),
    Row::post(
        "/ostler/cluster/snapshot-jobs",
        "snapshot_job_create",
        "Add a job that makes snapshots.",
    )
    .params(&[&[ID, SCHEDULE], SNAPSHOT_JOB])
    .check(Check::On("/", &[Privilege::SysModify])),
    Row::get(
        "/ostler/cluster/snapshot-jobs/{id}",
        "snapshot_job_get",
        "A job that makes snapshots, with its last, next and missed runs.",
    )
    .params(&[&[ID]])
    .returns(JOB)
    .check(Check::On("/", &[Privilege::SysAudit])),
    Row::put(
        "/ostler/cluster/snapshot-jobs/{id}",
        "snapshot_job_update",
        "Change a job that makes snapshots.",
    )
    .params(&[
        &[
            ID,
            SCHEDULE,
            DIGEST,
            Field::string("delete").optional().max_length(512),
        ],
        SNAPSHOT_JOB,
    ])
    .check(Check::On("/", &[Privilege::SysModify])),
    Row::delete(
        "/ostler/cluster/snapshot-jobs/{id}",
        "snapshot_job_delete",
        "Remove a job that makes snapshots. Its snapshots stay.",
    )
    .params(&[&[ID]])
    .check(Check::On("/", &[Privilege::SysModify])),
    Row::post(
        "/ostler/cluster/snapshot-jobs/{id}/run",
        "snapshot_job_run",
        "Run a job now, on each node that has guests of it.",
    )
    .params(&[&[ID]])
    .returns(BEGUN)
    .check(Check::On("/", &[Privilege::SysModify]))
    .on_all_nodes(),
];
