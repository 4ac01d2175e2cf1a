//! The guest agent: a program inside the guest that executes commands there.
//!
//! ```text
//!   GuestAgent ──0xFF, sync(id)──► ┌─────────┐ virtio-serial ┌──────────┐
//!        ▲                         │ QEMU's  │ ◄───────────► │ qemu-ga  │
//!        └── 0xFF, id ◄─────────── │ socket  │               │ in guest │
//!            what came before      └─────────┘               └──────────┘
//!            is thrown away
//! ```
//!
//! The channel has no connections: the agent still answers earlier commands of other clients.
//! **Every connection therefore begins with a handshake that no other answer can match, and ends
//! with the first command whose answer was not read to its end.** One command is in progress at a
//! time; the caller must serialize them.
//!
//! All data comes from a guest and is not trusted.

mod client;
mod commands;
mod plain;
mod reader;
#[cfg(test)]
mod tests;

pub use client::GuestAgent;
pub use commands::{ExecStatus, FILE_READ_MAX, FileContent, FreezeStatus};
pub use plain::{PLAIN_COMMANDS, PlainCommand};

/// Why a command to a guest's agent failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    /// It did not answer the handshake in time: it does not run, or is busy.
    #[error("the guest agent does not answer")]
    Silent,
    /// It refused the command, which is unknown or disabled there, or has failed.
    #[error("the guest agent refused '{command}': {description}")]
    Refused {
        command: String,
        class: String,
        description: String,
    },
    /// It may still be executing it.
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
