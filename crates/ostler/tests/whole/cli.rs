//! The commands of Proxmox VE, with a real node.

use std::path::Path;
use std::process::Stdio;

use crate::harness::commands::{Commands, said};
use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, left_out, until};
use rustix::process::Signal;
use serde_json::Value;

#[test]
fn a_machine_lives_by_qm() {
    if left_out("cli qm") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |_| {}).await;
        let cli = Commands::new(&node.root);
        let out = cli.ok(
        "qm create 100 --name web --memory 64 --kvm 0 --serial0 socket --virtio0 local:1,format=qcow2",
    );
        assert!(!out.contains("UPID"), "{out}");
        let list = cli.ok("qm list");
        let row: Vec<&str> = list.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(row, ["100", "web", "stopped", "64", "1.00", "0"]);

        assert_eq!(
            cli.ok("qm set 100 --memory 96 --onboot"),
            "update VM 100: -memory 96 -onboot 1\n"
        );
        let config = cli.ok("qm config 100");
        for line in ["memory: 96", "onboot: 1", "name: web", "kvm: 0"] {
            assert!(
                config.lines().any(|shown| shown == line),
                "{line} in\n{config}"
            );
        }
        assert!(
            config.contains("\nvirtio0: local:100/vm-100-disk-0.qcow2,"),
            "{config}"
        );
        assert!(cli.ok("qm pending 100").contains("cur memory: 96\n"));

        let planned = cli.ok("qm showcmd 100");
        let image = node.root.join("var/lib/vz/images/100/vm-100-disk-0.qcow2");
        assert!(
            planned.starts_with("qemu-system-x86_64 ") && planned.contains(image.to_str().unwrap())
        );
        cli.ok("qm start 100");
        assert_eq!(cli.ok("qm status 100"), "status: running\n");
        assert!(cli.ok("qm showcmd 100 --pretty").contains(" \\\n  -S"));
        let (code, out, _) = cli.typed("qm monitor 100", "info version\nquit\n");
        assert!(code == 0 && out.lines().count() >= 2, "{out}");
        let (code, _, err) = cli.typed("qm terminal 100", "x\u{f}not for the guest");
        assert!(code == 0 && err.contains("press Ctrl+O"), "{err}");
        let (code, err) = cli.fails("qm start 100");
        assert_eq!((code, err.as_str()), (255, "VM 100 already running\n"));
        cli.ok("qm suspend 100");
        assert!(
            cli.ok("qm status 100 --verbose")
                .contains("\nqmpstatus: paused\n")
        );
        cli.ok("qm resume 100");
        shut_down_across_a_death(&node, &cli).await;
        cli.run("qm stop 100");
        cli.ok("qm wait 100 --timeout 20");
        assert_eq!(cli.ok("qm status 100"), "status: stopped\n");
        cli.ok("qm destroy 100");
        assert_eq!(cli.ok("qm list").lines().count(), 1);
        let (code, err) = cli.fails("qm config 100");
        assert_eq!(code, 255);
        assert_eq!(
            err,
            "Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist\n"
        );
    });
}

/// cloud-init options by qm.
#[test]
fn cloud_init_by_qm() {
    if left_out("cli qm cloudinit") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |_| {}).await;
        let cli = Commands::new(&node.root);
        cli.ok(
        "qm create 100 --name web --memory 64 --ide2 local:cloudinit --ciuser lab --ciupgrade 0 \
         --net0 virtio=BC:24:11:00:00:01 --ipconfig0 ip=10.0.0.2/24,gw=10.0.0.1 \
         --nameserver 10.0.0.53 --searchdomain lab.example",
    );
        let golden = |name: &str| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
            std::fs::read_to_string(folder.join(name)).unwrap()
        };
        let pending = || cli.ok("qm cloudinit pending 100");
        assert_eq!(pending(), golden("qm-cloudinit-new.txt"));
        assert_eq!(cli.ok("qm cloudinit update 100"), "");
        assert_eq!(
            cli.ok("qm set 100 --ciuser root --delete nameserver --cipassword x"),
            "update VM 100: -cipassword <hidden> -ciuser root -delete nameserver\n"
        );
        assert_eq!(pending(), golden("qm-cloudinit-changed.txt"));
        cli.ok("qm cloudinit update 100");
        assert!(pending().lines().all(|line| line.starts_with("cur ")));

        cli.ok("qm set 100 --ciuser lab --nameserver 10.0.0.53 --delete cipassword");
        for kind in ["user", "network", "meta"] {
            let shown = cli.ok(&format!("qm cloudinit dump 100 {kind}"));
            assert_eq!(shown, golden(&format!("qm-cloudinit-{kind}.txt")), "{kind}");
        }
        let (code, err) = cli.fails("qm cloudinit dump 100 all");
        assert_eq!(code, 255);
        assert!(
            err.contains("type: value 'all' does not have a value in the enumeration"),
            "{err}"
        );
    });
}

/// The agent dies during a wait, and the wait continues. The machine has nothing to boot and
/// ignores its power button.
async fn shut_down_across_a_death(node: &TestNode, cli: &Commands) {
    let mut waiting = cli.command("qm shutdown 100 --timeout 4 --forceStop");
    let waiting = waiting
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    node.kill_role("node").await;
    let (code, out, err) = said(waiting.wait_with_output().unwrap());
    let is_over = code == 0 || err == "interrupted by a restart\n";
    assert!(is_over, "{code} {out}{err}");
}

fn signal_api(node: &TestNode, signal: Signal) {
    let pid = i32::try_from(node.role("api")[0]).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
}

#[test]
fn every_operation_is_there_by_pvesh_with_the_api_down() {
    if left_out("cli pvesh") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |_| {}).await;
        let cli = Commands::new(&node.root);
        // Stopped, not killed: the supervisor would restart it.
        signal_api(&node, Signal::STOP);
        assert_eq!(cli.json("pvesh get /version")["version"], "9.2.11");
        assert!(cli.ok("pvesh get /version").contains("│ version │ 9.2.11"));
        let out = cli.ok("pvesh create /nodes/localhost/qemu --vmid 100 --memory 64 --kvm 0");
        assert!(
            out.trim_end()
                .lines()
                .last()
                .unwrap()
                .starts_with("UPID:pve1:"),
            "{out}"
        );
        let guests = cli.json("ostler pvesh get /nodes/pve1/qemu");
        assert_eq!(
            (guests.as_array().unwrap().len(), &guests[0]["status"]),
            (1, &"stopped".into())
        );
        assert_eq!(cli.ok("pvesh ls /nodes/pve1/qemu"), "Dr--d        100\n");
        assert!(cli.ok("pvesh ls /").contains("-r---        version\n"));

        let upid = cli.json("pvesh create /nodes/pve1/qemu/100/status/start");
        assert!(upid.as_str().unwrap().starts_with("UPID:"));
        assert_eq!(
            cli.ok("pvesh set /nodes/pve1/qemu/100/config --name later"),
            ""
        );
        cli.ok("pvesh create /nodes/pve1/qemu/100/status/stop --output-format yaml");
        cli.ok("pvesh delete /nodes/pve1/qemu/100 --quiet");

        let (code, err) = cli.fails("pvesh create /nodes/pve1/qemu --vmid 1 --nope x");
        assert_eq!(code, 255);
        assert!(
            err.starts_with("400 Parameter verification failed.\nnope: property is not"),
            "{err}"
        );
        let (_, err) = cli.fails("pvesh get /nope");
        assert_eq!(err, "501 No 'get' handler defined for '/nope'\n");
        signal_api(&node, Signal::CONT);
    });
}

#[test]
fn people_have_tables_hints_and_codes() {
    if left_out("cli ostler") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |_| {}).await;
        let cli = Commands::new(&node.root);
        cli.ok("ostler vm create 100 --name web --memory 64 --set kvm=0 --start");
        // Lists show the last observation, which follows a task's end by a moment.
        until("the list shows the machine", async || {
            let list = cli.ok("ostler vm list");
            let row = list.lines().nth(1).unwrap().split_whitespace().take(4);
            row.eq(["100", "web", "running", "1"])
        })
        .await;
        assert!(
            cli.ok("ostler vm show 100")
                .contains("\nstatus    running\n")
        );
        let shown: Value = serde_json::from_str(&cli.ok("ostler vm show 100 -o json")).unwrap();
        assert_eq!(shown["config"]["kvm"], 0);
        let (code, err) = cli.fails("ostler vm start 100");
        assert_eq!(code, 4);
        assert!(
            err.starts_with("error: VM 100 already running\nhint: "),
            "{err}"
        );
        let upid = cli.ok("ostler vm stop 100 --no-wait");
        cli.ok(&format!("ostler task wait {}", upid.trim()));
        let tasks = cli.ok("ostler task list");
        let kinds: Vec<&str> = tasks
            .lines()
            .skip(1)
            .filter_map(|line| line.split_whitespace().nth(4))
            .collect();
        assert_eq!(
            kinds,
            ["qmstop", "qmstart", "qmstart", "qmcreate"],
            "{tasks}"
        );
        cli.ok(&format!("ostler task log {}", upid.trim()));
        assert_eq!(cli.fails("ostler vm destroy 100").0, 2);
        cli.ok("ostler vm destroy 100 --yes");
        assert_eq!(cli.fails("ostler vm console 100").0, 1);
        assert_eq!(cli.fails("ostler vm start 7").0, 2);
    });
}

#[test]
fn without_an_agent_it_says_what_to_do() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("etc/ostler")).unwrap();
    let config = "node = \"pve1\"\napi-user = \"nobody\"\nguest-user = \"games\"\n";
    std::fs::write(root.path().join("etc/ostler/ostler.toml"), config).unwrap();
    let cli = Commands::new(root.path());
    let (code, err) = cli.fails("ostler vm list");
    assert_eq!(code, 3);
    assert!(
        err.contains("\nhint: is the agent running? 'ostler run'"),
        "{err}"
    );
    let (code, err) = cli.fails("qm list");
    assert!(
        code == 255 && err.starts_with("the node agent cannot be reached"),
        "{err}"
    );
    let (code, err) = cli.fails("qm mtunnel");
    assert_eq!(code, 255);
    assert_eq!(
        err,
        "501 'qm mtunnel' is not supported by this version of Ostler\n"
    );
    assert!(
        cli.ok("qm help")
            .contains("qm disk resize <vmid> <disk> <size> [OPTIONS]\n")
    );
    assert!(cli.ok("pveversion").starts_with("pve-manager/9.2.11/"));
    assert!(cli.ok("pveversion -v").contains("\nostler: "));
    let usage = cli.ok("pvesh usage /nodes/pve1/qemu/100/status/stop -v");
    assert!(
        usage.starts_with("USAGE: pvesh create /nodes/pve1/qemu/100/status/stop"),
        "{usage}"
    );
}

#[test]
fn a_closed_pipe_is_no_panic() {
    let root = tempfile::tempdir().unwrap();
    let cli = Commands::new(root.path());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = cli.command("ostler api-dump");
    command.stdout(writer).stderr(Stdio::piped());
    let (code, _, err) = said(command.spawn().unwrap().wait_with_output().unwrap());
    assert_eq!((code, err.as_str()), (141, ""));
}
