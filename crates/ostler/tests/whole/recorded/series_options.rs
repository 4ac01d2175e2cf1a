//! The options of the datacenter.

use super::findings::Allowed;
use super::series::{Part, Series, is_possible};
use crate::harness::namespace::with_bridge;

const OPTIONS: Series = Series {
    files: &["14-options"],
    part: Part::All,
    before: &[576, 582, 583],
    guests: &[(200, &[("tags", "a;b")])],
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
fn options() {
    if is_possible("recorded options") {
        with_bridge(async { OPTIONS.replay_values().await });
    }
}
