//! Snapshots, rollback and suspension of a real guest.

use std::path::PathBuf;

use crate::harness::namespace::with_bridge;
use crate::harness::{Serial, TestNode, about, left_out, tiny_disk};
use serde_json::{Value, json};

struct Scene {
    node: TestNode,
}

impl Scene {
    /// A node with a running tiny guest, at its prompt.
    async fn new(test: &str) -> Option<(Self, Serial)> {
        if left_out(test) {
            return None;
        }
        let disk = tiny_disk()?;
        let scene = Self {
            node: TestNode::with_tiny(&disk).await,
        };
        let serial = scene.node.boot(100).await;
        Some((scene, serial))
    }

    fn params(more: Value) -> Value {
        about(100, more)
    }

    async fn done(&self, op: &str, more: Value) {
        assert_eq!(self.node.task(op, Self::params(more)).await, "OK", "{op}");
    }

    async fn ask(&self, op: &str, more: Value) -> Value {
        self.node.call(op, Self::params(more)).await.unwrap().data
    }

    fn image(&self, name: &str) -> PathBuf {
        self.node.root.join("var/lib/vz/images/100").join(name)
    }
}

/// The fields of the snapshot with memory.
async fn check_shown(scene: &Scene) {
    let list = scene.ask("qemu_snapshot_list", json!({})).await;
    assert_eq!(
        (&list[0]["name"], &list[0]["vmstate"]),
        (&json!("s1"), &json!(1))
    );
    assert_eq!(
        (&list[1]["name"], &list[1]["parent"]),
        (&json!("current"), &json!("s1"))
    );
    let config = scene
        .ask("qemu_snapshot_config", json!({"snapname": "s1"}))
        .await;
    assert_eq!(config["description"], "one");
    assert!(
        config["runningmachine"]
            .as_str()
            .unwrap()
            .starts_with("pc-i440fx-"),
        "{config}"
    );
}

// covers: S2.73 S4.17 S4.18
#[test]
fn a_rollback_brings_back_memory_and_disk_of_one_moment() {
    with_bridge(async {
        let Some((scene, mut serial)) = Scene::new("snapshots").await else {
            return;
        };
        // Something only in memory, and something on the disk.
        serial.ask("word=before; mkdir -p /mnt; mount -t vfat /dev/vda /mnt");
        serial.ask("echo first > /mnt/note; sync");
        let uptime_before = uptime(&mut serial);
        let with_memory = json!({"snapname": "s1", "description": "one", "vmstate": 1});
        scene.done("qemu_snapshot", with_memory).await;
        assert!(scene.image("vm-100-state-s1.raw").exists());
        // The guest keeps running, and changes both.
        serial.ask("word=after; echo second > /mnt/note; sync");
        assert!(serial.ask("echo word=$word").contains("word=after"));

        check_shown(&scene).await;
        // The task ends when the guest runs again.
        scene.done("qemu_rollback", json!({"snapname": "s1"})).await;
        let mut serial = scene.node.serial(100);
        serial.type_line("");
        assert!(serial.ask("echo word=$word").contains("word=before"));
        assert!(serial.ask("cat /mnt/note").contains("first"));
        // It did not boot: its uptime continues.
        assert!(uptime(&mut serial) >= uptime_before);

        // A second one without memory follows the first; deleting the first keeps the second.
        scene.done("qemu_snapshot", json!({"snapname": "s2"})).await;
        scene
            .done("qemu_delsnapshot", json!({"snapname": "s1"}))
            .await;
        assert!(!scene.image("vm-100-state-s1.raw").exists());
        let list = scene.ask("qemu_snapshot_list", json!({})).await;
        assert_eq!(
            (&list[0]["name"], &list[0]["parent"]),
            (&json!("s2"), &Value::Null)
        );
        scene
            .done("qemu_rollback", json!({"snapname": "s2", "start": 0}))
            .await;
        assert_eq!(
            scene.ask("qemu_status", json!({})).await["status"],
            "stopped"
        );
        let none = Scene::params(json!({"snapname": "s1"}));
        let refused = scene.node.task("qemu_rollback", none).await;
        assert_eq!(refused, "snapshot 's1' does not exist");
        scene.done("qemu_destroy", json!({})).await;
        assert!(!scene.image("").exists(), "something is left");
    });
}

/// In whole seconds.
fn uptime(serial: &mut Serial) -> u64 {
    let said = serial.ask("echo up=$(cut -d. -f1 /proc/uptime)=");
    let digits = said
        .rsplit_once("up=")
        .unwrap()
        .1
        .split_once('=')
        .unwrap()
        .0;
    digits.parse().unwrap()
}

#[test]
fn a_guest_that_was_suspended_to_disk_goes_on_where_it_was() {
    with_bridge(async {
        let Some((scene, mut serial)) = Scene::new("suspension to disk").await else {
            return;
        };
        serial.ask("word=kept");
        scene.done("qemu_suspend", json!({"todisk": 1})).await;
        let status = scene.ask("qemu_status", json!({})).await;
        assert_eq!(
            (&status["status"], &status["lock"]),
            (&json!("stopped"), &json!("suspended"))
        );
        let config = scene.ask("qemu_config", json!({})).await;
        let volume = config["vmstate"].as_str().unwrap().to_owned();
        assert!(
            volume.starts_with("local:100/vm-100-state-suspend-"),
            "{volume}"
        );
        let refused = scene
            .node
            .call("qemu_configure", Scene::params(json!({"cores": 2})))
            .await;
        assert!(refused.unwrap_err().message.contains("locked (suspended)"));

        // A restarted agent knows it too.
        scene.node.kill_role("node").await;
        scene.done("qemu_resume", json!({})).await;
        let mut serial = scene.node.serial(100);
        serial.type_line("");
        assert!(serial.ask("echo word=$word").contains("word=kept"));
        let config = scene.ask("qemu_config", json!({})).await;
        assert!(
            config.get("vmstate").is_none() && config.get("lock").is_none(),
            "{config}"
        );
        let left = std::fs::read_dir(scene.image("")).unwrap().count();
        assert_eq!(left, 1, "only the disk is left");
        at_the_storage_that_is_named(&scene).await;
    });
}

async fn at_the_storage_that_is_named(scene: &Scene) {
    let path = scene.node.root.join("srv/memory");
    std::fs::create_dir_all(&path).unwrap();
    let storage = json!({"storage": "memory", "type": "dir", "path": path, "content": "images"});
    scene.node.call("storage_create", storage).await.unwrap();
    let named = Scene::params(json!({"vmstatestorage": "memory"}));
    scene.node.call("qemu_configure", named).await.unwrap();
    scene.done("qemu_suspend", json!({"todisk": 1})).await;
    let config = scene.ask("qemu_config", json!({})).await;
    let volume = config["vmstate"].as_str().unwrap();
    assert!(volume.starts_with("memory:100/vm-100-state-"), "{volume}");
    scene.done("qemu_resume", json!({})).await;
}
