//! Storages whose disk is attached and detached: which ones are refused, and why.

use model::ErrorKind;
use serde_json::json;

use super::bench::Bench;

#[tokio::test]
async fn only_a_mount_point_of_one_node_is_detached() {
    let bench = Bench::with_jane().await;
    bench.add_local().await;
    let root = bench.root();
    let local = json!({"node": "pve1", "storage": "local"});
    let gone = json!({"node": "pve1", "storage": "usb1"});
    let jane = bench.jane().await;
    for op in ["storage_attach", "storage_detach"] {
        let refused = root.error(op, local.clone()).await;
        let text = "storage 'local' is no 'dir' storage with 'is_mountpoint': it may be where nothing \
                    is mounted";
        assert_eq!(refused.message, text);
        let refused = root.error(op, gone.clone()).await;
        assert_eq!(refused.message, "storage 'usb1' does not exist");
        let refused = jane.error(op, local.clone()).await;
        assert_eq!(refused.kind, ErrorKind::Forbidden);
    }
    assert!(
        root.ok("storage_get", json!({"storage": "local"}))
            .await
            .get("disable")
            .is_none()
    );
}
