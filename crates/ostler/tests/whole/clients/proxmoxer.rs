//! A third-party client: proxmoxer, unmodified, with a real node.

use std::path::PathBuf;
use std::process::Command;

use super::{ADMIN, PASSWORD, done, folder, make_admin, nothing_is_left};
use crate::harness::cluster::{TestCluster, with_cluster_bridge};
use crate::harness::namespace::{command_in, with_bridge};
use crate::harness::python::python_with;
use crate::harness::{TestNode, left_out, tiny_disk, until};
use crate::lxc_life::{is_left_out, template};
use serde_json::json;

/// The packages of the session; versions are pinned so that a test stays the same.
const PACKAGES: [&str; 5] = [
    "proxmoxer==2.3.0",
    "requests==2.34.2",
    "requests_toolbelt==1.0.0",
    "pyotp==2.12.0",
    "websocket-client==1.9.0",
];

fn python() -> Option<PathBuf> {
    python_with(&PACKAGES, "proxmoxer, pyotp, websocket")
}

/// A node with an administrator, for a session of the client.
async fn session_on(node: &TestNode, python: PathBuf, script: &str, more: &[&str]) {
    make_admin(node).await;
    let script = folder(script).display().to_string();
    let port = node.port.to_string();
    let mut args = vec!["-W", "ignore", &script, &port, ADMIN, PASSWORD, "pve1"];
    args.extend(more);
    done(Command::new(python).args(args)).await;
    nothing_is_left(node);
}

#[test]
fn proxmoxer_does_what_it_does_with_proxmox_ve() {
    if left_out("proxmoxer") {
        return;
    }
    let Some(python) = python() else { return };
    with_bridge(async {
        let Some(disk) = tiny_disk() else { return };
        let node = TestNode::start(async |_| {}).await;
        let disk = disk.display().to_string();
        session_on(&node, python, "proxmoxer_session.py", &[&disk]).await;
    });
}

/// The client speaks to a node that owns neither the machines nor their storage.
// covers: S0.1 S2.1
#[test]
fn proxmoxer_does_the_same_at_another_node() {
    if left_out("proxmoxer at another node") {
        return;
    }
    let Some(python) = python() else { return };
    with_cluster_bridge(async {
        let (Some(disk), Some(cluster)) = (tiny_disk(), TestCluster::start(2).await) else {
            return;
        };
        cluster.form().await;
        let [n1, n2] = &cluster.nodes[..] else {
            unreachable!()
        };
        let guest = json!({"node": "n1", "vmid": 100});
        assert_eq!(n1.task("qemu_destroy", guest).await, "OK");
        make_admin(n1).await;
        until("the link is there", async || {
            n2.call("node_status", json!({"node": "n1"})).await.is_ok()
        })
        .await;
        let script = folder("proxmoxer_session.py").display().to_string();
        let disk = disk.display().to_string();
        let args = [
            "-W", "ignore", &script, "8006", ADMIN, PASSWORD, "n1", &disk,
        ];
        done(command_in(cluster.namespace(2), &python).args(args)).await;
        nothing_is_left(n1);
    });
}

// covers: S2.34 S2.36 S2.73 S4.17 S4.18
#[test]
fn proxmoxer_leads_a_machine_through_its_life() {
    if left_out("proxmoxer, a whole life") {
        return;
    }
    let Some(python) = python() else { return };
    with_bridge(async {
        let Some(disk) = tiny_disk() else { return };
        let node = TestNode::start(async |_| {}).await;
        let path = node.root.join("srv/second").display().to_string();
        let second = json!({"storage": "second", "type": "dir", "path": path, "content": "images"});
        node.call("storage_create", second).await.unwrap();
        let disk = disk.display().to_string();
        session_on(&node, python, "proxmoxer_life.py", &[&disk, "second"]).await;
    });
}

/// The call as it stands in the cluster's documentation.
// covers: S2.49
#[test]
fn proxmoxer_creates_a_container() {
    if is_left_out("proxmoxer, a container") {
        return;
    }
    let Some(python) = python() else { return };
    with_bridge(async {
        let node = TestNode::start(async |_| {}).await;
        let path = node.root.join("srv/shared").display().to_string();
        let storage = json!({
            "storage": "global-lvm", "type": "dir", "path": path, "content": "images,rootdir"
        });
        node.call("storage_create", storage).await.unwrap();
        template(&node, "ubuntu-24.04.tar.gz");
        session_on(&node, python, "proxmoxer_container.py", &[]).await;
    });
}
