//! Mappings of devices, and the processor models of the cluster's own.

use super::findings::Allowed;
use super::series::{Part, Series, is_possible};
use crate::harness::namespace::with_bridge;

const MAPPINGS: Series = Series {
    files: &["11-cluster"],
    part: Part::Below(&[
        "/cluster/mapping/pci",
        "/cluster/mapping/usb",
        "/cluster/qemu/custom-cpu-models",
    ]),
    before: &[],
    guests: &[],
    history: &[],
    prepare: |_| {},
    etc: &[],
    blanks: &[],
    allowed: Allowed {
        differences: &[
            (&[1515, 1570], "the devices are this machine's own"),
            (
                &[1621],
                "the models are those of the schema, which has more than the recorded node",
            ),
        ],
        not_yet: &[],
    },
};

#[test]
fn mappings() {
    if is_possible("recorded mappings") {
        with_bridge(async { MAPPINGS.replay().await });
    }
}
