//! Units of what a change of a configuration does.

use super::*;
use crate::guests::options::{apply_pending, return_to};
use model::GuestKind;
use serde_json::json;
use storage::StorageConfig;

/// The storage that the tests' volumes are on.
fn names() -> VolumeNames {
    VolumeNames::of([&StorageConfig::dir("local".parse().unwrap(), "/var/lib/vz")])
}

fn record(options: Value) -> GuestRecord {
    let Value::Object(options) = options else {
        panic!("an object")
    };
    GuestRecord {
        config: GuestConfig(options.into_iter().collect()),
        ..GuestRecord::new(
            "100".parse().unwrap(),
            GuestKind::Qemu,
            "pve1".parse().unwrap(),
            0,
        )
    }
}

fn edit(options: Value) -> Edit {
    let Value::Object(options) = options else {
        panic!("an object")
    };
    Edit::new(&options, &|| "BC:24:11:00:00:01".to_owned()).unwrap()
}

#[test]
fn values_are_stored_as_they_are_shown() {
    let edit = edit(json!({
        "kvm": false, "cores": 2, "net0": "virtio,bridge=vmbr0", "description": "a\n\n",
        "cdrom": "local:iso/x.iso"
    }));
    assert_eq!(edit.set["kvm"], 0);
    assert_eq!(edit.set["net0"], "virtio=BC:24:11:00:00:01,bridge=vmbr0");
    assert_eq!(edit.set["description"], "a");
    assert_eq!(edit.set["ide2"], "local:iso/x.iso,media=cdrom");
}

#[test]
fn a_return_keeps_what_the_snapshot_does_not_know() {
    let mut guest = record(
        json!({"cores": 4, "description": "now", "scsi0": "local:100/a.qcow2",
        "scsi1": "local:100/new.qcow2", "unused0": "local:100/old.qcow2",
        "unused1": "local:100/c.qcow2"}),
    );
    let then = json!({"cores": 1, "scsi0": "local:100/a.qcow2", "scsi2": "local:100/c.qcow2"});
    let snapshot = model::Snapshot {
        config: record(then).config,
        description: Some("then".to_owned()),
        parent: None,
        created: 0,
        memory: None,
        state: None,
        job: None,
    };
    guest.snapshots.insert("s1".to_owned(), snapshot);
    guest
        .pending
        .insert("cores".to_owned(), PendingChange::Set(8.into()));
    return_to(&mut guest, "s1", &names());
    let is = |name: &str| guest.config.text(name);
    assert_eq!(is("cores").as_deref(), Some("1"));
    assert_eq!(is("description").as_deref(), Some("now"));
    assert_eq!(is("parent").as_deref(), Some("s1"));
    assert_eq!(is("unused0").as_deref(), Some("local:100/old.qcow2"));
    assert_eq!(is("unused1").as_deref(), Some("local:100/new.qcow2"));
    assert_eq!((is("scsi1"), guest.pending.len()), (None, 0));
}

#[test]
fn a_new_volume_takes_its_place_in_the_option() {
    let mut edit = edit(json!({"scsi0": "local:1.5,format=qcow2,discard=on"}));
    assert_eq!(edit.new_volumes[0].bytes, 3 << 29);
    edit.new_volumes[0].name = Some("100/vm-100-disk-0.qcow2".to_owned());
    edit.name_volumes().unwrap();
    assert_eq!(
        edit.set["scsi0"],
        "local:100/vm-100-disk-0.qcow2,discard=on,size=1536M"
    );
}

#[test]
fn a_volume_that_is_there_is_shown_with_its_size() {
    let mut edit = edit(json!({
        "scsi0": "local:100/vm-100-disk-0.raw,ssd=1,size=9G", "scsi1": "local:1",
        "ide0": "local:iso/x.iso,media=cdrom", "ide1": "none,media=cdrom",
        "ide2": "local:100/vm-100-cloudinit.qcow2,media=cdrom", "cores": 2,
    }));
    let named = edit.named_volumes();
    let slots: Vec<String> = named.iter().map(|(slot, _)| slot.to_string()).collect();
    assert_eq!(slots, ["ide0", "scsi0"]);
    for (slot, _) in named {
        edit.set_size(slot, 19_456);
    }
    assert_eq!(
        edit.set["scsi0"],
        "local:100/vm-100-disk-0.raw,size=19K,ssd=1"
    );
    assert_eq!(edit.set["ide0"], "local:iso/x.iso,media=cdrom,size=19K");
}

#[test]
fn while_it_runs_a_change_waits_and_can_be_taken_back() {
    let mut guest = record(json!({"cores": 1, "description": "x"}));
    let change = edit(json!({"cores": 2, "description": "y"}));
    change.apply(&mut guest, true, &names());
    assert_eq!(guest.config.0["cores"], 1);
    assert_eq!(guest.config.0["description"], "y");
    assert_eq!(guest.pending["cores"], PendingChange::Set(2.into()));
    let back = Edit {
        revert: vec!["cores".into()],
        ..Edit::default()
    };
    back.apply(&mut guest, true, &names());
    assert!(guest.pending.is_empty());
    change.apply(&mut guest, true, &names());
    apply_pending(&mut guest, &names());
    assert_eq!(guest.config.0["cores"], 2);
}

#[test]
fn a_volume_that_waited_in_vain_is_unused() {
    let set = |volume: &str| edit(json!({"sata5": format!("local:100/{volume},size=1G")}));
    let back = |delete: bool, force| {
        let names = vec!["sata5".to_owned()];
        let (delete, revert) = if delete {
            (names, vec![])
        } else {
            (vec![], names)
        };
        Edit {
            delete,
            revert,
            force,
            ..Edit::default()
        }
    };
    for taken_back in [back(true, false), back(false, false), set("b.raw")] {
        let mut guest = record(json!({}));
        set("a.raw").apply(&mut guest, true, &names());
        assert_eq!(guest.config.0.len(), 0);
        // The same volume with other options waits on.
        edit(json!({"sata5": "local:100/a.raw,ssd=1"})).apply(&mut guest, true, &names());
        assert_eq!(guest.config.0.len(), 0);
        assert!(
            taken_back
                .apply(&mut guest, true, &names())
                .unwanted
                .is_empty()
        );
        assert_eq!(guest.config.0["unused0"], "local:100/a.raw");
    }
    let mut guest = record(json!({}));
    set("a.raw").apply(&mut guest, true, &names());
    let names = names();
    let applied = back(true, true).apply(&mut guest, true, &names);
    assert_eq!(applied.unwanted[0].to_string(), "local:100/a.raw");
    assert_eq!(guest.config.0.len(), 0);
}

#[test]
fn a_drive_that_is_taken_out_leaves_its_volume_unused() {
    let mut guest = record(json!({
        "scsi0": "local:100/vm-100-disk-0.raw,size=1G", "ide2": "local:iso/x.iso,media=cdrom"
    }));
    let out = Edit {
        delete: vec!["scsi0".into(), "ide2".into()],
        ..Edit::default()
    };
    assert!(out.apply(&mut guest, false, &names()).unwanted.is_empty());
    assert_eq!(guest.config.0["unused0"], "local:100/vm-100-disk-0.raw");
    assert_eq!(guest.config.0.len(), 1);
    let gone = Edit {
        delete: vec!["unused0".into()],
        ..Edit::default()
    };
    let names = names();
    let applied = gone.apply(&mut guest, false, &names);
    assert_eq!(
        applied.unwanted[0].to_string(),
        "local:100/vm-100-disk-0.raw"
    );
}

fn error(options: Value) -> String {
    let Value::Object(options) = options else {
        panic!("an object")
    };
    let error = Edit::new(&options, &|| "BC:24:11:00:00:01".to_owned()).unwrap_err();
    error.fields.into_values().collect()
}

#[test]
fn values_are_normalised_as_clients_find_them_later() {
    let units = edit(json!({"cpuunits": 262_144, "smp": 4, "description": " \n"}));
    assert_eq!(
        (&units.set["cpuunits"], &units.set["sockets"]),
        (&json!(10_000), &json!(4))
    );
    assert_eq!(units.set.len(), 2);
    assert_eq!(units.delete, ["cores", "description"]);
    let both = edit(json!({"smp": 4, "sockets": 2, "cores": 3}));
    assert_eq!(
        (&both.set["sockets"], &both.set["cores"]),
        (&json!(2), &json!(3))
    );
    for (value, stored) in [
        ("none", "none,media=cdrom"),
        ("cdrom", "cdrom,media=cdrom"),
        ("local:iso/x.iso", "local:iso/x.iso,media=cdrom"),
        ("/root/X.ISO", "/root/X.ISO,media=cdrom"),
        ("/dev/sdb,ssd=1", "/dev/sdb,ssd=1"),
        (
            "local:100/a.raw,bps=1048576,bps_rd=0",
            "local:100/a.raw,mbps=1,mbps_rd=0",
        ),
        (
            "local:100/a.raw,bps_wr=1572864",
            "local:100/a.raw,mbps_wr=1.5",
        ),
    ] {
        assert_eq!(edit(json!({"scsi1": value})).set["scsi1"], stored);
    }
}

#[test]
fn drives_that_contradict_themselves_are_refused() {
    for value in [
        "local:1,mbps=5,mbps_rd=6",
        "local:1,iops=5,iops_wr=6",
        "local:1,bps=5,mbps=6",
        "local:iso/x.iso,media=cdrom,format=raw",
        "none,media=cdrom,snapshot=1",
    ] {
        assert_eq!(
            error(json!({"scsi0": value})),
            "unable to parse drive options",
            "{value}"
        );
    }
    edit(json!({"scsi0": "local:1,mbps=5,mbps_rd=0", "ide2": "local:cloudinit,format=qcow2"}));
}

#[test]
fn a_volume_that_is_in_use_again_is_not_unused() {
    for is_running in [false, true] {
        let mut guest = record(json!({"unused0": "local:100/a.raw", "unused3": "local:100/b.raw"}));
        edit(json!({"scsi1": "local:100/a.raw,ssd=1"})).apply(&mut guest, is_running, &names());
        apply_pending(&mut guest, &names());
        let names: Vec<&String> = guest.config.0.keys().collect();
        assert_eq!(names, ["scsi1", "unused3"]);
    }
}

#[test]
fn a_boot_order_names_what_is_there() {
    let mut guest = record(json!({
        "scsi0": "local:100/a.raw", "net0": "virtio", "boot": "order=scsi0;ide2;net0",
        "ide2": "none,media=cdrom", "bootdisk": "scsi0",
    }));
    let check = |options: Value, delete: &[&str]| {
        let mut edit = edit(options);
        edit.delete = delete.iter().map(|name| (*name).to_owned()).collect();
        edit.check(Some(&guest)).map_err(|error| error.message)
    };
    let missing = |name: &str| {
        Err(format!(
            "invalid bootorder: device '{name}' does not exist'"
        ))
    };
    assert_eq!(check(json!({"boot": "order=net0;scsi0"}), &[]), Ok(()));
    assert_eq!(check(json!({"boot": "order=scsi1"}), &[]), missing("scsi1"));
    assert_eq!(
        check(json!({"boot": "order=scsi1", "scsi1": "none"}), &[]),
        Ok(())
    );
    assert_eq!(
        check(json!({"boot": "order=net0"}), &["net0"]),
        missing("net0")
    );
    assert_eq!(check(json!({"boot": "cdn"}), &[]), Ok(()));

    edit(json!({"boot": "order=net0;ide2;scsi0"})).apply(&mut guest, false, &names());
    assert_eq!(guest.config.text("bootdisk"), None);
    for (gone, left) in [("ide2", "net0;scsi0"), ("scsi0", "net0"), ("net0", "")] {
        let edit = Edit {
            delete: vec![gone.to_owned()],
            ..Edit::default()
        };
        edit.apply(&mut guest, false, &names());
        assert_eq!(guest.config.0["boot"], format!("order={left}"));
    }
}

#[test]
fn a_balloon_is_no_larger_than_the_memory() {
    let mut guest = record(json!({"memory": "512", "balloon": 256}));
    let large = "balloon value too large (must be smaller than assigned memory)";
    for (options, fits) in [
        (json!({"balloon": 513}), false),
        (json!({"balloon": 512}), true),
        (json!({"memory": "255"}), false),
        (json!({"memory": "1024", "balloon": 1024}), true),
    ] {
        let checked = edit(options)
            .check(Some(&guest))
            .map_err(|error| error.message);
        assert_eq!(checked, if fits { Ok(()) } else { Err(large.to_owned()) });
    }
    // What waits for the next start counts.
    guest
        .pending
        .insert("memory".to_owned(), PendingChange::Set("300".into()));
    assert!(edit(json!({"balloon": 301})).check(Some(&guest)).is_err());
}

#[test]
fn the_state_of_a_tpm_keeps_its_version() {
    let guest = record(json!({"tpmstate0": "local:100/t.raw,size=4M,version=v2.0"}));
    let mut silent = edit(json!({"tpmstate0": "local:100/t.raw"}));
    silent.keep_tpm_version(&guest).unwrap();
    assert_eq!(silent.set["tpmstate0"], "local:100/t.raw,version=v2.0");
    let mut other = edit(json!({"tpmstate0": "local:100/t.raw,version=v1.2"}));
    let refused = other.keep_tpm_version(&guest).unwrap_err();
    assert_eq!(
        refused.fields["tpmstate0"],
        "the version of a TPM's state cannot be changed"
    );
    let mut fresh = edit(json!({"tpmstate0": "local:1,version=v1.2"}));
    fresh.keep_tpm_version(&guest).unwrap();
}

#[test]
fn a_new_volume_has_whole_kib() {
    let edit = edit(json!({"scsi0": "local:0.1", "scsi1": "local:0.0000001"}));
    let sizes: Vec<u64> = edit.new_volumes.iter().map(|volume| volume.bytes).collect();
    assert_eq!(sizes, [104_858 << 10, 1 << 10]);
}
