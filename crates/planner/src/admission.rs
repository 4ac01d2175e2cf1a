//! Whether a node has room for one more guest.
//!
//! ```text
//!   RAM 94 GiB ─ reserve 8 GiB = 86 GiB × ratio 1.5 = 129 GiB, the limit of what guests may have
//! ```
//!
//! A guest counts with the memory and the processors that it is configured with, whatever it uses
//! at the moment: what is admitted must still fit when each guest uses what it was promised.

use std::fmt;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// What a guest is promised.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Demand {
    /// In bytes.
    pub memory: u64,
    pub cpus: u64,
}

impl std::iter::Sum for Demand {
    fn sum<I: Iterator<Item = Self>>(demands: I) -> Self {
        demands.fold(Self::default(), |sum, demand| Self {
            memory: sum.memory.saturating_add(demand.memory),
            cpus: sum.cpus.saturating_add(demand.cpus),
        })
    }
}

/// What a node keeps for itself, and how often the rest may be promised.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Policy {
    /// None: no limit.
    pub ratio: Option<f64>,
    pub reserve: u64,
}

/// One resource of a node: memory in bytes, or processors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Room {
    pub total: u64,
    pub policy: Policy,
    /// What running guests are promised.
    pub committed: u64,
}

/// Why a guest has no room.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shortage {
    pub needed: u64,
    pub limit: u64,
    pub room: Room,
}

impl Room {
    /// What is left for guests by the reserve alone.
    pub fn usable(&self) -> u64 {
        self.total.saturating_sub(self.policy.reserve)
    }

    /// How much may be promised. A reserve without a ratio is kept: it counts as ratio 1.
    pub fn limit(&self) -> Option<u64> {
        let default = (self.policy.reserve > 0).then_some(1.0);
        let ratio = self.policy.ratio.or(default)?;
        Some((self.usable() as f64 * ratio) as u64)
    }

    /// What may still be promised; without a limit what is there more than promised.
    pub fn free(&self) -> u64 {
        let limit = self.limit().unwrap_or_else(|| self.usable());
        limit.saturating_sub(self.committed)
    }

    /// Promised part of what guests can have at once.
    pub fn ratio(&self) -> f64 {
        match self.usable() {
            0 => 0.0,
            usable => self.committed as f64 / usable as f64,
        }
    }

    /// Whether guests could use more at once than there is, with this much more promised.
    pub fn overcommits(&self, needed: u64) -> bool {
        self.committed.saturating_add(needed) > self.usable()
    }

    pub fn check(&self, needed: u64) -> Result<(), Shortage> {
        match self.limit() {
            Some(limit) if self.committed.saturating_add(needed) > limit => Err(Shortage {
                needed,
                limit,
                room: *self,
            }),
            _ => Ok(()),
        }
    }
}

impl Shortage {
    /// The shortage in words, its figures written by `figure`.
    fn words(&self, f: &mut fmt::Formatter<'_>, figure: impl Fn(u64) -> String) -> fmt::Result {
        let Self {
            needed,
            limit,
            room,
        } = self;
        let free = limit.saturating_sub(room.committed);
        write!(
            f,
            "{} needed, {} free: running guests have {} of {} ({} of the node",
            figure(*needed),
            figure(free),
            figure(room.committed),
            figure(*limit),
            figure(room.total),
        )?;
        if room.policy.reserve > 0 {
            write!(f, ", {} reserved", figure(room.policy.reserve))?;
        }
        if let Some(ratio) = room.policy.ratio {
            write!(f, ", ratio {ratio}")?;
        }
        f.write_str(")")
    }

    /// Of memory.
    pub fn of_memory(self) -> impl fmt::Display {
        Words(self, size)
    }

    /// Of processors.
    pub fn of_cpus(self) -> impl fmt::Display {
        Words(self, |count: u64| count.to_string())
    }
}

/// Bytes as they are said: `94.0 GiB`, `512 MiB`.
fn size(bytes: u64) -> String {
    match bytes {
        0..GIB => format!("{} MiB", bytes / MIB),
        _ => format!("{:.1} GiB", bytes as f64 / GIB as f64),
    }
}

struct Words<F>(Shortage, F);

impl<F: Fn(u64) -> String> fmt::Display for Words<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.words(f, &self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(ratio: Option<f64>, reserve_gib: u64, committed_gib: u64) -> Room {
        Room {
            total: 94 * GIB,
            policy: Policy {
                ratio,
                reserve: reserve_gib * GIB,
            },
            committed: committed_gib * GIB,
        }
    }

    #[test]
    fn nothing_is_refused_without_a_policy() {
        let room = room(None, 0, 90);
        assert_eq!(room.limit(), None);
        assert_eq!(room.check(1000 * GIB), Ok(()));
        assert!(!room.overcommits(4 * GIB));
        assert!(room.overcommits(5 * GIB));
        assert_eq!(room.free(), 4 * GIB);
    }

    #[test]
    fn without_overcommit_guests_have_what_the_reserve_leaves() {
        for ratio in [Some(1.0), None] {
            let room = room(ratio, 8, 37);
            assert_eq!(room.free(), 49 * GIB);
            assert_eq!(room.check(49 * GIB), Ok(()));
            assert!(room.check(49 * GIB + 1).is_err());
        }
    }

    #[test]
    fn a_ratio_lets_more_be_promised_than_there_is() {
        let room = room(Some(1.5), 0, 100);
        assert_eq!(room.limit(), Some(141 * GIB));
        assert_eq!(room.check(41 * GIB), Ok(()));
        let shortage = room.check(42 * GIB).unwrap_err().of_memory().to_string();
        assert_eq!(
            shortage,
            "42.0 GiB needed, 41.0 GiB free: running guests have 100.0 GiB of 141.0 GiB \
             (94.0 GiB of the node, ratio 1.5)"
        );
    }

    #[test]
    fn figures_of_processors_are_counts() {
        let room = Room {
            total: 20,
            policy: Policy {
                ratio: Some(1.0),
                reserve: 2,
            },
            committed: 16,
        };
        let shortage = room.check(4).unwrap_err().of_cpus().to_string();
        assert_eq!(
            shortage,
            "4 needed, 2 free: running guests have 16 of 18 (20 of the node, 2 reserved, ratio 1)"
        );
    }

    #[test]
    fn a_reserve_larger_than_the_node_leaves_nothing() {
        let room = room(Some(2.0), 100, 1);
        assert_eq!((room.limit(), room.free()), (Some(0), 0));
        assert!(room.check(1).is_err());
    }
}
