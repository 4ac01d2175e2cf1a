//! `/nodes/{node}/network`

use model::Privilege;
use model::schema::{Field, Shape, format};

use crate::table::params::NODE;
use crate::{Check, Permission, Row};

/// The types that a caller can filter by.
const TYPES: &[&str] = &[
    "bridge",
    "bond",
    "eth",
    "alias",
    "vlan",
    "fabric",
    "OVSBridge",
    "OVSBond",
    "OVSPort",
    "OVSIntPort",
    "vnet",
    "any_bridge",
    "any_local_bridge",
    "include_sdn",
];

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/network",
        "network_list",
        "The network interfaces of a node.",
    )
    .params(&[&[NODE, Field::string("type").optional().one_of(TYPES)]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::boolean("active").optional(),
            Field::string("address")
                .optional()
                .format(format::unchecked("ipv4"))
                .requires("netmask"),
            Field::string("address6")
                .optional()
                .format(format::unchecked("ipv6"))
                .requires("netmask6"),
            Field::boolean("autostart").optional(),
            Field::string("bond-primary")
                .optional()
                .format(format::unchecked("pve-iface")),
            Field::string("bond_mode").optional().one_of(&[
                "balance-rr",
                "active-backup",
                "balance-xor",
                "broadcast",
                "802.3ad",
                "balance-tlb",
                "balance-alb",
                "balance-slb",
                "lacp-balance-slb",
                "lacp-balance-tcp",
            ]),
            Field::string("bond_xmit_hash_policy")
                .optional()
                .one_of(&["layer2", "layer2+3", "layer3+4"]),
            Field::integer("bridge-access").optional(),
            Field::boolean("bridge-arp-nd-suppress").optional(),
            Field::boolean("bridge-learning").optional(),
            Field::boolean("bridge-multicast-flood").optional(),
            Field::boolean("bridge-unicast-flood").optional(),
            Field::string("bridge_ports")
                .optional()
                .format(format::unchecked("pve-iface-list")),
            Field::string("bridge_vids")
                .optional()
                .format(format::unchecked("pve-vlan-id-or-range-list")),
            Field::boolean("bridge_vlan_aware").optional(),
            Field::string("cidr")
                .optional()
                .format(format::unchecked("CIDRv4")),
            Field::string("cidr6")
                .optional()
                .format(format::unchecked("CIDRv6")),
            Field::string("comments").optional(),
            Field::string("comments6").optional(),
            Field::boolean("exists").optional(),
            Field::array("families", &Shape::String).optional(),
            Field::string("gateway")
                .optional()
                .format(format::unchecked("ipv4")),
            Field::string("gateway6")
                .optional()
                .format(format::unchecked("ipv6")),
            Field::string("iface")
                .min_length(2)
                .max_length(20)
                .format(format::unchecked("pve-iface")),
            Field::string("link-type").optional(),
            Field::string("method")
                .optional()
                .one_of(&["loopback", "dhcp", "manual", "static", "auto"]),
            Field::string("method6")
                .optional()
                .one_of(&["loopback", "dhcp", "manual", "static", "auto"]),
            Field::integer("mtu").optional().range(1280.0, 65520.0),
            Field::string("netmask")
                .optional()
                .format(format::unchecked("ipv4mask"))
                .requires("address"),
            Field::integer("netmask6")
                .optional()
                .range(0.0, 128.0)
                .requires("address6"),
            Field::array("options", &Shape::String).optional(),
            Field::array("options6", &Shape::String).optional(),
            Field::string("ovs_bonds")
                .optional()
                .format(format::unchecked("pve-iface-list")),
            Field::string("ovs_bridge")
                .optional()
                .format(format::unchecked("pve-iface")),
            Field::string("ovs_options").optional().max_length(1024),
            Field::string("ovs_ports")
                .optional()
                .format(format::unchecked("pve-iface-list")),
            Field::integer("ovs_tag").optional().range(1.0, 4094.0),
            Field::integer("priority").optional(),
            Field::string("slaves")
                .optional()
                .format(format::unchecked("pve-iface-list")),
            Field::string("type").one_of(&[
                "bridge",
                "bond",
                "eth",
                "alias",
                "vlan",
                "fabric",
                "OVSBridge",
                "OVSBond",
                "OVSPort",
                "OVSIntPort",
                "vnet",
                "unknown",
            ]),
            Field::string("uplink-id").optional(),
            Field::integer("vlan-id").optional().range(1.0, 4094.0),
            Field::string("vlan-protocol")
                .optional()
                .one_of(&["802.1ad", "802.1q"]),
            Field::string("vlan-raw-device")
                .optional()
                .format(format::unchecked("pve-iface")),
            Field::integer("vxlan-id").optional(),
            Field::string("vxlan-local-tunnelip").optional(),
            Field::string("vxlan-physdev").optional(),
            Field::string("vxlan-svcnodeip").optional(),
        ]],
        open: true,
    }))
    .permission(Permission::User)
    .on_node(),
    Row::get(
        "/nodes/{node}/network/{iface}",
        "network_get",
        "A network interface of a node.",
    )
    .params(&[&[
        Field::string("iface")
            .min_length(2)
            .max_length(20)
            .format(format::unchecked("pve-iface")),
        NODE,
    ]])
    .returns(Shape::Object {
        fields: &[&[Field::string("method"), Field::string("type")]],
        open: true,
    })
    .check(Check::On("/nodes/{node}", &[Privilege::SysAudit]))
    .on_node(),
];
