//! The state is restored after all servers of etcd, or all machines, are lost.

use std::fs;

use serde_json::json;

use crate::harness::cluster::{TestCluster, describe, description, with_cluster_bridge};
use crate::harness::{TestNode, until};

/// Ends the etcd of a node and deletes its data.
fn lose_etcd(node: &TestNode) {
    node.end_etcd();
    fs::remove_dir_all(node.root.join("var/lib/ostler/etcd")).unwrap();
}

async fn lock_of_guest(node: &TestNode) -> String {
    let config = node
        .call("qemu_config", json!({"node": "n1", "vmid": 100}))
        .await
        .unwrap()
        .data;
    config["lock"].as_str().unwrap_or_default().to_owned()
}

/// covers: S3.74
#[test]
fn a_copy_of_the_state_takes_the_place_of_all_lost_servers() {
    with_cluster_bridge(async {
        let Some(cluster) = TestCluster::start(3).await else {
            return;
        };
        cluster.form().await;
        let [n1, _, n3] = &cluster.nodes[..] else {
            unreachable!()
        };
        let guest = json!({"node": "n1", "vmid": 100});
        assert_eq!(n1.task("qemu_start", guest.clone()).await, "OK");
        describe(n1, "before the loss").await.unwrap();
        let refused = cluster.run(2, "cluster restore");
        assert!(refused.contains("nothing to restore"), "{refused}");
        for node in &cluster.nodes {
            until("the copies have it", async || {
                description(node).await == "before the loss"
            })
            .await;
        }

        cluster.nodes.iter().for_each(lose_etcd);
        for node in &cluster.nodes {
            until("nothing can be changed", async || {
                describe(node, "lost").await.is_err()
                    && node
                        .call("cluster_status", json!({}))
                        .await
                        .is_ok_and(|status| status.data[0]["quorate"] == 0)
            })
            .await;
        }
        let mut restored = String::new();
        until("the others have said what they have", async || {
            restored = cluster.run(2, "cluster restore");
            // Their last beats may be of before.
            !["power it off", "nothing is lost"]
                .iter()
                .any(|refusal| restored.contains(refusal))
        })
        .await;
        assert!(restored.contains("the state is restored"), "{restored}");
        cluster.votes(3).await;
        for node in &cluster.nodes {
            until("all have the restored state", async || {
                description(node).await == "before the loss"
            })
            .await;
        }
        describe(n3, "after it").await.unwrap();
        // The guest ran on, where it was, and is not locked.
        assert_eq!(lock_of_guest(n3).await, "");
        assert_eq!(n3.task("qemu_stop", guest).await, "OK");
    });
}

/// Restarts a node with other settings. Returns the settings of before.
async fn restart_with(node: &mut TestNode, settings: impl FnOnce(&str) -> String) -> String {
    let path = node.root.join("etc/ostler/ostler.toml");
    let before = fs::read_to_string(&path).unwrap();
    let changed = settings(&before);
    assert_ne!(changed, before);
    node.restart_after(|| fs::write(path, changed).unwrap())
        .await;
    before
}

/// Where etcd cannot be started, the first node stays what it was.
async fn fails_without_etcd(cluster: &mut TestCluster) {
    let no_etcd = |settings: &str| settings.replace("/etcd\"", "/none\"");
    let before = restart_with(&mut cluster.nodes[0], no_etcd).await;
    let authority = cluster.nodes[0].root.join("var/lib/ostler/tls/ca.pem");
    let own = fs::read(&authority).unwrap();
    let failed = cluster.run(1, "cluster restore lost --powered-off n2");
    assert!(
        failed.contains("the state could not be restored"),
        "{failed}"
    );
    assert_eq!(fs::read(&authority).unwrap(), own);
    describe(&cluster.nodes[0], "alone").await.unwrap();
    restart_with(&mut cluster.nodes[0], |_| before).await;
}

/// covers: S3.74
#[test]
fn a_new_machine_takes_the_place_of_a_lost_cluster() {
    with_cluster_bridge(async {
        let folder = tempfile::tempdir().unwrap();
        let saved = folder.path().join("lost.db");
        {
            let Some(cluster) = TestCluster::start(2).await else {
                return;
            };
            cluster.form().await;
            describe(&cluster.nodes[0], "of the lost cluster")
                .await
                .unwrap();
            let printed = cluster.run(1, "cluster save lost");
            let path = cluster.nodes[0].root.join("var/lib/ostler/saved/lost.db");
            assert!(printed.contains("lost.db"), "{printed}");
            let listed = cluster.run(1, "cluster saved");
            assert!(listed.contains("lost.db"), "{listed}");
            fs::copy(path, &saved).unwrap();
        }

        let Some(mut cluster) = TestCluster::start(2).await else {
            return;
        };
        for node in &cluster.nodes {
            let place = node.root.join("var/lib/ostler/saved");
            fs::create_dir(&place).unwrap();
            fs::copy(&saved, place.join("lost.db")).unwrap();
            fs::write(place.join("strange.db"), "x").unwrap();
        }
        // The new n1 has a guest of its own.
        let refused = cluster.run(1, "cluster restore lost --powered-off n2");
        assert!(
            refused.contains("already contains virtual guests"),
            "{refused}"
        );
        let guest = json!({"node": "n1", "vmid": 100});
        assert_eq!(cluster.nodes[0].task("qemu_destroy", guest).await, "OK");
        let refused = cluster.run(1, "cluster restore nothing");
        assert!(refused.contains("there is no file"), "{refused}");
        let refused = cluster.run(1, "cluster restore strange");
        assert!(refused.contains("this is no saved state"), "{refused}");
        let refused = cluster.run(1, "cluster restore lost");
        assert!(refused.contains("'n2' does not answer"), "{refused}");
        fails_without_etcd(&mut cluster).await;

        let [n1, n2] = &cluster.nodes[..] else {
            unreachable!()
        };
        let restored = cluster.run(1, "cluster restore lost --powered-off n2");
        assert!(restored.contains("the state is restored"), "{restored}");
        assert_eq!(description(n1).await, "of the lost cluster");
        assert_eq!(lock_of_guest(n1).await, "migrate");
        describe(n1, "goes on").await.unwrap();
        let listed = n1.call("cluster_config_nodes", json!({})).await.unwrap();
        assert_eq!(listed.data.as_array().unwrap().len(), 2);

        // The other machine is new too, and takes the name of the lost one.
        let invited = n1.call("cluster_invite", json!({})).await.unwrap().data;
        let join = json!({
            "hostname": invited["hostname"], "fingerprint": invited["fingerprint"],
            "password": invited["token"], "link0": "10.77.0.2", "force": 1,
        });
        assert_eq!(n2.task("cluster_join", join).await, "OK");
        assert_eq!(description(n2).await, "goes on");
    });
}

/// covers: S4.1
#[test]
fn a_single_node_goes_back_to_a_saved_state() {
    with_cluster_bridge(async {
        let Some(cluster) = TestCluster::start(1).await else {
            return;
        };
        let n1 = &cluster.nodes[0];
        let guest = json!({"node": "n1", "vmid": 100});
        assert_eq!(n1.task("qemu_destroy", guest).await, "OK");
        // Several at once, under one name: each is whole when it is there.
        let at_once = (0..4).map(|_| n1.call("cluster_save", json!({"name": "nightly"})));
        for saved in futures_util::future::join_all(at_once).await {
            saved.unwrap();
        }
        for saved in ["first", "second"] {
            describe(n1, saved).await.unwrap();
            // In the place of the one before.
            let printed = cluster.run(1, "cluster save nightly");
            assert!(printed.ends_with("/saved/nightly.db\n"), "{printed}");
            describe(n1, "later").await.unwrap();
            let restored = cluster.run(1, "cluster restore nightly");
            assert!(restored.contains("the state is restored"), "{restored}");
            assert_eq!(description(n1).await, saved);
            describe(n1, "goes on").await.unwrap();
        }
    });
}
