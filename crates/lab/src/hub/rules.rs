//! The rules for frames between nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// From one node to another, by their numbers.
pub(super) type Link = (u8, u8);

/// Counters of frames in one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames that were passed on.
    pub passed: u64,
    /// Their bytes.
    pub passed_bytes: u64,
    /// Frames dropped by a cut.
    pub cut: u64,
    /// Frames dropped at random.
    pub lost: u64,
    /// Frames that the receiver did not read in time: it is frozen, or slow.
    pub overflowed: u64,
}

/// What happens to a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is passed on after this time, usually zero.
    Passed(Duration),
    /// A cut dropped it.
    Cut,
    /// It was dropped at random.
    Lost,
    /// The receiver's queue was full.
    Overflowed,
}

#[derive(Debug, Default)]
pub(super) struct Rule {
    pub(super) cut: bool,
    pub(super) loss: f64,
    pub(super) delay: Duration,
    pub(super) counters: Counters,
}

#[derive(Debug, Default)]
pub(super) struct Rules {
    links: BTreeMap<Link, Rule>,
    pub(super) isolated: BTreeSet<u8>,
    chance: Chance,
}

impl Rules {
    pub(super) fn link(&mut self, link: Link) -> &mut Rule {
        self.links.entry(link).or_default()
    }

    pub(super) fn heal(&mut self) {
        self.isolated.clear();
        for rule in self.links.values_mut() {
            *rule = Rule {
                counters: rule.counters,
                ..Rule::default()
            };
        }
    }

    pub(super) fn judge(&mut self, from: u8, to: u8, bytes: usize) -> Fate {
        // Cards of one node are never cut off from each other.
        let is_apart = from != to && (self.isolated.contains(&from) || self.isolated.contains(&to));
        let draw = self.chance.draw();
        let rule = self.link((from, to));
        if is_apart || rule.cut {
            rule.counters.cut += 1;
            Fate::Cut
        } else if draw < rule.loss {
            rule.counters.lost += 1;
            Fate::Lost
        } else {
            rule.counters.passed += 1;
            rule.counters.passed_bytes += bytes as u64;
            Fate::Passed(rule.delay)
        }
    }
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for node in &self.isolated {
            writeln!(f, "n{node} is isolated")?;
        }
        for ((from, to), rule) in &self.links {
            let Counters {
                passed,
                passed_bytes,
                cut,
                lost,
                overflowed,
            } = rule.counters;
            write!(
                f,
                "n{from} -> n{to}: {passed} passed ({passed_bytes} bytes), "
            )?;
            write!(f, "{cut} cut, {lost} lost, {overflowed} overflowed")?;
            if rule.cut {
                write!(f, "; is cut")?;
            }
            if rule.loss > 0.0 {
                write!(f, "; loses {}", rule.loss)?;
            }
            if !rule.delay.is_zero() {
                write!(f, "; is late by {:?}", rule.delay)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// Pseudo-random numbers that are the same in each run, so that losses are reproducible.
#[derive(Debug)]
struct Chance(u64);

impl Default for Chance {
    fn default() -> Chance {
        Chance(0x9e37_79b9_7f4a_7c15)
    }
}

impl Chance {
    /// A number from 0 to less than 1 (xorshift64*).
    fn draw(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let mixed = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d);
        (mixed >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_one_way_cut_lets_answers_through_and_heals() {
        let mut rules = Rules::default();
        rules.link((1, 2)).cut = true;
        assert_eq!(rules.judge(1, 2, 60), Fate::Cut);
        assert_eq!(rules.judge(2, 1, 60), Fate::Passed(Duration::ZERO));
        rules.heal();
        assert_eq!(rules.judge(1, 2, 60), Fate::Passed(Duration::ZERO));
        let counters = rules.link((1, 2)).counters;
        assert_eq!(
            (counters.cut, counters.passed, counters.passed_bytes),
            (1, 1, 60)
        );
    }

    #[test]
    fn an_isolated_node_still_has_its_own_cards() {
        let mut rules = Rules::default();
        rules.isolated.insert(1);
        assert_eq!(rules.judge(1, 2, 60), Fate::Cut);
        assert_eq!(rules.judge(3, 1, 60), Fate::Cut);
        assert_eq!(rules.judge(1, 1, 60), Fate::Passed(Duration::ZERO));
        assert_eq!(rules.judge(2, 3, 60), Fate::Passed(Duration::ZERO));
    }

    #[test]
    fn the_share_that_is_lost_is_the_share_that_was_asked_for() {
        let mut rules = Rules::default();
        rules.link((1, 2)).loss = 0.3;
        for _ in 0..10_000 {
            rules.judge(1, 2, 60);
        }
        let lost = rules.link((1, 2)).counters.lost;
        assert!((2_800..3_200).contains(&lost), "{lost}");
    }
}
