//! Calendar events: when a job runs, in systemd's syntax as Proxmox VE reads it.
//!
//! ```text
//!   mon..fri 2026-*-1..7 8..17:0/15      weekdays, date, time; each may be left out
//!   daily                                a word for one of these
//! ```
//!
//! Times are civil seconds: seconds since 1970 on a local clock. The caller chooses the time zone.

use std::collections::BTreeSet;

const DAY_S: i64 = 86_400;

/// The search for the next event ends here: every day of the year meets every weekday within 40
/// years.
const FARTHEST_DAYS: i64 = 366 * 60;

/// The end of the year 2999: no event is later.
pub const LATEST_S: i64 = 32_503_680_000;

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Words for whole events, as weekdays, date and time.
const WORDS: [(&str, &str); 10] = [
    ("minutely", "*-*-* *:*:00"),
    ("hourly", "*-*-* *:00:00"),
    ("daily", "*-*-* 00:00:00"),
    ("weekly", "mon *-*-* 00:00:00"),
    ("monthly", "*-*-01 00:00:00"),
    ("quarterly", "*-01,04,07,10-01 00:00:00"),
    ("semiannually", "*-01,07-01 00:00:00"),
    ("semi-annually", "*-01,07-01 00:00:00"),
    ("yearly", "*-01-01 00:00:00"),
    ("annually", "*-01-01 00:00:00"),
];

/// The allowed values of one part of a date or time.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Values {
    Any,
    These(BTreeSet<u32>),
}

impl Values {
    fn one(value: u32) -> Self {
        Self::These(BTreeSet::from([value]))
    }

    fn has(&self, value: u32) -> bool {
        match self {
            Self::Any => true,
            Self::These(values) => values.contains(&value),
        }
    }

    /// Reads `*`, `*/5`, `7`, `1..5`, `0/15` and lists of them; none for any other text and for
    /// values outside the limits.
    fn parse(text: &str, least: u32, most: u32) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        let mut values = BTreeSet::new();
        for item in text.split(',') {
            let (range, step) = match item.split_once('/') {
                Some((range, step)) => (range, Some(number(step)?).filter(|step| *step > 0)?),
                None => (item, 0),
            };
            let (from, to) = match range.split_once("..") {
                Some((from, to)) => (number(from)?, number(to)?),
                None if range == "*" => (least, most),
                None if step > 0 => (number(range)?, most),
                None => (number(range)?, number(range)?),
            };
            if from < least || to > most || from > to {
                return None;
            }
            values.extend((from..=to).step_by(step.max(1) as usize));
        }
        Some(Self::These(values))
    }
}

fn number(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// A recurring event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalendarEvent {
    /// Counted from Monday, 0.
    weekdays: Values,
    years: Values,
    months: Values,
    days: Values,
    hours: Values,
    minutes: Values,
    seconds: Values,
}

impl CalendarEvent {
    /// Reads an event. Errors have the texts that clients of Proxmox VE match.
    pub fn parse(text: &str) -> Result<Self, String> {
        let trimmed = text.trim();
        let word = WORDS.iter().find(|(word, _)| *word == trimmed);
        let spelled = word.map_or(trimmed, |(_, spelled)| spelled);
        Self::parse_parts(spelled).map_err(|(place, reason)| {
            format!(
                "invalid calendar event '{text}' - unable to parse calendar event at '{place}' - \
                 {reason}\n"
            )
        })
    }

    /// On error: which part is wrong, and why.
    fn parse_parts(text: &str) -> Result<Self, (String, &'static str)> {
        let mut event = Self {
            weekdays: Values::Any,
            years: Values::Any,
            months: Values::Any,
            days: Values::Any,
            hours: Values::one(0),
            minutes: Values::one(0),
            seconds: Values::one(0),
        };
        let mut parts = text.split_whitespace().peekable();
        if parts.peek().is_none() {
            return Err((String::new(), "Nom(Eof)"));
        }
        if let Some(part) = parts.next_if(|part| part.starts_with(|c: char| c.is_alphabetic())) {
            event.weekdays = parse_weekdays(part)?;
        }
        let unreadable = |part: &str| (part.to_owned(), "Context(\"date or time specification\")");
        if let Some(part) = parts.next_if(|part| part.contains('-')) {
            event.set_date(part).ok_or_else(|| unreadable(part))?;
        }
        if let Some(part) = parts.next() {
            event.set_time(part).ok_or_else(|| unreadable(part))?;
        }
        match parts.next() {
            Some(part) => Err((part.to_owned(), "unparsed data at end")),
            None => Ok(event),
        }
    }

    /// `YEAR-MONTH-DAY` or `MONTH-DAY`.
    fn set_date(&mut self, text: &str) -> Option<()> {
        let parts: Vec<&str> = text.split('-').collect();
        let (years, months, days) = match parts[..] {
            [years, months, days] => (Values::parse(years, 1970, 2999)?, months, days),
            [months, days] => (Values::Any, months, days),
            _ => return None,
        };
        self.years = years;
        self.months = Values::parse(months, 1, 12)?;
        self.days = Values::parse(days, 1, 31)?;
        Some(())
    }

    /// `HOUR:MINUTE:SECOND`, `HOUR:MINUTE`, or `MINUTE` of every hour. A first number that is no
    /// hour is a minute, and seconds follow it.
    fn set_time(&mut self, text: &str) -> Option<()> {
        let parts: Vec<&str> = text.split(':').collect();
        let sixty = |text: &str| Values::parse(text, 0, 59);
        let hour = |text: &str| Values::parse(text, 0, 23);
        let zero = || Some(Values::one(0));
        let (hours, minutes, seconds) = match parts[..] {
            [hours, minutes, seconds] => (hour(hours), sixty(minutes), sixty(seconds)),
            [first, second] => match hour(first) {
                Some(hours) if sixty(second).is_some() => (Some(hours), sixty(second), zero()),
                _ => (Some(Values::Any), sixty(first), sixty(second)),
            },
            [minutes] => (Some(Values::Any), sixty(minutes), zero()),
            _ => return None,
        };
        (self.hours, self.minutes, self.seconds) = (hours?, minutes?, seconds?);
        Some(())
    }

    /// Whether there are events in every hour of its days: such an event means spans of time, any other
    /// one what clocks show.
    pub fn is_in_each_hour(&self) -> bool {
        (0..24).all(|hour| self.hours.has(hour))
    }

    /// The first event after `civil_s`; none if there is no later one.
    pub fn next_after(&self, civil_s: i64) -> Option<i64> {
        if !(0..LATEST_S).contains(&civil_s) {
            return None;
        }
        let first = civil_s + 1;
        let (today, in_day) = (first.div_euclid(DAY_S), first.rem_euclid(DAY_S));
        let days = (today..today + FARTHEST_DAYS).filter(|day| self.is_on(*day));
        days.filter_map(|day| {
            let from = if day == today { in_day } else { 0 };
            Some(day * DAY_S + self.time_from(u32::try_from(from).ok()?)?)
        })
        .next()
    }

    fn is_on(&self, day: i64) -> bool {
        let (year, month, day_of_month) = civil_date(day);
        self.weekdays.has(weekday_of(day) as u32)
            && self.months.has(month)
            && self.days.has(day_of_month)
            && u32::try_from(year).is_ok_and(|year| self.years.has(year))
    }

    /// The first time of a day, in its seconds, that is not before `from`.
    fn time_from(&self, from: u32) -> Option<i64> {
        for hour in (from / 3600..24).filter(|hour| self.hours.has(*hour)) {
            for minute in (0..60).filter(|minute| self.minutes.has(*minute)) {
                let begins = hour * 3600 + minute * 60;
                if begins + 59 < from {
                    continue;
                }
                let mut seconds = (0..60).filter(|second| self.seconds.has(*second));
                if let Some(second) = seconds.find(|second| begins + second >= from) {
                    return Some(i64::from(begins + second));
                }
            }
        }
        None
    }
}

/// `mon..fri,sun`; a range may go over the end of the week.
fn parse_weekdays(text: &str) -> Result<Values, (String, &'static str)> {
    let mut days = BTreeSet::new();
    let mut rest = text;
    loop {
        let (from, after) = weekday(rest)?;
        rest = after;
        let to = match rest.strip_prefix("..") {
            Some("") => return Err((rest.to_owned(), "Nom(Eof)")),
            Some(after) => {
                let (to, after) = weekday(after)?;
                rest = after;
                to
            }
            None => from,
        };
        let length = (to + 7 - from) % 7;
        days.extend((from..=from + length).map(|day| day % 7));
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.is_empty() => return Ok(Values::These(days)),
            None => return Err((rest.to_owned(), "Nom(Eof)")),
        }
    }
}

/// The day that a text begins with, and what follows it.
fn weekday(text: &str) -> Result<(u32, &str), (String, &'static str)> {
    let length = text
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (word, rest) = text.split_at(length);
    let lower = word.to_ascii_lowercase();
    let full = [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    let is_day = |at: &usize| lower == WEEKDAYS[*at] || lower == full[*at];
    match (0..7).find(is_day) {
        Some(at) => Ok((at as u32, rest)),
        None => Err((word.to_owned(), "Context(\"weekday\")")),
    }
}

/// Year, month and day of a day since 1970, in the proleptic Gregorian calendar. Counts in years
/// that begin on 1 March, so that the leap day is a year's last.
pub fn civil_date(day: i64) -> (i64, u32, u32) {
    const DAYS_TO_1970: i64 = 719_468;
    const DAYS_OF_400_YEARS: i64 = 146_097;
    let shifted = day.saturating_add(DAYS_TO_1970);
    let era = shifted.div_euclid(DAYS_OF_400_YEARS);
    let day = shifted.rem_euclid(DAYS_OF_400_YEARS);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month as u32, day_of_month as u32)
}

/// The place in `WEEKDAYS` of a day since 1970, whose first was a Thursday.
/// The number of a day since 1970; a day beyond its month's end is one of the next. Months are 1 to 12.
pub fn day_number(year: i64, month: i64, day: i64) -> i64 {
    const DAYS_TO_1970: i64 = 719_468;
    // Counted in years that begin on 1 March.
    let (year, month) = match month < 3 {
        true => (year - 1, month + 9),
        false => (year, month - 3),
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - DAYS_TO_1970
}

fn weekday_of(day: i64) -> usize {
    (day.rem_euclid(7) as usize + 3) % 7
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// A time as C's `asctime` writes it: `Tue Dec  1 02:30:00 2026`.
pub fn asctime(civil_s: i64) -> String {
    let (day, time) = (civil_s.div_euclid(DAY_S), civil_s.rem_euclid(DAY_S));
    let (year, month, day_of_month) = civil_date(day);
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    let weekday = WEEKDAYS[weekday_of(day)];
    let (initial, rest) = weekday.split_at(1);
    let initial = initial.to_ascii_uppercase();
    let month = MONTHS[month as usize - 1];
    format!("{initial}{rest} {month} {day_of_month:2} {hour:02}:{minute:02}:{second:02} {year}")
}

/// The time that `asctime` writes so; the weekday and the number of blanks do not matter.
pub fn parse_asctime(text: &str) -> Option<i64> {
    let mut words = text.split_whitespace().skip(1);
    let (month, day, time, year) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|known| *known == month)? as i64;
    let day = day
        .parse::<i64>()
        .ok()
        .filter(|day| (1..=31).contains(day))?;
    let year = year.parse::<i64>().ok().filter(|year| *year < 10_000)?;
    let mut seconds = 0;
    for part in time.split(':') {
        seconds = seconds * 60 + part.parse::<u32>().ok().filter(|part| *part < 62)?;
    }
    Some(day_number(year, month + 1, day) * DAY_S + i64::from(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday, 30 November 2026, 00:53:20.
    const START: i64 = 1_796_000_000;

    fn next(text: &str, count: usize) -> Vec<String> {
        let event = CalendarEvent::parse(text).unwrap();
        let times = std::iter::successors(event.next_after(START), |at| event.next_after(*at));
        times.take(count).map(asctime).collect()
    }

    #[test]
    fn events_come_as_recorded() {
        for (text, times) in [
            (
                "mon..fri 02:30",
                ["Mon Nov 30 02:30:00 2026", "Tue Dec  1 02:30:00 2026"],
            ),
            (
                "*/15",
                ["Mon Nov 30 01:00:00 2026", "Mon Nov 30 01:15:00 2026"],
            ),
            (
                "sat *-1..7 04:00",
                ["Sat Dec  5 04:00:00 2026", "Sat Jan  2 04:00:00 2027"],
            ),
            (
                "02:00,14:00",
                ["Mon Nov 30 02:00:00 2026", "Mon Nov 30 02:14:00 2026"],
            ),
            (
                "*:5/7",
                ["Mon Nov 30 00:54:00 2026", "Mon Nov 30 01:05:00 2026"],
            ),
            (
                "22:00..23:00/30",
                ["Mon Nov 30 22:00:00 2026", "Mon Nov 30 22:00:30 2026"],
            ),
            (
                "24:00",
                ["Mon Nov 30 01:24:00 2026", "Mon Nov 30 02:24:00 2026"],
            ),
            (
                "fri..mon 12:00",
                ["Mon Nov 30 12:00:00 2026", "Fri Dec  4 12:00:00 2026"],
            ),
            (
                "  daily  ",
                ["Tue Dec  1 00:00:00 2026", "Wed Dec  2 00:00:00 2026"],
            ),
            (
                "semiannually",
                ["Fri Jan  1 00:00:00 2027", "Thu Jul  1 00:00:00 2027"],
            ),
            (
                "mon 2026-12-*",
                ["Mon Dec  7 00:00:00 2026", "Mon Dec 14 00:00:00 2026"],
            ),
            (
                "Mon 1:2:3",
                ["Mon Nov 30 01:02:03 2026", "Mon Dec  7 01:02:03 2026"],
            ),
            (
                "8..17:0/15",
                ["Mon Nov 30 08:00:00 2026", "Mon Nov 30 08:15:00 2026"],
            ),
            (
                "*/2:00",
                ["Mon Nov 30 02:00:00 2026", "Mon Nov 30 04:00:00 2026"],
            ),
            (
                "sun 2-29",
                ["Sun Feb 29 00:00:00 2032", "Sun Feb 29 00:00:00 2060"],
            ),
        ] {
            assert_eq!(next(text, 2), times, "{text}");
        }
        assert_eq!(next("2026-12-24 10:00", 4), ["Thu Dec 24 10:00:00 2026"]);
        assert!(next("2-31", 1).is_empty());
    }

    #[test]
    fn a_time_is_read_as_it_is_written() {
        for days in 0..3000 {
            let time = (days - 300) * 11 * DAY_S + days * 29;
            assert_eq!(parse_asctime(&asctime(time)), Some(time));
        }
        assert_eq!(parse_asctime("Sun Nov 31"), None);
        assert_eq!(parse_asctime("Sun Nov  1 00:99:02 2026"), None);
        assert_eq!(parse_asctime(""), None);
    }

    #[test]
    fn refusals_are_worded_as_recorded() {
        for (text, place, reason) in [
            ("every 5", "every", "Context(\"weekday\")"),
            ("DAILY", "DAILY", "Context(\"weekday\")"),
            ("half-yearly", "half", "Context(\"weekday\")"),
            ("12:60", "12:60", "Context(\"date or time specification\")"),
            ("mon..", "..", "Nom(Eof)"),
        ] {
            let wanted = format!(
                "invalid calendar event '{text}' - unable to parse calendar event at '{place}' - \
                 {reason}\n"
            );
            assert_eq!(CalendarEvent::parse(text), Err(wanted));
        }
        for bad in [
            "",
            "mon,",
            "1..",
            "*/0",
            "2026-13-01",
            "25:61",
            "1:2:3:4",
            "5 6",
            "30..10",
        ] {
            assert!(CalendarEvent::parse(bad).is_err(), "{bad}");
        }
    }
}
