//! How often somebody may be wrong.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Failed logins of a minute by (user, address). After `FAILURES` of them further attempts are
/// answered as a wrong password is, without looking at the password.
pub(crate) struct FailureLimit {
    failures: Mutex<HashMap<(String, String), Window>>,
}

#[derive(Clone, Copy)]
struct Window {
    began: Duration,
    count: u32,
}

const FAILURES: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// Bounds the memory that an attacker with many names and addresses can make us use.
const ENTRIES: usize = 10_000;

impl FailureLimit {
    pub(crate) fn new() -> Self {
        Self {
            failures: Mutex::default(),
        }
    }

    fn key(user: &str, address: &str) -> (String, String) {
        // A name is as long as a client likes; what is kept of it is not.
        let short = |text: &str| text.chars().take(80).collect();
        (short(user), short(address))
    }

    /// Whether another attempt is looked at. `now` is the monotonic clock.
    pub(crate) fn allows(&self, user: &str, address: &str, now: Duration) -> bool {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures
            .get(&Self::key(user, address))
            .is_none_or(|window| window.count < FAILURES || now >= window.began + WINDOW)
    }

    pub(crate) fn failed(&self, user: &str, address: &str, now: Duration) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= ENTRIES {
            failures.retain(|_, window| now < window.began + WINDOW);
        }
        if failures.len() >= ENTRIES {
            let oldest = failures.iter().min_by_key(|(_, window)| window.began);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                failures.remove(&key);
            }
        }
        let fresh = Window {
            began: now,
            count: 0,
        };
        let window = failures.entry(Self::key(user, address)).or_insert(fresh);
        if now >= window.began + WINDOW {
            *window = fresh;
        }
        window.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_eleventh_failure_of_a_minute_is_not_looked_at() {
        let limit = FailureLimit::new();
        for second in 0..10 {
            assert!(limit.allows("jane@pve", "10.0.0.1", at(second)));
            limit.failed("jane@pve", "10.0.0.1", at(second));
        }
        assert!(!limit.allows("jane@pve", "10.0.0.1", at(59)));
        assert!(
            limit.allows("jane@pve", "10.0.0.2", at(59)),
            "another address"
        );
        assert!(limit.allows("joe@pve", "10.0.0.1", at(59)), "another user");
        assert!(
            limit.allows("jane@pve", "10.0.0.1", at(60)),
            "a minute later"
        );
    }

    #[test]
    fn memory_is_bounded() {
        let limit = FailureLimit::new();
        for number in 0..ENTRIES as u64 + 100 {
            limit.failed(
                &format!("user{number}@pve"),
                "10.0.0.1",
                Duration::from_millis(number),
            );
        }
        assert!(limit.failures.lock().unwrap().len() <= ENTRIES);
    }
}
