//! Directories as volumes, on a storage of type `dir`.
#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::path::Path;
use std::sync::Arc;

use model::{BlockFormat, VmId};
use storage::{Attacher, ContentType, Storage, StorageConfig, StorageError};
use sys::{Files, SharedHost};
use testkit::{FakeHost, Faults};

const TREE: &str = "100/subvol-100-disk-0.subvol";

fn storage() -> (Arc<dyn Storage>, Arc<FakeHost>) {
    let host = Arc::new(FakeHost::new(Faults::default()));
    let config = StorageConfig::dir("local".parse().unwrap(), "/srv/d");
    let shared: SharedHost = host.clone();
    (
        storage::open(config, None, shared, Arc::new(storage::Alone)),
        host,
    )
}

fn owner() -> VmId {
    "100".parse().unwrap()
}

#[tokio::test]
async fn a_tree_is_made_listed_renamed_and_removed() {
    let (storage, host) = storage();
    storage.activate().await.unwrap();
    let trees = storage.trees().unwrap();
    let name = trees.choose_tree_name(owner(), &[]).await.unwrap();
    assert_eq!(name, TREE);
    trees
        .create_tree(&name, 0, (100_000, 100_000))
        .await
        .unwrap();
    let again = trees.create_tree(&name, 0, (0, 0)).await;
    assert!(matches!(again, Err(StorageError::Exists { .. })));

    let listed = storage.list(Some(ContentType::Rootdir)).await.unwrap();
    let shown: Vec<_> = listed
        .iter()
        .map(|v| (v.name.as_str(), &*v.format))
        .collect();
    assert_eq!(shown, [(TREE, "subvol")]);
    let info = storage.stat(TREE).await.unwrap().unwrap();
    assert_eq!((info.owner, info.size, info.used), (Some(owner()), 0, None));

    let by = Attacher::Task("t".to_owned());
    let path = trees.attach_tree(TREE, &by).await.unwrap();
    assert_eq!(
        path,
        Path::new("/srv/d/images/100/subvol-100-disk-0.subvol")
    );
    host.write(&path.join("etc"), b"x", 0o644).await.unwrap();
    let other = "101/subvol-101-disk-3.subvol";
    storage.rename(TREE, other).await.unwrap();
    assert!(storage.stat(TREE).await.unwrap().is_none());
    assert!(storage.free(other).await.unwrap());
    assert!(!storage.free(other).await.unwrap());
    assert!(trees.attach_tree(other, &by).await.is_err());
}

#[tokio::test]
async fn an_image_and_a_tree_never_share_a_number() {
    let (storage, _) = storage();
    let trees = storage.trees().unwrap();
    trees.create_tree(TREE, 0, (0, 0)).await.unwrap();
    let image = storage.choose_image_name(owner(), BlockFormat::Raw, &[]);
    let image = image.await.unwrap();
    assert_eq!(image, "100/vm-100-disk-1.raw");
    let taken = [image];
    let tree = trees.choose_tree_name(owner(), &taken).await.unwrap();
    assert_eq!(tree, "100/subvol-100-disk-2.subvol");
}

#[tokio::test]
async fn a_tree_is_no_image_and_has_no_limit() {
    let (storage, _) = storage();
    let trees = storage.trees().unwrap();
    let limited = trees.create_tree(TREE, 1 << 30, (0, 0)).await;
    assert!(matches!(limited, Err(StorageError::Unsupported { .. })));
    assert!(
        storage.stat(TREE).await.unwrap().is_none(),
        "nothing was made"
    );
    trees.create_tree(TREE, 0, (0, 0)).await.unwrap();
    for refused in [
        storage.allocate(TREE, BlockFormat::Raw, 1 << 20).await,
        storage.resize(TREE, 1 << 20).await,
        storage.rename(TREE, "100/vm-100-disk-0.raw").await,
    ] {
        assert!(matches!(refused, Err(StorageError::BadName(_))));
    }
    let image = trees.create_tree("100/vm-100-disk-0.raw", 0, (0, 0)).await;
    assert!(matches!(image, Err(StorageError::BadName(_))));
}
