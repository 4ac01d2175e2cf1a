//! `qm`: virtual machines, by the commands that people know.

mod commands;
mod disks;
mod edit;
mod guest;
mod machine;
mod monitor;
pub(super) mod print;
mod show_command;

use model::schema::{Field, format};

pub(super) use commands::PROGRAM;

const VMID: Field = Field::integer("vmid").format(format::VMID);

/// Where a machine's configuration is read and changed.
const CONFIG: &str = "/nodes/{node}/qemu/{vmid}/config";
