//! Tasks that copy, move or delete disks are interrupted in every step, beside real guests: no disk
//! is lost, and nothing is orphaned.

use std::path::PathBuf;
use std::process::Command;

use crate::harness::breaking::{Broken, IN_AN_ACT};
use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, about, left_out, tiny_disk, until};
use serde_json::{Value, json};

struct Scene {
    node: TestNode,
}

impl Scene {
    /// A node with the tiny guest.
    async fn new(test: &str) -> Option<Self> {
        if left_out(test) {
            return None;
        }
        let node = TestNode::with_tiny(&tiny_disk()?).await;
        Some(Self { node })
    }

    async fn get(&self, op: &str, vmid: u32) -> Option<Value> {
        let answer = self.node.call(op, about(vmid, json!({}))).await;
        answer.ok().map(|answer| answer.data)
    }

    fn folder(&self, vmid: u32) -> PathBuf {
        self.node.root.join(format!("var/lib/vz/images/{vmid}"))
    }

    fn images(&self, vmid: u32) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder(vmid)).into_iter().flatten();
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<String> = entries
            .map(|entry| name(entry).to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// Breaks a task off everywhere.
    async fn everywhere(
        &self,
        op: &str,
        vmid: u32,
        more: impl Fn(usize) -> Value,
        check: impl AsyncFnMut(usize, &Broken),
    ) {
        let params = async |number| about(vmid, more(number));
        let ways = |_| IN_AN_ACT.to_vec();
        let number = self.node.break_everywhere(op, ways, params, check).await;
        assert!(number > 8, "it has more than two steps");
        assert_eq!(self.node.tasks_in_the_journal(), 0);
    }
}

fn is_sound(image: &std::path::Path) -> bool {
    let checked = Command::new("qemu-img")
        .args(["check", "-q"])
        .arg(image)
        .status();
    checked.unwrap().success()
}

/// A clone exists completely, with an intact image of its own, or not at all.
async fn clones(scene: &Scene, more: Value) {
    let clone = |number: usize| {
        let mut clone = more.clone();
        clone["newid"] = json!(200 + number);
        clone
    };
    let check = async |number: usize, broken: &Broken| {
        let vmid = 200 + u32::try_from(number).unwrap();
        let config = scene.get("qemu_config", vmid).await;
        assert_eq!(config.is_some(), broken.is_ok(), "{broken:?}");
        let images = scene.images(vmid);
        assert_eq!(images.len(), usize::from(broken.is_ok()), "{images:?}");
        assert!(config.is_none_or(|config| config.get("lock").is_none()));
        if let Some(image) = images.first() {
            assert!(is_sound(&scene.folder(vmid).join(image)));
            scene.node.done("qemu_destroy", vmid, json!({})).await;
        }
        let source = scene.get("qemu_config", 100).await.unwrap();
        assert!(source.get("lock").is_none(), "{source}");
    };
    scene.everywhere("qemu_clone", 100, clone, check).await;
}

#[test]
#[ignore = "thorough: it breaks a task at every line of its journal"]
fn a_clone_is_whole_or_nothing() {
    with_bridge(async {
        let Some(scene) = Scene::new("clone broken off").await else {
            return;
        };
        let before = std::fs::read(scene.folder(100).join("vm-100-disk-0.qcow2")).unwrap();
        clones(&scene, json!({"full": 1})).await;
        scene.node.done("qemu_template", 100, json!({})).await;
        clones(&scene, json!({"full": 0})).await;
        let base = scene.folder(100).join("base-100-disk-0.qcow2");
        assert!(
            std::fs::read(base).unwrap() == before,
            "the base is as it was"
        );
    });
}

#[test]
#[ignore = "thorough: it breaks a task at every line of its journal"]
fn a_clone_of_a_running_guest_is_whole_or_nothing() {
    with_bridge(async {
        let Some(scene) = Scene::new("clone of a running guest broken off").await else {
            return;
        };
        let mut serial = scene.node.boot(100).await;
        serial.ask("mkdir -p /mnt; mount -t vfat /dev/vda /mnt");
        clones(&scene, json!({"full": 1})).await;
        // It still writes, and its disk can be moved: no job or node of the tasks holds it.
        assert!(
            serial
                .ask("echo on > /mnt/note; sync; cat /mnt/note")
                .contains("on")
        );
        let away = json!({"disk": "virtio0", "format": "raw", "delete": 1});
        scene.node.done("qemu_move_disk", 100, away).await;
    });
}

/// The guest keeps writing whenever the agent dies, and one image is its disk.
#[test]
#[ignore = "thorough: it breaks a task at every line of its journal"]
fn a_moved_disk_loses_no_write() {
    with_bridge(async {
        let Some(scene) = Scene::new("move broken off").await else {
            return;
        };
        let mut serial = scene.node.boot(100).await;
        serial.ask("mkdir -p /mnt; mount -t vfat /dev/vda /mnt");
        let format = std::cell::Cell::new("qcow2");
        let other = || match format.get() {
            "raw" => "qcow2",
            _ => "raw",
        };
        let mut last = String::new();
        let check = async |number: usize, broken: &Broken| {
            if broken.is_ok() {
                format.set(other());
            }
            let images = scene.images(100);
            let ending = format!(".{}", format.get());
            assert!(
                images.len() == 1 && images[0].ends_with(&ending),
                "{images:?}"
            );
            let config = scene.get("qemu_config", 100).await.unwrap();
            let disk = config["virtio0"].as_str().unwrap();
            assert!(disk.contains(&images[0]), "{disk}, not {images:?}");
            last = format!("note-{number}-");
            let write = format!("echo {last} > /mnt/note; sync; cat /mnt/note");
            assert!(serial.ask(&write).contains(&last));
        };
        let wanted = |_| json!({"disk": "virtio0", "format": other(), "delete": 1});
        scene.everywhere("qemu_move_disk", 100, wanted, check).await;
        scene.node.done("qemu_stop", 100, json!({})).await;
        let mut serial = scene.node.boot(100).await;
        let read = "mkdir -p /mnt; mount -t vfat /dev/vda /mnt; cat /mnt/note";
        let seen = serial.ask(read);
        assert!(seen.contains(&last), "{seen}, not {last}");
    });
}

/// The guest keeps running whenever the agent dies, and the snapshot is complete or gone.
#[test]
#[ignore = "thorough: it breaks a task at every line of its journal"]
fn a_snapshot_with_memory_is_whole_or_gone() {
    with_bridge(async {
        let Some(scene) = Scene::new("snapshot broken off").await else {
            return;
        };
        let mut serial = scene.node.boot(100).await;
        let wanted = |number: usize| json!({"snapname": format!("s{number}"), "vmstate": 1});
        let check = async |number: usize, broken: &Broken| {
            let list = scene.get("qemu_snapshot_list", 100).await.unwrap();
            let wanted = if broken.is_ok() { 2 } else { 1 };
            assert_eq!(list.as_array().unwrap().len(), wanted, "{broken:?}: {list}");
            assert!(list[0].get("snapstate").is_none(), "{list}");
            assert_eq!(scene.images(100).len(), wanted, "{broken:?}");
            assert!(serial.ask("echo alive").contains("alive"));
            if broken.is_ok() {
                let name = json!({"snapname": format!("s{number}")});
                scene.node.done("qemu_delsnapshot", 100, name).await;
            }
        };
        scene.everywhere("qemu_snapshot", 100, wanted, check).await;
        scene.node.done("qemu_stop", 100, json!({})).await;
        assert!(is_sound(&scene.folder(100).join("vm-100-disk-0.qcow2")));
    });
}

/// Before its point of no return a rollback leaves the guest unchanged; after it, memory and disk
/// are those of the snapshot.
#[test]
#[ignore = "thorough: it breaks a task at every line of its journal"]
fn a_rollback_goes_all_the_way_or_none() {
    with_bridge(async {
        let Some(scene) = Scene::new("rollback broken off").await else {
            return;
        };
        let mut serial = scene.node.boot(100).await;
        let begin = "word=before; mkdir -p /mnt; mount -t vfat /dev/vda /mnt; echo before > /mnt/note; sync";
        serial.ask(begin);
        let snapshot = json!({"snapname": "s1", "vmstate": 1});
        scene.node.done("qemu_snapshot", 100, snapshot).await;
        let images = scene.images(100);
        let change = "word=after; echo after > /mnt/note; sync";
        serial.ask(change);
        let check = async |_: usize, broken: &Broken| {
            if broken.status.starts_with("WARN") {
                // The start that follows was stopped. That must not lose the saved memory.
                let status = scene.get("qemu_status", 100).await.unwrap();
                assert_eq!(status["status"], "stopped");
                scene
                    .node
                    .done("qemu_rollback", 100, json!({"snapname": "s1"}))
                    .await;
            }
            assert_eq!(scene.images(100), images);
            let config = scene.get("qemu_config", 100).await.unwrap();
            assert!(config.get("lock").is_none(), "{config}");
            // Interrupted between the two, the start is a task that continues by itself.
            until("the guest runs", async || {
                let status = scene.get("qemu_status", 100).await.unwrap_or_default();
                status["qmpstatus"] == "running"
            })
            .await;
            let is_back = broken.is_ok() || broken.status.starts_with("WARN");
            if is_back {
                // Another QEMU, with a new console.
                serial = scene.node.serial(100);
                serial.type_line("");
            }
            let seen = serial.ask("echo $word-$(cat /mnt/note)-is");
            let wanted = if is_back {
                "before-before-is"
            } else {
                "after-after-is"
            };
            assert!(seen.contains(wanted), "{broken:?}: {seen}");
            serial.ask(change);
        };
        let wanted = |_| json!({"snapname": "s1"});
        scene.everywhere("qemu_rollback", 100, wanted, check).await;
    });
}
