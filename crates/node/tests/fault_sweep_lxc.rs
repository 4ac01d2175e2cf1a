//! The tasks of containers, broken at every call that they make to host and store.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod scene;

use std::path::Path;
use std::sync::Arc;

use model::{GuestConfig, GuestKind, GuestRecord, Record, VmId};
use node::tasks::{
    Chosen, LxcConfigure, LxcCreate, LxcDestroy, LxcReboot, LxcShutdown, LxcStart, LxcStop,
    LxcVncproxy, NodeStartall, NodeStopall, Template,
};
use node::{CtEdit, guest_key};
use scene::*;
use serde_json::{Value, json};
use store::Commit;
use sys::{Command, Files, Output, Stream};
use tasks::Task;
use testkit::fault_sweep::Scene;
use testkit::{Disk, Faults, Service};

/// LXC as it looks from outside: a process that goes on until it is killed.
struct FakeLxc;

impl Service for FakeLxc {
    fn connect(&self, _: &Path, _: &Faults) -> Option<Box<dyn Stream>> {
        None
    }

    fn is_alive(&self) -> bool {
        true
    }
}

fn spawn_lxc(_: &Command) -> Arc<dyn Service> {
    Arc::new(FakeLxc)
}

fn printing(text: &str) -> Output {
    Output {
        code: Some(0),
        stdout: text.as_bytes().to_vec(),
        ..Output::default()
    }
}

fn info(_: &mut Disk, _: &Command) -> Output {
    printing("RUNNING\n")
}

/// What our own program says of the files of an Alpine.
fn files(_: &mut Disk, _: &Command) -> Output {
    printing(r#"{"os_type":"alpine","arch":"amd64","lines":[],"warnings":[]}"#)
}

/// A tar for which the archive is broken.
fn broken_tar(_: &mut Disk, _: &Command) -> Output {
    Output {
        code: Some(2),
        stdout: Vec::new(),
        stderr: b"tar: Unexpected EOF in archive\n".to_vec(),
    }
}

/// A host with LXC and a template, and no guest.
async fn with_lxc<T>(make: fn(VmId) -> T) -> Node<T> {
    let mut node = empty(make).await;
    node.host = node
        .host
        .program("mkfs.ext4", silent)
        .program("tar", silent)
        .program("sh", silent)
        .program("/ostler", files)
        .program("lxc-info", info)
        .program("lxc-stop", silent)
        .spawner("lxc-start", spawn_lxc);
    for (path, content) in [
        ("/var/lib/vz/template/cache/a.tar.gz", "archive"),
        ("/etc/passwd", "root:x:0:0::/root:/bin/sh\n"),
    ] {
        let path = Path::new(path);
        node.host
            .create_dir(path.parent().unwrap(), 0o755)
            .await
            .unwrap();
        node.host
            .write(path, content.as_bytes(), 0o644)
            .await
            .unwrap();
    }
    node
}

/// The same, with a container: an image, a folder, a card.
async fn container<T>(make: fn(VmId) -> T) -> Node<T> {
    let node = with_lxc(make).await;
    let images = Path::new("/var/lib/vz/images/100");
    let tree = images.join("subvol-100-disk-1.subvol");
    node.host.create_dir(&tree, 0o755).await.unwrap();
    node.host
        .write(&images.join("vm-100-disk-0.raw"), b"image", 0o600)
        .await
        .unwrap();
    let mut config = GuestConfig::default();
    for (name, value) in [
        ("hostname", "web"),
        ("memory", "64"),
        ("ostype", "alpine"),
        ("arch", "amd64"),
        ("unprivileged", "1"),
        ("onboot", "1"),
        (
            "net0",
            "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:01,rate=1",
        ),
        ("rootfs", "local:100/vm-100-disk-0.raw,size=1"),
        ("mp0", "local:100/subvol-100-disk-1.subvol,mp=/data,size=0"),
    ] {
        config.set(name, value);
    }
    let guest = GuestRecord {
        config,
        ..GuestRecord::new(vmid(), GuestKind::Lxc, "pve1".parse().unwrap(), 0)
    };
    let record = Record::new(guest).encode().unwrap();
    let commit = Commit::new().put(guest_key(vmid()), record);
    node.plain.commit(commit).await.unwrap();
    node
}

fn start(vmid: VmId) -> LxcStart {
    LxcStart::new(vmid, false, false)
}

/// The same, while it runs; it is well too if it was stopped and not started again.
async fn up<T: Task<Node = node::NodeContext>>(make: fn(VmId) -> T) -> Node<T> {
    let started = container(start).await;
    let also_well = started.inventory().await;
    let mut node = started.done().await.then(make);
    node.also_well = Arc::new(move |found| also_well == found);
    node
}

fn edit(options: Value) -> CtEdit {
    let Value::Object(options) = options else {
        panic!("an object")
    };
    let mac = || "BC:24:11:00:00:01".to_owned();
    CtEdit::new(&options, &"local".parse().unwrap(), &mac).unwrap()
}

fn creation(vmid: VmId) -> LxcCreate {
    let mut edit = edit(json!({
        "rootfs": "1", "mp0": "local:0,mp=/data", "net0": "name=eth0,bridge=vmbr0",
    }));
    edit.fill_in(vmid);
    LxcCreate {
        vmid,
        edit,
        template: Template::Volume("local:vztmpl/a.tar.gz".parse().unwrap()),
        password: None,
        keys: Vec::new(),
        ignore_unpack_errors: false,
        pool: None,
        start: false,
        found: None,
    }
}

#[tokio::test]
async fn lxc_create() {
    let swept = sweep_all(|| Box::pin(with_lxc(creation)), 30).await;
    assert!(swept.failed > 15 && swept.went_through > 5, "{swept:?}");
}

#[tokio::test]
async fn lxc_start() {
    let swept = sweep_all(|| Box::pin(container(start)), 25).await;
    assert!(swept.failed > 15 && swept.went_through > 5, "{swept:?}");
}

#[tokio::test]
async fn lxc_stop() {
    sweep_all(|| Box::pin(up(LxcStop::new)), 5).await;
}

#[tokio::test]
async fn lxc_shutdown() {
    let make = |vmid| LxcShutdown {
        vmid,
        timeout_s: Some(1),
        force_stop: true,
    };
    sweep_all(move || Box::pin(up(make)), 5).await;
}

#[tokio::test]
async fn lxc_reboot() {
    let make = |vmid| LxcReboot {
        vmid,
        timeout_s: Some(1),
    };
    sweep_all(move || Box::pin(up(make)), 5).await;
}

#[tokio::test]
async fn lxc_destroy() {
    let make = |vmid| LxcDestroy::new(vmid, false, true, true);
    sweep_all(move || Box::pin(container(make)), 8).await;
    sweep_all(move || Box::pin(up(make)), 8).await;
}

#[tokio::test]
async fn lxc_configure() {
    let make = |vmid| {
        let mut edit = edit(json!({"memory": 128, "mp1": "local:1,mp=/more"}));
        edit.delete = vec!["mp0".into()];
        LxcConfigure::new(vmid, edit, None)
    };
    sweep_all(move || Box::pin(container(make)), 10).await;
    sweep_all(move || Box::pin(up(make)), 10).await;
}

#[tokio::test]
async fn lxc_vncproxy() {
    let make = |vmid| LxcVncproxy::new(vmid, "gone".to_owned());
    sweep_all(move || Box::pin(up(make)), 4).await;
}

/// Containers start and stop with their node, as VMs do.
#[tokio::test]
async fn node_startall_and_stopall_with_a_container() {
    let all = |_| NodeStartall {
        chosen: Chosen::default(),
        force: false,
    };
    let node = container(all).await;
    let stopped = node.inventory().await;
    assert_eq!(node.run().await, "OK");
    assert!(
        node.inventory()
            .await
            .iter()
            .any(|line| line.starts_with("process lxc-start"))
    );
    let node = node.then(|_| NodeStopall {
        chosen: Chosen::default(),
        timeout_s: 1,
        force_stop: true,
    });
    assert_eq!(node.run().await, "OK");
    assert_eq!(node.inventory().await, stopped);
}

#[tokio::test]
async fn what_cannot_be_unpacked_leaves_nothing() {
    let mut node = with_lxc(creation).await;
    node.host = node.host.clone().program("tar", broken_tar);
    let before = node.inventory().await;
    let status = node.run().await;
    assert_eq!(
        status,
        "unable to create CT 100 - tar failed with exit code 2: tar: Unexpected EOF in archive"
    );
    assert_eq!(node.inventory().await, before);
}

#[tokio::test]
async fn a_bridge_that_is_missing_ends_the_start_with_one_clear_line() {
    use sys::Links;
    let node = container(start).await;
    node.host.remove_bridge("vmbr0").await.unwrap();
    let before = node.inventory().await;
    assert_eq!(node.run().await, "bridge 'vmbr0' does not exist");
    assert_eq!(node.inventory().await, before);
}

#[tokio::test]
async fn a_template_that_is_missing_is_said_before_anything_is_made() {
    let node = with_lxc(creation).await;
    let template = Path::new("/var/lib/vz/template/cache/a.tar.gz");
    node.host.remove(template).await.unwrap();
    let status = node.run().await;
    let expected = "unable to create CT 100 - volume 'local:vztmpl/a.tar.gz' does not exist";
    assert_eq!(status, expected);
}
