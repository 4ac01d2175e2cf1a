//! `/cluster/qemu`

use model::Privilege;
use model::qemu::{CUSTOM_CPU, REPORTED_MODEL};
use model::schema::{Field, Shape, format};

use super::NAMES;
use crate::{Check, Permission, Row};

const PATH: &str = "/cluster/qemu/custom-cpu-models/{cputype}";

const CPUTYPE: Field = Field::string("cputype")
    .format(format::CONFIG_ID)
    .max_length(40);

/// Also of one whose name is not valid any more.
const NAMED: Field = Field::string("cputype").max_length(128);

const DIGEST: Field = Field::string("digest").optional().max_length(64);

const MODEL: &[&[Field]] = &[
    &[NAMED.optional(), DIGEST, REPORTED_MODEL.optional()],
    CUSTOM_CPU,
];

const ANY: &[Privilege] = &[
    Privilege::MappingAudit,
    Privilege::MappingUse,
    Privilege::MappingModify,
];

const MODEL_PATH: &str = "/mapping/cpu/{cputype}";

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/cluster/qemu",
        "cluster_qemu_directory",
        "Index of what all virtual machines share.",
    )
    .returns(NAMES)
    .permission(Permission::User)
    .index(),
    Row::get(
        "/cluster/qemu/cpu-flags",
        "cluster_cpu_flags",
        "The processor flags that QEMU knows, and the nodes that can give them.",
    )
    .params(&[&[
        Field::string("accel")
            .optional()
            .one_of(&["kvm", "tcg"])
            .default("kvm"),
        Field::string("arch")
            .optional()
            .one_of(&["x86_64", "aarch64"])
            .unbuilt_values(&["aarch64"]),
    ]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::string("description").optional(),
            Field::string("name"),
            Field::array("supported-on", &Shape::String).optional(),
        ]],
        open: true,
    }))
    .check(Check::Any(&[
        Check::On("/nodes", &[Privilege::SysAudit]),
        Check::AnyOn("/mapping/cpu", ANY),
    ])),
    Row::get(
        "/cluster/qemu/custom-cpu-models",
        "custom_cpu_model_list",
        "The processor models of the cluster's own that the caller may see.",
    )
    .returns(Shape::Array(&Shape::Object {
        fields: MODEL,
        open: true,
    }))
    .permission(Permission::User),
    Row::post(
        "/cluster/qemu/custom-cpu-models",
        "custom_cpu_model_create",
        "Add a processor model.",
    )
    .params(&[&[CPUTYPE, REPORTED_MODEL], CUSTOM_CPU])
    .check(Check::On("/mapping/cpu", &[Privilege::MappingModify])),
    Row::get(PATH, "custom_cpu_model_get", "A processor model.")
        .params(&[&[NAMED]])
        .returns(Shape::Object {
            fields: MODEL,
            open: true,
        })
        .check(Check::Any(&[
            Check::On(MODEL_PATH, &[Privilege::MappingAudit]),
            Check::On(MODEL_PATH, &[Privilege::MappingUse]),
            Check::On(MODEL_PATH, &[Privilege::MappingModify]),
        ])),
    Row::put(PATH, "custom_cpu_model_update", "Change a processor model.")
        .params(&[
            &[
                CPUTYPE,
                Field::string("delete")
                    .optional()
                    .format(format::CONFIG_ID_LIST),
                DIGEST,
                REPORTED_MODEL.optional(),
            ],
            CUSTOM_CPU,
        ])
        .check(Check::On(MODEL_PATH, &[Privilege::MappingModify])),
    Row::delete(PATH, "custom_cpu_model_delete", "Remove a processor model.")
        .params(&[&[NAMED]])
        .check(Check::On(MODEL_PATH, &[Privilege::MappingModify])),
];
