//! The kinds of failure that all crates share.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The kind of a failure. Crates have error enums of their own; each of their values answers to
/// one of these kinds, and the HTTP layer alone turns the kind into a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// A parameter is wrong; `Error::fields` names which and why.
    Invalid,
    /// The caller is not authenticated.
    Unauthenticated,
    /// The caller is known and may not do this.
    Forbidden,
    /// The object does not exist.
    NotFound,
    /// Like `NotFound`, in the few places where Proxmox VE answers it with a status of its own.
    Absent,
    /// The object exists already, or differs from what the caller assumed.
    Conflict,
    /// The object is held by another operation for longer than the caller can wait.
    Busy,
    /// Something the operation needs is out of reach: the store, a disk, a program, a peer.
    Unavailable,
    /// The caller, or all callers of one resource together, have too many requests open.
    TooMany,
    /// The node is not in a state that the operation requires, such as being in a cluster.
    Unmet,
    /// There is no connection to the node that an operation is for.
    NodeUnreachable,
    /// The connection to the node that an operation is for broke before the answer: whether a
    /// change was made is unknown.
    NodeLost,
    /// The node that an operation is for answered something that cannot be understood.
    NodeGarbled,
    /// There is no such operation in this version.
    NotImplemented,
    /// A bug in Ostler.
    Bug,
}

/// What is wrong with which parameter. Ordered, so that an answer is the same every time.
pub type FieldErrors = BTreeMap<String, String>;

/// An error at a border: what crosses from agent to api, and from an operation to its caller.
///
/// Inside a crate use that crate's own enum. The message is one line that a person can act on;
/// where a client of Proxmox VE matches its text, it is that text to the letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    pub kind: ErrorKind,
    pub message: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: FieldErrors,
}

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            fields: FieldErrors::new(),
        }
    }

    /// One parameter is wrong.
    pub fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::invalid_fields(FieldErrors::from([(field.into(), reason.into())]))
    }

    /// Several parameters are wrong. `fields` must not be empty.
    pub fn invalid_fields(fields: FieldErrors) -> Self {
        Self {
            kind: ErrorKind::Invalid,
            message: "Parameter verification failed.".to_owned(),
            fields,
        }
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    pub fn absent(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Absent, message)
    }

    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Forbidden, message)
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    pub fn bug(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Bug, message)
    }

    /// Joins an error and all its sources into one line, outermost first. Our error texts never
    /// repeat their source, so this is where the chain is printed, once.
    pub fn chain(error: &dyn std::error::Error) -> String {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for (field, reason) in &self.fields {
            write!(f, " {field}: {}", reason.trim_end())?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
