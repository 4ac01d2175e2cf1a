//! `/nodes/{node}/hardware`

use model::Privilege;
use model::schema::{Field, Shape, format};

use crate::table::params::NODE;
use crate::{Check, Permission, Row};

/// The address of a PCI device, or the name of a mapping.
const PCI: &str = r#"(?:(?:[0-9a-fA-F]{4}:)?[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-9a-fA-F])|([a-zA-Z][a-zA-Z0-9_-]+)"#;

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/hardware",
        "hardware_directory",
        "Index of the hardware.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::string("type")]],
        open: true,
    }))
    .permission(Permission::User)
    .index(),
    Row::get(
        "/nodes/{node}/hardware/pci",
        "pci_list",
        "The PCI devices of a node.",
    )
    .params(&[&[
        NODE,
        Field::string("pci-class-blacklist")
            .optional()
            .format(format::unchecked("string-list"))
            .default("05;06;0b"),
        Field::boolean("verbose").optional().default("1"),
    ]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::string("class"),
            Field::string("device"),
            Field::string("device_name").optional(),
            Field::string("id"),
            Field::integer("iommugroup"),
            Field::boolean("mdev").optional(),
            Field::string("subsystem_device").optional(),
            Field::string("subsystem_device_name").optional(),
            Field::string("subsystem_vendor").optional(),
            Field::string("subsystem_vendor_name").optional(),
            Field::string("vendor"),
            Field::string("vendor_name").optional(),
        ]],
        open: true,
    }))
    .check(Check::AnyOn(
        "/",
        &[Privilege::SysAudit, Privilege::SysModify],
    ))
    .on_node(),
    Row::get(
        "/nodes/{node}/hardware/pci/{pci-id-or-mapping}",
        "pci_directory",
        "Index of a PCI device.",
    )
    .params(&[&[NODE, Field::string("pci-id-or-mapping").pattern(PCI)]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::string("method")]],
        open: true,
    }))
    .permission(Permission::User)
    .index(),
    Row::get(
        "/nodes/{node}/hardware/pci/{pci-id-or-mapping}/mdev",
        "pci_mdev_list",
        "The types of mediated devices that a PCI device supports.",
    )
    .params(&[&[NODE, Field::string("pci-id-or-mapping").pattern(PCI)]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::integer("available"),
            Field::string("description"),
            Field::string("name").optional(),
            Field::string("type"),
        ]],
        open: true,
    }))
    .check(Check::AnyOn(
        "/",
        &[Privilege::SysAudit, Privilege::SysModify],
    ))
    .on_node(),
    Row::get(
        "/nodes/{node}/hardware/usb",
        "usb_list",
        "The USB devices of a node.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[
            Field::integer("busnum"),
            Field::integer("class"),
            Field::integer("devnum"),
            Field::integer("level"),
            Field::string("manufacturer").optional(),
            Field::integer("port"),
            Field::string("prodid"),
            Field::string("product").optional(),
            Field::string("serial").optional(),
            Field::string("speed"),
            Field::string("usbpath").optional(),
            Field::string("vendid"),
        ]],
        open: true,
    }))
    .check(Check::On("/", &[Privilege::SysModify]))
    .on_node(),
];
