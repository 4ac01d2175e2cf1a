//! `ostler doctor`, at nodes on which something is broken.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::cluster::{TestCluster, with_cluster_bridge};
use crate::harness::{PROGRAM, TestNode, until};

/// The findings that a node gives, by `node check: level`.
async fn findings(node: &TestNode) -> Vec<Value> {
    let found = node.call("ostler_doctor", json!({})).await.unwrap().data;
    found.as_array().unwrap().clone()
}

async fn levels(node: &TestNode, of: &str, check: &str) -> Vec<String> {
    let findings = findings(node).await;
    let wanted = findings
        .iter()
        .filter(|finding| finding["node"] == of && finding["check"] == check);
    wanted
        .map(|finding| finding["level"].as_str().unwrap().to_owned())
        .collect()
}

/// The exit code and the output of the command.
fn doctor(node: &TestNode, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(PROGRAM)
        .arg("doctor")
        .args(arguments)
        .env("OSTLER_ROOT", &node.root)
        .output()
        .unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(printed).unwrap())
}

/// Every check has its finding on each of three nodes, and none fails.
fn is_complete(all: &[Value]) {
    for node in ["n1", "n2", "n3"] {
        for check in [
            "quorum",
            "cpu",
            "etcd version",
            "etcd speed",
            "clock",
            "version",
            "mtu",
        ] {
            let is_it = |row: &&Value| row["node"] == node && row["check"] == check;
            let found: Vec<_> = all.iter().filter(is_it).collect();
            assert_eq!(found.len(), 1, "{node} {check}: {all:?}");
            assert_ne!(found[0]["level"], "error", "{found:?}");
        }
    }
    assert!(all.iter().any(|row| row["check"] == "certificate"));
}

/// covers: S3.83
#[test]
fn what_is_broken_is_found_and_explained() {
    with_cluster_bridge(async {
        let Some(cluster) = TestCluster::start(3).await else {
            return;
        };
        cluster.form().await;
        let [n1, n2, n3] = &cluster.nodes[..] else {
            unreachable!()
        };
        until("all links are heard", async || {
            let mut heard = true;
            for node in ["n1", "n2", "n3"] {
                heard &= levels(n1, node, "link").await == ["ok", "ok"];
            }
            heard
        })
        .await;
        is_complete(&findings(n1).await);

        let pid = cluster.namespace(3).to_string();
        let narrow = [
            "--target", &pid, "--net", "ip", "link", "set", "eth0", "mtu", "1400",
        ];
        assert!(
            Command::new("nsenter")
                .args(narrow)
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(levels(n1, "n3", "mtu").await, ["warning"]);
        // It is the others that differ from n3.
        assert_eq!(levels(n3, "n1", "mtu").await, ["warning"]);

        n2.stop_etcd();
        until("the server that stands still is found", async || {
            levels(n1, "n2", "etcd").await == ["error"]
        })
        .await;
        cluster.cut(2);
        until("the silent node is found", async || {
            levels(n1, "n2", "answer").await == ["error"]
        })
        .await;
        let (code, printed) = doctor(n1, &[]);
        assert_eq!(code, Some(6), "{printed}");
        for part in [
            "n1 link: n2 is silent\n  means: its guests are shown as unknown",
            "to do: start n2,",
            "n3 mtu: 1400 on eth0\n",
        ] {
            assert!(printed.contains(part), "{printed}");
        }
        let (code, printed) = doctor(n1, &["-o", "json"]);
        assert_eq!(code, Some(6));
        let rows: Value = serde_json::from_str(&printed).unwrap();
        assert!(rows.as_array().unwrap().len() > 10);

        // Alone, it says so within the time that a caller has.
        cluster.cut(1);
        until("the loss of the majority is found", async || {
            levels(n1, "n1", "quorum").await == ["error"]
        })
        .await;
    });
}
