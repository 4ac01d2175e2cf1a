//! Storages of every type, their content, scans and disks; calendar events.

use super::findings::Allowed;
use super::series::{Part, Series, is_possible};
use crate::harness::TestNode;
use crate::harness::namespace::with_bridge;

/// Templates, an image of a disc, and backups of two guests.
const FILES: [&str; 7] = [
    "template/cache/mini.tar.gz",
    "template/cache/busy.tar.gz",
    "template/iso/mini.iso",
    "dump/vzdump-lxc-301-2026_01_03-00_00_00.tar.zst",
    "dump/vzdump-qemu-300-2026_01_01-00_00_00.vma.zst",
    "dump/vzdump-qemu-300-2026_01_02-00_00_00.vma.zst",
    "dump/vzdump-qemu-300-2026_01_03-00_00_00.vma.zst",
];

fn put_files(node: &TestNode) {
    for name in FILES {
        let path = node.root.join("var/lib/vz").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x\n").unwrap();
    }
}

const STORAGE: Series = Series {
    files: &["02-storage"],
    part: Part::All,
    before: &[],
    guests: &[],
    history: &[],
    prepare: put_files,
    etc: &[],
    blanks: &[(483, &["secret"])],
    allowed: Allowed {
        differences: &[
            (
                &[245],
                "the first write of Proxmox VE's file adds keep-all=1 to 'local', which is what nothing means",
            ),
            (&[254, 255, 256], "a folder may hold nothing"),
            (
                &[272, 473],
                "the digest of a configuration is another one here, so it is not changed",
            ),
            (
                &[313, 385, 386],
                "since when a storage does not answer is shown beside the rest",
            ),
            (&[391], "a node that is not there is named"),
            (
                &[406, 408],
                "the containers of an earlier series are not here",
            ),
            (&[412, 418], "a disk is called after its guest"),
            (&[422, 462, 463], "the type is not part of the text"),
            (&[431, 435], "what is not there is said at once"),
            (&[464], "a text of Perl"),
            (&[470], "the text is not that of wget"),
            (&[476], "what was recorded had no history"),
            (&[479, 481, 490], "programs are missing here, or there"),
            (
                &[486, 488, 523, 532, 535],
                "texts of programs, which were missing there",
            ),
        ],
        // krbd; the types pbs, esxi and zfs; files out of backups, and a server of backups.
        not_yet: &[
            384, 352, 353, 569, 363, 365, 366, 367, 369, 371, 372, 373, 374, 377, 378, 379, 380,
            381, 382, 397, 552, 572, 573, 575, 458, 460, 482, 483,
        ],
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
