//! Pictures of the web interface, at a cluster with guests of all kinds: `./x screenshots` has them
//! written to docs/images.

use serde_json::{Value, json};

use crate::browser::{admin, check, lacks_browser, start};
use crate::harness::cluster::{TestCluster, with_cluster_bridge};
use crate::harness::{TestNode, tiny_disk, until};

/// Number, name, node, pool, tags, memory in MiB, whether it runs.
const GUESTS: [(u32, &str, &str, &str, &str, u32, bool); 16] = [
    (101, "web-1", "n1", "shop", "prod;web", 96, true),
    (102, "web-2", "n2", "shop", "prod;web", 96, true),
    (103, "db-main", "n2", "shop", "db;prod", 128, true),
    (104, "db-replica", "n3", "shop", "db;prod", 128, true),
    (105, "queue", "n3", "shop", "prod", 64, true),
    (110, "mail", "n1", "office", "prod", 96, true),
    (111, "files", "n2", "office", "prod", 96, false),
    (112, "calendar", "n3", "office", "prod", 64, false),
    (113, "vpn", "n1", "office", "edge;prod", 64, true),
    (120, "git", "n1", "build", "dev", 96, false),
    (121, "runner-1", "n2", "build", "ci;dev", 96, false),
    (122, "runner-2", "n3", "build", "ci;dev", 96, false),
    (123, "runner-3", "n3", "build", "ci;dev", 96, false),
    (130, "monitoring", "n1", "", "prod", 96, false),
    (131, "dns-1", "n2", "", "edge", 64, false),
    (132, "sandbox", "n3", "", "dev", 64, false),
];

async fn done(node: &TestNode, op: &str, params: Value) {
    assert_eq!(node.task(op, params).await, "OK");
}

/// A guest that boots, with a console, and what it is called.
async fn first_guest(node: &TestNode, disk: &std::path::Path) {
    let folder = node.root.join("var/lib/vz/import");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(disk, folder.join("tiny.qcow2")).unwrap();
    let stop = json!({"node": "n1", "vmid": 100, "purge": 1});
    done(node, "qemu_destroy", stop).await;
    let guest = json!({"node": "n1", "vmid": 100, "name": "tiny", "memory": "128", "kvm": 0,
        "cores": 2, "tags": "prod;web", "pool": "shop", "serial0": "socket", "boot": "order=virtio0",
        "virtio0": "local:0,format=qcow2,import-from=local:import/tiny.qcow2", "net0": "virtio,bridge=vmbr0",
        "description": "The first guest of this cluster."});
    done(node, "qemu_create", guest).await;
    let snapshot = json!({"node": "n1", "vmid": 100, "snapname": "fresh"});
    done(node, "qemu_snapshot", snapshot).await;
    done(node, "qemu_start", json!({"node": "n1", "vmid": 100})).await;
}

async fn others(node: &TestNode) {
    for (vmid, name, on, pool, tags, memory, runs) in GUESTS {
        let mut guest = json!({"node": on, "vmid": vmid, "name": name, "memory": memory.to_string(),
            "kvm": 0, "tags": tags, "vga": "none", "net0": "virtio,bridge=vmbr0"});
        if !pool.is_empty() {
            guest["pool"] = pool.into();
        }
        done(node, "qemu_create", guest).await;
        if runs {
            done(node, "qemu_start", json!({"node": on, "vmid": vmid})).await;
        }
    }
}

#[test]
#[ignore = "thorough: starts a cluster with ten guests"]
fn pictures() {
    if lacks_browser() {
        return;
    }
    with_cluster_bridge(async {
        let Some(disk) = tiny_disk() else { return };
        let Some(cluster) = TestCluster::start(3).await else {
            return;
        };
        cluster.form().await;
        let node = &cluster.nodes[0];
        admin(node).await;
        for other in ["n2", "n3"] {
            until("the links are there", async || {
                node.call("node_status", json!({"node": other}))
                    .await
                    .is_ok()
            })
            .await;
        }
        for pool in ["shop", "office", "build"] {
            node.call("pool_create", json!({"poolid": pool}))
                .await
                .unwrap();
        }
        first_guest(node, &disk).await;
        others(node).await;
        let own = tempfile::tempdir().unwrap();
        let folder = std::env::var_os("OSTLER_IMAGES").unwrap_or_else(|| own.path().into());
        let mut browser = start(&["browser/pictures.test.ts"], "https://10.77.0.1:8006");
        browser.env("OSTLER_IMAGES", folder);
        check(&browser.output().unwrap(), node);
    });
}
