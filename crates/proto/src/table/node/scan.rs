//! `/nodes/{node}/scan`

use model::Privilege;
use model::schema::{Field, Shape, format};

use crate::table::params::NODE;
use crate::{Check, Permission, Row};

const ALLOCATE: Check = Check::On("/storage", &[Privilege::DatastoreAllocate]);

/// A name or an address.
const SERVER: Field = Field::string("server").format(format::SERVER);

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/scan",
        "scan_directory",
        "Index of what can be looked for.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::string("method")]],
        open: true,
    }))
    .permission(Permission::User)
    .index(),
    Row::get(
        "/nodes/{node}/scan/cifs",
        "scan_cifs",
        "The shares of an SMB server.",
    )
    .params(&[&[
        NODE,
        SERVER,
        Field::string("domain").optional(),
        Field::string("password").optional(),
        Field::string("username").optional(),
    ]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::string("description"), Field::string("share")]],
        open: true,
    }))
    .check(ALLOCATE)
    .on_node(),
    Row::get(
        "/nodes/{node}/scan/iscsi",
        "scan_iscsi",
        "The targets behind a portal of iSCSI.",
    )
    .params(&[&[NODE, Field::string("portal").format(format::PORTAL)]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::string("portal"), Field::string("target")]],
        open: true,
    }))
    .check(ALLOCATE)
    .on_node(),
    Row::get(
        "/nodes/{node}/scan/lvm",
        "scan_lvm",
        "The volume groups of a node.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::string("vg")]],
        open: true,
    }))
    .check(ALLOCATE)
    .on_node(),
    Row::get(
        "/nodes/{node}/scan/lvmthin",
        "scan_lvmthin",
        "The thin pools of a volume group.",
    )
    .params(&[&[
        NODE,
        Field::string("vg")
            .max_length(100)
            .pattern(r"[a-zA-Z0-9\.\+\_][a-zA-Z0-9\.\+\_\-]+"),
    ]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::string("lv")]],
        open: true,
    }))
    .check(ALLOCATE)
    .on_node(),
    Row::get(
        "/nodes/{node}/scan/nfs",
        "scan_nfs",
        "The exports of an NFS server.",
    )
    .params(&[&[NODE, SERVER]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::string("options"), Field::string("path")]],
        open: true,
    }))
    .check(ALLOCATE)
    .on_node(),
    Row::get(
        "/nodes/{node}/scan/zfs",
        "scan_zfs",
        "The datasets of ZFS on a node.",
    )
    .params(&[&[NODE]])
    .returns(Shape::Array(&Shape::Object {
        fields: &[&[Field::string("pool")]],
        open: true,
    }))
    .check(ALLOCATE)
    .on_node(),
];
