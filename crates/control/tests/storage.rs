//! Storages and their volumes through the whole agent: rights, answers, and errors.
#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "a test that cannot go on ends"
)]

#[path = "access/bench.rs"]
mod bench;

use std::io::Write;

use bench::{Bench, JANE};
use control::Dispatcher;
use model::{Error, ErrorKind};
use proto::Credential;
use proto::wire::{Peer, Request, Service, Streamed};
use serde_json::{Value, json};
use std::path::Path;

fn on(storage: &str) -> Value {
    json!({"node": "pve1", "storage": storage})
}

fn volume(name: &str) -> Value {
    json!({"node": "pve1", "storage": "d1", "volume": name})
}

fn with(mut params: Value, more: Value) -> Value {
    params
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    params
}

/// With a storage `d1` for all content types, an image of guest 100 and two files.
async fn bench() -> Bench {
    let bench = Bench::with_jane().await;
    let content = "images,iso,vztmpl,import,snippets,backup";
    let d1 = json!({"storage": "d1", "type": "dir", "path": "/srv/d1", "content": content});
    bench.root().ok("storage_create", d1).await;
    let host = &bench.context.node.host;
    host.create_dir(Path::new("/srv/d1/images/100"), 0o755)
        .await
        .unwrap();
    for path in [
        "images/100/vm-100-disk-0.raw",
        "template/iso/x.iso",
        "snippets/user.yaml",
        "dump/vzdump-qemu-100-2026_11_21-02_32_00.vma.zst",
    ] {
        host.write(&Path::new("/srv/d1").join(path), b"12345", 0o644)
            .await
            .unwrap();
    }
    bench
}

async fn grant(bench: &Bench, path: &str, role: &str) {
    let acl = json!({"path": path, "users": JANE, "roles": role});
    bench.root().ok("acl_update", acl).await;
}

fn volids(rows: &Value) -> Vec<&str> {
    let mut ids: Vec<&str> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["volid"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn a_storage_is_made_shown_changed_and_forgotten() {
    let bench = Bench::new().await;
    let root = bench.root();
    let d2 = json!({"storage": "d2", "type": "dir", "path": "/var/lib/d2", "content": "images"});
    let made = root.ok("storage_create", d2.clone()).await;
    assert_eq!(made, json!({"storage": "d2", "type": "dir"}));
    let twice = root.error("storage_create", d2).await;
    assert_eq!(
        twice.message,
        "create storage failed: storage ID 'd2' already defined"
    );

    let shown = root.ok("storage_get", json!({"storage": "d2"})).await;
    let digest = shown["digest"].as_str().unwrap().to_owned();
    assert_eq!(digest.len(), 40);
    let expected = json!({
        "storage": "d2", "type": "dir", "path": "/var/lib/d2", "content": "images",
        "digest": digest,
    });
    assert_eq!(shown, expected);
    assert_eq!(root.ok("storage_list", json!({})).await, json!([expected]));
    assert_eq!(
        root.ok("storage_list", json!({"type": "nfs"})).await,
        json!([])
    );

    let change = json!({
        "storage": "d2", "content": "iso,backup", "shared": 1, "nodes": "pve1,pve2",
        "preallocation": "off", "digest": digest,
    });
    assert_eq!(root.ok("storage_update", change.clone()).await, made);
    let shown = root.ok("storage_get", json!({"storage": "d2"})).await;
    assert_eq!(
        (&shown["content"], &shown["shared"]),
        (&json!("iso,backup"), &json!(1))
    );
    assert_eq!(
        (&shown["nodes"], &shown["preallocation"]),
        (&json!("pve1,pve2"), &json!("off"))
    );
    assert_ne!(shown["digest"], digest);
    let stale = root.error("storage_update", change).await;
    assert_eq!(
        stale.message,
        "update storage failed: detected modified configuration - file changed by other user? \
         Try again."
    );
    let delete = json!({"storage": "d2", "delete": "nodes,shared,preallocation"});
    root.ok("storage_update", delete).await;
    let shown = root.ok("storage_get", json!({"storage": "d2"})).await;
    assert!(
        shown.get("nodes").is_none() && shown.get("shared").is_none(),
        "{shown}"
    );
}

#[tokio::test]
async fn a_storage_that_was_forgotten_is_unknown() {
    let bench = Bench::new().await;
    let root = bench.root();
    let d2 = json!({"storage": "d2", "type": "dir", "path": "/var/lib/d2"});
    root.ok("storage_create", d2).await;
    let shown = root.ok("storage_get", json!({"storage": "d2"})).await;
    assert_eq!(shown["content"], "images,rootdir");
    assert_eq!(
        root.ok("storage_delete", json!({"storage": "d2"})).await,
        Value::Null
    );
    for (op, text) in [
        ("storage_get", "storage 'd2' does not exist"),
        (
            "storage_update",
            "update storage failed: storage 'd2' does not exist",
        ),
        (
            "storage_delete",
            "delete storage failed: storage 'd2' does not exist",
        ),
    ] {
        let missing = root.error(op, json!({"storage": "d2"})).await;
        assert_eq!(
            (missing.message.as_str(), missing.kind),
            (text, ErrorKind::NotFound)
        );
    }
}

#[tokio::test]
async fn what_backups_need_is_kept_as_given() {
    let bench = Bench::new().await;
    let root = bench.root();
    let make = json!({"storage": "d2", "type": "dir", "path": "/d2", "max-protected-backups": -1,
        "prune-backups": "keep-last=3,keep-daily=7"});
    root.ok("storage_create", make).await;
    let shown = root.ok("storage_get", json!({"storage": "d2"})).await;
    assert_eq!(shown["prune-backups"], "keep-last=3,keep-daily=7");
    assert_eq!(shown["max-protected-backups"], -1);
    let delete = "prune-backups,max-protected-backups";
    root.ok(
        "storage_update",
        json!({"storage": "d2", "delete": delete, "shared": 0}),
    )
    .await;
    let shown = root.ok("storage_get", json!({"storage": "d2"})).await;
    assert!(shown.get("prune-backups").is_none() && shown.get("max-protected-backups").is_none());
}

#[tokio::test]
async fn what_cannot_be_a_storage_is_refused() {
    let bench = Bench::new().await;
    let root = bench.root();
    let make = |more: Value| with(json!({"storage": "d2", "type": "dir", "path": "/d2"}), more);
    for (params, field) in [
        (make(json!({"type": "pbs"})), "type"),
        (
            make(json!({"prune-backups": "keep-foo=1"})),
            "prune-backups",
        ),
        (
            make(json!({"prune-backups": "keep-all=1,keep-last=3"})),
            "prune-backups",
        ),
        (
            make(json!({"max-protected-backups": -2})),
            "max-protected-backups",
        ),
        (make(json!({"authsupported": "none"})), "authsupported"),
        (make(json!({"path": "d2"})), "path"),
        (make(json!({"content": "music"})), "content"),
        (make(json!({"is_mountpoint": "perhaps"})), "is_mountpoint"),
        (make(json!({"format": "subvol"})), "format"),
        (make(json!({"content-dirs": "x"})), "content-dirs"),
        (make(json!({"content-dirs": "foo=a"})), "content-dirs"),
        (make(json!({"content-dirs": "iso=../a"})), "content-dirs"),
    ] {
        let error = root.error("storage_create", params).await;
        assert!(error.fields.contains_key(field), "{field}: {error}");
    }
    let foreign = make(json!({"server": "10.0.0.1"}));
    let foreign = root.error("storage_create", foreign).await;
    assert_eq!(foreign.message, "unexpected property 'server'");
    let no_path = root
        .error("storage_create", json!({"storage": "d2", "type": "dir"}))
        .await;
    assert_eq!(no_path.message, "missing value for required option 'path'");
    let none = root
        .error("storage_create", make(json!({"content": "none,iso"})))
        .await;
    assert_eq!(
        none.message,
        "unable to combine 'none' with other content types"
    );
    let missing = root
        .error("storage_create", make(json!({"create-base-path": 0})))
        .await;
    assert_eq!(
        missing.message,
        "create storage failed: unable to activate storage 'd2' - directory '/d2' does not \
         exist or is unreachable"
    );
}

#[tokio::test]
async fn a_mount_point_must_be_mounted_and_options_must_be_known() {
    let bench = Bench::new().await;
    let root = bench.root();
    let make = |more: Value| with(json!({"storage": "d2", "type": "dir", "path": "/d2"}), more);
    let host = &bench.context.node.host;
    host.create_dir(Path::new("/proc/self"), 0o755)
        .await
        .unwrap();
    let mounts = b"24 1 0:22 / / rw - ext4 /dev/vda rw\n25 24 0:23 / /mnt rw - nfs a:/b rw\n";
    host.write(Path::new("/proc/self/mountinfo"), mounts, 0o644)
        .await
        .unwrap();
    let unmounted = root
        .error("storage_create", make(json!({"is_mountpoint": "yes"})))
        .await;
    assert!(
        unmounted
            .message
            .contains("is expected to be a mount point"),
        "{unmounted}"
    );
    root.ok("storage_create", make(json!({"is_mountpoint": "/mnt"})))
        .await;
    let both = json!({"storage": "d2", "shared": 1, "delete": "shared"});
    assert!(
        root.error("storage_update", both).await.message
            == "update storage failed: cannot set and delete property 'shared' at the same time!"
    );
    for (option, text) in [
        ("path", "required option 'path'"),
        ("nope", "no such option 'nope'"),
    ] {
        let params = json!({"storage": "d2", "delete": option});
        let error = root.error("storage_update", params).await;
        assert!(error.message.contains(text), "{error}");
    }
}

#[tokio::test]
async fn a_node_tells_how_full_its_storages_are() {
    let bench = bench().await;
    let root = bench.root();
    root.ok(
        "storage_create",
        json!({"storage": "off", "type": "dir", "path": "/off", "disable": 1}),
    )
    .await;
    let rows = root.ok("node_storage_list", json!({"node": "pve1"})).await;
    let d1 = &rows[0];
    assert_eq!(d1["storage"], "d1");
    for (name, value) in [("active", 1), ("enabled", 1), ("shared", 0)] {
        assert_eq!(d1[name], value, "{name}");
    }
    assert!(d1["total"].as_u64() > d1["avail"].as_u64().map(|avail| avail - 1));
    assert!(d1["used_fraction"].is_number() && d1.get("formats").is_none());
    assert_eq!(
        (&rows[1]["active"], &rows[1]["total"]),
        (&json!(0), &json!(0))
    );
    let count = async |more: Value| {
        let params = with(json!({"node": "pve1"}), more);
        root.ok("node_storage_list", params)
            .await
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(count(json!({"enabled": 1})).await, 1);
    assert_eq!(count(json!({"content": "iso"})).await, 1);
    assert_eq!(count(json!({"content": "rootdir,iso"})).await, 2);
    assert_eq!(count(json!({"storage": "off"})).await, 1);
    let formats = with(json!({"node": "pve1"}), json!({"format": 1}));
    let rows = root.ok("node_storage_list", formats).await;
    assert_eq!(rows[0]["formats"]["default"], "raw");
    let status = root.ok("node_storage_status", on("d1")).await;
    assert_eq!(
        (&status["type"], &status["active"]),
        (&json!("dir"), &json!(1))
    );
    assert!(status.get("storage").is_none());
    let missing = root.error("node_storage_status", on("nosuch")).await;
    assert_eq!(missing.fields["storage"], "No such storage.");
}

#[tokio::test]
async fn volumes_are_listed_by_kind_and_by_guest() {
    let bench = bench().await;
    let root = bench.root();
    let rows = root.ok("volume_list", on("d1")).await;
    let backup = "d1:backup/vzdump-qemu-100-2026_11_21-02_32_00.vma.zst";
    let all = [
        "d1:100/vm-100-disk-0.raw",
        backup,
        "d1:iso/x.iso",
        "d1:snippets/user.yaml",
    ];
    assert_eq!(volids(&rows), all);
    let rows = root
        .ok("volume_list", with(on("d1"), json!({"content": "images"})))
        .await;
    assert_eq!(
        rows,
        json!([{
            "volid": "d1:100/vm-100-disk-0.raw", "content": "images", "format": "raw",
            "size": 5, "used": 5, "ctime": 0, "vmid": 100, "parent": null,
        }])
    );
    let rows = root
        .ok("volume_list", with(on("d1"), json!({"vmid": 100})))
        .await;
    assert_eq!(volids(&rows), all[..2]);
    let one = root.ok("volume_get", volume("d1:iso/x.iso")).await;
    let expected =
        json!({"format": "iso", "size": 5, "used": 5, "path": "/srv/d1/template/iso/x.iso"});
    assert_eq!(one, expected);
    assert_eq!(root.ok("volume_get", volume("iso/x.iso")).await, one);
    let missing = root.error("volume_get", volume("d1:iso/y.iso")).await;
    assert_eq!(missing.message, "volume 'd1:iso/y.iso' does not exist");
    let other = root.error("volume_get", volume("d2:iso/x.iso")).await;
    assert_eq!(other.fields["storage"], "storage ID mismatch (d2 != d1)");
    for bad in ["d1:../etc/passwd", "d1:iso/../../x.iso", "d1:iso/x.exe"] {
        let error = root.error("volume_get", volume(bad)).await;
        assert!(
            !error.to_string().contains("does not exist"),
            "{bad}: {error}"
        );
    }
    for (attribute, text) in [
        (json!({"notes": "x"}), "only backups can have notes"),
        (
            json!({"protected": 1}),
            "only backups support attribute 'protected'",
        ),
    ] {
        let params = with(volume("d1:iso/x.iso"), attribute);
        assert_eq!(root.error("volume_update", params).await.message, text);
    }
}

#[tokio::test]
async fn everybody_sees_only_what_is_theirs() {
    let bench = bench().await;
    let jane = bench.jane().await;
    let denied = |error: Error| assert_eq!(error.kind, ErrorKind::Forbidden, "{error}");
    denied(jane.error("volume_list", on("d1")).await);
    denied(jane.error("node_storage_status", on("d1")).await);
    denied(jane.error("storage_get", json!({"storage": "d1"})).await);
    denied(jane.error("volume_get", volume("d1:iso/x.iso")).await);
    // A caller who may not see a volume must not learn whether it exists.
    denied(jane.error("volume_get", volume("d1:iso/y.iso")).await);
    assert_eq!(jane.ok("storage_list", json!({})).await, json!([]));
    assert_eq!(
        jane.ok("node_storage_list", json!({"node": "pve1"})).await,
        json!([])
    );

    grant(&bench, "/storage/d1", "PVEDatastoreUser").await;
    assert_eq!(
        volids(&jane.ok("volume_list", on("d1")).await),
        ["d1:iso/x.iso"]
    );
    jane.ok("volume_get", volume("d1:iso/x.iso")).await;
    denied(
        jane.error("volume_get", volume("d1:100/vm-100-disk-0.raw"))
            .await,
    );
    denied(jane.error("volume_delete", volume("d1:iso/x.iso")).await);
    denied(jane.error("storage_delete", json!({"storage": "d1"})).await);
    let listed = jane.ok("node_storage_list", json!({"node": "pve1"})).await;
    assert_eq!(listed.as_array().unwrap().len(), 1);

    grant(&bench, "/vms/100", "PVEVMAdmin").await;
    let seen = jane.ok("volume_list", on("d1")).await;
    assert_eq!(seen.as_array().unwrap().len(), 3, "{seen}");
    denied(
        jane.error("volume_delete", volume("d1:100/vm-100-disk-0.raw"))
            .await,
    );

    grant(&bench, "/storage/d1", "PVEDatastoreAdmin").await;
    assert_eq!(
        jane.ok("volume_list", on("d1"))
            .await
            .as_array()
            .unwrap()
            .len(),
        4
    );
    let create = json!({"storage": "d9", "type": "dir", "path": "/d9"});
    denied(jane.error("storage_create", create).await);
}

#[tokio::test]
async fn a_volume_is_removed_unless_a_guest_names_it() {
    let bench = bench().await;
    let root = bench.root();
    let upid = root.ok("volume_delete", volume("d1:iso/x.iso")).await;
    let upid: model::Upid = upid.as_str().unwrap().parse().unwrap();
    assert_eq!((upid.kind.as_str(), upid.id.as_str()), ("imgdel", "d1"));
    bench.context.tasks.wait(&upid).await.unwrap();
    let missing = root.error("volume_delete", volume("d1:iso/x.iso")).await;
    assert_eq!(missing.message, "volume 'd1:iso/x.iso' does not exist");

    bench.add_guest(101, "other").await;
    let vmid = model::VmId::new(101).unwrap();
    let records = &bench.context.node.records;
    let change = async |value: Option<&str>| {
        let changed = records.change_guest(vmid, |guest| {
            guest.config.0.remove("scsi1");
            if let Some(value) = value {
                guest.config.set("scsi1", value);
            }
            Ok(())
        });
        changed.await.unwrap();
    };
    change(Some("d1:100/vm-100-disk-0.raw,size=1G")).await;
    let used = root
        .error("volume_delete", volume("d1:100/vm-100-disk-0.raw"))
        .await;
    assert_eq!(
        used.message,
        "can't remove volume 'd1:100/vm-100-disk-0.raw' - it is used by VM 101 (scsi1)"
    );
    change(None).await;
    let delay = with(volume("d1:100/vm-100-disk-0.raw"), json!({"delay": 5}));
    assert_eq!(root.ok("volume_delete", delay).await, Value::Null);
    let rows = root
        .ok("volume_list", with(on("d1"), json!({"content": "images"})))
        .await;
    assert_eq!(rows, json!([]));
}

async fn open(bench: &Bench, params: Value) -> Result<Streamed, Error> {
    let request = Request {
        op: "volume_upload".to_owned(),
        params: params.as_object().unwrap().clone(),
        credential: Credential::Peer,
        id: String::new(),
        address: None,
    };
    let dispatcher = Dispatcher::new(bench.context.clone());
    dispatcher.stream(Peer::Local { uid: 0 }, request).await
}

fn upload(file: &str) -> Value {
    with(on("d1"), json!({"content": "iso", "filename": file}))
}

#[tokio::test]
async fn an_upload_is_refused_before_its_first_byte() {
    let bench = bench().await;
    let long = format!("{}.iso", "a".repeat(252));
    for (params, text) in [
        (upload("x.exe"), "filename: wrong file extension"),
        (upload("../.iso"), "filename: wrong file extension"),
        (upload("a/"), "filename: wrong file extension"),
        (
            upload(&long),
            "filename: value may only be 255 characters long",
        ),
        (
            with(upload("x.iso"), json!({"content": "images"})),
            "content: value 'images'",
        ),
        (
            with(upload("x.iso"), json!({"storage": "d9"})),
            "storage 'd9' does not exist",
        ),
        (
            with(upload("x.iso"), json!({"checksum": "00"})),
            "required by 'checksum'",
        ),
    ] {
        let Err(error) = open(&bench, params).await else {
            panic!("{text}: it was let in")
        };
        assert!(error.to_string().contains(text), "{error}");
    }
    let only = json!({"storage": "d1", "content": "images"});
    bench.root().ok("storage_update", only).await;
    let Err(error) = open(&bench, upload("x.iso")).await else {
        panic!("it was let in")
    };
    assert_eq!(
        error.message,
        "storage 'd1' is not configured for content-type 'iso'"
    );
    assert_eq!(bench.context.node.uploads.count(), 0);
}

#[tokio::test]
async fn what_was_written_becomes_the_volume() {
    let bench = bench().await;
    let root = bench.root();
    let streamed = open(&bench, upload("C:\\My Disk.iso")).await.unwrap();
    let mut file = std::fs::File::from(streamed.descriptor);
    file.write_all(b"content").unwrap();
    let name = &streamed.answer.data["tmpfilename"];
    let params = with(upload("C:\\My Disk.iso"), json!({"tmpfilename": name}));
    let other = with(
        params.clone(),
        json!({"tmpfilename": "/var/tmp/pveupload-00"}),
    );
    let unknown = root.error("volume_upload", other).await;
    assert!(unknown.message.contains("not here any more"), "{unknown}");
    let upid = root.ok("volume_upload", params.clone()).await;
    drop(file);
    let upid: model::Upid = upid.as_str().unwrap().parse().unwrap();
    assert_eq!((upid.kind.as_str(), upid.id.as_str()), ("imgcopy", ""));
    bench.context.tasks.wait(&upid).await.unwrap();
    let found = root.ok("volume_get", volume("d1:iso/My_Disk.iso")).await;
    assert_eq!(found["size"], 7);
    root.error("volume_upload", params).await;
    assert_eq!(bench.context.node.uploads.count(), 0);
}

#[tokio::test]
async fn a_download_needs_a_right_on_the_network_too() {
    let bench = bench().await;
    let jane = bench.jane().await;
    let params = with(upload("x.iso"), json!({"url": "http://127.0.0.1:1/x.iso"}));
    let denied = jane.error("volume_download", params.clone()).await;
    assert_eq!(denied.kind, ErrorKind::Forbidden);
    grant(&bench, "/storage/d1", "PVEDatastoreAdmin").await;
    let denied = jane.error("volume_download", params.clone()).await;
    assert_eq!(denied.kind, ErrorKind::Forbidden);
    let role = json!({"roleid": "Network", "privs": "Sys.AccessNetwork"});
    bench.root().ok("role_create", role).await;
    grant(&bench, "/nodes/pve1", "Network").await;
    let upid = jane.ok("volume_download", params.clone()).await;
    let upid: model::Upid = upid.as_str().unwrap().parse().unwrap();
    assert_eq!(
        (upid.kind.as_str(), upid.id.as_str()),
        ("download", "x.iso")
    );
    for (more, field) in [
        (json!({"filename": "x.exe"}), "filename"),
        (json!({"url": "ftp://x/x.iso"}), "url"),
        (json!({"compression": "gz"}), "compression"),
    ] {
        let error = bench
            .root()
            .error("volume_download", with(params.clone(), more))
            .await;
        assert!(error.fields.contains_key(field), "{error}");
    }
}

/// Storages of other types, each as it is asked for and as it is shown then.
const TYPES: [(&str, &str, &str); 8] = [
    (
        "nfs",
        r#"{"server": "192.0.2.1", "export": "/exp", "options": "vers=4.2", "content": "images,backup"}"#,
        r#"{"content": "images,backup", "export": "/exp", "options": "vers=4.2", "path": "/mnt/pve/s1",
            "server": "192.0.2.1", "shared": 1}"#,
    ),
    (
        "cifs",
        r#"{"server": "192.0.2.1", "share": "sh", "username": "u", "password": "hidden", "domain": "D",
            "smbversion": "3.0"}"#,
        r#"{"content": "images", "domain": "D", "path": "/mnt/pve/s1", "server": "192.0.2.1",
            "share": "sh", "shared": 1, "smbversion": "3.0", "username": "u"}"#,
    ),
    (
        "cephfs",
        r#"{"monhost": "192.0.2.1", "fs-name": "cephfs", "fuse": true, "subdir": "/pve", "content": "iso,images,backup",
            "username": "guests", "keyring": "AQDt+wtrifWhAxAAgnUKmwhHqRJiSspmbo4d6Q=="}"#,
        r#"{"content": "iso,backup", "fs-name": "cephfs", "fuse": 1, "monhost": "192.0.2.1",
            "path": "/mnt/pve/s1", "shared": 1, "subdir": "/pve", "username": "guests"}"#,
    ),
    (
        "iscsi",
        r#"{"portal": "192.0.2.1", "target": "iqn.x", "content": "backup"}"#,
        r#"{"content": "none", "portal": "192.0.2.1", "shared": 1, "target": "iqn.x"}"#,
    ),
    (
        "lvm",
        r#"{"vgname": "vg0", "content": "images,rootdir", "saferemove": true, "tagged_only": true,
            "shared": true, "saferemove-stepsize": "8", "saferemove_throughput": "-10m"}"#,
        r#"{"content": "images,rootdir", "saferemove": 1, "saferemove-stepsize": 8,
            "saferemove_throughput": "-10m", "shared": 1, "tagged_only": 1, "vgname": "vg0"}"#,
    ),
    (
        "zfspool",
        r#"{"pool": "tank", "sparse": true, "blocksize": "8k", "mountpoint": "/tank"}"#,
        r#"{"blocksize": "8k", "content": "images,rootdir", "mountpoint": "/tank", "pool": "tank",
            "sparse": 1}"#,
    ),
    (
        "btrfs",
        r#"{"path": "/srv/bt", "nocow": true}"#,
        r#"{"content": "images,rootdir", "nocow": 1, "path": "/srv/bt"}"#,
    ),
    (
        "dir",
        r#"{"path": "/srv/d", "content": "iso,backup", "content-dirs": "iso=media/iso,backup=bk"}"#,
        r#"{"content": "iso,backup", "content-dirs": {"backup": "bk", "iso": "media/iso"},
            "path": "/srv/d"}"#,
    ),
];

#[tokio::test]
async fn each_type_has_its_properties() {
    let bench = Bench::new().await;
    let root = bench.root();
    for (kind, asked, shown) in TYPES {
        let asked: Value = serde_json::from_str(asked).unwrap();
        let all = json!({"storage": "s1", "type": kind, "disable": true});
        root.ok("storage_create", with(all, asked)).await;
        let mut found = root.ok("storage_get", json!({"storage": "s1"})).await;
        found.as_object_mut().unwrap().remove("digest");
        let shown: Value = serde_json::from_str(shown).unwrap();
        let all = json!({"storage": "s1", "type": kind, "disable": 1});
        assert_eq!(found, with(all, shown));
        root.ok("storage_delete", json!({"storage": "s1"})).await;
    }
}

#[tokio::test]
async fn an_encrypted_storage_has_no_volumes_beside_those_in_the_clear() {
    let bench = Bench::new().await;
    let root = bench.root();
    let add = |id: &str, more: Value| {
        let all = json!({"storage": id, "type": "lvm", "vgname": "vg0", "disable": true});
        with(all, more)
    };
    root.ok("storage_create", add("s1", json!({"encrypted": true})))
        .await;
    for more in [json!({}), json!({"encrypted": true})] {
        let mixed = root.error("storage_create", add("s2", more)).await;
        let says = "create storage failed: 'vg0' is storage 's1' already: an encrypted one shares \
                    its volumes with no other";
        assert_eq!(mixed.message, says);
    }
    let other = add("s3", json!({"vgname": "vg1"}));
    root.ok("storage_create", other).await;
    let thin = json!({"storage": "s4", "type": "lvmthin", "vgname": "vg0", "thinpool": "data",
        "disable": true});
    root.ok("storage_create", thin).await;
}

#[tokio::test]
async fn a_group_has_layers_or_is_encrypted() {
    let bench = Bench::new().await;
    let root = bench.root();
    let add = |more: Value| {
        let all = json!({"storage": "s1", "type": "lvm", "vgname": "vg0", "disable": true});
        with(all, more)
    };
    let says = "an encrypted storage has no snapshots as layers";
    let both = json!({"encrypted": true, "snapshot-as-volume-chain": true});
    let refused = root.error("storage_create", add(both)).await;
    assert_eq!(refused.fields["snapshot-as-volume-chain"], says);
    root.ok("storage_create", add(json!({"encrypted": true})))
        .await;
    let later = json!({"storage": "s1", "snapshot-as-volume-chain": true});
    let refused = root.error("storage_update", later).await;
    assert_eq!(refused.fields["snapshot-as-volume-chain"], says);
    root.ok("storage_delete", json!({"storage": "s1"})).await;

    root.ok("storage_create", add(json!({}))).await;
    let formats = async || {
        let asked = json!({"node": "pve1", "storage": "s1", "format": 1});
        let rows = root.ok("node_storage_list", asked).await;
        rows[0]["formats"].clone()
    };
    let raw = json!({"default": "raw", "supported": ["raw"]});
    assert_eq!(formats().await, raw);
    let later = json!({"storage": "s1", "snapshot-as-volume-chain": true});
    root.ok("storage_update", later).await;
    let qcow2 = json!({"default": "qcow2", "supported": ["raw", "qcow2"]});
    assert_eq!(formats().await, qcow2);
    let reset = json!({"storage": "s1", "delete": "snapshot-as-volume-chain"});
    root.ok("storage_update", reset).await;
    assert_eq!(formats().await, raw);
}

#[tokio::test]
async fn a_group_is_refused_with_the_name_of_what_is_wrong() {
    let bench = Bench::new().await;
    let root = bench.root();
    for (rate, text) in [
        (
            "fast",
            "'fast' is no rate in bytes per second, such as 10485760 or 10m",
        ),
        (
            "0",
            "'0' is no rate in bytes per second, such as 10485760 or 10m",
        ),
    ] {
        let asked = json!({"storage": "s1", "type": "lvm", "vgname": "vg0", "disable": true,
            "saferemove_throughput": rate});
        let error = root.error("storage_create", asked).await;
        assert_eq!(error.fields["saferemove_throughput"], text);
    }
    let folder = json!({"storage": "d1", "type": "dir", "path": "/d", "disable": true});
    root.ok("storage_create", folder).await;
    for (base, text) in [
        (
            "none:0.0.1.x",
            "create storage failed: base storage ID 'none' does not exist",
        ),
        (
            "d1:0.0.1.x",
            "'d1:0.0.1.x' is on a storage of type 'dir', not iscsi",
        ),
    ] {
        let asked = json!({"storage": "s1", "type": "lvm", "vgname": "vg0", "base": base});
        let error = root.error("storage_create", asked).await;
        let said = error.fields.get("base").unwrap_or(&error.message);
        assert_eq!(said, text);
    }
}

#[tokio::test]
async fn what_a_type_needs_and_has_not_is_said() {
    let bench = Bench::new().await;
    let root = bench.root();
    for (kind, given, says) in [
        (
            "nfs",
            json!({}),
            "missing value for required option 'server'",
        ),
        (
            "lvmthin",
            json!({"vgname": "vg0"}),
            "missing value for required option 'thinpool'",
        ),
        (
            "lvmthin",
            json!({"vgname": "vg0", "thinpool": "data", "shared": true}),
            "unexpected property 'shared'",
        ),
        (
            "cephfs",
            json!({"monhost": "192.0.2.1", "content": "images"}),
            "storage does not support content type 'none'",
        ),
        (
            "cephfs",
            json!({"preallocation": "off"}),
            "unexpected property 'preallocation'",
        ),
        (
            "lvm",
            json!({"vgname": "vg0", "content": "iso"}),
            "storage does not support content type 'none'",
        ),
        (
            "dir",
            json!({"path": "/d", "content": "iso,backup", "content-dirs": "iso=a,backup=a"}),
            "storage 's1' uses directory a for multiple content types",
        ),
    ] {
        let all = json!({"storage": "s1", "type": kind, "disable": true});
        let error = root.error("storage_create", with(all, given)).await;
        assert_eq!(error.message, says);
    }
    let share =
        json!({"storage": "s1", "type": "cifs", "disable": true, "server": "h", "share": "x"});
    root.ok("storage_create", share).await;
    let moved = root
        .error("storage_update", json!({"storage": "s1", "server": "i"}))
        .await;
    let says = "update storage failed: can't change value of fixed parameter 'server'";
    assert_eq!(moved.message, says);
    let path = root
        .error("storage_update", json!({"storage": "s1", "delete": "path"}))
        .await;
    assert_eq!(
        path.message,
        "update storage failed: unable to delete fixed option 'path'"
    );
}

#[tokio::test]
async fn no_property_reaches_a_program_as_an_option() {
    let bench = Bench::new().await;
    let root = bench.root();
    for (kind, given, field) in [
        ("zfspool", json!({"pool": "-o"}), "pool"),
        ("zfspool", json!({"pool": "tank//x"}), "pool"),
        (
            "cifs",
            json!({"server": "h", "share": "x", "username": "u,uid=0"}),
            "username",
        ),
        ("nfs", json!({"server": "-h", "export": "/x"}), "server"),
        ("cephfs", json!({"monhost": "-h"}), "monhost"),
        ("cephfs", json!({"username": "u,secret=x"}), "username"),
        ("cephfs", json!({"subdir": "/a,allow_other"}), "subdir"),
        ("cephfs", json!({"options": "ro rw"}), "options"),
    ] {
        let all = json!({"storage": "s1", "type": kind, "disable": true});
        let error = root.error("storage_create", with(all, given)).await;
        assert!(error.fields.contains_key(field), "{field}: {error}");
    }
}

/// The password of a share is kept where the api has no copy of it, and goes with the storage.
#[tokio::test]
async fn a_password_is_a_secret() {
    let bench = Bench::new().await;
    let root = bench.root();
    let share = json!({"storage": "s1", "type": "cifs", "disable": true, "server": "h", "share": "x",
        "username": "u", "password": "hidden"});
    root.ok("storage_create", share).await;
    let kept = async || {
        let key = node::storage_secret_key(&"s1".parse().unwrap());
        let (entry, _) = bench
            .context
            .store
            .get(&key, store::Read::Linear)
            .await
            .unwrap();
        entry.map(|entry| entry.value)
    };
    assert_eq!(kept().await.as_deref(), Some(&b"hidden"[..]));
    let shown = root.ok("storage_get", json!({"storage": "s1"})).await;
    assert!(!shown.to_string().contains("hidden"), "{shown}");
    root.ok(
        "storage_update",
        json!({"storage": "s1", "password": "other"}),
    )
    .await;
    assert_eq!(kept().await.as_deref(), Some(&b"other"[..]));
    root.ok(
        "storage_update",
        json!({"storage": "s1", "delete": "password"}),
    )
    .await;
    assert_eq!(kept().await, None);
    root.ok(
        "storage_update",
        json!({"storage": "s1", "password": "other"}),
    )
    .await;
    root.ok("storage_delete", json!({"storage": "s1"})).await;
    assert_eq!(kept().await, None);
}

/// A disabled storage is not looked for, so what is said of it can be read without a cluster.
#[tokio::test]
async fn a_pool_of_ceph_is_kept_without_its_key() {
    let bench = Bench::new().await;
    let root = bench.root();
    let make = |more: Value| {
        let base = json!({"storage": "ceph", "type": "rbd", "disable": 1});
        with(base, more)
    };
    for (more, field) in [
        (json!({"pool": "--conf=/x"}), "pool"),
        (json!({"pool": "a/b"}), "pool"),
        (json!({"namespace": "a@b"}), "namespace"),
        (json!({"data-pool": ""}), "data-pool"),
        (json!({"username": "a,b"}), "username"),
        (json!({"monhost": "10.0.0.1 key=x"}), "monhost"),
        (json!({"keyring": "x".repeat(4097)}), "keyring"),
        (json!({"krbd": 1}), "krbd"),
    ] {
        let error = root.error("storage_create", make(more)).await;
        assert!(error.fields.contains_key(field), "{field}: {error}");
    }
    let keyring = "[client.guests]\n\tkey = AQDt+wtrifWhAxAAgnUKmwhHqRJiSspmbo4d6Q==\n";
    let given = json!({"monhost": "10.0.0.1;10.0.0.2", "pool": "vms", "username": "guests",
        "keyring": keyring});
    root.ok("storage_create", make(given)).await;
    let shown = root.ok("storage_get", json!({"storage": "ceph"})).await;
    let shown = shown.as_object().unwrap();
    assert!(!shown.contains_key("keyring"), "{shown:?}");
    for (name, value) in [
        ("shared", json!(1)),
        ("pool", json!("vms")),
        ("content", json!("images")),
        ("monhost", json!("10.0.0.1;10.0.0.2")),
    ] {
        assert_eq!(shown[name], value, "{name}");
    }
    let iso = json!({"storage": "ceph", "content": "iso"});
    let refused = root.error("storage_update", iso).await;
    assert!(
        refused
            .message
            .ends_with("storage does not support content type 'none'"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_target_of_iscsi_may_hold_nothing() {
    let bench = Bench::new().await;
    let root = bench.root();
    let make = |more: Value| {
        let base = json!({"storage": "units", "type": "iscsidirect", "portal": "192.0.2.1",
            "target": "iqn.2003-01.org.x:t", "disable": 1});
        with(base, more)
    };
    for (more, field) in [
        (json!({"target": "--help"}), "target"),
        (json!({"target": "iqn.x y"}), "target"),
        (json!({"portal": "bad portal"}), "portal"),
    ] {
        let error = root.error("storage_create", make(more)).await;
        assert!(error.fields.contains_key(field), "{field}: {error}");
    }
    let nowhere = json!({"storage": "units", "type": "iscsidirect", "portal": "192.0.2.1"});
    let missing = root.error("storage_create", nowhere).await;
    assert_eq!(
        missing.message,
        "missing value for required option 'target'"
    );
    root.ok("storage_create", make(json!({}))).await;
    let shown = root.ok("storage_get", json!({"storage": "units"})).await;
    assert_eq!(
        (&shown["content"], &shown["shared"]),
        (&json!("images"), &json!(1))
    );
    let none = json!({"storage": "units", "content": "none"});
    root.ok("storage_update", none).await;
    let shown = root.ok("storage_get", json!({"storage": "units"})).await;
    assert_eq!(shown["content"], "none");
    let other = json!({"storage": "units", "target": "iqn.2003-01.org.x:u"});
    let fixed = root.error("storage_update", other).await;
    assert!(fixed.fields.contains_key("target"), "{fixed}");
}
