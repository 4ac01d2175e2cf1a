//! History: rows, pictures and metrics.

use history::{NODE, Object, STORAGE};
use model::VmId;

use super::findings::Allowed;
use super::series::{Part, Series, is_possible};
use crate::harness::namespace::with_bridge;

const HISTORY: Series = Series {
    files: &["02-storage", "03-backup", "17-history"],
    part: Part::Reads(&[
        "/cluster/metrics/export",
        "/nodes/pve1/qemu/300/rrd",
        "/nodes/pve1/qemu/300/rrddata",
        "/nodes/pve1/rrd",
        "/nodes/pve1/rrddata",
        "/nodes/pve1/storage/local/rrd",
        "/nodes/pve1/storage/local/rrddata",
    ]),
    before: &[],
    guests: &[(300, &[("scsi0", "local:300/vm-300-disk-0.qcow2,size=1G")])],
    history: &[
        (|| Object::Node, NODE),
        (|| Object::Storage("local".parse().unwrap()), STORAGE),
        (
            || Object::Guest(VmId::new(300).unwrap()),
            &["maxcpu", "maxmem", "maxdisk", "disk"],
        ),
    ],
    prepare: |_| {},
    etc: &[],
    blanks: &[],
    allowed: Allowed {
        differences: &[
            (
                &[476],
                "without history there are rows without values, and that is no error",
            ),
            (
                &[776, 777],
                "there are figures as soon as the node has measured",
            ),
            (
                &[2551],
                "a storage has a picture: a wrong name of its file is not repeated",
            ),
        ],
        not_yet: &[],
    },
};

#[test]
fn history() {
    if is_possible("recorded history") {
        with_bridge(async { HISTORY.replay().await });
    }
}
