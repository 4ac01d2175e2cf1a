//! Containers, from their creation to their end.

use super::findings::Allowed;
use super::series::{Part, Series, is_possible};
use crate::harness::TestNode;
use crate::harness::namespace::with_bridge;
use crate::{lxc_life, lxc_volumes};

/// A template, an image of a CD, a file system for the storage `btr`.
fn prepare(node: &TestNode) {
    for name in ["mini.tar.gz", "busy.tar.gz"] {
        lxc_life::template(node, name);
    }
    let images = node.root.join("var/lib/vz/template/iso");
    std::fs::create_dir_all(&images).unwrap();
    std::fs::write(images.join("mini.iso"), "an image").unwrap();
    lxc_volumes::mount_btrfs(node);
}

const LXC: Series = Series {
    files: &["01-lxc", "12-lxc-snapshots", "16-lxc-running"],
    part: Part::All,
    before: &[],
    guests: &[],
    history: &[],
    prepare,
    etc: &[],
    blanks: &[],
    allowed: Allowed {
        differences: &[
            (&[65], "the digest of a configuration is another one here"),
            (
                &[83, 93, 100, 102, 117],
                "two cards of one name are refused; each refused volume leaves no unused one behind",
            ),
            (&[85, 87], "a change that is refused is not saved"),
            (&[91], "a volume that is not there is refused"),
            (
                &[154, 2173],
                "the answer comes when the container is a template",
            ),
            (
                &[169, 170],
                "a container that is not there is refused at once",
            ),
            (&[179], "without history there are rows without values"),
            (&[184], "the refusal of a websocket has no body"),
            (&[215], "the refusal names the right that is missing"),
            (&[217], "parameters are read before rights"),
            (&[243], "here the container starts"),
            (
                &[2445, 2496, 2504, 2528],
                "control groups of version 1 count no pressure",
            ),
            (
                &[2449, 2533],
                "the recorded node took a lock off by hand, and had no container 201 that runs",
            ),
            (&[181], "here a container has a history at once"),
            (&[2446], "here the card has its addresses"),
            (&[2448, 2457, 2461], "the rows are in another order"),
            (
                &[2470, 2471, 2503],
                "a mount point of a running container waits for its next start",
            ),
            (
                &[2478, 2510, 2516, 2520, 2526],
                "what could not be done, and what is not as expected, are warnings of the task",
            ),
        ],
        not_yet: &[
            // Restore, devices, a card that is pulled while the container runs.
            33, 34, 2466, // Suspend.
            165, 166, 167, 2451, // SPICE, other clusters.
            183, 185, // Backup.
            2182, 2487, 2488, 2490, 2491, 2493, 2494,
        ],
    },
};

#[test]
fn lxc() {
    if is_possible("recorded containers") && !lxc_life::is_left_out("recorded containers") {
        with_bridge(async { LXC.replay().await });
    }
}
