//! pvecontrol 0.6.1: the commands that work on a single Proxmox VE 9. `status` needs a cluster,
//! `sanitycheck` HA groups, which 9 no longer has; later releases need a cluster for everything.

use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use super::{ADMIN, PASSWORD, done, node_with_admin};
use crate::harness::namespace::with_bridge;
use crate::harness::python::python_with;
use crate::harness::{about, left_out};

fn python() -> Option<PathBuf> {
    python_with(&["pvecontrol==0.6.1"], "pvecontrol")
}

#[test]
fn lists_status_and_checks() {
    if left_out("pvecontrol") {
        return;
    }
    let Some(python) = python() else { return };
    with_bridge(async {
        let node = node_with_admin().await;
        let guest = json!({"name": "seen", "memory": "64", "tags": "a;b"});
        let task = node.call("qemu_create", about(100, guest)).await.unwrap();
        let upid = task.data.as_str().unwrap().to_owned();
        assert_eq!(node.ended(&upid).await, "OK");
        let cluster = json!({
            "name": "lone", "host": format!("127.0.0.1:{}", node.port),
            "user": ADMIN, "password": PASSWORD, "ssl_verify": false,
        });
        let text = json!({
            "clusters": [cluster],
            "node": {"cpufactor": 2.5, "memoryminimum": 8192},
            "vm": {"max_last_backup": 100},
        });
        std::fs::write(node.root.join("config.yaml"), text.to_string()).unwrap();
        let run = async |words: &[&str]| {
            let mut command = Command::new(python.with_file_name("pvecontrol"));
            command.env("PVECONTROLDIR", &node.root);
            done(command.args(["-c", "lone"]).args(words)).await
        };
        assert!(run(&["vm", "list"]).await.contains("seen"));
        assert!(run(&["node", "list"]).await.contains("pve1"));
        assert!(run(&["storage", "list"]).await.contains("local"));
        assert!(run(&["task", "list"]).await.contains("qmcreate"));
        assert!(run(&["task", "get", &upid]).await.contains("OK"));
    });
}
