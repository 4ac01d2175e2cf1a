//! `rrddata` and `rrd` of nodes, guests and storages

use model::Privilege;
use model::schema::{Field, Shape, format};

use crate::table::params::{NODE, STORAGE, VMID};
use crate::{Check, Row};

const OPEN: Shape = Shape::Object {
    fields: &[],
    open: true,
};

const TIMEFRAME: Field =
    Field::string("timeframe").one_of(&["hour", "day", "week", "month", "year"]);

/// Nodes are kept for longer.
const NODE_TIMEFRAME: Field =
    Field::string("timeframe").one_of(&["hour", "day", "week", "month", "year", "decade"]);

const CF: Field = Field::string("cf").optional().one_of(&["AVERAGE", "MAX"]);

/// The columns to draw.
const DS: Field = Field::string("ds")
    .format(format::CONFIG_ID_LIST)
    .max_length(1024);

/// Each character of `image` is a byte of a PNG.
const PICTURE: Shape = Shape::Object {
    fields: &[&[Field::string("filename"), Field::string("image").optional()]],
    open: true,
};

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/rrddata",
        "node_rrddata",
        "A node's resource use over time.",
    )
    .params(&[&[NODE, NODE_TIMEFRAME, CF]])
    .returns(Shape::Array(&OPEN))
    .check(Check::On("/nodes/{node}", &[Privilege::SysAudit]))
    .on_node(),
    Row::get(
        "/nodes/{node}/qemu/{vmid}/rrddata",
        "qemu_rrddata",
        "A VM's resource use over time.",
    )
    .params(&[&[NODE, VMID, TIMEFRAME, CF]])
    .returns(Shape::Array(&OPEN))
    .check(Check::On("/vms/{vmid}", &[Privilege::VmAudit]))
    .on_node(),
    Row::get(
        "/nodes/{node}/lxc/{vmid}/rrddata",
        "lxc_rrddata",
        "A container's resource use over time.",
    )
    .params(&[&[NODE, VMID, TIMEFRAME, CF]])
    .returns(Shape::Array(&OPEN))
    .check(Check::On("/vms/{vmid}", &[Privilege::VmAudit]))
    .unconfigured()
    .on_node(),
    Row::get(
        "/nodes/{node}/storage/{storage}/rrddata",
        "storage_rrddata",
        "A storage's usage over time.",
    )
    .params(&[&[NODE, STORAGE, TIMEFRAME, CF]])
    .returns(Shape::Array(&OPEN))
    .check(Check::AnyOn(
        "/storage/{storage}",
        &[Privilege::DatastoreAudit, Privilege::DatastoreAllocateSpace],
    ))
    .on_node(),
    Row::get(
        "/nodes/{node}/rrd",
        "node_rrd",
        "A node's resource use over time, as a picture.",
    )
    .params(&[&[NODE, DS, NODE_TIMEFRAME, CF]])
    .returns(PICTURE)
    .check(Check::On("/nodes/{node}", &[Privilege::SysAudit]))
    .on_node(),
    Row::get(
        "/nodes/{node}/qemu/{vmid}/rrd",
        "qemu_rrd",
        "A VM's resource use over time, as a picture.",
    )
    .params(&[&[NODE, VMID, DS, TIMEFRAME, CF]])
    .returns(PICTURE)
    .check(Check::On("/vms/{vmid}", &[Privilege::VmAudit]))
    .on_node(),
    Row::get(
        "/nodes/{node}/lxc/{vmid}/rrd",
        "lxc_rrd",
        "A container's resource use over time, as a picture.",
    )
    .params(&[&[NODE, VMID, DS, TIMEFRAME, CF]])
    .returns(PICTURE)
    .check(Check::On("/vms/{vmid}", &[Privilege::VmAudit]))
    .on_node(),
    Row::get(
        "/nodes/{node}/storage/{storage}/rrd",
        "storage_rrd",
        "A storage's usage over time, as a picture.",
    )
    .params(&[&[NODE, STORAGE, DS, TIMEFRAME, CF]])
    .returns(PICTURE)
    .check(Check::AnyOn(
        "/storage/{storage}",
        &[Privilege::DatastoreAudit, Privilege::DatastoreAllocateSpace],
    ))
    .on_node(),
];
