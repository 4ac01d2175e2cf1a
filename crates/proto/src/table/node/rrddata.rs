//! `rrddata` of nodes, guests and storages

use model::Privilege;
use model::schema::{Field, Shape};

use crate::table::params::{NODE, STORAGE, VMID};
use crate::{Check, Row};

const OPEN: Shape = Shape::Object {
    fields: &[],
    open: true,
};

pub(in crate::table) const ROWS: &[Row] = &[
    Row::get(
        "/nodes/{node}/rrddata",
        "node_rrddata",
        "A node's resource use over time.",
    )
    .params(&[&[
        NODE,
        Field::string("timeframe").one_of(&["hour", "day", "week", "month", "year", "decade"]),
        Field::string("cf").optional().one_of(&["AVERAGE", "MAX"]),
    ]])
    .returns(Shape::Array(&OPEN))
    .check(Check::On("/nodes/{node}", &[Privilege::SysAudit]))
    .unconfigured()
    .on_node(),
    Row::get(
        "/nodes/{node}/qemu/{vmid}/rrddata",
        "qemu_rrddata",
        "A VM's resource use over time.",
    )
    .params(&[&[
        NODE,
        VMID,
        Field::string("timeframe").one_of(&["hour", "day", "week", "month", "year"]),
        Field::string("cf").optional().one_of(&["AVERAGE", "MAX"]),
    ]])
    .returns(Shape::Array(&OPEN))
    .check(Check::On("/vms/{vmid}", &[Privilege::VmAudit]))
    .unconfigured()
    .on_node(),
    Row::get(
        "/nodes/{node}/lxc/{vmid}/rrddata",
        "lxc_rrddata",
        "A container's resource use over time.",
    )
    .params(&[&[
        NODE,
        VMID,
        Field::string("timeframe").one_of(&["hour", "day", "week", "month", "year"]),
        Field::string("cf").optional().one_of(&["AVERAGE", "MAX"]),
    ]])
    .returns(Shape::Array(&OPEN))
    .check(Check::On("/vms/{vmid}", &[Privilege::VmAudit]))
    .unconfigured()
    .on_node(),
    Row::get(
        "/nodes/{node}/storage/{storage}/rrddata",
        "storage_rrddata",
        "A storage's usage over time.",
    )
    .params(&[&[
        NODE,
        STORAGE,
        Field::string("timeframe").one_of(&["hour", "day", "week", "month", "year"]),
        Field::string("cf").optional().one_of(&["AVERAGE", "MAX"]),
    ]])
    .returns(Shape::Array(&OPEN))
    .check(Check::AnyOn(
        "/storage/{storage}",
        &[Privilege::DatastoreAudit, Privilege::DatastoreAllocateSpace],
    ))
    .on_node()
    .unconfigured(),
];
