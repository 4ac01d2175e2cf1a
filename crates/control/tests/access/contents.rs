//! What is in a storage: backups and the rule that they are pruned by, copies, machines from elsewhere.

use std::path::Path;

use model::ErrorKind;
use serde_json::{Value, json};

use super::bench::{Bench, JANE};

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

const DUMP: &str = "/srv/d1/dump";

/// Four more backups of guest 100 and one of a container.
async fn with_backups() -> Bench {
    let bench = bench().await;
    for file in [
        "vzdump-lxc-301-2026_01_03-00_00_00.tar.zst",
        "vzdump-qemu-100-2026_01_01-00_00_00.vma.zst",
        "vzdump-qemu-100-2026_01_02-00_00_00.vma.zst",
        "vzdump-qemu-100-2026_01_02-00_00_00.log",
        "vzdump-qemu-100-mine.vma.zst",
    ] {
        let path = Path::new(DUMP).join(file);
        let host = &bench.context.node.host;
        host.write(&path, b"12", 0o644).await.unwrap();
    }
    bench
}

fn backup(file: &str) -> Value {
    volume(&format!("d1:backup/vzdump-{file}"))
}

#[tokio::test]
async fn backup_prunable() {
    let bench = with_backups().await;
    let root = &bench.root();
    let oldest = "qemu-100-2026_01_01-00_00_00.vma.zst";
    let protect = json!({"protected": 1, "notes": "keep me\nfor ever"});
    root.ok("volume_update", with(backup(oldest), protect))
        .await;
    let shown = root.ok("volume_get", backup(oldest)).await;
    assert_eq!(
        (&shown["protected"], &shown["notes"]),
        (&json!(1), &json!("keep me\nfor ever"))
    );
    let rows = root
        .ok("volume_list", with(on("d1"), json!({"content": "backup"})))
        .await;
    assert_eq!(rows[0]["subtype"], "lxc");
    assert_eq!(rows[0]["ctime"], 1_767_398_400);
    assert_eq!(
        (&rows[1]["protected"], &rows[1]["notes"]),
        (&json!(1), &json!("keep me"))
    );
    let marks = |more: Value| {
        let asked = with(on("d1"), more);
        async move {
            let rows = root.ok("backup_prunable", asked).await;
            let row = |row: &Value| {
                let name = row["volid"].as_str().unwrap();
                format!(
                    "{} {}",
                    name.trim_start_matches("d1:backup/vzdump-"),
                    row["mark"].as_str().unwrap()
                )
            };
            rows.as_array().unwrap().iter().map(row).collect::<Vec<_>>()
        }
    };
    let by_last = json!({"prune-backups": "keep-last=1"});
    let all = [
        "lxc-301-2026_01_03-00_00_00.tar.zst keep",
        "qemu-100-2026_01_01-00_00_00.vma.zst protected",
        "qemu-100-2026_01_02-00_00_00.vma.zst remove",
        "qemu-100-2026_11_21-02_32_00.vma.zst keep",
        "qemu-100-mine.vma.zst renamed",
    ];
    assert_eq!(marks(by_last.clone()).await, all);
    assert_eq!(
        marks(with(by_last.clone(), json!({"type": "lxc"}))).await,
        all[..1]
    );
    assert_eq!(
        marks(with(by_last.clone(), json!({"vmid": 100}))).await,
        all[1..]
    );
    let kept = marks(json!({"prune-backups": "keep-all=1"})).await;
    assert!(!kept.iter().any(|row| row.ends_with("remove")), "{kept:?}");
    let refused = root.error("backup_prunable", on("d1")).await;
    let text = "no prune-backups options configured for storage 'd1'";
    assert_eq!(refused.message, text);
    let own = json!({"storage": "d1", "prune-backups": "keep-daily=1"});
    root.ok("storage_update", own).await;
    assert_eq!(marks(json!({})).await, all);
    let none = json!({"storage": "d2", "type": "dir", "path": "/srv/d2", "content": "iso"});
    root.ok("storage_create", none).await;
    let refused = root.error("backup_prunable", on("d2")).await;
    assert_eq!(refused.message, "storage 'd2' does not support backups");
    let refused = root.error("backup_prunable", on("nope")).await;
    assert_eq!(refused.message, "storage 'nope' does not exist");
}

#[tokio::test]
async fn backup_prune() {
    let bench = with_backups().await;
    let (root, jane) = (bench.root(), bench.jane().await);
    let host = &bench.context.node.host;
    let files = || async {
        let entries = host.list(Path::new(DUMP)).await.unwrap();
        entries
            .into_iter()
            .map(|entry| entry.name)
            .collect::<Vec<_>>()
    };
    let prune = |more: Value| {
        with(
            on("d1"),
            with(json!({"prune-backups": "keep-last=1"}), more),
        )
    };
    grant(&bench, "/storage/d1", "PVEDatastoreUser").await;
    let before = files().await;
    for more in [json!({}), json!({"vmid": 100})] {
        let refused = jane.error("backup_prune", prune(more)).await;
        assert_eq!(refused.kind, ErrorKind::Forbidden, "{refused}");
    }
    assert_eq!(files().await, before);
    grant(&bench, "/vms/100", "PVEVMAdmin").await;
    let oldest = "qemu-100-2026_01_01-00_00_00.vma.zst";
    root.ok(
        "volume_update",
        with(backup(oldest), json!({"protected": 1})),
    )
    .await;
    let upid = jane.ok("backup_prune", prune(json!({"vmid": 100}))).await;
    assert!(
        upid.as_str().unwrap().contains(":prunebackups:100@d1:"),
        "{upid}"
    );
    assert_eq!(bench.finished(&upid).await, "OK");
    // The log of the one that went is gone, too.
    let mut left = before.clone();
    left.retain(|file| !file.contains("2026_01_02"));
    left.push(format!("vzdump-{oldest}.protected"));
    left.sort();
    let mut found = files().await;
    found.sort();
    assert_eq!(found, left);
    let upid = root.ok("volume_delete", backup(oldest)).await;
    let text = format!("cannot remove protected volume 'backup/vzdump-{oldest}' on 'd1'");
    assert_eq!(bench.finished(&upid).await, text);
    let limit = json!({"storage": "d1", "max-protected-backups": 1});
    root.ok("storage_update", limit).await;
    let another = with(backup("qemu-100-mine.vma.zst"), json!({"protected": 1}));
    let refused = root.error("volume_update", another).await;
    let text = "The number of protected backups per guest is limited to 1 on storage 'd1'";
    assert_eq!(refused.message, text);
    root.ok(
        "volume_update",
        with(backup(oldest), json!({"protected": 0})),
    )
    .await;
    let upid = root.ok("volume_delete", backup(oldest)).await;
    assert_eq!(bench.finished(&upid).await, "OK");
}

#[tokio::test]
async fn volume_copy() {
    let bench = bench().await;
    let root = bench.root();
    let host = &bench.context.node.host;
    let isos = json!({"storage": "d2", "type": "dir", "path": "/srv/d2", "content": "iso"});
    root.ok("storage_create", isos).await;
    let to = |of: &str, target: &str| with(volume(of), json!({"target": target}));
    for (of, target, path) in [
        ("d1:iso/x.iso", "d2:iso/y.iso", "/srv/d2/template/iso/y.iso"),
        ("d1:iso/x.iso", "iso/z.iso", "/srv/d1/template/iso/z.iso"),
        (
            "d1:100/vm-100-disk-0.raw",
            "d1:101/vm-101-disk-0.qcow2",
            "/srv/d1/images/101/vm-101-disk-0.qcow2",
        ),
    ] {
        let upid = root.ok("volume_copy", to(of, target)).await;
        assert!(
            upid.as_str().unwrap().contains(":imgcopy::root@pam:"),
            "{upid}"
        );
        assert_eq!(bench.finished(&upid).await, "OK", "{target}");
        assert!(
            host.stat(Path::new(path)).await.unwrap().is_some(),
            "{path}"
        );
    }
    for (of, target, text) in [
        ("d1:iso/w.iso", "d2:iso/y.iso", "does not exist"),
        (
            "d1:iso/x.iso",
            "d1:snippets/x.iso",
            "is of content-type 'iso'",
        ),
        (
            "d1:iso/x.iso",
            "d2:100/vm-100-disk-7.raw",
            "does not support content-type 'images'",
        ),
        (
            "d1:100/vm-100-disk-0.raw",
            "d1:100/base-100-disk-1.raw",
            "a base or a linked clone",
        ),
        (
            "d1:100/vm-100-disk-0.raw",
            "d1:../x.raw",
            "is not a valid volume ID",
        ),
        (
            "d1:100/vm-100-disk-0.raw",
            "nope:vm-1",
            "'nope' does not exist",
        ),
    ] {
        let refused = root.error("volume_copy", to(of, target)).await;
        assert!(
            format!("{refused} {:?}", refused.fields).contains(text),
            "{target}: {refused}"
        );
    }
}

#[tokio::test]
async fn a_copy_for_another_node_needs_a_shared_storage() {
    let bench = bench().await;
    let root = bench.root();
    let elsewhere = with(
        volume("d1:iso/x.iso"),
        json!({"target": "iso/v.iso", "target_node": "pve2"}),
    );
    let refused = root.error("volume_copy", elsewhere).await;
    assert!(
        refused.fields["target_node"].contains("is not shared"),
        "{refused}"
    );
}

const OVF: &str = r#"<Envelope><References><File href="a.vmdk" id="f"/></References>
<DiskSection><Disk diskId="d" fileRef="f" capacity="4096"/></DiskSection><VirtualSystem><Name>web</Name>
<VirtualHardwareSection><Item><ResourceType>3</ResourceType><VirtualQuantity>2</VirtualQuantity></Item>
<Item><ResourceType>17</ResourceType><HostResource>ovf:/disk/d</HostResource></Item>
<Item><ResourceType>10</ResourceType><ResourceSubType>E1000</ResourceSubType></Item>
</VirtualHardwareSection></VirtualSystem></Envelope>"#;

#[tokio::test]
async fn import_metadata() {
    let bench = bench().await;
    let root = bench.root();
    let host = &bench.context.node.host;
    let mut header = vec![0; 512];
    header[..5].copy_from_slice(b"a.ovf");
    header[124..136].copy_from_slice(format!("{:011o}\0", OVF.len()).as_bytes());
    let archive = [&header, OVF.as_bytes()].concat();
    for (file, content) in [
        ("a.ovf", OVF.as_bytes()),
        ("a.ova", &archive),
        ("broken.ovf", b"<Envelope>"),
        ("empty.ova", b""),
        ("a.raw", b"x"),
    ] {
        let path = Path::new("/srv/d1/import").join(file);
        host.write(&path, content, 0o644).await.unwrap();
    }
    let asked = |file: &str| with(on("d1"), json!({"volume": format!("import/{file}")}));
    let found = root.ok("import_metadata", asked("a.ovf")).await;
    let mut expected = json!({
        "type": "vm", "source": "import/a.ovf", "create-args": {"name": "web", "cores": 2},
        "disks": {"scsi0": {"volid": "d1:import/a.vmdk", "size": 4096}},
        "net": {"net0": {"model": "e1000"}}, "warnings": [],
    });
    assert_eq!(found, expected);
    let found = root.ok("import_metadata", asked("a.ova")).await;
    expected["source"] = "import/a.ova".into();
    expected["disks"]["scsi0"]["volid"] = "d1:import/a.ova/a.vmdk".into();
    expected["warnings"] = json!([{"type": "ova-needs-extracting"}]);
    assert_eq!(found, expected);
    for (file, text) in [
        ("broken.ovf", "cannot be read: it ends within an element"),
        ("empty.ova", "there is no description in"),
        ("a.raw", "describes no machine"),
        ("nope.ovf", "does not exist"),
    ] {
        let refused = root.error("import_metadata", asked(file)).await;
        assert!(refused.message.contains(text), "{file}: {refused}");
    }
    let jane = bench.jane().await;
    let refused = jane.error("import_metadata", asked("a.ovf")).await;
    assert_eq!(refused.kind, ErrorKind::Forbidden);
    let refused = root.error("storage_identity", on("d1")).await;
    assert_eq!(refused.message, "storages of type 'dir' have no identity");
}
