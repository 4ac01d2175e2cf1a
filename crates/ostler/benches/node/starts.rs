//! The start of a small guest: by hand, and through the agent.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::by_hand::{ByHand, CommandLine};
use crate::harness::timed::timed;
use crate::harness::{TestNode, put_guest, tiny_disk, until};
use crate::process::{cpu, cpu_of_children, ms};

/// So many that a hundredth of a second, which the kernel counts in, is little beside their sum.
const STARTS: u32 = 50;

pub(crate) const HEAD: &str = "\
| what | starts | wall ms each | CPU of QEMU ms each | CPU of agent ms each | of its children ms each | added |
|---|---|---|---|---|---|---|";

pub(crate) async fn measure() {
    let Some(disk) = tiny_disk() else { return };
    let node = TestNode::start(async |store| {
        let options: [(&str, Value); 5] = [
            ("memory", "128".into()),
            ("kvm", 0.into()),
            ("serial0", "socket".into()),
            ("virtio0", "local:100/vm-100-disk-0.qcow2".into()),
            ("boot", "order=virtio0".into()),
        ];
        put_guest(store, 100, &options).await;
    })
    .await;
    let images = node.root.join("var/lib/vz/images/100");
    std::fs::create_dir_all(&images).unwrap();
    std::fs::copy(&disk, images.join("vm-100-disk-0.qcow2")).unwrap();
    let (line, ours) = through_the_agent(&node).await;
    let bare = by_hand(&line, &disk);
    let each = |sum: Duration| ms(sum / STARTS);
    println!(
        "| by hand, the same devices, until QMP says it runs | {STARTS} | {} | {} | – | – | – |",
        each(bare.wall),
        each(bare.qemu)
    );
    let added = (ours.agent + ours.children).as_secs_f64() / bare.qemu.as_secs_f64();
    println!(
        "| by the agent, until its task ends | {STARTS} | {} | {} | {} | {} | {added:.2}x |",
        each(ours.wall),
        each(ours.qemu),
        each(ours.agent),
        each(ours.children)
    );
}

/// Sums over all starts.
#[derive(Default)]
struct Costs {
    wall: Duration,
    qemu: Duration,
    agent: Duration,
    children: Duration,
}

async fn through_the_agent(node: &TestNode) -> (CommandLine, Costs) {
    let guest = || json!({"node": "pve1", "vmid": 100});
    let agent = node.role("node")[0];
    let mut costs = Costs::default();
    let mut line = None;
    for _ in 0..STARTS {
        let before = (cpu(agent), cpu_of_children(agent));
        costs.wall += timed(node, "qemu_start", guest()).await;
        costs.agent += cpu(agent) - before.0;
        costs.children += cpu_of_children(agent) - before.1;
        let status = node.call("qemu_status", guest()).await.unwrap().data;
        let pid = u32::try_from(status["pid"].as_u64().unwrap()).unwrap();
        costs.qemu += cpu(pid);
        line = Some(CommandLine::of(
            pid,
            &node.root.join("run/ostler/guests/100"),
        ));
        assert_eq!(node.task("qemu_stop", guest()).await, "OK");
        until("it is stopped", async || {
            let status = node.call("qemu_status", guest()).await.unwrap().data;
            status["status"] == "stopped"
        })
        .await;
    }
    (line.unwrap(), costs)
}

fn by_hand(line: &CommandLine, disk: &Path) -> Costs {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("disk.qcow2");
    std::fs::copy(disk, &copy).unwrap();
    let mut costs = Costs::default();
    for _ in 0..STARTS {
        let begun = Instant::now();
        let guest = ByHand::like(line, folder.path(), Some(&copy)).runs();
        costs.wall += begun.elapsed();
        costs.qemu += cpu(guest.pid());
    }
    costs
}
