//! prometheus-pve-exporter with all its collectors, which are on by default.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::json;

use super::{ADMIN, Beside, PASSWORD, done, node_with_admin};
use crate::harness::namespace::with_bridge;
use crate::harness::python::python_with;
use crate::harness::{about, left_out, until};

const PACKAGES: [&str; 1] = ["prometheus-pve-exporter==3.10.2"];
const PORT: u16 = 19221;

fn python() -> Option<PathBuf> {
    python_with(&PACKAGES, "pve_exporter")
}

#[test]
fn every_collector_finds_what_it_looks_for() {
    if left_out("prometheus-pve-exporter") {
        return;
    }
    let Some(python) = python() else { return };
    with_bridge(async {
        let node = node_with_admin().await;
        let guest = json!({"name": "seen", "memory": "64", "onboot": 1, "tags": "a;b"});
        assert_eq!(node.task("qemu_create", about(100, guest)).await, "OK");
        let settings = node.root.join("exporter.yml");
        let text = json!({"default": {"user": ADMIN, "password": PASSWORD, "verify_ssl": false}});
        std::fs::write(&settings, text.to_string()).unwrap();
        let mut exporter = Command::new(python.with_file_name("pve_exporter"));
        exporter
            .arg("--config.file")
            .arg(&settings)
            .args(["--web.listen-address", &format!("127.0.0.1:{PORT}")])
            .stderr(Stdio::null());
        let _exporter = Beside::start(&mut exporter);
        until("the exporter listens", async || {
            std::net::TcpStream::connect(("127.0.0.1", PORT)).is_ok()
        })
        .await;
        let target = format!(
            "http://127.0.0.1:{PORT}/pve?target=127.0.0.1:{}&cluster=1&node=1",
            node.port
        );
        let metrics = done(Command::new("curl").args(["-sS", "--fail-with-body", &target])).await;
        for wanted in [
            "pve_up{id=\"node/pve1\"} 1.0",
            "pve_version_info{",
            "pve_node_info{",
            "pve_guest_info{",
            "pve_onboot_status{id=\"qemu/100\",node=\"pve1\",type=\"qemu\"} 1.0",
            "pve_not_backed_up_total{id=\"cluster/pve1\"} 1.0",
            "pve_not_backed_up_info{id=\"qemu/100\"} 1.0",
            "pve_subscription_info{",
        ] {
            assert!(metrics.contains(wanted), "no {wanted} in\n{metrics}");
        }
    });
}
