//! A server of NFS that is cut off for a while, under guests and a task that use it.

use std::time::Duration;

use lab::{Lab, Moment, Node, wait_for};
use serde_json::Value;

use crate::product::{Kvm, SOON, boot_sector, get, installed};
use crate::types::{executes, post, serve};

/// A call that is slower than this is held up by the server that is away.
const FAR_BEYOND: Duration = Duration::from_secs(3);

/// What a page of the web interface and a client of the API ask for, each beside the storage that is
/// away or with it in a list.
const CALLS: [&str; 11] = [
    "cluster/resources",
    "cluster/tasks",
    "nodes",
    "nodes/n1/status",
    "nodes/n1/storage",
    "nodes/n1/storage/local/status",
    "nodes/n1/storage/local/content",
    "nodes/n1/qemu",
    "nodes/n1/qemu/100/status/current",
    "nodes/n1/qemu/101/config",
    "storage",
];

/// How long the server is away: a minute, or `OSTLER_LAB_CUT` seconds.
fn away() -> Duration {
    let wanted = std::env::var("OSTLER_LAB_CUT").ok();
    Duration::from_secs(wanted.map_or(60, |seconds| seconds.parse().expect("seconds")))
}

/// How long calls take, by one client that keeps its connection.
struct Client<'a> {
    node: &'a Node,
}

impl<'a> Client<'a> {
    fn new(node: &'a Node) -> Self {
        let made = "pvesh create /access/users/root@pam/token/lab --privsep 0 --output-format json";
        let made: Value = serde_json::from_str(&node.check(made).unwrap()).unwrap();
        let secret = made["value"].as_str().unwrap();
        let mut calls = String::new();
        // The first one opens the connection.
        for path in ["version"].iter().chain([&CALLS; 12].into_iter().flatten()) {
            if !calls.is_empty() {
                calls.push_str("next\n");
            }
            calls.push_str(&format!(
                "url = https://127.0.0.1:8006/api2/json/{path}\ninsecure\nsilent\nfail\n\
                 header = \"Authorization: PVEAPIToken=root@pam!lab={secret}\"\n\
                 output = /dev/null\nwrite-out = \"%{{time_total}} %{{url_effective}}\\n\"\n"
            ));
        }
        node.put("/root/calls", calls.as_bytes(), 0o600).unwrap();
        Self { node }
    }

    /// The 99th percentile.
    fn measure(&self, when: &str) -> Duration {
        let printed = self
            .node
            .check_within(SOON * 3, "curl -K /root/calls")
            .unwrap();
        let mut took: Vec<(Duration, &str)> = printed
            .lines()
            .skip(1)
            .map(|line| {
                let (seconds, url) = line.split_once(' ').unwrap();
                let path = url.split("/api2/json/").nth(1).unwrap();
                (Duration::from_secs_f64(seconds.parse().unwrap()), path)
            })
            .collect();
        took.sort();
        let at = |share: f64| took[((took.len() - 1) as f64 * share).round() as usize];
        let (p99, worst) = (at(0.99), at(1.0));
        println!(
            "{when}: median {:?}, p99 {p99:?}, worst {worst:?}",
            at(0.5).0
        );
        p99.0
    }
}

/// Whether an alert says that the storage is silent.
fn is_alerted(node: &Node) -> bool {
    let alerts = get(node, "/ostler/alerts");
    let mut alerts = alerts.as_array().unwrap().iter();
    alerts.any(|alert| alert["id"] == "storage-silent/n1/nas")
}

fn is_active(node: &Node) -> bool {
    let status = get(node, "/nodes/n1/storage/nas/status");
    status["active"] == 1
}

/// Guests 100 and 101 on the server; 102, which is stopped, has a large disk here.
fn make_guests(node: &Node) {
    node.put("/root/sector.raw", &boot_sector(), 0o644).unwrap();
    node.check("truncate -s 4M /root/sector.raw").unwrap();
    for vmid in [100, 101] {
        let options = format!(
            "--vmid {vmid} --memory 64 --cpu host --serial0 socket --boot order=virtio0 \
             --virtio0 nas:0,import-from=/root/sector.raw,format=qcow2"
        );
        post(node, "/nodes/n1/qemu", &options);
        post(node, &format!("/nodes/n1/qemu/{vmid}/status/start"), "");
        executes(node, vmid);
    }
    node.check("yes written | head -c 64M >/var/lib/vz/large.raw")
        .unwrap();
    let large = "--vmid 102 --virtio0 local:0,import-from=/var/lib/vz/large.raw,format=raw";
    post(node, "/nodes/n1/qemu", large);
}

// covers: S4.20 S0.34 S0.35 S0.36
#[test]
#[ignore = "needs the lab: ./x lab test"]
fn a_server_that_is_cut_off_costs_only_what_is_on_it() {
    let lab = Lab::start(2).unwrap();
    let node = installed(&lab, Kvm::Given);
    let _served = serve(&lab, lab.node(2));
    node.check("pvesm add nfs nas --server 10.77.0.2 --export / --content images")
        .unwrap();
    make_guests(node);
    let client = Client::new(node);
    let before = client.measure("with the server");

    let copies = node
        .spawn("pvesh create /nodes/n1/qemu/102/clone --newid 103 --full 1 --storage nas")
        .unwrap();
    node.wait_until(SOON, "[ -n \"$(ls /mnt/pve/nas/images/103)\" ]")
        .unwrap();
    lab.hub().cut(node, lab.node(2));
    let cut = Moment::now();
    let first = client.measure("just cut off");
    wait_for("the storage is away", SOON, || !is_active(node)).unwrap();
    println!("not active after {:?}", cut.elapsed());
    wait_for("an alert says so", SOON, || is_alerted(node)).unwrap();
    println!("alerted after {:?}", cut.elapsed());
    let second = client.measure("away");
    stops_and_dies(node);
    let third = client.measure("away, after the agent's death");
    let limit = FAR_BEYOND.max(before * 4);
    assert!(first.max(second).max(third) < limit, "before: {before:?}");
    wait_for("the time to be over", away() * 2, || cut.elapsed() > away()).unwrap();

    lab.hub().heal();
    let healed = Moment::now();
    wait_for("the storage is back", SOON, || is_active(node)).unwrap();
    println!("active {:?} after the server was back", healed.elapsed());
    wait_for("the alert closes", SOON, || !is_alerted(node)).unwrap();
    println!("no alert after {:?}", healed.elapsed());
    executes(node, 101);
    let stopped = "pvesh get /nodes/n1/qemu/100/status/current | grep -q stopped";
    node.wait_until(SOON, stopped).unwrap();
    println!("its guest had ended after {:?}", healed.elapsed());
    post(node, "/nodes/n1/qemu/100/status/start", "");
    executes(node, 100);
    let _ = copies.wait(SOON);
    whole_or_gone(node);
    client.measure("recovered");
}

/// The stop of a guest on the server returns, and so does a killed agent. The kernel may keep a process until the
/// server is back; the stop says so then.
fn stops_and_dies(node: &Node) {
    let begun = Moment::now();
    let stopped = node.run_within(SOON, "qm stop 100 2>&1").unwrap();
    println!("the stop of its guest returned in {:?}", begun.elapsed());
    let said = stopped.text();
    assert!(
        stopped.success() || said.contains("guest 100 was killed, but"),
        "{said}"
    );
    let begun = Moment::now();
    node.check("systemctl kill --kill-whom=main --signal=KILL ostler-node")
        .unwrap();
    node.wait_until(
        SOON,
        "pvesh get /nodes/n1/qemu/101/status/current >/dev/null 2>&1",
    )
    .unwrap();
    println!("a killed agent was back in {:?}", begun.elapsed());
}

/// The copy that was under way has ended: there is a guest with its whole disk, or nothing.
fn whole_or_gone(node: &Node) {
    let ended =
        "! pvesh get /nodes/n1/tasks --source active --output-format json | grep -q qmclone";
    node.wait_until(SOON * 3, ended).unwrap();
    let content = get(node, "/nodes/n1/storage/nas/content");
    let owners: Vec<u64> = content
        .as_array()
        .unwrap()
        .iter()
        .map(|volume| volume["vmid"].as_u64().unwrap())
        .collect();
    match node.run("qm config 103 2>&1").unwrap().success() {
        true => {
            assert_eq!(owners, [100, 101, 103]);
            let same = "qemu-img compare -f raw -F raw /var/lib/vz/images/102/vm-102-disk-0.raw \
                        /mnt/pve/nas/images/103/vm-103-disk-0.raw";
            node.check_within(SOON, same).unwrap();
        }
        false => assert_eq!(owners, [100, 101]),
    }
    println!(
        "the copy is {}",
        if owners.len() == 3 { "whole" } else { "gone" }
    );
}
