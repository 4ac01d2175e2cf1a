//! `/cluster/mapping`

use model::schema::{Field, Format, Shape, format};
use model::{DIR_MAP, PCI_MAP, Privilege, USB_MAP};

use super::NAMES;
use crate::{Check, Permission, Row};

const ID: Field = Field::string("id").format(format::CONFIG_ID);

const CHECK_NODE: Field = Field::string("check-node").optional().format(format::NODE);

const DIGEST: Field = Field::string("digest").optional().max_length(64);

const DESCRIPTION: Field = Field::string("description").optional().max_length(4096);

/// What of a mapping is removed.
const DELETE: Field = Field::string("delete")
    .optional()
    .format(format::CONFIG_ID_LIST)
    .max_length(4096);

/// What a mapping is on each node.
const fn map(name: &'static str, fields: &'static [Field]) -> Field {
    Field::array("map", &Shape::String).format(Format::Properties { name, fields })
}

const PCI: Field = map("pci-map", PCI_MAP);
const USB: Field = map("usb-map", USB_MAP);
const DIR: Field = map("dir-map", DIR_MAP);

/// Of PCI devices alone.
const PCI_OPTIONS: &[Field] = &[
    Field::boolean("live-migration-capable")
        .optional()
        .default("0"),
    Field::boolean("mdev").optional().default("0"),
];

/// What is wrong with a mapping on the node `check-node`.
const FAULTS: &Shape = &Shape::Object {
    fields: &[&[
        Field::string("message"),
        Field::string("severity").one_of(&["warning", "error"]),
    ]],
    open: false,
};

const MAPPING: &[Field] = &[
    DESCRIPTION,
    Field::array("map", &Shape::String),
    Field::string("type").one_of(&["pci", "usb", "dir"]),
];

const ONE: Shape = Shape::Object {
    fields: &[MAPPING],
    open: true,
};

const CHECKED: Shape = Shape::Array(&Shape::Object {
    fields: &[MAPPING, &[ID, Field::array("checks", FAULTS).optional()]],
    open: true,
});

/// Here the same has another name.
const CHECKED_USB: Shape = Shape::Array(&Shape::Object {
    fields: &[MAPPING, &[ID, Field::array("errors", FAULTS).optional()]],
    open: true,
});

/// With one of these a caller sees a mapping.
const fn sees(path: &'static str) -> [Check; 3] {
    [
        Check::On(path, &[Privilege::MappingUse]),
        Check::On(path, &[Privilege::MappingModify]),
        Check::On(path, &[Privilege::MappingAudit]),
    ]
}

const SEES_DIR: &[Check] = &sees("/mapping/dir/{id}");
const SEES_PCI: &[Check] = &sees("/mapping/pci/{id}");
const SEES_USB: &[Check] = &sees("/mapping/usb/{id}");

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/cluster/mapping",
        "mapping_directory",
        "Index of the kinds of mappings.",
    )
    .returns(NAMES)
    .permission(Permission::User)
    .index(),
    Row::get(
        "/cluster/mapping/dir",
        "mapping_dir_list",
        "The mappings of folders that the caller may see, and what is wrong with them on a node.",
    )
    .params(&[&[CHECK_NODE]])
    .returns(CHECKED)
    .permission(Permission::User)
    .on_checked_node(),
    Row::post(
        "/cluster/mapping/dir",
        "mapping_dir_create",
        "Add a mapping of folders.",
    )
    .params(&[&[ID, DESCRIPTION, DIR]])
    .check(Check::On("/mapping/dir", &[Privilege::MappingModify])),
    Row::get(
        "/cluster/mapping/dir/{id}",
        "mapping_dir_get",
        "A mapping of folders.",
    )
    .params(&[&[ID]])
    .returns(ONE)
    .check(Check::Any(SEES_DIR)),
    Row::put(
        "/cluster/mapping/dir/{id}",
        "mapping_dir_update",
        "Change a mapping of folders.",
    )
    .params(&[&[ID, DELETE, DESCRIPTION, DIGEST, DIR.optional()]])
    .check(Check::On(
        "/mapping/dir/{id}",
        &[Privilege::MappingModify],
    )),
    Row::delete(
        "/cluster/mapping/dir/{id}",
        "mapping_dir_delete",
        "Remove a mapping of folders.",
    )
    .params(&[&[ID]])
    .check(Check::On("/mapping/dir", &[Privilege::MappingModify])),
    Row::get(
        "/cluster/mapping/pci",
        "mapping_pci_list",
        "The mappings of PCI devices that the caller may see, and what is wrong with them on a node.",
    )
    .params(&[&[CHECK_NODE]])
    .returns(CHECKED)
    .permission(Permission::User)
    .on_checked_node(),
    Row::post(
        "/cluster/mapping/pci",
        "mapping_pci_create",
        "Add a mapping of PCI devices.",
    )
    .params(&[&[ID, DESCRIPTION, PCI], PCI_OPTIONS])
    .check(Check::On("/mapping/pci", &[Privilege::MappingModify])),
    Row::get(
        "/cluster/mapping/pci/{id}",
        "mapping_pci_get",
        "A mapping of PCI devices.",
    )
    .params(&[&[ID]])
    .returns(ONE)
    .check(Check::Any(SEES_PCI)),
    Row::put(
        "/cluster/mapping/pci/{id}",
        "mapping_pci_update",
        "Change a mapping of PCI devices.",
    )
    .params(&[&[ID, DELETE, DESCRIPTION, DIGEST, PCI.optional()], PCI_OPTIONS])
    .check(Check::On(
        "/mapping/pci/{id}",
        &[Privilege::MappingModify],
    )),
    Row::delete(
        "/cluster/mapping/pci/{id}",
        "mapping_pci_delete",
        "Remove a mapping of PCI devices.",
    )
    .params(&[&[ID]])
    .check(Check::On("/mapping/pci", &[Privilege::MappingModify])),
    Row::get(
        "/cluster/mapping/usb",
        "mapping_usb_list",
        "The mappings of USB devices that the caller may see, and what is wrong with them on a node.",
    )
    .params(&[&[CHECK_NODE]])
    .returns(CHECKED_USB)
    .permission(Permission::User)
    .on_checked_node(),
    Row::post(
        "/cluster/mapping/usb",
        "mapping_usb_create",
        "Add a mapping of USB devices.",
    )
    .params(&[&[ID, DESCRIPTION, USB]])
    .check(Check::On("/mapping/usb", &[Privilege::MappingModify])),
    Row::get(
        "/cluster/mapping/usb/{id}",
        "mapping_usb_get",
        "A mapping of USB devices.",
    )
    .params(&[&[ID]])
    .returns(ONE)
    .check(Check::Any(SEES_USB)),
    Row::put(
        "/cluster/mapping/usb/{id}",
        "mapping_usb_update",
        "Change a mapping of USB devices.",
    )
    .params(&[&[ID, DELETE, DESCRIPTION, DIGEST, USB]])
    .check(Check::On(
        "/mapping/usb/{id}",
        &[Privilege::MappingModify],
    )),
    Row::delete(
        "/cluster/mapping/usb/{id}",
        "mapping_usb_delete",
        "Remove a mapping of USB devices.",
    )
    .params(&[&[ID]])
    .check(Check::On("/mapping/usb", &[Privilege::MappingModify])),
];
