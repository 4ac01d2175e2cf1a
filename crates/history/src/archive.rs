//! The archives of a file, and which of them answers which question.

use model::UnixTime;

use crate::Kind;

/// The length of a minute's row, in seconds.
pub(crate) const MINUTE_S: i64 = 60;

/// Rows of one length. A row is named by its slot: its end, counted in such lengths since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Archive {
    /// The seconds that a row is about.
    pub(crate) step_s: i64,
    /// How many rows are kept.
    pub(crate) rows: u32,
    /// How many rows of the next finer archive a row is made of; 1 in the finest.
    pub(crate) of: u32,
}

const ARCHIVES: [Archive; 4] = [
    Archive {
        step_s: MINUTE_S,
        rows: 1440,
        of: 1,
    },
    Archive {
        step_s: 30 * MINUTE_S,
        rows: 1440,
        of: 30,
    },
    Archive {
        step_s: 6 * 60 * MINUTE_S,
        rows: 1440,
        of: 12,
    },
    Archive {
        step_s: 7 * 24 * 60 * MINUTE_S,
        rows: 570,
        of: 28,
    },
];

impl Archive {
    /// The archives of a kind of object, finest first. Only a node's history is asked for a decade.
    pub(crate) fn all(kind: Kind) -> &'static [Self] {
        match kind {
            Kind::Node => &ARCHIVES,
            Kind::Guest | Kind::Storage => &ARCHIVES[..3],
        }
    }

    /// How many minutes a row is about.
    pub(crate) fn minutes(&self) -> u32 {
        (self.step_s / MINUTE_S) as u32
    }

    /// The place of a slot in the ring.
    pub(crate) fn place(&self, slot: u32) -> u32 {
        slot.wrapping_sub(1) % self.rows
    }

    /// The slot that a minute belongs to.
    pub(crate) fn slot_of(&self, minute: u32) -> u32 {
        minute.div_ceil(self.minutes())
    }
}

/// The minute that a moment belongs to: a row is named by its end, which is a part of it.
pub(crate) fn minute_of(at: UnixTime) -> u32 {
    u32::try_from((at + MINUTE_S - 1).div_euclid(MINUTE_S)).unwrap_or(0)
}

/// How a value stands for the time of its row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Consolidation {
    #[default]
    Average,
    /// The highest mean of a minute.
    Max,
}

/// How far back a question goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeframe {
    Hour,
    Day,
    Week,
    Month,
    Year,
    Decade,
}

impl Timeframe {
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "hour" => Some(Self::Hour),
            "day" => Some(Self::Day),
            "week" => Some(Self::Week),
            "month" => Some(Self::Month),
            "year" => Some(Self::Year),
            "decade" => Some(Self::Decade),
            _ => None,
        }
    }

    /// The archive that answers, and how many of its rows.
    pub(crate) fn rows(self) -> (usize, u32) {
        match self {
            Self::Hour => (0, 60),
            Self::Day => (0, 1440),
            Self::Week => (1, 336),
            Self::Month => (1, 1440),
            Self::Year => (2, 1440),
            Self::Decade => (3, 570),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_minute_belongs_to_the_row_that_ends_then() {
        assert_eq!(minute_of(120), 2);
        assert_eq!(minute_of(121), 3);
        let half_hour = ARCHIVES[1];
        assert_eq!((half_hour.slot_of(30), half_hour.slot_of(31)), (1, 2));
        assert_eq!((half_hour.place(1), half_hour.place(1441)), (0, 0));
    }

    #[test]
    fn an_archive_is_made_of_whole_rows_of_the_finer_one() {
        for pair in ARCHIVES.windows(2) {
            assert_eq!(pair[0].step_s * i64::from(pair[1].of), pair[1].step_s);
            assert!(pair[0].rows >= 2 * pair[1].of, "{pair:?}");
        }
    }
}
