//! What snapshots and clones of a storage cost by the agent, beside the storage's own tool.

use std::time::{Duration, Instant};

use serde_json::json;

use super::ground::{Act, Ground};
use super::timed::timed;
use super::{TestNode, about, put_guest};

/// How often each is done.
const TIMES: u32 = 5;

/// A row: what was done, how often, by the agent, by hand.
pub struct Beside {
    pub what: &'static str,
    pub times: u32,
    pub agent: Duration,
    pub by_hand: Duration,
}

/// Guests 100, for the agent, and 101, for the tool, each have a disk on the storage.
pub async fn measure(ground: &Ground) -> Vec<Beside> {
    let node = TestNode::start(async |store| {
        for vmid in [100, 101] {
            put_guest(store, vmid, &[("name", "own".into())]).await;
        }
    })
    .await;
    node.call("storage_create", ground.storage()).await.unwrap();
    for vmid in [100, 101] {
        let disk = about(vmid, json!({"virtio0": "pool:1"}));
        assert_eq!(node.task("qemu_configure_task", disk).await, "OK");
    }
    let acts = [
        ("snapshot", "qemu_snapshot", Act::Snapshot),
        ("rollback", "qemu_rollback", Act::Rollback),
        ("removal of a snapshot", "qemu_delsnapshot", Act::Remove),
    ];
    let mut rows: Vec<Beside> = Vec::new();
    let clones = [("linked clone", "", Act::Base)];
    let clones = clones.iter().filter(|_| ground.has_templates());
    for (what, ..) in acts.iter().chain(clones) {
        rows.push(Beside {
            what,
            times: TIMES,
            agent: Duration::ZERO,
            by_hand: Duration::ZERO,
        });
    }
    let by_hand = |act: Act, image: &str| {
        let begun = Instant::now();
        ground.by_hand(act, image);
        begun.elapsed()
    };
    for _ in 0..TIMES {
        for (row, (_, op, act)) in rows.iter_mut().zip(acts) {
            row.agent += timed(&node, op, about(100, json!({"snapname": "agent"}))).await;
            row.by_hand += by_hand(act, "vm-101-disk-0");
        }
    }
    if !ground.has_templates() {
        return rows;
    }
    ground.by_hand(Act::Base, "vm-101-disk-0");
    assert_eq!(
        node.task("qemu_template", about(100, json!({}))).await,
        "OK"
    );
    for number in 0..TIMES {
        let clone = about(100, json!({"newid": 300 + number}));
        rows[3].agent += timed(&node, "qemu_clone", clone).await;
        rows[3].by_hand += by_hand(Act::Clone(number), "vm-101-disk-0");
    }
    rows
}
