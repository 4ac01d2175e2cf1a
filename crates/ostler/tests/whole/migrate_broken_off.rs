//! Migrations of a guest that runs and writes, broken off at every line of the source's journal, by
//! the death of an agent or of a QEMU, or by a cut of the link: afterwards the guest runs once, or
//! nowhere with its disks whole.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::breaking::Broken;
use crate::harness::cluster::{TestCluster, with_cluster_bridge};
use crate::harness::pair::listing;
use crate::harness::writing::{VERIFY, WRITE, is_whole};
use crate::harness::{Serial, TestNode, kill, open_to_guests, tiny_disk, until};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Blow {
    /// After so long.
    SourceAgent(Duration),
    TargetAgent(Duration),
    SourceQemu(Duration),
    /// As soon as it is there.
    TargetQemu,
    /// Until the others have noticed.
    TargetsLink,
    SourcesLink,
}

/// Into the act of a step.
const INTO: Duration = Duration::from_millis(15);
/// While disks and memory are sent.
const DEEP: Duration = Duration::from_millis(500);

/// The lines of the steps that send the guest, and that change its owner.
const TRAVEL: usize = 6;
const HAND_OVER: usize = 7;

/// Before the step that has the target get ready, nothing of the guest is there.
const BEFORE: [Blow; 4] = [
    Blow::SourceAgent(INTO),
    Blow::TargetAgent(INTO),
    Blow::SourceQemu(INTO),
    Blow::SourcesLink,
];
const PREPARE: usize = 4;
const AFTERWARDS: [Blow; 7] = [
    Blow::SourceAgent(Duration::ZERO),
    Blow::SourceAgent(INTO),
    Blow::TargetAgent(INTO),
    Blow::SourceQemu(INTO),
    Blow::TargetQemu,
    Blow::TargetsLink,
    Blow::SourcesLink,
];
const WHILE_IT_TRAVELS: [Blow; 3] = [
    Blow::SourceAgent(DEEP),
    Blow::TargetAgent(DEEP),
    Blow::SourceQemu(DEEP),
];

const STORAGES: [&str; 2] = ["own1", "own2"];
const IMAGES: [&str; 2] = ["vm-100-disk-0.qcow2", "vm-100-disk-1.raw"];

/// Three nodes; guest 100 is at one of the first two, each of which has a storage of its own.
struct Scene {
    cluster: TestCluster,
    folder: tempfile::TempDir,
    /// Where the guest is.
    at: usize,
    serial: Serial,
}

fn guest(node: &TestNode) -> Value {
    json!({"node": node.name, "vmid": 100})
}

/// The processes of the guest at a node.
fn qemus(node: &TestNode) -> Vec<u32> {
    let folder = node.root.join("run/ostler/guests/100/");
    let folder = folder.display().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_one = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        line.starts_with("qemu-system") && line.contains(&folder)
    };
    pids.filter(is_one).collect()
}

fn console(node: &TestNode) -> Serial {
    Serial::connect(&node.root.join("run/ostler/guests/100/serial0.sock"))
}

impl Scene {
    async fn new() -> Option<Self> {
        let disk = tiny_disk()?;
        let cluster = TestCluster::start(3).await?;
        cluster.form().await;
        let folder = tempfile::Builder::new()
            .prefix("ostler-")
            .tempdir()
            .unwrap();
        open_to_guests(folder.path());
        let [one, two, _] = &cluster.nodes[..] else {
            unreachable!()
        };
        for (storage, node) in STORAGES.into_iter().zip([one, two]) {
            let path = folder.path().join(storage);
            let storage = json!({
                "storage": storage, "type": "dir", "path": path, "nodes": node.name,
                "content": "images",
            });
            one.call("storage_create", storage).await.unwrap();
        }
        let images = folder.path().join("own1/images/100");
        std::fs::create_dir_all(&images).unwrap();
        std::fs::copy(disk, images.join(IMAGES[0])).unwrap();
        let second = std::fs::File::create(images.join(IMAGES[1])).unwrap();
        second.set_len(1 << 20).unwrap();
        let mut options = json!({
            "memory": 128, "serial0": "socket", "boot": "order=virtio0",
            "virtio0": format!("own1:100/{}", IMAGES[0]),
            "virtio1": format!("own1:100/{}", IMAGES[1]),
        });
        options
            .as_object_mut()
            .unwrap()
            .extend(guest(one).as_object().unwrap().clone());
        one.call("qemu_configure", options).await.unwrap();
        assert_eq!(one.task("qemu_start", guest(one)).await, "OK");
        let mut serial = console(one);
        serial.expect("tiny: ready");
        serial.ask(WRITE);
        Some(Self {
            cluster,
            folder,
            at: 0,
            serial,
        })
    }

    fn images(&self, node: usize) -> Vec<String> {
        listing(&self.folder.path().join(STORAGES[node]).join("images/100"))
    }

    /// Moves the guest to the other node, and strikes when the journal has so many lines.
    async fn strike(&mut self, lines: usize, blow: Blow) -> Broken {
        let (from, to) = (self.at, 1 - self.at);
        let [source, target] = [from, to].map(|at| &self.cluster.nodes[at]);
        let map = format!("{}:{}", STORAGES[from], STORAGES[to]);
        let params = json!({
            "node": source.name, "vmid": 100, "target": target.name, "online": 1,
            "with-local-disks": 1, "targetstorage": map,
        });
        let struck = async |_: &str| match blow {
            Blow::SourceAgent(after) => {
                tokio::time::sleep(after).await;
                kill(source.role("node")[0]);
            }
            Blow::TargetAgent(after) => {
                tokio::time::sleep(after).await;
                target.kill_role("node").await;
            }
            Blow::SourceQemu(after) => {
                tokio::time::sleep(after).await;
                qemus(source).into_iter().for_each(kill);
            }
            Blow::TargetQemu => {
                for _ in 0..100 {
                    let there = qemus(target);
                    if !there.is_empty() {
                        there.into_iter().for_each(kill);
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            Blow::TargetsLink => self.cut(to).await,
            Blow::SourcesLink => self.cut(from).await,
        };
        let broken = source
            .interrupt("qemu_migrate", params, lines, struck)
            .await;
        println!("{lines} {blow:?}: {broken:?}");
        broken
    }

    /// Cuts a node off until the third one has noticed.
    async fn cut(&self, node: usize) {
        self.cluster.cut(node + 1);
        let asked = json!({"node": self.cluster.nodes[node].name});
        until("the node is silent", async || {
            let third = &self.cluster.nodes[2];
            third.call("node_status", asked.clone()).await.is_err()
        })
        .await;
        self.cluster.heal(node + 1);
    }

    /// The node that has the guest, if nothing of it is at the other one.
    async fn place(&self) -> Option<usize> {
        let nodes = &self.cluster.nodes;
        for (at, other) in [(0, 1), (1, 0)] {
            let config = nodes[2].call("qemu_config", guest(&nodes[at])).await;
            if config.is_ok_and(|config| config.data.get("lock").is_none()) {
                let is_alone = qemus(&nodes[other]).is_empty() && self.images(other).is_empty();
                return (is_alone && qemus(&nodes[at]).len() <= 1).then_some(at);
            }
        }
        None
    }

    /// Waits until the guest is at one node only, and checks what is left of it.
    async fn settle(&mut self, blow: Blow, broken: &Broken) {
        let from = self.at;
        let mut found = None;
        until("the guest is one node's alone", async || {
            found = self.place().await;
            found.is_some()
        })
        .await;
        self.at = found.unwrap();
        assert_eq!(self.images(self.at), IMAGES);
        let has_stayed = self.at == from;
        let may_have_ended = match blow {
            // A guest that had ended before moves as a stopped one, with a warning.
            Blow::SourceQemu(_) => has_stayed || broken.status.starts_with("WARN"),
            Blow::TargetQemu => !has_stayed,
            _ => false,
        };
        let node = &self.cluster.nodes[self.at];
        if may_have_ended && qemus(node).is_empty() {
            return self.boot().await;
        }
        until("the guest runs", async || {
            let status = node.call("qemu_status", guest(node)).await;
            status.is_ok_and(|status| status.data["qmpstatus"] == "running")
        })
        .await;
        if !has_stayed {
            self.serial = console(node);
        }
        let said = self.serial.ask(VERIFY);
        assert!(is_whole(&said), "{said}");
        self.serial.ask(WRITE);
    }

    /// Starts a guest that has ended, from its disk.
    async fn boot(&mut self) {
        let node = &self.cluster.nodes[self.at];
        until("the guest's end is known", async || {
            let status = node.call("qemu_status", guest(node)).await;
            status.is_ok_and(|status| status.data["status"] == "stopped")
        })
        .await;
        assert_eq!(node.task("qemu_start", guest(node)).await, "OK");
        self.serial = console(node);
        self.serial.expect("tiny: ready");
        self.serial.ask(WRITE);
    }

    /// Waits until nothing keeps the guest from the other node, and all hear each other.
    async fn may_move(&self) {
        let nodes = &self.cluster.nodes;
        let (source, target) = (&nodes[self.at], &nodes[1 - self.at]);
        until("the guest may move", async || {
            for (asked, other) in [(target, source), (&nodes[2], source), (&nodes[2], target)] {
                let status = json!({"node": other.name});
                if asked.call("node_status", status).await.is_err() {
                    return false;
                }
            }
            let precheck = source
                .call("qemu_migrate_precondition", guest(source))
                .await;
            precheck.is_ok_and(|found| {
                found.data["not_allowed_nodes"][&target.name]["reasons"].is_null()
            })
        })
        .await;
    }

    async fn blow(&mut self, lines: usize, blow: Blow) -> Broken {
        self.may_move().await;
        let broken = self.strike(lines, blow).await;
        self.settle(blow, &broken).await;
        broken
    }
}

/// covers: S2.87
#[test]
fn a_guest_is_not_lost_where_it_changes_hands() {
    with_cluster_bridge(async {
        let Some(mut scene) = Scene::new().await else {
            return;
        };
        for (lines, blow) in [
            (TRAVEL, Blow::SourceQemu(DEEP)),
            (HAND_OVER, Blow::SourceAgent(INTO)),
            (HAND_OVER, Blow::TargetsLink),
        ] {
            let broken = scene.blow(lines, blow).await;
            // A fast step may be over when its line is seen.
            assert!(broken.after.is_some(), "{blow:?}: {broken:?}");
        }
    });
}

/// covers: S0.32 S2.87
#[test]
#[ignore = "thorough: it breaks a migration at every line of its journal"]
fn a_guest_that_moves_is_never_twice_nor_lost() {
    with_cluster_bridge(async {
        let Some(mut scene) = Scene::new().await else {
            return;
        };
        for lines in 1.. {
            let mut was_broken = false;
            let blows = match lines {
                ..PREPARE => BEFORE.to_vec(),
                TRAVEL => [&AFTERWARDS[..], &WHILE_IT_TRAVELS].concat(),
                _ => AFTERWARDS.to_vec(),
            };
            for blow in blows {
                let broken = scene.blow(lines, blow).await;
                was_broken |= broken.after.is_some();
            }
            if !was_broken {
                assert!(lines > HAND_OVER, "it has more steps");
                break;
            }
        }
    });
}
