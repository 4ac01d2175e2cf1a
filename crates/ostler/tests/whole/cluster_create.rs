//! A node becomes a cluster of one while its guest runs.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use testkit::left_out::missing;

use crate::harness::cluster::etcd_program;
use crate::harness::namespace::with_bridge;
use crate::harness::{PROGRAM, TestNode, about, kill, left_out, put_guest, until};

pub(crate) async fn node(etcd: &Path) -> TestNode {
    let settings = format!(
        "etcd = {:?}\netcd-user = \"daemon\"",
        etcd.display().to_string()
    );
    TestNode::start_with(&settings, async |store| {
        for vmid in [100, 101] {
            let options: [(&str, Value); 3] = [
                ("memory", "32".into()),
                ("kvm", 0.into()),
                ("vga", "none".into()),
            ];
            put_guest(store, vmid, &options).await;
        }
    })
    .await
}

pub(crate) async fn create(
    node: &TestNode,
    name: &str,
    link: &str,
) -> Result<String, model::Error> {
    let made = node
        .call(
            "cluster_create",
            json!({"clustername": name, "link0": link}),
        )
        .await?;
    Ok(node.ended(made.data.as_str().unwrap()).await)
}

pub(crate) async fn describe(node: &TestNode, text: &str) -> Result<(), model::Error> {
    let change = about(101, json!({"description": text}));
    node.call("qemu_configure", change).await.map(drop)
}

pub(crate) async fn description(node: &TestNode) -> Value {
    let config = node.call("qemu_config", about(101, json!({}))).await;
    config.unwrap().data["description"].clone()
}

pub(crate) async fn pid_of_guest(node: &TestNode) -> Value {
    let status = node
        .call("qemu_status", about(100, json!({})))
        .await
        .unwrap()
        .data;
    assert_eq!(status["status"], "running");
    status["pid"].clone()
}

/// Runs a command of `pvecm`; returns its exit code and all that it prints.
pub(crate) fn pvecm(node: &TestNode, command: &str) -> (Option<i32>, String) {
    let output = Command::new(PROGRAM)
        .args(["pvecm", command])
        .env("OSTLER_ROOT", &node.root)
        .output()
        .unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(printed).unwrap())
}

/// covers: S4.2
#[test]
fn a_node_becomes_a_cluster_while_its_guest_runs() {
    if left_out("cluster_create") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let Some(etcd) = etcd_program(folder.path()) else {
        missing("cluster_create", "there is no etcd in the cache of ./x");
        return;
    };
    with_bridge(async move {
        let node = node(&etcd).await;
        assert_eq!(node.task("qemu_start", about(100, json!({}))).await, "OK");
        let guest = pid_of_guest(&node).await;
        describe(&node, "before").await.unwrap();
        let (code, printed) = pvecm(&node, "status");
        assert_eq!(code, Some(255));
        assert!(
            printed.contains("is this node part of a cluster?"),
            "{printed}"
        );

        assert_eq!(create(&node, "lab", "127.0.0.1").await.unwrap(), "OK");
        assert_eq!(pid_of_guest(&node).await, guest);
        assert_eq!(description(&node).await, "before");
        describe(&node, "in the cluster").await.unwrap();
        let (code, printed) = pvecm(&node, "status");
        assert_eq!(code, Some(0), "{printed}");
        for line in [
            "Name:             lab",
            "Quorate:          Yes",
            "Total votes:      1",
        ] {
            assert!(printed.lines().any(|printed| printed == line), "{printed}");
        }
        let (_, printed) = pvecm(&node, "nodes");
        assert!(
            printed.ends_with("         1          1 pve1 (local)\n"),
            "{printed}"
        );
        let status = node.call("cluster_status", json!({})).await.unwrap().data;
        let (cluster, own) = (&status[0], &status[1]);
        let wanted = json!({
            "id": "cluster", "type": "cluster", "name": "lab", "version": 1, "nodes": 1,
            "quorate": 1,
        });
        assert_eq!((cluster, &own["nodeid"]), (&wanted, &json!(1)));
        let again = create(&node, "lab", "127.0.0.1").await.unwrap_err();
        assert!(again.message.ends_with("already exists"), "{again:?}");

        // Agent and etcd die, in turn; the guest does not notice, and nothing is lost.
        node.kill_role("node").await;
        assert_eq!(description(&node).await, "in the cluster");
        let server = node.etcd().unwrap();
        kill(server);
        until("another etcd runs", async || {
            node.etcd().is_some_and(|pid| pid != server)
        })
        .await;
        until("changes are accepted", async || {
            describe(&node, "after").await.is_ok()
        })
        .await;
        assert_eq!(description(&node).await, "after");
        assert_eq!(pid_of_guest(&node).await, guest);
        assert_eq!(node.task("qemu_stop", about(100, json!({}))).await, "OK");
    });
}

#[test]
fn a_cluster_that_cannot_be_made_leaves_the_node_as_it_was() {
    if left_out("cluster_create: refusals") {
        return;
    }
    with_bridge(async {
        let node = node(Path::new("/nowhere/etcd")).await;
        let refused = |error: model::Error| error.fields.into_iter().next().unwrap();
        let error = create(&node, "bad name!", "127.0.0.1").await.unwrap_err();
        assert_eq!(refused(error).0, "clustername");
        let error = create(&node, "lab", "10.99.0.1").await.unwrap_err();
        let text = "cannot use IP '10.99.0.1', not found on local node!";
        assert_eq!(refused(error), ("link0".to_owned(), text.to_owned()));
        let status = create(&node, "lab", "127.0.0.1").await.unwrap();
        assert!(status.contains("/nowhere/etcd"), "{status}");
        describe(&node, "goes on").await.unwrap();
        assert!(!node.root.join("var/lib/ostler/etcd").exists());
        assert!(!node.root.join("var/lib/ostler/store.json").exists());
    });
}
