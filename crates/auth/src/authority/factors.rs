//! Second factors in the store. Every change is a commit on condition that the record has not
//! changed meanwhile.

use model::{Record, UserId};
use serde_json::Value;
use store::{Commit, Precondition, Read, Revision, StoreError, list_all};

use super::{ATTEMPTS, Authority};
use crate::error::AuthError;
use crate::keys;
use crate::tfa::Factors;

impl Authority {
    /// A user's second factors; an empty set if there are none.
    pub async fn factors(&self, user: &UserId) -> Result<Factors, AuthError> {
        let key = keys::tfa_secret(user);
        let stored = self.read::<Factors>(&key, Read::Local).await?;
        Ok(stored.map(|(record, _)| record.data).unwrap_or_default())
    }

    /// The second factors of all users that have any.
    pub async fn all_factors(&self) -> Result<Vec<(UserId, Factors)>, AuthError> {
        let prefix = keys::tfa_secrets();
        let (entries, _) = list_all(&*self.store, &prefix, Read::Local).await?;
        let read = |entry: store::Entry| {
            let user = entry
                .key
                .as_str()
                .strip_prefix(prefix.as_str())?
                .parse()
                .ok()?;
            let record = Record::<Factors>::decode(&entry.value).ok()?;
            (!record.data.is_empty()).then_some((user, record.data))
        };
        Ok(entries.into_iter().filter_map(read).collect())
    }

    /// Changes a user's second factors. `change` may be called several times; None writes nothing.
    /// Returns its result, and the revision of the commit.
    pub async fn change_factors<T>(
        &self,
        user: &UserId,
        change: impl Fn(&mut Factors) -> Option<T>,
    ) -> Result<Option<(T, Revision)>, AuthError> {
        let key = keys::tfa_secret(user);
        for _ in 0..ATTEMPTS {
            let stored = self.read::<Factors>(&key, Read::Linear).await?;
            let unchanged = match &stored {
                Some((_, revision)) => Precondition::ModifiedAt(key.clone(), *revision),
                None => Precondition::Absent(key.clone()),
            };
            let mut record =
                stored.map_or_else(|| Record::new(Factors::default()), |(record, _)| record);
            let Some(result) = change(&mut record.data) else {
                return Ok(None);
            };
            let commit = Commit::new().when(unchanged);
            let commit = if record.data.is_empty() {
                commit.delete(key.clone())
            } else {
                let value = record
                    .encode()
                    .map_err(|_| AuthError::Broken("second factors cannot be written".into()))?;
                commit.put(key.clone(), value)
            };
            match self.store.commit(commit).await {
                Ok(revision) => return Ok(Some((result, revision))),
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AuthError::Contended)
    }

    /// The challenge for a login; none if the password is enough.
    pub(super) async fn wanted_factors(&self, user: &UserId) -> Result<Option<Value>, AuthError> {
        let factors = self.factors(user).await?;
        Ok(factors.are_needed().then(|| factors.challenge()))
    }

    /// Whether an answer to a challenge is right. It is accepted only once its use is stored: of
    /// two logins with one code, one commit conflicts and checks again. Without a majority the use
    /// is remembered here, see `unstored`.
    pub(super) async fn answer_factor(
        &self,
        user: &UserId,
        answer: &str,
    ) -> Result<bool, AuthError> {
        let now = self.clock.wall();
        let used_here = self.unstored.of(user);
        let answered = self
            .change_factors(user, |factors| {
                factors.absorb(used_here.as_ref());
                factors.are_needed().then(|| factors.answer(answer, now))
            })
            .await;
        match answered {
            Ok(answered) => {
                self.unstored.remove(user);
                Ok(answered.is_some_and(|(right, _)| right))
            }
            // Contention like this is not a person typing codes.
            Err(AuthError::Contended) => Ok(false),
            Err(AuthError::Store(StoreError::NoQuorum)) => {
                self.answer_without_majority(user, answer).await
            }
            Err(error) => Err(error),
        }
    }
}
