//! Requests to a guest while its QEMU runs a block job of minutes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::namespace::with_bridge;
use crate::harness::{about, left_out, until};
use crate::qemu_console::Scene;

/// Far longer than an answer takes, far shorter than the job.
const AT_ONCE: Duration = Duration::from_secs(10);

/// Gives an image 100 MiB more, and data in them.
fn fill(image: &std::path::Path) {
    for command in [
        &["qemu-img", "resize", "-q"][..],
        &["qemu-io", "-f", "qcow2", "-c", "write -q -P 7 20M 96M"],
    ] {
        let mut program = std::process::Command::new(command[0]);
        program.args(&command[1..]).arg(image);
        if command[0] == "qemu-img" {
            program.arg("+100M");
        }
        assert!(program.status().unwrap().success(), "{command:?}");
    }
}

/// One connection to QEMU serves the job and everything else.
#[test]
fn a_guest_answers_while_its_disk_is_copied_for_minutes() {
    if left_out("a job of minutes") {
        return;
    }
    with_bridge(async {
        let Some(scene) = Scene::new().await else {
            return;
        };
        fill(
            &scene
                .node
                .root
                .join("var/lib/vz/images/100/vm-100-disk-0.qcow2"),
        );
        scene.start().await;
        let node = &scene.node;
        let call = async |op: &str, more: Value| node.call(op, about(100, more)).await;
        // QEMU begins with 16 MiB at once, whatever the limit is; then 32 KiB/s hold.
        let copy = json!({"disk": "virtio0", "format": "raw", "delete": 1, "bwlimit": 32});
        let upid = call("qemu_move_disk", copy).await.unwrap().data;
        let jobs = json!({"command": "info block-jobs"});
        until("the copy is under way", async || {
            let said = call("qemu_monitor", jobs.clone()).await.unwrap().data;
            said.as_str().unwrap().contains("mirror")
        })
        .await;
        let mut slowest = Duration::ZERO;
        for _ in 0..10 {
            let begun = Instant::now();
            let status = call("qemu_status", json!({})).await.unwrap().data;
            assert_eq!(status["qmpstatus"], "running");
            call("qemu_monitor", json!({"command": "info status"}))
                .await
                .unwrap();
            let key = json!({"key": "ret"});
            call("qemu_sendkey", key).await.unwrap();
            slowest = slowest.max(begun.elapsed());
        }
        let begun = Instant::now();
        let console = scene.console(&scene.root, "termproxy").await;
        let mut terminal = scene.open(&scene.root, &console).await.unwrap();
        terminal.greet(&console).await;
        terminal.expect("tiny: ready").await;
        terminal.type_line("echo $((6*7))").await;
        terminal.expect("42").await;
        println!(
            "status, monitor and a key: {slowest:?} at most; a console: {:?}",
            begun.elapsed()
        );
        assert!(slowest < AT_ONCE, "{slowest:?}");
        let said = call("qemu_monitor", jobs).await.unwrap().data;
        assert!(
            said.as_str().unwrap().contains("mirror"),
            "it is over: {said}"
        );
        let stop = json!({"node": "pve1", "upid": upid});
        node.call("task_stop", stop).await.unwrap();
        assert_ne!(node.ended(upid.as_str().unwrap()).await, "OK");
        let status = call("qemu_status", json!({})).await.unwrap().data;
        assert_eq!(status["qmpstatus"], "running");
    });
}
