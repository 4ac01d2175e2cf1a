//! VMs, from their creation to their end.

use super::findings::Allowed;
use super::series::{Part, Series, is_possible};
use crate::harness::namespace::with_bridge;

const QEMU: Series = Series {
    files: &["15-qemu"],
    part: Part::All,
    before: &[576, 582, 583],
    guests: &[],
    etc: &[],
    blanks: &[],
    allowed: Allowed {
        differences: &[],
        not_yet: &[
            2291, 2297, 2322, 2325, 2330, 2331, 2333, 2334, 2345, 2346, 2347, 2348, 2359, 2360,
            2361, 2371, 2376, 2408, 2409,
        ],
    },
};

#[test]
fn qemu() {
    if is_possible("recorded qemu") {
        with_bridge(async { QEMU.replay().await });
    }
}
