//! Snapshots that are layers, of a real guest: made and merged while it runs.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::breaking::{Broken, IN_AN_ACT};
use crate::harness::namespace::with_bridge;
use crate::harness::{Serial, TestNode, about, left_out, tiny_disk};
use serde_json::{Value, json};

/// Where the layers are.
enum Place {
    Folder(PathBuf),
    /// A group of LVM, and whether what is freed is zeroed.
    Group(String, bool),
}

impl Place {
    fn storage(&self) -> Value {
        match self {
            Self::Folder(path) => json!({"type": "dir", "path": path}),
            Self::Group(group, is_zeroed) => {
                json!({"type": "lvm", "vgname": group, "saferemove": u8::from(*is_zeroed)})
            }
        }
    }

    /// The images of a guest and their snapshots, without the ending.
    fn names(&self, vmid: u32) -> Vec<String> {
        let names: Vec<String> = match self {
            Self::Folder(path) => std::fs::read_dir(path.join(format!("images/{vmid}")))
                .into_iter()
                .flatten()
                .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
                .collect(),
            Self::Group(group, _) => {
                let listed = run("lvs", &["--noheadings", "-o", "lv_name", group]);
                let names = listed.split_whitespace().map(str::to_owned);
                names
                    .filter(|name| name.contains(&format!("vm-{vmid}-")))
                    .collect()
            }
        };
        let mut names: Vec<String> = names.iter().map(|name| without_ending(name)).collect();
        names.sort();
        names
    }

    fn volume(&self) -> &'static str {
        match self {
            Self::Folder(_) => "layers:100/vm-100-disk-0.qcow2",
            Self::Group(..) => "layers:vm-100-disk-0.qcow2",
        }
    }

    fn name(&self, snapshot: &str) -> String {
        match self {
            Self::Folder(_) => format!("snap-{snapshot}-vm-100-disk-0"),
            Self::Group(..) => format!("snap_vm-100-disk-0_{snapshot}"),
        }
    }

    /// What of them a process has open by this path.
    fn opened(&self, path: &Path) -> Option<String> {
        match self {
            Self::Folder(folder) => {
                let name = path.strip_prefix(folder.join("images/100")).ok()?;
                Some(name.display().to_string())
            }
            Self::Group(group, _) => {
                let device = path.strip_prefix("/dev").ok()?;
                let name = format!("/sys/class/block/{}/dm/name", device.display());
                let name = std::fs::read_to_string(name).ok()?;
                let name = name.trim().strip_prefix(&format!("{group}-"))?;
                Some(name.replace("--", "-"))
            }
        }
    }

    fn is_sound(&self, image: &str) -> bool {
        let path = match self {
            Self::Folder(path) => path.join(format!("images/100/{image}.qcow2")),
            Self::Group(group, _) => PathBuf::from(format!("/dev/{group}/{image}.qcow2")),
        };
        let checked = Command::new("qemu-img")
            .args(["check", "-q", "-U"])
            .arg(path)
            .status();
        checked.unwrap().success()
    }
}

fn without_ending(name: &str) -> String {
    name.replace(".qcow2", "")
}

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}");
    String::from_utf8(output.stdout).unwrap()
}

struct Scene {
    node: TestNode,
    place: Place,
}

impl Scene {
    /// A node whose guest has its disk in a folder with layers.
    async fn new(test: &str) -> Option<Self> {
        if left_out(test) {
            return None;
        }
        let node = TestNode::with_tiny(&tiny_disk()?).await;
        let place = Place::Folder(node.root.join("srv/layers"));
        Some(Self::at(node, place).await)
    }

    /// The same in a group that the lab gives.
    async fn in_volumes(is_zeroed: bool) -> Self {
        let disk = tiny_disk().expect("the lab gives the disk of a guest");
        let group = std::env::var("OSTLER_LVM").expect("the lab gives a group");
        let node = TestNode::with_tiny(&disk).await;
        let by_the_nodes_kvm = json!({"kvm": 1, "cpu": "host"});
        node.done("qemu_configure_task", 100, by_the_nodes_kvm)
            .await;
        Self::at(node, Place::Group(group, is_zeroed)).await
    }

    async fn at(node: TestNode, place: Place) -> Self {
        let mut storage = place.storage();
        let all = json!({"storage": "layers", "content": "images", "snapshot-as-volume-chain": 1});
        let all = all.as_object().unwrap().clone();
        storage.as_object_mut().unwrap().extend(all);
        node.call("storage_create", storage).await.unwrap();
        let away = json!({"disk": "virtio0", "storage": "layers", "format": "qcow2", "delete": 1});
        node.done("qemu_move_disk", 100, away).await;
        Self { node, place }
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

    fn files(&self) -> Vec<String> {
        self.place.names(100)
    }

    /// Asserts that the guest's QEMU has the files open that there are, and no other.
    fn assert_open(&self, place: &str) {
        let file = self.node.root.join("run/ostler/guests/100.json");
        let file: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let pid = &file["pid"];
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        let open = open.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
        let mut open: Vec<String> = open
            .filter_map(|path| self.place.opened(&path))
            .map(|name| without_ending(&name))
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
        if let Some(scene) = Scene::new("layers").await {
            come_and_go(scene).await;
        }
    });
}

async fn come_and_go(scene: Scene) {
    let mut serial = scene.boot().await;
    written(&scene, &mut serial, &["one", "two"]).await;
    // The next start opens the chain as it is by then.
    serial = {
        scene.node.done("qemu_stop", 100, json!({})).await;
        scene.boot().await
    };
    written(&scene, &mut serial, &["three", "four"]).await;
    serial.ask("echo now > /mnt/now; sync");
    let mut left = vec!["four", "one", "three", "two"];
    let files = |left: &[&str]| -> Vec<String> {
        let layers = left.iter().map(|name| scene.place.name(name));
        let mut all: Vec<String> = layers.chain(["vm-100-disk-0".to_owned()]).collect();
        all.sort();
        all
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
    assert!(scene.place.is_sound("vm-100-disk-0"));
    scene.node.done("qemu_destroy", 200, json!({})).await;
}

// covers: S2.73 S4.17
#[test]
fn a_rollback_is_to_the_newest_layer_alone() {
    with_bridge(async {
        if let Some(scene) = Scene::new("rolled back layers").await {
            roll_back(scene).await;
        }
    });
}

async fn roll_back(scene: Scene) {
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
        format!(
            "can't rollback, 'one' is not most recent snapshot on '{}'",
            scene.place.volume()
        )
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
    assert!(scene.files().is_empty(), "something is left");
}

/// Wherever the agent dies, the guest writes on, and what it has written is found by its next start.
#[test]
#[ignore = "thorough: it breaks a task at every line of its journal"]
fn layers_that_are_broken_off_lose_no_write() {
    with_bridge(async {
        if let Some(scene) = Scene::new("layers broken off").await {
            lose_no_write(scene).await;
        }
    });
}

async fn lose_no_write(scene: Scene) {
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
    assert!(scene.place.is_sound("vm-100-disk-0"));
}

mod lab_layers {
    use super::{Scene, come_and_go, lose_no_write, roll_back};
    use crate::harness::namespace::with_bridge;

    #[test]
    #[ignore = "needs the lab: ./x lab test"]
    fn layers_in_volumes_come_and_go_while_the_guest_writes() {
        with_bridge(async {
            come_and_go(Scene::in_volumes(true).await).await;
        });
    }

    #[test]
    #[ignore = "needs the lab: ./x lab test"]
    fn layers_that_are_not_zeroed_come_and_go_while_the_guest_writes() {
        with_bridge(async {
            come_and_go(Scene::in_volumes(false).await).await;
        });
    }

    #[test]
    #[ignore = "needs the lab: ./x lab test"]
    fn a_rollback_of_volumes_is_to_the_newest_layer_alone() {
        with_bridge(async {
            roll_back(Scene::in_volumes(true).await).await;
        });
    }

    #[test]
    #[ignore = "needs the lab: ./x lab test"]
    fn layers_in_volumes_that_are_broken_off_lose_no_write() {
        with_bridge(async {
            lose_no_write(Scene::in_volumes(false).await).await;
        });
    }
}
