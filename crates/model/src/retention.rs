//! Which of many copies are kept, as Proxmox VE decides it for backups: the newest ones, and the newest
//! of each hour, day, week, month and year.

use serde::{Deserialize, Serialize};

use crate::calendar::civil_date;
use crate::schema::{Field, parse_properties};

const HOUR_S: i64 = 3600;
const DAY_S: i64 = 86_400;

/// How many are kept of each kind. Without any number all are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    pub last: u64,
    pub hourly: u64,
    pub daily: u64,
    pub weekly: u64,
    pub monthly: u64,
    pub yearly: u64,
}

/// The keys of `prune-backups`.
const KEEP: &[Field] = &[
    Field::boolean("keep-all").optional(),
    Field::integer("keep-last").optional().min(0.0),
    Field::integer("keep-hourly").optional().min(0.0),
    Field::integer("keep-daily").optional().min(0.0),
    Field::integer("keep-weekly").optional().min(0.0),
    Field::integer("keep-monthly").optional().min(0.0),
    Field::integer("keep-yearly").optional().min(0.0),
];

/// The number of the span that a time is in.
type SpanOf = fn(i64) -> i64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Keep,
    Remove,
}

impl Retention {
    /// Reads a `prune-backups` option: `keep-last=3,keep-daily=7`. The error is Proxmox VE's.
    pub fn parse(text: &str) -> Result<Self, String> {
        let keep = parse_properties(KEEP, text).map_err(|error| error.reason("prune-backups"))?;
        if keep.flag("keep-all") == Some(true) && keep.iter().count() > 1 {
            return Err("keep-all cannot be set together with other options.".to_owned());
        }
        Ok(Self::of(|key| keep.integer(key)))
    }

    /// The numbers by the names of their options; none and what is below zero is zero.
    pub fn of(number: impl Fn(&str) -> Option<i64>) -> Self {
        let count = |key: &str| u64::try_from(number(key).unwrap_or(0)).unwrap_or(0);
        Self {
            last: count("keep-last"),
            hourly: count("keep-hourly"),
            daily: count("keep-daily"),
            weekly: count("keep-weekly"),
            monthly: count("keep-monthly"),
            yearly: count("keep-yearly"),
        }
    }

    /// The numbers with the names of their options.
    pub fn named(&self) -> [(&'static str, u64); 6] {
        [
            ("keep-last", self.last),
            ("keep-hourly", self.hourly),
            ("keep-daily", self.daily),
            ("keep-weekly", self.weekly),
            ("keep-monthly", self.monthly),
            ("keep-yearly", self.yearly),
        ]
    }

    pub fn keeps_all(&self) -> bool {
        self.named().iter().all(|(_, count)| *count == 0)
    }

    /// Whether each of these is kept. They are civil times (see `calendar`), the newest first.
    pub fn kept(&self, newest_first: &[i64]) -> Vec<bool> {
        let mut marks: Vec<Option<Mark>> = vec![None; newest_first.len()];
        if self.keeps_all() {
            return vec![true; newest_first.len()];
        }
        // Each of the last ones is a span of its own.
        let own: Vec<i64> = (0..).take(newest_first.len()).collect();
        pass(&mut marks, &own, self.last);
        let spans: [(u64, SpanOf); 5] = [
            (self.hourly, |at| at.div_euclid(HOUR_S)),
            (self.daily, |at| at.div_euclid(DAY_S)),
            // Weeks begin on Monday, and 1970 began on a Thursday.
            (self.weekly, |at| (at.div_euclid(DAY_S) + 3).div_euclid(7)),
            (self.monthly, |at| {
                let (year, month, _) = civil_date(at.div_euclid(DAY_S));
                year * 12 + i64::from(month)
            }),
            (self.yearly, |at| civil_date(at.div_euclid(DAY_S)).0),
        ];
        for (count, span_of) in spans {
            let spans: Vec<i64> = newest_first.iter().map(|at| span_of(*at)).collect();
            pass(&mut marks, &spans, count);
        }
        marks.iter().map(|mark| *mark == Some(Mark::Keep)).collect()
    }
}

/// Keeps the newest of each span, as far as an earlier pass has not decided and has kept none of it,
/// until `count` spans have one.
fn pass(marks: &mut [Option<Mark>], spans: &[i64], count: u64) {
    let have_one: Vec<i64> = (0..marks.len())
        .filter(|at| marks[*at] == Some(Mark::Keep))
        .map(|at| spans[at])
        .collect();
    let mut taken = Vec::new();
    for (mark, span) in marks.iter_mut().zip(spans) {
        if mark.is_some() || have_one.contains(span) {
            continue;
        }
        if taken.contains(span) {
            *mark = Some(Mark::Remove);
        } else if taken.len() as u64 >= count {
            break;
        } else {
            taken.push(*span);
            *mark = Some(Mark::Keep);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday, 30 November 2026, 00:00.
    const MONDAY: i64 = 1_795_996_800;

    /// Ages in hours, as they are kept.
    fn kept(retention: Retention, ages_h: &[i64]) -> Vec<i64> {
        let times: Vec<i64> = ages_h.iter().map(|age| MONDAY - age * HOUR_S).collect();
        let kept = retention.kept(&times);
        let both = ages_h.iter().zip(kept);
        both.filter(|(_, kept)| *kept)
            .map(|(age, _)| *age)
            .collect()
    }

    #[test]
    fn the_newest_of_each_span_stays() {
        let daily = Retention {
            daily: 3,
            ..Retention::default()
        };
        // 0 is Monday's first second; 1 to 24 are Sunday, 25 to 48 Saturday.
        assert_eq!(kept(daily, &[0, 1, 5, 24, 25, 30, 49, 73]), [0, 1, 25]);
        let last = Retention {
            last: 2,
            ..Retention::default()
        };
        assert_eq!(kept(last, &[0, 1, 2, 3]), [0, 1]);
        let weekly = Retention {
            weekly: 2,
            ..Retention::default()
        };
        assert_eq!(kept(weekly, &[0, 1, 24 * 6, 24 * 8]), [0, 1]);
    }

    #[test]
    fn a_span_that_has_one_needs_no_other() {
        let both = Retention {
            last: 2,
            daily: 2,
            ..Retention::default()
        };
        // The last two are of Monday and Sunday; two more days follow.
        assert_eq!(kept(both, &[0, 1, 2, 25, 26, 49, 73]), [0, 1, 25, 49]);
        let months = Retention {
            last: 1,
            monthly: 2,
            yearly: 1,
            ..Retention::default()
        };
        // November has the last one; then October and September, then the year before.
        let day = 24;
        let ages = [0, day, 31 * day, 40 * day, 61 * day, 92 * day, 400 * day];
        assert_eq!(kept(months, &ages), [0, 31 * day, 61 * day, 400 * day]);
    }

    #[test]
    fn an_option_says_the_numbers() {
        let read = |text| Retention::parse(text);
        let both = read("keep-last=3,keep-daily=7").unwrap();
        assert_eq!((both.last, both.daily, both.weekly), (3, 7, 0));
        assert!(read("keep-all=1").unwrap().keeps_all());
        let refused = read("keep-all=1,keep-last=3").unwrap_err();
        assert_eq!(
            refused,
            "keep-all cannot be set together with other options."
        );
        assert!(read("keep-last=-1").is_err() && read("keep-foo=1").is_err());
    }

    #[test]
    fn without_a_number_all_stay() {
        assert_eq!(kept(Retention::default(), &[0, 1, 2]), [0, 1, 2]);
        assert!(Retention::default().keeps_all());
    }
}
