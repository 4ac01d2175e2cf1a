//! What has happened lately, for people: a ring in memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{Clock, UnixTime};

/// How many events are remembered.
const KEPT: usize = 1_000;

/// How grave an event is, in syslog's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Priority {
    Warning = 4,
    Info = 6,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Counts all events since the agent started.
    pub number: u64,
    pub time: UnixTime,
    pub priority: Priority,
    /// Whose doing it was.
    pub user: String,
    /// The part of the platform that says it.
    pub tag: &'static str,
    pub message: String,
}

/// The last events of this agent.
pub struct Events {
    clock: Arc<dyn Clock>,
    ring: Mutex<VecDeque<Event>>,
}

impl Events {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let events = Self {
            clock,
            ring: Mutex::default(),
        };
        events.add(Priority::Info, "root", "cluster", "starting cluster log");
        events
    }

    pub fn add(
        &self,
        priority: Priority,
        user: &str,
        tag: &'static str,
        message: impl Into<String>,
    ) {
        let mut ring = self.ring();
        let number = ring.back().map_or(1, |last| last.number + 1);
        let (user, message) = (user.to_owned(), message.into());
        ring.push_back(Event {
            number,
            time: self.clock.wall(),
            priority,
            user,
            tag,
            message,
        });
        if ring.len() > KEPT {
            ring.pop_front();
        }
    }

    /// Newest first.
    pub fn latest(&self) -> Vec<Event> {
        self.ring().iter().rev().cloned().collect()
    }

    fn ring(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use testkit::ManualClock;

    use super::*;

    #[test]
    fn only_the_last_events_are_kept() {
        let events = Events::new(Arc::new(ManualClock::default()));
        for at in 0..KEPT {
            events.add(Priority::Info, "a@pve", "test", format!("event {at}"));
        }
        let latest = events.latest();
        assert_eq!((latest.len(), latest[0].number), (KEPT, KEPT as u64 + 1));
        assert_eq!(latest.last().unwrap().message, "event 0");
    }
}
