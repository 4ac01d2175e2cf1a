//! The web interface in a real browser, at a real node: the tests are in ui/browser.
// covers: S2.77, S2.85, S4.1

use std::path::Path;
use std::process::{Command, Output, Stdio};

use history::Object;
use serde_json::json;
use testkit::left_out::missing;

use crate::alerts::Mounted;
use crate::harness::cluster::{TestCluster, with_cluster_bridge};
use crate::harness::namespace::with_bridge;
use crate::harness::past::put_history;
use crate::harness::{TestNode, left_out, tiny_disk, until};
use crate::lxc_life;

const CHROMIUM: &str = "/usr/bin/chromium";
const UI: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ui");
const PASSWORD: &str = "a-password-of-tests";

/// Why a browser cannot be driven here, if so.
pub(crate) fn lacks_browser() -> bool {
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

/// A user who may do everything.
pub(crate) async fn admin(node: &TestNode) {
    let user = json!({"userid": "admin@pve", "password": PASSWORD});
    node.call("user_create", user).await.unwrap();
    let rights = json!({"path": "/", "users": "admin@pve", "roles": "Administrator"});
    node.call("acl_update", rights).await.unwrap();
}

/// An image that guests can be made of.
pub(crate) fn put_image(node: &TestNode, disk: &Path) {
    let folder = node.root.join("var/lib/vz/import");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(disk, folder.join("tiny.qcow2")).unwrap();
}

/// What the tests find: the user, an image that boots, and a guest whose texts are hostile.
async fn seed(node: &TestNode, disk: &Path) {
    admin(node).await;
    put_image(node, disk);
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

/// Starts the tests of some files against a node.
pub(crate) fn start(files: &[&str], url: &str) -> Command {
    let mut command = Command::new("node");
    command
        .args(["node_modules/vitest/vitest.mjs", "run"])
        .args(["--config", "browser/vitest.config.ts"])
        .args(files)
        .current_dir(UI)
        .env("OSTLER_URL", url)
        .env("OSTLER_USER", "admin@pve")
        .env("OSTLER_PASSWORD", PASSWORD)
        .env("OSTLER_CHROMIUM", CHROMIUM)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(crate) fn check(output: &Output, node: &TestNode) {
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}\n{}", node.log());
    println!("{said}");
}

async fn drive(files: &[&str]) {
    if left_out("browser") || lacks_browser() {
        return;
    }
    let Some(disk) = tiny_disk() else { return };
    let node = TestNode::start_with("emulate = true", async |_| {}).await;
    seed(&node, &disk).await;
    let url = format!("https://127.0.0.1:{}", node.port);
    check(&start(files, &url).output().unwrap(), &node);
}

#[test]
fn a_guest_from_the_wizard_to_its_end() {
    with_bridge(async { drive(&["browser/work.test.ts"]).await });
}

/// A container of busybox from the wizard to its end.
#[test]
fn a_container_from_the_wizard_to_its_end() {
    if lxc_life::is_left_out("browser") || lacks_browser() {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |_| {}).await;
        admin(&node).await;
        lxc_life::template(&node, "busy.tar.gz");
        let url = format!("https://127.0.0.1:{}", node.port);
        check(
            &start(&["browser/container.test.ts"], &url)
                .output()
                .unwrap(),
            &node,
        );
    });
}

/// A node as `./x up` leaves it, with a template for containers.
#[test]
fn a_first_use() {
    if lxc_life::is_left_out("browser") || lacks_browser() {
        return;
    }
    with_bridge(async {
        let Some(disk) = tiny_disk() else { return };
        let node = TestNode::start_with("emulate = true", async |_| {}).await;
        admin(&node).await;
        lxc_life::template(&node, "busy.tar.gz");
        put_image(&node, &disk);
        let hello = json!({"node": "pve1", "vmid": 100, "name": "hello", "memory": "128", "kvm": 0,
            "serial0": "socket", "vga": "serial0", "net0": "virtio,bridge=vmbr0",
            "virtio0": "local:0,format=qcow2,import-from=local:import/tiny.qcow2"});
        assert_eq!(node.task("qemu_create", hello).await, "OK");
        let power = json!({"node": "pve1", "vmid": 100});
        assert_eq!(node.task("qemu_start", power).await, "OK");
        let url = format!("https://127.0.0.1:{}", node.port);
        check(
            &start(&["browser/first.test.ts"], &url).output().unwrap(),
            &node,
        );
    });
}

#[test]
fn every_page_is_whole() {
    let files = [
        "browser/routes.test.ts",
        "browser/many.test.ts",
        "browser/stream.test.ts",
        "browser/tabs.test.ts",
        "browser/weight.test.ts",
        "browser/disks.test.ts",
        "browser/keys.test.ts",
    ];
    with_bridge(async { drive(&files).await });
}

/// A node that was off for a moment, with a storage that the browser fills.
#[test]
fn graphs_and_alerts() {
    if left_out("browser") || lacks_browser() {
        return;
    }
    with_bridge(async {
        let mut node = TestNode::start(async |_| {}).await;
        admin(&node).await;
        let folder = node.root.join("small");
        let mounted = Mounted::new(&folder);
        let storage = json!({"storage": "small", "type": "dir", "content": "iso",
            "path": folder.display().to_string()});
        node.call("storage_create", storage).await.unwrap();
        node.end();
        let minutes = (15..=30).rev().chain((0..10).rev());
        let known = [("cpu", 0.25), ("iowait", 0.01), ("loadavg", 0.5)];
        put_history(&node.root, minutes, &[(Object::Node, &known)]).await;
        node.start_again();
        node.ready().await;
        let files = ["browser/graphs.test.ts", "browser/alerts.test.ts"];
        let url = format!("https://127.0.0.1:{}", node.port);
        let mut browser = start(&files, &url);
        browser.env("OSTLER_FILLER", folder.join("filler"));
        check(&browser.output().unwrap(), &node);
        drop(mounted);
    });
}

/// The browser moves a guest and says when one of the nodes is to be killed.
#[test]
fn a_cluster_of_three_nodes() {
    if lacks_browser() {
        return;
    }
    with_cluster_bridge(async {
        let Some(mut cluster) = TestCluster::start(3).await else {
            return;
        };
        cluster.form().await;
        admin(&cluster.nodes[0]).await;
        until("the links are there", async || {
            let status = |of: &'static str| json!({"node": of});
            let [n1, n2, _] = &cluster.nodes[..] else {
                unreachable!()
            };
            n1.call("node_status", status("n2")).await.is_ok()
                && n2.call("node_status", status("n1")).await.is_ok()
                && n1.call("node_status", status("n3")).await.is_ok()
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        let wish = folder.path().join("kill-n2");
        let mut browser = start(&["browser/cluster.test.ts"], "https://10.77.0.1:8006");
        let browser = browser.env("OSTLER_KILL", &wish).spawn().unwrap();
        let watched = std::thread::spawn(move || browser.wait_with_output().unwrap());
        while !wish.exists() && !watched.is_finished() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        cluster.nodes[1].end();
        check(&watched.join().unwrap(), &cluster.nodes[0]);
    });
}
