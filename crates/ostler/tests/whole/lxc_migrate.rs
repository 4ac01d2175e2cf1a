//! A container moves between nodes that are processes of their own, with one state in etcd.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::harness::cluster::{TestCluster, with_cluster_bridge};
use crate::harness::pair::listing;
use crate::harness::{TestNode, until};
use crate::lxc_life::{is_left_out, template};

/// A program in the network of a node.
fn in_network(cluster: &TestCluster, number: usize, command: &[&str]) -> Output {
    let pid = cluster.namespace(number).to_string();
    let output = Command::new("nsenter")
        .args(["--target", &pid, "--net"])
        .args(command)
        .output();
    output.unwrap()
}

/// A bridge for guests, which the other node has too, but not the same.
fn give_bridge(cluster: &TestCluster, number: usize) {
    let made = "ip link add vmbr9 type bridge && ip link set vmbr9 up && \
                ip address add 10.9.9.1/24 dev vmbr9";
    let made = in_network(cluster, number, &["sh", "-c", made]);
    assert!(made.status.success(), "{made:?}");
}

/// The page that the container serves at a node.
async fn served(cluster: &TestCluster, number: usize) {
    until("the page is served", async || {
        let curl = ["curl", "-s", "-m", "2", "http://10.9.9.2/"];
        let got = in_network(cluster, number, &curl);
        String::from_utf8_lossy(&got.stdout).contains("a page")
    })
    .await;
}

/// What a script prints in the container at a node. LXC is asked in the node's network.
fn inside(cluster: &TestCluster, number: usize, script: &str) -> String {
    let guests = cluster.nodes[number - 1].root.join("run/ostler/guests");
    let guests = guests.display().to_string();
    let attach = ["lxc-attach", "-P", &guests, "-n", "200", "--"];
    let command = [&attach[..], &["/bin/sh", "-c", script]].concat();
    let said = in_network(cluster, number, &command);
    let both = [said.stdout, said.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

fn guest(node: &str) -> Value {
    json!({"node": node, "vmid": 200})
}

/// A move by a request at any node; its log.
async fn moved(asked: &TestNode, from: &str, to: &str, restart: bool) -> String {
    let params = json!({
        "node": from, "vmid": 200, "target": to, "restart": u8::from(restart),
        "target-storage": format!("own-{from}:own-{to}"),
    });
    let upid = asked.call("lxc_migrate", params).await.unwrap().data;
    let upid = upid.as_str().unwrap();
    let ended = asked.ended(upid).await;
    let lines = json!({"node": from, "upid": upid, "limit": 500});
    let lines = asked.call("task_log", lines).await.unwrap().data;
    let lines = lines.as_array().unwrap().iter();
    let log: Vec<&str> = lines.map(|line| line["t"].as_str().unwrap()).collect();
    let log = log.join("\n");
    assert_eq!(ended, "OK", "{log}");
    log
}

/// What a container has of owners, links, modes and attributes.
const MAKE: &str = "echo seven > /data/image; echo tree > /root/file; chmod 640 /root/file; \
                    ln /root/file /root/linked; mkdir -p /root/a/b; chown 7:8 /root/a";
const SHOW: &str =
    "cat /data/image; ls -ln /root | sort; stat -c '%u %g %a %h %s' /root/file /root/a";

/// Two nodes with a storage of their own each, and at the first one a container that runs.
async fn scene() -> Option<TestCluster> {
    let cluster = TestCluster::start(2).await?;
    cluster.form_of(2).await;
    let [n1, n2] = &cluster.nodes[..] else {
        unreachable!()
    };
    until("the links are there", async || {
        n2.call("node_status", json!({"node": "n1"})).await.is_ok()
            && n1.call("node_status", json!({"node": "n2"})).await.is_ok()
    })
    .await;
    give_bridge(&cluster, 1);
    template(n1, "busy.tar.gz");
    for (name, node) in [("n1", n1), ("n2", n2)] {
        let storage = json!({
            "storage": format!("own-{name}"), "type": "dir", "nodes": name, "content": "rootdir",
            "path": node.root.join("own"),
        });
        n1.call("storage_create", storage).await.unwrap();
    }
    let made = json!({
        "node": "n1", "vmid": 200, "ostemplate": "local:vztmpl/busy.tar.gz", "memory": 64,
        "rootfs": "own-n1:0", "mp0": "own-n1:0.1,mp=/data", "start": true, "unprivileged": true,
        "net0": "name=eth0,bridge=vmbr9,ip=10.9.9.2/24",
    });
    assert_eq!(n1.task("lxc_create", made).await, "OK");
    served(&cluster, 1).await;
    Some(cluster)
}

/// Why the container cannot move from the first node, asked at any node.
async fn refused(asked: &TestNode, more: Value) -> String {
    let mut params = json!({
        "node": "n1", "vmid": 200, "target": "n2", "target-storage": "own-n1:own-n2",
    });
    let more = more.as_object().unwrap().clone();
    params.as_object_mut().unwrap().extend(more);
    asked.call("lxc_migrate", params).await.unwrap_err().message
}

async fn precheck(asked: &TestNode) -> Value {
    let found = asked.call("lxc_migrate_precondition", guest("n1")).await;
    found.unwrap().data
}

/// What stands in the way is said.
async fn is_refused(cluster: &TestCluster) {
    let [n1, n2] = &cluster.nodes[..] else {
        unreachable!()
    };
    assert_eq!(
        refused(n2, json!({})).await,
        "can't migrate running container without --online or --restart"
    );
    assert_eq!(
        refused(n2, json!({"online": 1})).await,
        "lxc live migration is currently not implemented"
    );
    let why = refused(n1, json!({"restart": 1})).await;
    let lacks = "lacks bridges of the guest's cards: vmbr9";
    assert!(why.contains(lacks), "{why}");
    let found = precheck(n2).await;
    assert_eq!(
        (&found["running"], &found["allowed-nodes"]),
        (&json!(1), &json!([]))
    );
    let why = found["not-allowed-nodes"]["n2"]["reasons"][0].as_str();
    assert!(why.unwrap().contains(lacks), "{found}");
    give_bridge(cluster, 2);
    let lacking = json!({"n2": {"unavailable_storages": ["own-n1"]}});
    assert_eq!(precheck(n1).await["not-allowed-nodes"], lacking);
}

/// covers: S1.3 S2.41
#[test]
fn a_container_moves_between_nodes_and_is_started_there() {
    if is_left_out("migration of a container") {
        return;
    }
    with_cluster_bridge(async {
        let Some(cluster) = scene().await else {
            return;
        };
        let [n1, n2] = &cluster.nodes[..] else {
            unreachable!()
        };
        inside(&cluster, 1, MAKE);
        let before = inside(&cluster, 1, SHOW);
        assert!(
            before.contains("seven") && before.contains("7 8"),
            "{before}"
        );
        is_refused(&cluster).await;
        served(&cluster, 1).await;

        let log = moved(n2, "n1", "n2", true).await;
        for line in [
            "starting migration of CT 200 to node 'n2'",
            "shutdown CT 200",
            "start container on target node",
            "migration finished successfully",
        ] {
            assert!(log.contains(line), "{line}: {log}");
        }
        served(&cluster, 2).await;
        assert_eq!(inside(&cluster, 2, SHOW), before);
        let images = |node: &TestNode| listing(&node.root.join("own/images/200"));
        assert_eq!(images(n1), Vec::<String>::new());
        assert_eq!(
            images(n2),
            ["subvol-200-disk-0.subvol", "vm-200-disk-1.raw"]
        );

        // Stopped, it stays so.
        assert_eq!(n1.task("lxc_stop", guest("n2")).await, "OK");
        moved(n1, "n2", "n1", false).await;
        let status = n2.call("lxc_status", guest("n1")).await.unwrap().data;
        assert_eq!(status["status"], "stopped");
        assert_eq!(n2.task("lxc_start", guest("n1")).await, "OK");
        served(&cluster, 1).await;
        assert_eq!(inside(&cluster, 1, SHOW), before);
        assert_eq!(images(n2), Vec::<String>::new());

        // A folder of the host keeps it here.
        assert_eq!(n1.task("lxc_stop", guest("n1")).await, "OK");
        let bind = json!({"node": "n1", "vmid": 200, "mp1": "/srv,mp=/srv"});
        n1.call("lxc_configure", bind).await.unwrap();
        assert_eq!(
            refused(n1, json!({})).await,
            "cannot migrate local bind mount point 'mp1'"
        );
        assert!(Path::new("/srv").exists());
        assert_eq!(n1.task("lxc_destroy", guest("n1")).await, "OK");
    });
}
