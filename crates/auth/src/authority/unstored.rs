//! Second factors while the store has no majority: their use cannot be stored, and yet a code must
//! not work twice.
//!
//! What was used is remembered by this process, and stored once there is a majority. Only codes of
//! times after the last contact and after the start of this process are accepted: earlier ones may
//! have been used at another node, or here before. Recovery codes are refused, since they have no
//! time. Another node without contact does not know what was used here: until a code's time has
//! passed, it works once at each such node.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use model::{UnixTime, UserId};
use store::{Read, Revision};

use super::Authority;
use crate::error::AuthError;
use crate::keys;
use crate::tfa::Factors;

/// The factors that were used, each with the revision of the record that it began with.
#[derive(Default)]
pub(super) struct Unstored {
    users: Mutex<BTreeMap<UserId, (Revision, Factors)>>,
}

impl Unstored {
    pub(super) fn of(&self, user: &UserId) -> Option<Factors> {
        let users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        users.get(user).map(|(_, factors)| factors.clone())
    }

    fn all(&self) -> Vec<UserId> {
        let users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        users.keys().cloned().collect()
    }

    pub(super) fn remove(&self, user: &UserId) {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        users.remove(user);
    }

    /// Answers with the factors of a record, as they were used here since.
    fn answer(
        &self,
        user: &UserId,
        (at, record): (Revision, Factors),
        answer: impl FnOnce(&mut Factors) -> bool,
    ) -> bool {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let factors = match users.remove(user) {
            Some((begun, factors)) if begun == at => factors,
            older => {
                let mut factors = record;
                factors.absorb(older.map(|(_, factors)| factors).as_ref());
                factors
            }
        };
        let (_, factors) = users.entry(user.clone()).or_insert((at, factors));
        answer(factors)
    }
}

impl Authority {
    pub(super) async fn answer_without_majority(
        &self,
        user: &UserId,
        answer: &str,
    ) -> Result<bool, AuthError> {
        let key = keys::tfa_secret(user);
        let Some((record, at)) = self.read::<Factors>(&key, Read::Local).await? else {
            return Ok(false);
        };
        if !record.data.are_needed() {
            return Ok(false);
        }
        let now = self.clock.wall();
        let not_before = self.last_contact(now).max(self.started);
        let right = self.unstored.answer(user, (at, record.data), |factors| {
            factors.answer_totp_after(not_before, answer, now)
        });
        Ok(right)
    }

    /// When the store was last heard.
    fn last_contact(&self, now: UnixTime) -> UnixTime {
        let age = self.store.outage().and_then(|outage| outage.age);
        let age_s = age.map_or(0, |age| age.as_secs().cast_signed());
        now.saturating_sub(age_s)
    }

    /// Stores what was used without a majority, whenever there is one again. Never returns.
    pub(super) async fn store_used_factors(&self) {
        loop {
            self.store.until_outage(true).await;
            self.store.until_outage(false).await;
            for user in self.unstored.all() {
                let used = self.unstored.of(&user);
                let stored = self
                    .change_factors(&user, |factors| {
                        factors.absorb(used.as_ref());
                        factors.are_needed().then_some(())
                    })
                    .await;
                match stored {
                    Ok(_) => self.unstored.remove(&user),
                    Err(error) => {
                        tracing::warn!(%user, %error, "the use of a second factor is not stored");
                    }
                }
            }
        }
    }
}
