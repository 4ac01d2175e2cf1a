//! `qm`: virtual machines, by the command names of Proxmox VE.

mod commands;
mod disks;
mod edit;
mod guest;
mod machine;
mod monitor;
pub(super) mod print;
mod show_command;

use model::schema::{Field, format};

pub(super) use commands::{CHECK, PROGRAM};

const VMID: Field = Field::integer("vmid").format(format::VMID);

/// The path of a machine's configuration.
const CONFIG: &str = "/nodes/{node}/qemu/{vmid}/config";
