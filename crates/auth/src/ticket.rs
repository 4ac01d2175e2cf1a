//! Tickets, in the form that clients of Proxmox VE pass on without reading.
//!
//! ```text
//!   PVE:user@realm:HEXTIME::signature             a session, two hours
//!   PVE:!tfa!CHALLENGE:HEXTIME::signature         a right password, second factor missing
//!   PVEVNC:HEXTIME::signature                     one console for 40 seconds
//!   HEXTIME:hmac                                  CSRF token of a session
//! ```
//!
//! Signatures are Ed25519 in base64. What a ticket is bound to but does not contain (the user of a
//! challenge; user, path and port of a console) is signed with it. So is a number that the store
//! keeps for its user, `User::sessions`: changing it voids the ticket.
//!
//! **Keys** are in the store below `secret/`, and not in files: a session of one node must be valid
//! on all of them, all nodes share the store, and only the root agent opens it. The first key of a
//! ring signs, all of them verify, so that a key can be replaced without ending a session.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use model::{UnixTime, UserId};
use serde::{Deserialize, Serialize};

use crate::AuthError;
use crate::secret::{hmac_sha256, random, same};

/// How long a session lasts without renewal.
pub(crate) const SESSION_SECONDS: i64 = 2 * 3600;
/// How far ahead the clock of the node that issued a ticket may be.
pub(crate) const AHEAD_SECONDS: i64 = 5 * 60;
/// How long a user has to enter the second factor.
const CHALLENGE_SECONDS: i64 = 10 * 60;
const CONSOLE_SECONDS: i64 = 40;

/// One key as stored: 32 random bytes in base64, a seed or an HMAC key.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct StoredKey {
    pub(crate) key: String,
    pub(crate) created: UnixTime,
}

/// The keys of one purpose, newest first.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct StoredKeys {
    pub(crate) keys: Vec<StoredKey>,
}

impl StoredKeys {
    /// Adds a new key as the first and drops those whose tickets have all expired.
    pub(crate) fn rotate(&mut self, now: UnixTime) {
        let kept = SESSION_SECONDS + AHEAD_SECONDS;
        // A key went out of use when its successor was made.
        let mut successor = now;
        self.keys.retain(|key| {
            let keep = now - successor <= kept;
            successor = key.created;
            keep
        });
        let bytes: [u8; 32] = random();
        self.keys.insert(
            0,
            StoredKey {
                key: STANDARD.encode(bytes),
                created: now,
            },
        );
    }

    fn decoded(&self) -> Result<Vec<Vec<u8>>, AuthError> {
        let decode = |stored: &StoredKey| {
            let bytes = STANDARD
                .decode(&stored.key)
                .ok()
                .filter(|bytes| bytes.len() == 32);
            bytes.ok_or_else(|| AuthError::Broken("a signing key in the store is damaged".into()))
        };
        self.keys.iter().map(decode).collect()
    }
}

/// Issues and verifies tickets.
pub(crate) struct Signer {
    pairs: Vec<Ed25519KeyPair>,
    csrf: Vec<Vec<u8>>,
}

/// The content of a ticket with a valid signature.
#[derive(Debug, PartialEq, Eq)]
struct Opened<'a> {
    /// The part between the kind and the time; empty for consoles.
    about: &'a str,
    made: UnixTime,
}

impl Signer {
    pub(crate) fn new(tickets: &StoredKeys, csrf: &StoredKeys) -> Result<Self, AuthError> {
        let pair = |seed: Vec<u8>| {
            Ed25519KeyPair::from_seed_unchecked(&seed)
                .map_err(|_| AuthError::Broken("a signing key in the store is invalid".into()))
        };
        let pairs: Vec<_> = tickets
            .decoded()?
            .into_iter()
            .map(pair)
            .collect::<Result<_, _>>()?;
        let csrf = csrf.decoded()?;
        if pairs.is_empty() || csrf.is_empty() {
            return Err(AuthError::Broken("there is no signing key".into()));
        }
        Ok(Self { pairs, csrf })
    }

    /// `bound` is signed but not part of the text.
    fn seal(&self, plain: &str, bound: &str) -> String {
        let signature = self.pairs[0].sign(signed_text(plain, bound).as_bytes());
        format!("{plain}::{}", STANDARD.encode(signature.as_ref()))
    }

    fn open<'a>(&self, ticket: &'a str, kind: &str, bound: &str) -> Option<Opened<'a>> {
        let (plain, signature) = ticket.split_once("::")?;
        let signature = STANDARD.decode(signature).ok()?;
        let text = signed_text(plain, bound);
        self.pairs.iter().find(|pair| {
            let public = UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref());
            public.verify(text.as_bytes(), &signature).is_ok()
        })?;
        let (head, time) = plain.rsplit_once(':')?;
        let about = match head.strip_prefix(kind)? {
            "" => "",
            about => about.strip_prefix(':')?,
        };
        Some(Opened {
            about,
            made: hex_time(time)?,
        })
    }

    pub(crate) fn session(&self, user: &UserId, sessions: u64, now: UnixTime) -> String {
        self.seal(&format!("PVE:{user}:{now:08X}"), &number(sessions))
    }

    /// The user of a session, and when it began. `sessions` looks up the user's number.
    pub(crate) fn open_session(
        &self,
        ticket: &str,
        sessions: impl Fn(&UserId) -> Option<u64>,
        now: UnixTime,
    ) -> Option<(UserId, UnixTime)> {
        // Not trusted until the signature is verified, which needs the user's number.
        let claimed = ticket.strip_prefix("PVE:")?.split_once("::")?.0;
        let user = UserId::new(claimed.rsplit_once(':')?.0).ok()?;
        let opened = self.open(ticket, "PVE", &number(sessions(&user)?))?;
        // A challenge cannot pass as a user name, which never contains `!`.
        let is_user = UserId::new(opened.about).is_ok_and(|about| about == user);
        (is_user && is_current(opened.made, now, SESSION_SECONDS)).then_some((user, opened.made))
    }

    pub(crate) fn challenge(
        &self,
        user: &UserId,
        sessions: u64,
        challenge: &str,
        now: UnixTime,
    ) -> String {
        let encoded =
            percent_encoding::utf8_percent_encode(challenge, percent_encoding::NON_ALPHANUMERIC);
        let bound = challenge_bound(user, sessions);
        self.seal(&format!("PVE:!tfa!{encoded}:{now:08X}"), &bound)
    }

    /// Whether a ticket proves that this user's password was right.
    pub(crate) fn is_challenge(
        &self,
        ticket: &str,
        user: &UserId,
        sessions: u64,
        now: UnixTime,
    ) -> bool {
        self.open(ticket, "PVE", &challenge_bound(user, sessions))
            .is_some_and(|opened| {
                opened.about.starts_with("!tfa!") && is_current(opened.made, now, CHALLENGE_SECONDS)
            })
    }

    pub(crate) fn console(
        &self,
        label: &str,
        path: &str,
        port: Option<u16>,
        now: UnixTime,
    ) -> String {
        self.seal(
            &format!("PVEVNC:{now:08X}"),
            &console_bound(label, path, port),
        )
    }

    /// The console's password may precede a ticket: `password:PVEVNC:…`. A ticket issued without a
    /// port is valid for any.
    pub(crate) fn is_console(
        &self,
        ticket: &str,
        label: &str,
        path: &str,
        port: Option<u16>,
        now: UnixTime,
    ) -> bool {
        let Some(at) = ticket.find("PVEVNC:") else {
            return false;
        };
        let opened = [port, None]
            .into_iter()
            .find_map(|port| self.open(&ticket[at..], "PVEVNC", &console_bound(label, path, port)));
        opened.is_some_and(|opened| {
            opened.about.is_empty() && is_current(opened.made, now, CONSOLE_SECONDS)
        })
    }

    pub(crate) fn csrf(&self, user: &UserId, now: UnixTime) -> String {
        let time = format!("{now:08X}");
        format!("{time}:{}", csrf_mac(&self.csrf[0], &time, user))
    }

    pub(crate) fn is_csrf(&self, token: &str, user: &UserId, now: UnixTime) -> bool {
        let Some((time, mac)) = token.split_once(':') else {
            return false;
        };
        let right = self
            .csrf
            .iter()
            .any(|key| same(csrf_mac(key, time, user).as_bytes(), mac.as_bytes()));
        right && hex_time(time).is_some_and(|made| is_current(made, now, SESSION_SECONDS))
    }
}

/// Neither the plain nor the bound part contains a line feed.
fn signed_text(plain: &str, bound: &str) -> String {
    format!("{plain}\n{bound}")
}

/// A user's number as it is signed; empty for 0, as in tickets from before there were numbers.
fn number(sessions: u64) -> String {
    match sessions {
        0 => String::new(),
        sessions => sessions.to_string(),
    }
}

fn challenge_bound(user: &UserId, sessions: u64) -> String {
    format!("{user}:{}", number(sessions))
}

fn console_bound(label: &str, path: &str, port: Option<u16>) -> String {
    let port = port.map(|port| port.to_string()).unwrap_or_default();
    format!("{label}:{path}:{port}")
}

fn csrf_mac(key: &[u8], time: &str, user: &UserId) -> String {
    STANDARD_NO_PAD.encode(hmac_sha256(key, format!("{time}:{user}").as_bytes()))
}

fn hex_time(text: &str) -> Option<UnixTime> {
    let well_formed = text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
    well_formed
        .then(|| UnixTime::from_str_radix(text, 16).ok())
        .flatten()
}

fn is_current(made: UnixTime, now: UnixTime, life: i64) -> bool {
    made <= now + AHEAD_SECONDS && now < made + life
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: UnixTime = 1_800_000_000;

    fn keys(now: UnixTime) -> StoredKeys {
        let mut keys = StoredKeys::default();
        keys.rotate(now);
        keys
    }

    fn signer() -> Signer {
        Signer::new(&keys(NOW), &keys(NOW)).unwrap()
    }

    fn jane() -> UserId {
        "jane@pve".parse().unwrap()
    }

    fn open(signer: &Signer, ticket: &str, now: UnixTime) -> Option<(UserId, UnixTime)> {
        signer.open_session(ticket, |_| Some(7), now)
    }

    #[test]
    fn a_users_other_number_voids_tickets() {
        let signer = signer();
        let session = signer.session(&jane(), 7, NOW);
        let challenge = signer.challenge(&jane(), 7, "{}", NOW);
        for sessions in [None, Some(0), Some(8), Some(77)] {
            assert_eq!(signer.open_session(&session, |_| sessions, NOW), None);
            let sessions = sessions.unwrap_or_default();
            assert!(!signer.is_challenge(&challenge, &jane(), sessions, NOW));
        }
        let old = signer.session(&jane(), 0, NOW);
        assert!(signer.open_session(&old, |_| Some(0), NOW).is_some());
        assert!(open(&signer, &old, NOW).is_none());
    }

    #[test]
    fn a_session_has_the_shape_that_clients_know_and_lasts_two_hours() {
        let signer = signer();
        let ticket = signer.session(&jane(), 7, NOW);
        assert!(ticket.starts_with("PVE:jane@pve:6B49D200::"), "{ticket}");
        assert_eq!(open(&signer, &ticket, NOW), Some((jane(), NOW)));
        assert!(open(&signer, &ticket, NOW + 7199).is_some());
        assert!(open(&signer, &ticket, NOW + 7200).is_none());
        assert!(
            open(&signer, &ticket, NOW - 300).is_some(),
            "a clock that is behind"
        );
        assert!(open(&signer, &ticket, NOW - 301).is_none());
    }

    #[test]
    fn a_challenge_is_no_session_and_is_its_users_alone() {
        let signer = signer();
        let challenge = signer.challenge(&jane(), 7, r#"{"totp":true}"#, NOW);
        assert!(
            challenge.starts_with("PVE:!tfa!%7B%22totp%22%3Atrue%7D:"),
            "{challenge}"
        );
        assert!(signer.is_challenge(&challenge, &jane(), 7, NOW));
        assert!(!signer.is_challenge(&challenge, &UserId::root(), 7, NOW));
        assert!(!signer.is_challenge(&challenge, &jane(), 7, NOW + 600));
        assert!(open(&signer, &challenge, NOW).is_none());
        assert!(!signer.is_challenge(&signer.session(&jane(), 7, NOW), &jane(), 7, NOW));
    }

    #[test]
    fn a_console_ticket_is_for_one_path_and_port_and_forty_seconds() {
        let signer = signer();
        let ticket = signer.console("jane@pve", "/vms/100", Some(5900), NOW);
        let good =
            |ticket: &str, path, port, now| signer.is_console(ticket, "jane@pve", path, port, now);
        assert!(good(&ticket, "/vms/100", Some(5900), NOW + 39));
        assert!(good(
            &format!("pass1234:{ticket}"),
            "/vms/100",
            Some(5900),
            NOW
        ));
        assert!(!good(&ticket, "/vms/100", Some(5900), NOW + 40));
        assert!(!good(&ticket, "/vms/100", Some(5901), NOW));
        assert!(!good(&ticket, "/vms/100", None, NOW));
        assert!(!good(&ticket, "/vms/101", Some(5900), NOW));
        assert!(!signer.is_console(&ticket, "joe@pve", "/vms/100", Some(5900), NOW));
        let portless = signer.console("jane@pve", "/vms/100", None, NOW);
        assert!(good(&portless, "/vms/100", Some(5907), NOW));
    }

    #[test]
    fn a_csrf_token_is_its_users_and_lasts_as_long_as_a_session() {
        let signer = signer();
        let token = signer.csrf(&jane(), NOW);
        assert!(signer.is_csrf(&token, &jane(), NOW + 7199));
        assert!(!signer.is_csrf(&token, &jane(), NOW + 7200));
        assert!(!signer.is_csrf(&token, &UserId::root(), NOW));
        assert!(!signer.is_csrf("", &jane(), NOW));
        assert!(!signer.is_csrf(&token.replace("6B49D200", "6B49D201"), &jane(), NOW));
    }

    #[test]
    fn an_old_key_verifies_until_its_last_ticket_has_ended() {
        let mut tickets = keys(NOW);
        let ticket = Signer::new(&tickets, &keys(NOW))
            .unwrap()
            .session(&jane(), 7, NOW + 100);
        tickets.rotate(NOW + 200);
        let signer = Signer::new(&tickets, &keys(NOW)).unwrap();
        assert!(open(&signer, &ticket, NOW + 300).is_some());
        tickets.rotate(NOW + 100_000);
        assert_eq!(tickets.keys.len(), 2, "the oldest went out of use long ago");
    }

    proptest! {
        #[test]
        fn no_change_of_a_byte_leaves_a_ticket_good(at in 0usize..140, to in 0u8..128) {
            let signer = signer();
            let ticket = signer.session(&jane(), 7, NOW);
            let mut bytes = ticket.clone().into_bytes();
            let at = at % bytes.len();
            prop_assume!(bytes[at] != to);
            bytes[at] = to;
            let tampered = String::from_utf8(bytes).unwrap();
            prop_assert!(open(&signer, &tampered, NOW).is_none());
        }

        #[test]
        fn any_text_is_refused_without_panic(text in ".*") {
            let signer = signer();
            prop_assert!(open(&signer, &text, NOW).is_none());
            prop_assert!(!signer.is_console(&text, "a@pve", "/", None, NOW));
            prop_assert!(!signer.is_csrf(&text, &jane(), NOW));
        }
    }
}
