//! Errors of this crate. Where clients of Proxmox VE match a text, it is used unchanged.

use model::{Error, ErrorKind, GroupId, PoolId, RealmId, RoleId, TokenName, UserId};
use store::{KeyError, StoreError};

/// Why authentication failed. The texts do not help an attacker: a wrong name, a wrong password and
/// too many attempts look the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error("No ticket")]
    NoCredential,
    /// An invalid ticket or token. The log has the details.
    #[error("Authentication failed!")]
    BadCredential,
    #[error("Permission denied - invalid csrf token")]
    BadCsrf,
    #[error("permission denied - invalid PVEVNC ticket")]
    BadVncTicket,
    #[error("authentication failure")]
    LoginFailed,
    #[error("too many conflicts with other changes, try again")]
    Contended,
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A bug; the text describes it and contains no secret.
    #[error("{0}")]
    Broken(String),
}

impl From<KeyError> for AccessError {
    fn from(error: KeyError) -> Self {
        Self::Invalid("path", error.to_string())
    }
}

impl From<AuthError> for Error {
    fn from(error: AuthError) -> Self {
        let kind = match &error {
            AuthError::Store(source) => source.kind(),
            AuthError::Contended => ErrorKind::Busy,
            AuthError::Broken(_) => ErrorKind::Bug,
            _ => ErrorKind::Unauthenticated,
        };
        Self::new(kind, Error::chain(&error))
    }
}

/// Why a change of users, groups, roles, rights, tokens or pools is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    #[error("no such user ('{0}')")]
    NoUser(UserId),
    #[error("user '{0}' already exists")]
    UserExists(UserId),
    #[error("user '{0}' does not exist")]
    UnknownUser(String),
    #[error("user 'root@pam' cannot be deleted")]
    RootStays,
    #[error("group '{0}' does not exist")]
    NoGroup(String),
    /// The same, for a user that is to join it.
    #[error("no such group '{0}'")]
    NoSuchGroup(String),
    #[error("group '{0}' already exists")]
    GroupExists(GroupId),
    #[error("role '{0}' does not exist")]
    NoRole(String),
    #[error("role '{0}' already exists")]
    RoleExists(RoleId),
    #[error("auto-generated role '{0}' cannot be {1}")]
    BuiltInRole(RoleId, &'static str),
    #[error("domain '{0}' does not exist")]
    NoRealm(String),
    #[error("authentication domain '{0}' does not exist")]
    NoRealmToDelete(RealmId),
    #[error("domain '{0}' is built in and cannot be deleted")]
    BuiltInRealm(RealmId),
    #[error("no such token '{1}' for user '{0}'")]
    NoToken(UserId, TokenName),
    /// Answered as an error of the parameter `tokenid`.
    #[error("Token already exists.")]
    TokenExists,
    #[error("pool '{0}' does not exist")]
    NoPool(PoolId),
    #[error("parent '{0}' of pool '{1}' does not exist")]
    NoParentPool(String, PoolId),
    #[error("pool '{0}' already exists")]
    PoolExists(PoolId),
    #[error("pool '{0}' is not empty (contains {1})")]
    PoolNotEmpty(PoolId, String),
    #[error("{0} is not a pool member")]
    NotMember(String),
    #[error("{0} is already a pool member")]
    AlreadyMember(String),
    #[error("VM {0} belongs already to pool '{1}' and 'allow-move' is not set")]
    OtherPool(u32, PoolId),
    /// The caller cannot grant privileges that it does not have.
    #[error("{1}")]
    Invalid(&'static str, String),
    #[error(transparent)]
    Denied(#[from] crate::Denied),
    #[error("detected modified configuration - file changed by other user? Try again.")]
    Modified,
    #[error("'{0}' was written by a newer version of Ostler and cannot be changed here")]
    Newer(String),
    #[error("too many conflicts with other changes, try again")]
    Contended,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Broken(String),
}

impl AccessError {
    fn kind(&self) -> ErrorKind {
        use AccessError as E;
        match self {
            E::NoUser(_) | E::NoGroup(_) | E::NoRole(_) | E::NoRealm(_) | E::NoToken(..) => {
                ErrorKind::NotFound
            }
            E::NoSuchGroup(_) | E::NoRealmToDelete(_) => ErrorKind::NotFound,
            E::UnknownUser(_) | E::NoPool(_) | E::NoParentPool(..) => ErrorKind::NotFound,
            E::TokenExists | E::Invalid(..) => ErrorKind::Invalid,
            E::Denied(_) => ErrorKind::Forbidden,
            E::Contended => ErrorKind::Busy,
            E::Store(source) => source.kind(),
            E::Broken(_) => ErrorKind::Bug,
            _ => ErrorKind::Conflict,
        }
    }

    /// As an operation's answer whose errors begin with the attempt, e.g. `create pool failed`.
    /// Wrong parameters and refusals get no prefix.
    pub fn during(self, attempt: &str) -> Error {
        match self {
            Self::TokenExists | Self::Invalid(..) | Self::Denied(_) => self.into(),
            other => {
                let kind = other.kind();
                Error::new(kind, format!("{attempt}: {}", Error::chain(&other)))
            }
        }
    }
}

impl From<AccessError> for Error {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::TokenExists => Error::invalid("tokenid", error.to_string()),
            AccessError::Invalid(field, reason) => Error::invalid(field, reason),
            other => Error::new(other.kind(), Error::chain(&other)),
        }
    }
}
