//! Credentials, and the identity they prove.

use model::{TokenName, UnixTime, UserId};
use serde::{Deserialize, Serialize};

/// A caller's credential. The api passes it on unread; the agent verifies it.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    None,
    /// A ticket and, for anything but a read, the matching CSRF token.
    Ticket {
        ticket: String,
        csrf: Option<String>,
    },
    /// `user@realm!name=secret`.
    Token(String),
    /// The process at the other end of the socket, by its uid as the kernel reports it. Only uid 0
    /// is a user: `root@pam`.
    Peer,
    /// The signature of another node's agent, which says that `root@pam` called this very request
    /// on its socket. Counts only on a connection of that agent.
    Vouched(Voucher),
}

/// What an agent signs for `root@pam` of its own socket (`auth::vouch`).
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Voucher {
    /// When it was signed.
    pub made: UnixTime,
    /// In base64.
    pub signature: String,
}

impl std::fmt::Debug for Credential {
    /// Never prints the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Ticket { .. } => "Ticket(..)",
            Self::Token(_) => "Token(..)",
            Self::Peer => "Peer",
            Self::Vouched(_) => "Vouched(..)",
        })
    }
}

/// A verified caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub user: UserId,
    /// The API token, if the caller used one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenIdentity>,
    /// When the credential expires.
    pub expires: UnixTime,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenIdentity {
    pub name: TokenName,
    /// The token has rights of its own, never more than its owner's.
    pub privilege_separation: bool,
}

impl Identity {
    pub fn root() -> Self {
        Self {
            user: UserId::root(),
            token: None,
            expires: UnixTime::MAX,
        }
    }

    /// Whether checks are skipped: `root@pam` itself, or a token of it without privilege
    /// separation.
    pub fn is_root(&self) -> bool {
        let separated = self
            .token
            .as_ref()
            .is_some_and(|token| token.privilege_separation);
        self.user.is_root() && !separated
    }

    /// `user@realm` or `user@realm!token`: the caller in tasks and logs.
    pub fn label(&self) -> String {
        match &self.token {
            Some(token) => format!("{}!{}", self.user, token.name),
            None => self.user.to_string(),
        }
    }
}
