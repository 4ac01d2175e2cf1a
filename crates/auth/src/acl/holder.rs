//! The identity behind a name, from the records alone, and whether a credential that was verified
//! before is still valid.

use model::{TokenName, UnixTime, UserId};
use proto::{Identity, TokenIdentity};

use super::Access;

/// A user or token, with the generation of its password or secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Holder {
    label: String,
    sessions: u64,
    generation: Option<u64>,
}

impl std::fmt::Debug for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.label)
    }
}

impl Holder {
    /// The form that is signed into console tickets.
    pub(crate) fn bound(&self) -> String {
        let generation = self.generation.unwrap_or_default();
        format!("{}:{}:{generation}", self.label, self.sessions)
    }
}

impl Access {
    /// The identity of `user@realm` or `user@realm!token`, unauthenticated; none if the user or
    /// the token is not active.
    pub fn identity_of(&self, label: &str, now: UnixTime) -> Option<Identity> {
        if let Some((user, name)) = split_token(label) {
            return self.token_identity(user, name, now);
        }
        let user = UserId::new(label).ok()?;
        let record = self.user(&user).filter(|user| user.is_active(now))?;
        Some(Identity {
            user,
            token: None,
            expires: until(UnixTime::MAX, &[record.expire]),
        })
    }

    /// The identity of a token, if token and owner are active.
    pub(crate) fn token_identity(
        &self,
        user: UserId,
        name: TokenName,
        now: UnixTime,
    ) -> Option<Identity> {
        let owner = self.user(&user)?;
        let token = self.token(&user, &name)?;
        if !owner.is_active(now) || !token.is_active(now) {
            return None;
        }
        let expires = until(UnixTime::MAX, &[owner.expire, token.expire]);
        let token = TokenIdentity {
            name,
            privilege_separation: token.privsep,
        };
        Some(Identity {
            user,
            token: Some(token),
            expires,
        })
    }

    /// When `is_active` becomes false by time alone: the earlier of the expiries of user and token.
    pub fn expiry(&self, who: &Identity) -> UnixTime {
        let user = self.user(&who.user).map_or(0, |user| user.expire);
        let token = who.token.as_ref();
        let token = token.and_then(|token| self.token(&who.user, &token.name));
        until(
            UnixTime::MAX,
            &[user, token.map_or(0, |token| token.expire)],
        )
    }

    /// The current holder of this identity; none if the user or token does not exist.
    pub fn holder(&self, who: &Identity) -> Option<Holder> {
        let sessions = self.user(&who.user)?.sessions;
        let generation = match &who.token {
            Some(token) => Some(self.token(&who.user, &token.name)?.generation),
            None => None,
        };
        Some(Holder {
            label: who.label(),
            sessions,
            generation,
        })
    }

    /// The identity of a credential that was verified before, if it is still valid: the user is
    /// active, and the password or token secret has not been replaced.
    pub fn still(&self, holder: &Holder, now: UnixTime) -> Option<Identity> {
        let identity = self.identity_of(&holder.label, now)?;
        (self.holder(&identity).as_ref() == Some(holder)).then_some(identity)
    }
}

/// The earliest of `expires` and the limits, as the end of an identity. 0 means never.
pub(crate) fn until(expires: UnixTime, limits: &[UnixTime]) -> UnixTime {
    limits
        .iter()
        .copied()
        .filter(|limit| *limit != 0)
        .fold(expires, UnixTime::min)
}

pub(crate) fn split_token(label: &str) -> Option<(UserId, TokenName)> {
    let (user, name) = label.split_once('!')?;
    Some((UserId::new(user).ok()?, TokenName::new(name).ok()?))
}
