//! Scopes on the control groups of this host.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cgroup_v1::CgroupV1;
use super::cgroup_v2::CgroupV2;
use crate::{Limits, ScopeName, SysError, Usage};

/// How long processes may take until they stand still: one that waits for a disk stops after that.
const FREEZE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(2);

#[derive(Debug, Clone)]
pub(super) enum Cgroup {
    V1(CgroupV1),
    V2(CgroupV2),
}

/// Forwards a call to the version in use.
macro_rules! either {
    ($cgroup:expr, $version:ident => $call:expr) => {
        match $cgroup {
            Cgroup::V1($version) => $call,
            Cgroup::V2($version) => $call,
        }
    };
}

impl Cgroup {
    /// Version 1 if its freezer is mounted: on hosts with both versions, it has the controllers.
    pub(super) fn open(scope_root: &str) -> Result<Self, SysError> {
        let mounts = fs::read_to_string("/proc/self/mounts")
            .map_err(|source| SysError::io("read", Path::new("/proc/self/mounts"), source))?;
        let first = CgroupV1::open(scope_root, &mounts).map(Cgroup::V1);
        let found = first.or_else(|| CgroupV2::open(scope_root, &mounts).map(Cgroup::V2));
        found.ok_or_else(|| SysError::Unsupported("this machine has no control groups".to_owned()))
    }

    pub(super) fn create(&self, scope: &ScopeName, limits: &Limits) -> Result<(), SysError> {
        either!(self, cgroup => cgroup.create(scope, limits))
    }

    pub(super) fn limit(&self, scope: &ScopeName, limits: &Limits) -> Result<(), SysError> {
        either!(self, cgroup => cgroup.limit(scope, limits))
    }

    pub(super) fn scopes(&self) -> Result<Vec<ScopeName>, SysError> {
        either!(self, cgroup => cgroup.scopes())
    }

    pub(super) fn pids(&self, scope: &ScopeName) -> Result<Vec<u32>, SysError> {
        either!(self, cgroup => cgroup.pids(scope))
    }

    pub(super) fn entrances(&self, scope: &ScopeName) -> Vec<PathBuf> {
        either!(self, cgroup => cgroup.entrances(scope))
    }

    /// Thaws again what does not stand still in time.
    pub(super) fn freeze(&self, scope: &ScopeName) -> Result<(), SysError> {
        let mut waited = Duration::ZERO;
        loop {
            let is_frozen = either!(self, cgroup => cgroup.freeze(scope))?;
            if is_frozen {
                return Ok(());
            }
            if waited >= FREEZE {
                self.thaw(scope)?;
                let text = format!("the processes of scope {scope} do not stand still");
                return Err(SysError::Unsupported(text));
            }
            std::thread::sleep(LOOK);
            waited += LOOK;
        }
    }

    pub(super) fn thaw(&self, scope: &ScopeName) -> Result<(), SysError> {
        either!(self, cgroup => cgroup.thaw(scope))
    }

    pub(super) fn kill(&self, scope: &ScopeName) -> Result<(), SysError> {
        either!(self, cgroup => cgroup.kill(scope))
    }

    pub(super) fn remove(&self, scope: &ScopeName) -> Result<bool, SysError> {
        either!(self, cgroup => cgroup.remove(scope))
    }

    pub(super) fn usage(&self, scope: &ScopeName) -> Result<Usage, SysError> {
        either!(self, cgroup => cgroup.usage(scope))
    }
}
