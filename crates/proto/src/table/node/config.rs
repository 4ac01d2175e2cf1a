//! `/nodes/{node}/config`

use model::Privilege;
use model::schema::{Field, Format, Shape, format};

use crate::table::cluster_options::LOCATION;
use crate::table::params::NODE;
use crate::{Check, Row};

/// The options that this version stores.
const KEPT: &[Field] = &[
    Field::integer("ballooning-target")
        .optional()
        .range(0.0, 100.0)
        .default("80"),
    Field::string("description").optional().max_length(65536),
    Field::string("digest").optional().max_length(40),
    Field::string("location")
        .optional()
        .format(Format::Properties {
            name: "location",
            fields: LOCATION,
        }),
    Field::integer("startall-onboot-delay")
        .optional()
        .range(0.0, 300.0)
        .default("0"),
    // For other nodes, which wake this one up.
    Field::string("wakeonlan")
        .optional()
        .format(Format::Properties {
            name: "wakeonlan",
            fields: WAKE_ON_LAN,
        }),
];

const WAKE_ON_LAN: &[Field] = &[
    Field::string("bind-interface")
        .optional()
        .format(format::unchecked("pve-iface"))
        .default("The interface carrying the default route"),
    Field::string("broadcast-address")
        .optional()
        .format(format::IPV4)
        .default("255.255.255.255"),
    Field::string("mac")
        .format(format::MAC_ADDRESS)
        .default_key(),
];

const UNBUILT: &[Field] = &[
    Field::string("acme").optional().unbuilt(),
    Field::string("acmedomain[n]")
        .optional()
        .indexed(6)
        .unbuilt(),
];

const PROPERTIES: &[&str] = &[
    "acme",
    "acmedomain0",
    "acmedomain1",
    "acmedomain2",
    "acmedomain3",
    "acmedomain4",
    "acmedomain5",
    "ballooning-target",
    "description",
    "location",
    "startall-onboot-delay",
    "wakeonlan",
];

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/config",
        "node_config",
        "The settings of a node.",
    )
    .params(&[&[
        NODE,
        Field::string("property")
            .optional()
            .one_of(PROPERTIES)
            .default("all"),
    ]])
    .returns(Shape::Object {
        fields: &[KEPT, UNBUILT],
        open: true,
    })
    .check(Check::On("/", &[Privilege::SysAudit]))
    .on_node(),
    Row::put(
        "/nodes/{node}/config",
        "node_config_update",
        "Change the settings of a node.",
    )
    .params(&[
        &[
            NODE,
            Field::string("delete")
                .optional()
                .format(format::CONFIG_ID_LIST),
        ],
        KEPT,
        UNBUILT,
    ])
    .check(Check::On("/", &[Privilege::SysModify]))
    .on_node(),
];
