//! Every task of a node, broken at every call that it makes to host and store.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod scene;

use std::path::Path;
use std::sync::Arc;

use model::VmId;
use node::cluster::member_key;
use node::membership::Contact;
use node::tasks::{
    BulkShutdown, BulkStart, BulkSuspend, Chosen, ClusterCreate, ClusterDissolve, ClusterForce,
    ClusterJoin, ClusterLeave, ClusterRestore, ClusterUnvote, ClusterVote, NewSize, NewTemplate,
    NodeStartall, NodeStopall, NodeVncshell, QemuCloudinitUpdate, QemuConfigure, QemuCreate,
    QemuDestroy, QemuReboot, QemuReset, QemuResize, QemuResume, QemuShutdown, QemuStart, QemuStop,
    QemuSuspend, QemuVncproxy,
};
use node::{Edit, registry};
use scene::*;
use store::Commit;
use sys::{Command, Files, Links, Output, Scopes};
use testkit::fault_sweep::Scene;
use testkit::{Disk, qemu_img};

fn creation(vmid: VmId) -> QemuCreate {
    let options = serde_json::json!({
        "memory": "64", "scsi0": "local:1", "virtio1": "local:2,format=qcow2",
        "net0": "virtio,bridge=vmbr0", "ide2": "local:cloudinit"
    });
    QemuCreate {
        vmid,
        edit: edit(options),
        pool: None,
        start: false,
        becomes: None,
    }
}

/// A new disk that is filled from an uploaded image.
fn import(vmid: VmId) -> QemuConfigure {
    let source = "local:0,import-from=local:import/brought.raw";
    QemuConfigure::new(
        vmid,
        edit(serde_json::json!({"scsi1": source})),
        None,
        false,
    )
}

fn disk_swap(vmid: VmId) -> QemuConfigure {
    let mut edit = edit(serde_json::json!({"scsi1": "local:1", "cores": 2}));
    edit.delete = vec!["scsi0".into()];
    edit.force = true;
    QemuConfigure::new(vmid, edit, None, false)
}

/// What the guest that is changed while it runs has besides.
const MORE: &[(&str, &str)] = &[
    ("scsihw", "virtio-scsi-single"),
    ("ide2", "local:iso/a.iso,media=cdrom"),
    (
        "virtio1",
        "local:100/vm-100-disk-1.raw,iothread=1,size=1,mbps=5",
    ),
    ("net1", "virtio=BC:24:11:00:00:11,bridge=vmbr0,link_down=1"),
    ("net2", "virtio=BC:24:11:00:00:12,bridge=vmbr0"),
    ("boot", "order=scsi0"),
    ("hotplug", "network,disk,usb,cpu"),
    ("cores", "4"),
    ("vcpus", "2"),
];

/// A guest that runs, whose devices are changed in every way that there is.
async fn hot<T>(make: fn(VmId) -> T) -> Node<T> {
    let node = restarting_with(make, MORE).await;
    Node {
        also_well: nothing_else(),
        ..node
    }
}

fn hot_drives(vmid: VmId) -> QemuConfigure {
    let mut edit = edit(serde_json::json!({
        "scsi1": "local:1,iothread=1", "scsi0": "local:100/vm-100-disk-0.raw,size=1,iops=10",
        "ide2": "local:iso/b.iso,media=cdrom",
    }));
    edit.delete = vec!["virtio1".into()];
    edit.force = true;
    QemuConfigure::new(vmid, edit, None, false)
}

fn hot_cards(vmid: VmId) -> QemuConfigure {
    let mut edit = edit(serde_json::json!({
        "net0": "virtio=BC:24:11:E2:6F:5F,bridge=vmbr0,rate=2,link_down=1",
        "net1": "e1000=BC:24:11:00:00:11,bridge=vmbr0",
        "net3": "virtio,bridge=vmbr0,rate=1.5,link_down=1",
    }));
    edit.delete = vec!["net2".into()];
    QemuConfigure::new(vmid, edit, None, false)
}

fn hot_board(vmid: VmId) -> QemuConfigure {
    let edit = edit(serde_json::json!({
        "vcpus": 3, "balloon": 32, "tablet": false, "cpulimit": 0.5, "memory": "96",
    }));
    QemuConfigure::new(vmid, edit, None, false)
}

fn larger(vmid: VmId) -> QemuResize {
    let more = NewSize::LargerBy("1G".parse().unwrap());
    QemuResize::new(vmid, "scsi0".parse().unwrap(), more, None, false)
}

#[tokio::test]
async fn qemu_start() {
    let scene = || Box::pin(node(|vmid| QemuStart::new(vmid, None, false))) as Waiting<_>;
    let swept = sweep_all(scene, 40).await;
    assert!(swept.failed > 20 && swept.went_through > 20, "{swept:?}");
}

/// The administrator's script is called in a scope of the task, of which nothing is left.
#[tokio::test]
async fn qemu_start_with_a_script() {
    let options = &[("hookscript", "local:snippets/hook.sh")];
    let start = |vmid| QemuStart::new(vmid, None, false);
    let swept = sweep_all(move || Box::pin(node_with(start, options)), 45).await;
    assert!(swept.failed > 20 && swept.went_through > 20, "{swept:?}");
    sweep_all(
        move || Box::pin(restarting_with(QemuStop::new, options)),
        10,
    )
    .await;
}

/// Variables that are made at each start are gone with a start that fails.
#[tokio::test]
async fn qemu_start_with_temporary_variables() {
    let scene = async || {
        let options = &[("bios", "ovmf")];
        let node = node_with(|vmid| QemuStart::new(vmid, None, false), options).await;
        let template = Path::new("/usr/share/OVMF/OVMF_VARS_4M.fd");
        node.host
            .create_dir(template.parent().unwrap(), 0o755)
            .await
            .unwrap();
        node.host.write(template, b"x", 0o644).await.unwrap();
        node
    };
    let swept = sweep_all(move || Box::pin(scene()), 42).await;
    assert!(swept.failed > 20 && swept.went_through > 20, "{swept:?}");
}

/// A host with a stick in its second port.
async fn with_a_stick<T>(node: &Node<T>) {
    for (path, text) in [
        ("/sys/bus/usb/devices/1-2/busnum", "1"),
        ("/sys/bus/usb/devices/1-2/devnum", "4"),
        ("/sys/bus/usb/devices/1-2/devpath", "2"),
        ("/sys/bus/usb/devices/1-2/idVendor", "1234"),
        ("/sys/bus/usb/devices/1-2/idProduct", "5678"),
        ("/dev/bus/usb/001/004", ""),
    ] {
        let path = Path::new(path);
        let folder = path.parent().unwrap();
        node.host.create_dir(folder, 0o755).await.unwrap();
        node.host.write(path, text.as_bytes(), 0o644).await.unwrap();
    }
}

#[tokio::test]
async fn qemu_start_with_a_usb_device() {
    let scene = async || {
        let options = &[("usb0", "host=1-2")];
        let node = node_with(|vmid| QemuStart::new(vmid, None, false), options).await;
        with_a_stick(&node).await;
        node
    };
    let swept = sweep_all(move || Box::pin(scene()), 42).await;
    assert!(swept.failed > 20 && swept.went_through > 20, "{swept:?}");
}

#[tokio::test]
async fn qemu_start_without_the_usb_device_makes_nothing() {
    for (usb, why) in [
        ("host=1234:5678", "usb1: usb device '1234:5678' not found"),
        ("host=1-2.3", "usb1: usb device '1-2.3' not found"),
        ("mapping=stick", "usb1: mapping 'stick' not found"),
    ] {
        let node = node_with(|vmid| QemuStart::new(vmid, None, false), &[("usb1", usb)]).await;
        assert_eq!(node.run().await, why);
        let calls = node.host.faults().calls();
        let spawned = calls.iter().find(|call| call.starts_with("spawn"));
        assert_eq!(spawned, None, "{usb}");
    }
}

fn plug_stick(vmid: VmId) -> QemuConfigure {
    let edit = edit(serde_json::json!({"usb3": "1234:5678"}));
    QemuConfigure::new(vmid, edit, None, false)
}

fn unplug_stick(vmid: VmId) -> QemuConfigure {
    let mut edit = edit(serde_json::json!({}));
    edit.delete = vec!["usb3".into()];
    QemuConfigure::new(vmid, edit, None, false)
}

/// A guest that runs without the stick, and one that has it.
async fn plugging() -> Node<QemuConfigure> {
    let node = hot(plug_stick).await;
    with_a_stick(&node).await;
    node
}

async fn unplugging() -> Node<QemuConfigure> {
    plugging().await.done().await.then(unplug_stick)
}

#[tokio::test]
async fn qemu_configure_plugs_and_unplugs_a_usb_device() {
    let plugged = plugging().await.done().await;
    let lines = plugged.inventory().await.join("\n");
    let has_it = lines.contains("device usb3 {") && lines.contains("/dev/fdset/");
    assert!(has_it, "{lines}");
    let unplugged = unplugging().await.done().await;
    let lines = unplugged.inventory().await.join("\n");
    assert!(!lines.contains("device usb3 {"), "{lines}");
    let swept = sweep_all(|| Box::pin(plugging()), 12).await;
    assert!(swept.went_through > 5, "{swept:?}");
    let swept = sweep_all(|| Box::pin(unplugging()), 10).await;
    assert!(swept.went_through > 5, "{swept:?}");
}

#[tokio::test]
async fn node_startall() {
    let scene = async || {
        let node = node_with(
            |_| NodeStartall {
                chosen: Chosen::default(),
                force: false,
            },
            &[("onboot", "1"), ("startup", "order=1,up=2")],
        )
        .await;
        // A guest that does not start is its own task's failure.
        or_as_before(node).await
    };
    sweep_all(move || Box::pin(scene()), 30).await;
}

#[tokio::test]
async fn node_stopall() {
    let scene = async || {
        let node = running(|_| NodeStopall {
            chosen: Chosen::default(),
            timeout_s: 60,
            force_stop: true,
        })
        .await;
        // A guest that does not stop is its own task's failure.
        or_as_before(node).await
    };
    sweep_all(move || Box::pin(scene()), 8).await;
}

#[tokio::test]
async fn cluster_create() {
    let make = |_| ClusterCreate::new("lab".to_owned(), "10.0.0.1".to_owned());
    let swept = sweep_all(move || Box::pin(node_with(make, &[])), 6).await;
    assert!(swept.failed > 5 && swept.went_through > 5, "{swept:?}");
}

/// A node without guests that is a member with these votes.
async fn member<T>(make: fn(VmId) -> T, votes: u32) -> Node<T> {
    let node = empty(make).await;
    state::enlist(&node.host, &node.plain, votes).await;
    node
}

#[tokio::test]
async fn cluster_join() {
    let make = |_| {
        let contact = Contact {
            host: "10.0.0.2".to_owned(),
            fingerprint: "00".to_owned(),
        };
        let (link, password) = ("10.0.0.1".to_owned(), state::PASSWORD.to_owned());
        ClusterJoin::new(contact, link, "10.0.0.1:8009".to_owned(), password)
    };
    let scene = move || async move {
        let node = member(make, 0).await;
        // The store is the cluster's from the beginning here; the node does not know it yet.
        for file in ["store.json", "adopted"] {
            let path = Path::new("/var/lib/ostler").join(file);
            node.host.remove(&path).await.unwrap();
        }
        node
    };
    let swept = sweep_all(move || Box::pin(scene()), 8).await;
    assert!(swept.failed > 5 && swept.went_through > 5, "{swept:?}");
}

#[tokio::test]
async fn cluster_dissolve() {
    let make = |_| ClusterDissolve::default();
    let scene = move || async move {
        let node = member(make, 1).await;
        let other = member_key(&"pve2".parse().unwrap());
        node.plain
            .commit(Commit::new().delete(other))
            .await
            .unwrap();
        node
    };
    let swept = sweep_all(move || Box::pin(scene()), 8).await;
    assert!(swept.failed > 5 && swept.went_through > 5, "{swept:?}");
}

#[tokio::test]
async fn cluster_force() {
    let make = |_| ClusterForce {
        lost: vec!["pve2".parse().unwrap()],
        generation: 1,
    };
    sweep_all(move || Box::pin(member(make, 1)), 3).await;
}

#[tokio::test]
async fn cluster_restore() {
    let make = |_| ClusterRestore {
        saved: None,
        link: Some("10.0.0.1".to_owned()),
        generation: 2,
        revision: 7,
        lock_guests: false,
        chosen: String::new(),
    };
    let swept = sweep_all(move || Box::pin(member(make, 1)), 4).await;
    assert!(swept.failed > 3 && swept.went_through > 3, "{swept:?}");
}

#[tokio::test]
async fn cluster_vote() {
    let make = |_| ClusterVote::new("10.0.0.1".to_owned());
    let swept = sweep_all(move || Box::pin(member(make, 0)), 8).await;
    assert!(swept.failed > 5 && swept.went_through > 5, "{swept:?}");
}

#[tokio::test]
async fn cluster_unvote() {
    let make = |_| ClusterUnvote::default();
    sweep_all(move || Box::pin(member(make, 1)), 6).await;
}

#[tokio::test]
async fn cluster_leave() {
    let make = |_| ClusterLeave::default();
    sweep_all(move || Box::pin(member(make, 1)), 6).await;
}

#[tokio::test]
async fn bulk_start() {
    let make = |_| BulkStart {
        chosen: Chosen::default(),
        timeout_s: None,
        failed: Vec::new(),
    };
    let scene = move || async move {
        or_as_before(node_with(make, &[("startup", "order=1,up=2")]).await).await
    };
    sweep_all(move || Box::pin(scene()), 30).await;
}

#[tokio::test]
async fn bulk_shutdown() {
    let make = |_| BulkShutdown {
        chosen: Chosen::default(),
        timeout_s: 60,
        force_stop: true,
        failed: Vec::new(),
    };
    sweep_all(
        move || Box::pin(async move { or_as_before(running(make).await).await }),
        8,
    )
    .await;
}

#[tokio::test]
async fn bulk_suspend() {
    let make = |_| BulkSuspend {
        chosen: Chosen::default(),
        to_disk: false,
        storage: None,
        failed: Vec::new(),
    };
    sweep_all(
        move || Box::pin(async move { or_as_before(running(make).await).await }),
        5,
    )
    .await;
}

/// A start that fails may leave the medium made: it is what the configuration says.
async fn starting_with_medium() -> Node<QemuStart> {
    let made = cloud_node(|vmid| QemuCloudinitUpdate { vmid }).await;
    assert_eq!(made.run().await, "OK");
    let made = made.inventory().await;
    let mut node = cloud_node(|vmid| QemuStart::new(vmid, None, false)).await;
    node.also_well = Arc::new(move |found| made == found);
    node
}

#[tokio::test]
async fn qemu_start_with_cloud_init() {
    let swept = sweep_all(|| Box::pin(starting_with_medium()), 60).await;
    assert!(swept.failed > 40 && swept.went_through > 20, "{swept:?}");
}

#[tokio::test]
async fn qemu_cloudinit_update() {
    let make = |vmid| QemuCloudinitUpdate { vmid };
    let swept = sweep_all(move || Box::pin(cloud_node(make)), 30).await;
    assert!(swept.failed > 20 && swept.went_through > 10, "{swept:?}");
}

/// What is on the medium, and that nothing of it lies anywhere else.
#[tokio::test]
async fn a_medium_is_made_of_what_the_guest_is_told() {
    let node = cloud_node(|vmid| QemuCloudinitUpdate { vmid }).await;
    assert_eq!(node.run().await, "OK");
    let calls = node.host.faults().calls();
    let made = calls
        .iter()
        .find(|call| call.starts_with("run genisoimage"));
    let made = made.unwrap();
    for part in [
        "-volid cidata",
        " user-data=",
        " network-config=",
        " vendor-data=",
    ] {
        assert!(made.contains(part), "{made}");
    }
    let written = calls
        .iter()
        .find(|call| call.starts_with("run qemu-img convert"));
    let file =
        r#""file":{"driver":"file","filename":"/var/lib/vz/images/100/vm-100-cloudinit.qcow2"}"#;
    let nodes = format!(r#" json:{{"driver":"qcow2",{file},"backing":null}}"#);
    assert!(written.unwrap().ends_with(&nodes), "{written:?}");
    let left = node.inventory().await;
    assert!(!left.iter().any(|line| line.contains(".seed")), "{left:?}");
    let seed = left.iter().find(|line| line.starts_with("seed/100 "));
    assert!(seed.unwrap().contains("\"ciuser\":\"lab\""), "{seed:?}");
}

/// What is on a medium can be made again, so one that was lost is.
#[tokio::test]
async fn a_medium_that_is_lost_is_made_anew() {
    let node = cloud_node(|vmid| QemuStart::new(vmid, None, false)).await;
    let image = Path::new("/var/lib/vz/images/100/vm-100-cloudinit.qcow2");
    node.host.remove(image).await.unwrap();
    assert_eq!(node.run().await, "OK");
    let made = node.host.stat(image).await.unwrap();
    assert_eq!(made.unwrap().size, 4 << 20);
}

#[tokio::test]
async fn a_snippet_that_is_missing_ends_the_start_with_one_clear_line() {
    let node = cloud_node(|vmid| QemuStart::new(vmid, None, false)).await;
    let snippet = Path::new("/var/lib/vz/snippets/vendor.yaml");
    node.host.remove(snippet).await.unwrap();
    let before = node.inventory().await;
    let wanted = "volume 'local:snippets/vendor.yaml' does not exist";
    assert_eq!(node.run().await, wanted);
    assert_eq!(node.inventory().await, before);
}

/// The disks of a new template become bases.
#[tokio::test]
async fn qemu_create_of_a_template() {
    let template = |vmid| QemuCreate {
        becomes: Some(NewTemplate::default()),
        ..creation(vmid)
    };
    let swept = sweep_all(move || Box::pin(empty(template)), 24).await;
    assert!(swept.failed > 10 && swept.went_through > 3, "{swept:?}");
    let node = empty(template).await;
    assert_eq!(node.run().await, "OK");
    let stored = node.inventory().await.join("\n");
    for said in ["base-100-disk-0", "\"template\":1"] {
        assert!(stored.contains(said), "{said}: {stored}");
    }
}

#[tokio::test]
async fn qemu_create() {
    let swept = sweep_all(|| Box::pin(empty(creation)), 20).await;
    assert!(swept.failed > 20 && swept.went_through > 10, "{swept:?}");
}

#[tokio::test]
async fn qemu_configure() {
    let swept = sweep_all(|| Box::pin(node(disk_swap)), 20).await;
    assert!(swept.failed > 20 && swept.went_through > 10, "{swept:?}");
}

#[tokio::test]
async fn qemu_configure_importing() {
    let scene = || -> Waiting<_> {
        Box::pin(async {
            let node = node(import).await;
            let image = Path::new("/var/lib/vz/import/brought.raw");
            node.host.write(image, b"content", 0o600).await.unwrap();
            node
        })
    };
    let swept = sweep_all(scene, 25).await;
    assert!(swept.failed > 20 && swept.went_through > 10, "{swept:?}");
}

#[tokio::test]
async fn qemu_configure_waits_where_nothing_is_plugged() {
    let swept = sweep_all(
        || Box::pin(restarting_with(disk_swap, &[("hotplug", "0")])),
        20,
    )
    .await;
    assert!(swept.failed > 20 && swept.went_through > 10, "{swept:?}");
}

#[tokio::test]
async fn qemu_configure_plugs_and_unplugs_drives() {
    let swept = sweep_all(|| Box::pin(hot(hot_drives)), 40).await;
    assert!(swept.failed > 20 && swept.went_through > 40, "{swept:?}");
}

#[tokio::test]
async fn qemu_configure_plugs_and_unplugs_cards() {
    let swept = sweep_all(|| Box::pin(hot(hot_cards)), 40).await;
    assert!(swept.failed > 20 && swept.went_through > 40, "{swept:?}");
}

#[tokio::test]
async fn qemu_configure_changes_the_board() {
    let swept = sweep_all(|| Box::pin(hot(hot_board)), 30).await;
    assert!(swept.failed > 10 && swept.went_through > 40, "{swept:?}");
}

/// What took effect is configuration, what QEMU cannot do waits, and both are what QEMU has.
#[tokio::test]
async fn what_takes_effect_while_it_runs_is_configuration() {
    let node = hot(hot_drives).await;
    assert_eq!(node.run().await, "OK");
    let lines = node.inventory().await.join("\n");
    assert!(lines.contains("device scsi1 {"), "{lines}");
    assert!(lines.contains("device virtioscsi1 {"), "{lines}");
    assert!(!lines.contains("virtio1"), "{lines}");
    assert!(
        lines.contains("setting qom-set /objects/throttle-scsi0"),
        "{lines}"
    );
    assert!(lines.contains(" ide2 local:iso/b.iso"), "{lines}");
    assert!(
        lines.contains("\"pending\":{}") || !lines.contains("\"pending\""),
        "{lines}"
    );
    let node = hot(hot_board).await;
    assert_eq!(node.run().await, "OK");
    let lines = node.inventory().await.join("\n");
    assert!(
        lines.contains("device cpu3 {") && !lines.contains("device tablet"),
        "{lines}"
    );
    assert!(lines.contains("\"pending\":{\"memory\""), "{lines}");
}

#[tokio::test]
async fn a_boot_disk_stays_plugged_and_the_caller_is_told() {
    let node = hot(|vmid| {
        let edit = Edit {
            delete: vec!["scsi0".into()],
            ..Edit::default()
        };
        QemuConfigure::new(vmid, edit, None, false)
    })
    .await;
    let status = node.run().await;
    let wanted =
        "Parameter verification failed. scsi0: hotplug problem - can't unplug bootdisk 'scsi0'";
    assert_eq!(status, wanted);
}

#[tokio::test]
async fn qemu_destroy() {
    sweep_all(
        || Box::pin(node(|vmid| QemuDestroy::new(vmid, false, true))),
        20,
    )
    .await;
}

#[tokio::test]
async fn qemu_stop() {
    sweep_all(|| Box::pin(running(QemuStop::new)), 8).await;
}

#[tokio::test]
async fn a_guest_that_is_killed_and_does_not_end_counts_as_running() {
    let node = running(QemuStop::new).await;
    node.host.linger(true);
    let status = node.run().await;
    assert!(status.starts_with("guest 100 was killed, but"), "{status}");
    assert_eq!(node.host.scopes().await.unwrap().len(), 1);
}

#[tokio::test]
async fn qemu_shutdown() {
    let make = |vmid| QemuShutdown {
        vmid,
        timeout_s: None,
        force_stop: false,
    };
    sweep_all(|| Box::pin(running(make)), 8).await;
}

#[tokio::test]
async fn qemu_resize() {
    let swept = sweep_all(|| Box::pin(node(larger)), 15).await;
    assert!(swept.failed > 20 && swept.went_through > 10, "{swept:?}");
}

#[tokio::test]
async fn qemu_reboot() {
    sweep_all(
        || {
            Box::pin(restarting(|vmid| QemuReboot {
                vmid,
                timeout_s: None,
            }))
        },
        8,
    )
    .await;
}

#[tokio::test]
async fn qemu_suspend() {
    sweep_all(|| Box::pin(running(QemuSuspend::new)), 4).await;
}

#[tokio::test]
async fn qemu_resume() {
    sweep_all(|| Box::pin(running(QemuResume::new)), 4).await;
}

#[tokio::test]
async fn qemu_reset() {
    sweep_all(|| Box::pin(running(QemuReset::new)), 4).await;
}

/// A console that is there no more: the task must end, wherever it is broken off.
#[tokio::test]
async fn qemu_vncproxy() {
    let make = |vmid| QemuVncproxy::new(vmid, "gone".to_owned());
    sweep_all(move || Box::pin(running(make)), 4).await;
}

/// As above: what is left is the scope of a shell whose client has gone.
#[tokio::test]
async fn node_vncshell() {
    let make = |_| NodeVncshell::new("gone".to_owned());
    sweep_all(move || Box::pin(running(make)), 4).await;
}

#[test]
fn every_task_is_walked() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let list = |folder: &Path| std::fs::read_dir(folder).unwrap().flatten();
    let files = list(&folder).flat_map(|file| match file.path().is_dir() {
        true => list(&file.path()).map(|file| file.path()).collect(),
        false => vec![file.path()],
    });
    let tests: String = files
        .filter_map(|file| std::fs::read_to_string(file).ok())
        .collect();
    for name in registry().names() {
        assert!(
            tests.contains(&format!("async fn {name}()")),
            "no test is called {name}"
        );
    }
}

#[tokio::test]
async fn a_guest_that_runs_is_not_started_again() {
    let node = node(|vmid| QemuStart::new(vmid, None, false)).await;
    assert_eq!(node.run().await, "OK");
    assert_eq!(node.run().await, "VM 100 already running");
}

#[tokio::test]
async fn an_id_that_is_taken_is_refused_and_its_owner_is_untouched() {
    let node = node(creation).await;
    let before = node.inventory().await;
    let status = node.run().await;
    assert_eq!(
        status,
        "unable to create VM 100 - VM 100 already exists on node 'pve1'"
    );
    assert_eq!(node.inventory().await, before);
}

/// A `qemu-img` for which the disk is full when the second image comes.
fn full_for_the_second(disk: &mut Disk, command: &Command) -> Output {
    if !command.args.iter().any(|argument| argument == "qcow2") {
        return qemu_img(disk, command);
    }
    let stderr = b"qemu-img: vm-100-disk-1.qcow2: No space left on device".to_vec();
    Output {
        code: Some(1),
        stdout: Vec::new(),
        stderr,
    }
}

#[tokio::test]
async fn on_a_full_disk_a_creation_leaves_nothing() {
    let mut node = empty(creation).await;
    node.host = node.host.clone().program("qemu-img", full_for_the_second);
    let before = node.inventory().await;
    assert_eq!(node.run().await, "no space left on storage 'local'");
    assert_eq!(node.inventory().await, before);
}

#[tokio::test]
async fn a_bridge_that_is_missing_ends_the_start_with_one_clear_line() {
    let node = node(|vmid| QemuStart::new(vmid, None, false)).await;
    node.host.remove_bridge("vmbr0").await.unwrap();
    let before = node.inventory().await;
    assert_eq!(node.run().await, "bridge 'vmbr0' does not exist");
    assert_eq!(node.inventory().await, before);
}
