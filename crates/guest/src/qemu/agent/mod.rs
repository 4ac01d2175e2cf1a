//! The guest agent: a program inside the guest that does what only the guest itself can do.
//!
//! ```text
//!   GuestAgent ──0xFF, sync(id)──► ┌─────────┐ virtio-serial ┌──────────┐
//!        ▲                         │ QEMU's  │ ◄───────────► │ qemu-ga  │
//!        └── 0xFF, id ◄─────────── │ socket  │               │ in guest │
//!            what came before      └─────────┘               └──────────┘
//!            is thrown away
//! ```
//!
//! The channel has no connections: whatever the guest was asked before, by whomever, it still
//! answers. **Every connection therefore begins with a handshake that nobody else's answer can
//! pass, and ends with the first command whose answer was not read to its end.** One command is
//! under way at a time; who calls keeps the order of several callers.
//!
//! All that is read comes from a guest and is believed only as far as its own user may be.

mod client;
mod commands;
mod plain;
mod reader;
#[cfg(test)]
mod tests;

pub use client::GuestAgent;
pub use commands::{ExecStatus, FILE_READ_MAX, FileContent, FreezeStatus};
pub use plain::{PLAIN_COMMANDS, PlainCommand};

/// Why a guest's agent did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    /// It did not pass the handshake in time: it does not run, or is busy with something long.
    #[error("the guest agent does not answer")]
    Silent,
    /// It understood and refused: the command is unknown or disabled there, or has failed.
    #[error("the guest agent refused '{command}': {description}")]
    Refused {
        command: String,
        class: String,
        description: String,
    },
    /// It may still be doing it.
    #[error("the guest agent did not answer '{command}' within {seconds} s")]
    TimedOut { command: String, seconds: u64 },
    /// QEMU ended, or closed the socket.
    #[error("the connection to the guest agent is lost: {reason}")]
    Lost { reason: String },
    #[error("the guest agent's answer to '{command}' is longer than {bytes_max} bytes")]
    TooLong { command: String, bytes_max: usize },
    #[error("the guest agent's answer to '{command}' is not as expected")]
    Unexpected { command: String },
}
