//! Containers on a fake host.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use model::{GuestConfig, GuestKind, GuestRecord, Record, VmId};
use node::tasks::LxcStart;
use node::{CtEdit, guest_key};
use serde_json::Value;
use store::Commit;
use sys::{Command, Files, Output, Stream};
use tasks::Task;
use testkit::fault_sweep::Scene;
use testkit::{Disk, FakeHost, Faults, Service};

use super::{Node, empty, silent, vmid};

thread_local! {
    /// Whether the container was asked to end, and has. A test has one container at a time.
    static HAS_ENDED: Cell<bool> = const { Cell::new(false) };
}

/// LXC as it looks from outside: a process that goes on until its container ends.
struct FakeLxc;

impl Service for FakeLxc {
    fn connect(&self, _: &Path, _: &Faults) -> Option<Box<dyn Stream>> {
        None
    }

    fn is_alive(&self) -> bool {
        !HAS_ENDED.get()
    }
}

fn spawn_lxc(_: &Command) -> Arc<dyn Service> {
    HAS_ENDED.set(false);
    Arc::new(FakeLxc)
}

fn stop_lxc(_: &mut Disk, _: &Command) -> Output {
    HAS_ENDED.set(true);
    printing("")
}

fn printing(text: &str) -> Output {
    Output {
        code: Some(0),
        stdout: text.as_bytes().to_vec(),
        ..Output::default()
    }
}

fn info(_: &mut Disk, command: &Command) -> Output {
    match command.args.iter().any(|argument| argument == "-p") {
        true => printing("1000\n"),
        false => printing("RUNNING\n"),
    }
}

/// What our own program says of the files of an Alpine, and of an archive.
fn files(_: &mut Disk, command: &Command) -> Output {
    if command.args == ["container-image"] {
        return printing(IMAGE);
    }
    printing(r#"{"os_type":"alpine","arch":"amd64","lines":[],"warnings":[]}"#)
}

const IMAGE: &str = r#"{"options":{"entrypoint":"/bin/app","environment":["A=1"],
    "lxc":[["lxc.init.uid","7"]]},"warnings":["one"]}"#;

/// A host with LXC and a template, and no guest.
pub async fn with_lxc<T>(make: fn(VmId) -> T) -> Node<T> {
    let mut node = empty(make).await;
    node.host = with_lxc_programs(node.host).await;
    node
}

/// A host with what containers need.
pub async fn with_lxc_programs(host: FakeHost) -> FakeHost {
    let host = host
        .program("mkfs.ext4", silent)
        .program("tune2fs", silent)
        .program("tar", silent)
        .program("rsync", silent)
        .program("e2fsck", silent)
        .program("resize2fs", silent)
        .program("sh", silent)
        .program("/ostler", files)
        .program("ip", silent)
        .program("lxc-attach", silent)
        .program("lxc-info", info)
        .program("lxc-stop", stop_lxc)
        .spawner("lxc-start", spawn_lxc);
    for (path, content) in [
        ("/var/lib/vz/template/cache/a.tar.gz", "archive"),
        ("/var/lib/vz/template/cache/image.tar", "archive"),
        ("/proc/self/mounts", ""),
        ("/etc/passwd", "root:x:0:0::/root:/bin/sh\n"),
    ] {
        let path = Path::new(path);
        host.create_dir(path.parent().unwrap(), 0o755)
            .await
            .unwrap();
        host.write(path, content.as_bytes(), 0o644).await.unwrap();
    }
    host
}

/// The same, with a container: an image, a folder, a card.
pub async fn container<T>(make: fn(VmId) -> T) -> Node<T> {
    let node = with_lxc(make).await;
    let images = Path::new("/var/lib/vz/images/100");
    let tree = images.join("subvol-100-disk-1.subvol");
    node.host.create_dir(&tree, 0o755).await.unwrap();
    node.host
        .write(&images.join("vm-100-disk-0.raw"), b"image", 0o600)
        .await
        .unwrap();
    put_container(
        &node,
        [
            ("rootfs", "local:100/vm-100-disk-0.raw,size=1"),
            ("mp0", "local:100/subvol-100-disk-1.subvol,mp=/data,size=0"),
        ],
    )
    .await;
    node
}

/// Writes the record of a container with these file systems.
pub async fn put_container<T>(node: &Node<T>, mounts: [(&str, &str); 2]) {
    let mut config = GuestConfig::default();
    let options = [
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
    ];
    for (name, value) in options.into_iter().chain(mounts) {
        config.set(name, value);
    }
    let guest = GuestRecord {
        config,
        ..GuestRecord::new(vmid(), GuestKind::Lxc, "pve1".parse().unwrap(), 0)
    };
    let record = Record::new(guest).encode().unwrap();
    let commit = Commit::new().put(guest_key(vmid()), record);
    node.plain.commit(commit).await.unwrap();
}

pub fn start(vmid: VmId) -> LxcStart {
    LxcStart::new(vmid, false, false)
}

/// The same, while it runs; it is well too if it was stopped and not started again.
pub async fn up<T: Task<Node = node::NodeContext>>(make: fn(VmId) -> T) -> Node<T> {
    let started = container(start).await;
    let also_well = started.inventory().await;
    let mut node = started.done().await.then(make);
    node.also_well = Arc::new(move |found| also_well == found);
    node
}

pub fn edit(options: Value) -> CtEdit {
    let Value::Object(options) = options else {
        panic!("an object")
    };
    let mac = || "BC:24:11:00:00:01".to_owned();
    CtEdit::new(&options, &"local".parse().unwrap(), &mac).unwrap()
}
