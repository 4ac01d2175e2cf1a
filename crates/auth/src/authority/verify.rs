//! From a credential to an identity.

use model::text::hex;
use model::{Record, UserId};
use proto::{Credential, Identity};
use serde::{Deserialize, Serialize};
use store::Read;

use super::Authority;
use crate::acl::{Holder, split_token, until};
use crate::error::{AccessError, AuthError};
use crate::keys;
use crate::secret::{same, sha256};
use crate::ticket::SESSION_SECONDS;

/// The origin of a credential.
#[derive(Debug, Clone, Copy, Default)]
pub struct Caller<'a> {
    /// For the log and the limit on failures.
    pub address: Option<&'a str>,
    /// The uid of the process at the other end of a unix socket, from the kernel.
    pub uid: Option<u32>,
}

/// What is stored of a token's secret.
///
/// A plain SHA-256 is enough: the secret is a version 4 UUID, 122 random bits that are in no
/// dictionary, and the check is made on every request, so it must be cheap.
#[derive(Serialize, Deserialize)]
pub struct TokenSecret {
    hash: String,
}

/// A new token's secret: the text shown once, and the part that is stored.
pub fn new_token_secret() -> (String, TokenSecret) {
    let secret = uuid::Uuid::new_v4().to_string();
    let hash = hex(&sha256(secret.as_bytes()));
    (secret, TokenSecret { hash })
}

impl TokenSecret {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, AccessError> {
        Record::new(Self {
            hash: self.hash.clone(),
        })
        .encode()
        .map_err(|_| AccessError::Broken("a token's secret cannot be written".to_owned()))
    }
}

impl Authority {
    /// Identifies the caller. `csrf_required` is true for everything but reads; only tickets need
    /// the CSRF token, because only they are sent by a browser on its own.
    pub async fn verify(
        &self,
        credential: &Credential,
        csrf_required: bool,
        caller: Caller<'_>,
    ) -> Result<Identity, AuthError> {
        let outcome = match credential {
            Credential::None => Err(AuthError::NoCredential),
            Credential::Ticket { ticket, csrf } => {
                self.verify_ticket(ticket, csrf.as_deref(), csrf_required)
            }
            Credential::Token(token) => self.verify_token(token).await,
            Credential::Peer if caller.uid == Some(0) => Ok(Identity::root()),
            // A voucher needs the connection that it came over: `vouch::verify`.
            Credential::Peer | Credential::Vouched(_) => Err(AuthError::BadCredential),
        };
        if let Err(AuthError::BadCredential | AuthError::BadCsrf) = outcome {
            tracing::info!(address = caller.address, ?credential, "credential refused");
        }
        outcome
    }

    fn verify_ticket(
        &self,
        ticket: &str,
        csrf: Option<&str>,
        csrf_required: bool,
    ) -> Result<Identity, AuthError> {
        let (now, signer) = (self.clock.wall(), self.signer());
        let access = self.access();
        let sessions = |user: &UserId| access.user(user).map(|user| user.sessions);
        let (user, made) = signer
            .open_session(ticket, sessions, now)
            .ok_or(AuthError::BadCredential)?;
        let record = access.user(&user).filter(|user| user.is_active(now));
        let record = record.ok_or(AuthError::BadCredential)?;
        if csrf_required && !csrf.is_some_and(|csrf| signer.is_csrf(csrf, &user, now)) {
            return Err(AuthError::BadCsrf);
        }
        let expires = until(made + SESSION_SECONDS, &[record.expire]);
        Ok(Identity {
            user,
            token: None,
            expires,
        })
    }

    async fn verify_token(&self, text: &str) -> Result<Identity, AuthError> {
        let bad = || AuthError::BadCredential;
        let (label, secret) = text.rsplit_once('=').ok_or_else(bad)?;
        let (user, name) = split_token(label).ok_or_else(bad)?;
        let identity = self
            .access()
            .token_identity(user, name, self.clock.wall())
            .ok_or_else(bad)?;
        let token = identity.token.as_ref().ok_or_else(bad)?;
        let key = keys::token_secret(&identity.user, &token.name);
        let (known, _) = self
            .read::<TokenSecret>(&key, Read::Local)
            .await?
            .ok_or_else(bad)?;
        let given = hex(&sha256(secret.as_bytes()));
        if same(given.as_bytes(), known.data.hash.as_bytes()) {
            Ok(identity)
        } else {
            Err(bad())
        }
    }

    /// The identity of `user@realm` or `user@realm!token`, unauthenticated: for queries about
    /// another user's rights.
    pub fn identity_of(&self, label: &str) -> Option<Identity> {
        self.access().identity_of(label, self.clock.wall())
    }

    /// A ticket for one console, valid for 40 seconds. It is bound to the user and credential, to
    /// the path that rights were checked on, and to the port if there is one.
    pub fn console_ticket(&self, who: &Identity, path: &str, port: Option<u16>) -> String {
        let holder = self.holder(who);
        let holder = holder.as_ref().map(Holder::bound).unwrap_or_default();
        self.signer()
            .console(&holder, path, port, self.clock.wall())
    }

    /// Verifies a console ticket. `label` is `user@realm` or `user@realm!token`.
    pub fn verify_console(
        &self,
        label: &str,
        path: &str,
        port: Option<u16>,
        ticket: &str,
    ) -> Result<Identity, AuthError> {
        let bad = || AuthError::BadVncTicket;
        let identity = self.identity_of(label).ok_or_else(bad)?;
        let holder = self.holder(&identity).ok_or_else(bad)?.bound();
        let good = self
            .signer()
            .is_console(ticket, &holder, path, port, self.clock.wall());
        good.then_some(identity).ok_or_else(bad)
    }

    /// The current holder of this identity; none if the user or token does not exist.
    pub fn holder(&self, who: &Identity) -> Option<Holder> {
        self.access().holder(who)
    }

    /// The identity of a credential that was verified before, if it is still valid: the user is
    /// active, and the password or token secret has not been replaced.
    pub fn still(&self, holder: &Holder) -> Option<Identity> {
        self.access().still(holder, self.clock.wall())
    }
}
