//! Invitations: secrets that admit one node, once, for a limited time.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::text::hex;
use model::{Error, ErrorKind, Record, UnixTime};
use serde::{Deserialize, Serialize};
use store::{Commit, Key, Precondition, Prefix, Read, Store, list_all};

use crate::records::unreadable;

/// What a token begins with; a password that does so is none of PAM's.
const PREFIX: &str = "join!";

/// As the store keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Invitation {
    /// The SHA-256 of the secret, in hexadecimal digits.
    hash: String,
    expires: UnixTime,
}

fn prefix() -> Prefix {
    Prefix::below("secret/invitation").expect("a constant that is a key")
}

fn key(id: &str) -> Option<Key> {
    Key::new(format!("secret/invitation/{id}")).ok()
}

fn hash(secret: &str) -> String {
    hex(digest(&SHA256, secret.as_bytes()).as_ref())
}

/// Whether a password is the token of an invitation.
pub(crate) fn is_token(password: &str) -> bool {
    password.starts_with(PREFIX)
}

/// Makes an invitation, and forgets those that have expired. Returns its token, `join!ID=SECRET`.
pub async fn invite(store: &dyn Store, now: UnixTime, expires: UnixTime) -> Result<String, Error> {
    let mut random = [0; 40];
    let filled = SystemRandom::new().fill(&mut random);
    filled.map_err(|_| Error::unavailable("there are no random numbers"))?;
    let (id, secret) = random.split_at(8);
    let (id, secret) = (hex(id), URL_SAFE_NO_PAD.encode(secret));
    let invitation = Record::new(Invitation {
        hash: hash(&secret),
        expires,
    });
    let key = key(&id).ok_or_else(|| Error::bug("an invitation's id is no word of a key"))?;
    let mut commit = Commit::new().put(key, invitation.encode().map_err(unreadable)?);
    let (entries, _) = list_all(store, &prefix(), Read::Linear).await?;
    // As many as fit one commit; the rest another time.
    for entry in entries.iter().take(90) {
        let old = Record::<Invitation>::decode(&entry.value);
        if old.is_ok_and(|old| old.data.expires <= now) {
            commit = commit.delete(entry.key.clone());
        }
    }
    store.commit(commit).await?;
    Ok(format!("{PREFIX}{id}={secret}"))
}

/// Checks a token. Returns the commit that uses it up.
pub(super) async fn redeem(store: &dyn Store, now: UnixTime, token: &str) -> Result<Commit, Error> {
    let refused = || Error::new(ErrorKind::Unauthenticated, "this invitation is not valid");
    let (id, secret) = token
        .strip_prefix(PREFIX)
        .and_then(|token| token.split_once('='))
        .ok_or_else(refused)?;
    let key = key(id).ok_or_else(refused)?;
    let (entry, _) = store.get(&key, Read::Linear).await?;
    let entry = entry.ok_or_else(refused)?;
    let invitation = Record::<Invitation>::decode(&entry.value).map_err(unreadable)?;
    let invitation = invitation.data;
    let (known, given) = (invitation.hash.as_bytes(), hash(secret));
    verify_slices_are_equal(known, given.as_bytes()).map_err(|_| refused())?;
    if invitation.expires <= now {
        return Err(refused());
    }
    let unused = Precondition::ModifiedAt(key.clone(), entry.modified);
    Ok(Commit::new().when(unused).delete(key))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use store::{MemoryStore, StoreError};
    use testkit::ManualClock;

    use super::*;

    #[tokio::test]
    async fn an_invitation_counts_once_and_until_it_expires() {
        let store = MemoryStore::new(Arc::new(ManualClock::default()));
        let token = invite(&store, 100, 200).await.unwrap();
        assert!(is_token(&token), "{token}");
        assert!(token.len() <= 128);
        let refused = |result: Result<Commit, Error>| result.unwrap_err().kind;
        let unauthenticated = ErrorKind::Unauthenticated;
        for wrong in [
            "",
            "join!",
            "join!0=x",
            "join!../a=x",
            &token[..token.len() - 1],
        ] {
            let result = redeem(&store, 150, wrong).await;
            assert_eq!(refused(result), unauthenticated, "{wrong}");
        }
        assert_eq!(refused(redeem(&store, 200, &token).await), unauthenticated);
        let (once, twice) = (
            redeem(&store, 150, &token).await.unwrap(),
            redeem(&store, 150, &token).await.unwrap(),
        );
        store.commit(once).await.unwrap();
        let again = store.commit(twice).await;
        assert!(
            matches!(again, Err(StoreError::Conflict { .. })),
            "{again:?}"
        );
        assert_eq!(refused(redeem(&store, 150, &token).await), unauthenticated);
    }

    #[tokio::test]
    async fn expired_invitations_are_forgotten() {
        let store = MemoryStore::new(Arc::new(ManualClock::default()));
        invite(&store, 100, 200).await.unwrap();
        invite(&store, 150, 250).await.unwrap();
        invite(&store, 200, 300).await.unwrap();
        let (entries, _) = list_all(&store, &prefix(), Read::Linear).await.unwrap();
        assert_eq!(entries.len(), 2);
    }
}
