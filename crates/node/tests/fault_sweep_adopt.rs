//! The takeover of a Proxmox VE's storage and guest, broken at every call that it makes to host and store.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod scene;

use std::path::Path;
use std::sync::Arc;

use model::{GuestConfig, GuestKind, GuestRecord, VmId};
use node::tasks::{AdoptedGuest, AdoptedStorage, NodeAdopt};
use scene::*;
use storage::StorageConfig;
use sys::Files;
use testkit::fault_sweep::Scene;

fn adopt(vmid: VmId) -> NodeAdopt {
    let config = StorageConfig::dir("old".parse().unwrap(), "/srv/old");
    let secret = None;
    let mut options = GuestConfig::default();
    options.set("memory", "64");
    options.set("scsi0", "old:100/vm-100-disk-0.raw,size=1M");
    let record = GuestRecord {
        config: options,
        ..GuestRecord::new(vmid, GuestKind::Qemu, "pve1".parse().unwrap(), 0)
    };
    let volumes = vec!["old:100/vm-100-disk-0.raw".parse().unwrap()];
    let mut guest = AdoptedGuest::new(record, volumes);
    let pool = |id: &str| (id.parse().unwrap(), "of old".to_owned());
    guest.pools = vec![pool("prod"), pool("prod/web")];
    NodeAdopt::new(vec![AdoptedStorage { config, secret }], vec![guest])
}

async fn old_storage() -> Node<NodeAdopt> {
    let node = empty(adopt).await;
    let image = Path::new("/srv/old/images/100/vm-100-disk-0.raw");
    let folder = image.parent().unwrap();
    node.host.create_dir(folder, 0o755).await.unwrap();
    let content = testkit::image_content(image, 1 << 20, None);
    node.host.write(image, &content, 0o600).await.unwrap();
    node
}

/// What could not be taken over is as it was; what was is whole. A pool may lack its guest.
#[tokio::test]
async fn node_adopt() {
    let scene = || -> Waiting<_> {
        Box::pin(async {
            let after = old_storage().await;
            assert_eq!(after.run().await, "OK");
            let after = after.inventory().await;
            let guest = after.iter().filter(|line| line.starts_with("guest/100 "));
            assert_eq!(guest.count(), 1, "{after:?}");
            let mut node = old_storage().await;
            let before = node.inventory().await;
            node.also_well = Arc::new(move |found| {
                let is_whole = |line: &String| after.contains(line) || line.contains("pool/");
                before.iter().all(|line| found.contains(line)) && found.iter().all(is_whole)
            });
            node
        })
    };
    let swept = sweep_all(scene, 20).await;
    assert!(swept.went_through > 10, "{swept:?}");
}
