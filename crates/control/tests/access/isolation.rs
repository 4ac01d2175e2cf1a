//! Guests that do not reach each other, and the tags that say so.

use serde_json::json;

use super::bench::{Bench, JANE};

/// Jane may change guest 100.
async fn bench() -> Bench {
    let bench = Bench::with_jane().await;
    bench.add_local().await;
    bench.add_guest(100, "web").await;
    let acl = json!({"path": "/vms/100", "roles": "PVEVMAdmin", "users": JANE});
    bench.root().ok("acl_update", acl).await;
    bench
}

#[tokio::test]
async fn a_policy_names_pools_that_are_there() {
    let bench = bench().await;
    let root = bench.root();
    let refused = root
        .error("ostler_isolation_update", json!({"pools": "tenants"}))
        .await;
    assert_eq!(refused.fields["pools"], "pool 'tenants' does not exist");
    root.ok("pool_create", json!({"poolid": "tenants"})).await;
    let policy = json!({"pools": "tenants", "tags": "customer", "bridges": "vmbr1"});
    root.ok("ostler_isolation_update", policy.clone()).await;
    let mut shown = root.ok("ostler_isolation", json!({})).await;
    shown.as_object_mut().unwrap().remove("digest");
    assert_eq!(shown, policy);
    let refused = bench
        .jane()
        .await
        .error("ostler_isolation_update", json!({"delete": "tags"}))
        .await;
    assert_eq!(refused.kind, model::ErrorKind::Forbidden);
    let delete = json!({"delete": "tags,pools"});
    root.ok("ostler_isolation_update", delete).await;
    let shown = root.ok("ostler_isolation", json!({})).await;
    assert_eq!(shown["bridges"], "vmbr1");
    assert!(shown.get("tags").is_none());
}

/// covers: S2.70
#[tokio::test]
async fn tags_are_given_by_those_who_may() {
    let bench = bench().await;
    let root = bench.root();
    let tagged = |tags: &str| json!({"node": "pve1", "vmid": 100, "tags": tags});
    root.ok("qemu_configure", tagged("customer;prod;web")).await;
    let options = json!({"registered-tags": "prod"});
    root.ok("cluster_options_update", options).await;
    let isolation = json!({"tags": "customer"});
    root.ok("ostler_isolation_update", isolation).await;
    let jane = bench.jane().await;
    let refused =
        |tag: &str| format!("Permission check failed (/, Sys.Modify for modifying tag '{tag}')");
    for (tags, tag) in [
        ("customer;web", "prod"),
        ("prod;web", "customer"),
        ("", "customer"),
    ] {
        let error = jane.error("qemu_configure", tagged(tags)).await;
        assert_eq!(error.kind, model::ErrorKind::Forbidden);
        assert_eq!(error.message, refused(tag), "{tags}");
    }
    let delete = json!({"node": "pve1", "vmid": 100, "delete": "tags"});
    let error = jane.error("qemu_configure", delete).await;
    assert_eq!(error.message, refused("customer"));
    // What stays is not asked for; what is free is.
    jane.ok("qemu_configure", tagged("customer;prod;mine"))
        .await;
    let access = json!({"user-tag-access": "user-allow=list,user-allow-list=web"});
    root.ok("cluster_options_update", access).await;
    let error = jane.error("qemu_configure", tagged("customer;prod")).await;
    assert_eq!(error.message, refused("mine"));
    jane.ok("qemu_configure", tagged("customer;prod;mine;web"))
        .await;
    let access = json!({"user-tag-access": "user-allow=existing"});
    root.ok("cluster_options_update", access).await;
    let error = jane
        .error("qemu_configure", tagged("customer;prod;mine;web;new"))
        .await;
    assert_eq!(error.message, refused("new"));
    jane.ok("qemu_configure", tagged("customer;prod")).await;
    root.ok("qemu_configure", tagged("")).await;
}
