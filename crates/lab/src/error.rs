//! Errors of a lab.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An error of a lab.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A file, socket or process of this machine.
    #[error("cannot {doing}")]
    Io {
        /// The attempted action and its object.
        doing: String,
        /// The cause.
        source: io::Error,
    },
    /// Nothing to start nodes from.
    #[error("the lab is not built ({0}): run ./x lab build")]
    NotBuilt(String),
    /// QEMU refused a command.
    #[error("QEMU of {node} refused {command}: {text}")]
    Refused {
        /// The node.
        node: String,
        /// The command's name.
        command: String,
        /// QEMU's text.
        text: String,
    },
    /// The node's QEMU is not there, or was reset while it was busy with the call.
    #[error("{node} {how}")]
    Gone {
        /// The node.
        node: String,
        /// What happened to it.
        how: String,
    },
    /// A script failed.
    #[error("on {node}, `{script}` ended with {code}: {text}")]
    Script {
        /// The node.
        node: String,
        /// The script's beginning.
        script: String,
        /// Its exit code.
        code: i32,
        /// The end of its output.
        text: String,
    },
    /// A timeout.
    #[error("waited {after:?} in vain for {what}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// For how long.
        after: Duration,
    },
    /// An unknown name.
    #[error("there is no {0}")]
    NoSuch(String),
    /// A node that failed to start; its traces were kept.
    #[error("the lab did not come up; its traces are in {}", traces.display())]
    NotUp {
        /// The folder with consoles, events and counters.
        traces: PathBuf,
        /// What failed.
        source: Box<LabError>,
    },
}

impl LabError {
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> LabError {
        let doing = doing.into();
        move |source| LabError::Io { doing, source }
    }

    pub(crate) fn file<'a>(
        verb: &'a str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> LabError + use<'a> {
        move |source| LabError::Io {
            doing: format!("{verb} {}", path.display()),
            source,
        }
    }
}
