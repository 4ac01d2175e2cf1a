//! Processes.

use std::os::fd::OwnedFd;
use std::path::Path;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{Command, Output, ScopeName, SysError};

/// A process beyond doubt: a pid alone may be another process's by now.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessId {
    /// The kernel's id of this boot.
    pub boot_id: String,
    pub pid: u32,
    /// Clock ticks after boot, from `/proc/PID/stat`.
    pub start_time: u64,
}

/// A connection to a socket of a process.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

#[async_trait]
pub trait Processes: Send + Sync + 'static {
    /// Runs a program to its end. If the caller stops waiting, the program is killed.
    async fn run(&self, command: Command) -> Result<Output, SysError>;

    /// Starts a program inside an existing scope and leaves it running, also after we end. It is
    /// in the scope from its first instruction on.
    async fn spawn(&self, command: Command, scope: &ScopeName) -> Result<ProcessId, SysError>;

    async fn is_alive(&self, process: &ProcessId) -> Result<bool, SysError>;

    /// Connects to a unix socket.
    async fn connect(&self, socket: &Path) -> Result<Box<dyn Stream>, SysError>;

    /// Connects to a unix socket for another process; the descriptor does not block.
    async fn connect_descriptor(&self, socket: &Path) -> Result<OwnedFd, SysError>;
}
