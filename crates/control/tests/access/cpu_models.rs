//! Processor models of the cluster's own.

use serde_json::{Value, json};

use super::bench::{Bench, JANE};

#[tokio::test]
async fn a_model_is_added_shown_changed_and_removed() {
    let bench = Bench::new().await;
    let root = bench.root();
    assert_eq!(root.ok("custom_cpu_model_list", json!({})).await, json!([]));
    let my = json!({"cputype": "custom-my", "reported-model": "kvm64", "flags": "+aes;-pcid"});
    root.ok("custom_cpu_model_create", my.clone()).await;
    let taken = root.error("custom_cpu_model_create", my).await.message;
    assert_eq!(taken, "custom CPU model 'my' already exists");
    let shown = root
        .ok("custom_cpu_model_get", json!({"cputype": "custom-my"}))
        .await;
    let digest = shown["digest"].as_str().unwrap().to_owned();
    assert_eq!(
        shown,
        json!({
            "cputype": "custom-my", "reported-model": "kvm64", "flags": "+aes;-pcid",
            "digest": digest,
        })
    );
    // The prefix may be left out.
    assert_eq!(
        root.ok("custom_cpu_model_get", json!({"cputype": "my"}))
            .await,
        shown
    );
    let missing = root
        .error("custom_cpu_model_get", json!({"cputype": "custom-nope"}))
        .await;
    assert_eq!(missing.message, "Custom cputype 'nope' not found");
    for op in ["custom_cpu_model_update", "custom_cpu_model_delete"] {
        let missing = root.error(op, json!({"cputype": "nope"})).await;
        assert_eq!(missing.message, "Custom cputype 'nope' not found");
    }
    let wrong = json!({"cputype": "custom-my", "phys-bits": "7"});
    let wrong = root.error("custom_cpu_model_update", wrong).await;
    assert!(
        wrong.fields["phys-bits"].contains("between 8 and 64"),
        "{wrong}"
    );
    let stale = json!({"cputype": "my", "digest": "0".repeat(40), "hidden": 1});
    let stale = root.error("custom_cpu_model_update", stale).await.message;
    assert!(
        stale.starts_with("detected modified configuration"),
        "{stale}"
    );
    let required = json!({"cputype": "my", "delete": "reported-model"});
    let required = root
        .error("custom_cpu_model_update", required)
        .await
        .message;
    assert_eq!(
        required,
        "unable to delete required option 'reported-model'"
    );
    let change = json!({"cputype": "my", "delete": "flags", "hidden": 1, "digest": digest});
    root.ok("custom_cpu_model_update", change).await;
    let rows = root.ok("custom_cpu_model_list", json!({})).await;
    assert_eq!(
        (&rows[0]["flags"], &rows[0]["hidden"]),
        (&Value::Null, &json!(true))
    );
    root.ok("custom_cpu_model_delete", json!({"cputype": "my"}))
        .await;
    assert_eq!(root.ok("custom_cpu_model_list", json!({})).await, json!([]));
}

#[tokio::test]
async fn a_guest_takes_a_model_that_exists_and_keeps_it_from_removal() {
    let bench = Bench::new().await;
    bench.add_guest(100, "web").await;
    let root = bench.root();
    let change = json!({"node": "pve1", "vmid": 100, "cpu": "custom-my,flags=+aes"});
    let missing = root.error("qemu_configure", change.clone()).await;
    assert_eq!(
        missing.fields["cpu"],
        "invalid format - Custom cputype 'my' not found\n"
    );
    let create = json!({"node": "pve1", "vmid": 101, "cpu": "custom-my"});
    let missing = root.error("qemu_create", create).await;
    assert!(missing.fields.contains_key("cpu"), "{missing}");
    let my = json!({"cputype": "my", "reported-model": "Westmere"});
    root.ok("custom_cpu_model_create", my).await;
    root.ok("qemu_configure", change).await;
    let used = root
        .error("custom_cpu_model_delete", json!({"cputype": "my"}))
        .await;
    assert_eq!(used.message, "custom CPU model 'my' is used by VM 100");
    let other = json!({"node": "pve1", "vmid": 100, "delete": "cpu"});
    root.ok("qemu_configure", other).await;
    root.ok("custom_cpu_model_delete", json!({"cputype": "my"}))
        .await;
}

#[tokio::test]
async fn a_model_needs_a_right_to_be_seen_and_used() {
    let bench = Bench::with_jane().await;
    bench.add_guest(100, "web").await;
    let root = bench.root();
    let my = json!({"cputype": "my", "reported-model": "Westmere"});
    root.ok("custom_cpu_model_create", my).await;
    let admin = json!({"path": "/vms/100", "users": JANE, "roles": "PVEVMAdmin"});
    root.ok("acl_update", admin).await;
    let jane = bench.jane().await;
    assert_eq!(jane.ok("custom_cpu_model_list", json!({})).await, json!([]));
    let change = json!({"node": "pve1", "vmid": 100, "cpu": "custom-my"});
    let refused = jane.error("qemu_configure", change.clone()).await.message;
    assert_eq!(
        refused,
        "Permission check failed (/mapping/cpu/custom-my, Mapping.Use)"
    );
    let user = json!({"path": "/mapping/cpu/custom-my", "users": JANE, "roles": "PVEMappingUser"});
    root.ok("acl_update", user).await;
    let rows = jane.ok("custom_cpu_model_list", json!({})).await;
    assert_eq!(rows[0]["cputype"], "custom-my");
    jane.ok("qemu_configure", change).await;
}
