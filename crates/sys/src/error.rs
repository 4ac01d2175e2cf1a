//! What went wrong with the host, and what was attempted.

use std::io;
use std::path::Path;
use std::time::Duration;

use model::ErrorKind;

#[derive(Debug, thiserror::Error)]
pub enum SysError {
    #[error("cannot {action} {object}")]
    Io {
        action: &'static str,
        object: String,
        source: io::Error,
    },
    #[error("{program} is not installed")]
    ProgramMissing { program: String },
    #[error("{program} failed with {status}: {message}")]
    ProgramFailed {
        program: String,
        status: String,
        message: String,
    },
    #[error("{program} did not end within {} s", after.as_secs())]
    ProgramTimeout { program: String, after: Duration },
    /// Nothing has answered for longer than can be waited for, `storage 'x'` for instance.
    #[error("{name} is not online")]
    Silent { name: String },
    /// The host cannot do this; the text says what is missing.
    #[error("{0}")]
    Unsupported(String),
    /// A test stopped the program here. Never made outside of tests.
    #[error("stopped here by a test")]
    Stopped,
}

impl SysError {
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            object: path.display().to_string(),
            source,
        }
    }

    /// Whether the object simply is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the object is there and is not what it should be.
    pub fn is_wrong_content(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::InvalidData)
    }

    pub fn is_full(&self) -> bool {
        let Self::Io { source, .. } = self else {
            return false;
        };
        matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { .. } if self.is_not_found() => ErrorKind::NotFound,
            Self::Stopped => ErrorKind::Bug,
            _ => ErrorKind::Unavailable,
        }
    }
}

impl From<SysError> for model::Error {
    fn from(error: SysError) -> Self {
        Self::new(error.kind(), Self::chain(&error))
    }
}
