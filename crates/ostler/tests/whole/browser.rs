//! The web interface in a real browser, at a real node: the tests are in ui/browser.
// covers: S2.77, S2.85, S4.1

use std::path::Path;
use std::process::Command;

use serde_json::json;
use testkit::left_out::missing;

use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, left_out, tiny_disk};

const CHROMIUM: &str = "/usr/bin/chromium";
const UI: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ui");
const PASSWORD: &str = "a-password-of-tests";

/// Why a browser cannot be driven here, if so.
fn lacks_browser() -> bool {
    let ui = Path::new(UI);
    let reason = if !Path::new(CHROMIUM).exists() {
        "chromium is not installed"
    } else if !ui.join("dist/index.html").exists() || !ui.join("node_modules/.bin").exists() {
        "the web interface is not built: ./x ui"
    } else {
        return false;
    };
    missing("browser", reason);
    true
}

/// A user who may do everything, and what the tests find: an image that boots, and a guest whose
/// texts are hostile.
async fn seed(node: &TestNode, disk: &Path) {
    let folder = node.root.join("var/lib/vz/import");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(disk, folder.join("tiny.qcow2")).unwrap();
    let user = json!({"userid": "admin@pve", "password": PASSWORD});
    node.call("user_create", user).await.unwrap();
    let rights = json!({"path": "/", "users": "admin@pve", "roles": "Administrator"});
    node.call("acl_update", rights).await.unwrap();
    let notes = format!(
        "<img src=x onerror=alert(1)> \u{202e}gpj.exe {}",
        "w".repeat(200)
    );
    for (vmid, name, notes) in [(100, "hello".into(), ""), (101, "n".repeat(63), &notes)] {
        let guest = json!({"node": "pve1", "vmid": vmid, "name": name, "memory": "64", "kvm": 0,
            "description": notes, "tags": "t".repeat(60)});
        assert_eq!(node.task("qemu_create", guest).await, "OK");
    }
}

/// Runs the tests of some files against a node of its own.
fn run(files: &[&str], node: &TestNode) {
    let output = Command::new("node")
        .args(["node_modules/vitest/vitest.mjs", "run"])
        .args(["--config", "browser/vitest.config.ts"])
        .args(files)
        .current_dir(UI)
        .env("OSTLER_URL", format!("https://127.0.0.1:{}", node.port))
        .env("OSTLER_USER", "admin@pve")
        .env("OSTLER_PASSWORD", PASSWORD)
        .env("OSTLER_CHROMIUM", CHROMIUM)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}\n{}", node.log());
}

async fn drive(files: &[&str]) {
    if left_out("browser") || lacks_browser() {
        return;
    }
    let Some(disk) = tiny_disk() else { return };
    let node = TestNode::start_with("emulate = true", async |_| {}).await;
    seed(&node, &disk).await;
    run(files, &node);
}

#[test]
fn a_guest_from_the_wizard_to_its_end() {
    with_bridge(async { drive(&["browser/work.test.ts"]).await });
}

#[test]
fn every_page_is_whole() {
    let files = ["browser/routes.test.ts", "browser/many.test.ts"];
    with_bridge(async { drive(&files).await });
}
