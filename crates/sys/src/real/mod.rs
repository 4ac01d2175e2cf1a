//! The host that this process runs on.

mod blocking;
mod cell;
mod cgroup;
mod cgroup_tree;
mod cgroup_v1;
mod cgroup_v2;
mod fence;
mod files;
mod links;
mod loops;
mod mount_list;
mod mounted;
mod plain;
mod pool;
mod process;
mod user;

use std::path::PathBuf;
use std::sync::Arc;

use blocking::blocking;
use cgroup::Cgroup;
use pool::{Kind, Pool, Pools};

use crate::SysError;

pub use user::{drop_privileges, lookup_user, peer_uid};

/// The real host. Cheap to create; holds no descriptors.
#[derive(Clone)]
pub struct RealHost {
    cgroup: Cgroup,
    boot_id: String,
    pools: Arc<Pools>,
    /// Where file calls run; none for the shared blocking threads.
    pool: Option<Arc<Pool>>,
    /// uid and gid of fenced programs.
    tools_user: (u32, u32),
}

/// `nobody`, if no user is set for fenced programs.
const NOBODY: (u32, u32) = (65534, 65534);

impl RealHost {
    /// All our scopes are below `scope_root`; two nodes on one host need two. Fails if the host has
    /// no supported control groups.
    pub fn open(scope_root: &str) -> Result<Self, SysError> {
        let boot = PathBuf::from("/proc/sys/kernel/random/boot_id");
        let boot_id = std::fs::read_to_string(&boot)
            .map_err(|source| SysError::io("read", &boot, source))?
            .trim()
            .to_owned();
        Ok(Self {
            cgroup: Cgroup::open(scope_root)?,
            boot_id,
            pools: Arc::default(),
            pool: None,
            tools_user: NOBODY,
        })
    }

    /// Runs fenced programs as this user, unless the command sets one.
    #[must_use]
    pub fn with_tools_user(self, uid: u32, gid: u32) -> Self {
        Self {
            tools_user: (uid, gid),
            ..self
        }
    }

    /// Runs a file operation off the async threads. A change is complete before its task can do
    /// anything else, even if its caller stopped waiting (see `blocking`).
    async fn on_thread<T: Send + 'static>(
        &self,
        kind: Kind,
        work: impl FnOnce() -> Result<T, SysError> + Send + 'static,
    ) -> Result<T, SysError> {
        match (&self.pool, kind) {
            (Some(pool), Kind::Look) => pool.run(kind, work).await,
            (Some(pool), _) => blocking::tracked(work, |work| pool.run(kind, work)).await,
            (None, Kind::Look) => blocking::joined(tokio::task::spawn_blocking(work)).await,
            (None, _) => blocking(work).await,
        }
    }
}
