//! A target of iSCSI, whose units are made elsewhere: what can be done with them, and what is
//! refused.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use model::{BlockFormat, StorageId};
use storage::{AttachMode, IscsiDirectSpec, Storage, StorageConfig, StorageError, StorageSpec};
use testkit::tgt::{TARGET, Tgt};

use crate::bed::{Bed, vmid};
use crate::images::{MIB, assert_holds, us, write};

/// Files of 8 and 9 MiB.
fn files(folder: &Path) -> Vec<PathBuf> {
    let make = |mib: u64| {
        let file = folder.join(mib.to_string());
        std::fs::File::create(&file)
            .unwrap()
            .set_len(mib * MIB)
            .unwrap();
        file
    };
    [8, 9].map(make).to_vec()
}

fn config(server: &Tgt) -> StorageConfig {
    let spec = StorageSpec::IscsiDirect(IscsiDirectSpec {
        portal: server.portal().to_owned(),
        target: TARGET.to_owned(),
    });
    let contents = spec.kind().contents().to_vec();
    StorageConfig::new(StorageId::new("units").unwrap(), spec, contents)
}

#[tokio::test]
async fn every_case() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = Tgt::start("iscsidirect", &files(folder.path())) else {
        return;
    };
    let bed = Bed::over("iscsidirect", config(&server));
    units_are_listed_and_written(&*bed.active().await).await;
    what_a_target_cannot_do_is_refused(&*bed.active().await).await;
    an_unknown_target_is_said_to_be(&bed).await;
    a_portal_that_is_silent_costs_its_time_out(&*bed.active().await, &server).await;
}

async fn units_are_listed_and_written(storage: &dyn Storage) {
    let listed = storage.list(None).await.unwrap();
    let listed: Vec<(&str, u64)> = listed
        .iter()
        .map(|volume| (volume.name.as_str(), volume.size))
        .collect();
    assert_eq!(listed, [("lun1", 8 * MIB), ("lun2", 9 * MIB)]);
    let info = storage.stat("lun2").await.unwrap().unwrap();
    assert_eq!((info.size, info.owner), (9 * MIB, None));
    assert_eq!(storage.stat("lun7").await.unwrap(), None);
    for (name, byte) in [("lun1", 0x11), ("lun2", 0x22)] {
        write(storage, name, byte).await;
    }
    for (name, byte) in [("lun1", 0x11), ("lun2", 0x22)] {
        assert_holds(storage, name, byte).await;
    }
    let none = storage.attach("lun7", AttachMode::ReadOnly, &us()).await;
    assert!(
        matches!(none, Err(StorageError::NoVolume { .. })),
        "{none:?}"
    );
    assert!(storage.snapshots().is_none() && storage.linked_clones().is_none());
}

async fn what_a_target_cannot_do_is_refused(storage: &dyn Storage) {
    let raw = BlockFormat::Raw;
    let space = "can't allocate space in iscsi storage";
    for (refused, text) in [
        (storage.allocate("lun3", raw, MIB).await, space),
        (
            storage
                .choose_image_name(vmid(100), raw, &[])
                .await
                .map(drop),
            space,
        ),
        (
            storage.free("lun1").await.map(drop),
            "can't free space in iscsi storage",
        ),
        (
            storage.resize("lun1", 16 * MIB).await,
            "volume resize is not possible on iscsi device",
        ),
        (
            storage.rename("lun1", "lun3").await,
            "can't rename volumes in iscsi storage",
        ),
    ] {
        assert_eq!(refused.unwrap_err().to_string(), text);
    }
    for name in ["vm-100-disk-0", "lun01", "../lun1", "lun1 --help", ""] {
        for refused in [
            storage.stat(name).await.map(drop),
            storage.free(name).await.map(drop),
            storage
                .attach(name, AttachMode::ReadOnly, &us())
                .await
                .map(drop),
            storage.path(name).map(drop),
        ] {
            let is_refused = matches!(refused, Err(StorageError::BadName(_)));
            assert!(is_refused, "'{name}': {refused:?}");
        }
    }
}

async fn an_unknown_target_is_said_to_be(bed: &Bed) {
    let mut config = bed.config.clone();
    if let StorageSpec::IscsiDirect(spec) = &mut config.spec {
        spec.target.push('x');
    }
    let text = bed
        .open_config(config)
        .activate()
        .await
        .unwrap_err()
        .to_string();
    assert!(
        text.ends_with("the portal has no target 'iqn.2026-11.test:unitsx'"),
        "{text}"
    );
}

async fn a_portal_that_is_silent_costs_its_time_out(storage: &dyn Storage, server: &Tgt) {
    server.freeze();
    let began = Instant::now();
    let status = storage.status().await;
    let took = began.elapsed();
    server.thaw();
    assert!(matches!(status, Err(StorageError::Silent(_))), "{status:?}");
    assert!(took < Duration::from_secs(20), "{took:?}");
    // By itself: the same driver.
    let mut status = storage.status().await;
    while let Err(StorageError::Silent(_)) = status {
        status = storage.status().await;
    }
    status.unwrap();
    assert_holds(storage, "lun1", 0x11).await;
}
