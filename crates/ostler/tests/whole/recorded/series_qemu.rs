//! VMs, from their creation to their end.

use super::findings::Allowed;
use super::series::{Part, Series, is_possible};
use crate::harness::namespace::with_bridge;

const QEMU: Series = Series {
    files: &["15-qemu"],
    part: Part::All,
    before: &[576, 582, 583],
    guests: &[],
    history: &[],
    prepare: |_| {},
    etc: &[],
    blanks: &[],
    allowed: Allowed {
        differences: &[
            (
                &[2297],
                "nothing is on a medium that was not made yet: all that is to be on it is pending",
            ),
            (
                &[2347],
                "the display of a guest that does not run is refused at once, instead of a task that fails",
            ),
            (&[2348], "SPICE is not built"),
            (&[2371], "connection tracking does not move with a guest"),
        ],
        not_yet: &[],
    },
};

#[test]
fn qemu() {
    if is_possible("recorded qemu") {
        with_bridge(async { QEMU.replay().await });
    }
}
