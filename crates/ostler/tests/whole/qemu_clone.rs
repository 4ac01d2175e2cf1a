//! Templates, clones and moving disks, with a real guest.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;

use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, about, left_out, tiny_disk, until};
use serde_json::{Value, json};

struct Scene {
    node: TestNode,
}

fn qemu_img(args: &[&str]) -> String {
    let output = Command::new("qemu-img").args(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

impl Scene {
    /// A node with the tiny guest 100 and a second storage.
    async fn new(test: &str) -> Option<Self> {
        if left_out(test) {
            return None;
        }
        let node = TestNode::with_tiny(&tiny_disk()?).await;
        let path = node.root.join("srv/second").display().to_string();
        let second = json!({"storage": "second", "type": "dir", "path": path, "content": "images"});
        node.call("storage_create", second).await.unwrap();
        Some(Self { node })
    }

    async fn config(&self, vmid: u32) -> Value {
        self.node
            .call("qemu_config", about(vmid, json!({})))
            .await
            .unwrap()
            .data
    }

    fn image(&self, name: &str) -> PathBuf {
        self.node.root.join("var/lib/vz/images").join(name)
    }

    fn images(&self) -> usize {
        std::fs::read_dir(self.image("")).map_or(0, Iterator::count)
    }
}

/// A layer takes almost no space, boots, and can be written without changing its base.
async fn a_layer_leaves_its_base_alone(scene: &Scene) {
    let layer = scene.image("201/vm-201-disk-0.qcow2");
    assert!(std::fs::metadata(&layer).unwrap().len() < 1 << 20);
    let base = scene.image("100/base-100-disk-0.qcow2");
    let before = std::fs::read(&base).unwrap();
    let mut serial = scene.node.boot(201).await;
    serial.ask("mkdir -p /mnt; mount -t vfat /dev/vda /mnt; echo mine > /mnt/note; sync");
    assert!(serial.ask("cat /mnt/note").contains("mine"));
    scene.node.done("qemu_stop", 201, json!({})).await;
    assert!(
        std::fs::read(&base).unwrap() == before,
        "the base was written to"
    );
}

/// qemu-img gets a layer's base, also when it reads one of its snapshots, and keeps it a layer.
async fn a_layer_is_copied_with_its_base(scene: &Scene) {
    let layer = scene.image("201/vm-201-disk-0.qcow2");
    let whole = json!({"newid": 203, "full": 1, "format": "raw"});
    scene.node.done("qemu_clone", 201, whole).await;
    let compare = |copy: &str| {
        let (layer, copy) = (layer.to_str().unwrap(), scene.image(copy));
        let copy = copy.to_str().unwrap();
        qemu_img(&["compare", "-f", "qcow2", "-F", "raw", layer, copy]);
    };
    compare("203/vm-203-disk-0.raw");
    scene
        .node
        .done("qemu_snapshot", 201, json!({"snapname": "one"}))
        .await;
    let of_snapshot = json!({"newid": 204, "full": 1, "format": "raw", "snapname": "one"});
    scene.node.done("qemu_clone", 201, of_snapshot).await;
    compare("204/vm-204-disk-0.raw");
    for op in ["qemu_rollback", "qemu_delsnapshot"] {
        scene.node.done(op, 201, json!({"snapname": "one"})).await;
    }
    compare("204/vm-204-disk-0.raw");
    // A layer on a layer.
    scene.node.done("qemu_template", 201, json!({})).await;
    scene
        .node
        .done("qemu_clone", 201, json!({"newid": 205}))
        .await;
    let moved = json!({"disk": "virtio0", "storage": "second", "format": "raw", "delete": 1});
    scene.node.done("qemu_move_disk", 205, moved).await;
    let copy = scene
        .node
        .root
        .join("srv/second/images/205/vm-205-disk-0.raw");
    let both =
        [copy, scene.image("204/vm-204-disk-0.raw")].map(|path| std::fs::read(path).unwrap());
    assert!(both[0] == both[1], "the moved disk is another one");
}

// covers: S1.52 S2.34 S2.36
#[test]
fn a_template_its_clones_and_their_end() {
    with_bridge(async {
        let Some(scene) = Scene::new("templates and clones").await else {
            return;
        };
        scene.node.done("qemu_template", 100, json!({})).await;
        let config = scene.config(100).await;
        assert_eq!(config["template"], 1);
        assert_eq!(
            config["virtio0"],
            "local:100/base-100-disk-0.qcow2,size=64M"
        );
        let started = scene.node.task("qemu_start", about(100, json!({}))).await;
        assert_eq!(started, "you can't start a vm if it's a template");

        scene
            .node
            .done("qemu_clone", 100, json!({"newid": 201, "name": "linked"}))
            .await;
        scene
            .node
            .done(
                "qemu_clone",
                100,
                json!({"newid": 202, "full": 1, "storage": "second"}),
            )
            .await;
        let linked = scene.config(201).await;
        let volume = "local:100/base-100-disk-0.qcow2/201/vm-201-disk-0.qcow2,size=64M";
        assert_eq!(
            (&linked["virtio0"], &linked["name"]),
            (&json!(volume), &json!("linked"))
        );
        assert!(linked.get("template").is_none(), "{linked}");
        let full = scene.config(202).await;
        assert_eq!(full["name"], "Copy-of-VM-tiny");
        assert!(
            full["virtio0"]
                .as_str()
                .unwrap()
                .starts_with("second:202/vm-202-disk-0.qcow2"),
            "{full}"
        );
        a_layer_leaves_its_base_alone(&scene).await;
        scene.node.boot(202).await;
        scene.node.done("qemu_stop", 202, json!({})).await;

        // The list has a layer's name as in the configuration.
        let list = json!({"node": "pve1", "storage": "local", "vmid": 201});
        let list = scene.node.call("volume_list", list).await.unwrap().data;
        assert_eq!(list[0]["volid"], volume.split(',').next().unwrap());
        a_layer_is_copied_with_its_base(&scene).await;

        let refused = scene.node.task("qemu_destroy", about(100, json!({}))).await;
        assert!(
            refused.contains("is still in use by linked cloned"),
            "{refused}"
        );
        for vmid in [205, 204, 203, 202, 201, 100] {
            scene.node.done("qemu_destroy", vmid, json!({})).await;
        }
        assert_eq!(scene.images(), 0);
    });
}

#[test]
fn a_running_guest_is_copied_as_it_is_at_one_moment() {
    with_bridge(async {
        let Some(scene) = Scene::new("clone of a running guest").await else {
            return;
        };
        let mut serial = scene.node.boot(100).await;
        serial.ask("mkdir -p /mnt; mount -t vfat /dev/vda /mnt; echo first > /mnt/note; sync");
        let refused = scene
            .node
            .call("qemu_clone", about(100, json!({"newid": 203, "full": 0})))
            .await;
        assert!(
            refused
                .unwrap_err()
                .message
                .contains("Linked clone feature")
        );
        scene
            .node
            .done("qemu_clone", 100, json!({"newid": 203, "format": "raw"}))
            .await;
        // The original keeps running and may change.
        serial.ask("echo second > /mnt/note; sync");
        let mut copy = scene.node.boot(203).await;
        let seen = copy.ask("mkdir -p /mnt; mount -t vfat /dev/vda /mnt; cat /mnt/note");
        assert!(seen.contains("first"), "{seen}");
        assert!(scene.image("203/vm-203-disk-0.raw").exists());
        assert!(serial.ask("cat /mnt/note").contains("second"));
    });
}

/// A limit applies to a copy by `qemu-img` and to one by a running guest's QEMU alike.
#[test]
fn a_copy_is_no_faster_than_is_allowed() {
    with_bridge(async {
        let Some(scene) = Scene::new("limited copies").await else {
            return;
        };
        let image = scene.image("100/vm-100-disk-0.qcow2");
        let kib = std::fs::metadata(&image).unwrap().blocks() / 2;
        // Two seconds' worth, of which a job may copy the first part at once.
        let limit = json!({"bwlimit": kib / 2});
        let with = |more: Value| {
            let mut params = limit.clone();
            let more = more.as_object().unwrap().clone();
            params.as_object_mut().unwrap().extend(more);
            params
        };
        let timed = async |op: &str, more: Value| {
            let begun = std::time::Instant::now();
            scene.node.done(op, 100, more).await;
            let took = begun.elapsed();
            assert!(took > std::time::Duration::from_secs(1), "{op}: {took:?}");
        };
        timed("qemu_clone", with(json!({"newid": 204, "full": 1}))).await;
        scene.node.boot(100).await;
        let to_raw = json!({"disk": "virtio0", "format": "raw", "delete": 1});
        timed("qemu_move_disk", with(to_raw)).await;
    });
}

/// To another format, to another storage and back.
async fn move_around(scene: &Scene) {
    for (storage, format) in [("local", "raw"), ("second", "qcow2"), ("local", "qcow2")] {
        let wanted = json!({"disk": "virtio0", "storage": storage, "format": format, "delete": 1});
        scene.node.done("qemu_move_disk", 100, wanted).await;
        let volume = scene.config(100).await["virtio0"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(
            volume.starts_with(&format!("{storage}:100/vm-100-disk-")),
            "{volume}"
        );
        assert!(volume.contains(&format!(".{format},")), "{volume}");
    }
}

#[test]
fn a_disk_moves_while_the_guest_writes_to_it() {
    with_bridge(async {
        let Some(scene) = Scene::new("moving disks").await else {
            return;
        };
        let mut serial = scene.node.boot(100).await;
        serial.ask("mkdir -p /mnt; mount -t vfat /dev/vda /mnt");
        // It writes all the time, and knows what it has written.
        let load =
            "(n=0; while :; do n=$((n+1)); echo $n > /mnt/count; sync; done) & echo $! > /pid";
        serial.ask(load);
        move_around(&scene).await;
        let same = json!({"disk": "virtio0", "format": "qcow2"});
        let refused = scene.node.call("qemu_move_disk", about(100, same)).await;
        assert_eq!(
            refused.unwrap_err().message,
            "you can't move to the same storage with same format"
        );
        serial.ask("kill $(cat /pid); sync");
        let seen = serial.ask("echo last=$(cat /mnt/count)=; sha256sum /mnt/vmlinuz");
        let last = seen
            .rsplit_once("last=")
            .unwrap()
            .1
            .split_once('=')
            .unwrap()
            .0
            .to_owned();
        assert!(last.parse::<u64>().unwrap() > 0, "{seen}");
        let sum = seen
            .split_whitespace()
            .find(|word| word.len() == 64)
            .unwrap()
            .to_owned();
        // Another drive can be plugged into the slot of the moved one, and it can be moved when
        // stopped.
        scene
            .node
            .done("qemu_shutdown", 100, json!({"forceStop": 1, "timeout": 30}))
            .await;
        let wanted = json!({"disk": "virtio0", "storage": "second", "format": "raw"});
        scene.node.done("qemu_move_disk", 100, wanted).await;
        let config = scene.config(100).await;
        assert!(
            config["unused0"]
                .as_str()
                .unwrap()
                .starts_with("local:100/"),
            "{config}"
        );
        let mut serial = scene.node.boot(100).await;
        let seen = serial.ask(
            "mkdir -p /mnt; mount -t vfat /dev/vda /mnt; cat /mnt/count; sha256sum /mnt/vmlinuz",
        );
        assert!(
            seen.contains(&last) && seen.contains(&sum),
            "{seen}, not {last} and {sum}"
        );
        scene.node.done("qemu_stop", 100, json!({})).await;
        scene.node.done("qemu_destroy", 100, json!({})).await;
        assert_eq!(scene.images(), 0);
    });
}

/// The UEFI variables of a guest move like its disks; it finds them afterwards.
#[test]
fn a_uefi_guests_variables_move_while_it_runs() {
    with_bridge(async {
        let Some(scene) = Scene::new("moving an EFI disk").await else {
            return;
        };
        let uefi = json!({"memory": "512", "bios": "ovmf", "efidisk0": "local:1,efitype=4m", "tpmstate0": "local:1,version=v2.0"});
        scene
            .node
            .call("qemu_configure", about(100, uefi))
            .await
            .unwrap();
        let mut serial = scene.node.boot(100).await;
        assert!(serial.ask("ls /sys/firmware/efi").contains("efivars"));
        for format in ["raw", "qcow2"] {
            let storage = if format == "raw" { "second" } else { "local" };
            let to = json!({"disk": "efidisk0", "storage": storage, "format": format, "delete": 1});
            scene.node.done("qemu_move_disk", 100, to).await;
            let disk = scene.config(100).await["efidisk0"].clone();
            let disk = disk.as_str().unwrap();
            assert!(
                disk.starts_with(storage) && disk.contains(&format!(".{format},")),
                "{disk}"
            );
            assert!(serial.ask("echo alive").contains("alive"));
        }
        let to = json!({"disk": "tpmstate0", "storage": "second"});
        let refused = scene
            .node
            .task("qemu_move_disk", about(100, to.clone()))
            .await;
        assert_eq!(refused, "cannot move TPM state while VM is running");
        scene.node.done("qemu_stop", 100, json!({})).await;
        scene.node.done("qemu_move_disk", 100, to).await;
        scene.node.boot(100).await;
    });
}

/// A disk moves to another guest, which finds its content; plugged if that one runs.
#[test]
fn a_disk_becomes_another_guests() {
    with_bridge(async {
        let Some(scene) = Scene::new("reassigning a disk").await else {
            return;
        };
        scene
            .node
            .done("qemu_clone", 100, json!({"newid": 206, "full": 1}))
            .await;
        let new = json!({"virtio1": "local:1,format=qcow2"});
        scene
            .node
            .call("qemu_configure", about(206, new))
            .await
            .unwrap();
        let mut serial = scene.node.boot(206).await;
        serial.ask("echo from-206 > /dev/vdb; sync");
        let to = |disk: &str, place: &str| json!({"disk": disk, "target-vmid": 100, "target-disk": place});
        let running = scene
            .node
            .task("qemu_move_disk", about(206, to("virtio1", "virtio3")))
            .await;
        assert!(
            running.contains("while the source VM is running"),
            "{running}"
        );
        scene.node.done("qemu_stop", 206, json!({})).await;
        let mut serial = scene.node.boot(100).await;
        scene
            .node
            .done("qemu_move_disk", 206, to("virtio1", "virtio3"))
            .await;
        serial.ask("until [ -b /dev/vdb ]; do usleep 50000; done");
        assert!(serial.ask("head -c 8 /dev/vdb").contains("from-206"));
        let taken = scene.config(100).await;
        assert_eq!(taken["virtio3"], "local:100/vm-100-disk-1.qcow2,size=1G");
        assert!(scene.config(206).await.get("virtio1").is_none());
        assert!(!scene.image("206/vm-206-disk-1.qcow2").exists());
        // With a guest's last image its folder is removed.
        scene
            .node
            .done("qemu_move_disk", 206, to("virtio0", "unused3"))
            .await;
        assert!(!scene.image("206").exists());
        let taken = scene.config(100).await;
        assert_eq!(taken["unused3"], "local:100/vm-100-disk-2.qcow2");
        let both = json!({"disk": "virtio0", "target-vmid": 206, "storage": "second"});
        let refused = scene.node.call("qemu_move_disk", about(100, both)).await;
        assert!(refused.unwrap_err().fields.contains_key("target-vmid"));
        scene.node.done("qemu_stop", 100, json!({})).await;
    });
}

/// Simultaneous tasks on one template all get their turn.
#[test]
fn fifty_linked_clones_at_once() {
    with_bridge(async {
        let Some(scene) = Scene::new("fifty clones").await else {
            return;
        };
        scene.node.done("qemu_template", 100, json!({})).await;
        let mut upids = Vec::<String>::new();
        let submit = async |op: &str, vmid: u32, more: Value| {
            let upid = scene.node.call(op, about(vmid, more)).await.unwrap().data;
            upid.as_str().unwrap().to_owned()
        };
        for newid in 300..350 {
            if newid == 325 {
                // Meanwhile snapshots are requested: of the template, which can have none, and, one
                // after the other, two of a new clone.
                let of_template = submit("qemu_snapshot", 100, json!({"snapname": "s1"})).await;
                let refused = scene.node.ended(&of_template).await;
                assert_eq!(refused, "you can't take a snapshot if it's a template");
                assert_eq!(scene.node.ended(&upids[0]).await, "OK");
                for name in ["s1", "s2"] {
                    upids.push(submit("qemu_snapshot", 300, json!({"snapname": name})).await);
                }
            }
            upids.push(submit("qemu_clone", 100, json!({"newid": newid})).await);
        }
        for upid in &upids {
            assert_eq!(scene.node.ended(upid).await, "OK");
        }
        until("all clones are listed", async || {
            (300..350).all(|vmid| {
                scene
                    .image(&format!("{vmid}/vm-{vmid}-disk-0.qcow2"))
                    .exists()
            })
        })
        .await;
        let chain = qemu_img(&[
            "info",
            "--backing-chain",
            scene.image("349/vm-349-disk-0.qcow2").to_str().unwrap(),
        ]);
        assert!(chain.contains("base-100-disk-0.qcow2"), "{chain}");
    });
}
