//! Snapshots as layers: what only they promise.

use std::path::{Path, PathBuf};
use std::process::Command;

use model::BlockSpec;
use storage::{AttachMode, ContentType, Layer, Snapshots, Storage, StorageError, StorageSpec};

use crate::bed::{Bed, guest, vmid};
use crate::images::{MIB, SIZE, assert_empty, holds_at, make, us, write_at};

fn snapshots(storage: &dyn Storage) -> &dyn Snapshots {
    storage.snapshots().expect("it has snapshots")
}

async fn attached(storage: &dyn Storage, name: &str) -> BlockSpec {
    let spec = storage.attach(name, AttachMode::ReadOnly, &us()).await;
    spec.unwrap()
}

async fn at_snapshot(storage: &dyn Storage, name: &str, snapshot: &str) -> BlockSpec {
    let by = guest(101);
    let found = snapshots(storage).attach_snapshot(name, snapshot, &by);
    found.await.unwrap().image
}

async fn kept(storage: &dyn Storage, name: &str) -> Vec<String> {
    snapshots(storage).list_snapshots(name).await.unwrap()
}

/// Writes a place of its own before each of the snapshots, and one after the last.
async fn written_between(storage: &dyn Storage, name: &str, snapshots_of: &[&str]) {
    for (number, snapshot) in (0_u8..).zip(snapshots_of) {
        write_at(storage, name, u64::from(number) * MIB, number + 1).await;
        let made = snapshots(storage).create_snapshot(name, snapshot).await;
        made.unwrap();
    }
    write_at(storage, name, snapshots_of.len() as u64 * MIB, 0x77).await;
}

/// Deletes the four snapshots of an image, in the middle first, and reads all that is left each time.
async fn all_are_deleted(storage: &dyn Storage, name: &str, beneath: u8) {
    let now = [
        (0, 1),
        (MIB, 2),
        (2 * MIB, 3),
        (3 * MIB, 4),
        (4 * MIB, 0x77),
    ];
    let then = [(0, 1), (MIB, 2), (2 * MIB, 3), (3 * MIB, 0)];
    let beneath = [(5 * MIB, beneath)];
    let steps: [(&str, &[&str]); 4] = [
        ("two", &["one", "in-between", "last"]),
        ("one", &["in-between", "last"]),
        ("last", &["in-between"]),
        ("in-between", &[]),
    ];
    let all = snapshots(storage);
    for (deleted, left) in steps {
        assert!(all.delete_snapshot(name, deleted).await.unwrap());
        assert!(!all.delete_snapshot(name, deleted).await.unwrap());
        assert_eq!(kept(storage, name).await, left, "without {deleted}");
        let spec = attached(storage, name).await;
        let is_whole = holds_at(&spec, &now) && holds_at(&spec, &beneath);
        assert!(is_whole, "without {deleted}");
        if left.contains(&"in-between") {
            let spec = at_snapshot(storage, name, "in-between").await;
            let is_whole = holds_at(&spec, &then) && holds_at(&spec, &beneath);
            assert!(is_whole, "'in-between' without {deleted}");
        }
    }
}

/// A template that holds `0x55` at 5 MiB, and a linked clone of it; none where there are no such.
async fn template_and_clone(storage: &dyn Storage, bed: &Bed) -> Option<(String, String)> {
    let clones = storage.linked_clones()?;
    let template = make(storage, bed.format).await;
    write_at(storage, &template, 5 * MIB, 0x55).await;
    let base = clones.base_name(&template).unwrap();
    storage.rename(&template, &base).await.unwrap();
    let clone = clones.choose_clone_name(&base, vmid(101), &[]);
    let clone = clone.await.unwrap();
    clones.create_clone(&base, &clone).await.unwrap();
    Some((base, clone))
}

/// Four snapshots, one of a name with hyphens, of an image and of a linked clone that grow afterwards:
/// those in the middle, the oldest and the newest are deleted.
pub(crate) async fn layers_are_merged_up_and_down(bed: &Bed) {
    let storage = &*bed.active().await;
    let (base, clone) = template_and_clone(storage, bed).await.unzip();
    let plain = make(storage, bed.format).await;
    let with_layers = clone.iter().map(|clone| (clone, 0x55));
    let all = base.iter().chain(&clone).chain([&plain]);
    for (name, beneath) in with_layers.chain([(&plain, 0)]) {
        written_between(storage, name, &["one", "two", "in-between", "last"]).await;
        // Through its layers a clone is still listed by the name that says what it is a clone of.
        let listed = storage.list(None).await.unwrap();
        assert!(
            listed.iter().any(|volume| volume.name == *name),
            "{listed:?}"
        );
        assert_eq!(listed.len(), all.clone().count(), "{listed:?}");
        storage.resize(name, 2 * SIZE).await.unwrap();
        all_are_deleted(storage, name, beneath).await;
        let info = storage.stat(name).await.unwrap().unwrap();
        assert_eq!(info.size, 2 * SIZE);
    }
    // No clone without its base.
    for name in all.rev() {
        assert!(storage.free(name).await.unwrap());
    }
    assert_empty(storage).await;
}

/// Writes into an image's header what is below it.
fn forge(words: &str, image: &Path) {
    let how = [
        "rebase", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", words,
    ];
    let forged = Command::new("qemu-img").args(how).arg(image).status();
    assert!(forged.unwrap().success());
}

fn bed_root(bed: &Bed) -> PathBuf {
    match &bed.config.spec {
        StorageSpec::Dir(spec) => PathBuf::from(&spec.path),
        other => panic!("{:?} is no folder", other.kind()),
    }
}

/// Of two snapshots, the older does not take the name of an image that lost it while the newer one
/// was being made; the next attacher gives it to the newer one.
pub(crate) async fn a_name_that_was_lost_is_given_back(bed: &Bed) {
    let storage = &*bed.active().await;
    let name = make(storage, bed.format).await;
    written_between(storage, &name, &["a", "b"]).await;
    let file = storage.path(&name).unwrap();
    std::fs::remove_file(&file).unwrap();
    let refused = snapshots(storage).delete_snapshot(&name, "a").await;
    let text = refused.unwrap_err().to_string();
    assert!(
        text.ends_with("it is missing, and has the snapshots 'b' above it"),
        "{text}"
    );
    let spec = storage.attach(&name, AttachMode::Exclusive, &us()).await;
    assert!(holds_at(&spec.unwrap(), &[(0, 1), (MIB, 2)]));
    assert_eq!(kept(storage, &name).await, ["a"]);
    // What is in no chain goes with its image.
    let beside = file.with_file_name(format!("snap-z-{}", file.file_name().unwrap().display()));
    std::fs::copy(&file, &beside).unwrap();
    storage.detach(&name, &us()).await.unwrap();
    assert!(storage.free(&name).await.unwrap());
    assert!(!beside.exists());
    assert_empty(storage).await;
}

/// A header that names the file of another image or of the host, and an image that is renamed.
pub(crate) async fn layers_of_others_are_not_believed(bed: &Bed) {
    let storage = &*bed.active().await;
    let (own, other) = (
        make(storage, bed.format).await,
        make(storage, bed.format).await,
    );
    written_between(storage, &other, &["one"]).await;
    let file = |name: &str| -> PathBuf { storage.path(name).unwrap() };
    for words in [
        format!("snap-one-{}", file(&other).file_name().unwrap().display()),
        "/etc/shadow".to_owned(),
        "../100/snap-one-vm-100-disk-0.qcow2".to_owned(),
        format!("snap-../x-{}", file(&own).file_name().unwrap().display()),
    ] {
        forge(&words, &file(&own));
        assert_eq!(kept(storage, &own).await, [""; 0], "{words}");
        assert_eq!(attached(storage, &own).await.backing, None, "{words}");
    }
    // Neither a circle nor an image without an owner hides the others.
    let circle = make(storage, bed.format).await;
    written_between(storage, &circle, &["x"]).await;
    let layer = format!("snap-x-{}", file(&circle).file_name().unwrap().display());
    forge(&layer, &file(&circle).with_file_name(&layer));
    std::fs::create_dir_all(bed_root(bed).join("import")).unwrap();
    std::fs::copy(file(&own), bed_root(bed).join("import/x.qcow2")).unwrap();
    let info = storage.stat("import/x.qcow2").await.unwrap().unwrap();
    assert_eq!(info.size, SIZE);
    assert!(storage.layered().unwrap().layers(&circle).await.is_err());
    assert_eq!(
        storage.list(Some(ContentType::Images)).await.unwrap().len(),
        3
    );
    for name in ["import/x.qcow2", &circle] {
        assert!(storage.free(name).await.unwrap());
    }
    let layers = storage.layered().unwrap().layers(&other).await.unwrap();
    let found: Vec<Layer> = layers.into_iter().map(|found| found.layer).collect();
    assert_eq!(found, [Layer::Image, Layer::Snapshot("one".to_owned())]);
    let renamed = storage.rename(&other, "101/vm-101-disk-0.qcow2").await;
    let text = renamed.unwrap_err().to_string();
    assert_eq!(
        text,
        format!("'case:{other}' has snapshots, it cannot be renamed")
    );
    for name in [&own, &other] {
        assert!(storage.free(name).await.unwrap());
    }
    assert_empty(storage).await;
}

/// The group of a storage of LVM.
fn group(storage: &dyn Storage, name: &str) -> String {
    let path = storage.path(name).unwrap();
    let group = path.parent().unwrap().file_name().unwrap();
    group.to_str().unwrap().to_owned()
}

fn lvm(args: &[&str]) {
    let ran = Command::new(args[0]).args(&args[1..]).status();
    assert!(ran.unwrap().success(), "{args:?}");
}

/// Volumes of LVM: the names of the snapshots of two images can be the same.
pub(crate) async fn names_that_meet_stay_apart(bed: &Bed) {
    let storage = &*bed.active().await;
    let (one, other) = ("vm-100-a.qcow2", "vm-100-a_b.qcow2");
    for name in [one, other] {
        storage.allocate(name, bed.format, SIZE).await.unwrap();
    }
    let all = snapshots(storage);
    write_at(storage, other, 0, 0x71).await;
    all.create_snapshot(other, "c").await.unwrap();
    write_at(storage, other, 0, 0x72).await;
    let refused = all.create_snapshot(one, "b_c").await;
    assert!(
        matches!(refused, Err(StorageError::Exists { .. })),
        "{refused:?}"
    );
    assert_eq!(kept(storage, one).await, [""; 0]);
    assert_eq!(kept(storage, other).await, ["c"]);
    assert!(holds_at(
        &at_snapshot(storage, other, "c").await,
        &[(0, 0x71)]
    ));
    assert!(storage.free(one).await.unwrap());
    assert!(holds_at(&attached(storage, other).await, &[(0, 0x72)]));
    // Too long for what it is called when it goes.
    let long = format!("vm-100-{}.qcow2", "a".repeat(113));
    let refused = storage.allocate(&long, bed.format, SIZE).await;
    assert!(
        matches!(refused, Err(StorageError::BadName(_))),
        "{refused:?}"
    );
    // What LVM keeps for itself.
    assert!(all.refuses_name(other, "a_tdata").is_some());
    let refused = all.create_snapshot(other, "a_tdata").await;
    assert!(matches!(refused, Err(StorageError::Refused(_))));
    assert!(storage.free(other).await.unwrap());
    assert_empty(storage).await;
}

/// Volumes of LVM: a name is taken in three steps. A reader changes nothing meanwhile, a writer
/// ends it.
pub(crate) async fn a_naming_that_was_broken_off_is_ended(bed: &Bed) {
    let storage = &*bed.active().await;
    let name = make(storage, bed.format).await;
    let group = group(storage, &name);
    let taking = format!("put_{name}");
    write_at(storage, &name, 0, 0x73).await;
    // An image of another program has no tag of its own.
    let tag = format!("pve-{name}");
    lvm(&[
        "lvchange",
        "-q",
        "--deltag",
        &tag,
        &format!("{group}/{name}"),
    ]);
    let all = snapshots(storage);
    all.create_snapshot(&name, "one").await.unwrap();
    assert_eq!(kept(storage, &name).await, ["one"]);
    lvm(&["lvrename", "-q", &group, &name, &taking]);
    let info = storage.stat(&name).await.unwrap().unwrap();
    assert_eq!((info.name.as_str(), info.size), (name.as_str(), SIZE));
    let next = storage.choose_image_name(vmid(100), bed.format, &[]).await;
    assert_ne!(next.unwrap(), name);
    let again = storage.allocate(&name, bed.format, SIZE).await;
    assert!(
        matches!(again, Err(StorageError::Exists { .. })),
        "{again:?}"
    );
    assert!(holds_at(&attached(storage, &name).await, &[(0, 0x73)]));
    storage.detach(&name, &us()).await.unwrap();
    let is_there = |name: &str| {
        let asked = Command::new("lvs").arg(format!("{group}/{name}")).output();
        asked.unwrap().status.success()
    };
    assert!(
        is_there(&taking) && !is_there(&name),
        "a reader changes nothing"
    );
    write_at(storage, &name, MIB, 0x74).await;
    assert!(is_there(&name) && !is_there(&taking));
    assert!(holds_at(
        &attached(storage, &name).await,
        &[(0, 0x73), (MIB, 0x74)]
    ));
    storage.detach(&name, &us()).await.unwrap();
    assert!(all.delete_snapshot(&name, "one").await.unwrap());
    assert!(holds_at(
        &attached(storage, &name).await,
        &[(0, 0x73), (MIB, 0x74)]
    ));
    storage.detach(&name, &us()).await.unwrap();
    assert!(storage.free(&name).await.unwrap());
    assert_empty(storage).await;
}
