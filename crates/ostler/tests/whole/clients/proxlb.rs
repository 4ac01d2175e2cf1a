//! ProxLB: one run over a node has nothing to move, and says so.

use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use super::{ADMIN, PASSWORD, done, node_with_admin};
use crate::harness::namespace::with_bridge;
use crate::harness::python::python_with;
use crate::harness::{about, left_out};

fn python() -> Option<PathBuf> {
    python_with(&["proxlb==2.3.0"], "proxlb")
}

#[test]
fn a_run_over_one_node_moves_nothing() {
    if left_out("ProxLB") {
        return;
    }
    let Some(python) = python() else { return };
    with_bridge(async {
        let node = node_with_admin().await;
        let guest = json!({"name": "seen", "memory": "64", "tags": "plb_affinity_web"});
        assert_eq!(node.task("qemu_create", about(100, guest)).await, "OK");
        let settings = node.root.join("proxlb.yaml");
        let text = json!({
            "proxmox_api": {
                "hosts": [format!("127.0.0.1:{}", node.port)],
                "user": ADMIN, "pass": PASSWORD, "ssl_verification": false, "timeout": 10,
            },
            "proxmox_cluster": {"overprovisioning": true},
            "balancing": {"enable": true, "method": "memory", "mode": "used", "balanciness": 5},
            "service": {"daemon": false, "log_level": "DEBUG"},
        });
        std::fs::write(&settings, text.to_string()).unwrap();
        let mut command = Command::new(&python);
        command.args(["-m", "proxlb", "--json", "--dry-run", "--config"]);
        done(command.arg(&settings)).await;
    });
}
