//! A node's facts, and the settings of node and cluster.

use std::collections::BTreeSet;

use crate::harness::https::request;
use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, left_out, put_guest, until};
use serde_json::{Value, json};

async fn get(node: &TestNode, op: &str, params: Value) -> Value {
    node.call(op, params).await.unwrap().data
}

fn pve1() -> Value {
    json!({"node": "pve1"})
}

fn is_positive(value: &Value) -> bool {
    value.as_u64().is_some_and(|number| number > 0)
}

// covers: S0.6
#[test]
fn node_status() {
    if left_out("node_status") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |_| {}).await;
        let status = get(&node, "node_status", pve1()).await;
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        assert_eq!(status["current-kernel"]["release"], release.trim());
        assert_eq!(status["pveversion"], "pve-manager/9.2.11/05713e0000000000");
        let tools = &status["ostler"]["tools"];
        assert!(tools["qemu"].as_str().unwrap().contains('.'), "{tools}");
        // Tools that are not installed are listed as well.
        for tool in ["lxc", "zfs", "lvm", "etcd"] {
            assert!(tools.get(tool).is_some(), "{tools}");
        }
        // The probe guest ends within seconds, with either result.
        until("KVM is proven or refuted", async || {
            let status = get(&node, "node_status", pve1()).await;
            let ostler = &status["ostler"];
            let no = ostler["kvm"] == "unusable" && ostler["kvm-reason"].is_string();
            ostler["kvm"] == "usable" || no
        })
        .await;
        for (group, field) in [
            ("memory", "total"),
            ("rootfs", "total"),
            ("cpuinfo", "cpus"),
        ] {
            assert!(is_positive(&status[group][field]), "{group}: {status}");
        }
        let memory = &status["memory"];
        assert!(memory["used"].as_u64() <= memory["total"].as_u64());
        let load = status["loadavg"].as_array().unwrap();
        assert!(
            load.len() == 3 && load.iter().all(Value::is_string),
            "{status}"
        );
        assert!(status["cpuinfo"]["mhz"].is_string() && status["cpuinfo"]["hvm"].is_string());
        assert!(is_positive(&status["uptime"]));
        let version = get(&node, "node_version", pve1()).await;
        assert_eq!(
            (&version["version"], &version["release"]),
            (&json!("9.2.11"), &json!("9.2"))
        );
    });
}

#[test]
fn node_settings() {
    if left_out("node_settings") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |_| {}).await;
        // The host's own time zone does not change: this node is in a root folder of its own.
        node.call(
            "node_time_update",
            json!({"node": "pve1", "timezone": "Asia/Kolkata"}),
        )
        .await
        .unwrap();
        let time = get(&node, "node_time", pve1()).await;
        assert_eq!(time["timezone"], "Asia/Kolkata");
        assert_eq!(
            time["localtime"].as_i64().unwrap() - time["time"].as_i64().unwrap(),
            19_800
        );
        for wrong in ["Nowhere/Else", "../../etc/passwd", "Europe", "UTC;x", ""] {
            let params = json!({"node": "pve1", "timezone": wrong});
            let error = node.call("node_time_update", params).await.unwrap_err();
            assert!(error.fields.contains_key("timezone"), "{wrong}: {error:?}");
        }

        assert_eq!(get(&node, "node_config", pve1()).await, json!({}));
        let set = json!({"node": "pve1", "description": "the first", "location": "latitude=1,longitude=2"});
        node.call("node_config_update", set).await.unwrap();
        let config = get(&node, "node_config", pve1()).await;
        assert_eq!(config["description"], "the first");
        let one = get(
            &node,
            "node_config",
            json!({"node": "pve1", "property": "location"}),
        )
        .await;
        assert!(
            one.get("description").is_none() && one["location"].is_string(),
            "{one}"
        );
        let digest = config["digest"].clone();
        let delete = json!({"node": "pve1", "delete": "location", "digest": digest});
        node.call("node_config_update", delete.clone())
            .await
            .unwrap();
        let error = node.call("node_config_update", delete).await.unwrap_err();
        assert!(
            error.message.starts_with("detected modified configuration"),
            "{error}"
        );
        let error = node
            .call(
                "node_config_update",
                json!({"node": "pve1", "wakeonlan": "x"}),
            )
            .await;
        assert!(error.unwrap_err().fields.contains_key("wakeonlan"));

        // Without systemd, or to spare it, the node only logs what it would do.
        let first = std::fs::read_to_string("/proc/1/comm").unwrap();
        if first.trim() != "systemd" {
            let reboot = json!({"node": "pve1", "command": "reboot"});
            let error = node.call("node_power", reboot).await.unwrap_err();
            assert!(error.message.contains(first.trim()), "{error}");
        }
    });
}

#[test]
fn capabilities() {
    if left_out("capabilities") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |_| {}).await;
        let models = get(&node, "qemu_cpu_models", pve1()).await;
        let is_there = |name: &str| {
            models
                .as_array()
                .unwrap()
                .iter()
                .any(|model| model["name"] == name && model["custom"] == 0)
        };
        assert!(
            is_there("host") && is_there("x86-64-v2-AES") && is_there("qemu64"),
            "{models}"
        );
        let machines = get(
            &node,
            "qemu_machines",
            json!({"node": "pve1", "arch": "x86_64"}),
        )
        .await;
        assert!(
            machines[0]["id"].as_str().unwrap().starts_with("pc-"),
            "{machines}"
        );
        let other = node
            .call("qemu_machines", json!({"node": "pve1", "arch": "aarch64"}))
            .await;
        assert!(other.unwrap_err().fields.contains_key("arch"));
        let flags = get(&node, "qemu_cpu_flags", pve1()).await;
        assert!(
            flags
                .as_array()
                .unwrap()
                .iter()
                .any(|flag| flag["name"] == "pcid"),
            "{flags}"
        );
        let migration = get(&node, "qemu_migration_capabilities", pve1()).await;
        assert_eq!(migration, json!({"has-dbus-vmstate": 0}));
        let error = node
            .call("qemu_machines", json!({"node": "other"}))
            .await
            .unwrap_err();
        assert!(error.message.contains("other"), "{error}");
    });
}

#[test]
fn cluster_options() {
    if left_out("cluster_options") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |_| {}).await;
        let fresh = json!({"keyboard": "en-us", "description": "", "mac_prefix": "BC:24:11",
                       "allowed-tags": []});
        assert_eq!(get(&node, "cluster_options", json!({})).await, fresh);
        let set = json!({"mac_prefix": "02:00", "next-id": "lower=200,upper=210", "console": "html5",
        "registered-tags": "prod;lab", "tag-style": "shape=full,case-sensitive=1",
        "description": "ours", "keyboard": "de"});
        node.call("cluster_options_update", set).await.unwrap();
        let options = get(&node, "cluster_options", json!({})).await;
        assert_eq!(options["next-id"], json!({"lower": "200", "upper": "210"}));
        assert_eq!(
            options["tag-style"],
            json!({"shape": "full", "case-sensitive": 1})
        );
        assert_eq!(options["registered-tags"], json!(["prod", "lab"]));
        assert_eq!(options["allowed-tags"], json!(["lab", "prod"]));
        assert_eq!(get(&node, "cluster_nextid", json!({})).await, "200");
        // A card without an address gets one with the prefix in the cluster's options.
        let create = json!({"node": "pve1", "vmid": 200, "net0": "virtio"});
        assert_eq!(node.task("qemu_create", create).await, "OK");
        let config = get(&node, "qemu_config", json!({"node": "pve1", "vmid": 200})).await;
        assert!(
            config["net0"].as_str().unwrap().contains("02:00:"),
            "{config}"
        );
        for (name, value) in [
            ("ha", json!("shutdown_policy=never")),
            ("mac_prefix", json!("01:00")),
            ("next-id", json!("lower=10")),
            ("next-id", json!("lower=300,upper=200")),
        ] {
            let error = node
                .call("cluster_options_update", json!({name: value}))
                .await
                .unwrap_err();
            assert!(error.fields.contains_key(name), "{name}: {error:?}");
        }
        node.call(
            "cluster_options_update",
            json!({"delete": "next-id,console"}),
        )
        .await
        .unwrap();
        assert_eq!(get(&node, "cluster_nextid", json!({})).await, "100");
    });
}

// covers: S2.53
#[test]
fn cluster_nextid_reserve() {
    if left_out("cluster_nextid_reserve") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |store| put_guest(store, 100, &[]).await).await;
        let asked = (0..20).map(|_| node.call("cluster_nextid_reserve", json!({})));
        let mut given = BTreeSet::new();
        for answer in futures_util::future::join_all(asked).await {
            given.insert(answer.unwrap().data.as_str().unwrap().to_owned());
        }
        assert_eq!(given.len(), 20, "{given:?}");
        assert_eq!(get(&node, "cluster_nextid", json!({})).await, "121");
        assert_eq!(
            get(&node, "cluster_nextid", json!({"vmid": 4711})).await,
            "4711"
        );
        let error = node
            .call("cluster_nextid", json!({"vmid": 100}))
            .await
            .unwrap_err();
        assert_eq!(error.fields["vmid"], "VM 100 already exists");
    });
}

#[test]
fn cluster_status_tasks_and_log() {
    if left_out("cluster_status") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |store| put_guest(store, 100, &[]).await).await;
        let status = get(&node, "cluster_status", json!({})).await;
        let members = status.as_array().unwrap();
        // A single node is not a cluster: there is no row for one, and nothing needs quorum.
        assert_eq!(members.len(), 1);
        assert_eq!(
            (&members[0]["type"], &members[0]["online"]),
            (&json!("node"), &json!(1))
        );
        assert_eq!(get(&node, "cluster_tasks", json!({})).await, json!([]));
        let guest = json!({"node": "pve1", "vmid": 100});
        assert_eq!(node.task("qemu_stop", guest).await, "OK");
        let tasks = get(&node, "cluster_tasks", json!({})).await;
        assert_eq!(
            (&tasks[0]["type"], &tasks[0]["saved"]),
            (&json!("qmstop"), &json!("1"))
        );
        assert!(tasks[0].get("pid").is_none(), "{tasks}");
        let wrong = json!({"username": "nobody@pve", "password": "wrong"});
        assert!(node.call("ticket_create", wrong).await.is_err());
        let log = get(&node, "cluster_log", json!({})).await;
        let says = |text: &str| {
            let lines = log.as_array().unwrap();
            lines
                .iter()
                .filter(|line| line["msg"].as_str().unwrap().contains(text))
                .count()
        };
        assert_eq!(
            (
                says("starting task UPID:pve1:"),
                says("end task UPID:pve1:")
            ),
            (1, 1),
            "{log}"
        );
        assert_eq!(
            (says("user=nobody@pve"), says("starting cluster log")),
            (1, 1),
            "{log}"
        );
        let uids: BTreeSet<&str> = log
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line["uid"].as_str().unwrap())
            .collect();
        assert_eq!(uids.len(), log.as_array().unwrap().len());
        assert_eq!(
            get(&node, "cluster_log", json!({"max": 1}))
                .await
                .as_array()
                .unwrap()
                .len(),
            1
        );
        directories_and_lists(&node).await;
    });
}

/// The answers of the api without the agent.
async fn directories_and_lists(node: &TestNode) {
    let params = json!({"userid": "root@pam", "tokenid": "test", "privsep": 0});
    let token = node.call("token_create", params).await.unwrap().data;
    let (id, secret) = (token["full-tokenid"].as_str(), token["value"].as_str());
    let header = [(
        "Authorization",
        format!("PVEAPIToken={}={}", id.unwrap(), secret.unwrap()),
    )];
    let ask = async |path: &str| {
        let path = format!("/api2/json{path}");
        request(node.port, "GET", &path, &header, None).await.json()["data"].clone()
    };
    let cluster = ask("/cluster").await;
    assert!(
        cluster
            .as_array()
            .unwrap()
            .contains(&json!({"name": "nextid"})),
        "{cluster}"
    );
    let capabilities = ask("/nodes/pve1/capabilities/qemu").await;
    assert!(
        capabilities
            .as_array()
            .unwrap()
            .contains(&json!({"name": "cpu"})),
        "{capabilities}"
    );
    until("the node is online", async || {
        ask("/nodes").await[0]["status"] == "online"
    })
    .await;
    let nodes = ask("/nodes").await;
    assert_eq!(
        nodes[0]["ssl_fingerprint"].as_str().unwrap().len(),
        95,
        "{nodes}"
    );
}
