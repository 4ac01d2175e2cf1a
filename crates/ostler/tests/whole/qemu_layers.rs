//! Snapshots that are layers, of a real guest: made and merged while it runs.

use std::path::PathBuf;
use std::process::Command;

use crate::harness::breaking::{Broken, IN_AN_ACT};
use crate::harness::namespace::with_bridge;
use crate::harness::{Serial, TestNode, about, left_out, tiny_disk};
use serde_json::{Value, json};

struct Scene {
    node: TestNode,
}

impl Scene {
    /// A node whose guest has its disk on a storage with layers.
    async fn new(test: &str) -> Option<Self> {
        if left_out(test) {
            return None;
        }
        let scene = Self {
            node: TestNode::with_tiny(&tiny_disk()?).await,
        };
        let storage = json!({
            "storage": "layers", "type": "dir", "path": scene.node.root.join("srv/layers"),
            "content": "images", "snapshot-as-volume-chain": 1,
        });
        scene.node.call("storage_create", storage).await.unwrap();
        let away = json!({"disk": "virtio0", "storage": "layers", "format": "qcow2", "delete": 1});
        scene.node.done("qemu_move_disk", 100, away).await;
        Some(scene)
    }

    async fn snapshot(&self, name: &str) {
        self.node
            .done("qemu_snapshot", 100, json!({"snapname": name}))
            .await;
    }

    async fn delete(&self, name: &str) {
        self.node
            .done("qemu_delsnapshot", 100, json!({"snapname": name}))
            .await;
    }

    /// Boots the guest, whose file system is at `/mnt` then.
    async fn boot(&self) -> Serial {
        let mut serial = self.node.boot(100).await;
        serial.ask("mkdir -p /mnt; mount -t vfat /dev/vda /mnt");
        serial
    }

    fn folder(&self, vmid: u32) -> PathBuf {
        self.node.root.join(format!("srv/layers/images/{vmid}"))
    }

    /// The files of the guest, without the ending.
    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder(100)).into_iter().flatten();
        let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names
            .map(|name| name.trim_end_matches(".qcow2").to_owned())
            .collect();
        names.sort();
        names
    }

    /// Asserts that the guest's QEMU has the files open that there are, and no other.
    fn assert_open(&self, place: &str) {
        let file = self.node.root.join("run/ostler/guests/100.json");
        let file: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let pid = &file["pid"];
        let folder = self.folder(100);
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        let open = open.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
        let mut open: Vec<String> = open
            .filter(|path| path.starts_with(&folder))
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .map(|name| name.replace(".qcow2", ""))
            // QEMU closes what it has left of a guest that stood still with the next change.
            .filter(|name| !name.ends_with("(deleted)"))
            .collect();
        open.sort();
        open.dedup();
        assert_eq!(open, self.files(), "{place}");
    }

    /// What the guest has, read by its own start from what is on the disk.
    async fn after_a_restart(&self, commands: &str) -> String {
        self.node.done("qemu_stop", 100, json!({})).await;
        let mut serial = self.boot().await;
        serial.ask(commands)
    }
}

fn is_sound(image: &std::path::Path) -> bool {
    let checked = Command::new("qemu-img")
        .args(["check", "-q", "-U"])
        .arg(image)
        .status();
    checked.unwrap().success()
}

/// Files with one more word each, after each of which a snapshot is made.
async fn written(scene: &Scene, serial: &mut Serial, names: &[&str]) {
    for name in names {
        let seen = serial.ask(&format!("echo {name} > /mnt/{name}; sync; cat /mnt/{name}"));
        assert!(seen.contains(name), "{seen}");
        scene.snapshot(name).await;
    }
}

/// The words of all files, in their order.
const ALL: &str = "cat /mnt/one /mnt/two /mnt/three /mnt/four /mnt/now | tr '\\n' '-'; echo end";

const ALL_WORDS: &str = "one-two-three-four-now-end";

// covers: S2.73 S4.17
#[test]
fn layers_come_and_go_while_the_guest_writes() {
    with_bridge(async {
        let Some(scene) = Scene::new("layers").await else {
            return;
        };
        let mut serial = scene.boot().await;
        written(&scene, &mut serial, &["one", "two"]).await;
        // The next start opens the chain as it is by then.
        serial = {
            scene.node.done("qemu_stop", 100, json!({})).await;
            scene.boot().await
        };
        written(&scene, &mut serial, &["three", "four"]).await;
        serial.ask("echo now > /mnt/now; sync");
        let snap = |name: &str| format!("snap-{name}-vm-100-disk-0");
        let mut left = vec!["four", "one", "three", "two"];
        let files = |left: &[&str]| -> Vec<String> {
            let layers = left.iter().map(|name| snap(name));
            layers.chain(["vm-100-disk-0".to_owned()]).collect()
        };
        assert_eq!(scene.files(), files(&left));
        // A clone of what it was, while it goes on.
        let clone = json!({"newid": 200, "snapname": "two", "full": 1, "storage": "local"});
        scene.node.done("qemu_clone", 100, clone).await;
        // In the middle, the oldest (also by its child in the middle), the newest, and the last one, from
        // which the guest moves down.
        for name in ["three", "one", "four", "two"] {
            scene.delete(name).await;
            left.retain(|other| *other != name);
            assert_eq!(scene.files(), files(&left), "without {name}");
            let seen = serial.ask(ALL);
            assert!(seen.contains(ALL_WORDS), "without {name}: {seen}");
            scene.assert_open(name);
            serial.ask(&format!("echo {name} >> /mnt/gone; sync"));
        }
        assert!(serial.ask("cat /proc/uptime").contains('.'));
        let seen = scene
            .after_a_restart(&format!("cat /mnt/gone | tr '\\n' '-'; {ALL}"))
            .await;
        assert!(seen.contains("three-one-four-two-"), "{seen}");
        assert!(seen.contains(ALL_WORDS), "{seen}");
        assert!(is_sound(&scene.folder(100).join("vm-100-disk-0.qcow2")));
        scene.node.done("qemu_destroy", 200, json!({})).await;
    });
}

// covers: S2.73 S4.17
#[test]
fn a_rollback_is_to_the_newest_layer_alone() {
    with_bridge(async {
        let Some(scene) = Scene::new("rolled back layers").await else {
            return;
        };
        let mut serial = scene.boot().await;
        serial.ask("word=before");
        let with_memory = json!({"snapname": "one", "vmstate": 1});
        serial.ask("echo one > /mnt/note; sync");
        scene.node.done("qemu_snapshot", 100, with_memory).await;
        serial.ask("word=after; echo two > /mnt/note; sync");
        scene.snapshot("two").await;
        let older = scene
            .node
            .task("qemu_rollback", about(100, json!({"snapname": "one"})));
        assert_eq!(
            older.await,
            "can't rollback, 'one' is not most recent snapshot on 'layers:100/vm-100-disk-0.qcow2'"
        );
        assert!(serial.ask("cat /mnt/note").contains("two"), "it runs on");
        scene.delete("two").await;
        scene
            .node
            .done("qemu_rollback", 100, json!({"snapname": "one"}))
            .await;
        let mut serial = scene.node.serial(100);
        serial.type_line("");
        assert!(serial.ask("echo word=$word").contains("word=before"));
        assert!(serial.ask("cat /mnt/note").contains("one"));
        // Grown above its snapshot, moved elsewhere without it, unplugged and destroyed.
        let grow = json!({"disk": "virtio0", "size": "+8M"});
        scene.node.done("qemu_resize", 100, grow).await;
        scene.delete("one").await;
        assert_eq!(scene.files(), ["vm-100-disk-0"]);
        let away = json!({"disk": "virtio0", "storage": "local", "delete": 1});
        scene.snapshot("last").await;
        scene.delete("last").await;
        scene.node.done("qemu_move_disk", 100, away).await;
        assert!(serial.ask("cat /mnt/note").contains("one"));
        assert!(scene.files().is_empty());
        let back = json!({"disk": "virtio0", "storage": "layers", "format": "qcow2", "delete": 1});
        scene.node.done("qemu_move_disk", 100, back).await;
        scene.snapshot("again").await;
        scene.node.done("qemu_stop", 100, json!({})).await;
        scene.node.done("qemu_destroy", 100, json!({})).await;
        assert!(!scene.folder(100).exists(), "something is left");
    });
}

/// Wherever the agent dies, the guest writes on, and what it has written is found by its next start.
#[test]
#[ignore = "thorough: it breaks a task at every line of its journal"]
fn layers_that_are_broken_off_lose_no_write() {
    with_bridge(async {
        let Some(scene) = Scene::new("layers broken off").await else {
            return;
        };
        let mut serial = scene.boot().await;
        let mut last = String::new();
        // With another snapshot below, its layer goes up, not down.
        for (op, below) in [
            ("qemu_snapshot", false),
            ("qemu_delsnapshot", false),
            ("qemu_delsnapshot", true),
        ] {
            if below {
                scene.snapshot("below").await;
            }
            let kept = scene.files();
            let params = async |next: usize| {
                let name = format!("s{next}");
                if op == "qemu_delsnapshot" {
                    scene.snapshot(&name).await;
                }
                about(100, json!({"snapname": name}))
            };
            let check = async |next: usize, broken: &Broken| {
                last = format!("{op}-{below}-{next}-");
                let write = format!("echo {last} > /mnt/note; sync; cat /mnt/note");
                assert!(serial.ask(&write).contains(&last), "{broken:?}");
                let names = scene
                    .node
                    .call("qemu_snapshot_list", about(100, json!({})))
                    .await;
                let names = names.unwrap().data;
                let names = names.as_array().unwrap();
                let own = names.iter().find(|row| row["name"] == format!("s{next}"));
                // One whose deletion was broken off may have lost its layer, and can be deleted again.
                let is_marked = own.is_some_and(|row| row["snapstate"] == "delete");
                let has_layer = scene.files().len() > kept.len();
                let files = scene.files();
                assert!(
                    has_layer == own.is_some() || is_marked,
                    "{own:?}, {files:?}"
                );
                if own.is_some() {
                    scene.delete(&format!("s{next}")).await;
                }
                assert_eq!(scene.files(), kept, "{broken:?}");
                scene.assert_open(&format!("{broken:?}"));
                serial.ask(&format!("echo {last} >> /mnt/all; sync"));
            };
            let ways = |_| IN_AN_ACT.to_vec();
            let steps = scene.node.break_everywhere(op, ways, params, check).await;
            assert!(steps > 4, "it has more than a step");
            assert_eq!(scene.node.tasks_in_the_journal(), 0);
        }
        scene.delete("below").await;
        let seen = scene
            .after_a_restart("cat /mnt/note; tail -n 1 /mnt/all")
            .await;
        assert_eq!(seen.matches(&last).count(), 2, "{seen}, not {last}");
        assert!(is_sound(&scene.folder(100).join("vm-100-disk-0.qcow2")));
    });
}
