//! Scopes: named groups of processes, independent of the agent.

use std::fmt;

use async_trait::async_trait;
use model::Pressure;
use serde::{Deserialize, Serialize};

use crate::{ProcessId, SysError};

/// The name of a scope: letters, digits, `-`, `_`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ScopeName(String);

impl ScopeName {
    /// The scope that holds a guest: QEMU or LXC and all their helpers.
    pub fn guest(vmid: model::VmId) -> Self {
        Self(format!("guest-{vmid}"))
    }

    /// The scope that holds a task's child processes.
    pub fn task(key: &str) -> Self {
        Self(format!("task-{}", plain(key)))
    }

    /// The scope of a shell of this node. `id` is the shell's own.
    pub fn shell(id: &str) -> Self {
        Self(format!("shell-{}", plain(id)))
    }

    /// The scope of a service that outlives the agent.
    pub fn service(name: &str) -> Self {
        Self(format!("service-{name}"))
    }

    /// Parses a name, e.g. from a directory; none if it is not a scope's.
    pub fn parse(name: &str) -> Option<Self> {
        let kinds = ["guest-", "service-", "shell-", "task-"];
        let ours = kinds.iter().any(|kind| name.starts_with(kind));
        ours.then(|| Self(name.to_owned()))
    }

    /// The guest of this scope.
    pub fn vmid(&self) -> Option<model::VmId> {
        self.0.strip_prefix("guest-")?.parse().ok()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// With dashes for what a scope's name cannot hold.
fn plain(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    text.chars().map(plain).collect()
}

impl fmt::Display for ScopeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Resource limits of a scope. None: no limit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// CPUs, e.g. 1.5.
    pub cpus: Option<f64>,
    /// Its weight against others, 1 to 10000; 100 is the default, as on cgroup v2.
    pub cpu_weight: Option<u32>,
    /// The CPUs that it may run on, as a kernel list: `0-3,8`.
    pub cpu_list: Option<String>,
    pub memory_bytes: Option<u64>,
    /// What may be swapped out, besides the memory; for scopes whose memory is limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap_bytes: Option<u64>,
    pub processes: Option<u32>,
}

/// Resource use of a scope.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    pub cpu_us: u64,
    pub memory_bytes: u64,
    /// The part of it that caches files.
    pub cache_bytes: u64,
    pub swap_bytes: u64,
    /// Read from and written to block devices.
    pub read_bytes: u64,
    pub written_bytes: u64,
    /// None if the kernel does not count it: only cgroup v2 does.
    pub pressure: Option<Pressure>,
}

/// Every method may be repeated: creating what exists and removing what is gone are no errors.
#[async_trait]
pub trait Scopes: Send + Sync + 'static {
    /// Creates a scope with these limits. It exists, empty, before anything runs in it.
    async fn create_scope(&self, scope: &ScopeName, limits: &Limits) -> Result<(), SysError>;

    /// Changes the limits of a running scope.
    async fn limit_scope(&self, scope: &ScopeName, limits: &Limits) -> Result<(), SysError>;

    /// All existing scopes, including those from before we started.
    async fn scopes(&self) -> Result<Vec<ScopeName>, SysError>;

    /// The processes of a scope; none if it does not exist.
    async fn members(&self, scope: &ScopeName) -> Result<Vec<ProcessId>, SysError>;

    /// Stops every process of the scope where it is, and waits until all stand still. No error
    /// where there is no such scope.
    async fn freeze_scope(&self, scope: &ScopeName) -> Result<(), SysError>;

    /// Lets frozen processes go on.
    async fn thaw_scope(&self, scope: &ScopeName) -> Result<(), SysError>;

    /// Kills every process of the scope, including those being forked, waits until none is left and
    /// removes the scope.
    async fn kill_scope(&self, scope: &ScopeName) -> Result<(), SysError>;

    /// Removes a scope unless a process is left in it; then it returns false.
    async fn remove_scope(&self, scope: &ScopeName) -> Result<bool, SysError>;

    async fn usage(&self, scope: &ScopeName) -> Result<Usage, SysError>;
}
