//! Tiers: kept, and refused where they are about nothing; their tags need the right to change the cluster.

use model::ErrorKind;
use serde_json::json;

use super::bench::{Bench, JANE};

#[tokio::test]
async fn a_tier_is_added_shown_changed_and_removed() {
    let bench = Bench::with_jane().await;
    let root = bench.root();
    let gold = json!({"tier": "gold", "tags": "db", "sync": "always", "priority": 5,
        "recordsize": "16K", "reservation": "20G"});
    root.ok("tier_create", gold.clone()).await;
    let taken = root.error("tier_create", gold.clone()).await;
    assert_eq!(taken.fields["tier"], "tier 'gold' already exists");
    let one = json!({"tier": "gold"});
    let shown = root.ok("tier_get", one.clone()).await;
    for (name, value) in gold.as_object().unwrap() {
        assert_eq!(shown[name], *value, "{name}");
    }
    assert_eq!(root.ok("tier_list", json!({})).await, json!([shown]));
    let change = json!({"tier": "gold", "compression": "zstd", "delete": "recordsize",
        "digest": shown["digest"]});
    root.ok("tier_update", change.clone()).await;
    let stale = root.error("tier_update", change).await;
    assert_eq!(stale.kind, ErrorKind::Conflict);
    let changed = root.ok("tier_get", one.clone()).await;
    assert_eq!(changed["compression"], "zstd");
    assert!(changed.get("recordsize").is_none());
    let jane = bench.jane().await;
    assert_eq!(jane.ok("tier_get", one.clone()).await, changed);
    for op in ["tier_delete", "tier_update"] {
        let refused = jane.error(op, one.clone()).await;
        assert_eq!(refused.kind, ErrorKind::Forbidden);
    }
    root.ok("tier_delete", one.clone()).await;
    let gone = root.error("tier_get", one).await;
    assert_eq!(gone.fields["tier"], "no such tier 'gold'");
}

/// What is refused changes nothing.
#[tokio::test]
async fn a_tier_has_guests_and_properties() {
    let bench = Bench::with_jane().await;
    let root = bench.root();
    for (tier, field, reason) in [
        (
            json!({"sync": "always"}),
            "tags",
            "a tier needs tags or pools of its guests",
        ),
        (
            json!({"tags": "db"}),
            "tier",
            "a tier needs a property of its volumes",
        ),
        (
            json!({"pools": "prod", "sync": "always"}),
            "pools",
            "pool 'prod' does not exist",
        ),
    ] {
        let mut params = tier;
        params["tier"] = "t1".into();
        let refused = root.error("tier_create", params).await;
        assert_eq!(refused.fields[field], reason);
    }
    for (property, value) in [
        ("sync", "never"),
        ("volblocksize", "12K"),
        ("reservation", "-1"),
        ("copies", "4"),
        ("refreservation", "10G"),
    ] {
        let params = json!({"tier": "t1", "tags": "db", property: value});
        let refused = root.error("tier_create", params).await;
        assert!(refused.fields.contains_key(property), "{refused:?}");
    }
    assert_eq!(root.ok("tier_list", json!({})).await, json!([]));
    root.ok(
        "tier_create",
        json!({"tier": "t1", "tags": "db", "sync": "always"}),
    )
    .await;
    let refused = root
        .error("tier_update", json!({"tier": "t1", "delete": "tags"}))
        .await;
    assert!(refused.fields.contains_key("tags"), "{refused:?}");
}

/// covers: S4.14
#[tokio::test]
async fn the_tag_of_a_tier_needs_the_right_to_change_the_cluster() {
    let bench = Bench::with_jane().await;
    bench.add_local().await;
    bench.add_guest(100, "web").await;
    let acl = json!({"path": "/vms/100", "roles": "PVEVMAdmin", "users": JANE});
    let root = bench.root();
    root.ok("acl_update", acl).await;
    let gold = json!({"tier": "gold", "tags": "db", "sync": "disabled"});
    root.ok("tier_create", gold).await;
    let tagged = |tags: &str| json!({"node": "pve1", "vmid": 100, "tags": tags});
    let jane = bench.jane().await;
    let refused = jane.error("qemu_configure", tagged("db;web")).await;
    let text = "Permission check failed (/, Sys.Modify for modifying tag 'db')";
    assert_eq!(refused.message, text);
    jane.ok("qemu_configure", tagged("web")).await;
    root.ok("qemu_configure", tagged("db")).await;
}

#[tokio::test]
async fn a_storage_without_such_properties_is_refused_by_name() {
    let bench = Bench::with_jane().await;
    bench.add_local().await;
    let root = bench.root();
    for op in ["tier_volumes", "tier_apply"] {
        let of_local = json!({"node": "pve1", "storage": "local"});
        let refused = root.error(op, of_local).await;
        let text = "storage 'local' has no properties of volumes";
        assert_eq!(refused.fields["storage"], text);
        let all = root.ok(op, json!({"node": "pve1"})).await;
        assert_eq!(all, json!({"volumes": [], "failed": []}));
    }
}
