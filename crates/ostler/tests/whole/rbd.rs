//! A guest whose disk is in a pool of Ceph.

use crate::harness::namespace::with_bridge;
use crate::harness::{Serial, TestNode, about, left_out, tiny_disk};
use serde_json::json;
use testkit::ceph::Ceph;

struct Scene {
    node: TestNode,
    ceph: Ceph,
}

impl Scene {
    /// A node with the tiny guest 100 on a disk of its own, and a storage `ceph`.
    async fn new(test: &str) -> Option<Self> {
        if left_out(test) {
            return None;
        }
        let disk = tiny_disk()?;
        let ceph = Ceph::start(test)?;
        let node = TestNode::with_tiny(&disk).await;
        let storage = json!({"storage": "ceph", "type": "rbd", "monhost": ceph.address(),
            "keyring": ceph.keyring(), "content": "images"});
        node.call("storage_create", storage).await.unwrap();
        Some(Self { node, ceph })
    }

    async fn disk(&self, vmid: u32) -> String {
        let config = self.node.call("qemu_config", about(vmid, json!({}))).await;
        config.unwrap().data["virtio0"].as_str().unwrap().to_owned()
    }

    fn images(&self) -> Vec<String> {
        let listed = self.ceph.rbd(&["ls", "rbd"]);
        listed.lines().map(str::to_owned).collect()
    }

    /// Where a process could be seen to have the key.
    fn assert_key_is_hidden(&self) {
        let keyring = self.ceph.keyring();
        let key = keyring.split('=').nth(1).unwrap().trim();
        assert!(key.len() > 20);
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let shows = processes.filter_map(|process| {
            let line = std::fs::read(process.path().join("cmdline")).ok()?;
            String::from_utf8_lossy(&line)
                .contains(key)
                .then_some(process)
        });
        assert_eq!(shows.count(), 0);
    }
}

#[test]
#[ignore = "thorough: a cluster of Ceph and six starts of a guest"]
fn a_guest_lives_in_a_pool_of_ceph() {
    with_bridge(async {
        let Some(scene) = Scene::new("rbd").await else {
            return;
        };
        moves_while_it_runs(&scene).await;
        goes_back_to_a_snapshot(&scene).await;
        has_linked_clones(&scene).await;
        leaves_nothing(&scene).await;
    });
}

/// From a file into the pool, and starts from there.
async fn moves_while_it_runs(scene: &Scene) {
    let mut serial = scene.node.boot(100).await;
    serial.ask("mkdir -p /mnt; mount -t vfat /dev/vda /mnt; echo first > /mnt/note; sync");
    let to = json!({"disk": "virtio0", "storage": "ceph", "delete": 1});
    scene.node.done("qemu_move_disk", 100, to).await;
    assert!(scene.disk(100).await.starts_with("ceph:vm-100-disk-0,"));
    serial.ask("echo second >> /mnt/note; sync; umount /mnt");
    scene.assert_key_is_hidden();
    scene.node.done("qemu_stop", 100, json!({})).await;
    let mut serial = scene.node.boot(100).await;
    serial.ask("mount -t vfat /dev/vda /mnt || { mkdir -p /mnt; mount -t vfat /dev/vda /mnt; }");
    let note = serial.ask("cat /mnt/note");
    assert!(note.contains("first") && note.contains("second"), "{note}");
}

/// Made while it runs, without memory.
async fn goes_back_to_a_snapshot(scene: &Scene) {
    let mut serial = scene.node.serial(100);
    serial.ask("sync");
    scene
        .node
        .done("qemu_snapshot", 100, json!({"snapname": "s1"}))
        .await;
    serial.ask("echo third > /mnt/note; sync");
    let memory = json!({"snapname": "s2", "vmstate": 1});
    let refused = scene.node.task("qemu_snapshot", about(100, memory)).await;
    assert_eq!(
        refused,
        "storage 'ceph' cannot hold the memory of a guest: set vmstatestorage"
    );
    let before = sectors(&mut serial);
    scene
        .node
        .done(
            "qemu_resize",
            100,
            json!({"disk": "virtio0", "size": "+8M"}),
        )
        .await;
    let after = sectors(&mut serial);
    assert_eq!(after, before + (8 << 20) / 512);
    scene.node.done("qemu_stop", 100, json!({})).await;
    scene
        .node
        .done("qemu_rollback", 100, json!({"snapname": "s1"}))
        .await;
    let mut serial = scene.node.boot(100).await;
    serial.ask("mkdir -p /mnt; mount -t vfat /dev/vda /mnt");
    assert!(serial.ask("cat /mnt/note").contains("second"));
    scene.node.done("qemu_stop", 100, json!({})).await;
    scene
        .node
        .done("qemu_delsnapshot", 100, json!({"snapname": "s1"}))
        .await;
}

fn sectors(serial: &mut Serial) -> u64 {
    let said = serial.ask("echo sectors=$(cat /sys/block/vda/size)=");
    let figure = said.rsplit("sectors=").next().unwrap();
    figure.split('=').next().unwrap().trim().parse().unwrap()
}

async fn has_linked_clones(scene: &Scene) {
    scene.node.done("qemu_template", 100, json!({})).await;
    scene
        .node
        .done("qemu_clone", 100, json!({"newid": 201}))
        .await;
    let disk = scene.disk(201).await;
    assert!(
        disk.starts_with("ceph:base-100-disk-0/vm-201-disk-0,"),
        "{disk}"
    );
    let mut serial = scene.node.boot(201).await;
    serial.ask("mkdir -p /mnt; mount -t vfat /dev/vda /mnt; echo clone > /mnt/note; sync");
    // A copy of what runs, out of the pool.
    scene
        .node
        .done(
            "qemu_clone",
            201,
            json!({"newid": 202, "full": 1, "storage": "local"}),
        )
        .await;
    scene.node.done("qemu_stop", 201, json!({})).await;
    let mut serial = scene.node.boot(202).await;
    serial.ask("mkdir -p /mnt; mount -t vfat /dev/vda /mnt");
    assert!(serial.ask("cat /mnt/note").contains("clone"));
    scene.node.done("qemu_stop", 202, json!({})).await;
    // And back, as a file that no guest has open.
    let to = json!({"disk": "virtio0", "storage": "ceph", "delete": 1});
    scene.node.done("qemu_move_disk", 202, to).await;
    let refused = scene.node.task("qemu_destroy", about(100, json!({}))).await;
    assert!(
        refused.contains("still in use by linked clone"),
        "{refused}"
    );
    let mut serial = scene.node.boot(202).await;
    serial.ask("mkdir -p /mnt; mount -t vfat /dev/vda /mnt");
    assert!(serial.ask("cat /mnt/note").contains("clone"));
    scene.node.done("qemu_stop", 202, json!({})).await;
}

async fn leaves_nothing(scene: &Scene) {
    assert_eq!(
        scene.images(),
        ["base-100-disk-0", "vm-201-disk-0", "vm-202-disk-0"]
    );
    for vmid in [201, 202, 100] {
        scene.node.done("qemu_destroy", vmid, json!({})).await;
    }
    assert_eq!(scene.images(), [""; 0]);
    let left = std::fs::read_dir(scene.node.root.join("run/ostler/guests")).unwrap();
    let left: Vec<String> = left
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".clusters"))
        .collect();
    assert_eq!(left, [""; 0]);
}
