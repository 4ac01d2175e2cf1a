//! Virtual machines.

pub mod abilities;
pub mod agent;
mod argv;
mod balloon;
mod behind;
pub mod block;
mod config;
mod cpu;
mod info;
pub mod layout;
pub mod memory;
pub mod netdev;
mod paths;
pub mod probe;
pub mod qmp;
mod quote;
mod running;
mod usage;
mod words;

pub use abilities::{AbilitiesError, CpuAbilities};
pub use agent::{AgentError, GuestAgent, PlainCommand};
pub use argv::{ArgvError, argv};
pub use balloon::MemoryStatistics;
pub use behind::{Behind, DeviceFile, PciFunction, Pcis, Ports, Taps, Usbs, Volumes};
pub use config::{SerialPort, VmConfig};
pub use info::{
    CpuModel, MachineType, QemuInfo, QemuVersion, VersionError, cpu_models, known_cpu_flags,
    machines,
};
pub use layout::{LayoutError, plan};
pub use netdev::Tap;
pub use paths::RuntimePaths;
pub use qmp::{
    Event, Events, Job, JobState, LayerMerge, Migration, MigrationState, NewLayer, NodeCopy, Pace,
    Qmp, QmpError, VncPassword, exported_node,
};
pub use running::{Accel, Backend, Device, Firmware, NumaNode, Processors, RunningAs};
pub use usage::{DiskUsage, disk_usage};
