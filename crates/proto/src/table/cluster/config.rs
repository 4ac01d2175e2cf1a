//! `/cluster/config`

use model::Privilege;
use model::schema::{Field, Format, Shape, format};

use crate::{Check, Permission, Row};

const OPEN: Shape = Shape::Object {
    fields: &[],
    open: true,
};

/// An address of a member, and how much it is preferred.
const ADDRESS: &[Field] = &[
    Field::string("address")
        .format(format::unchecked("address"))
        .default_key(),
    Field::integer("priority")
        .optional()
        .range(0.0, 255.0)
        .default("0"),
];

const LINK: Field = Field::string("link[n]")
    .optional()
    .format(Format::Properties {
        name: "link[n]",
        fields: ADDRESS,
    });

/// The name of a saved state.
const fn saved(name: &'static str) -> Field {
    Field::string(name)
        .optional()
        .pattern("[A-Za-z0-9][A-Za-z0-9_.-]*")
        .max_length(64)
}

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/cluster/config",
        "cluster_config_directory",
        "Index of the cluster's configuration.",
    )
    .returns(Shape::Array(&OPEN))
    .check(Check::On("/", &[Privilege::SysAudit]))
    .index(),
    Row::post(
        "/cluster/config",
        "cluster_create",
        "Make this node a cluster, which others can join.",
    )
    .params(&[&[
        Field::string("clustername")
            .max_length(15)
            .format(format::NODE),
        LINK.indexed(8),
        Field::integer("nodeid").optional().min(1.0).unbuilt(),
        Field::integer("token-coefficient")
            .optional()
            .min(0.0)
            .default("125"),
        Field::integer("votes").optional().min(1.0).unbuilt(),
    ]])
    .permission(Permission::Root)
    .submit(),
    Row::get(
        "/cluster/config/apiversion",
        "cluster_config_apiversion",
        "The version of the operations for joining a cluster.",
    )
    .returns(Shape::Integer)
    .check(Check::On("/", &[Privilege::SysAudit])),
    Row::post(
        "/ostler/cluster/certificates",
        "cluster_certificates_renew",
        "Renew the certificates of this node that end soon. They are in use at once.",
    )
    .params(&[&[Field::boolean("force").optional().default("0")]])
    .returns(Shape::Array(&Shape::String))
    .permission(Permission::Root),
    Row::post(
        "/ostler/cluster/dissolve",
        "cluster_dissolve",
        "Make a single node of the only member of a cluster. Its guests run on.",
    )
    .permission(Permission::Root)
    .submit(),
    Row::post(
        "/ostler/cluster/invitations",
        "cluster_invite",
        "Invite one node to join the cluster. Its token is shown once.",
    )
    .params(&[&[Field::integer("lifetime")
        .optional()
        .range(60.0, 86400.0)
        .default("3600")]])
    .returns(Shape::Object {
        fields: &[&[
            Field::integer("expires"),
            Field::string("fingerprint"),
            Field::string("hostname"),
            Field::string("information"),
            Field::string("token"),
        ]],
        open: false,
    })
    .permission(Permission::Root),
    Row::get(
        "/cluster/config/join",
        "cluster_config_join",
        "The information for joining the cluster.",
    )
    .params(&[&[Field::string("node")
        .optional()
        .format(format::NODE)
        .default("current connected node")]])
    .returns(Shape::Object {
        fields: &[&[
            Field::string("config_digest"),
            Field::array(
                "nodelist",
                &Shape::Object {
                    fields: &[&[
                        Field::string("name").format(format::NODE),
                        Field::integer("nodeid").optional().min(1.0),
                        Field::string("pve_addr").format(format::unchecked("ip")),
                        Field::string("pve_fp").pattern(r#"([A-Fa-f0-9]{2}:){31}[A-Fa-f0-9]{2}"#),
                        Field::integer("quorum_votes").min(0.0),
                        Field::string("ring0_addr")
                            .optional()
                            .format(Format::Properties {
                                name: "ring0_addr",
                                fields: ADDRESS,
                            }),
                    ]],
                    open: true,
                },
            ),
            Field::string("preferred_node").format(format::NODE),
            Field::open_object("totem"),
        ]],
        open: false,
    })
    .check(Check::On("/", &[Privilege::SysAudit])),
    Row::post(
        "/cluster/config/join",
        "cluster_join",
        "Join the cluster of another node. What this node has of its own state stays behind.",
    )
    .params(&[&[
        Field::string("fingerprint").pattern(r#"([A-Fa-f0-9]{2}:){31}[A-Fa-f0-9]{2}"#),
        Field::boolean("force").optional(),
        Field::string("hostname"),
        LINK.indexed(8),
        Field::integer("nodeid").optional().min(1.0),
        Field::string("password").max_length(128),
        Field::integer("votes").optional().min(0.0).unbuilt(),
    ]])
    .permission(Permission::Root)
    .submit(),
    Row::post(
        "/ostler/cluster/leave",
        "cluster_leave",
        "Leave the cluster. This node becomes a new node on its own.",
    )
    .params(&[&[Field::boolean("force").optional().default("0")]])
    .permission(Permission::Root)
    .local()
    .submit(),
    Row::post(
        "/ostler/cluster/members/{member}",
        "cluster_member_admit",
        "Admit a node to the cluster. Called by the agent of a node that joins.",
    )
    .params(&[&[
        Field::string("application").max_length(65536),
        Field::string("member").format(format::NODE),
    ]])
    .returns(OPEN)
    // The application has the token of an invitation.
    .permission(Permission::World),
    Row::get(
        "/cluster/config/nodes",
        "cluster_config_nodes",
        "The configured members of the cluster.",
    )
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::string("node")]],
        open: true,
    }))
    .check(Check::On("/", &[Privilege::SysAudit])),
    Row::delete(
        "/cluster/config/nodes/{node}",
        "cluster_node_remove",
        "Remove a node from the cluster.",
    )
    .params(&[&[Field::string("node").format(format::NODE)]])
    .permission(Permission::Root),
    Row::get(
        "/cluster/config/qdevice",
        "cluster_config_qdevice",
        "The state of the quorum device.",
    )
    .returns(OPEN)
    .check(Check::On("/", &[Privilege::SysAudit])),
    Row::post(
        "/ostler/cluster/quorum",
        "cluster_force",
        "Force quorum: go on without the other voters, which must be powered off.",
    )
    .params(&[&[Field::string("powered-off")
        .optional()
        .format(format::NODE_LIST)]])
    .permission(Permission::Root)
    .local()
    .submit(),
    Row::post(
        "/ostler/cluster/restore",
        "cluster_restore",
        "Restore the state from this node's copy or a saved one, after all voters have lost it.",
    )
    .params(&[&[
        Field::string("link0").optional().max_length(256),
        Field::string("powered-off")
            .optional()
            .format(format::NODE_LIST),
        saved("saved"),
    ]])
    .permission(Permission::Root)
    .local()
    .submit(),
    Row::get(
        "/ostler/cluster/saved",
        "cluster_saved",
        "The states that were saved on this node.",
    )
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::integer("ctime"),
            Field::string("name"),
            Field::string("path"),
            Field::integer("size"),
        ]],
        open: false,
    }))
    .permission(Permission::Root)
    .local(),
    Row::post(
        "/ostler/cluster/saved",
        "cluster_save",
        "Save the state in a file of this node. It has all secrets of the cluster.",
    )
    .params(&[&[saved("name")]])
    .returns(Shape::Object {
        fields: &[&[
            Field::string("name"),
            Field::string("path"),
            Field::integer("records"),
        ]],
        open: false,
    })
    .permission(Permission::Root)
    .local(),
    Row::get(
        "/cluster/config/totem",
        "cluster_config_totem",
        "The settings of the cluster's communication.",
    )
    .returns(OPEN)
    .check(Check::On("/", &[Privilege::SysAudit])),
    Row::get(
        "/ostler/cluster/witness",
        "cluster_witness",
        "The witness of the cluster: a machine that votes and is no node.",
    )
    .returns(Shape::Object {
        fields: &[&[
            Field::string("address").optional(),
            Field::string("name").optional(),
            Field::boolean("online").optional(),
            Field::integer("votes").optional(),
        ]],
        open: false,
    })
    .check(Check::On("/", &[Privilege::SysAudit])),
    Row::post(
        "/ostler/cluster/witness",
        "cluster_witness_admit",
        "Admit a witness to the cluster. Called by the machine itself.",
    )
    .params(&[&[Field::string("application").max_length(65536)]])
    .returns(OPEN)
    // The application has the token of an invitation.
    .permission(Permission::World),
    Row::delete(
        "/ostler/cluster/witness",
        "cluster_witness_remove",
        "Remove the witness from the cluster.",
    )
    .permission(Permission::Root),
];
