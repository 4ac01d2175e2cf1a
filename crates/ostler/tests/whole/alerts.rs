//! Alerts of whole nodes: they open, who sees them, and they close by themselves.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::commands::Commands;
use crate::harness::https::request;
use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, kill, left_out, tiny_disk, until};

async fn alerts(node: &TestNode) -> Vec<Value> {
    let found = node.call("ostler_alerts", json!({})).await.unwrap().data;
    found.as_array().unwrap().clone()
}

async fn alert(node: &TestNode, id: &str) -> Option<Value> {
    alerts(node)
        .await
        .into_iter()
        .find(|alert| alert["id"] == id)
}

/// The header of a user who may look at guest 100, and at nothing else.
async fn auditor_of_100(node: &TestNode) -> (&'static str, String) {
    let params = [
        ("user_create", json!({"userid": "bob@pve"})),
        (
            "acl_update",
            json!({"path": "/vms/100", "users": "bob@pve", "roles": "PVEAuditor"}),
        ),
    ];
    for (op, params) in params {
        node.call(op, params).await.unwrap();
    }
    let token = json!({"userid": "bob@pve", "tokenid": "test", "privsep": 0});
    let token = node.call("token_create", token).await.unwrap().data;
    let secret = token["value"].as_str().unwrap().to_owned();
    (
        "Authorization",
        format!("PVEAPIToken=bob@pve!test={secret}"),
    )
}

#[test]
fn a_guest_whose_qemu_died_is_an_alert_until_it_runs_again() {
    if left_out("alerts") {
        return;
    }
    let Some(disk) = tiny_disk() else { return };
    with_bridge(async {
        let node = TestNode::with_tiny(&disk).await;
        let auditor = auditor_of_100(&node).await;
        let about = json!({"node": "pve1", "vmid": 100});
        let id = "guest-died/100";
        // A guest that is stopped by a task has not died.
        assert_eq!(node.task("qemu_start", about.clone()).await, "OK");
        assert_eq!(node.task("qemu_stop", about.clone()).await, "OK");
        assert_eq!(node.task("qemu_start", about.clone()).await, "OK");
        // A task that fails is an alert too, until one of its kind succeeds.
        assert_ne!(node.task("qemu_start", about.clone()).await, "OK");
        let failed = "task-failed/pve1/qmstart/100";
        until("the failed task is an alert", async || {
            alert(&node, failed).await.is_some()
        })
        .await;
        assert_eq!(alert(&node, id).await, None);
        let mut pid = 0;
        // The reaper looks for new guests each second: then it hears their events.
        until("its events are heard", async || {
            let status = node.call("qemu_status", about.clone()).await.unwrap().data;
            pid = status["pid"].as_u64().unwrap_or(0);
            pid != 0 && status["uptime"].as_u64().unwrap_or(0) >= 3
        })
        .await;
        kill(u32::try_from(pid).unwrap());
        until("the death is an alert", async || {
            alert(&node, id).await.is_some()
        })
        .await;
        let died = alert(&node, id).await.unwrap();
        assert_eq!(
            (&died["severity"], &died["object"]),
            (&json!("error"), &json!("qemu/100"))
        );
        until("the API has it", async || {
            let path = "/api2/json/ostler/alerts";
            let seen = request(node.port, "GET", path, std::slice::from_ref(&auditor), None).await;
            let seen = seen.json()["data"].as_array().cloned().unwrap_or_default();
            !seen.is_empty() && seen.iter().all(|alert| alert["object"] == "qemu/100")
        })
        .await;
        assert_eq!(node.task("qemu_start", about).await, "OK");
        until("both are over", async || {
            alert(&node, id).await.is_none() && alert(&node, failed).await.is_none()
        })
        .await;
        let log = node
            .call("cluster_log", json!({}))
            .await
            .unwrap()
            .data
            .to_string();
        assert!(log.contains("alert 'guest-died/100' is over"), "{log}");
    });
}

/// A small file system, until this is dropped.
pub(crate) struct Mounted(PathBuf);

impl Mounted {
    pub(crate) fn new(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=1m", "tmpfs"];
        let mounted = Command::new("mount")
            .args(mount)
            .arg(folder)
            .status()
            .unwrap();
        assert!(mounted.success());
        Self(folder.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .args(["-l".as_ref(), self.0.as_os_str()])
            .status();
    }
}

/// A storage of a node on a small file system that is nearly full.
async fn full_storage(node: &TestNode) -> (Mounted, PathBuf) {
    let folder = node.root.join("small");
    let mounted = Mounted::new(&folder);
    let filler = folder.join("filler");
    std::fs::write(&filler, vec![1; 900 << 10]).unwrap();
    let storage = json!({"storage": "small", "type": "dir", "content": "iso",
        "path": folder.display().to_string()});
    node.call("storage_create", storage).await.unwrap();
    (mounted, filler)
}

// covers: S1.41
#[test]
fn a_full_storage_is_an_alert_until_there_is_room() {
    if left_out("alerts") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |_| {}).await;
        let (mounted, filler) = full_storage(&node).await;
        let id = "storage-full/pve1/small";
        until("it is an alert", async || alert(&node, id).await.is_some()).await;
        let full = alert(&node, id).await.unwrap();
        assert_eq!(full["object"], "storage/pve1/small");
        let text = full["text"].as_str().unwrap();
        assert!(
            text.starts_with("storage 'small' on node 'pve1' is 8"),
            "{text}"
        );
        std::fs::remove_file(filler).unwrap();
        until("it is over", async || alert(&node, id).await.is_none()).await;
        drop(mounted);
    });
}

#[test]
fn an_acknowledgement_outlives_the_agent_and_not_its_alert() {
    if left_out("alerts") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |_| {}).await;
        let (mounted, filler) = full_storage(&node).await;
        let commands = Commands::new(&node.root);
        let id = "storage-full/pve1/small";
        until("it is an alert", async || alert(&node, id).await.is_some()).await;
        // To know of one is to be told of the others.
        assert_eq!(commands.run("ostler alerts").0, 5);
        commands.ok(&format!("ostler alerts acknowledge {id} -c ordered"));
        let (code, list, _) = commands.run("ostler alerts");
        assert_eq!(code, 0, "{list}");
        assert!(list.contains("root@pam: ordered"), "{list}");
        let known = alert(&node, id).await.unwrap();
        assert_eq!(known["acknowledged"]["by"], "root@pam");

        node.kill_role("node").await;
        until("it is open again", async || {
            alert(&node, id).await.is_some()
        })
        .await;
        let again = alert(&node, id).await.unwrap();
        assert_eq!(again["acknowledged"], known["acknowledged"]);
        assert_eq!(again["since"], known["since"]);

        commands.ok(&format!("ostler alerts unacknowledge {id}"));
        commands.ok(&format!("ostler alerts acknowledge {id}"));
        std::fs::remove_file(&filler).unwrap();
        until("it is over", async || alert(&node, id).await.is_none()).await;
        std::fs::write(&filler, vec![1; 900 << 10]).unwrap();
        until("it opens anew", async || alert(&node, id).await.is_some()).await;
        assert_eq!(alert(&node, id).await.unwrap().get("acknowledged"), None);
        drop(mounted);
    });
}
