//! A guest's environment: TPM, NUMA nodes, hook scripts, the order of starts.

use std::os::unix::fs::PermissionsExt;

use crate::harness::namespace::with_bridge;
use crate::harness::{Serial, TestNode, left_out, put_guest, tiny_disk, until};
use serde_json::{Value, json};

fn guest() -> Value {
    json!({"node": "pve1", "vmid": 100})
}

async fn status(node: &TestNode, vmid: u32) -> Value {
    let params = json!({"node": "pve1", "vmid": vmid});
    node.call("qemu_status", params).await.unwrap().data
}

async fn monitor(node: &TestNode, command: &str) -> String {
    let params = json!({"node": "pve1", "vmid": 100, "command": command});
    let answer = node.call("qemu_monitor", params).await.unwrap();
    answer.data.as_str().unwrap().to_owned()
}

async fn change(node: &TestNode, option: &str, value: &str) -> Result<(), model::Error> {
    let params = json!({"node": "pve1", "vmid": 100, option: value});
    node.call("qemu_configure", params).await.map(drop)
}

/// A guest that shuts itself down is noticed at once and leaves nothing behind, including its
/// helpers.
async fn ends_from_inside(node: &TestNode) {
    let socket = node.root.join("run/ostler/guests/100/serial0.sock");
    let mut serial = Serial::connect(&socket);
    serial.expect("tiny: ready");
    serial.type_line("poweroff -f");
    until("it is cleared up", async || {
        let guests = node.root.join("run/ostler/guests");
        std::fs::read_dir(guests).unwrap().count() == 0
    })
    .await;
    let log = node.log();
    assert!(
        log.contains("the guest shuts down") && log.contains("guest-shutdown"),
        "{log}"
    );
}

/// TPM, NUMA nodes, a watchdog and arguments of its own, in one guest.
// covers: S4.12
#[test]
fn a_guest_has_what_its_options_name() {
    if left_out("guest_devices") {
        return;
    }
    let Some(disk) = tiny_disk() else { return };
    with_bridge(async {
        let node = TestNode::with_tiny(&disk).await;
        let options = json!({
            "node": "pve1", "vmid": 100, "cores": 2, "numa": 1, "numa0": "cpus=0,memory=96",
            "numa1": "cpus=1,memory=32,hostnodes=0,policy=bind",
            "watchdog": "i6300esb,action=poweroff",
            "args": "-device 'virtio-rng-pci,id=by-hand,addr=0x10'",
            "tpmstate0": "local:1,version=v2.0",
        });
        node.call("qemu_configure", options).await.unwrap();
        let config = node.call("qemu_config", guest()).await.unwrap().data;
        let state = "local:100/vm-100-disk-1.raw,size=4M,version=v2.0";
        assert_eq!(config["tpmstate0"], state);
        let uneven = change(&node, "numa1", "cpus=1,memory=64").await;
        assert_eq!(
            uneven.unwrap_err().fields["numa0"],
            "total memory for NUMA nodes must be equal to vm static memory"
        );

        assert_eq!(node.task("qemu_start", guest()).await, "OK");
        let tpm = monitor(&node, "info tpm").await;
        assert!(
            tpm.contains("model=tpm-tis") && tpm.contains("type=emulator"),
            "{tpm}"
        );
        let numa = monitor(&node, "info numa").await;
        assert!(
            numa.contains("node 0 size: 96 MB") && numa.contains("node 1 size: 32 MB"),
            "{numa}"
        );
        let devices = monitor(&node, "info qtree").await;
        assert!(
            devices.contains("i6300esb") && devices.contains("by-hand"),
            "{devices}"
        );
        let pid = status(&node, 100).await["pid"].as_u64().unwrap();
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        assert!(line.starts_with("qemu-system-x86_64\0") && line.contains("watchdog=poweroff"));

        // The TPM emulator ends with its guest, and its state stays: keys are not created again.
        assert_eq!(node.task("qemu_stop", guest()).await, "OK");
        assert_eq!(status(&node, 100).await["status"], "stopped");
        let image = node.root.join("var/lib/vz/images/100/vm-100-disk-1.raw");
        assert!(std::fs::read(&image).unwrap().iter().any(|byte| *byte != 0));
        assert_eq!(node.task("qemu_start", guest()).await, "OK");
        ends_from_inside(&node).await;
    });
}

#[test]
fn a_script_is_called_around_start_and_stop() {
    if left_out("guest_devices: hookscript") {
        return;
    }
    let Some(disk) = tiny_disk() else { return };
    with_bridge(async {
        let node = TestNode::with_tiny(&disk).await;
        let seen = node.root.join("seen");
        let script = node.root.join("var/lib/vz/snippets/hook.sh");
        let text = format!(
            "#!/bin/sh\necho \"called with $1 $2\"\necho \"$1 $2\" >> {}\n\
         [ \"$2\" != pre-start ] || [ ! -e {}/refuse ]\n",
            seen.display(),
            node.root.display()
        );
        std::fs::create_dir_all(script.parent().unwrap()).unwrap();
        std::fs::write(&script, text).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let missing = change(&node, "hookscript", "local:snippets/none.sh").await;
        assert_eq!(
            missing.unwrap_err().message,
            "hookscript 'local:snippets/none.sh' does not exist"
        );
        change(&node, "hookscript", "local:snippets/hook.sh")
            .await
            .unwrap();

        let upid = node.call("qemu_start", guest()).await.unwrap().data;
        assert_eq!(node.ended(upid.as_str().unwrap()).await, "OK");
        let params = json!({"node": "pve1", "upid": upid});
        let log = node.call("task_log", params).await.unwrap().data;
        assert!(
            log.to_string().contains("called with 100 pre-start"),
            "{log}"
        );
        assert_eq!(node.task("qemu_stop", guest()).await, "OK");
        let phases = std::fs::read_to_string(&seen).unwrap();
        assert_eq!(
            phases,
            "100 pre-start\n100 post-start\n100 pre-stop\n100 post-stop\n"
        );

        // A shutdown from inside: only the end is noticed.
        std::fs::remove_file(&seen).unwrap();
        assert_eq!(node.task("qemu_start", guest()).await, "OK");
        ends_from_inside(&node).await;
        until("post-stop was called", async || {
            let phases = std::fs::read_to_string(&seen).unwrap_or_default();
            phases == "100 pre-start\n100 post-start\n100 post-stop\n"
        })
        .await;

        // A failing script prevents the guest's start.
        std::fs::write(node.root.join("refuse"), "").unwrap();
        let refused = node.task("qemu_start", guest()).await;
        assert!(
            refused.starts_with("hookscript error for 100 on pre-start"),
            "{refused}"
        );
        assert_eq!(status(&node, 100).await["status"], "stopped");
    });
}

/// Only root may set options that affect the host, whatever rights others have.
#[test]
fn args_and_scripts_are_refused_to_others() {
    if left_out("guest_devices: root only") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |store| {
            put_guest(store, 100, &[("memory", "64".into())]).await;
        })
        .await;
        let user = json!({"userid": "a@pve", "password": "secret-9"});
        node.call("user_create", user).await.unwrap();
        let right = json!({"path": "/", "users": "a@pve", "roles": "Administrator"});
        node.call("acl_update", right).await.unwrap();
        let login = json!({"username": "a@pve", "password": "secret-9"});
        let ticket = node.call("ticket_create", login).await.unwrap().data;
        let credential = proto::Credential::Ticket {
            ticket: ticket["ticket"].as_str().unwrap().to_owned(),
            csrf: ticket["CSRFPreventionToken"].as_str().map(str::to_owned),
        };
        for (option, value) in [("args", "-S"), ("hookscript", "local:snippets/a.sh")] {
            let Value::Object(params) = json!({"node": "pve1", "vmid": 100, option: value}) else {
                panic!("an object")
            };
            let request = proto::wire::Request {
                op: "qemu_configure".into(),
                params,
                credential: credential.clone(),
                id: option.to_owned(),
                address: None,
            };
            let refused = node.client.request(request).await.unwrap_err();
            assert_eq!(
                refused.message,
                format!("only root can set '{option}' config")
            );
        }
        let refused = change(&node, "args", "-device 'x").await.unwrap_err();
        assert_eq!(refused.fields["args"], "a quotation does not end");
    });
}

/// The log of a task without its last line, and its result.
async fn log_of(node: &TestNode, op: &str, params: Value) -> (Vec<String>, String) {
    let upid = node.call(op, params).await.unwrap().data;
    let status = node.ended(upid.as_str().unwrap()).await;
    let params = json!({"node": "pve1", "upid": upid, "limit": 100});
    let rows = node.call("task_log", params).await.unwrap().data;
    let lines = rows.as_array().unwrap().iter();
    let mut lines: Vec<String> = lines
        .map(|row| row["t"].as_str().unwrap().to_owned())
        .collect();
    lines.pop();
    (lines, status)
}

/// Three guests, of which the last one does not start: nothing has its disk.
async fn node_with_three() -> TestNode {
    TestNode::start(async |store| {
        for (vmid, startup) in [(100, "order=2"), (101, "order=1"), (102, "order=2")] {
            let mut options: Vec<(&str, Value)> = vec![
                ("memory", "32".into()),
                ("kvm", 0.into()),
                ("vga", "none".into()),
                ("startup", startup.into()),
            ];
            if vmid == 102 {
                options.push(("scsi0", "local:102/vm-102-disk-0.raw,size=1M".into()));
            }
            put_guest(store, vmid, &options).await;
        }
    })
    .await
}

fn ended(lines: &[&str], status: &str) -> (Vec<String>, String) {
    let lines = lines.iter().map(|line| (*line).to_owned());
    (lines.collect(), status.to_owned())
}

#[test]
fn one_task_starts_and_suspends_many_guests() {
    if left_out("guest_devices: bulk start") {
        return;
    }
    with_bridge(async {
        let node = node_with_three().await;
        let none = log_of(&node, "bulk_start", json!({"vms": [999]})).await;
        assert_eq!(none, ended(&["Starting guests: 999"], "OK"));

        let (log, status) = log_of(&node, "bulk_start", json!({"max-workers": 1})).await;
        let begin = ["Starting all guests", "Starting VM 101", "Starting VM 100"];
        assert_eq!(log[..3], begin);
        let failure = "WARN: Starting VM 102 failed: ";
        assert!(log[4].starts_with(failure), "{log:?}");
        assert_eq!(status, "Some guests failed to start: 102");

        // One worker: the order of the log's lines is then theirs.
        let some = json!({"vms": [102, 100], "max-workers": 1});
        let lines = [
            "Suspending guests: 102, 100",
            "Suspending VM 100",
            "WARN: Skipping VM 102, not running.",
        ];
        let suspended = log_of(&node, "bulk_suspend", some).await;
        assert_eq!(suspended, ended(&lines, "WARNINGS: 1"));
        assert_eq!(status_of(&node, 100).await, "paused");

        let lines = [
            "Starting guests: 100, 101",
            "WARN: Skipping VM 101, already running.",
            "Resuming VM 100",
        ];
        let resumed = log_of(&node, "bulk_start", json!({"vms": [100, 101]})).await;
        assert_eq!(resumed, ended(&lines, "WARNINGS: 1"));
        assert_eq!(status_of(&node, 100).await, "running");
    });
}

#[test]
fn one_task_shuts_down_many_guests() {
    if left_out("guest_devices: bulk shutdown") {
        return;
    }
    with_bridge(async {
        let node = node_with_three().await;
        let refused = node.call("bulk_shutdown", json!({"vms": ["abc"]})).await;
        let reason = "type check ('integer') failed - got 'abc'";
        assert_eq!(refused.unwrap_err().fields["vms[0]"], reason);
        let (_, started) = log_of(&node, "bulk_start", json!({"vms": [100, 101]})).await;
        assert_eq!(started, "OK");
        // Nothing in them reacts to the button.
        let stay = json!({"vms": [100], "timeout": 1, "force-stop": false});
        let (log, status) = log_of(&node, "bulk_shutdown", stay).await;
        let failure = "WARN: Shutting down VM 100 failed: ";
        assert!(log[2].starts_with(failure), "{log:?}");
        assert_eq!(status, "Some guests failed to shutdown 100");

        let lines = [
            "Shutting down all guests",
            "Stopping VM 100 (timeout = 1 seconds)",
            "WARN: Skipping VM 102, not running.",
            "Stopping VM 101 (timeout = 1 seconds)",
        ];
        let all = json!({"timeout": 1, "maxworkers": 1});
        let shut_down = log_of(&node, "bulk_shutdown", all).await;
        assert_eq!(shut_down, ended(&lines, "WARNINGS: 1"));
    });
}

/// The state that QEMU reports.
async fn status_of(node: &TestNode, vmid: u32) -> Value {
    status(node, vmid).await["qmpstatus"].clone()
}

/// The actions of a task on all guests, in order.
async fn told(node: &TestNode, upid: &Value) -> Vec<String> {
    let params = json!({"node": "pve1", "upid": upid, "limit": 100});
    let rows = node.call("task_log", params).await.unwrap().data;
    let lines = rows.as_array().unwrap().iter().filter_map(|row| {
        let line = row["t"].as_str()?;
        (line.starts_with("Starting") || line.starts_with("Stopping")).then(|| line.to_owned())
    });
    lines.collect()
}

#[test]
fn all_guests_start_and_stop_in_their_order() {
    if left_out("guest_devices: startall") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |store| {
            let startups = [(100, "order=3"), (101, "order=1,down=1"), (102, "order=2")];
            for (vmid, startup) in startups {
                let options: [(&str, Value); 5] = [
                    ("memory", "32".into()),
                    ("kvm", 0.into()),
                    ("vga", "none".into()),
                    ("startup", startup.into()),
                    ("serial0", "socket".into()),
                ];
                put_guest(store, vmid, &options).await;
            }
        })
        .await;
        let all = async |op: &str, params: Value| {
            let upid = node.call(op, params).await.unwrap().data;
            assert_eq!(node.ended(upid.as_str().unwrap()).await, "OK");
            told(&node, &upid).await
        };
        // None of them starts at boot, so only `force` starts them.
        assert!(
            all("node_startall", json!({"node": "pve1"}))
                .await
                .is_empty()
        );
        let started = all("node_startall", json!({"node": "pve1", "force": true})).await;
        let wanted = ["Starting VM 101", "Starting VM 102", "Starting VM 100"];
        assert_eq!(started, wanted);
        for vmid in 100..103 {
            assert_eq!(status(&node, vmid).await["status"], "running");
        }
        // Nothing in them reacts to the button, so they are stopped after the timeout.
        let some = json!({"node": "pve1", "timeout": 2, "vms": "100,101"});
        let wanted = [
            "Stopping VM 100 (timeout = 2 seconds)",
            "Stopping VM 101 (timeout = 1 seconds)",
        ];
        assert_eq!(all("node_stopall", some).await, wanted);
        let mut states = Vec::new();
        for vmid in 100..103 {
            states.push(status(&node, vmid).await["status"].clone());
        }
        assert_eq!(states, ["stopped", "stopped", "running"]);
    });
}
