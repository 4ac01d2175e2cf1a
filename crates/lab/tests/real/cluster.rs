//! A cluster of three nodes with the package installed, through losses, removals and a total loss.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use lab::{Lab, Moment, Node};
use serde_json::Value;

use crate::product::{are_up, boot_sector, get, install};

/// Until a node that was lost is counted as lost, or one that came back votes again.
pub(crate) const SOON: Duration = Duration::from_secs(120);

/// What must outlive a node's reset, on its disk.
const KEPT: [&str; 3] = ["/var/lib/ostler", "/var/lib/vz", "/etc/ostler"];

/// Starts nodes with the package, each with its state on a disk.
pub(crate) fn installed_cluster(count: u8) -> Lab {
    let lab = Lab::start(count).unwrap();
    thread::scope(|scope| {
        for node in lab.nodes() {
            let disk = lab.disk(&format!("state{}", node.number()), 4 << 30);
            let disk = disk.unwrap();
            scope.spawn(move || {
                let device = node.attach(&disk).unwrap();
                node.check(&format!("mkfs.ext4 -q {device}")).unwrap();
                set_up(node);
            });
        }
    });
    lab
}

/// Mounts the disk and installs the package, which a reset removes.
fn set_up(node: &Node) {
    let package = std::env::var_os("OSTLER_LAB_DEB").expect("./x lab test names the package");
    let package = PathBuf::from(package);
    let disk = format!("/dev/disk/by-id/virtio-state{}", node.number());
    node.wait_until(SOON, &format!("[ -b {disk} ]")).unwrap();
    node.check(&format!(
        "set -e; mkdir -p /disk; mount {disk} /disk
         for kept in {}; do mkdir -p /disk$kept $kept; mount --bind /disk$kept $kept; done
         echo 'kvm = true' >/etc/ostler/ostler.toml",
        KEPT.join(" ")
    ))
    .unwrap();
    node.deliver(&[&package], "/opt").unwrap();
    install(
        node,
        &format!("/opt/{}", package.file_name().unwrap().to_string_lossy()),
    );
}

/// Power is back.
pub(crate) fn start_again(node: &Node) {
    node.start().unwrap();
    node.wait_for_boot(None).unwrap();
    set_up(node);
}

/// Lets the nodes form a cluster of the first one's making, in which as many vote as should.
pub(crate) fn form(lab: &Lab) {
    let [first, others @ ..] = lab.nodes() else {
        panic!("a lab without nodes")
    };
    run(first, "ostler cluster create lab");
    for node in others {
        join(first, node, "");
    }
    votes(first, if others.len() < 2 { 1 } else { 3 });
}

fn join(member: &Node, node: &Node, options: &str) {
    let invited = run(
        member,
        "pvesh create /ostler/cluster/invitations --output-format json",
    );
    let invited: Value = serde_json::from_str(&invited).unwrap();
    let information = invited["information"].as_str().unwrap();
    run(node, &format!("ostler cluster join {information}{options}"));
    are_up(node);
}

pub(crate) fn run(node: &Node, command: &str) -> String {
    // What a command that hangs has printed so far is in the error.
    let bounded = format!(
        "timeout 100 sh -c '{}' 2>&1",
        command.replace('\'', "'\\''")
    );
    node.check_within(SOON, &bounded).unwrap()
}

/// What a command that must fail prints.
pub(crate) fn refusal(node: &Node, command: &str) -> String {
    let output = node.run_within(SOON, &format!("{command} 2>&1")).unwrap();
    assert!(!output.success(), "{command}: {}", output.text());
    output.text()
}

/// Waits until a line of `pvecm status` at a node has this value.
fn status_is(node: &Node, name: &str, value: impl std::fmt::Display) {
    let line = format!("^{name}: *{value}$");
    node.wait_until(
        SOON,
        &format!("pvecm status 2>/dev/null | grep -q '{line}'"),
    )
    .unwrap_or_else(|error| panic!("{error}: {}", run(node, "pvecm status; true")));
}

/// Waits until so many vote and are there.
fn votes(node: &Node, count: u32) {
    status_is(node, "Expected votes", count);
    status_is(node, "Total votes", count);
}

/// Creates a guest that boots from a disk of `local` and starts it. It writes to its serial port.
pub(crate) fn start_guest(node: &Node, vmid: u32, more: &str) {
    let name = node.name();
    run(
        node,
        &format!(
            "qm create {vmid} --memory 64 --cpu host --virtio0 local:1,format=raw \
             --serial0 socket --boot order=virtio0 {more}"
        ),
    );
    node.put("/root/sector", &boot_sector(), 0o644).unwrap();
    let image = format!("/var/lib/vz/images/{vmid}/vm-{vmid}-disk-0.raw");
    run(node, &format!("dd if=/root/sector of={image} conv=notrunc"));
    run(node, &format!("qm start {vmid}"));
    assert_eq!(
        get(node, &format!("/nodes/{name}/qemu/{vmid}/status/current"))["status"],
        "running"
    );
}

/// The guest goes on writing, so it runs.
pub(crate) fn writes(node: &Node, vmid: u32) {
    let socket = format!("/run/ostler/guests/{vmid}/serial0.sock");
    let heard = format!("timeout 30 socat -u UNIX:{socket} STDOUT | head -c 3");
    assert_eq!(node.check(&heard).unwrap(), "kkk");
}

/// Waits until `/cluster/resources` of a node shows an object in a state.
fn is_seen(node: &Node, id: &str, status: &str) {
    let shows = format!(
        "pvesh get /cluster/resources --output-format json | tr '{{' '\\n' | grep '\"id\":\"{id}\"' \
         | grep -q '\"status\":\"{status}\"'"
    );
    node.wait_until(SOON, &shows).unwrap();
}

pub(crate) struct Steps(pub(crate) Moment);

impl Steps {
    pub(crate) fn done(&mut self, what: &str) {
        println!("{what}: {:.1?}", self.0.elapsed());
        self.0 = Moment::now();
    }
}

/// covers: S1.1 S2.7 S2.79 S3.7 S3.10 S3.74 S3.83
#[test]
#[ignore = "needs the lab: ./x lab test"]
fn three_nodes_go_through_losses_removals_and_a_total_loss() {
    let mut steps = Steps(Moment::now());
    let lab = installed_cluster(3);
    let [n1, _, n3] = lab.nodes() else {
        panic!("three nodes")
    };
    steps.done("three nodes with the package");
    form(&lab);
    start_guest(n1, 101, "");
    start_guest(n3, 103, "--onboot 1");
    for node in lab.nodes() {
        votes(node, 3);
        status_is(node, "Quorum", "2 *");
        status_is(node, "Quorate", "Yes");
        let nodes = run(node, "pvecm nodes");
        assert!(["n1", "n2", "n3"].iter().all(|name| nodes.contains(name)));
        is_seen(node, "qemu/103", "running");
    }
    steps.done("they are a cluster with two guests");
    losses(&lab);
    steps.done("one was lost, then another one, which came back");
    removal_and_return(&lab);
    steps.done("the first one was removed, was refused, and is a member again");
    total_loss(&lab);
    steps.done("all state was lost, and is restored");
}

fn losses(lab: &Lab) {
    let (n1, n2, n3) = (lab.node(1), lab.node(2), lab.node(3));
    n3.kill().unwrap();
    is_seen(n1, "node/n3", "offline");
    is_seen(n2, "qemu/103", "unknown");
    status_is(n2, "Quorate", "Yes");
    run(n2, "pvesh set /cluster/options --description two-of-three");
    n2.kill().unwrap();
    status_is(n1, "Quorate", "No");
    let refused = refusal(n1, "pvesh set /cluster/options --description alone");
    assert!(
        refused.contains("no quorum") && refused.contains("n2, n3"),
        "{refused}"
    );
    writes(n1, 101);
    start_again(n2);
    status_is(n1, "Quorate", "Yes");
}

/// The third node is off.
fn removal_and_return(lab: &Lab) {
    let (n1, n2, n3) = (lab.node(1), lab.node(2), lab.node(3));
    run(n1, "pvecm delnode n3");
    votes(n2, 1);
    start_again(n3);
    // It is refused, and starts nothing, though its guest starts at boot.
    n3.wait_until(
        SOON,
        "journalctl -u ostler-node | grep -q 'waiting for quorum'",
    )
    .unwrap();
    status_is(n3, "Quorate", "No");
    refusal(n3, "pvesh set /cluster/options --description removed");
    assert!(!n3.run("pgrep qemu-system").unwrap().success());
    assert!(!run(n1, "pvecm nodes").contains("n3"));

    run(n3, "ostler cluster leave --force --yes");
    are_up(n3);
    join(n2, n3, "");
    votes(n1, 3);
    run(n3, "qm start 103");
    writes(n3, 103);
    writes(n1, 101);
}

/// All that Ostler has on all nodes is lost but for a saved state; guests run on.
fn total_loss(lab: &Lab) {
    let (n1, n3) = (lab.node(1), lab.node(3));
    run(n1, "pvesh set /cluster/options --description saved");
    let saved = run(n1, "ostler cluster save kept");
    run(
        n1,
        &format!("cp {} /root/kept.db", saved.lines().last().unwrap()),
    );
    for node in lab.nodes() {
        run(
            node,
            "systemctl stop ostler-api ostler-node; pkill etcd; \
             while pgrep -x etcd; do sleep 0.1; done; rm -rf /var/lib/ostler/*; \
             systemctl start ostler-node ostler-api",
        );
        are_up(node);
    }
    run(
        n1,
        "mkdir -p /var/lib/ostler/saved; cp /root/kept.db /var/lib/ostler/saved/",
    );
    run(
        n1,
        "ostler cluster restore kept --powered-off n2 --powered-off n3",
    );
    are_up(n1);
    let description = get(n1, "/cluster/options")["description"].clone();
    assert_eq!(description.as_str().unwrap().trim(), "saved");
    for node in &lab.nodes()[1..] {
        join(n1, node, " --force");
    }
    votes(n1, 3);
    for node in lab.nodes() {
        is_seen(node, "qemu/101", "running");
        is_seen(node, "qemu/103", "running");
    }
    writes(n1, 101);
    writes(n3, 103);
}
