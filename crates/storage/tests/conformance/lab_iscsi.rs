//! A target of iSCSI that the kernel logs in to, on a node of the lab. `OSTLER_ISCSI=portal/target`: two
//! units of 32 MiB. The lab cuts the network between these tests.

use model::StorageId;
use storage::{IscsiSpec, Storage, StorageConfig, StorageError, StorageSpec};

use crate::bed::{Bed, vmid};
use crate::images::{MIB, assert_holds, write};

fn bed(case: &str) -> Bed {
    let given = std::env::var("OSTLER_ISCSI").unwrap();
    let (portal, target) = given.split_once('/').unwrap();
    let spec = StorageSpec::Iscsi(IscsiSpec {
        portal: portal.to_owned(),
        target: target.to_owned(),
    });
    let contents = spec.kind().contents().to_vec();
    let config = StorageConfig::new(StorageId::new("units").unwrap(), spec, contents);
    Bed::over(case, config)
}

async fn units(storage: &dyn Storage) -> Vec<String> {
    let listed = storage.list(None).await.unwrap();
    assert!(
        listed.iter().all(|volume| volume.size == 32 * MIB),
        "{listed:?}"
    );
    listed.into_iter().map(|volume| volume.name).collect()
}

#[tokio::test]
#[ignore = "needs the lab: ./x lab test"]
async fn units_are_disks_of_the_node() {
    let bed = bed("iscsi");
    let before = bed.open().status().await.unwrap_err();
    assert!(
        before.to_string().contains("no session with target"),
        "{before}"
    );
    let storage = &*bed.active().await;
    // The session is there for another driver, as for another storage.
    let other = &*bed.active().await;
    let all = units(storage).await;
    let [first, second] = &all[..] else {
        panic!("{all:?}");
    };
    assert!(
        first.starts_with("0.0.0.scsi-") && second.starts_with("0.0.1.scsi-"),
        "{all:?}"
    );
    for (name, byte) in [(first, 0x11), (second, 0x22)] {
        write(storage, name, byte).await;
    }
    for (name, byte) in [(first, 0x11), (second, 0x22)] {
        assert_holds(other, name, byte).await;
        let refused = storage.free(name).await.unwrap_err();
        assert_eq!(refused.to_string(), "can't free space in iscsi storage");
    }
    assert_eq!(storage.stat("0.0.7.scsi-none").await.unwrap(), None);
    let moved = first.replacen("0.0.0.", "0.0.1.", 1);
    assert_eq!(storage.stat(&moved).await.unwrap(), None);
    let refused = storage
        .choose_image_name(vmid(100), model::BlockFormat::Raw, &[])
        .await
        .unwrap_err();
    assert_eq!(refused.to_string(), "can't allocate space in iscsi storage");
}

#[tokio::test]
#[ignore = "needs the lab: ./x lab test"]
async fn a_portal_that_is_gone_is_noticed() {
    let bed = bed("iscsi-gone");
    let storage = bed.open();
    while storage.status().await.is_ok() {
        tokio::task::yield_now().await;
    }
    for error in [
        storage.status().await.err(),
        storage.activate().await.err(),
        storage.list(None).await.err(),
    ] {
        assert!(matches!(error, Some(StorageError::Silent(_))), "{error:?}");
    }
}

#[tokio::test]
#[ignore = "needs the lab: ./x lab test"]
async fn a_portal_that_is_there_again_is_noticed() {
    let bed = bed("iscsi-back");
    let storage = bed.open();
    while storage.status().await.is_err() {
        tokio::task::yield_now().await;
    }
    let all = units(&*storage).await;
    assert_holds(&*storage, &all[1], 0x22).await;
}
