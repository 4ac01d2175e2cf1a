//! Second factors: a user's entries, and the check of an answer.
//!
//! ```text
//!   password right ──► entries? ──no──► session
//!                         │ yes
//!                         ▼
//!                      challenge ──► "totp:123456" or "recovery:…" ──► Factors::answer
//!                                      right: remember that it was used    ──► commit ──► session
//!                                      wrong: count; 8 lock totp, 100 lock all for an hour
//! ```
//!
//! This module does no I/O. `Authority` commits the changed record on condition that it was not
//! changed meanwhile, so each code works only once.

mod totp;

use model::UnixTime;
use model::text::hex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::secret::{hmac_sha256, random, same};

pub use totp::{Algorithm, Totp, TotpError};

/// After this many wrong codes in a row only a recovery code is accepted.
const TOTP_FAILURES: u32 = 8;
/// After this many wrong answers in a row none is accepted for an hour.
const ALL_FAILURES: u32 = 100;
const LOCK_SECONDS: i64 = 3600;
const RECOVERY_CODES: usize = 10;
/// The id of the recovery codes, of which a user has one set.
pub const RECOVERY_ID: &str = "recovery";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TotpEntry {
    pub id: String,
    pub description: String,
    pub created: UnixTime,
    pub enable: bool,
    totp: Totp,
    /// The last step whose code was used.
    #[serde(default)]
    used: i64,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct RecoveryEntry {
    pub created: UnixTime,
    pub enable: bool,
    #[serde(default)]
    pub description: String,
    /// So that the hashes of equal codes of two users differ.
    salt: String,
    /// Hashes of the codes by number; none if used.
    codes: Vec<Option<String>>,
}

impl std::fmt::Debug for RecoveryEntry {
    /// Never prints the hashes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RecoveryEntry({} left)", self.left().len())
    }
}

impl RecoveryEntry {
    /// A set of codes, and their plain texts, which cannot be recovered later.
    pub fn generate(now: UnixTime) -> (Self, Vec<String>) {
        let salt = hex(&random::<16>());
        let codes: Vec<String> = (0..RECOVERY_CODES)
            .map(|_| {
                let digits = hex(&random::<8>());
                format!(
                    "{}-{}-{}-{}",
                    &digits[..4],
                    &digits[4..8],
                    &digits[8..12],
                    &digits[12..]
                )
            })
            .collect();
        let hashes = codes
            .iter()
            .map(|code| Some(Self::hash(&salt, code)))
            .collect();
        let entry = Self {
            created: now,
            enable: true,
            description: String::new(),
            salt,
            codes: hashes,
        };
        (entry, codes)
    }

    /// A plain digest is enough: a code is 64 random bits, not a word that a person chose.
    fn hash(salt: &str, code: &str) -> String {
        hex(&hmac_sha256(
            salt.as_bytes(),
            code.trim().to_ascii_lowercase().as_bytes(),
        ))
    }

    /// The numbers of the unused codes.
    fn left(&self) -> Vec<usize> {
        self.codes
            .iter()
            .enumerate()
            .filter(|(_, code)| code.is_some())
            .map(|(n, _)| n)
            .collect()
    }

    fn take(&mut self, code: &str) -> bool {
        let hash = Self::hash(&self.salt, code);
        let mut taken = false;
        for slot in &mut self.codes {
            if slot
                .as_ref()
                .is_some_and(|known| same(known.as_bytes(), hash.as_bytes()))
            {
                *slot = None;
                taken = true;
            }
        }
        taken
    }
}

/// All second factors of a user, as the store keeps them below `secret/`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Factors {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub totp: Vec<TotpEntry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<RecoveryEntry>,
    #[serde(default)]
    totp_failures: u32,
    #[serde(default)]
    failures: u32,
    #[serde(default)]
    pub totp_locked: bool,
    #[serde(default)]
    pub locked_until: UnixTime,
}

/// An entry as it is shown: without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub id: String,
    pub kind: &'static str,
    pub description: String,
    pub created: UnixTime,
    pub enable: bool,
}

impl Factors {
    pub fn shown(&self) -> Vec<Shown> {
        let totp = self.totp.iter().map(|entry| Shown {
            id: entry.id.clone(),
            kind: "totp",
            description: entry.description.clone(),
            created: entry.created,
            enable: entry.enable,
        });
        let recovery = self.recovery.iter().map(|entry| Shown {
            id: RECOVERY_ID.to_owned(),
            kind: "recovery",
            description: entry.description.clone(),
            created: entry.created,
            enable: entry.enable,
        });
        totp.chain(recovery).collect()
    }

    /// Whether a second factor is required after the password.
    pub fn are_needed(&self) -> bool {
        self.shown().iter().any(|entry| entry.enable)
    }

    pub fn is_empty(&self) -> bool {
        self.totp.is_empty() && self.recovery.is_none()
    }

    /// The challenge that a login gets.
    pub fn challenge(&self) -> Value {
        let mut challenge = json!({});
        if self.totp.iter().any(|entry| entry.enable) && !self.totp_locked {
            challenge["totp"] = true.into();
        }
        if let Some(recovery) = self.recovery.as_ref().filter(|entry| entry.enable) {
            challenge["recovery"] = recovery.left().into();
        }
        challenge
    }

    pub fn is_locked(&self, now: UnixTime) -> bool {
        self.locked_until > now
    }

    /// Whether `kind:value` is right; a right code is used up. Both outcomes change the record: the
    /// caller must store it before it accepts the answer.
    pub fn answer(&mut self, answer: &str, now: UnixTime) -> bool {
        if self.is_locked(now) {
            return false;
        }
        let right = match answer.split_once(':') {
            Some(("totp", code)) => self.answer_totp(code, now),
            Some(("recovery", code)) => self.answer_recovery(code),
            _ => false,
        };
        if right {
            self.failures = 0;
        } else {
            self.failures += 1;
            if self.failures >= ALL_FAILURES {
                self.failures = 0;
                self.locked_until = now + LOCK_SECONDS;
            }
        }
        right
    }

    fn answer_totp(&mut self, code: &str, now: UnixTime) -> bool {
        if self.totp_locked {
            return false;
        }
        for entry in self.totp.iter_mut().filter(|entry| entry.enable) {
            if let Some(step) = entry.totp.verify(code, now, entry.used) {
                entry.used = step;
                self.totp_failures = 0;
                return true;
            }
        }
        self.totp_failures += 1;
        self.totp_locked = self.totp_failures >= TOTP_FAILURES;
        false
    }

    /// The same without recovery codes, and with codes of times after this one only.
    pub(crate) fn answer_totp_after(
        &mut self,
        not_before: UnixTime,
        answer: &str,
        now: UnixTime,
    ) -> bool {
        if !answer.starts_with("totp:") {
            return false;
        }
        for entry in &mut self.totp {
            // Then, codes of a few later steps were accepted too.
            let latest = entry.totp.step(not_before) + totp::TOLERANCE;
            entry.used = entry.used.max(latest);
        }
        self.answer(answer, now)
    }

    /// Takes over what was used, and failed, in a copy of this.
    pub(crate) fn absorb(&mut self, copy: Option<&Self>) {
        let Some(copy) = copy else { return };
        for entry in &mut self.totp {
            let used = copy.totp.iter().find(|other| other.id == entry.id);
            entry.used = entry.used.max(used.map_or(0, |other| other.used));
        }
        self.totp_failures = self.totp_failures.max(copy.totp_failures);
        self.failures = self.failures.max(copy.failures);
        self.totp_locked |= copy.totp_locked;
        self.locked_until = self.locked_until.max(copy.locked_until);
    }

    fn answer_recovery(&mut self, code: &str) -> bool {
        let right = match &mut self.recovery {
            Some(entry) if entry.enable => entry.take(code),
            _ => false,
        };
        if right {
            self.totp_locked = false;
            self.totp_failures = 0;
        }
        right
    }

    /// Clears all failures. True if something was locked.
    pub fn unlock(&mut self, now: UnixTime) -> bool {
        let locked = self.totp_locked || self.is_locked(now);
        self.totp_locked = false;
        self.totp_failures = 0;
        self.failures = 0;
        self.locked_until = 0;
        locked
    }

    /// Adds an authenticator app, which must have shown a right code, and returns the entry's id.
    /// The code is used up.
    pub fn add_totp(
        &mut self,
        totp: Totp,
        code: &str,
        description: String,
        now: UnixTime,
    ) -> Option<String> {
        let used = totp.verify(code, now, 0)?;
        let id = uuid::Uuid::new_v4().to_string();
        let enable = true;
        self.totp.push(TotpEntry {
            id: id.clone(),
            description,
            created: now,
            enable,
            totp,
            used,
        });
        Some(id)
    }

    /// Changes description and state of an entry. False if there is none with this id, and for
    /// recovery codes, which have no such fields.
    pub fn update(&mut self, id: &str, description: Option<String>, enable: Option<bool>) -> bool {
        let Some(entry) = self.totp.iter_mut().find(|entry| entry.id == id) else {
            return false;
        };
        if let Some(description) = description {
            entry.description = description;
        }
        entry.enable = enable.unwrap_or(entry.enable);
        true
    }

    /// Removes an entry. False if there is none with this id.
    pub fn remove(&mut self, id: &str) -> bool {
        if id == RECOVERY_ID {
            return self.recovery.take().is_some();
        }
        let before = self.totp.len();
        self.totp.retain(|entry| entry.id != id);
        self.totp.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = 1_800_000_000;
    const URI: &str = "otpauth://totp/x?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    fn factors() -> (Factors, Totp) {
        let totp = Totp::from_uri(URI).unwrap();
        let mut factors = Factors::default();
        let code = totp.code(totp.step(NOW));
        factors
            .add_totp(totp.clone(), &code, "phone".into(), NOW)
            .unwrap();
        (factors, totp)
    }

    // covers: S3.80
    #[test]
    fn a_code_works_once_also_the_one_that_proved_the_app() {
        let (mut factors, totp) = factors();
        let first = format!("totp:{}", totp.code(totp.step(NOW)));
        assert!(!factors.answer(&first, NOW), "used when the app was added");
        let later = NOW + 60;
        let next = format!("totp:{}", totp.code(totp.step(later)));
        assert!(factors.answer(&next, later));
        assert!(!factors.answer(&next, later));
    }

    // covers: S3.80
    #[test]
    fn each_recovery_code_works_once_and_unlocks_totp() {
        let (mut factors, totp) = factors();
        let (entry, codes) = RecoveryEntry::generate(NOW);
        factors.recovery = Some(entry);
        assert_eq!(codes.len(), 10);
        for _ in 0..8 {
            assert!(!factors.answer("totp:000000", NOW));
        }
        assert!(factors.totp_locked);
        assert_eq!(
            factors.challenge()["recovery"].as_array().unwrap().len(),
            10
        );
        assert!(factors.challenge().get("totp").is_none());
        let later = NOW + 60;
        let code = format!("totp:{}", totp.code(totp.step(later)));
        assert!(!factors.answer(&code, later), "locked");
        assert!(factors.answer(&format!("recovery:{}", codes[3]), later));
        assert!(!factors.answer(&format!("recovery:{}", codes[3]), later));
        assert_eq!(factors.challenge()["recovery"].as_array().unwrap().len(), 9);
        assert!(factors.answer(&code, later), "unlocked");
    }

    #[test]
    fn a_hundred_wrong_answers_lock_everything_for_an_hour() {
        let (mut factors, _) = factors();
        let (entry, codes) = RecoveryEntry::generate(NOW);
        factors.recovery = Some(entry);
        for _ in 0..100 {
            assert!(!factors.answer("recovery:nope", NOW));
        }
        let right = format!("recovery:{}", codes[0]);
        assert!(!factors.answer(&right, NOW + 3599));
        assert!(factors.answer(&right, NOW + 3600));
        assert!(factors.unlock(NOW) || factors.locked_until == 0);
    }

    #[test]
    fn a_disabled_entry_is_neither_asked_for_nor_taken() {
        let (mut factors, totp) = factors();
        let id = factors.totp[0].id.clone();
        assert!(factors.update(&id, None, Some(false)));
        assert!(!factors.are_needed());
        let later = NOW + 60;
        assert!(!factors.answer(&format!("totp:{}", totp.code(totp.step(later))), later));
        assert!(factors.remove(&id) && factors.is_empty());
    }

    #[test]
    fn nothing_secret_is_printed() {
        let (mut factors, _) = factors();
        factors.recovery = Some(RecoveryEntry::generate(NOW).0);
        let printed = format!("{factors:?}");
        assert!(
            !printed.contains("GEZDG") && !printed.contains("salt"),
            "{printed}"
        );
    }
}
