//! `/ostler/nodes/{node}/lxc/{vmid}/exec`, which Proxmox VE has only for virtual machines

use model::Privilege;
use model::schema::{Field, Shape};

use crate::table::params::{NODE, VMID};
use crate::{Check, Row};

pub(in crate::table) const ROWS: &[Row] = &[Row::post(
    "/ostler/nodes/{node}/lxc/{vmid}/exec",
    "lxc_exec",
    "Run a program in a running container, as its root. What it prints is the task's log, and its \
     exit code the task's status.",
)
.params(&[&[
    NODE,
    VMID,
    // An argument may be a whole script.
    Field::array("command", &Shape::String).max_length(65536),
    Field::string("input-data").optional().max_length(65536),
    Field::integer("timeout").optional().range(1.0, 86400.0),
]])
.check(Check::On(
    "/vms/{vmid}",
    &[Privilege::VmGuestAgentUnrestricted],
))
.submit()
.on_node()];
