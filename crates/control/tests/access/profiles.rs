//! Profiles of virtual machines: kept, and refused where no machine could be made of them.

use model::{GuestRecord, VmId};
use serde_json::{Value, json};

use super::bench::{Bench, JANE};

/// A template and a machine that is none.
async fn bench() -> Bench {
    let bench = Bench::with_jane().await;
    bench.add_local().await;
    bench.add_guest(9000, "ubuntu").await;
    bench.add_guest(100, "web").await;
    let template = |guest: &mut GuestRecord| {
        guest.config.set("template", 1);
        Ok(())
    };
    let records = &bench.context.node.records;
    records
        .change_guest(VmId::new(9000).unwrap(), template)
        .await
        .unwrap();
    bench
}

/// S4.7's class of nodes for Kubernetes.
fn kubernetes() -> Value {
    json!({"profile": "k8s-node", "comment": "Kubernetes", "from": 9000, "disk-size": "scsi0=40G",
        "cores": 4, "memory": "8192", "balloon": 4096, "cpu": "host", "scsihw": "virtio-scsi-pci"})
}

async fn refused(bench: &Bench, op: &str, params: Value, field: &str) -> String {
    let error = bench.root().error(op, params).await;
    let text = error.fields.get(field);
    text.unwrap_or_else(|| panic!("{op}: {error:?}")).clone()
}

#[tokio::test]
async fn a_profile_is_added_shown_changed_and_removed() {
    let bench = bench().await;
    let root = bench.root();
    root.ok("profile_create", kubernetes()).await;
    let taken = refused(&bench, "profile_create", kubernetes(), "profile").await;
    assert_eq!(taken, "profile 'k8s-node' already exists");
    let one = json!({"profile": "k8s-node"});
    let shown = root.ok("profile_get", one.clone()).await;
    for (name, value) in kubernetes().as_object().unwrap() {
        assert_eq!(shown[name], *value, "{name}");
    }
    assert_eq!(root.ok("profile_list", json!({})).await, json!([shown]));
    let change =
        json!({"profile": "k8s-node", "cores": 8, "delete": "balloon", "digest": shown["digest"]});
    root.ok("profile_update", change.clone()).await;
    let changed = root.ok("profile_get", one.clone()).await;
    assert_eq!(
        (&changed["cores"], changed.get("balloon")),
        (&json!(8), None)
    );
    let card =
        json!({"profile": "k8s-node", "net0": "virtio,bridge=vmbr0", "ipconfig0": "ip=dhcp"});
    root.ok("profile_update", card).await;
    let no_card = json!({"profile": "k8s-node", "delete": "net0,ipconfig0,comment"});
    root.ok("profile_update", no_card).await;
    let shown = root.ok("profile_get", one.clone()).await;
    assert!(
        ["net0", "ipconfig0", "comment"]
            .iter()
            .all(|name| shown.get(name).is_none()),
        "{shown}"
    );
    for (delete, word) in [
        ("nets", "no such option 'nets'"),
        ("profile", "no such option"),
        ("net99", "no such option"),
    ] {
        let params = json!({"profile": "k8s-node", "delete": delete});
        let error = root.error("profile_update", params).await;
        assert!(error.message.contains(word), "{delete}: {error}");
    }
    let stale = root.error("profile_update", change).await;
    assert!(
        stale.message.contains("detected modified configuration"),
        "{stale}"
    );
    root.ok("profile_delete", one.clone()).await;
    assert_eq!(
        refused(&bench, "profile_get", one, "profile").await,
        "no such profile 'k8s-node'"
    );
}

#[tokio::test]
async fn a_profile_of_which_no_machine_could_be_made_is_refused() {
    let bench = bench().await;
    for (more, field, word) in [
        (json!({"from": 100}), "from", "100 is no template"),
        (json!({"from": 999}), "from", "999 is no template"),
        (
            json!({"scsi0": "local:32"}),
            "scsi0",
            "those of the template",
        ),
        (json!({"disk-size": "scsi0=big"}), "disk-size", "DISK=SIZE"),
        (
            json!({"cipassword": "secret"}),
            "cipassword",
            "when a machine is made",
        ),
        (json!({"name": "web"}), "name", "when a machine is made"),
        (json!({"cores": 0}), "cores", "minimum"),
        (json!({"net0": "virtio,bridg=vmbr0"}), "net0", "bridg"),
    ] {
        let mut params = kubernetes();
        for (name, value) in more.as_object().unwrap() {
            params[name] = value.clone();
        }
        let why = refused(&bench, "profile_create", params, field).await;
        assert!(why.contains(word), "{more}: {why}");
    }
    let alone = json!({"profile": "p1", "cores": 2, "full": 1});
    assert_eq!(
        refused(&bench, "profile_create", alone, "full").await,
        "only together with 'from'"
    );
    assert_eq!(bench.root().ok("profile_list", json!({})).await, json!([]));
}

/// What a caller may not do without a profile is not possible with one.
#[tokio::test]
async fn machines_of_a_profile_need_the_rights_of_their_creation() {
    let bench = bench().await;
    let root = bench.root();
    root.ok("profile_create", kubernetes()).await;
    let plain = json!({"profile": "small", "cores": 1, "memory": "512"});
    root.ok("profile_create", plain).await;
    let make = |profile: &str| json!({"node": "pve1", "profile": profile, "vmid": 200});
    let jane = bench.jane().await;
    for profile in ["small", "k8s-node"] {
        let error = jane.error("profile_instances", make(profile)).await;
        assert!(error.message.contains("VM.Allocate"), "{profile}: {error}");
    }
    for (path, role) in [("/vms/200", "PVEVMAdmin")] {
        let acl = json!({"path": path, "roles": role, "users": JANE});
        root.ok("acl_update", acl).await;
    }
    let jane = bench.jane().await;
    let made = jane.ok("profile_instances", make("small")).await;
    assert_eq!(made[0]["vmid"], 200);
    assert_eq!(bench.finished(&made[0]["upid"]).await, "OK");
    // The template is another matter.
    let acl = json!({"path": "/vms/201", "roles": "PVEVMAdmin", "users": JANE});
    root.ok("acl_update", acl).await;
    let jane = bench.jane().await;
    let from = json!({"node": "pve1", "profile": "k8s-node", "vmid": 201});
    let error = jane.error("profile_instances", from).await;
    assert!(error.message.contains("/vms/9000"), "{error}");
}

// covers: S1.46
#[tokio::test]
async fn several_machines_get_numbers_and_names_of_their_own() {
    let bench = bench().await;
    let root = bench.root();
    for (profile, cores, memory) in [
        ("infrastructure", 2, "4096"),
        ("application", 8, "32768"),
        ("hpc", 12, "65536"),
    ] {
        let class = json!({"profile": profile, "cores": cores, "memory": memory});
        root.ok("profile_create", class).await;
    }
    let three =
        json!({"node": "pve1", "profile": "application", "name": "app", "count": 3, "cores": 6});
    let made = root.ok("profile_instances", three).await;
    for (number, row) in (1..).zip(made.as_array().unwrap()) {
        assert_eq!(bench.finished(&row["upid"]).await, "OK");
        let about = json!({"node": "pve1", "vmid": row["vmid"]});
        let config = root.ok("qemu_config", about).await;
        assert_eq!(config["name"], format!("app-{number}"));
        // What is given here replaces what the profile has.
        assert_eq!(
            (&config["cores"], &config["memory"]),
            (&json!(6), &json!("32768"))
        );
    }
    assert_eq!(made.as_array().unwrap().len(), 3);
    let one = json!({"node": "pve1", "profile": "hpc", "vmid": 100});
    let taken = root.error("profile_instances", one).await;
    assert!(taken.message.contains("VM 100 already exists"), "{taken}");
    for (more, field) in [
        (json!({"vmid": 300, "count": 2}), "vmid"),
        (json!({"storage": "local"}), "storage"),
        (json!({"profile": "none"}), "profile"),
    ] {
        let mut params = json!({"node": "pve1", "profile": "hpc"});
        for (name, value) in more.as_object().unwrap() {
            params[name] = value.clone();
        }
        refused(&bench, "profile_instances", params, field).await;
    }
}
