//! The start of a small guest: by hand, and through the agent.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::by_hand::ByHand;
use crate::harness::{TestNode, put_guest, tiny_disk, until};
use crate::process::{cpu, cpu_of_children, ms};

const STARTS: u32 = 5;

pub(crate) const HEAD: &str = "\
| what | starts | wall ms each | CPU of QEMU ms each | CPU of agent ms each | of its children ms each |
|---|---|---|---|---|---|";

pub(crate) async fn measure() {
    let Some(disk) = tiny_disk() else { return };
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("disk.qcow2");
    std::fs::copy(&disk, &copy).unwrap();
    let (mut wall, mut used) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..STARTS {
        let begun = Instant::now();
        let guest = ByHand::spawn(folder.path(), 128, Some(&copy)).runs();
        wall += begun.elapsed();
        used += cpu(guest.pid());
    }
    let (wall, used) = (ms(wall / STARTS), ms(used / STARTS));
    println!("| by hand, until QMP says it runs | {STARTS} | {wall} | {used} | – | – |");
    through_the_agent(&disk).await;
}

async fn through_the_agent(disk: &Path) {
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
    std::fs::copy(disk, images.join("vm-100-disk-0.qcow2")).unwrap();
    let guest = || json!({"node": "pve1", "vmid": 100});
    let agent = node.role("node")[0];
    let (mut wall, mut used, mut own, mut children) = Default::default();
    for _ in 0..STARTS {
        let before = (cpu(agent), cpu_of_children(agent));
        let begun = Instant::now();
        assert_eq!(node.task("qemu_start", guest()).await, "OK");
        wall += begun.elapsed();
        own += cpu(agent) - before.0;
        children += cpu_of_children(agent) - before.1;
        let status = node.call("qemu_status", guest()).await.unwrap().data;
        used += cpu(u32::try_from(status["pid"].as_u64().unwrap()).unwrap());
        assert_eq!(node.task("qemu_stop", guest()).await, "OK");
        until("it is stopped", async || {
            let status = node.call("qemu_status", guest()).await.unwrap().data;
            status["status"] == "stopped"
        })
        .await;
    }
    let each = |sum: Duration| ms(sum / STARTS);
    let (wall, used) = (each(wall), each(used));
    let (own, children) = (each(own), each(children));
    println!(
        "| by the agent, until its task ends | {STARTS} | {wall} | {used} | {own} | {children} |"
    );
}
