//! A template, a linked clone of it with a snapshot, and a container, laid out as Proxmox VE lays them out, with
//! its database: taken over, and alive.

use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::harness::namespace::with_bridge;
use crate::harness::{Serial, TestNode, tiny_disk};
use crate::lxc_life::{inside, is_left_out, template};

fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {said}");
}

/// The database of `/etc/pve`, as its owner left it: not closed, so that the newest is in its log.
fn database(path: &Path, files: &[(&str, String)]) -> Connection {
    let database = Connection::open(path).unwrap();
    database.pragma_update(None, "journal_mode", "WAL").unwrap();
    let table = "CREATE TABLE tree (inode INTEGER PRIMARY KEY NOT NULL, parent INTEGER NOT NULL, \
        version INTEGER NOT NULL, writer INTEGER NOT NULL, mtime INTEGER NOT NULL, \
        type INTEGER NOT NULL, name TEXT NOT NULL, data BLOB)";
    database.execute(table, []).unwrap();
    let mut folders = std::collections::BTreeMap::from([(String::new(), 0_i64)]);
    let mut inode = 1_i64;
    let mut insert = |parent: i64, kind: i64, name: &str, data: Option<&[u8]>| {
        inode += 1;
        let row = params![inode, parent, kind, name, data];
        let sql = "INSERT INTO tree VALUES (?1, ?2, 1, 0, 0, ?3, ?4, ?5)";
        database.execute(sql, row).unwrap();
        inode
    };
    for (path, text) in files {
        let (mut folder, mut parent) = (String::new(), 0);
        let mut parts: Vec<&str> = path.split('/').collect();
        let name = parts.pop().unwrap();
        for part in parts {
            folder = format!("{folder}/{part}");
            parent = match folders.get(&folder) {
                Some(known) => *known,
                None => insert(parent, 4, part, None),
            };
            folders.insert(folder.clone(), parent);
        }
        insert(parent, 8, name, Some(text.as_bytes()));
    }
    database
}

/// The storage of the Proxmox VE, with its volumes.
fn lay_out(node: &TestNode, disk: &Path) -> PathBuf {
    let old = node.root.join("srv/old");
    let images = old.join("images");
    for guest in ["9000", "100", "200"] {
        std::fs::create_dir_all(images.join(guest)).unwrap();
    }
    std::fs::copy(disk, images.join("9000/base-9000-disk-0.qcow2")).unwrap();
    let clone = images.join("100/vm-100-disk-0.qcow2");
    let clone = clone.to_str().unwrap();
    let base = ["-b", "../9000/base-9000-disk-0.qcow2"];
    run(
        "qemu-img",
        &[
            "create", "-q", "-f", "qcow2", "-F", "qcow2", base[0], base[1], clone,
        ],
    );
    run("qemu-img", &["snapshot", "-c", "first", clone]);
    let archive = template(node, "busy.tar.gz");
    let tree = tempfile::tempdir().unwrap();
    let root = tree.path().to_str().unwrap();
    run("tar", &["-xf", archive.to_str().unwrap(), "-C", root]);
    let image = images.join("200/vm-200-disk-0.raw");
    let image = image.to_str().unwrap();
    run("truncate", &["-s", "64M", image]);
    run("mkfs.ext4", &["-q", "-d", root, image]);
    old
}

fn files(old: &Path) -> Vec<(&'static str, String)> {
    let vm = |more: &str, disk: &str| {
        format!(
            "boot: order=virtio0\nkvm: 0\nmemory: 128\nmeta: creation-qemu=9.2.0,ctime=1700000000\n\
             ostype: l26\nserial0: socket\nsmbios1: uuid=5c4d3c54-3f07-4a1c-9d2b-6f5c0d3c0a11\n\
             virtio0: old:{disk},size=64M\n{more}"
        )
    };
    let snapshot = "name: web\nparent: first\n\n[first]\n#as it came\nboot: order=virtio0\nkvm: 0\n\
        memory: 128\nname: web\nserial0: socket\nsnaptime: 1700000100\n\
        virtio0: old:9000/base-9000-disk-0.qcow2/100/vm-100-disk-0.qcow2,size=64M\n";
    let clone = "9000/base-9000-disk-0.qcow2/100/vm-100-disk-0.qcow2";
    vec![
        (
            "storage.cfg",
            format!(
                "dir: old\n\tpath {}\n\tcontent images,rootdir\n",
                old.display()
            ),
        ),
        (
            "nodes/was/qemu-server/9000.conf",
            vm("template: 1\n", "9000/base-9000-disk-0.qcow2"),
        ),
        ("nodes/was/qemu-server/100.conf", vm(snapshot, clone)),
        (
            "nodes/was/lxc/200.conf",
            "arch: amd64\nhostname: small\nmemory: 64\nostype: unmanaged\n\
             rootfs: old:200/vm-200-disk-0.raw,size=64M\nswap: 0\n"
                .to_owned(),
        ),
    ]
}

async fn adopt(node: &TestNode, source: &Path) {
    let mut wanted = json!({"node": "pve1", "source": source});
    let plan = node.call("node_adopt", wanted.clone()).await.unwrap().data;
    let actions = |what: &str| -> Vec<Value> {
        let rows = plan[what].as_array().unwrap().iter();
        rows.map(|row| row["action"].clone()).collect()
    };
    assert_eq!(actions("guests"), ["adopt", "adopt", "adopt"], "{plan:#}");
    wanted["dry-run"] = 0.into();
    wanted["confirm"] = plan["digest"].clone();
    let answer = node.call("node_adopt", wanted).await.unwrap().data;
    assert_eq!(node.ended(answer["upid"].as_str().unwrap()).await, "OK");
}

#[test]
fn guests_of_a_proxmox_ve_live_on() {
    if is_left_out("guests of a Proxmox VE live on") {
        return;
    }
    let Some(disk) = tiny_disk() else {
        return;
    };
    with_bridge(async {
        let node = TestNode::start(async |_| {}).await;
        let old = lay_out(&node, &disk);
        let source = node.root.join("config.db");
        let open = database(&source, &files(&old));
        let before = std::fs::read(&source).unwrap();
        adopt(&node, &source).await;
        assert_eq!(std::fs::read(&source).unwrap(), before);
        drop(open);

        // The linked clone boots, and goes back to its snapshot.
        let about = |vmid: u32, mut params: Value| {
            (params["node"], params["vmid"]) = ("pve1".into(), vmid.into());
            params
        };
        let start = async |vmid: u32| {
            assert_eq!(node.task("qemu_start", about(vmid, json!({}))).await, "OK");
            let socket = format!("run/ostler/guests/{vmid}/serial0.sock");
            let mut serial = Serial::connect(&node.root.join(socket));
            serial.expect("tiny: ready");
            serial
        };
        let mut serial = start(100).await;
        serial.ask("mkdir -p /mnt; mount -t vfat /dev/vda /mnt; echo later > /mnt/note; sync");
        assert!(serial.ask("ls /mnt").contains("note"));
        let first = json!({"snapname": "first"});
        assert_eq!(node.task("qemu_stop", about(100, json!({}))).await, "OK");
        assert_eq!(node.task("qemu_rollback", about(100, first)).await, "OK");
        let mut serial = start(100).await;
        let found = serial.ask("mkdir -p /mnt; mount -t vfat /dev/vda /mnt; ls /mnt; echo done");
        assert!(found.contains("done") && !found.contains("note"), "{found}");
        assert_eq!(node.task("qemu_stop", about(100, json!({}))).await, "OK");

        // The template makes another clone, whose disk is based on its own.
        let refused = node.task("qemu_start", about(9000, json!({}))).await;
        assert!(refused.contains("template"), "{refused}");
        let clone = about(9000, json!({"newid": 101, "name": "second"}));
        assert_eq!(node.task("qemu_clone", clone).await, "OK");
        start(101).await;
        assert_eq!(node.task("qemu_stop", about(101, json!({}))).await, "OK");

        assert_eq!(node.task("lxc_start", about(200, json!({}))).await, "OK");
        assert!(inside(&node, 200, &["hostname"]).contains("small"));
        assert_eq!(node.task("lxc_stop", about(200, json!({}))).await, "OK");
    });
}
