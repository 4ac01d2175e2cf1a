//! A real client that nobody here wrote: proxmoxer, unmodified, against a real node.

use std::path::{Path, PathBuf};

use crate::harness::python::{python_with, run};
use crate::harness::{TestNode, left_out, tiny_disk};
use serde_json::json;

/// What the session imports; versions are pinned so that a test of today is one of tomorrow.
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
    let user = json!({"userid": "admin@pve", "password": "of-the-admin"});
    node.call("user_create", user).await.unwrap();
    let rights = json!({"path": "/", "users": "admin@pve", "roles": "Administrator"});
    node.call("acl_update", rights).await.unwrap();
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    let script = clients.join(script).display().to_string();
    let port = node.port.to_string();
    let mut args = vec![
        "-W",
        "ignore",
        &script,
        &port,
        "admin@pve",
        "of-the-admin",
        "pve1",
    ];
    args.extend(more);
    let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
    let session = tokio::task::spawn_blocking(move || {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        run(&python, &args)
    });
    let session = session.await.unwrap();
    let said = String::from_utf8_lossy(&session.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&session.stderr);
    assert!(session.status.success(), "{said}{complaint}");
    print!("{said}");
    // Nothing of all the machines is left on the host.
    for folder in ["run/ostler/guests", "var/lib/vz/images"] {
        let left = std::fs::read_dir(node.root.join(folder)).unwrap().count();
        assert_eq!(left, 0, "something is left in {folder}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn proxmoxer_does_what_it_does_with_proxmox_ve() {
    if left_out("proxmoxer") {
        return;
    }
    let Some(python) = python() else { return };
    let Some(disk) = tiny_disk() else { return };
    let node = TestNode::start(async |_| {}).await;
    let disk = disk.display().to_string();
    session_on(&node, python, "proxmoxer_session.py", &[&disk]).await;
}

// covers: S2.34 S2.36 S2.73 S4.17 S4.18
#[tokio::test(flavor = "multi_thread")]
async fn proxmoxer_leads_a_machine_through_its_life() {
    if left_out("proxmoxer, a whole life") {
        return;
    }
    let Some(python) = python() else { return };
    let Some(disk) = tiny_disk() else { return };
    let node = TestNode::start(async |_| {}).await;
    let path = node.root.join("srv/second").display().to_string();
    let second = json!({"storage": "second", "type": "dir", "path": path, "content": "images"});
    node.call("storage_create", second).await.unwrap();
    let disk = disk.display().to_string();
    session_on(&node, python, "proxmoxer_life.py", &[&disk, "second"]).await;
}
