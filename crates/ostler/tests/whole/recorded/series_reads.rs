//! Reads in areas in which nothing is configured yet.

use super::findings::Allowed;
use super::series::{Part, Series, is_possible};
use crate::harness::namespace::with_bridge;

const AREAS: &[&str] = &[
    "/cluster/backup",
    "/cluster/backup-info",
    "/cluster/bulk-action",
    "/cluster/config",
    "/cluster/ha",
    "/cluster/jobs",
    "/cluster/replication",
    "/nodes/pve1/aplinfo",
    "/nodes/pve1/apt",
    "/nodes/pve1/certificates",
    "/nodes/pve1/disks/list",
    "/nodes/pve1/dns",
    "/nodes/pve1/hardware",
    "/nodes/pve1/hosts",
    "/nodes/pve1/lxc/200/rrddata",
    "/nodes/pve1/network",
    "/nodes/pve1/query-url-metadata",
    "/nodes/pve1/replication",
    "/nodes/pve1/services",
    "/nodes/pve1/subscription",
];

const INTERFACES: &str = "network/interfaces";

const READS: Series = Series {
    files: &[
        "01-lxc",
        "02-storage",
        "03-backup",
        "05-network-node",
        "06-ha",
        "11-cluster",
        "17-history",
        "18-schedules",
    ],
    part: Part::Reads(AREAS),
    before: &[],
    guests: &[(200, &[]), (300, &[])],
    history: &[],
    prepare: |_| {},
    etc: &[
        (1124, "net-00-start.interfaces", INTERFACES),
        (1139, "net-01-bridge-min.interfaces.new", INTERFACES),
        (1144, "net-02-bridge-full.interfaces.new", INTERFACES),
        (1157, "net-03-bond.interfaces.new", INTERFACES),
        (1190, "net-04-vlan.interfaces.new", INTERFACES),
        (1200, "net-05-ovs.interfaces.new", INTERFACES),
        (1210, "net-08-after-put.interfaces.new", INTERFACES),
        (1214, "net-06-alias.interfaces.new", INTERFACES),
        (1218, "net-07-type-change.interfaces.new", INTERFACES),
        (1230, "net-09-after-delete.interfaces.new", INTERFACES),
        (1235, "net-10-reverted.interfaces", INTERFACES),
        (1246, "net-11-applied.interfaces", INTERFACES),
    ],
    blanks: &[],
    allowed: Allowed {
        differences: &[
            (
                &[
                    599, 607, 608, 609, 610, 626, 631, 714, 715, 721, 1404, 1405, 1406, 1408, 1409,
                    1411, 1419, 1456, 1459, 1460, 1468, 1472,
                ],
                "of jobs, resources and rules, which cannot be made yet",
            ),
            (&[179, 2545, 2546], "there are no containers yet"),
            (&[1139, 1230, 1238], "changes that wait are not made yet"),
            (
                &[1173, 1176, 1214],
                "a state between those of which the file was kept",
            ),
            (
                &[1255, 1258, 1261],
                "the name servers are this machine's own",
            ),
            (
                &[1124, 1125, 1126, 1129, 1210, 1212, 1235, 1246],
                "what runs of the interfaces is this machine's own, and shown also where no file \
                 configures it",
            ),
            (
                &[494, 495, 1271, 1306, 1308],
                "disks, hosts and certificates are this machine's own",
            ),
            (&[737, 1292, 1333, 1582], "a directory names what is built"),
            (&[1298], "orders of certificates are not built"),
            (&[1316], "the updates are this machine's own"),
            (
                &[1317, 1329],
                "the repositories are this machine's own, and none is offered",
            ),
            (
                &[1349, 1350],
                "names of PCI devices are those of the list that is installed",
            ),
        ],
        not_yet: &[],
    },
};

#[test]
fn reads() {
    if is_possible("recorded reads") {
        with_bridge(async { READS.replay_values().await });
    }
}
