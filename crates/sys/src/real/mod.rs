//! The host that this process runs on.

mod blocking;
mod cgroup;
mod cgroup_v1;
mod cgroup_v2;
mod files;
mod links;
mod process;
mod user;

use std::path::PathBuf;

use blocking::blocking;
use cgroup::Cgroup;

use crate::SysError;

pub use user::{drop_privileges, lookup_user, peer_uid};

/// The real thing. Cheap to make; holds no descriptors.
pub struct RealHost {
    cgroup: Cgroup,
    boot_id: String,
}

impl RealHost {
    /// `scope_root` is the name below which all our scopes lie; two nodes on one machine need
    /// two. Fails where the machine has no control groups that we know.
    pub fn open(scope_root: &str) -> Result<Self, SysError> {
        let boot = PathBuf::from("/proc/sys/kernel/random/boot_id");
        let boot_id = std::fs::read_to_string(&boot)
            .map_err(|source| SysError::io("read", &boot, source))?
            .trim()
            .to_owned();
        Ok(Self {
            cgroup: Cgroup::open(scope_root)?,
            boot_id,
        })
    }
}
