//! From a request to a running guest, on a real node.

use std::time::Duration;

use crate::harness::namespace::with_bridge;
use crate::harness::{Serial, TestNode, kill, left_out, tiny_disk, until};
use serde_json::{Value, json};

fn guest(vmid: u32) -> Value {
    json!({"node": "pve1", "vmid": vmid})
}

async fn status(node: &TestNode) -> Value {
    node.call("qemu_status", guest(100)).await.unwrap().data
}

// covers: S4.1
#[test]
fn a_guest_starts_outlives_the_platform_and_leaves_nothing() {
    if left_out("qemu_start") {
        return;
    }
    let Some(disk) = tiny_disk() else { return };
    with_bridge(async {
        let node = TestNode::with_tiny(&disk).await;
        assert_eq!(status(&node).await["status"], "stopped");
        assert_eq!(node.task("qemu_start", guest(100)).await, "OK");
        let running = status(&node).await;
        assert_eq!(
            (&running["status"], &running["qmpstatus"]),
            (&json!("running"), &json!("running"))
        );
        let pid = u32::try_from(running["pid"].as_u64().unwrap()).unwrap();
        let identity = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let own = 1_879_048_192 + 100;
        assert!(
            identity.contains(&format!("Uid:\t{own}\t{own}\t{own}")),
            "{identity}"
        );

        let socket = node.root.join("run/ostler/guests/100/serial0.sock");
        let mut serial = Serial::connect(&socket);
        serial.expect("tiny: ready");
        serial.type_line("echo $((6*7))");
        serial.expect("42");

        // The platform dies; the guest does not notice, and the new processes show it.
        node.kill_role("node").await;
        node.kill_role("api").await;
        assert_eq!(status(&node).await["pid"], pid);
        serial.type_line("echo $((7*7))");
        serial.expect("49");
        assert_eq!(
            node.task("qemu_start", guest(100)).await,
            "VM 100 already running"
        );

        // It shuts itself down, and leaves nothing on the host.
        serial.type_line("poweroff -f");
        until("it is stopped", async || {
            status(&node).await["status"] == "stopped"
        })
        .await;
        let traces = node.root.join("run/ostler/guests");
        until("it is cleared up", async || {
            std::fs::read_dir(&traces).unwrap().count() == 0
        })
        .await;
        let scope = format!("/sys/fs/cgroup/freezer/{}/guest-100", node.scope_root());
        assert!(!std::path::Path::new(&scope).exists());
    });
}

#[test]
fn killed_while_it_starts_the_agent_finishes_or_takes_back() {
    if left_out("qemu_start killed") {
        return;
    }
    let Some(disk) = tiny_disk() else { return };
    with_bridge(async {
        let node = TestNode::with_tiny(&disk).await;
        for moment_ms in [0, 5, 20, 60, 120, 250, 500] {
            let upid = node.call("qemu_start", guest(100)).await.unwrap().data;
            tokio::time::sleep(Duration::from_millis(moment_ms)).await;
            node.kill_role("node").await;
            // A second death, during the recovery from the first.
            if moment_ms % 3 == 0 {
                node.kill_role("node").await;
            }
            let exit = node.ended(upid.as_str().unwrap()).await;
            let is_running = status(&node).await["status"] == "running";
            assert_eq!(
                exit == "OK",
                is_running,
                "killed after {moment_ms} ms: {exit}"
            );
            let scope = format!("/sys/fs/cgroup/freezer/{}/guest-100", node.scope_root());
            assert_eq!(
                std::path::Path::new(&scope).exists(),
                is_running,
                "{moment_ms} ms: {exit}"
            );
            if is_running {
                assert_eq!(node.task("qemu_stop", guest(100)).await, "OK");
            }
            assert!(!std::path::Path::new(&scope).exists());
        }
    });
}

#[test]
fn what_cannot_start_says_why_in_one_line() {
    if left_out("qemu_start refused") {
        return;
    }
    with_bridge(async {
        let node = TestNode::with_tiny(&tiny_disk().unwrap_or_else(|| "/dev/null".into())).await;
        let exit = node.task("qemu_start", guest(101)).await;
        assert!(exit.contains("'kvm: 0'"), "{exit}");
        let error = node.call("qemu_start", guest(102)).await.unwrap_err();
        assert_eq!(
            error.message,
            "Configuration file 'nodes/pve1/qemu-server/102.conf' does not exist"
        );
        let image = node.root.join("var/lib/vz/images/100/vm-100-disk-0.qcow2");
        std::fs::write(&image, "not an image").unwrap();
        let exit = node.task("qemu_start", guest(100)).await;
        assert!(exit.contains("it is no qcow2 image"), "{exit}");
        std::fs::remove_file(&image).unwrap();
        let exit = node.task("qemu_start", guest(100)).await;
        assert_eq!(
            exit,
            "volume 'local:100/vm-100-disk-0.qcow2' does not exist"
        );
        // The failures have left nothing behind, and the guest is not locked.
        assert_eq!(
            std::fs::read_dir(node.root.join("run/ostler/guests"))
                .unwrap()
                .count(),
            0
        );
        assert!(status(&node).await.get("lock").is_none());
        let agent = node.role("node");
        kill(agent[0]);
    });
}
