//! Storages of a node that are given to the other members and taken back, broken at every call, and what
//! is refused.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod scene;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Error, GuestKind, GuestRecord, Record, Upid, VmId};
use node::cluster::{Member, member_key};
use node::tasks::{ExportCreate, ExportDelete};
use node::{NodeContext, guest_key, storage_key};
use scene::*;
use serde_json::{Value, json};
use storage::{StorageConfig, StorageSpec};
use store::{Commit, Read};
use sys::{Command, Files, Output};
use tasks::{Engine, Task};
use testkit::fault_sweep::{Scene, sweep_faults};
use testkit::{Disk, Faults};

const FILE: &str = "/etc/exports.d/ostler.exports";

/// The kernel's own list, as the fake server keeps it.
const KERNEL: &str = "/kernel/exports";

const MOUNTINFO: &str = "/proc/self/mountinfo";

/// The root, and a disk at `/data`.
const MOUNTS: &str =
    "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n36 22 8:17 / /data rw - ext4 /dev/sdb1 rw\n";

fn text_of(files: &Disk, path: &str) -> String {
    String::from_utf8(files.content(Path::new(path)).unwrap_or_default()).unwrap()
}

/// Exports what the files say, and nothing else.
fn exportfs(files: &mut Disk, command: &Command) -> Output {
    assert_eq!(command.args, ["-ra"]);
    let said = text_of(files, FILE);
    let lines = said.lines().filter(|line| line.starts_with('/'));
    let exported: String = lines.map(|line| format!("{line}\n")).collect();
    files.file(KERNEL, &exported);
    silent(files, command)
}

fn refusing(_: &mut Disk, _: &Command) -> Output {
    Output {
        code: Some(1),
        stderr: b"exportfs: /srv/ostler/vms does not support NFS export".to_vec(),
        ..Output::default()
    }
}

/// Datasets of `testkit` that are mounted, too.
fn zfs(files: &mut Disk, command: &Command) -> Output {
    let dataset = command.args.last().cloned().unwrap_or_default();
    let point = format!("/srv/ostler/{}", dataset.rsplit('/').next().unwrap());
    let line = format!("40 22 0:40 / {point} rw - zfs {dataset} rw\n");
    let mounts = text_of(files, MOUNTINFO);
    match command.args[0].as_str() {
        "mount" => {
            files.folder(Path::new(&point));
            files.file(MOUNTINFO, &(mounts + &line));
            silent(files, command)
        }
        "create" => {
            for set in ["sharenfs=off", "sharesmb=off", "canmount=on"] {
                assert!(command.args.iter().any(|word| word == set), "{command:?}");
            }
            let made = testkit::zfs(files, command);
            if made.success() {
                files.folder(Path::new(&point));
                files.file(MOUNTINFO, &(mounts + &line));
            }
            made
        }
        "destroy" => {
            files.file(MOUNTINFO, &mounts.replace(&line, ""));
            let below = files.beside(&format!("{point}/"));
            for name in below {
                files.take_away(&PathBuf::from(format!("{point}/{name}")));
            }
            testkit::zfs(files, command)
        }
        "get" if command.args.iter().any(|word| word == "available,used") => Output {
            stdout: b"1000000\n1000\n".to_vec(),
            ..silent(files, command)
        },
        _ => testkit::zfs(files, command),
    }
}

async fn member<T>(node: &Node<T>, name: &str, host: &str) {
    let member = Member::first(name.parse().unwrap(), format!("{host}:8007"), String::new());
    let key = member_key(&member.name);
    let record = Record::new(member).encode().unwrap();
    let commit = Commit::new().put(key, record);
    node.plain.commit(commit).await.unwrap();
}

async fn has_storage<T>(node: &Node<T>, config: Value) {
    let config: StorageConfig = serde_json::from_value(config).unwrap();
    let record = Record::new(config.clone()).encode().unwrap();
    let commit = Commit::new().put(storage_key(config.id()), record);
    node.plain.commit(commit).await.unwrap();
}

/// A node with a server of NFS, a pool, a disk with a folder, and another member.
async fn exporting<T>(make: fn(VmId) -> T) -> Node<T> {
    let mut node = empty(make).await;
    node.host = node.host.program("exportfs", exportfs).program("zfs", zfs);
    node.host = node.host.program("zpool", silent);
    node.host.change_files(|files| {
        for folder in [
            "/srv",
            "/data/vz",
            "/kernel",
            "/var/lib/nfs",
            "/etc/exports.d",
        ] {
            files.folder(Path::new(folder));
        }
        for (file, content) in [
            ("/usr/sbin/exportfs", ""),
            ("/proc/fs/nfsd/threads", "8\n"),
            ("/etc/exports", "# none\n"),
            (KERNEL, ""),
            (MOUNTINFO, MOUNTS),
            ("/zfs/tank", "filesystem 0 -"),
        ] {
            files.folder(Path::new(file).parent().unwrap());
            files.file(file, content);
        }
    });
    member(&node, "pve1", "10.0.0.1").await;
    member(&node, "pve2", "10.0.0.2").await;
    let tank =
        json!({"id": "tank", "type": "zfspool", "pool": "tank", "content": ["images", "rootdir"]});
    let data = json!({"id": "data", "type": "dir", "path": "/data/vz", "content": ["images"]});
    has_storage(&node, tank).await;
    has_storage(&node, data).await;
    node
}

fn of(origin: &str) -> ExportCreate {
    ExportCreate::new(origin.parse().unwrap(), Some("vms".parse().unwrap()), &[]).unwrap()
}

fn of_tank(_: VmId) -> ExportCreate {
    of("tank")
}

fn of_data(_: VmId) -> ExportCreate {
    of("data")
}

fn kernel<T>(node: &Node<T>) -> String {
    let mut text = String::new();
    node.host
        .change_files(|files| text = text_of(files, KERNEL));
    text
}

async fn record<T>(node: &Node<T>) -> Option<StorageConfig> {
    let key = storage_key(&"vms".parse().unwrap());
    let (entry, _) = node.plain.get(&key, Read::Linear).await.unwrap();
    entry.map(|entry| Record::decode(&entry.value).unwrap().data)
}

/// The inventory without what is chosen anew each time.
struct Exporting<T>(Node<T>);

impl<T: Task<Node = NodeContext>> Scene for Exporting<T> {
    type Node = NodeContext;

    fn open(&self) -> Waiting<'_, Arc<Engine<NodeContext>>> {
        self.0.open()
    }

    fn submit<'a>(&'a self, engine: &'a Engine<NodeContext>) -> Waiting<'a, Result<Upid, Error>> {
        self.0.submit(engine)
    }

    fn inventory(&self) -> Waiting<'_, Vec<String>> {
        Box::pin(async {
            let mut lines = self.0.inventory().await;
            let mut shown = String::new();
            self.0.host.change_files(|files| {
                for path in [FILE, KERNEL, MOUNTINFO, "/zfs/tank:vms"] {
                    shown.push_str(&format!("{path}: {}\n", text_of(files, path)));
                }
            });
            lines.extend(shown.lines().map(str::to_owned));
            let chosen = record(&self.0).await.and_then(|config| {
                let exporter = config.spec.exporter().cloned();
                exporter.map(|exporter| exporter.fsid)
            });
            if let Some(fsid) = chosen {
                lines = lines
                    .iter()
                    .map(|line| line.replace(&fsid, "FSID"))
                    .collect();
            }
            lines
        })
    }

    fn faults(&self) -> &Faults {
        self.0.faults()
    }
}

async fn swept<T: Task<Node = NodeContext>>(scene: impl Fn() -> Waiting<'static, Exporting<T>>) {
    let swept = sweep_faults(scene).await;
    assert!(swept.calls >= 15, "{swept:?}");
    assert!(swept.failed > 0 && swept.went_through > 0, "{swept:?}");
}

/// covers: S1.9
#[tokio::test]
async fn export_create() {
    swept(|| Box::pin(async { Exporting(exporting(of_tank).await) })).await;
    swept(|| Box::pin(async { Exporting(exporting(of_data).await) })).await;
    let node = exporting(of_tank).await;
    assert_eq!(node.run().await, "OK");
    let config = record(&node).await.unwrap();
    let StorageSpec::Nfs(spec) = &config.spec else {
        panic!("{config:?}");
    };
    assert_eq!(spec.source(), "10.0.0.1:/srv/ostler/vms");
    assert_eq!((config.common.disable, &config.common.nodes), (None, &None));
    assert_eq!(config.common.content.len(), 2);
    let exported = kernel(&node);
    assert!(
        exported.starts_with("/srv/ostler/vms 10.0.0.2(rw,sync,"),
        "{exported}"
    );
    assert_eq!(exported.matches('(').count(), 1, "{exported}");
    let mut dataset = String::new();
    node.host
        .change_files(|files| dataset = text_of(files, "/zfs/tank:vms"));
    for set in ["sync=standard", "sharenfs=off", "sharesmb=off"] {
        assert!(dataset.contains(set), "{dataset}");
    }
}

/// An export that was made before, with nothing in it.
async fn exported(origin: fn(VmId) -> ExportCreate) -> Node<ExportDelete> {
    let made = exporting(origin).await.done().await;
    made.then(|_| {
        let config = json!({"id": "vms", "content": ["images"], "type": "nfs", "server": "x", "export": "/x"});
        serde_json::from_value(json!({ "config": config })).unwrap()
    })
}

/// covers: S1.9
#[tokio::test]
async fn export_delete() {
    swept(|| Box::pin(async { Exporting(exported(of_tank).await) })).await;
    swept(|| Box::pin(async { Exporting(exported(of_data).await) })).await;
    let node = exported(of_tank).await;
    assert_eq!(node.run().await, "OK");
    assert_eq!(record(&node).await, None);
    assert_eq!(kernel(&node), "");
    node.host.change_files(|files| {
        for path in [FILE, "/zfs/tank:vms", "/srv/ostler/vms"] {
            assert!(files.content(Path::new(path)).is_none(), "{path}");
        }
    });
}

/// How a task ends that must have changed nothing.
async fn refused<T: Task<Node = NodeContext>>(node: Node<T>) -> String {
    let node = Exporting(node);
    let before = node.inventory().await;
    let status = node.0.run().await;
    assert_eq!(node.inventory().await, before, "{status}");
    status
}

fn has_file<T>(node: &Node<T>, path: &str, content: &str) {
    node.host.change_files(|files| {
        files.folder(Path::new(path).parent().unwrap());
        files.file(path, content);
    });
}

/// covers: S1.9
#[tokio::test]
async fn what_cannot_be_exported_says_why() {
    for (config, why) in [
        (
            json!({"type": "dir", "path": "/var/lib/vz"}),
            "is on the file system of '/': clients could reach all of it",
        ),
        (
            json!({"type": "dir", "path": "/data/vz", "shared": true}),
            "storage 'data' is one that all nodes have already",
        ),
        (
            json!({"type": "nfs", "server": "10.0.0.9", "export": "/x"}),
            "storage 'data' is one that all nodes have already",
        ),
        (
            json!({"type": "lvm", "vgname": "vg"}),
            "storage 'data' is of type 'lvm'",
        ),
        (
            json!({"type": "zfspool", "pool": "tank", "encrypted": true}),
            "storage 'data' is encrypted: over the network",
        ),
        (
            json!({"type": "dir", "path": "/data/vz", "nodes": ["pve2"]}),
            "storage 'data' is not available on node 'pve1'",
        ),
        (
            json!({"type": "dir", "path": "/data/a b"}),
            "'/data/a b/exports/vms' has characters that no export can have",
        ),
    ] {
        let node = exporting(of_data).await;
        node.host
            .change_files(|files| files.folder(Path::new("/data/a b")));
        let mut config = config;
        config["id"] = "data".into();
        config["content"] = json!(["images"]);
        has_storage(&node, config).await;
        let context = node.context("pve1", &node.host, None).await;
        let refused = of("data").check(&context).await.err().unwrap();
        assert!(refused.to_string().contains(why), "{why}: {refused}");
    }
}

/// covers: S1.9
#[tokio::test]
async fn a_node_or_a_place_that_cannot_serve_says_why() {
    let node = exporting(of_data).await;
    has_file(&node, "/var/lib/nfs/etab", "/data\t10.0.0.9(rw)\n");
    let status = refused(node).await;
    let why = "'/data/vz/exports/vms' is exported already, as '/data' in /var/lib/nfs/etab";
    assert_eq!(status, why);

    let node = exporting(of_data).await;
    has_file(&node, "/data/vz/exports/vms/x", "x");
    let status = refused(node).await;
    assert_eq!(status, "'/data/vz/exports/vms' is there already");

    let node = exporting(of_tank).await;
    has_file(&node, "/zfs/tank:vms", "filesystem 0 -");
    let status = refused(node).await;
    assert!(
        status.starts_with("dataset 'tank/vms' exists already"),
        "{status}"
    );

    let node = exporting(of_tank).await;
    has_storage(
        &node,
        json!({"id": "vms", "type": "dir", "path": "/y", "content": []}),
    )
    .await;
    assert_eq!(refused(node).await, "storage ID 'vms' already defined");

    let node = exporting(of_tank).await;
    has_file(&node, "/proc/fs/nfsd/threads", "0\n");
    let status = refused(node).await;
    assert!(
        status.contains("systemctl enable --now nfs-server"),
        "{status}"
    );

    let node = exporting(of_tank).await;
    let program = |files: &mut Disk| files.take_away(Path::new("/usr/sbin/exportfs"));
    node.host.change_files(|files| assert!(program(files)));
    let status = refused(node).await;
    assert_eq!(
        status,
        "package nfs-kernel-server is not installed on this node"
    );
}

/// It would be removed with the guest.
///
/// covers: S1.9
#[tokio::test]
async fn an_export_is_not_called_like_a_volume_of_a_guest() {
    let node = exporting(of_tank).await;
    let context = node.context("pve1", &node.host, None).await;
    for name in [
        "subvol-100-disk-0",
        "vm-100-disk-0",
        "base-100-disk-0",
        "vm-100-cloudinit",
    ] {
        let named = Some(name.parse().unwrap());
        let mut task = ExportCreate::new("tank".parse().unwrap(), named, &[]).unwrap();
        let refused = task.check(&context).await.err().unwrap();
        let why = format!("'{name}' is the name of a guest's volume in storage 'tank'");
        assert!(format!("{refused:?}").contains(&why), "{refused:?}");
    }
}

/// Any program of the node could mount it. What is known of members stays as it is.
///
/// covers: S1.9
#[tokio::test]
async fn addresses_that_are_no_other_machine_are_no_clients() {
    let node = exported(of_tank).await;
    for (name, host) in [
        ("pve3", "127.0.0.1"),
        ("pve4", "0.0.0.0"),
        ("pve5", "[::1]"),
        ("pve6", "[::ffff:127.0.0.1]"),
        ("pve7", "[fd00::7]"),
    ] {
        member(&node, name, host).await;
    }
    let context = node.context("pve1", &node.host, None).await;
    let clients: Vec<String> = context.clients(&[]).await.unwrap().into_iter().collect();
    assert_eq!(clients, ["10.0.0.2", "fd00::7"]);
    assert!(context.cluster.members.all().is_empty());
}

/// A link would lead elsewhere.
#[tokio::test]
async fn a_place_that_is_no_folder_or_on_another_file_system_says_why() {
    let node = exporting(of_data).await;
    has_file(&node, "/data/vz/exports", "a link");
    let status = refused(node).await;
    assert_eq!(status, "'/data/vz/exports' is no folder, or a link to one");

    let node = exporting(of_data).await;
    let folder = |files: &mut Disk| files.folder(Path::new("/data/vz/exports/vms"));
    node.host.change_files(folder);
    let status = refused(node).await;
    assert_eq!(status, "'/data/vz/exports/vms' is there already");

    let node = exporting(of_data).await;
    let below = "50 36 0:70 / /data/vz/exports rw - nfs4 10.0.0.9:/x rw\n";
    has_file(&node, MOUNTINFO, &format!("{MOUNTS}{below}"));
    let status = refused(node).await;
    assert!(
        status.contains("is on '/data/vz/exports', which is on no disk of this node"),
        "{status}"
    );
}

/// What was there before an attempt is there after it.
#[tokio::test]
async fn a_folder_that_was_there_stays() {
    let mut node = exporting(of_data).await;
    node.host = node.host.program("exportfs", refusing);
    let folder = |files: &mut Disk| files.folder(Path::new("/data/vz/exports"));
    node.host.change_files(folder);
    let status = node.run().await;
    assert!(status.contains("does not support NFS export"), "{status}");
    let parent = node.host.stat(Path::new("/data/vz/exports")).await.unwrap();
    assert!(parent.is_some());
    let made = Path::new("/data/vz/exports/vms");
    assert_eq!(node.host.stat(made).await.unwrap(), None);
}

/// What is on a disk that is not mounted is not known.
///
/// covers: S1.9
#[tokio::test]
async fn an_export_whose_disk_is_away_is_not_taken_back() {
    for (origin, mounts) in [
        (of_tank as fn(VmId) -> _, MOUNTS),
        (of_data, "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"),
    ] {
        let node = exported(origin).await;
        has_file(&node, MOUNTINFO, mounts);
        let status = refused(node).await;
        assert!(status.contains("storage 'vms'"), "{status}");
    }
}

/// Follows exports until something is seen.
async fn follows(context: &NodeContext, seen: impl Fn() -> bool) {
    let until = async {
        while !seen() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = node::follow_exports(context) => {}
        () = until => {}
    }
}

fn files_say<T>(node: &Node<T>, path: &str, text: &str) -> bool {
    let mut is_said = false;
    let look = |files: &mut Disk| is_said = text_of(files, path).contains(text);
    node.host.change_files(look);
    is_said
}

async fn put_record<T>(node: &Node<T>, config: &StorageConfig) {
    let record = Record::new(config.clone()).encode().unwrap();
    let commit = Commit::new().put(storage_key(config.id()), record);
    node.plain.commit(commit).await.unwrap();
}

fn exporter(config: &mut StorageConfig) -> &mut storage::Exporter {
    match &mut config.spec {
        StorageSpec::Nfs(spec) => spec.exporter.as_mut().unwrap(),
        _ => panic!("no export"),
    }
}

/// A record that cannot be read, and a dataset that is another's.
///
/// covers: S1.9
#[tokio::test]
async fn one_export_that_fails_holds_up_no_other() {
    let node = exported(of_tank).await;
    let mut other = record(&node).await.unwrap();
    other.common.id = "aaa".parse().unwrap();
    exporter(&mut other).dataset = Some("tank/aaa".to_owned());
    exporter(&mut other).mount_point = "/srv/ostler/aaa".to_owned();
    put_record(&node, &other).await;
    let bad = storage_key(&"bad".parse().unwrap());
    let commit = Commit::new().put(bad, b"no record".to_vec());
    node.plain.commit(commit).await.unwrap();
    has_file(
        &node,
        "/zfs/tank:aaa",
        "filesystem 0 -\nostler:export=another",
    );
    has_file(&node, MOUNTINFO, MOUNTS);
    has_file(&node, KERNEL, "");
    let context = node.context("pve1", &node.host, None).await;
    follows(&context, || {
        files_say(&node, KERNEL, "/srv/ostler/vms 10.0.0.2(")
    })
    .await;
    assert!(files_say(&node, MOUNTINFO, "/srv/ostler/vms"));
    assert!(!files_say(&node, MOUNTINFO, "/srv/ostler/aaa"));
}

fn umount(files: &mut Disk, command: &Command) -> Output {
    files.folder(Path::new("/umounted"));
    files.file(
        &format!("/umounted/{}", command.args[0].replace('/', ":")),
        "once",
    );
    let mounts = text_of(files, MOUNTINFO);
    let left = mounts
        .lines()
        .filter(|line| !line.contains(&command.args[0]));
    let left: String = left.map(|line| format!("{line}\n")).collect();
    files.file(MOUNTINFO, &left);
    silent(files, command)
}

/// Its name and its place are the same, and the handles of files are not.
///
/// covers: S1.9
#[tokio::test]
async fn an_export_that_was_made_anew_is_mounted_anew() {
    let mut node = exported(of_tank).await;
    node.host = node.host.program("umount", umount);
    let mount = "60 22 0:60 / /mnt/pve/vms rw - nfs4 10.0.0.1:/srv/ostler/vms rw\n";
    has_file(&node, MOUNTINFO, &format!("{MOUNTS}{mount}"));
    let context = node.context("pve2", &node.host, None).await;
    let other = async {
        // The others follow it for a while, and leave it as it is.
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        assert!(files_say(&node, MOUNTINFO, "/mnt/pve/vms"));
        let mut anew = record(&node).await.unwrap();
        exporter(&mut anew).fsid = "0f5a6d2e-8a3c-4b1d-9e7f-112233445566".to_owned();
        put_record(&node, &anew).await;
        while files_say(&node, MOUNTINFO, "/mnt/pve/vms") {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = node::follow_exports(&context) => {}
        () = other => {}
    }
    assert!(files_say(&node, "/umounted/:mnt:pve:vms", "once"));
}

async fn leaves<T>(node: &Node<T>, name: &str) {
    let key = member_key(&name.parse().unwrap());
    node.plain.commit(Commit::new().delete(key)).await.unwrap();
}

/// covers: S1.9
#[tokio::test]
async fn a_node_alone_exports_to_no_one_unless_networks_are_named() {
    let node = exporting(of_tank).await;
    leaves(&node, "pve2").await;
    let status = refused(node).await;
    assert!(
        status.contains("say which networks may mount it"),
        "{status}"
    );
    let with = |network: &str| {
        let networks = [network.parse().unwrap()];
        ExportCreate::new("tank".parse().unwrap(), None, &networks)
    };
    for (network, why) in [
        ("0.0.0.0/0", "is everybody"),
        ("::/0", "is everybody"),
        ("0.0.0.0/1", "is larger than a /8"),
        ("128.0.0.0/1", "is larger than a /8"),
        ("fc00::/7", "is larger than a /16"),
        ("8.8.8.0/24", "is no private network"),
        ("172.0.0.0/8", "is no private network"),
        ("127.0.0.0/8", "is no private network"),
        ("2001:db8::/32", "is no private network"),
    ] {
        let refused = format!("{:?}", with(network).err().unwrap());
        assert!(refused.contains(&format!("'{network}' {why}")), "{refused}");
    }
    for network in [
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.7.0/24",
        "fd00:1::/32",
    ] {
        assert!(with(network).is_ok(), "{network}");
    }
}

/// covers: S1.9
#[tokio::test]
async fn the_server_follows_members_that_come_and_go() {
    let node = exported(of_tank).await;
    let context = node.context("pve1", &node.host, None).await;
    member(&node, "pve3", "10.0.0.3").await;
    assert_eq!(context.serve_exports().await.unwrap(), None);
    assert!(kernel(&node).contains(" 10.0.0.2(") && kernel(&node).contains(" 10.0.0.3("));
    leaves(&node, "pve2").await;
    assert_eq!(context.serve_exports().await.unwrap(), None);
    assert!(!kernel(&node).contains("10.0.0.2"), "{}", kernel(&node));
    leaves(&node, "pve3").await;
    assert_eq!(context.serve_exports().await.unwrap(), None);
    assert_eq!(
        kernel(&node),
        "",
        "a line without a client would be for everybody"
    );
    member(&node, "pve2", "10.0.0.2").await;
    // As after a restart of the machine: the kernel has forgotten all, and so has the agent.
    has_file(&node, KERNEL, "");
    let again = node.context("pve1", &node.host, None).await;
    assert_eq!(again.serve_exports().await.unwrap(), None);
    assert!(kernel(&node).contains(" 10.0.0.2("), "{}", kernel(&node));
}

/// covers: S1.9
#[tokio::test]
async fn what_the_server_refuses_is_taken_back() {
    let mut node = exporting(of_tank).await;
    node.host = node.host.program("exportfs", refusing);
    let status = node.run().await;
    assert!(status.contains("does not support NFS export"), "{status}");
    assert_eq!(record(&node).await, None);
    let mut left = String::new();
    node.host
        .change_files(|files| left = text_of(files, "/zfs/tank:vms"));
    assert_eq!(left, "");
}

/// covers: S1.9
#[tokio::test]
async fn an_export_with_volumes_is_not_taken_back() {
    let node = exported(of_tank).await;
    let mut guest = GuestRecord::new(vmid(), GuestKind::Qemu, "pve2".parse().unwrap(), 0);
    guest.config.set("scsi0", "vms:100/vm-100-disk-0.raw");
    let record = Record::new(guest).encode().unwrap();
    let commit = Commit::new().put(guest_key(vmid()), record);
    node.plain.commit(commit).await.unwrap();
    let status = refused(node).await;
    assert_eq!(
        status,
        "guest 100 of node 'pve2' has volume 'vms:100/vm-100-disk-0.raw'"
    );
    let node = exported(of_tank).await;
    has_file(
        &node,
        "/srv/ostler/vms/images/101/vm-101-disk-0.raw",
        "disk",
    );
    let status = refused(node).await;
    let why = "storage 'vms' has volume '101/vm-101-disk-0.raw': move it or remove it first";
    assert_eq!(status, why);
}

/// A file that is no volume keeps its dataset.
#[tokio::test]
async fn a_file_that_is_no_volume_is_kept() {
    let node = exported(of_tank).await;
    has_file(&node, "/srv/ostler/vms/notes", "mine");
    let status = node.run().await;
    assert!(status.starts_with("WARNINGS"), "{status}");
    assert_eq!((record(&node).await, kernel(&node)), (None, String::new()));
    node.host.change_files(|files| {
        for path in ["/srv/ostler/vms/notes", "/zfs/tank:vms"] {
            assert!(files.content(Path::new(path)).is_some(), "{path}");
        }
    });
}
