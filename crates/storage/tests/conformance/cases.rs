//! What every storage promises.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use model::BlockFormat;
use storage::{AttachMode, Attacher, ContentType, LinkedClones, Snapshots, Storage, StorageError};

use crate::bed::{Bed, guest, vmid};
pub(crate) use crate::broken::every_call_may_break;
use crate::images::{MIB, SIZE, assert_empty, assert_holds, holds, make, us, write};
pub(crate) use crate::layers::{
    a_name_that_was_lost_is_given_back, a_naming_that_was_broken_off_is_ended,
    layers_are_merged_up_and_down, layers_of_others_are_not_believed, names_that_meet_stay_apart,
};

fn snapshots(storage: &dyn Storage) -> &dyn Snapshots {
    storage.snapshots().expect("it has snapshots")
}

fn clones(storage: &dyn Storage) -> &dyn LinkedClones {
    storage.linked_clones().expect("it has linked clones")
}

pub(crate) async fn an_image_reads_as_zeros_until_it_is_written(bed: &Bed) {
    let storage = &*bed.active().await;
    for format in bed.config.spec.formats() {
        let name = make(storage, *format).await;
        let info = storage.stat(&name).await.unwrap().unwrap();
        assert_eq!((info.size, info.owner), (SIZE, Some(vmid(100))));
        assert_eq!(info.format, format.as_str());
        let listed = storage.list(Some(ContentType::Images)).await.unwrap();
        assert_eq!(listed.len(), 1, "{listed:?}");
        assert_eq!(listed[0].name, name);
        if storage.new_images_are_zero(&name) {
            assert_holds(storage, &name, 0).await;
        }
        write(storage, &name, 0x11).await;
        assert_holds(storage, &name, 0x11).await;
        assert!(storage.free(&name).await.unwrap());
        assert!(!storage.free(&name).await.unwrap(), "may be repeated");
        assert_eq!(storage.stat(&name).await.unwrap(), None);
        // Nothing of an earlier image comes back in the next one, also where blocks are only zeroed
        // when they are freed.
        let name = make(storage, *format).await;
        if bed.config.spec.is_encrypted() {
            // What it holds is random.
            storage.zero(&name).await.unwrap();
        }
        assert_holds(storage, &name, 0).await;
        storage.free(&name).await.unwrap();
    }
    assert_empty(storage).await;
}

pub(crate) async fn allocating_replaces_nothing(bed: &Bed) {
    let storage = &*bed.active().await;
    let name = make(storage, bed.format).await;
    write(storage, &name, 0x22).await;
    let again = storage.allocate(&name, bed.format, SIZE).await;
    assert!(
        matches!(again, Err(StorageError::Exists { .. })),
        "{again:?}"
    );
    assert_holds(storage, &name, 0x22).await;
    storage.free(&name).await.unwrap();
    assert_empty(storage).await;
}

pub(crate) async fn names_are_chosen_that_nothing_has(bed: &Bed) {
    let storage = &*bed.active().await;
    let first = make(storage, bed.format).await;
    let choose = async |taken: &[String]| {
        let name = storage
            .choose_image_name(vmid(100), bed.format, taken)
            .await;
        name.unwrap()
    };
    let second = choose(&[]).await;
    let third = choose(std::slice::from_ref(&second)).await;
    assert!(first != second && second != third && first != third);
    // A base keeps the number that it had.
    if let Some(clones) = storage.linked_clones() {
        let base = clones.base_name(&first).unwrap();
        storage.rename(&first, &base).await.unwrap();
        assert_eq!(choose(&[]).await, second);
        storage.free(&base).await.unwrap();
    } else {
        storage.free(&first).await.unwrap();
    }
    assert_eq!(choose(&[]).await, first, "the lowest that is free");
    assert_empty(storage).await;
}

pub(crate) async fn an_image_grows_and_keeps_its_content(bed: &Bed) {
    let storage = &*bed.active().await;
    for format in bed.config.spec.formats() {
        if *format == BlockFormat::Vmdk {
            continue; // QEMU cannot resize it.
        }
        let name = make(storage, *format).await;
        write(storage, &name, 0x33).await;
        for _ in 0..2 {
            storage.resize(&name, 2 * SIZE).await.unwrap();
            let info = storage.stat(&name).await.unwrap().unwrap();
            assert_eq!(info.size, 2 * SIZE);
        }
        assert_holds(storage, &name, 0x33).await;
        storage.free(&name).await.unwrap();
        assert!(storage.resize(&name, 3 * SIZE).await.is_err());
    }
    assert_empty(storage).await;
}

pub(crate) async fn renaming_moves_an_image_once(bed: &Bed) {
    let storage = &*bed.active().await;
    let from = make(storage, bed.format).await;
    write(storage, &from, 0x44).await;
    let to = storage.choose_image_name(vmid(101), bed.format, &[]).await;
    let to = to.unwrap();
    for _ in 0..2 {
        storage.rename(&from, &to).await.unwrap();
    }
    assert_eq!(storage.stat(&from).await.unwrap(), None);
    let info = storage.stat(&to).await.unwrap().unwrap();
    assert_eq!(info.owner, Some(vmid(101)));
    assert_holds(storage, &to, 0x44).await;
    let other = make(storage, bed.format).await;
    let onto = storage.rename(&other, &to).await;
    assert!(matches!(onto, Err(StorageError::Exists { .. })), "{onto:?}");
    assert_holds(storage, &to, 0x44).await;
    for name in [&other, &to] {
        storage.free(name).await.unwrap();
    }
    let none = storage.rename(&from, &to).await;
    assert!(
        matches!(none, Err(StorageError::NoVolume { .. })),
        "{none:?}"
    );
    assert_empty(storage).await;
}

pub(crate) async fn attaching_may_be_repeated_and_is_shared_by_readers(bed: &Bed) {
    let storage = &*bed.active().await;
    let name = make(storage, bed.format).await;
    write(storage, &name, 0x55).await;
    let task = Attacher::Task("UPID:a:task".to_owned());
    let read_only = AttachMode::ReadOnly;
    storage.attach(&name, read_only, &task).await.unwrap();
    let first = storage.attach(&name, read_only, &us()).await.unwrap();
    let again = storage.attach(&name, read_only, &us()).await.unwrap();
    assert_eq!(first, again);
    assert!(first.read_only);
    storage.detach(&name, &task).await.unwrap();
    assert!(holds(&first, 0x55), "the other one still has it");
    storage.detach(&name, &us()).await.unwrap();
    storage.detach(&name, &us()).await.unwrap();
    // What an agent attached that died is found by the next one, and let go.
    bed.open().attach(&name, read_only, &us()).await.unwrap();
    storage.detach(&name, &us()).await.unwrap();
    storage.free(&name).await.unwrap();
    let none = storage.attach(&name, read_only, &us()).await;
    assert!(
        matches!(none, Err(StorageError::NoVolume { .. })),
        "{none:?}"
    );
    storage.detach(&name, &us()).await.unwrap();
    assert_empty(storage).await;
}

/// Another node has removed a volume of this name that was active here, and made a new one.
pub(crate) async fn a_mapping_of_another_volume_is_not_taken(bed: &Bed) {
    let storage = &*bed.active().await;
    let name = make(storage, bed.format).await;
    write(storage, &name, 0x57).await;
    let path = storage.path(&name).unwrap();
    let group = path.parent().unwrap().file_name().unwrap().display();
    let mapping = format!("{group}-{}", name.replace('-', "--"));
    let table = format!("0 {} zero", SIZE / 512);
    let dmsetup = |args: &[&str]| {
        let ran = std::process::Command::new("dmsetup").args(args).status();
        assert!(ran.unwrap().success(), "{args:?}");
    };
    dmsetup(&["create", &mapping, "--table", &table]);
    assert_holds(storage, &name, 0x57).await;
    assert!(storage.free(&name).await.unwrap());
    assert_empty(storage).await;
}

pub(crate) async fn a_base_is_never_written(bed: &Bed) {
    let storage = &*bed.active().await;
    let name = make(storage, bed.format).await;
    write(storage, &name, 0x66).await;
    clones(storage).check_fit_for_base(&name).await.unwrap();
    let base = clones(storage).base_name(&name).unwrap();
    storage.rename(&name, &base).await.unwrap();
    let said = bed.config.spec.kind().parse(&base).unwrap();
    assert!(said.is_base);
    let written = storage.attach(&base, AttachMode::Exclusive, &us()).await;
    let text = written.unwrap_err().to_string();
    assert!(text.contains("cannot be written to"), "{text}");
    assert_holds(storage, &base, 0x66).await;
    // A task that is taken back makes it a disk again.
    storage.rename(&base, &name).await.unwrap();
    write(storage, &name, 0x67).await;
    storage.free(&name).await.unwrap();
    assert_empty(storage).await;
}

pub(crate) async fn a_clone_shows_its_base_and_changes_apart(bed: &Bed) {
    let storage = &*bed.active().await;
    let name = make(storage, bed.format).await;
    write(storage, &name, 0x77).await;
    let base = clones(storage).base_name(&name).unwrap();
    storage.rename(&name, &base).await.unwrap();
    let mut made: Vec<String> = Vec::new();
    for _ in 0..2 {
        let clone = clones(storage);
        let name = clone.choose_clone_name(&base, vmid(101), &made).await;
        let name = name.unwrap();
        clone.create_clone(&base, &name).await.unwrap();
        made.push(name);
    }
    let again = clones(storage).create_clone(&base, &made[0]).await;
    assert!(
        matches!(again, Err(StorageError::Exists { .. })),
        "{again:?}"
    );
    let info = storage.stat(&made[0]).await.unwrap().unwrap();
    assert_eq!((info.size, info.owner), (SIZE, Some(vmid(101))));
    assert_eq!(info.format, clones(storage).clone_format().as_str());
    write(storage, &made[0], 0x78).await;
    for (name, byte) in [(&made[0], 0x78), (&made[1], 0x77), (&base, 0x77)] {
        assert_holds(storage, name, byte).await;
    }
    for name in made.iter().chain([&base]) {
        assert!(storage.free(name).await.unwrap(), "{name}");
    }
    assert_empty(storage).await;
}

pub(crate) async fn snapshots_keep_what_was_and_roll_back(bed: &Bed) {
    let storage = &*bed.active().await;
    let name = make(storage, bed.format).await;
    let all = snapshots(storage);
    assert!(all.maker(&name).is_some());
    all.check_image(&name).await.unwrap();
    for (snapshot, byte) in [("one", 0x81), ("two", 0x82)] {
        write(storage, &name, byte).await;
        all.create_snapshot(&name, snapshot).await.unwrap();
    }
    let again = all.create_snapshot(&name, "one").await;
    assert!(
        matches!(again, Err(StorageError::Exists { .. })),
        "{again:?}"
    );
    write(storage, &name, 0x83).await;
    let (one, two) = (("one", 0x81), ("two", 0x82));
    let order = match bed.rolls_back_newest {
        true => [two, two, two],
        false => [one, two, one],
    };
    for (snapshot, byte) in order {
        all.check_roll_back(&name, snapshot).await.unwrap();
        all.roll_back(&name, snapshot).await.unwrap();
        assert_holds(storage, &name, byte).await;
        let mut known = all.list_snapshots(&name).await.unwrap();
        known.sort();
        assert_eq!(known, ["one", "two"]);
        write(storage, &name, 0x84).await;
    }
    assert!(all.roll_back(&name, "none").await.is_err());
    if bed.rolls_back_newest {
        for refused in [
            all.check_roll_back(&name, "one"),
            all.roll_back(&name, "one"),
        ] {
            let text = refused.await.unwrap_err().to_string();
            assert!(
                text.starts_with("can't rollback, 'one' is not most recent snapshot"),
                "{text}"
            );
        }
    }
    assert_holds(storage, &name, 0x84).await;
    assert!(all.delete_snapshot(&name, "one").await.unwrap());
    assert!(!all.delete_snapshot(&name, "one").await.unwrap());
    assert_eq!(all.list_snapshots(&name).await.unwrap(), ["two"]);
    assert_holds(storage, &name, 0x84).await;
    storage.free(&name).await.unwrap();
    assert_empty(storage).await;
}

pub(crate) async fn a_snapshot_is_read_while_its_image_changes(bed: &Bed) {
    let storage = &*bed.active().await;
    let name = make(storage, bed.format).await;
    write(storage, &name, 0x91).await;
    let all = snapshots(storage);
    all.create_snapshot(&name, "one").await.unwrap();
    let image = storage.attach(&name, AttachMode::Exclusive, &us()).await;
    image.unwrap();
    let task = guest(101);
    let found = all.attach_snapshot(&name, "one", &task).await.unwrap();
    assert!(found.image.read_only);
    write(storage, &name, 0x92).await;
    if found.inside.is_none() {
        assert!(holds(&found.image, 0x91));
    }
    all.detach_snapshot(&name, "one", &task).await.unwrap();
    all.detach_snapshot(&name, "one", &task).await.unwrap();
    storage.detach(&name, &us()).await.unwrap();
    storage.free(&name).await.unwrap();
    assert_empty(storage).await;
}

pub(crate) async fn freeing_takes_snapshots_along(bed: &Bed) {
    let storage = &*bed.active().await;
    let name = make(storage, bed.format).await;
    let all = snapshots(storage);
    all.create_snapshot(&name, "one").await.unwrap();
    storage.free(&name).await.unwrap();
    let name = make(storage, bed.format).await;
    assert_eq!(all.list_snapshots(&name).await.unwrap(), [""; 0]);
    storage.free(&name).await.unwrap();
    assert_empty(storage).await;
}

pub(crate) async fn names_of_others_are_refused(bed: &Bed) {
    let storage = &*bed.active().await;
    for name in [
        "../vm-100-disk-0",
        "/etc/shadow",
        "100/../101/vm-101-disk-0.raw",
        "vm-99-disk-0",
        "root",
        "-vm-100-disk-0",
        "vm-100-disk-0 --yes",
        "",
    ] {
        let refused = [
            storage.stat(name).await.map(drop),
            storage.free(name).await.map(drop),
            storage.allocate(name, bed.format, MIB).await,
            storage.resize(name, MIB).await,
            storage.rename(name, name).await,
            storage
                .attach(name, AttachMode::ReadOnly, &us())
                .await
                .map(drop),
            storage.detach(name, &us()).await,
            storage.path(name).map(drop),
        ];
        for refusal in refused {
            let is_refused = matches!(refusal, Err(StorageError::BadName(_)));
            assert!(is_refused, "'{name}': {refusal:?}");
        }
    }
    assert_empty(storage).await;
}

pub(crate) async fn the_storage_says_how_full_it_is(bed: &Bed) {
    let storage = &*bed.active().await;
    storage.activate().await.unwrap();
    let status = storage.status().await.unwrap();
    assert!(
        status.total > 0 && status.used <= status.total,
        "{status:?}"
    );
    assert!(status.available <= status.total - status.used, "{status:?}");
}

/// A folder of files with an owner, that is renamed, snapshotted where images are, cloned and freed.
pub(crate) async fn trees_are_folders_of_their_own(bed: &Bed) {
    let storage = &*bed.active().await;
    let trees = storage.trees().expect("it has trees");
    let size = if trees.has_quotas() { 64 * MIB } else { 0 };
    let name = trees.choose_tree_name(vmid(100), &[]).await.unwrap();
    trees
        .create_tree(&name, size, (100_000, 100_000))
        .await
        .unwrap();
    let again = trees.create_tree(&name, size, (0, 0)).await;
    assert!(
        matches!(again, Err(StorageError::Exists { .. })),
        "{again:?}"
    );
    let path = trees.attach_tree(&name, &us()).await.unwrap();
    let metadata = std::fs::metadata(&path).unwrap();
    assert_eq!((metadata.uid(), metadata.gid()), (100_000, 100_000));
    std::fs::write(path.join("file"), "before").unwrap();
    let info = storage.stat(&name).await.unwrap().unwrap();
    assert_eq!((info.size, info.owner), (size, Some(vmid(100))));
    assert_eq!(
        (info.format.as_str(), info.content),
        ("subvol", ContentType::Rootdir)
    );
    assert_eq!(
        storage.list(Some(ContentType::Rootdir)).await.unwrap(),
        [info]
    );
    if trees.has_quotas() {
        trees.resize_tree(&name, 2 * size).await.unwrap();
        let info = storage.stat(&name).await.unwrap().unwrap();
        assert_eq!(info.size, 2 * size);
    }
    let held = |tree: PathBuf| std::fs::read_to_string(tree.join("file")).unwrap();
    let all = snapshots(storage);
    if all.maker(&name).is_some() {
        all.create_snapshot(&name, "one").await.unwrap();
        std::fs::write(path.join("file"), "after").unwrap();
        all.roll_back(&name, "one").await.unwrap();
        let path = trees.attach_tree(&name, &us()).await.unwrap();
        assert_eq!(held(path), "before");
        assert!(all.delete_snapshot(&name, "one").await.unwrap());
        let base = clones(storage).base_name(&name).unwrap();
        storage.rename(&name, &base).await.unwrap();
        let clone = clones(storage)
            .choose_clone_name(&base, vmid(101), &[])
            .await
            .unwrap();
        clones(storage).create_clone(&base, &clone).await.unwrap();
        let path = trees.attach_tree(&clone, &us()).await.unwrap();
        assert_eq!(held(path), "before");
        assert!(storage.free(&clone).await.unwrap());
        storage.rename(&base, &name).await.unwrap();
    }
    let other = trees.choose_tree_name(vmid(102), &[]).await.unwrap();
    storage.rename(&name, &other).await.unwrap();
    assert_eq!(
        held(trees.attach_tree(&other, &us()).await.unwrap()),
        "before"
    );
    assert!(storage.free(&other).await.unwrap());
    assert!(!storage.free(&other).await.unwrap());
    assert_empty(storage).await;
}
