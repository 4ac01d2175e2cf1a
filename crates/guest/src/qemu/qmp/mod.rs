//! QMP: the protocol that controls QEMU.
//!
//! ```text
//!   Qmp ──execute──► command ─► writer task ─► ┌──────┐
//!    ▲                                         │ QEMU │
//!    └── answer by id ◄── reader task ◄─────── └──────┘
//!                            └── events ──► every Events
//! ```
//!
//! A connection has any number of callers, and any number of commands may wait at once; answers
//! find their command by id. A caller who gives up disturbs none of the others. When the connection
//! is lost, each waiting command and each later one fails.

mod client;
mod commands;
mod cpu;
mod jobs;
mod migration;
mod nbd;
mod reader;
mod snapshots;
#[cfg(test)]
mod tests;

pub use client::{Events, PassDescriptor, Qmp};
pub use commands::{InputKey, Status, VncPassword};
pub use jobs::{Job, JobState, NodeCopy};
pub use migration::{Migration, MigrationState, Pace};
pub use nbd::exported_node;
pub use snapshots::{LayerMerge, NewLayer};

use serde_json::Value;

/// An event from QEMU.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// `SHUTDOWN`, `DEVICE_DELETED`, …
    pub name: String,
    pub data: Value,
    /// By QEMU's clock, in seconds since 1970.
    pub seconds: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QmpError {
    /// QEMU refused the command.
    #[error("QEMU refused '{command}': {description}")]
    Refused {
        command: String,
        class: String,
        description: String,
    },
    #[error("QEMU did not answer '{command}' within {seconds} s")]
    TimedOut { command: String, seconds: u64 },
    /// QEMU ended, or closed the socket.
    #[error("connection to QEMU is lost: {reason}")]
    Lost { reason: String },
    #[error("answer to '{command}' is not as expected: {what}")]
    Unexpected { command: String, what: String },
}

impl QmpError {
    /// Whether the command does not exist in this version of QEMU.
    pub fn is_unknown_command(&self) -> bool {
        matches!(self, Self::Refused { class, .. } if class == "CommandNotFound")
    }

    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }
}
