//! Disks filled from images: the content is complete, and an interrupted import leaves nothing
//! behind.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, left_out, until};
use serde_json::{Value, json};

const IMAGE_BYTES: usize = 96 << 20;

fn qemu_img(args: &[&str]) -> bool {
    Command::new("qemu-img")
        .args(args)
        .output()
        .unwrap()
        .status
        .success()
}

struct Scene {
    node: TestNode,
    brought: PathBuf,
}

impl Scene {
    /// A node with an uploaded image without holes.
    async fn new() -> Self {
        let node = TestNode::start(async |_| {}).await;
        let folder = node.root.join("var/lib/vz/import");
        std::fs::create_dir_all(&folder).unwrap();
        let brought = folder.join("brought.raw");
        let content: Vec<u8> = (0..IMAGE_BYTES).map(|at| (at % 251) as u8 | 1).collect();
        std::fs::write(&brought, content).unwrap();
        Self { node, brought }
    }

    fn creation(&self, drive: &str) -> Value {
        json!({"node": "pve1", "vmid": 100, "memory": "64", "kvm": 0, "scsi0": drive})
    }

    fn image(&self, name: &str) -> PathBuf {
        self.node.root.join("var/lib/vz/images/100").join(name)
    }

    fn import(&self, name: &str) -> PathBuf {
        self.brought.with_file_name(name)
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn an_image_that_was_brought_becomes_a_disk() {
    if left_out("import") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let drive = "local:0,import-from=local:import/brought.raw,format=qcow2,discard=on";
        let upid = scene
            .node
            .call("qemu_create", scene.creation(drive))
            .await
            .unwrap()
            .data;
        let upid = upid.as_str().unwrap();
        assert_eq!(scene.node.ended(upid).await, "OK");
        let log = json!({"node": "pve1", "upid": upid, "limit": 0});
        let log = scene
            .node
            .call("task_log", log)
            .await
            .unwrap()
            .data
            .to_string();
        assert!(log.contains("bytes (100.00%)"), "no progress in {log}");
        let params = json!({"node": "pve1", "vmid": 100});
        let config = scene.node.call("qemu_config", params).await.unwrap().data;
        assert_eq!(
            config["scsi0"],
            "local:100/vm-100-disk-0.qcow2,discard=on,size=96M"
        );
        let disk = scene.image("vm-100-disk-0.qcow2");
        let compare = [
            "compare",
            "-f",
            "raw",
            "-F",
            "qcow2",
            path(&scene.brought),
            path(&disk),
        ];
        assert!(qemu_img(&compare), "the disk is not what was brought");
    });
}

#[test]
fn an_image_that_refers_to_other_files_is_refused() {
    if left_out("import of a made-up image") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let secret = scene.node.root.join("secret");
        std::fs::write(&secret, vec![7; 1 << 20]).unwrap();
        let layer = scene.import("layer.qcow2");
        let on_secret = [
            "create",
            "-f",
            "qcow2",
            "-F",
            "raw",
            "-b",
            path(&secret),
            path(&layer),
        ];
        assert!(qemu_img(&on_secret));
        let outside = scene.import("outside.qcow2");
        let option = format!("data_file={},data_file_raw=on", path(&secret));
        assert!(qemu_img(&[
            "create",
            "-f",
            "qcow2",
            "-o",
            &option,
            path(&outside),
            "1M"
        ]));
        let extents = scene.import("extents.vmdk");
        let flat = [
            "create",
            "-f",
            "vmdk",
            "-o",
            "subformat=monolithicFlat",
            path(&extents),
            "1M",
        ];
        assert!(qemu_img(&flat));
        for (name, reason) in [
            ("layer.qcow2", "it refers to other files"),
            ("outside.qcow2", "it refers to other files"),
            ("extents.vmdk", "it refers to other files"),
            ("missing.raw", "does not exist"),
        ] {
            let drive = format!("local:0,import-from=local:import/{name}");
            let status = scene.node.task("qemu_create", scene.creation(&drive)).await;
            assert!(status.contains(reason), "{name}: {status}");
            assert!(!scene.image("").exists(), "{name} left something");
        }
        let sized = scene.creation("local:1,import-from=local:import/brought.raw");
        let refused = scene.node.call("qemu_create", sized).await.unwrap_err();
        assert!(
            refused.fields["scsi0"].contains("requires special syntax"),
            "{refused}"
        );
    });
}

#[test]
fn a_file_is_read_as_what_it_is() {
    if left_out("import by content") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let brought = path(&scene.brought);
        let image = scene.node.root.join("cloud.img");
        let convert = ["convert", "-f", "raw", "-O", "qcow2", brought, path(&image)];
        assert!(qemu_img(&convert));
        let drive = format!("local:0,import-from={},format=raw", path(&image));
        let status = scene.node.task("qemu_create", scene.creation(&drive)).await;
        assert_eq!(status, "OK");
        let disk = scene.image("vm-100-disk-0.raw");
        let compare = ["compare", "-f", "raw", "-F", "raw", brought, path(&disk)];
        assert!(qemu_img(&compare), "the disk is not what is in the image");
        let gone = json!({"node": "pve1", "vmid": 100});
        assert_eq!(scene.node.task("qemu_destroy", gone).await, "OK");

        // An image that refers to the host's files is refused, under any name.
        let layer = scene.node.root.join("layer");
        let on_brought = [
            "create",
            "-f",
            "qcow2",
            "-F",
            "raw",
            "-b",
            brought,
            path(&layer),
        ];
        assert!(qemu_img(&on_brought));
        let vdi = scene.node.root.join("box.img");
        assert!(qemu_img(&["create", "-f", "vdi", path(&vdi), "1M"]));
        std::fs::copy(&image, scene.import("inside.raw")).unwrap();
        std::fs::write(scene.import("fake.qcow2"), vec![7; 1 << 20]).unwrap();
        for (source, reason) in [
            (path(&layer), "it refers to other files"),
            (path(&vdi), "format 'vdi' is not supported"),
            ("local:import/inside.raw", "is no raw image"),
            ("local:import/fake.qcow2", "it is no qcow2 image"),
        ] {
            let drive = format!("local:0,import-from={source}");
            let status = scene.node.task("qemu_create", scene.creation(&drive)).await;
            assert!(status.contains(reason), "{source}: {status}");
            assert!(!scene.image("").exists(), "{source} left something");
        }
    });
}

#[test]
fn an_agent_that_dies_while_importing_leaves_nothing() {
    if left_out("import broken off") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let drive = "local:0,import-from=local:import/brought.raw";
        for _ in 0..3 {
            let upid = scene
                .node
                .call("qemu_create", scene.creation(drive))
                .await
                .unwrap()
                .data;
            let disk = scene.image("vm-100-disk-0.raw");
            until("the copy has begun", async || {
                std::fs::metadata(&disk).is_ok_and(|disk| disk.len() > 0)
            })
            .await;
            scene.node.kill_role("node").await;
            let status = scene.node.ended(upid.as_str().unwrap()).await;
            // It may have ended before the agent died.
            let params = json!({"node": "pve1", "vmid": 100});
            if status == "OK" {
                let gone = scene.node.task("qemu_destroy", params).await;
                assert_eq!(gone, "OK");
            } else {
                assert_eq!(status, "interrupted by a restart");
            }
            assert!(!scene.image("").exists());
            // The probe guest of the restarted agent may still exist.
            let scopes = format!("/sys/fs/cgroup/freezer/{}", scene.node.scope_root());
            until("no scope is left", async || {
                let mut entries = std::fs::read_dir(&scopes).unwrap().flatten();
                !entries.any(|entry| entry.path().is_dir())
            })
            .await;
        }
    });
}
