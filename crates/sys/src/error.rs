//! Errors of the host, with the attempted action.

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
    /// A resource, `storage 'x'` for instance, has not answered in time.
    #[error("{name} is not online")]
    Silent { name: String },
    /// Killed, and still there: the kernel waits for something on their behalf, as for a server that
    /// is silent.
    #[error("the processes of scope {scope} were killed and do not end")]
    Lingering { scope: String },
    /// The host cannot do this; the text says what is missing.
    #[error("{0}")]
    Unsupported(String),
    /// Injected by a test. Never made outside of tests.
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

    /// Whether the object does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the object exists but is not of the expected kind.
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
