//! Processes.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use async_trait::async_trait;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
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

/// Hands a descriptor to the process at the other end of a stream, along with one blank.
pub type PassDescriptor = Box<dyn Fn(BorrowedFd<'_>) -> io::Result<()> + Send + Sync>;

/// A connection to a socket of a process.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// What passes descriptors over this stream. It works beside the stream itself, so whoever
    /// uses both sees to it that a blank does no harm where it is said.
    fn pass_descriptors(&self) -> io::Result<PassDescriptor>;
}

impl Stream for tokio::net::UnixStream {
    fn pass_descriptors(&self) -> io::Result<PassDescriptor> {
        let socket = self.as_fd().try_clone_to_owned()?;
        Ok(Box::new(move |descriptor| pass(&socket, descriptor)))
    }
}

/// One blank in an empty buffer goes out at once or not at all.
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
    /// Runs a program to its end. If the caller stops waiting, the program is killed.
    async fn run(&self, command: Command) -> Result<Output, SysError>;

    /// Starts a program inside an existing scope and leaves it running, also after we end. It is
    /// in the scope from its first instruction on.
    async fn spawn(&self, command: Command, scope: &ScopeName) -> Result<ProcessId, SysError>;

    async fn is_alive(&self, process: &ProcessId) -> Result<bool, SysError>;

    /// Connects to a unix socket, not through a link. The peer must be the owner of the socket's
    /// folder: a guest may have put another socket there.
    async fn connect(&self, socket: &Path) -> Result<Box<dyn Stream>, SysError>;

    /// Connects so for another process; the descriptor does not block.
    async fn connect_descriptor(&self, socket: &Path) -> Result<OwnedFd, SysError>;
}
