//! Processes.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use async_trait::async_trait;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{Command, Output, ScopeName, SysError, Terminal};

/// A process's full identity: the pid alone may have been reused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessId {
    /// The kernel's id of this boot.
    pub boot_id: String,
    pub pid: u32,
    /// Clock ticks after boot, from `/proc/PID/stat`.
    pub start_time: u64,
}

/// Passes a descriptor to the process at the other end of a stream, together with one space.
pub type PassDescriptor = Box<dyn Fn(BorrowedFd<'_>) -> io::Result<()> + Send + Sync>;

/// A connection to a socket of a process.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// Returns a function that passes descriptors over this stream. It writes beside the stream
    /// itself, so the caller must make sure that a space does no harm at that place.
    fn pass_descriptors(&self) -> io::Result<PassDescriptor>;
}

impl Stream for tokio::net::UnixStream {
    fn pass_descriptors(&self) -> io::Result<PassDescriptor> {
        let socket = self.as_fd().try_clone_to_owned()?;
        Ok(Box::new(move |descriptor| pass(&socket, descriptor)))
    }
}

/// A single byte is written to an empty buffer completely or not at all.
fn pass(socket: &OwnedFd, descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let descriptors = [descriptor];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    let blank = [io::IoSlice::new(b" ")];
    sendmsg(socket, &blank, &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

#[async_trait]
pub trait Processes: Send + Sync + 'static {
    /// Runs a program to its end. If the future is dropped, the program is killed.
    async fn run(&self, command: Command) -> Result<Output, SysError>;

    /// Starts a program inside an existing scope and leaves it running, also after we end. It is in
    /// the scope from its first instruction.
    async fn spawn(&self, command: Command, scope: &ScopeName) -> Result<ProcessId, SysError>;

    /// Starts a program inside an existing scope at a terminal of its own, whose other side is
    /// returned: dropping it hangs up.
    async fn spawn_at_terminal(
        &self,
        command: Command,
        scope: &ScopeName,
    ) -> Result<Terminal, SysError>;

    async fn is_alive(&self, process: &ProcessId) -> Result<bool, SysError>;

    /// Connects to a unix socket, not through a link. The peer must be the owner of the socket's
    /// folder, because a guest may have replaced the socket.
    async fn connect(&self, socket: &Path) -> Result<Box<dyn Stream>, SysError>;

    /// The same for another process; the descriptor is non-blocking.
    async fn connect_descriptor(&self, socket: &Path) -> Result<OwnedFd, SysError>;

    /// Listens at a new unix socket, which only this user and root may connect to. The descriptor is
    /// non-blocking.
    async fn listen(&self, socket: &Path, user: Option<(u32, u32)>) -> Result<OwnedFd, SysError>;
}
