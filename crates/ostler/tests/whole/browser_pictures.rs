//! Pictures of the web interface, at a cluster with guests of all kinds: `./x screenshots` has them
//! written to docs/images.

use history::{Object, Origin};
use model::VmId;
use serde_json::{Value, json};

use crate::browser::{admin, check, lacks_browser, put_image, start};
use crate::harness::cluster::{TestCluster, with_cluster_bridge};
use crate::harness::past::{origin_of, put_past};
use crate::harness::{TestNode, tiny_disk, until, until_within};
use crate::lxc_life;

/// Number, name, node, pool, tags, memory in MiB, whether it runs.
const GUESTS: [(u32, &str, &str, &str, &str, u32, bool); 16] = [
    (101, "web-1", "n1", "shop", "prod;web", 96, true),
    (102, "web-2", "n2", "shop", "prod;web", 96, true),
    (103, "db-main", "n2", "shop", "db;prod", 128, true),
    (104, "db-replica", "n3", "shop", "db;prod", 128, true),
    (105, "queue", "n3", "shop", "prod", 64, true),
    (110, "mail", "n1", "office", "prod", 96, true),
    (111, "files", "n2", "office", "prod", 96, false),
    (112, "calendar", "n3", "office", "prod", 64, false),
    (113, "vpn", "n1", "office", "edge;prod", 64, true),
    (120, "git", "n1", "build", "dev", 96, false),
    (121, "runner-1", "n2", "build", "ci;dev", 96, false),
    (122, "runner-2", "n3", "build", "ci;dev", 96, false),
    (123, "runner-3", "n3", "build", "ci;dev", 96, false),
    (130, "monitoring", "n1", "", "prod", 96, false),
    (131, "dns-1", "n2", "", "edge", 64, false),
    (132, "sandbox", "n3", "", "dev", 64, false),
];

const CONTAINER: u32 = 106;
const CONTAINER_MEMORY: u32 = 256;

async fn done(node: &TestNode, op: &str, params: Value) {
    assert_eq!(node.task(op, params).await, "OK");
}

/// A guest that boots, with a console, and what it is called.
async fn first_guest(node: &TestNode, disk: &std::path::Path) {
    put_image(node, disk);
    let stop = json!({"node": "n1", "vmid": 100, "purge": 1});
    done(node, "qemu_destroy", stop).await;
    let guest = json!({"node": "n1", "vmid": 100, "name": "tiny", "memory": "128", "kvm": 0,
        "cores": 2, "tags": "prod;web", "pool": "shop", "serial0": "socket", "boot": "order=virtio0",
        "virtio0": "local:0,format=qcow2,import-from=local:import/tiny.qcow2", "net0": "virtio,bridge=vmbr0",
        "description": "The first guest of this cluster."});
    done(node, "qemu_create", guest).await;
    let snapshot = json!({"node": "n1", "vmid": 100, "snapname": "fresh"});
    done(node, "qemu_snapshot", snapshot).await;
    done(node, "qemu_start", json!({"node": "n1", "vmid": 100})).await;
}

/// A container that runs, of a template that the wizard's picture names too.
async fn container(node: &TestNode) {
    lxc_life::template(node, "alpine-3.20.tar.gz");
    let container = json!({"node": "n1", "vmid": CONTAINER, "hostname": "proxy", "cores": 2,
        "ostemplate": "local:vztmpl/alpine-3.20.tar.gz", "rootfs": "local:2", "storage": "local",
        "memory": CONTAINER_MEMORY, "swap": 0, "onboot": 1, "pool": "shop", "tags": "edge;prod",
        "net0": "name=eth0,bridge=vmbr0,ip=10.9.0.2/24,gw=10.9.0.1",
        "description": "Takes what comes from outside to web-1 and web-2."});
    done(node, "lxc_create", container).await;
    done(node, "lxc_start", json!({"node": "n1", "vmid": CONTAINER})).await;
}

async fn others(node: &TestNode) {
    for (vmid, name, on, pool, tags, memory, runs) in GUESTS {
        let mut guest = json!({"node": on, "vmid": vmid, "name": name, "memory": memory.to_string(),
            "kvm": 0, "tags": tags, "vga": "none", "net0": "virtio,bridge=vmbr0"});
        if !pool.is_empty() {
            guest["pool"] = pool.into();
        }
        done(node, "qemu_create", guest).await;
        if runs {
            done(node, "qemu_start", json!({"node": on, "vmid": vmid})).await;
        }
    }
}

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// A line that goes up and down around a middle, another one for each seed.
fn wave(seed: u32, minute: i64, middle: f64, height: f64) -> f32 {
    let at = minute as f64 + f64::from(seed) * 7.0;
    let curve = (at / 9.0).sin() * 0.6 + (at / 3.7).sin() * 0.3 + (at * 1.9).sin() * 0.1;
    (middle + height * curve) as f32
}

fn of_node(seed: u32, minute: i64) -> Vec<(&'static str, f32)> {
    let line = |step: u32, middle, height| wave(seed + step, minute, middle, height);
    vec![
        ("cpu", line(0, 0.34, 0.12)),
        ("iowait", line(1, 0.02, 0.015)),
        ("loadavg", line(2, 0.9, 0.4)),
        ("memused", line(3, 5.1 * GIB, 0.2 * GIB)),
        ("memavailable", line(3, 18.2 * GIB, -0.2 * GIB)),
        ("netin", line(4, 2.4e6, 1.1e6)),
        ("netout", line(5, 1.3e6, 0.8e6)),
        ("pressurecpusome", line(6, 3.0, 2.0)),
        ("pressureiosome", line(7, 1.2, 0.8)),
        ("pressurememorysome", 0.0),
    ]
}

fn of_guest(seed: u32, minute: i64, memory: u32) -> Vec<(&'static str, f32)> {
    let line = |step: u32, middle, height| wave(seed + step, minute, middle, height);
    let memory = f64::from(memory) * 1024.0 * 1024.0;
    let busy = 0.15 + f64::from(seed % 7) * 0.08;
    vec![
        ("cpu", line(0, busy, busy * 0.6)),
        ("mem", line(1, memory * 0.36, memory * 0.04)),
        ("memhost", line(1, memory * 0.7, memory * 0.06)),
        ("netin", line(2, 240e3, 160e3)),
        ("netout", line(3, 120e3, 90e3)),
        ("diskread", line(4, 1.1e6, 0.9e6)),
        ("diskwrite", line(5, 0.6e6, 0.4e6)),
    ]
}

/// Gives a node and its guests an hour before this one, so that there is something to see.
async fn past(node: &mut TestNode) {
    let name = node.name.clone();
    let first = (100, "", "n1", "", "", 128, true);
    let container = (CONTAINER, "", "n1", "", "", CONTAINER_MEMORY, true);
    let own = GUESTS.iter().chain([&first, &container]);
    let own: Vec<(u32, u32)> = own
        .filter(|(_, _, on, .., runs)| *on == name && *runs)
        .map(|(vmid, .., memory, _)| (*vmid, *memory))
        .collect();
    // A minute is written when it is over.
    until_within(120, "its guests have files", async || {
        let root = &node.root;
        own.iter().all(|(vmid, _)| origin_of(root, *vmid).is_some())
    })
    .await;
    node.end();
    let seed = name.bytes().map(u32::from).sum();
    let moment = |age: i64| {
        let guests = own.iter().map(|(vmid, memory)| {
            let object = Object::Guest(VmId::new(*vmid).unwrap());
            let origin = origin_of(&node.root, *vmid).unwrap();
            (object, origin, of_guest(*vmid, -age, *memory))
        });
        let node = (Object::Node, Origin::default(), of_node(seed, -age));
        guests.chain([node]).collect()
    };
    put_past(&node.root, (0..=75).rev(), moment).await;
    node.start_again();
    node.answers().await;
}

#[test]
#[ignore = "thorough: starts a cluster with ten guests"]
fn pictures() {
    if lxc_life::is_left_out("pictures") || lacks_browser() {
        return;
    }
    with_cluster_bridge(async {
        let Some(disk) = tiny_disk() else { return };
        let Some(mut cluster) = TestCluster::start(3).await else {
            return;
        };
        cluster.form().await;
        let node = &cluster.nodes[0];
        admin(node).await;
        for other in ["n2", "n3"] {
            until("the links are there", async || {
                node.call("node_status", json!({"node": other}))
                    .await
                    .is_ok()
            })
            .await;
        }
        for pool in ["shop", "office", "build"] {
            node.call("pool_create", json!({"poolid": pool}))
                .await
                .unwrap();
        }
        first_guest(node, &disk).await;
        others(node).await;
        container(node).await;
        for node in &mut cluster.nodes {
            past(node).await;
        }
        let node = &cluster.nodes[0];
        until("all nodes are heard again", async || {
            let status = node.call("cluster_status", json!({})).await.unwrap().data;
            let rows = status.as_array().unwrap().clone();
            rows.iter().all(|row| row["online"] != 0)
        })
        .await;
        let own = tempfile::tempdir().unwrap();
        let folder = std::env::var_os("OSTLER_IMAGES").unwrap_or_else(|| own.path().into());
        let mut browser = start(&["browser/pictures.test.ts"], "https://10.77.0.1:8006");
        browser.env("OSTLER_IMAGES", folder);
        check(&browser.output().unwrap(), node);
    });
}
