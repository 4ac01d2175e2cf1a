//! The command lines that an administrator of Proxmox VE has in the cluster's documentation.

use serde_json::json;

use crate::harness::cluster::{TestCluster, with_cluster_bridge};
use crate::harness::{TestNode, until};

async fn is_at(asked: &TestNode, node: &str) -> bool {
    let status = json!({"node": node, "vmid": 100});
    asked.call("qemu_status", status).await.is_ok()
}

/// covers: S2.79 S3.10 S3.11 S3.72 S3.83 S3.84 S3.85 S3.89
#[test]
fn documented_commands_of_a_cluster_run_at_its_nodes() {
    with_cluster_bridge(async {
        let Some(mut cluster) = TestCluster::start(3).await else {
            return;
        };
        cluster.form().await;
        assert_eq!(
            cluster.nodes[0]
                .task("qemu_start", json!({"node": "n1", "vmid": 100}))
                .await,
            "OK"
        );
        // Cluster management, at a node that owns nothing.
        for (command, parts) in [
            (
                "pvecm status",
                &["Quorate:          Yes", "Total votes:      3"][..],
            ),
            ("pvecm nodes", &["n1", "n2", "n3 (local)"]),
            ("ha-manager status", &["quorum OK"]),
            ("pvesh get /cluster/resources", &["qemu/100", "node/n2"]),
        ] {
            let printed = cluster.run(3, command);
            for part in parts {
                assert!(printed.contains(part), "{command}: {printed}");
            }
        }
        // Virtual machines.
        let listed = cluster.run(1, "qm list");
        assert!(
            listed.contains("100") && listed.contains("running"),
            "{listed}"
        );
        let checked = cluster.run(1, "qm migrate 100 n2 --online --check");
        assert!(!checked.contains("error"), "{checked}");
        assert!(is_at(&cluster.nodes[2], "n1").await);
        let snapshot = cluster.run(1, "qm snapshot 100 before");
        assert!(!snapshot.contains("error"), "{snapshot}");
        let listed = cluster.run(1, "qm listsnapshot 100");
        assert!(listed.contains("before"), "{listed}");
        cluster.run(1, "qm migrate 100 n2 --online");
        assert!(is_at(&cluster.nodes[2], "n2").await);
        cluster.run(2, "qm stop 100");
        cluster.run(2, "qm migrate 100 n1");
        assert!(is_at(&cluster.nodes[2], "n1").await);
        cluster.run(1, "pvesh create /nodes/n1/qemu/100/migrate --target n3");
        until("it has moved", async || {
            is_at(&cluster.nodes[0], "n3").await
        })
        .await;

        quorum_lost(&mut cluster).await;
    });
}

async fn quorum_lost(cluster: &mut TestCluster) {
    for node in &mut cluster.nodes[1..] {
        node.end();
        node.end_etcd();
    }
    until("n1 knows it", async || {
        let status = cluster.run(1, "pvecm status");
        status.contains("2 Activity blocked")
    })
    .await;
    let refused = cluster.run(1, "pvesh set /cluster/options --description x");
    assert!(
        refused.contains("no quorum") && refused.contains("n2, n3"),
        "{refused}"
    );
    let forced = cluster.command(1, &["pvecm", "expected", "1"], "n2 n3\n");
    assert!(forced.contains("this node alone has quorum"), "{forced}");
    cluster.run(1, "pvesh set /cluster/options --description x");
    let status = cluster.run(1, "pvecm status");
    assert!(status.contains("Quorate:          Yes"), "{status}");
}
