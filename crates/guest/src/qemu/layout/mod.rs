//! Layouts: the addresses of the devices in a machine.
//!
//! **Invariant:** a layout that was in a release is never edited. A guest that was started with
//! version 1 finds its devices at the same addresses after a migration to a newer Ostler, and
//! Windows does not see new hardware after an update. Any change that a guest could notice needs a
//! version 2.

mod address;
mod devices;
mod of_host;
mod v1;

use super::running::Accel;
use super::{QemuInfo, RunningAs, VmConfig};

/// The layout for new starts.
pub const NEWEST: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    #[error("machine type '{machine}' is newer than this node's QEMU {qemu}")]
    MachineTooNew { machine: String, qemu: String },
    #[error("machine type '{machine}' is not known to this node's QEMU {qemu}")]
    MachineUnknown { machine: String, qemu: String },
    #[error("'{text}' of smbios1 is not base64 text")]
    Smbios { text: String },
    #[error("{0}")]
    Options(String),
}

/// Decides the machine that a guest is started with.
pub fn plan(config: &VmConfig, qemu: &QemuInfo, accel: Accel) -> Result<RunningAs, LayoutError> {
    config.check_start().map_err(LayoutError::Options)?;
    v1::plan(config, qemu, accel)
}
