//! The options of storages of thin volumes, with the texts that Proxmox VE has for them.
#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test that cannot go on ends"
)]

#[path = "access/bench.rs"]
mod bench;

use bench::Bench;
use serde_json::{Value, json};

fn thin(more: Value) -> Value {
    let mut params = json!({"storage": "thin", "type": "lvmthin", "vgname": "vg0", "disable": 1});
    let all = params.as_object_mut().unwrap();
    all.extend(more.as_object().unwrap().clone());
    params
}

#[tokio::test]
async fn a_disabled_one_is_made_shown_and_changed() {
    let bench = Bench::new().await;
    let root = bench.root();
    let given = thin(json!({"thinpool": "data", "content": "rootdir,images"}));
    let made = root.ok("storage_create", given).await;
    assert_eq!(made, json!({"storage": "thin", "type": "lvmthin"}));
    let shown = root.ok("storage_get", json!({"storage": "thin"})).await;
    let expected = json!({
        "storage": "thin", "type": "lvmthin", "vgname": "vg0", "thinpool": "data",
        "content": "rootdir,images", "disable": 1, "digest": shown["digest"],
    });
    assert_eq!(shown, expected);
    let status = json!({"node": "pve1", "storage": "thin"});
    let expected = json!({
        "type": "lvmthin", "content": "rootdir,images", "shared": 0, "enabled": 0, "active": 0,
        "total": 0, "used": 0, "avail": 0,
    });
    assert_eq!(root.ok("node_storage_status", status).await, expected);
    let formats = json!({"node": "pve1", "storage": "thin", "format": 1});
    let rows = root.ok("node_storage_list", formats).await;
    assert_eq!(
        rows[0]["formats"],
        json!({"default": "raw", "supported": ["raw"]})
    );
    let change = json!({"storage": "thin", "content": "images", "nodes": "pve2"});
    root.ok("storage_update", change).await;
    let delete = json!({"storage": "thin", "delete": "content,nodes"});
    root.ok("storage_update", delete).await;
    let shown = root.ok("storage_get", json!({"storage": "thin"})).await;
    assert_eq!(shown["content"], "images,rootdir");
    assert!(shown.get("nodes").is_none(), "{shown}");
}

#[tokio::test]
async fn what_it_cannot_have_is_refused_by_name() {
    let bench = Bench::new().await;
    let root = bench.root();
    for (given, text) in [
        (json!({}), "missing value for required option 'thinpool'"),
        (
            json!({"thinpool": "data", "shared": 1}),
            "unexpected property 'shared'",
        ),
        (
            json!({"thinpool": "data", "path": "/srv/thin"}),
            "unexpected property 'path'",
        ),
        (
            json!({"thinpool": "data", "content": "backup"}),
            "storage does not support content type 'none'",
        ),
        (
            json!({"thinpool": "data", "content": "none"}),
            "storage does not support content type 'none'",
        ),
    ] {
        let refused = root.error("storage_create", thin(given)).await;
        assert_eq!(refused.message, text);
    }
    let path = json!({"storage": "d1", "type": "dir", "path": "/srv/d1", "vgname": "vg0"});
    let refused = root.error("storage_create", path).await;
    assert_eq!(refused.message, "unexpected property 'vgname'");
    root.ok("storage_create", thin(json!({"thinpool": "data"})))
        .await;
    for (change, text) in [
        (
            json!({"content": "iso"}),
            "storage does not support content type 'none'",
        ),
        (
            json!({"prune-backups": "keep-last=1"}),
            "unexpected property 'prune-backups'",
        ),
        (
            json!({"delete": "thinpool"}),
            "unable to delete required option 'thinpool'",
        ),
        (json!({"delete": "shared"}), "no such option 'shared'"),
    ] {
        let mut params = json!({"storage": "thin"});
        let all = params.as_object_mut().unwrap();
        all.extend(change.as_object().unwrap().clone());
        let refused = root.error("storage_update", params).await;
        assert_eq!(refused.message, format!("update storage failed: {text}"));
    }
}
