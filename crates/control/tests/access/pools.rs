//! Pools and their members.

use super::bench::{Bench, JANE};
use serde_json::json;

#[tokio::test]
async fn pools_are_made_filled_shown_emptied_and_removed() {
    let bench = Bench::new().await;
    let root = bench.root();
    assert_eq!(root.ok("pool_list", json!({})).await, json!([]));
    root.ok("pool_create", json!({"poolid": "p1", "comment": "c"}))
        .await;
    bench.add_guest(100, "web").await;
    bench.add_local().await;
    root.ok(
        "pool_update",
        json!({"poolid": "p1", "vms": "100", "storage": "local"}),
    )
    .await;
    let pool = root
        .ok("pool_get", json!({"poolid": "p1", "type": "qemu"}))
        .await;
    let member = json!({
        "type": "qemu", "node": "pve1", "status": "unknown", "id": "qemu/100", "vmid": 100,
        "name": "web",
    });
    assert_eq!(
        pool,
        json!({"members": [member], "comment": "c", "poolid": "p1"})
    );
    let named = root.ok("pool_list", json!({"poolid": "p1"})).await;
    assert_eq!(named[0]["members"].as_array().unwrap().len(), 2);
    assert_eq!(
        root.ok("pool_list", json!({})).await,
        json!([{"poolid": "p1", "comment": "c"}])
    );
    let delete = json!({"poolid": "p1"});
    let full = root.error("pool_delete_by_path", delete.clone()).await;
    let text = "delete pool failed: pool 'p1' is not empty (contains VM 100)";
    assert_eq!(full.message, text);
    root.ok(
        "pool_update",
        json!({"poolid": "p1", "vms": "100", "delete": 1}),
    )
    .await;
    let full = root.error("pool_delete", delete.clone()).await;
    let text = "delete pool failed: pool 'p1' is not empty (contains storage 'local')";
    assert_eq!(full.message, text);
    let remove = json!({"poolid": "p1", "storage": "local", "delete": 1});
    root.ok("pool_update_by_path", remove).await;
    root.ok("pool_delete", delete.clone()).await;
    let missing = root.error("pool_delete", delete.clone()).await;
    assert_eq!(
        missing.message,
        "delete pool failed: pool 'p1' does not exist"
    );
    let missing = root.error("pool_get", json!({"poolid": "nope"})).await;
    assert_eq!(missing.message, "pool 'nope' does not exist");
}

#[tokio::test]
async fn what_is_gone_is_no_member_and_keeps_no_pool() {
    let bench = Bench::new().await;
    let root = bench.root();
    root.ok("pool_create", json!({"poolid": "p1"})).await;
    let members = json!({"poolid": "p1", "vms": "998", "storage": "nope"});
    root.ok("pool_update", members).await;
    let pool = root.ok("pool_get", json!({"poolid": "p1"})).await;
    assert_eq!(pool["members"], json!([]));
    root.ok("pool_delete", json!({"poolid": "p1"})).await;
}

#[tokio::test]
async fn a_guest_is_in_one_pool_and_moves_only_when_told() {
    let bench = Bench::new().await;
    let root = bench.root();
    for pool in ["p1", "p2", "p1/inner"] {
        root.ok("pool_create", json!({"poolid": pool})).await;
    }
    root.ok("pool_update", json!({"poolid": "p1", "vms": "100"}))
        .await;
    let join = |pool: &str| json!({"poolid": pool, "vms": "100"});
    let again = root.error("pool_update", join("p1")).await;
    assert_eq!(
        again.message,
        "update pools failed: VM 100 is already a pool member"
    );
    let other = root.error("pool_update", join("p2")).await;
    let text =
        "update pools failed: VM 100 belongs already to pool 'p1' and 'allow-move' is not set";
    assert_eq!(other.message, text);
    root.ok(
        "pool_update",
        json!({"poolid": "p2", "vms": "100", "allow-move": 1}),
    )
    .await;
    let gone = root
        .error(
            "pool_update",
            json!({"poolid": "p1", "vms": "100", "delete": 1}),
        )
        .await;
    assert_eq!(
        gone.message,
        "update pools failed: VM 100 is not a pool member"
    );
    for (poolid, text) in [
        ("p1", "create pool failed: pool 'p1' already exists"),
        (
            "x/y",
            "create pool failed: parent 'x' of pool 'x/y' does not exist",
        ),
    ] {
        assert_eq!(
            root.error("pool_create", json!({"poolid": poolid}))
                .await
                .message,
            text
        );
    }
    let nested = root.error("pool_delete", json!({"poolid": "p1"})).await;
    assert!(
        nested.message.contains("contains pool 'p1/inner'"),
        "{}",
        nested.message
    );
}

// covers: S2.55
#[tokio::test]
async fn members_of_a_pool_are_managed_by_whoever_owns_both() {
    let bench = Bench::with_jane().await;
    let (root, jane) = (bench.root(), bench.jane().await);
    root.ok("pool_create", json!({"poolid": "p1"})).await;
    root.ok("pool_create", json!({"poolid": "p2"})).await;
    root.ok("pool_update", json!({"poolid": "p2", "vms": "200"}))
        .await;
    let grant = json!({"path": "/pool/p1", "users": JANE, "roles": "PVEPoolAdmin,PVEVMAdmin"});
    root.ok("acl_update", grant).await;
    assert_eq!(
        jane.ok("pool_list", json!({})).await,
        json!([{"poolid": "p1"}])
    );
    let add = json!({"poolid": "p1", "vms": "100"});
    let text = "Permission check failed (/vms/100, Permissions.Modify|VM.Allocate)";
    assert_eq!(jane.error("pool_update", add.clone()).await.message, text);
    root.ok("pool_update", add).await;
    let shown = jane
        .ok("permissions_get", json!({"path": "/vms/100"}))
        .await;
    assert_eq!(
        shown["/vms/100"]["VM.PowerMgmt"], 0,
        "granted here, not below"
    );
    root.ok(
        "acl_update",
        json!({"path": "/vms", "users": JANE, "roles": "PVEVMAdmin"}),
    )
    .await;
    let take = json!({"poolid": "p1", "vms": "200", "allow-move": 1});
    let text = "Permission check failed (/pool/p2, Pool.Allocate)";
    assert_eq!(jane.error("pool_update", take).await.message, text);
    let other = jane.error("pool_get", json!({"poolid": "p2"})).await;
    assert_eq!(
        other.message,
        "Permission check failed (/pool/p2, Pool.Audit)"
    );
}
