//! Third-party clients, unmodified, with a real node.

mod ansible;
mod bpg;
mod exporter;
mod go_proxmox;
mod proxlb;
mod proxmoxer;
mod pvecontrol;
mod telmate;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::harness::TestNode;

const ADMIN: &str = "admin@pve";
const PASSWORD: &str = "of-the-admin";

/// The file or folder of a client below `tests/clients`.
fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients")
        .join(name)
}

async fn make_admin(node: &TestNode) {
    let user = json!({"userid": ADMIN, "password": PASSWORD});
    node.call("user_create", user).await.unwrap();
    let rights = json!({"path": "/", "users": ADMIN, "roles": "Administrator"});
    node.call("acl_update", rights).await.unwrap();
}

/// A node with an administrator, whose guests are emulated where KVM does not work: not every
/// client can say `kvm: 0`.
async fn node_with_admin() -> TestNode {
    let node = TestNode::start_with("emulate = true", async |_| {}).await;
    make_admin(&node).await;
    node
}

/// Runs a client that must succeed; returns its output.
async fn done(command: &mut Command) -> String {
    let shown = format!("{command:?}");
    let mut command = std::mem::replace(command, Command::new("true"));
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{shown}\n{said}\n{complaint}");
    said
}

/// No machine has left anything on the host.
fn nothing_is_left(node: &TestNode) {
    for folder in ["run/ostler/guests", "var/lib/vz/images"] {
        let left = std::fs::read_dir(node.root.join(folder)).unwrap().count();
        assert_eq!(left, 0, "something is left in {folder}");
    }
}

/// A program that runs beside a test and ends with it.
struct Beside(std::process::Child);

impl Beside {
    fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
