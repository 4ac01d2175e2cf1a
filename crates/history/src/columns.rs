//! What is kept of each kind of object: the columns of Proxmox VE, under its names.

/// A kind of object. The numbers are in the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    Node = 1,
    Guest = 2,
    Storage = 3,
}

impl Kind {
    /// The names of the columns. Their order is that of the files: it is never changed.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Node => NODE,
            Self::Guest => GUEST,
            Self::Storage => STORAGE,
        }
    }

    /// The place of a column.
    pub fn column(self, name: &str) -> Option<usize> {
        self.columns().iter().position(|column| *column == name)
    }
}

/// `cpu` and `iowait` are shares of all processors, 0 to 1; sizes are bytes, `netin` and `netout`
/// bytes a second; pressures are percent.
pub const NODE: &[&str] = &[
    "cpu",
    "maxcpu",
    "iowait",
    "loadavg",
    "memtotal",
    "memused",
    "memavailable",
    "arcsize",
    "swaptotal",
    "swapused",
    "roottotal",
    "rootused",
    "netin",
    "netout",
    "pressurecpusome",
    "pressureiosome",
    "pressureiofull",
    "pressurememorysome",
    "pressurememoryfull",
];

/// `cpu` is the share of the guest's own processors; `memhost` is memory of the host.
pub const GUEST: &[&str] = &[
    "cpu",
    "maxcpu",
    "mem",
    "maxmem",
    "memhost",
    "disk",
    "maxdisk",
    "netin",
    "netout",
    "diskread",
    "diskwrite",
    "pressurecpusome",
    "pressurecpufull",
    "pressureiosome",
    "pressureiofull",
    "pressurememorysome",
    "pressurememoryfull",
];

pub const STORAGE: &[&str] = &["total", "used"];
