//! Mappings: their records, who sees them, and what is wrong with them on a node.

use std::path::Path;

use serde_json::{Value, json};

use super::bench::{Bench, JANE};

const DETECTED: &str = "detected modified configuration - file changed by other user? Try again.";

/// Puts files of one line where the kernel would show them.
async fn put(bench: &Bench, files: &[(&str, &str)]) {
    let host = &bench.context.node.host;
    for (path, text) in files {
        let path = Path::new(path);
        host.create_dir(path.parent().unwrap(), 0o755)
            .await
            .unwrap();
        host.write(path, text.as_bytes(), 0o644).await.unwrap();
    }
}

async fn put_hardware(bench: &Bench) {
    put(
        bench,
        &[
            ("/sys/bus/pci/devices/0000:00:01.0/vendor", "0x1af4"),
            ("/sys/bus/pci/devices/0000:00:01.0/device", "0x1045"),
            ("/sys/bus/pci/devices/0000:00:01.0/subsystem_vendor", "0x1af4"),
            ("/sys/bus/pci/devices/0000:00:01.0/subsystem_device", "0x0005"),
            ("/sys/kernel/iommu_groups/7/devices/0000:00:01.0", ""),
            ("/sys/bus/pci/devices/0000:00:01.0/mdev_supported_types/nvidia-1/name", "GRID"),
            ("/sys/bus/pci/devices/0000:00:01.0/mdev_supported_types/nvidia-1/description", "d"),
            (
                "/sys/bus/pci/devices/0000:00:01.0/mdev_supported_types/nvidia-1/available_instances",
                "4",
            ),
            ("/sys/bus/usb/devices/1-2/busnum", "1"),
            ("/sys/bus/usb/devices/1-2/devnum", "4"),
            ("/sys/bus/usb/devices/1-2/devpath", "2"),
            ("/sys/bus/usb/devices/1-2/idVendor", "1234"),
            ("/sys/bus/usb/devices/1-2/idProduct", "5678"),
            ("/srv/other/file", ""),
        ],
    )
    .await;
}

fn by_id<'a>(rows: &'a Value, id: &str) -> &'a Value {
    super::by(rows, "id", id)
}

#[tokio::test]
async fn a_mapping_is_added_shown_changed_and_removed() {
    let bench = Bench::new().await;
    let root = bench.root();
    let map = "node=pve1,path=0000:00:01.0,id=1af4:1045";
    assert_eq!(root.ok("mapping_pci_list", json!({})).await, json!([]));
    let gpu = json!({"id": "gpu", "map": [map], "description": "d", "mdev": 1});
    root.ok("mapping_pci_create", gpu.clone()).await;
    let taken = root.error("mapping_pci_create", gpu).await.message;
    assert_eq!(
        taken,
        "create hardware mapping failed: pci ID 'gpu' already defined"
    );
    let shown = root.ok("mapping_pci_get", json!({"id": "gpu"})).await;
    let digest = shown["digest"].as_str().unwrap().to_owned();
    assert_eq!(
        shown,
        json!({"type": "pci", "map": [map], "description": "d", "mdev": true, "digest": digest})
    );
    // Another kind has names of its own.
    let of_usb = root.error("mapping_usb_get", json!({"id": "gpu"})).await;
    assert_eq!(of_usb.message, "mapping 'gpu' not found");

    let why = async |mut change: Value| {
        change["id"] = "gpu".into();
        let error = root.error("mapping_pci_update", change).await;
        let text = error
            .message
            .strip_prefix("update hardware mapping failed: ");
        text.unwrap_or_else(|| panic!("{error}")).to_owned()
    };
    let without = why(json!({"description": "x"})).await;
    assert_eq!(without, "missing value for required option 'map'");
    let required = why(json!({"delete": "map", "map": map})).await;
    assert_eq!(required, "unable to delete required option 'map'");
    let unknown = why(json!({"delete": "foo", "map": map})).await;
    assert_eq!(unknown, "no such option 'foo'");
    let both = why(json!({"delete": "mdev", "mdev": 1, "map": map})).await;
    assert!(both.contains("'mdev' at the same time"), "{both}");
    let other = "0".repeat(40);
    assert_eq!(why(json!({"digest": other, "map": map})).await, DETECTED);
    assert_eq!(
        root.ok("mapping_pci_get", json!({"id": "gpu"})).await,
        shown
    );

    let change = json!({"id": "gpu", "map": map, "delete": "description,mdev", "digest": digest});
    root.ok("mapping_pci_update", change).await;
    let changed = root.ok("mapping_pci_get", json!({"id": "gpu"})).await;
    assert_eq!(
        (&changed["description"], &changed["mdev"]),
        (&Value::Null, &Value::Null)
    );
    let nope = json!({"id": "nope", "map": "node=pve1,id=1234:5678"});
    let missing = root.error("mapping_usb_update", nope).await.message;
    assert_eq!(
        missing,
        "update hardware mapping failed: usb ID 'nope' does not exist"
    );
    for _ in 0..2 {
        root.ok("mapping_pci_delete", json!({"id": "gpu"})).await;
    }
    assert_eq!(root.ok("mapping_pci_list", json!({})).await, json!([]));
}

#[tokio::test]
async fn what_is_not_a_device_is_refused_by_item_and_key() {
    let bench = Bench::new().await;
    let root = bench.root();
    let wrong = json!({"id": "stick", "map": ["node=pve1,id=1234:5678", "node=pve1,id=zz"]});
    let error = root.error("mapping_usb_create", wrong).await;
    assert_eq!(
        error.fields["map[1]"],
        "invalid format - format error\nmap[1].id: value does not match the regex pattern\n"
    );
    assert_eq!(root.ok("mapping_usb_list", json!({})).await, json!([]));
}

#[tokio::test]
async fn a_folder_must_be_there_and_be_one_for_each_node() {
    let bench = Bench::new().await;
    put_hardware(&bench).await;
    let root = bench.root();
    let why = async |map: Value| {
        let share = json!({"id": "share", "map": map});
        root.error("mapping_dir_create", share).await.message
    };
    let nowhere = why(json!("node=pve1,path=/nonexistent")).await;
    assert_eq!(nowhere, "Path /nonexistent does not exist");
    let file = why(json!("node=pve1,path=/srv/other/file")).await;
    assert_eq!(file, "Path /srv/other/file exists, but is not a directory");
    let twice = why(json!(["node=b,path=/srv", "node=b,path=/opt"])).await;
    assert_eq!(twice, "Node 'b' is specified 2 times.");
    let share = json!({"id": "share", "map": ["node=pve1,path=/srv/other", "node=b,path=/x"]});
    root.ok("mapping_dir_create", share.clone()).await;
    let taken = root.error("mapping_dir_create", share).await.message;
    assert_eq!(
        taken,
        "create directory mapping failed: dir ID 'share' already defined"
    );
    let rows = root
        .ok("mapping_dir_list", json!({"check-node": "pve1"}))
        .await;
    assert_eq!(rows[0]["checks"], json!([]));
}

#[tokio::test]
async fn a_mapping_that_no_longer_fits_a_node_is_told() {
    let bench = Bench::new().await;
    put_hardware(&bench).await;
    let root = bench.root();
    let right = "node=pve1,path=0000:00:01.0,id=1af4:1045,subsystem-id=1af4:0005,iommugroup=7";
    for (id, map) in [
        ("right", right),
        ("other", "node=pve1,path=0000:00:01.0,id=ffff:ffff"),
        ("elsewhere", "node=b,path=0000:00:01.0,id=1af4:1045"),
    ] {
        root.ok("mapping_pci_create", json!({"id": id, "map": map}))
            .await;
    }
    let unchecked = root.ok("mapping_pci_list", json!({})).await;
    assert_eq!(by_id(&unchecked, "other")["checks"], Value::Null);
    let rows = root
        .ok("mapping_pci_list", json!({"check-node": "localhost"}))
        .await;
    assert_eq!(by_id(&rows, "right")["checks"], json!([]));
    let differs = "Invalid configuration: 'id' does not match for 'other' \
                   (1af4:1045 != ffff:ffff)\n";
    assert_eq!(
        by_id(&rows, "other")["checks"],
        json!([{"severity": "error", "message": differs}])
    );
    assert_eq!(
        by_id(&rows, "elsewhere")["checks"],
        json!([{"severity": "warning", "message": "No mapping for node pve1."}])
    );
    for (id, map) in [
        ("stick", "node=pve1,id=1234:5678,path=1-2"),
        ("gone", "node=pve1,id=1234:aaaa"),
    ] {
        root.ok("mapping_usb_create", json!({"id": id, "map": map}))
            .await;
    }
    let rows = root
        .ok("mapping_usb_list", json!({"check-node": "pve1"}))
        .await;
    assert_eq!(by_id(&rows, "stick")["errors"], json!([]));
    let missing = "Invalid configuration: usb device '1234:aaaa' not found\n";
    assert_eq!(by_id(&rows, "gone")["errors"][0]["message"], missing);
    let nobody = root
        .error("mapping_usb_list", json!({"check-node": "pve9"}))
        .await;
    assert!(nobody.message.contains("'pve9'"), "{nobody}");
}

#[tokio::test]
async fn what_a_mapped_device_mediates_is_listed_by_the_mapping() {
    let bench = Bench::new().await;
    put_hardware(&bench).await;
    let root = bench.root();
    let gpu = json!({"id": "gpu", "mdev": 1, "map": "node=pve1,path=0000:00:01.0,id=1af4:1045"});
    root.ok("mapping_pci_create", gpu).await;
    let types = json!([{"type": "nvidia-1", "name": "GRID", "description": "d", "available": 4}]);
    for device in ["gpu", "0000:00:01.0"] {
        let of = json!({"node": "pve1", "pci-id-or-mapping": device});
        assert_eq!(root.ok("pci_mdev_list", of).await, types, "{device}");
    }
    let nope = json!({"node": "pve1", "pci-id-or-mapping": "nope"});
    let error = root.error("pci_mdev_list", nope).await;
    assert_eq!(error.message, "mapping 'nope' not found");
}

#[tokio::test]
async fn a_caller_sees_the_mappings_of_which_it_has_a_right() {
    let bench = Bench::with_jane().await;
    let root = bench.root();
    for id in ["one", "two"] {
        let map = json!({"id": id, "map": "node=pve1,id=1234:5678"});
        root.ok("mapping_usb_create", map).await;
    }
    let jane = bench.jane().await;
    assert_eq!(jane.ok("mapping_usb_list", json!({})).await, json!([]));
    let refused = jane.error("mapping_usb_get", json!({"id": "one"})).await;
    assert_eq!(refused.message, "Permission check failed");
    let right = json!({"path": "/mapping/usb/one", "users": JANE, "roles": "PVEMappingUser"});
    root.ok("acl_update", right).await;
    let rows = jane.ok("mapping_usb_list", json!({})).await;
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!(rows[0]["id"], "one");
    jane.ok("mapping_usb_get", json!({"id": "one"})).await;
    let change = json!({"id": "one", "map": "node=pve1,id=1234:5678"});
    let refused = jane.error("mapping_usb_update", change).await;
    assert_eq!(
        refused.message,
        "Permission check failed (/mapping/usb/one, Mapping.Modify)"
    );
}
