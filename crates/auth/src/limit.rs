//! Limits on failed logins.
//!
//! The api reports the address of a caller, and the api may be compromised: made-up addresses must
//! not buy another ten guesses each. So failures are counted several times.
//!
//! ```text
//!   user and address   10 a minute, always
//!   user               30 a minute ┐ except from this machine and from addresses from which
//!   address            60 a minute ┘ the user has logged in before (trusted places)
//!   process           300 a minute, except for trusted places
//! ```
//!
//! Failures elsewhere do not lock an administrator out on the node itself or at a trusted address.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const WINDOW: Duration = Duration::from_secs(60);
const PAIR: u32 = 10;
const USER: u32 = 30;
const ADDRESS: u32 = 60;
const PROCESS: u32 = 300;

/// Bounds the memory that an attacker can use up with many names and addresses.
const ENTRIES: usize = 10_000;

/// How many trusted addresses are remembered per user.
const TRUSTED: usize = 32;

/// An attempt to log in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt<'a> {
    pub(crate) user: &'a str,
    pub(crate) address: Option<&'a str>,
    /// The uid of the calling process, from the kernel.
    pub(crate) process: Option<u32>,
}

/// The origin of an attempt, as far as limits need it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    Here,
    Address(IpAddr),
    /// The network part of an IPv6 address: a host can use any number of host parts.
    Network(u64),
    /// A text that is no address.
    Nowhere,
}

impl Place {
    fn of(address: Option<&str>) -> Self {
        // A command on the node has no address.
        let Some(address) = address.filter(|address| !address.is_empty()) else {
            return Self::Here;
        };
        match address
            .parse()
            .map(|address: IpAddr| address.to_canonical())
        {
            Err(_) => Self::Nowhere,
            Ok(address) if address.is_loopback() => Self::Here,
            Ok(IpAddr::V6(address)) => Self::Network((address.to_bits() >> 64) as u64),
            Ok(address) => Self::Address(address),
        }
    }
}

/// What failures are counted by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Count {
    Pair(String, Place),
    User(String),
    Address(Place),
    Process { uid: Option<u32>, is_trusted: bool },
}

impl Count {
    fn limit(&self) -> u32 {
        match self {
            Self::Pair(..) => PAIR,
            Self::User(_) => USER,
            Self::Address(_) => ADDRESS,
            Self::Process { .. } => PROCESS,
        }
    }
}

#[derive(Clone, Copy)]
struct Window {
    began: Duration,
    count: u32,
}

impl Window {
    fn is_over(&self, now: Duration) -> bool {
        now >= self.began + WINDOW
    }
}

#[derive(Default)]
struct State {
    failures: HashMap<Count, Window>,
    /// Where users have logged in, and when they last did.
    trusted: HashMap<String, HashMap<Place, Duration>>,
}

/// Failed logins of the last minute. Beyond the limits, an attempt is answered like a wrong
/// password, without checking the password.
#[derive(Default)]
pub(crate) struct FailureLimit(Mutex<State>);

/// A user name, cut: clients may send names of any length, but the table must stay small.
fn name(user: &str) -> String {
    user.chars().take(80).collect()
}

impl FailureLimit {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an attempt is within the limits. `now` is the monotonic clock.
    pub(crate) fn allows(&self, attempt: Attempt<'_>, now: Duration) -> bool {
        let state = self.state();
        let is_open = |count: &Count| {
            let window = state.failures.get(count);
            window.is_none_or(|window| window.count < count.limit() || window.is_over(now))
        };
        state.counts(attempt).iter().all(is_open)
    }

    pub(crate) fn failed(&self, attempt: Attempt<'_>, now: Duration) {
        let mut state = self.state();
        for count in state.counts(attempt) {
            make_room(&mut state.failures, ENTRIES, |window| window.began);
            let fresh = Window {
                began: now,
                count: 0,
            };
            let window = state.failures.entry(count).or_insert(fresh);
            if window.is_over(now) {
                *window = fresh;
            }
            window.count += 1;
        }
    }

    /// Remembers where a user has logged in.
    pub(crate) fn succeeded(&self, attempt: Attempt<'_>, now: Duration) {
        let mut state = self.state();
        let latest = |places: &HashMap<Place, Duration>| places.values().max().copied();
        make_room(&mut state.trusted, ENTRIES, |places| {
            latest(places).unwrap_or_default()
        });
        let places = state.trusted.entry(name(attempt.user)).or_default();
        make_room(places, TRUSTED, |used| *used);
        places.insert(Place::of(attempt.address), now);
    }
}

impl State {
    fn counts(&self, attempt: Attempt<'_>) -> Vec<Count> {
        let (user, place) = (name(attempt.user), Place::of(attempt.address));
        let trusted = self.trusted.get(&user);
        let is_known = trusted.is_some_and(|places| places.contains_key(&place));
        let is_trusted = is_known || place == Place::Here;
        let uid = attempt.process;
        let mut counts = vec![
            Count::Process { uid, is_trusted },
            Count::Pair(user.clone(), place.clone()),
        ];
        if !is_trusted {
            counts.extend([Count::User(user), Count::Address(place)]);
        }
        counts
    }
}

/// Removes the oldest entry if the table is full.
fn make_room<K: Clone + Eq + Hash, V>(
    map: &mut HashMap<K, V>,
    limit: usize,
    age: impl Fn(&V) -> Duration,
) {
    if map.len() < limit {
        return;
    }
    let oldest = map.iter().min_by_key(|(_, value)| age(value));
    if let Some(key) = oldest.map(|(key, _)| key.clone()) {
        map.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn from<'a>(user: &'a str, address: &'a str) -> Attempt<'a> {
        Attempt {
            user,
            address: Some(address),
            process: Some(999),
        }
    }

    /// Fails until the limit is reached; returns the number of failures.
    fn failures<'a>(
        limit: &FailureLimit,
        now: Duration,
        attempts: impl IntoIterator<Item = Attempt<'a>>,
    ) -> usize {
        let looked_at = attempts.into_iter().filter(|attempt| {
            let is_allowed = limit.allows(*attempt, now);
            if is_allowed {
                limit.failed(*attempt, now);
            }
            is_allowed
        });
        looked_at.count()
    }

    #[test]
    fn the_eleventh_failure_of_a_minute_is_not_looked_at() {
        let limit = FailureLimit::default();
        for second in 0..10 {
            assert!(limit.allows(from("jane@pve", "10.0.0.1"), at(second)));
            limit.failed(from("jane@pve", "10.0.0.1"), at(second));
        }
        assert!(!limit.allows(from("jane@pve", "10.0.0.1"), at(59)));
        for other in [
            from("jane@pve", "10.0.0.2"),
            from("joe@pve", "10.0.0.1"),
            from("jane@pve", "127.0.0.1"),
        ] {
            assert!(limit.allows(other, at(59)), "{other:?}");
        }
        assert!(
            limit.allows(from("jane@pve", "10.0.0.1"), at(60)),
            "a minute later"
        );
    }

    #[test]
    fn addresses_that_are_made_up_buy_no_more_guesses() {
        let limit = FailureLimit::default();
        limit.succeeded(from("root@pam", "10.9.9.9"), at(0));
        let addresses: Vec<String> = (0..250)
            .map(|number| format!("10.0.0.{number}"))
            .chain((0..250).map(|number| format!("2001:db8:0:{number:x}::1")))
            .chain([
                "".into(),
                "::1".into(),
                "127.1.2.3".into(),
                "nowhere".into(),
            ])
            .collect();
        let all = |user| addresses.iter().map(move |address| from(user, address));
        // Thirty, and ten from this machine, in all spellings of its address.
        let guesses: usize = (0..20)
            .map(|_| failures(&limit, at(1), all("root@pam")))
            .sum();
        assert_eq!(guesses, 30 + 10);
        // The administrator's usual address still works.
        assert!(limit.allows(from("root@pam", "10.9.9.9"), at(2)));
        assert!(!limit.allows(from("root@pam", "10.9.9.8"), at(2)));
    }

    #[test]
    fn a_process_has_three_hundred_guesses_about_any_users() {
        let limit = FailureLimit::default();
        let users: Vec<String> = (0..1_000)
            .map(|number| format!("user{number}@pve"))
            .collect();
        let guesses = users.iter().map(|user| from(user, "10.0.0.1"));
        assert_eq!(failures(&limit, at(0), guesses), 60, "of one address");
        let addresses: Vec<String> = (0..1_000)
            .map(|number| format!("10.1.{}.{}", number / 250, number % 250))
            .collect();
        let guesses = users.iter().zip(&addresses);
        let guesses = guesses.map(|(user, address)| from(user, address));
        assert_eq!(failures(&limit, at(0), guesses), 300 - 60);
        let here = users.iter().map(|user| from(user, "127.0.0.1"));
        assert_eq!(failures(&limit, at(0), here), 300);
        let other = Attempt {
            process: Some(0),
            ..from("jane@pve", "10.0.0.2")
        };
        assert!(limit.allows(other, at(0)), "another process");
        assert!(limit.allows(from("jane@pve", "10.0.0.1"), at(60)));
    }

    #[test]
    fn memory_is_bounded() {
        let limit = FailureLimit::default();
        for number in 0..ENTRIES as u64 + 100 {
            let user = format!("user{number}@pve");
            limit.failed(from(&user, "10.0.0.1"), Duration::from_millis(number));
            let address = format!("10.1.{}.{}", number / 256, number % 256);
            limit.succeeded(from("jane@pve", &address), Duration::from_millis(number));
        }
        let state = limit.state();
        assert!(state.failures.len() <= ENTRIES);
        assert_eq!(state.trusted["jane@pve"].len(), TRUSTED);
    }
}
