//! A node's facts on its host: interfaces, disks, services, names, certificates, devices, packages;
//! and the answers of areas in which nothing is configured.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::https::request;
use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, left_out, put_guest};

/// Fields whose recorded types differ from the schema.
const RECORDED: [&str; 4] = [".netmask6:", ".mtu:", ".osdid-list:", ".infos[].index:"];

async fn get(node: &TestNode, op: &str, more: Value) -> Value {
    let mut params = json!({"node": "pve1"});
    params
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let answer = node.call(op, params).await.unwrap().data;
    let row = proto::table::row(op).unwrap();
    let mut wrong = model::schema::check_shape(&row.returns, &answer);
    wrong.retain(|line| !RECORDED.iter().any(|field| line.contains(field)));
    assert!(wrong.is_empty(), "{op}: {wrong:#?} in {answer}");
    answer
}

fn rows(answer: &Value) -> &[Value] {
    answer.as_array().unwrap()
}

// covers: S0.6
#[test]
fn interfaces_disks_and_devices_are_the_hosts() {
    with_bridge(async {
        if left_out("the host of a node") {
            return;
        }
        let node = TestNode::start(async |_| {}).await;
        let interfaces = get(&node, "network_list", json!({})).await;
        for interface in rows(&interfaces) {
            let name = interface["iface"].as_str().unwrap();
            assert_ne!(name, "lo");
            let is_there = Path::new("/sys/class/net").join(name).exists();
            assert!(is_there || interface["exists"].is_null(), "{interface}");
            let one = get(&node, "network_get", json!({"iface": name})).await;
            assert_eq!(one["type"], interface["type"]);
        }
        let error = node
            .call("network_get", json!({"node": "pve1", "iface": "eno77"}))
            .await
            .unwrap_err();
        assert_eq!(error.fields["iface"], "interface does not exist");

        let disks = get(&node, "disk_list", json!({"include-partitions": 1})).await;
        for disk in rows(&disks) {
            let path = disk["devpath"].as_str().unwrap();
            assert!(Path::new(path).exists(), "{disk}");
            assert!(disk["size"].as_u64().unwrap() > 0, "{disk}");
        }
        let unused = get(
            &node,
            "disk_list",
            json!({"type": "unused", "skipsmart": 1}),
        )
        .await;
        assert!(rows(&unused).iter().all(|disk| disk["used"].is_null()));

        let all = get(&node, "pci_list", json!({"pci-class-blacklist": ""})).await;
        let found = std::fs::read_dir("/sys/bus/pci/devices").map_or(0, Iterator::count);
        assert_eq!(rows(&all).len(), found);
        let shown = get(&node, "pci_list", json!({})).await;
        let is_bridge = |device: &&Value| device["class"].as_str().unwrap().starts_with("0x06");
        assert_eq!(rows(&shown).iter().filter(is_bridge).count(), 0);
        get(&node, "usb_list", json!({})).await;
        let types = get(
            &node,
            "pci_mdev_list",
            json!({"pci-id-or-mapping": "99:00.0"}),
        )
        .await;
        assert_eq!(types, json!([]));
    });
}

#[test]
fn names_services_certificates_and_packages() {
    with_bridge(async {
        if left_out("the services of a node") {
            return;
        }
        let node = TestNode::start(async |_| {}).await;
        std::fs::write(
            node.root.join("etc/resolv.conf"),
            "search a.example\nnameserver 192.0.2.1\n",
        )
        .unwrap();
        let dns = get(&node, "node_dns", json!({})).await;
        assert_eq!(dns, json!({"search": "a.example", "dns1": "192.0.2.1"}));
        let hosts = get(&node, "node_hosts", json!({})).await;
        assert_eq!(
            hosts["data"],
            std::fs::read_to_string("/etc/hosts").unwrap()
        );
        assert_eq!(hosts["digest"].as_str().unwrap().len(), 40);

        let services = get(&node, "service_list", json!({})).await;
        let state = |name: &str| {
            let mut found = rows(&services).iter().filter(|row| row["service"] == name);
            found.next().unwrap()["state"].clone()
        };
        // Even under systemd, this node is not a unit of it.
        let has_systemd = std::fs::read_to_string("/proc/1/comm").unwrap().trim() == "systemd";
        if !has_systemd {
            assert_eq!(
                (state("pvedaemon"), state("pveproxy")),
                ("running".into(), "running".into())
            );
        }
        assert_eq!(state("spiceproxy"), "dead");
        let one = get(&node, "service_state", json!({"service": "cron"})).await;
        assert_eq!(one["state"], state("cron"));

        let certificates = get(&node, "certificates_info", json!({})).await;
        let [authority, served] = rows(&certificates) else {
            panic!("not two certificates: {certificates}")
        };
        assert_eq!(served["issuer"], authority["subject"]);
        assert_eq!(served["subject"], "/O=Ostler/CN=pve1");
        assert!(
            rows(&served["san"]).contains(&"localhost".into()),
            "{served}"
        );
        let file = std::fs::read_to_string(node.root.join("var/lib/ostler/tls/ca.pem")).unwrap();
        assert_eq!(authority["pem"].as_str().unwrap().trim(), file.trim());

        packages(&node).await;
    });
}

async fn packages(node: &TestNode) {
    let packages = get(node, "apt_versions", json!({})).await;
    let mut qemu = rows(&packages)
        .iter()
        .filter(|row| row["Package"] == "qemu-system-x86");
    assert_eq!(
        qemu.next().unwrap()["CurrentState"],
        "Installed",
        "{packages}"
    );
    get(node, "apt_update_list", json!({})).await;
    get(node, "apt_repositories", json!({})).await;
    let wrong = json!({"node": "pve1", "name": "swtpm", "version": "1 -o x"});
    let error = node.call("apt_changelog", wrong).await.unwrap_err();
    assert!(error.fields.contains_key("version"), "{error:?}");
    let subscription = get(node, "subscription", json!({})).await;
    assert_eq!(
        (
            &subscription["status"],
            subscription["serverid"].as_str().unwrap().len()
        ),
        (&json!("notfound"), 32)
    );
}

#[test]
fn what_is_not_configured_is_told_as_empty() {
    with_bridge(async {
        if left_out("areas without configuration") {
            return;
        }
        let node = TestNode::start(async |store| {
            put_guest(store, 100, &[("name", "web".into())]).await;
        })
        .await;
        for (op, params) in [
            ("aplinfo", json!({"node": "pve1"})),
            ("backup_list", json!({})),
            ("cluster_config_nodes", json!({})),
            ("ha_resource_list", json!({})),
            ("ha_rule_list", json!({})),
            ("node_replication_list", json!({"node": "pve1"})),
            ("realm_sync_list", json!({})),
            ("replication_list", json!({})),
        ] {
            assert_eq!(node.call(op, params).await.unwrap().data, json!([]), "{op}");
        }
        let guests = node.call("not_backed_up", json!({})).await.unwrap().data;
        assert_eq!(
            guests,
            json!([{"vmid": 100, "type": "qemu", "name": "web"}])
        );
        let state = node
            .call("ha_status_current", json!({}))
            .await
            .unwrap()
            .data;
        assert_eq!(
            (&state[0]["type"], &state[0]["quorate"]),
            (&json!("quorum"), &json!(1))
        );
        what_is_named_is_not_there(&node).await;
        over_the_wire(&node).await;
    });
}

async fn what_is_named_is_not_there(node: &TestNode) {
    for (op, params, text) in [
        (
            "ha_resource_get",
            json!({"sid": "vm:100"}),
            "no such resource 'vm:100'",
        ),
        (
            "ha_resource_get",
            json!({"sid": "100"}),
            "no such resource 'vm:100'",
        ),
        (
            "ha_rule_get",
            json!({"rule": "r1"}),
            "HA rule 'r1' does not exist",
        ),
        (
            "replication_get",
            json!({"id": "100-0"}),
            "no such replication job '100-0'",
        ),
        (
            "qemu_rrddata",
            json!({"node": "pve1", "vmid": 999, "timeframe": "hour"}),
            "Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist",
        ),
        (
            "storage_rrddata",
            json!({"node": "pve1", "storage": "nope", "timeframe": "day"}),
            "storage 'nope' does not exist",
        ),
    ] {
        assert_eq!(
            node.call(op, params).await.unwrap_err().message,
            text,
            "{op}"
        );
    }
    let error = node
        .call("backup_get", json!({"id": "nope"}))
        .await
        .unwrap_err();
    assert_eq!(error.fields["id"], "No such job 'nope'");
}

/// Facts that clients read outside of the answers' data.
async fn over_the_wire(node: &TestNode) {
    let token = json!({"userid": "root@pam", "tokenid": "t1", "privsep": 0});
    let token = node.call("token_create", token).await.unwrap().data;
    let secret = token["value"].as_str().unwrap();
    let header = [("Authorization", format!("PVEAPIToken=root@pam!t1={secret}"))];
    let ask = async |path: &str| {
        let path = format!("/api2/json{path}");
        request(node.port, "GET", &path, &header, None).await
    };
    // The caller learns from it that the node is in no cluster.
    let alone = ask("/cluster/config/join").await;
    let said = "node is not in a cluster, no join info available!";
    assert_eq!(alone.status_line, format!("HTTP/1.1 424 {said}"));
    for (path, entry) in [
        ("/cluster/ha", json!({"id": "resources"})),
        ("/cluster/config", json!({"name": "totem"})),
        ("/cluster/jobs", json!({"subdir": "realm-sync"})),
        ("/nodes/pve1/disks", json!({"name": "list"})),
        ("/nodes/pve1/apt", json!({"id": "update"})),
        ("/nodes/pve1/hardware", json!({"type": "pci"})),
        (
            "/nodes/pve1/hardware/pci/00:01.0",
            json!({"method": "mdev"}),
        ),
        ("/nodes/pve1/services/cron", json!({"subdir": "state"})),
        ("/nodes/pve1/replication/100-0", json!({"name": "log"})),
    ] {
        let listed = ask(path).await.json()["data"].clone();
        assert!(rows(&listed).contains(&entry), "{path}: {listed}");
    }
    // Writes in these areas are not built.
    let path = "/api2/json/cluster/ha/resources";
    let answer = request(node.port, "POST", path, &header, None).await;
    assert_eq!(answer.status(), 501);
}
