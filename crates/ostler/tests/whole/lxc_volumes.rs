//! What becomes of a real container's file systems: snapshots, copies, templates, moves, sizes.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::left_out::missing;

use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, until};
use crate::lxc_life::{
    created, give_bridge_an_address, inside, is_left_out, log_of, page, template,
};

/// A file system at `srv/btr`; false where that cannot be. The namespace of the test ends with it.
pub(crate) fn mount_btrfs(node: &TestNode) -> bool {
    let (image, point) = (node.root.join("btr.img"), node.root.join("srv/btr"));
    std::fs::create_dir_all(&point).unwrap();
    std::fs::File::create(&image)
        .unwrap()
        .set_len(8 << 30)
        .unwrap();
    let made = Command::new("mkfs.btrfs").arg("-q").arg(&image).status();
    let mounted = Command::new("mount")
        .args(["-o", "loop"])
        .args([&image, &point])
        .status();
    let is_there = made.is_ok_and(|made| made.success()) && mounted.unwrap().success();
    if !is_there {
        missing(
            "container on btrfs",
            "its kernel cannot mount btrfs from a file",
        );
    }
    is_there
}

/// A storage `btr` on a file system of its own.
async fn give_btrfs(node: &TestNode) -> bool {
    if !mount_btrfs(node) {
        return false;
    }
    let storage = json!({
        "storage": "btr", "type": "btrfs", "path": node.root.join("srv/btr"),
        "content": "rootdir,images",
    });
    node.call("storage_create", storage).await.unwrap();
    true
}

fn about(vmid: u32, more: Value) -> Value {
    let mut params = json!({"node": "pve1", "vmid": vmid});
    for (name, value) in more.as_object().unwrap() {
        params[name] = value.clone();
    }
    params
}

/// Runs a task, which must succeed.
async fn done(node: &TestNode, name: &'static str, params: Value) {
    let upid = node.call(name, params).await.unwrap().data;
    let upid = upid.as_str().unwrap();
    let ended = node.ended(upid).await;
    assert_eq!(ended, "OK", "{name}: {}", log_of(node, upid).await);
}

async fn config(node: &TestNode, vmid: u32) -> Value {
    let params = about(vmid, json!({}));
    node.call("lxc_config", params).await.unwrap().data
}

async fn refused(node: &TestNode, name: &'static str, params: Value) -> String {
    node.call(name, params).await.unwrap_err().message
}

/// Every volume of a storage.
async fn volumes(node: &TestNode, storage: &str) -> Vec<String> {
    let params = json!({"node": "pve1", "storage": storage});
    let rows = node.call("volume_list", params).await.unwrap().data;
    let rows = rows.as_array().unwrap().iter();
    let mut names: Vec<String> = rows
        .map(|row| row["volid"].as_str().unwrap().to_owned())
        .filter(|name| !name.contains("vztmpl"))
        .collect();
    names.sort();
    names
}

// covers: S4.18
#[test]
fn a_container_has_snapshots_and_copies() {
    if is_left_out("snapshots of a container") {
        return;
    }
    with_bridge(async {
        give_bridge_an_address();
        let node = TestNode::start(async |_| {}).await;
        if !give_btrfs(&node).await {
            return;
        }
        template(&node, "busy.tar.gz");
        let params = json!({
            "node": "pve1", "vmid": 100, "ostemplate": "local:vztmpl/busy.tar.gz",
            "memory": 64, "rootfs": "btr:0.2", "mp0": "btr:0,mp=/data", "start": true,
            "net0": "name=eth0,bridge=vmbr0,ip=10.9.0.2/24", "description": "first",
        });
        assert_eq!(created(&node, params).await, "OK");
        until("the page is served", async || {
            page("10.9.0.2").contains("a page")
        })
        .await;
        links_are_shown(&node).await;
        // An image that was copied while it was mounted is not waited for, which took 42 s each time.
        let began = Instant::now();
        snapshots_of_a_running_one(&node).await;
        copies_of_a_snapshot(&node).await;
        assert!(began.elapsed() < Duration::from_secs(40));
        templates(&node).await;
    });
}

async fn links_are_shown(node: &TestNode) {
    let links = node.call("lxc_interfaces", about(100, json!({}))).await;
    let links = links.unwrap().data;
    let mut links = links.as_array().unwrap().iter();
    let card = links.find(|link| link["name"] == "eth0").unwrap();
    assert_eq!(card["inet"], "10.9.0.2/24", "{card}");
    assert_eq!(card["ip-addresses"][0]["prefix"], 24);
}

/// Both file systems are as they were at one moment, an image and a folder; the container goes on.
async fn snapshots_of_a_running_one(node: &TestNode) {
    let write = |text: &str| {
        let script = format!("echo {text} > /root/file; echo {text} > /data/file");
        inside(node, 100, &["/bin/sh", "-c", &script])
    };
    let feature = node.call("lxc_feature", about(100, json!({"feature": "snapshot"})));
    assert_eq!(feature.await.unwrap().data["hasFeature"], 1);
    write("before");
    let snapshot = about(100, json!({"snapname": "s1", "description": "one"}));
    done(node, "lxc_snapshot", snapshot).await;
    assert!(page("10.9.0.2").contains("a page"), "it goes on");
    write("after");
    let rows = node.call("lxc_snapshot_list", about(100, json!({}))).await;
    let rows = rows.unwrap().data;
    assert_eq!(rows[0]["name"], "s1");
    assert_eq!(rows[0]["description"], "one\n");
    assert_eq!(
        (&rows[1]["name"], &rows[1]["parent"]),
        (&json!("current"), &json!("s1"))
    );
    let memory = about(100, json!({"memory": 80}));
    node.call("lxc_configure", memory).await.unwrap();
    // A running container is ended, and begins again as it was.
    let back = about(100, json!({"snapname": "s1", "start": true}));
    done(node, "lxc_rollback", back).await;
    until("the page is served again", async || {
        page("10.9.0.2").contains("a page")
    })
    .await;
    for path in ["/root/file", "/data/file"] {
        assert_eq!(inside(node, 100, &["/bin/cat", path]), "before\n");
    }
    assert_eq!(config(node, 100).await["memory"], 64);
    write("later");
}

/// A full clone of a snapshot of a container that runs, its image by blocks, its folder by files.
async fn copies_of_a_snapshot(node: &TestNode) {
    let now = about(100, json!({"newid": 101, "full": true}));
    let text = "Full clone of a running container is only possible from a snapshot";
    assert_eq!(refused(node, "lxc_clone", now).await, text);
    let clone = about(
        100,
        json!({"newid": 101, "full": true, "snapname": "s1", "hostname": "copy"}),
    );
    done(node, "lxc_clone", clone).await;
    let (original, copy) = (config(node, 100).await, config(node, 101).await);
    assert_eq!(copy["hostname"], "copy");
    assert_eq!(copy["rootfs"], "btr:101/vm-101-disk-0.raw,size=204M");
    assert_ne!(original["net0"], copy["net0"]);
    let elsewhere = about(
        101,
        json!({"net0": "name=eth0,bridge=vmbr0,ip=10.9.0.3/24"}),
    );
    node.call("lxc_configure", elsewhere).await.unwrap();
    done(node, "lxc_start", about(101, json!({}))).await;
    for path in ["/root/file", "/data/file"] {
        assert_eq!(inside(node, 101, &["/bin/cat", path]), "before\n");
    }
    let owner = inside(node, 101, &["/bin/stat", "-c", "%u %g", "/data/file"]);
    assert_eq!(owner, "0 0\n");
    assert_eq!(inside(node, 100, &["/bin/cat", "/root/file"]), "later\n");
    done(node, "lxc_stop", about(101, json!({}))).await;
    let gone = about(100, json!({"snapname": "s1"}));
    done(node, "lxc_delsnapshot", gone).await;
    done(node, "lxc_stop", about(100, json!({}))).await;
    done(node, "lxc_destroy", about(100, json!({}))).await;
}

async fn templates(node: &TestNode) {
    let template = node.call("lxc_template", about(101, json!({}))).await;
    assert_eq!(template.unwrap().data, Value::Null);
    let made = config(node, 101).await;
    assert_eq!(made["template"], 1);
    assert_eq!(made["rootfs"], "btr:101/base-101-disk-0.raw,size=204M");
    let start = node.task("lxc_start", about(101, json!({}))).await;
    assert_eq!(start, "you can't start a CT if it's a template");
    // Linked unless it is said otherwise.
    done(node, "lxc_clone", about(101, json!({"newid": 102}))).await;
    done(node, "lxc_start", about(102, json!({}))).await;
    assert_eq!(inside(node, 102, &["/bin/cat", "/data/file"]), "before\n");
    let forced = about(102, json!({"force": true}));
    done(node, "lxc_destroy", forced).await;
    done(node, "lxc_destroy", about(101, json!({}))).await;
    assert_eq!(volumes(node, "btr").await, [""; 0]);
}

#[test]
fn a_containers_volumes_grow_and_move() {
    if is_left_out("volumes of a container") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |_| {}).await;
        if !give_btrfs(&node).await {
            return;
        }
        template(&node, "busy.tar.gz");
        for vmid in [100, 101] {
            let params = json!({
                "node": "pve1", "vmid": vmid, "ostemplate": "local:vztmpl/busy.tar.gz",
                "memory": 64, "rootfs": "local:0.1",
                "mp0": if vmid == 100 { "local:0,mp=/data" } else { "local:0,mp=/other" },
            });
            assert_eq!(created(&node, params).await, "OK");
        }
        sizes(&node).await;
        moves(&node).await;
        gifts(&node).await;
        for vmid in [100, 101] {
            done(&node, "lxc_destroy", about(vmid, json!({}))).await;
        }
        assert_eq!(volumes(&node, "btr").await, [""; 0]);
        assert_eq!(volumes(&node, "local").await, [""; 0]);
    });
}

async fn sizes(node: &TestNode) {
    let resize = |disk: &str, size: &str| about(100, json!({"disk": disk, "size": size}));
    for (disk, size, text) in [
        ("rootfs", "50M", "unable to shrink disk size"),
        ("rootfs", "102M", "disk is already at specified size"),
        ("mp9", "+1G", "format error"),
    ] {
        assert_eq!(refused(node, "lxc_resize", resize(disk, size)).await, text);
    }
    done(node, "lxc_resize", resize("rootfs", "+100M")).await;
    assert_eq!(
        config(node, 100).await["rootfs"],
        "local:100/vm-100-disk-0.raw,size=202M"
    );
    done(node, "lxc_start", about(100, json!({}))).await;
    let size = inside(node, 100, &["/bin/stat", "-f", "-c", "%b %S", "/"]);
    let numbers: Vec<u64> = size
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    assert!(numbers[0] * numbers[1] > 170 << 20, "{size}");
    let write =
        "echo kept > /root/file; echo kept > /data/file; mkdir -p /data/d && chmod 750 /data/d";
    inside(node, 100, &["/bin/sh", "-c", write]);
    let moved = about(100, json!({"volume": "rootfs", "storage": "btr"}));
    let running = node.task("lxc_move_volume", moved).await;
    assert_eq!(running, "cannot move volumes of a running container");
    done(node, "lxc_stop", about(100, json!({}))).await;
}

/// An image and a folder to another storage and back; the originals become unused or go.
async fn moves(node: &TestNode) {
    let moved = |volume: &str, storage: &str, delete: bool| {
        about(
            100,
            json!({"volume": volume, "storage": storage, "delete": delete}),
        )
    };
    done(node, "lxc_move_volume", moved("rootfs", "btr", true)).await;
    done(node, "lxc_move_volume", moved("mp0", "btr", false)).await;
    let after = config(node, 100).await;
    assert_eq!(after["rootfs"], "btr:100/vm-100-disk-0.raw,size=202M");
    assert_eq!(
        after["mp0"],
        "btr:100/subvol-100-disk-1.subvol,mp=/data,size=0"
    );
    assert_eq!(after["unused0"], "local:100/subvol-100-disk-1.subvol");
    let forgotten = about(100, json!({"delete": "unused0"}));
    node.call("lxc_configure", forgotten).await.unwrap();
    done(node, "lxc_start", about(100, json!({}))).await;
    for path in ["/root/file", "/data/file"] {
        assert_eq!(inside(node, 100, &["/bin/cat", path]), "kept\n");
    }
    let mode = inside(node, 100, &["/bin/stat", "-c", "%u %a", "/data/d"]);
    assert_eq!(mode, "0 750\n");
    done(node, "lxc_stop", about(100, json!({}))).await;
    let nowhere = node.task("lxc_move_volume", moved("mp0", "nosuch", true));
    assert_eq!(nowhere.await, "storage 'nosuch' does not exist");
}

/// A volume of one container becomes another one's.
async fn gifts(node: &TestNode) {
    let give = |volume: &str, target: u32, place: &str| {
        about(
            100,
            json!({"volume": volume, "target-vmid": target, "target-volume": place}),
        )
    };
    for (params, text) in [
        (give("rootfs", 101, "mp5"), "Cannot move to/from 'rootfs'"),
        (give("mp0", 999, "mp5"), "could not find CT 999"),
        (
            give("mp0", 101, "mp0"),
            "Target volume key 'mp0' is already in use for container '101'",
        ),
    ] {
        assert_eq!(refused(node, "lxc_move_volume", params).await, text);
    }
    let itself = node.call("lxc_move_volume", give("mp0", 100, "mp5")).await;
    assert!(itself.unwrap_err().fields.contains_key("target-vmid"));
    done(node, "lxc_move_volume", give("mp0", 101, "mp5")).await;
    assert!(config(node, 100).await.get("mp0").is_none());
    let given = config(node, 101).await;
    let path = "btr:101/subvol-101-disk-0.subvol,mp=/data,size=0";
    assert_eq!(given["mp5"], path);
    let kept = node
        .root
        .join("srv/btr/images/101/subvol-101-disk-0.subvol");
    let read = std::fs::read_to_string(Path::new(&kept).join("file"));
    assert_eq!(read.unwrap(), "kept\n");
}
