//! Storages of every type, their content, scans and disks; calendar events.

use super::findings::Allowed;
use super::series::{Part, Series, is_possible};
use crate::harness::namespace::with_bridge;

const STORAGE: Series = Series {
    files: &["02-storage"],
    part: Part::All,
    before: &[],
    guests: &[],
    history: &[],
    prepare: |_| {},
    etc: &[],
    blanks: &[],
    allowed: Allowed {
        differences: &[],
        not_yet: &[],
    },
};

const SCHEDULES: Series = Series {
    files: &["18-schedules"],
    part: Part::All,
    before: &[],
    guests: &[],
    history: &[],
    prepare: |_| {},
    etc: &[],
    blanks: &[],
    allowed: Allowed {
        differences: &[],
        not_yet: &[],
    },
};

#[test]
fn storage() {
    if is_possible("recorded storages") {
        with_bridge(async { STORAGE.replay().await });
    }
}

#[test]
fn schedules() {
    if is_possible("recorded schedules") {
        with_bridge(async { SCHEDULES.replay_values().await });
    }
}
