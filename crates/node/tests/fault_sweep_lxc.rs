//! The tasks of containers, broken at every call that they make to host and store.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod scene;

use std::path::Path;
use std::sync::Arc;

use model::VmId;
use node::tasks::{
    Chosen, LxcConfigure, LxcCreate, LxcDestroy, LxcDf, LxcExec, LxcFsck, LxcFstrim, LxcMount,
    LxcReboot, LxcShutdown, LxcStart, LxcStop, LxcUnmount, LxcVncproxy, NewTemplate, NodeStartall,
    NodeStopall, Template,
};
use scene::lxc::*;
use scene::*;
use serde_json::json;
use sys::{Command, Files, Output};
use testkit::Disk;
use testkit::fault_sweep::Scene;

/// A tar for which the archive is broken.
fn broken_tar(_: &mut Disk, _: &Command) -> Output {
    Output {
        code: Some(2),
        stdout: Vec::new(),
        stderr: b"tar: Unexpected EOF in archive\n".to_vec(),
    }
}

fn creation(vmid: VmId) -> LxcCreate {
    let mut edit = lxc::edit(json!({
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
        becomes: None,
        found: None,
        image: None,
    }
}

#[tokio::test]
async fn lxc_create() {
    let swept = sweep_all(|| Box::pin(with_lxc(creation)), 30).await;
    assert!(swept.failed > 15 && swept.went_through > 5, "{swept:?}");
}

/// The root of a new template becomes a base.
#[tokio::test]
async fn lxc_create_of_a_template() {
    let template = |vmid| LxcCreate {
        becomes: Some(NewTemplate::default()),
        ..creation(vmid)
    };
    let swept = sweep_all(move || Box::pin(with_lxc(template)), 34).await;
    assert!(swept.failed > 15 && swept.went_through > 5, "{swept:?}");
    let node = with_lxc(template).await;
    assert_eq!(node.run().await, "OK");
    let stored = node.inventory().await.join("\n");
    for said in ["base-100-disk-0", "\"template\":1"] {
        assert!(stored.contains(said), "{said}: {stored}");
    }
}

fn of_an_image(vmid: VmId) -> LxcCreate {
    LxcCreate {
        template: Template::Volume("local:vztmpl/image.tar".parse().unwrap()),
        ..creation(vmid)
    }
}

#[tokio::test]
async fn lxc_create_of_an_image() {
    let swept = sweep_all(|| Box::pin(with_lxc(of_an_image)), 30).await;
    assert!(swept.failed > 15 && swept.went_through > 5, "{swept:?}");

    let node = with_lxc(of_an_image).await;
    assert_eq!(node.run().await, "WARNINGS: 1");
    let stored = node.inventory().await.join("\n");
    for said in ["/bin/app", "A=1", "lxc.init.uid", "host-managed=1"] {
        assert!(stored.contains(said), "{said}: {stored}");
    }
}

#[tokio::test]
async fn lxc_start() {
    let swept = sweep_all(|| Box::pin(container(start)), 25).await;
    assert!(swept.failed > 15 && swept.went_through > 5, "{swept:?}");
}

/// A container with a device of the host. Its root and its folder are as before.
async fn with_a_device(value: &str) -> Node<LxcStart> {
    let node = container(start).await;
    let mounts = [
        ("rootfs", "local:100/vm-100-disk-0.raw,size=1"),
        ("dev3", value),
    ];
    put_container(&node, mounts).await;
    node.host.change_files(|disk| {
        disk.file("/dev/ttyUSB0", "c 188:0");
        disk.file("/dev/plain", "");
        // The folder of all containers stays.
        disk.folder(Path::new("/dev/ostler"));
    });
    node
}

#[tokio::test]
async fn lxc_start_with_a_device() {
    let scene = || with_a_device("/dev/ttyUSB0,gid=20,mode=0640");
    let swept = sweep_all(move || Box::pin(scene()), 25).await;
    assert!(swept.failed > 15 && swept.went_through > 5, "{swept:?}");

    let node = scene().await;
    assert_eq!(node.run().await, "OK");
    let made = "file /dev/ostler/100/3 7 bytes 640".to_owned();
    assert!(node.host.inventory(&[]).contains(&made));
    let node = node.then(LxcStop::new);
    assert_eq!(node.run().await, "OK");
    assert!(!node.host.inventory(&[]).contains(&made));
}

#[tokio::test]
async fn a_device_that_is_none_is_refused() {
    for (value, why) in [
        ("/dev/ttyUSB7", "dev3: Device /dev/ttyUSB7 does not exist"),
        ("/dev/plain", "dev3: /dev/plain is not a device"),
    ] {
        assert_eq!(with_a_device(value).await.run().await, why);
    }
}

#[tokio::test]
async fn lxc_stop() {
    sweep_all(|| Box::pin(up(LxcStop::new)), 5).await;
}

#[tokio::test]
async fn lxc_exec() {
    let make = |vmid| LxcExec {
        vmid,
        command: vec!["/bin/true".to_owned()],
        input: "secret".to_owned(),
        timeout_s: None,
    };
    sweep_all(move || Box::pin(up(make)), 3).await;
}

#[tokio::test]
async fn lxc_df() {
    let make = |vmid| LxcDf { vmid };
    sweep_all(move || Box::pin(container(make)), 6).await;
    sweep_all(move || Box::pin(up(make)), 6).await;
}

#[tokio::test]
async fn lxc_fstrim() {
    let make = |vmid| LxcFstrim {
        vmid,
        ignore_mount_points: false,
    };
    sweep_all(move || Box::pin(container(make)), 6).await;
    sweep_all(move || Box::pin(up(make)), 6).await;
}

#[tokio::test]
async fn lxc_fsck() {
    let make = |vmid| LxcFsck {
        vmid,
        slot: "rootfs".parse().unwrap(),
        force: true,
    };
    sweep_all(move || Box::pin(checkable(make)), 6).await;
    let running = up(make).await.run().await;
    assert_eq!(
        running,
        "CT 100 is running, its file systems cannot be checked"
    );
}

/// What `pct unlock` does.
fn unlocking(vmid: VmId) -> LxcConfigure {
    let mut edit = lxc::edit(json!({}));
    edit.delete = vec!["lock".into()];
    let mut task = LxcConfigure::new(vmid, edit, None);
    task.skip_lock = true;
    task
}

/// A container that runs is not unmounted, whatever is asked.
#[tokio::test]
async fn what_runs_is_not_unmounted() {
    let node = up(|vmid| LxcUnmount { vmid }).await;
    node.host.change_files(|disk| {
        disk.folder(Path::new("/run/ostler/mounted"));
    });
    let before = node.inventory().await;
    assert_eq!(node.run().await, "CT 100 is not mounted");
    assert_eq!(node.inventory().await, before);
}

/// A slot that was there when the check was asked for and is not there when its turn comes.
#[tokio::test]
async fn a_slot_that_is_gone_ends_the_check_and_frees_the_container() {
    let node = container(|vmid| LxcFsck {
        vmid,
        slot: "mp1".parse().unwrap(),
        force: false,
    })
    .await;
    let before = node.inventory().await;
    assert!(node.run().await.contains("CT 100 has no volume at mp1"));
    assert_eq!(node.inventory().await, before);
}

/// A check that is killed leaves its mark in the image: the undo takes it off, and no other.
#[tokio::test]
async fn the_mark_of_a_check_that_failed_is_taken_off() {
    type Says = fn(&mut Disk, &Command) -> Output;
    let cases: [(Says, bool); 2] = [(marked, true), (in_use, false)];
    for (says, is_cleared) in cases {
        let mut node = container(|vmid| LxcFsck {
            vmid,
            slot: "rootfs".parse().unwrap(),
            force: true,
        })
        .await;
        node.host = node.host.clone().program("e2fsck", killed);
        node.host = node.host.clone().program("debugfs", says);
        node.host = node.host.clone().program("tune2fs", clears);
        assert_ne!(node.run().await, "OK");
        let said = node.inventory().await.join("\n");
        assert_eq!(said.contains("/cleared"), is_cleared, "{said}");
    }
}

fn killed(_: &mut Disk, _: &Command) -> Output {
    Output {
        code: Some(8),
        ..Output::default()
    }
}

fn saying(mark: &str) -> Output {
    Output {
        code: Some(0),
        stdout: format!("block_number: 1460\nsequence: {mark}\n").into_bytes(),
        ..Output::default()
    }
}

fn marked(_: &mut Disk, _: &Command) -> Output {
    saying("e24d4d50")
}

fn in_use(_: &mut Disk, _: &Command) -> Output {
    saying("1a2b3c4d")
}

fn clears(disk: &mut Disk, command: &Command) -> Output {
    assert!(command.args.iter().any(|argument| argument == "clear_mmp"));
    disk.file("/cleared", "");
    silent(disk, command)
}

/// A container in whose image no check has left a mark.
async fn checkable<T>(make: fn(VmId) -> T) -> Node<T> {
    let mut node = container(make).await;
    node.host = node.host.clone().program("debugfs", in_use);
    node
}

/// A container on a host where the folder of all mounts is, which stays.
async fn unmounted<T>(make: fn(VmId) -> T) -> Node<T> {
    let node = container(make).await;
    node.host.change_files(|disk| {
        disk.folder(Path::new("/run/ostler/mounted"));
    });
    node
}

#[tokio::test]
async fn lxc_mount() {
    let make = |vmid| LxcMount { vmid };
    sweep_all(move || Box::pin(unmounted(make)), 8).await;
    assert_eq!(up(make).await.run().await, "CT 100 is running");

    let node = unmounted(make).await;
    let before = node.inventory().await;
    let node = node.done().await;
    let mounted = "mounted /run/ostler/mounted/100".to_owned();
    assert!(node.inventory().await.contains(&mounted));
    // It can neither be started nor destroyed until it is unmounted.
    let node = node.then(start);
    assert_eq!(node.run().await, "CT is locked (mounted)");
    let node = node.then(|vmid| LxcDestroy::new(vmid, false, true, true));
    assert_eq!(node.run().await, "CT is locked (mounted)");
    // Skipping locks does not skip this one.
    let refused = "CT is locked (mounted), use 'pct unmount 100'";
    let node = node.then(|vmid| LxcStart::new(vmid, true, false));
    assert_eq!(node.run().await, refused);
    let node = node.then(unlocking);
    assert_eq!(node.run().await, refused);
    assert!(node.inventory().await.contains(&mounted));
    let node = node.then(|vmid| LxcUnmount { vmid });
    assert_eq!(node.run().await, "OK");
    assert_eq!(node.inventory().await, before);
    assert_eq!(node.run().await, "CT 100 is not mounted");
}

/// A container that is mounted on its host. It is well too if it is unmounted and still locked.
async fn mounted() -> Node<LxcUnmount> {
    let node = unmounted(|vmid| LxcMount { vmid }).await.done().await;
    let mut node = node.then(|vmid| LxcUnmount { vmid });
    let rest = |lines: &[String]| -> Vec<String> {
        let is_rest = |line: &&String| !line.contains("/run/ostler/mounted");
        lines.iter().filter(is_rest).cloned().collect()
    };
    let locked = rest(&node.inventory().await);
    node.also_well = Arc::new(move |found| rest(found) == locked);
    node
}

#[tokio::test]
async fn lxc_unmount() {
    sweep_all(|| Box::pin(mounted()), 6).await;
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
        let mut edit = lxc::edit(json!({
            "memory": 128, "mp1": "local:1,mp=/more", "net1": "name=eth1,bridge=vmbr0",
        }));
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
