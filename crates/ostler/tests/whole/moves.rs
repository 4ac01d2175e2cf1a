//! A disk that goes from each type of storage and format to each other one, while it is written and at rest.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use testkit::tgt::{TARGET, Tgt};

use crate::harness::ground::{Ground, SIZE, entries};
use crate::harness::namespace::with_bridge;
use crate::harness::writing::{VERIFY, WRITE, is_whole};
use crate::harness::{Serial, TestNode, about, left_out, tiny_disk};

/// Where the disk can be: a storage and a format.
const PLACES: [(&str, &str); 5] = [
    ("local", "raw"),
    ("local", "qcow2"),
    ("local", "vmdk"),
    ("btrfs", "raw"),
    ("rbd", "raw"),
];

/// A way from the first place on that goes once from each to each other, and ends where it began.
fn tour() -> Vec<(&'static str, &'static str)> {
    let mut way = Vec::new();
    for (at, first) in PLACES.iter().enumerate() {
        for second in &PLACES[at + 1..] {
            way.extend([*first, *second]);
        }
    }
    way.push(PLACES[0]);
    way.split_off(1)
}

struct Scene {
    node: TestNode,
    grounds: [Ground; 2],
}

impl Scene {
    /// A node with all storages, and the tiny guest with a second disk in the first place.
    async fn new(test: &str) -> Option<Self> {
        if left_out(test) {
            return None;
        }
        let disk = tiny_disk()?;
        let grounds = [Ground::btrfs(test)?, Ground::ceph(test)?];
        let node = TestNode::with_tiny(&disk).await;
        for ground in &grounds {
            let mut storage = ground.storage();
            storage["storage"] = json!(ground.name());
            node.call("storage_create", storage).await.unwrap();
        }
        let second = node.root.join("second.raw");
        std::fs::write(&second, vec![0; SIZE]).unwrap();
        let scene = Self { node, grounds };
        let (storage, format) = PLACES[0];
        let second = second.display();
        let disk = format!("{storage}:0,import-from={second},format={format}");
        scene
            .done("qemu_configure_task", json!({"virtio1": disk}))
            .await;
        Some(scene)
    }

    async fn done(&self, op: &str, more: Value) {
        let status = self.node.task(op, about(100, more.clone())).await;
        assert_eq!(status, "OK", "{op} {more}");
    }

    async fn volume(&self, slot: &str) -> String {
        let config = self.node.call("qemu_config", about(100, json!({}))).await;
        let config = config.unwrap().data;
        let disk = config[slot].as_str().unwrap();
        disk.split(',').next().unwrap().to_owned()
    }

    async fn go(&self, (storage, format): (&str, &str)) {
        let to = json!({"disk": "virtio1", "storage": storage, "format": format, "delete": 1});
        self.done("qemu_move_disk", to).await;
        let volume = self.volume("virtio1").await;
        assert!(volume.starts_with(&format!("{storage}:")), "{volume}");
        // Nothing is left where it was.
        assert_eq!(self.images(), 2);
    }

    /// How many images there are anywhere.
    fn images(&self) -> usize {
        let local = entries(&self.node.root.join("var/lib/vz/images/100")).len();
        let others = self.grounds.iter().map(|ground| ground.volumes().len());
        local + others.sum::<usize>()
    }

    /// All that is in a disk that no guest has open.
    async fn bytes(&self, slot: &str) -> Vec<u8> {
        let volume = self.volume(slot).await;
        let (storage, name) = volume.split_once(':').unwrap();
        if let Some(ground) = self.grounds.iter().find(|ground| ground.name() == storage) {
            let name = name.rsplit('/').next().unwrap().trim_end_matches(".raw");
            return ground.bytes(name);
        }
        let copy = self.node.root.join("copy.raw");
        let image: PathBuf = self.node.root.join("var/lib/vz/images").join(name);
        let converted = Command::new("qemu-img")
            .args(["convert", "-O", "raw"])
            .args([&image, &copy])
            .status();
        assert!(converted.unwrap().success());
        std::fs::read(copy).unwrap()
    }
}

// covers: S0.21 S1.7
#[test]
#[ignore = "thorough: a cluster of Ceph and forty moves"]
fn a_disk_moves_from_each_place_to_each_other() {
    with_bridge(async {
        let Some(scene) = Scene::new("moves").await else {
            return;
        };
        while_it_is_written(&scene).await;
        at_rest(&scene).await;
        from_a_unit(&scene).await;
    });
}

async fn while_it_is_written(scene: &Scene) {
    scene.done("qemu_start", json!({})).await;
    let socket = scene.node.root.join("run/ostler/guests/100/serial0.sock");
    let mut serial = Serial::connect(&socket);
    serial.expect("tiny: ready");
    serial.ask(WRITE);
    for place in tour() {
        scene.go(place).await;
        let said = serial.ask(VERIFY);
        assert!(is_whole(&said), "{place:?}: {said}");
        serial.ask(WRITE);
    }
    let said = serial.ask(VERIFY);
    assert!(is_whole(&said), "{said}");
    scene.done("qemu_stop", json!({})).await;
}

async fn at_rest(scene: &Scene) {
    let written = scene.bytes("virtio1").await;
    assert!(written.iter().any(|byte| *byte != 0));
    for place in tour() {
        scene.go(place).await;
        assert!(scene.bytes("virtio1").await == written, "{place:?}");
    }
}

/// A unit of a target of iSCSI can only be read from.
async fn from_a_unit(scene: &Scene) {
    let unit = scene.node.root.join("unit");
    let content: Vec<u8> = (0..SIZE).map(|at| (at % 251) as u8).collect();
    std::fs::write(&unit, &content).unwrap();
    let Some(server) = Tgt::start("moves", &[unit]) else {
        return;
    };
    let storage = json!({"storage": "units", "type": "iscsidirect",
        "portal": server.portal(), "target": TARGET});
    scene.node.call("storage_create", storage).await.unwrap();
    for (storage, format) in PLACES {
        let disk = format!("{storage}:0,import-from=units:lun1,format={format}");
        scene
            .done("qemu_configure_task", json!({"virtio2": disk}))
            .await;
        assert!(
            scene.bytes("virtio2").await == content,
            "{storage} {format}"
        );
        let gone = about(100, json!({"idlist": "virtio2", "force": 1}));
        scene.node.call("qemu_unlink", gone).await.unwrap();
    }
}

#[test]
fn a_tour_goes_once_from_each_place_to_each_other() {
    let mut at = PLACES[0];
    let mut legs = std::collections::BTreeSet::new();
    for place in tour() {
        assert!(at != place && legs.insert((at, place)), "{at:?} {place:?}");
        at = place;
    }
    assert_eq!(legs.len(), PLACES.len() * (PLACES.len() - 1));
}
