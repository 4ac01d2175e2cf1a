//! Random events beside `systemd-analyze calendar`: where both accept one, it is due at the same time.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test runs the program itself, and fails where something is not so"
)]

use std::process::Command;
use std::sync::Arc;

use testkit::left_out::missing;
use testkit::{FakeHost, Faults, date};

use super::*;

/// How many events each run of the program is asked for, all after the same time.
const BATCH: usize = 250;
const BATCHES: usize = 48;

/// Stands between the answers: there is none for an event that is refused.
const BETWEEN: &str = "2099-01-01 00:00:00";

/// 15 February 2026 to 15 January 2027: `testkit::date` knows what the clocks of Berlin show then.
const BEGIN: UnixTime = 1_771_113_600;
const END: UnixTime = 1_799_971_200;

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn from(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    /// A part of a date or time: anything, a value, a range, a step or a list.
    fn part(&mut self, least: u64, most: u64, width: usize) -> String {
        let value = |value: u64| format!("{value:0width$}");
        let first = self.from(least, most);
        let later = self.from(first, most);
        match self.below(6) {
            0 | 1 => "*".to_owned(),
            2 => value(first),
            3 => format!("{}..{}", value(first), value(later)),
            4 => self.steps(least, most),
            _ => format!("{},{}", value(first), value(later)),
        }
    }

    /// Steps that end with the hour, day or year. Version 252 leaves out the first of the others in a new hour: of
    /// `2/41` in the minutes after 59 it makes minute 84, and goes on from there.
    fn steps(&mut self, least: u64, most: u64) -> String {
        let count = most - least + 1;
        let step = loop {
            let step = self.from(1, count);
            if count.is_multiple_of(step) {
                break step;
            }
        };
        format!("{}/{step}", self.from(least, least + step - 1))
    }

    fn weekdays(&mut self) -> String {
        const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let mut day = || DAYS[self.below(7) as usize];
        let (one, other, third) = (day(), day(), day());
        match self.below(3) {
            0 => one.to_owned(),
            1 => format!("{one},{other}"),
            _ => format!("{one}..{other},{third}"),
        }
    }

    /// Months have no length in common, so days have no steps here.
    fn day(&mut self) -> String {
        loop {
            let part = self.part(1, 31, 2);
            if !part.contains('/') {
                return part;
            }
        }
    }

    fn event(&mut self) -> String {
        const WORDS: [&str; 9] = [
            "minutely",
            "hourly",
            "daily",
            "weekly",
            "monthly",
            "quarterly",
            "semiannually",
            "yearly",
            "annually",
        ];
        if self.below(40) == 0 {
            return WORDS[self.below(9) as usize].to_owned();
        }
        let mut parts = Vec::new();
        if self.below(3) == 0 {
            parts.push(self.weekdays());
        }
        if self.below(3) == 0 {
            let year = match self.below(4) {
                0 => "2026".to_owned(),
                _ => "*".to_owned(),
            };
            parts.push(format!("{year}-{}-{}", self.part(1, 12, 2), self.day()));
        }
        if parts.is_empty() || self.below(4) > 0 {
            let mut time = format!("{}:{}", self.part(0, 23, 1), self.part(0, 59, 2));
            if self.below(3) == 0 {
                time.push_str(&format!(":{}", self.part(0, 59, 2)));
            }
            parts.push(time);
        }
        parts.join(" ")
    }
}

/// What the program says of each event: when it is due in UTC, `never`, or none where it refuses it.
fn asked(zone: &str, after: UnixTime, events: &[String]) -> Option<Vec<Option<String>>> {
    let mut command = Command::new("systemd-analyze");
    command
        .env("TZ", zone)
        .env("LC_ALL", "C")
        .env("SYSTEMD_COLORS", "0");
    command.args([
        "calendar",
        "--iterations=1",
        &format!("--base-time=@{after}"),
    ]);
    for event in events {
        command.args([event, BETWEEN]);
    }
    let output = command.output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut answers = Vec::new();
    let mut answer = None;
    for block in text.split("\n\n") {
        let field = |wanted: &str| {
            let fields = block.lines().filter_map(|line| line.split_once(": "));
            let mut found = fields.filter(|(name, _)| name.trim() == wanted);
            found.next().map(|(_, value)| value.trim().to_owned())
        };
        match field("Normalized form") {
            Some(form) if form == BETWEEN => answers.push(answer.take()),
            Some(_) => answer = field("(in UTC)").or_else(|| field("Next elapse")),
            None => {}
        }
    }
    assert_eq!(answers.len(), events.len(), "{text}");
    Some(answers)
}

/// `Mon 2026-03-30 00:30:00 UTC`
fn utc(text: &str) -> UnixTime {
    let mut words = text.split(' ').skip(1);
    let date: Vec<i64> = words
        .next()
        .unwrap()
        .split('-')
        .map(|part| part.parse().unwrap())
        .collect();
    let time: Vec<i64> = words
        .next()
        .unwrap()
        .split(':')
        .map(|part| part.parse().unwrap())
        .collect();
    // Days since 1970 by the number of days before each year and month.
    let day = (0..)
        .find(|day| model::calendar::civil_date(*day) == (date[0], date[1] as u32, date[2] as u32))
        .unwrap();
    day * DAY_S + time[0] * HOUR_S + time[1] * 60 + time[2]
}

/// Where the clocks are changed between two times, ours and theirs differ by rule.
async fn is_at_a_change(zone: &Zone, times: [UnixTime; 2]) -> bool {
    let around = times.map(|at| [at - 2 * HOUR_S, at + 2 * HOUR_S]);
    let offsets = zone.offsets_s(&around.concat()).await.unwrap();
    offsets.chunks(2).any(|pair| pair[0] != pair[1])
}

async fn compared(name: &str) -> Option<usize> {
    let host = FakeHost::new(Faults::default()).program("date", date);
    let zone = Zone {
        host: Arc::new(host),
        name: name.to_owned(),
    };
    let mut numbers = Numbers(1);
    let (mut both, mut alone, mut differ) = (0, 0, 0);
    for _ in 0..BATCHES {
        let after = BEGIN + numbers.below((END - BEGIN) as u64) as i64;
        let events: Vec<String> = (0..BATCH).map(|_| numbers.event()).collect();
        for (text, answer) in events.iter().zip(asked(name, after, &events)?) {
            let (ours, theirs) = match (CalendarEvent::parse(text), answer) {
                (Ok(event), Some(answer)) => (zone.next(&event, after).await.unwrap(), answer),
                (ours, theirs) => {
                    alone += usize::from(ours.is_ok() != theirs.is_some());
                    continue;
                }
            };
            let theirs = (theirs != "never").then(|| utc(&theirs));
            let last = ours.into_iter().chain(theirs).max();
            if last.is_some_and(|last| last > END && name != "UTC") {
                continue;
            }
            if let (Some(ours), Some(theirs)) = (ours, theirs)
                && ours != theirs
                && is_at_a_change(&zone, [ours, theirs]).await
            {
                differ += 1;
                continue;
            }
            assert_eq!(ours, theirs, "'{text}' after {after} in {name}");
            both += 1;
        }
    }
    println!("{name}: {both} alike, {differ} differ by rule, {alone} only one of them accepts");
    Some(both)
}

#[tokio::test]
async fn random_events_are_due_when_systemd_says() {
    for name in ["UTC", "Europe/Berlin"] {
        let Some(both) = compared(name).await else {
            missing("events beside systemd", "systemd-analyze is not installed");
            return;
        };
        assert!(both > BATCH * BATCHES / 2, "{name}: {both}");
    }
}
