//! When events are due, by the clocks of the node's time zone.
//!
//! Where clocks are put back, an hour is shown twice. An event of every hour (`*/15`) is due in both, any
//! other one (`2:30`) in the first alone. Where clocks are put forward, what they skip is due as if they
//! had not been.

use std::collections::BTreeSet;

use model::calendar::CalendarEvent;
use model::{Error, UnixTime};
use sys::SharedHost;

use crate::NodeContext;
use crate::host::time_zone;

const HOUR_S: i64 = 3600;
const DAY_S: i64 = 24 * HOUR_S;

/// How many of the times in a span are named. Of more, the first ones are, and those of the last
/// hour.
const NAMED: usize = 1000;

/// How many are looked for one by one.
const STEPS: usize = 20;

/// More than the seconds that clocks show twice.
const SHOWN_TWICE: usize = 2 * HOUR_S as usize;

/// The clocks of a time zone.
pub struct Zone {
    host: SharedHost,
    name: String,
}

impl Zone {
    pub async fn of(node: &NodeContext) -> Result<Self, Error> {
        Ok(Self {
            host: node.host.clone(),
            name: time_zone::of(node).await?,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    async fn offsets_s(&self, at: &[UnixTime]) -> Result<Vec<i64>, Error> {
        time_zone::offsets_s(&self.host, &self.name, at).await
    }

    /// What the clocks show at these times, in civil seconds.
    pub(crate) async fn civil(&self, at: &[UnixTime]) -> Result<Vec<i64>, Error> {
        let offsets = self.offsets_s(at).await?;
        Ok(at.iter().zip(offsets).map(|(at, by)| at + by).collect())
    }

    /// When the clocks first show this.
    async fn first(&self, civil_s: i64) -> Result<UnixTime, Error> {
        Ok(time_zone::times(&self.host, &self.name, &[civil_s]).await?[0])
    }

    /// When an event is due next after a time; never, if its years are over.
    pub async fn next(
        &self,
        event: &CalendarEvent,
        after: UnixTime,
    ) -> Result<Option<UnixTime>, Error> {
        let here = self.offsets_s(&[after]).await?[0];
        let Some(mut civil) = event.next_after(after + here) else {
            return Ok(None);
        };
        let around = self.offsets_s(&[civil - DAY_S, civil + DAY_S]).await?;
        let offsets = BTreeSet::from([here, around[0], around[1]]);
        let guess = |by: i64| event.next_after(after + by).map(|at| (at - by, by));
        let guesses: Vec<(UnixTime, i64)> = offsets.into_iter().filter_map(guess).collect();
        let times: Vec<UnixTime> = guesses.iter().map(|(at, _)| *at).collect();
        let there = self.offsets_s(&times).await?;
        let mut right: Vec<UnixTime> = Vec::new();
        for ((at, by), there) in guesses.into_iter().zip(there) {
            let is_shown = by == there && at > after;
            if is_shown && (event.is_in_each_hour() || self.first(at + by).await? == at) {
                right.push(at);
            }
        }
        if let Some(at) = right.into_iter().min() {
            return Ok(Some(at));
        }
        // It is skipped, or shown for the second time.
        for _ in 0..SHOWN_TWICE {
            let at = self.first(civil).await?;
            if at > after {
                return Ok(Some(at));
            }
            match event.next_after(civil) {
                Some(next) => civil = next,
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    /// When an event was due after one time and until another, oldest first. The last one is always
    /// among them.
    pub(super) async fn between(
        &self,
        event: &CalendarEvent,
        after: UnixTime,
        until: UnixTime,
    ) -> Result<Vec<UnixTime>, Error> {
        let first = self.next(event, after).await?;
        let Some(first) = first.filter(|first| *first <= until) else {
            return Ok(Vec::new());
        };
        let mut due = BTreeSet::from([first]);
        if self.step(event, &mut due, until, STEPS).await? {
            return Ok(due.into_iter().collect());
        }
        // There are many: one run of `date` answers for all of them.
        let civil = self.civil(&[first, until]).await?;
        let from = |from: i64| {
            let shown = std::iter::successors(event.next_after(from), |at| event.next_after(*at));
            shown.take_while(|at| *at <= civil[1])
        };
        let mut shown: BTreeSet<i64> = from(civil[0]).take(NAMED).collect();
        if shown.len() == NAMED {
            shown.extend(from(civil[0].max(civil[1] - HOUR_S)).take(SHOWN_TWICE));
        }
        let shown: Vec<i64> = shown.into_iter().collect();
        let times = time_zone::times(&self.host, &self.name, &shown).await?;
        let is_between = |at: &UnixTime| *at > after && *at <= until;
        due.extend(times.into_iter().filter(is_between));
        // What the clocks show for the second time at the end.
        self.step(event, &mut due, until, SHOWN_TWICE).await?;
        Ok(due.into_iter().collect())
    }

    /// Adds what is due after the last of these, one by one. Whether that were all until then.
    async fn step(
        &self,
        event: &CalendarEvent,
        due: &mut BTreeSet<UnixTime>,
        until: UnixTime,
        steps: usize,
    ) -> Result<bool, Error> {
        for _ in 0..steps {
            let Some(last) = due.last().copied() else {
                return Ok(true);
            };
            match self.next(event, last).await? {
                Some(next) if next <= until => drop(due.insert(next)),
                _ => return Ok(true),
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod systemd;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use testkit::{FakeHost, Faults, date};

    use super::*;

    /// The zone of Berlin, as far as `testkit::date` knows it.
    fn berlin() -> Zone {
        let host = FakeHost::new(Faults::default()).program("date", date);
        Zone {
            host: Arc::new(host),
            name: "Europe/Berlin".to_owned(),
        }
    }

    /// 29 March 2026, 01:00 UTC: the clocks go from 02:00 to 03:00.
    const FORWARD: UnixTime = 1_774_746_000;
    /// 25 October 2026, 01:00 UTC: the clocks go from 03:00 to 02:00.
    const BACK: UnixTime = 1_792_890_000;

    /// The next times, in minutes from a change of the clocks.
    async fn next(event: &str, change: UnixTime, from_min: i64, count: usize) -> Vec<i64> {
        let event = CalendarEvent::parse(event).unwrap();
        let zone = berlin();
        let mut at = change + from_min * 60;
        let mut found = Vec::new();
        for _ in 0..count {
            at = zone.next(&event, at).await.unwrap().unwrap();
            found.push((at - change) / 60);
        }
        found
    }

    #[tokio::test]
    async fn spans_go_on_where_clocks_are_put_back() {
        assert_eq!(
            next("*/30", BACK, -95, 7).await,
            [-90, -60, -30, 0, 30, 60, 90]
        );
        assert_eq!(next("hourly", BACK, -61, 3).await, [-60, 0, 60]);
    }

    #[tokio::test]
    async fn what_clocks_show_twice_is_due_once() {
        let day = 24 * 60;
        // 02:30 is 30 minutes before, and the next day 90 minutes after 01:00 UTC.
        assert_eq!(next("2:30", BACK, -day, 2).await, [-30, day + 30]);
        // Asked in between, and in the second showing.
        assert_eq!(next("2:30", BACK, 10, 1).await, [day + 30]);
        assert_eq!(next("2..3:30", BACK, 10, 2).await, [90, day + 30]);
        assert_eq!(next("2:0/30", BACK, -61, 3).await, [-60, -30, day]);
    }

    #[tokio::test]
    async fn what_clocks_skip_is_due_as_if_they_had_not() {
        let day = 24 * 60;
        // 02:30 of that day is 03:30, half an hour after the change.
        assert_eq!(
            next("2:30", FORWARD, -day, 3).await,
            [-day + 30, 30, day - 30]
        );
        assert_eq!(next("*/30", FORWARD, -31, 4).await, [-30, 0, 30, 60]);
        assert_eq!(next("daily", FORWARD, -day, 2).await, [-120, day - 180]);
    }

    #[tokio::test]
    async fn all_of_a_span_are_named_and_the_last_one_always() {
        let zone = berlin();
        let event = CalendarEvent::parse("*/30").unwrap();
        let due = zone
            .between(&event, BACK - 3600, BACK + 3600)
            .await
            .unwrap();
        let minutes: Vec<i64> = due.iter().map(|at| (at - BACK) / 60).collect();
        assert_eq!(minutes, [-30, 0, 30, 60]);
        let each_minute = CalendarEvent::parse("*:*").unwrap();
        let until = 1_795_864_020;
        let due = zone
            .between(&each_minute, until - 864_000, until)
            .await
            .unwrap();
        assert_eq!(due.last(), Some(&until));
        assert!(due.len() > NAMED && due.len() < NAMED + 70, "{}", due.len());
        let never = CalendarEvent::parse("2015-10-21").unwrap();
        assert_eq!(zone.next(&never, BACK).await.unwrap(), None);
        let due = zone.between(&never, FORWARD, BACK).await.unwrap();
        assert!(due.is_empty(), "{due:?}");
    }
}
