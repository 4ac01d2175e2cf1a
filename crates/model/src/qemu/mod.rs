//! The options of a virtual machine: their schemas, and typed views of those that are more than a
//! number or a flag.
//!
//! ```text
//!   OPTIONS           all options, in groups of `Field`; the operation table takes them whole
//!   Drive, Net, …     T::parse("virtio=BC:24:…,bridge=vmbr0")  ⇄  T::print()
//!   DriveSlot         scsi0, virtio3, ide2, …: bus and index
//! ```
//!
//! Names, types, limits and enumerations are those of Proxmox VE's published schema. A VM's command
//! line is not built here but in the crate `guest`.
//!
//! **Invariant:** `T::parse(x.print()) == x` for every value of every view, and a view holds
//! nothing that its schema refuses.

mod agent;
mod audio;
mod boot;
mod cloud_init;
mod cpu;
mod cpu_models;
mod drive;
mod drive_fields;
mod efidisk;
mod format;
mod host_pci;
mod hotplug;
mod machine;
mod memory;
mod net;
mod numa;
mod options;
mod rng;
mod slot;
mod smbios;
mod startup;
mod throttle;
mod tpm;
mod unbuilt;
mod usb;
mod vga;
mod virtiofs;
mod watchdog;

#[cfg(test)]
mod tests;

pub use agent::{Agent, AgentPort};
pub use audio::Audio;
pub use boot::{Boot, BootDevice};
pub use cloud_init::{
    CLOUD_INIT_BYTES, CloudInit, CloudInitType, CustomFiles, Ip4, Ip6, IpConfig,
    is_cloud_init_option, is_cloud_init_volume, is_told_by_cloud_init, ssh_keys,
};
pub use cpu::{CUSTOM_CPU, Cpu, CpuFlag, REPORTED_MODEL, custom_cpu_name};
pub use cpu_models::CPU_MODELS;
pub use drive::{Aio, Cache, Drive, DriveSource, ErrorAction, ImportSource};
pub use drive_fields::{IDE, SATA, SCSI, VIRTIO};
pub use efidisk::{EfiDisk, EfiType};
pub(crate) use format::requested_size;
pub use host_pci::{HostPci, PciSource, pci_address};
pub use hotplug::Hotplug;
pub use machine::{Chipset, Machine, ViommuKind};
pub use memory::{parse_memory_mib, print_memory_mib};
pub use net::{Net, NetModel};
pub use numa::{Numa, NumberRange};
pub use options::OPTIONS;
pub use rng::Rng;
pub use slot::{DriveBus, DriveSlot};
pub use smbios::Smbios;
pub(crate) use startup::STARTUP;
pub use startup::Startup;
pub use throttle::{Limit, Throttle};
pub use tpm::TpmState;
pub use usb::{Usb, UsbSource};
pub use vga::{Display, Vga};
pub use virtiofs::VirtioFs;
pub use watchdog::Watchdog;
