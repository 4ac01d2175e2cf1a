//! The tasks of volumes, broken at every call that they make to host and store.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::fs::File;
use std::future::Future;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use auth::Authority;
use auth::pam::{PamError, PamRunner};
use model::retention::Retention;
use model::{BlockFormat, Error, GuestKind, GuestRecord, Record, Upid, VmId, VolumeId};
use node::tasks::{
    BackupPrune, ImportRules, NewImage, VolumeCopy, VolumeCopyFile, VolumeCreate, VolumeDelete,
    VolumeDownload, VolumeExport, VolumeImport, VolumeImportFile, VolumePull, VolumeUpload,
};
use node::{NodeContext, NodeOptions, Paths, Pruning, guest_key, registry, storage_key};
use proto::wire::PartWriter;
use storage::{Checksum, ChecksumAlgorithm, StreamFormat};
use store::{Commit, MemoryStore, Prefix, Read, SharedStore, list_all};
use sys::{Command, Files, Output, UploadFile};
use tasks::{Engine, EngineOptions, Submission, Task, TaskState};

use testkit::fault_sweep::{Scene, Swept, exit_status, sweep_faults};
use testkit::{Disk, FakeHost, Faults, FaultyStore, HastyClock, qemu_img};

type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

const ISO: &str = "/var/lib/vz/template/iso/x.iso";
const IMAGE: &str = "/var/lib/vz/images/100/vm-100-disk-0.raw";

/// A machine on which every password is wrong.
struct Nobody;

#[async_trait]
impl PamRunner for Nobody {
    async fn authenticate(&self, _user: &str, _password: &str) -> Result<bool, PamError> {
        Ok(false)
    }
}

/// One node with a storage, whose task `make` says what is done with it.
struct Node<T> {
    host: FakeHost,
    plain: SharedStore,
    node: Mutex<Option<Arc<NodeContext>>>,
    make: Arc<dyn Fn(&NodeContext) -> T + Send + Sync>,
    /// What may be left besides where the task fails.
    also_well: fn(&[String]) -> bool,
}

async fn node<T>(make: impl Fn(&NodeContext) -> T + Send + Sync + 'static) -> Node<T> {
    let host = FakeHost::new(Faults::default())
        .program("qemu-img", qemu_img)
        .program("skopeo", pulls);
    let folders = [
        "images/100",
        "template/cache",
        "template/iso",
        "dump",
        "snippets",
        "import",
        "private",
    ];
    for folder in folders.into_iter().chain([".arriving"]) {
        host.create_dir(&Path::new("/var/lib/vz").join(folder), 0o755)
            .await
            .unwrap();
    }
    host.write(IMAGE.as_ref(), b"x", 0o600).await.unwrap();
    let plain: SharedStore = Arc::new(MemoryStore::new(Arc::new(HastyClock::default())));
    let local = storage::local("/var/lib/vz");
    let commit = Commit::new().put(
        storage_key(local.id()),
        Record::new(local).encode().unwrap(),
    );
    plain.commit(commit).await.unwrap();
    Node {
        host,
        plain,
        node: Mutex::default(),
        make: Arc::new(make),
        also_well: |_| false,
    }
}

impl<T: Task<Node = NodeContext>> Node<T> {
    async fn engine(&self) -> Arc<Engine<NodeContext>> {
        let host: sys::SharedHost = Arc::new(self.host.clone());
        let clock = Arc::new(HastyClock::default());
        let authority = Authority::new(self.plain.clone(), clock.clone(), Arc::new(Nobody));
        let node = NodeContext::new(NodeOptions {
            agents: None,
            name: "pve1".parse().unwrap(),
            paths: Paths::below("/"),
            store: Arc::new(FaultyStore::new(
                self.plain.clone(),
                self.host.faults().clone(),
            )),
            host: host.clone(),
            clock: clock.clone(),
            authority: Arc::new(authority.await.unwrap()),
            guest_user: None,
            guest_uids: None,
            kvm: None,
            allow_emulation: false,
            identity: None,
            state: None,
        });
        *self.node.lock().unwrap() = Some(node.clone());
        let options = EngineOptions {
            node: "pve1".parse().unwrap(),
            directory: "/var/lib/ostler/tasks".into(),
            host,
            clock,
            reserve_bytes: 4096,
            timeout_text: node::tasks::timeout_text,
        };
        Engine::open(options, node, &registry()).await.unwrap()
    }

    /// Runs the task on a healthy host; answers its exit status.
    async fn run(&self) -> String {
        let engine = self.engine().await;
        let upid = self.submit(&engine).await.unwrap();
        match engine.wait(&upid).await.unwrap().state {
            TaskState::Ended { status, .. } => status,
            other => panic!("{other:?}"),
        }
    }
}

impl<T: Task<Node = NodeContext>> Scene for Node<T> {
    type Node = NodeContext;

    fn open(&self) -> Waiting<'_, Arc<Engine<NodeContext>>> {
        Box::pin(self.engine())
    }

    fn submit<'a>(&'a self, engine: &'a Engine<NodeContext>) -> Waiting<'a, Result<Upid, Error>> {
        let submission = Submission {
            request_id: String::new(),
            user: "root@pam".into(),
            id: "local".into(),
            listed: true,
        };
        let node = self.node.lock().unwrap().clone().unwrap();
        Box::pin(async move { engine.submit(submission, (self.make)(&node)).await })
    }

    fn inventory(&self) -> Waiting<'_, Vec<String>> {
        Box::pin(async {
            let mut lines = self.host.inventory(&["/var/lib/ostler"]);
            let found = list_all(&*self.plain, &Prefix::all(), Read::Linear)
                .await
                .unwrap();
            // Keys for tickets are made anew for every node.
            let entries = found
                .0
                .iter()
                .filter(|entry| !entry.key.as_str().starts_with("secret/"));
            lines.extend(entries.map(|entry| format!("{} {:?}", entry.key, entry.value)));
            lines
        })
    }

    fn faults(&self) -> &Faults {
        self.host.faults()
    }

    fn is_also_well(&self, found: &[String]) -> bool {
        (self.also_well)(found)
    }
}

fn assert_all_broken(swept: &Swept, at_least: usize) {
    assert!(swept.calls >= at_least, "{swept:?}");
    assert!(swept.breaks > 2 * swept.calls, "{swept:?}");
    assert!(swept.failed > 0 && swept.went_through > 0, "{swept:?}");
}

fn vmid() -> VmId {
    VmId::new(100).unwrap()
}

fn create(name: &str) -> VolumeCreate {
    let volume = format!("local:100/{name}").parse().unwrap();
    VolumeCreate::new(volume, vmid(), BlockFormat::Raw, 1 << 30)
}

#[tokio::test]
async fn volume_create() {
    let swept = sweep_faults(|| Box::pin(node(|_| create("vm-100-disk-1.raw")))).await;
    assert_all_broken(&swept, 12);
}

#[tokio::test]
async fn an_image_that_is_there_stays_as_it_is() {
    let node = node(|_| create("vm-100-disk-0.raw")).await;
    let before = node.inventory().await;
    let status = node.run().await;
    assert_eq!(
        status,
        "disk image 'local:100/vm-100-disk-0.raw' already exists"
    );
    assert_eq!(node.inventory().await, before);
}

#[tokio::test]
async fn volume_delete() {
    let delete = |_: &NodeContext| VolumeDelete {
        volume: "local:100/vm-100-disk-0.raw".parse().unwrap(),
        owner: Some(vmid()),
    };
    let swept = sweep_faults(|| Box::pin(node(delete))).await;
    assert_all_broken(&swept, 12);
    let node = node(delete).await;
    assert_eq!(node.run().await, "OK");
    assert!(
        !node
            .inventory()
            .await
            .iter()
            .any(|line| line.contains("images/100"))
    );
}

/// An upload of `content` that its writer has closed.
fn upload(node: &NodeContext, content: &[u8], expected: &str) -> VolumeUpload {
    let (upload, given) = UploadFile::new(tempfile::tempfile().unwrap().into()).unwrap();
    File::from(given).write_all(content).unwrap();
    let id = "5eed".to_owned();
    let local = "local".parse().unwrap();
    node.uploads
        .open(id.clone(), Clone::clone(&local), upload)
        .unwrap();
    node.uploads.claim(&id, &local).unwrap();
    let checksum = Checksum {
        algorithm: ChecksumAlgorithm::Md5,
        expected: expected.to_owned(),
    };
    VolumeUpload::new(id, "local:iso/x.iso".parse().unwrap(), Some(checksum))
}

/// Of "abc" (RFC 1321).
const MD5: &str = "900150983cd24fb0d6963f7d28e17f72";

#[tokio::test]
async fn volume_upload() {
    let swept = sweep_faults(|| Box::pin(node(|node| upload(node, b"abc", MD5)))).await;
    assert_all_broken(&swept, 20);
}

async fn node_with_iso() -> Node<VolumeUpload> {
    let node = node(|node| upload(node, b"abc", MD5)).await;
    node.host
        .write(ISO.as_ref(), b"the old one", 0o644)
        .await
        .unwrap();
    node
}

#[tokio::test]
async fn volume_upload_over_another() {
    let swept = sweep_faults(|| Box::pin(node_with_iso())).await;
    assert_all_broken(&swept, 20);
    let node = node_with_iso().await;
    assert_eq!(node.run().await, "OK");
    assert_eq!(node.host.read(ISO.as_ref()).await.unwrap(), b"abc");
}

#[tokio::test]
async fn a_file_that_is_not_what_was_promised_is_thrown_away() {
    let node = node(|node| upload(node, b"abd", MD5)).await;
    let before = node.inventory().await;
    let status = node.run().await;
    assert!(status.starts_with("checksum mismatch: got '"), "{status}");
    assert!(
        status.ends_with(&format!("' != expect '{MD5}'")),
        "{status}"
    );
    assert_eq!(node.inventory().await, before);
    assert_eq!(
        node.node.lock().unwrap().as_ref().unwrap().uploads.count(),
        0
    );
}

/// A server on this machine that has one file, "abc"; answers its address.
fn web() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x.iso", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = std::io::Read::read(&mut stream, &mut [0; 1024]);
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc";
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    url
}

fn download(url: &str, expected: &str) -> VolumeDownload {
    let checksum = Checksum {
        algorithm: ChecksumAlgorithm::Md5,
        expected: expected.to_owned(),
    };
    let volume = "local:iso/x.iso".parse().unwrap();
    VolumeDownload::new(url.to_owned(), false, volume, Some(checksum))
}

#[tokio::test]
async fn volume_download() {
    let url = web();
    let scene = || {
        let url = url.clone();
        node(move |_| download(&url, MD5))
    };
    let swept = sweep_faults(|| Box::pin(scene())).await;
    assert_all_broken(&swept, 20);
    let node = scene().await;
    assert_eq!(node.run().await, "OK");
    assert_eq!(node.host.read(ISO.as_ref()).await.unwrap(), b"abc");
}

#[tokio::test]
async fn a_download_that_fails_leaves_nothing() {
    let url = web();
    let wrong = node(move |_| download(&url, "00")).await;
    let before = wrong.inventory().await;
    let status = wrong.run().await;
    assert!(status.starts_with("checksum mismatch"), "{status}");
    assert_eq!(wrong.inventory().await, before);
    let gone = node(|_| download("http://127.0.0.1:1/x.iso", MD5)).await;
    let status = gone.run().await;
    assert!(
        status.starts_with("Can't connect to 127.0.0.1:1 ("),
        "{status}"
    );
    assert_eq!(gone.inventory().await, before);
}

const TEMPLATE: &str = "/var/lib/vz/template/cache/app_1.0.tar";

/// A `skopeo` that needs its own folder to put an image together.
fn pulls(disk: &mut Disk, command: &Command) -> Output {
    leave_a_part(disk, command);
    Output {
        code: Some(0),
        ..Output::default()
    }
}

/// One that fails with a part of an image in its folder.
fn pulls_in_vain(disk: &mut Disk, command: &Command) -> Output {
    leave_a_part(disk, command);
    Output {
        code: Some(1),
        stderr: b"time=\"now\" level=fatal msg=\"no such manifest\"\n".to_vec(),
        ..Output::default()
    }
}

fn leave_a_part(disk: &mut Disk, command: &Command) {
    let at = command.args.iter().position(|said| said == "--tmpdir");
    let folder = &command.args[at.unwrap() + 1];
    let part = Path::new(folder).join("blob");
    disk.put(&part, b"a part".to_vec(), 6).unwrap();
}

fn pull(_: &NodeContext) -> VolumePull {
    let volume = "local:vztmpl/app_1.0.tar".parse().unwrap();
    VolumePull::new("127.0.0.1:5000/team/app:1.0".to_owned(), volume)
}

#[tokio::test]
async fn volume_pull() {
    let swept = sweep_faults(|| Box::pin(node(pull))).await;
    assert_all_broken(&swept, 20);
    let node = node(pull).await;
    assert_eq!(node.run().await, "OK");
    assert_eq!(node.host.read(TEMPLATE.as_ref()).await.unwrap(), b"");
    let left = node.host.list("/var/lib/vz/.arriving".as_ref()).await;
    assert_eq!(left.unwrap(), []);
    // What is there is not replaced.
    let refused = format!("refusing to override existing file '{TEMPLATE}'");
    assert_eq!(node.run().await, refused);
}

#[tokio::test]
async fn a_pull_that_fails_leaves_nothing() {
    let mut node = node(pull).await;
    node.host = node.host.program("skopeo", pulls_in_vain);
    let before = node.inventory().await;
    assert_eq!(node.run().await, "no such manifest");
    assert_eq!(node.inventory().await, before);
}

const DUMP: &str = "/var/lib/vz/dump";

/// A node with two backups of a guest, of which the rule keeps one.
async fn node_with_backups() -> Node<BackupPrune> {
    let keep = Retention {
        last: 1,
        ..Retention::default()
    };
    let pruning = Pruning {
        storage: "local".parse().unwrap(),
        keep: Some(keep),
        kind: None,
        vmid: None,
    };
    let mut node = node(move |_| BackupPrune::new(pruning.clone())).await;
    // A backup that could not be removed is whole, and is removed by the next attempt.
    node.also_well = |found| {
        let has = |file: &str| found.iter().any(|line| line.contains(file));
        has("00_01.vma") && has("00_02.vma")
    };
    for file in ["01.vma", "01.vma.notes", "01.log", "02.vma"] {
        let path = format!("{DUMP}/vzdump-qemu-100-2026_01_02-00_00_{file}");
        node.host.write(path.as_ref(), b"x", 0o644).await.unwrap();
    }
    node
}

#[tokio::test]
async fn backup_prune() {
    let swept = sweep_faults(|| Box::pin(node_with_backups())).await;
    assert_all_broken(&swept, 12);
    let node = node_with_backups().await;
    assert_eq!(node.run().await, "OK");
    let left = node.host.list(DUMP.as_ref()).await.unwrap();
    let left: Vec<&str> = left.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(left, ["vzdump-qemu-100-2026_01_02-00_00_02.vma"]);
}

fn copy(_: &NodeContext) -> VolumeCopy {
    let to = NewImage {
        volume: "local:101/vm-101-disk-3.qcow2".parse().unwrap(),
        owner: VmId::new(101).unwrap(),
        format: BlockFormat::Qcow2,
    };
    let from = "local:100/vm-100-disk-0.raw".parse().unwrap();
    VolumeCopy::new(from, Some(vmid()), to)
}

#[tokio::test]
async fn volume_copy() {
    let swept = sweep_faults(|| Box::pin(node(copy))).await;
    assert_all_broken(&swept, 20);
    let node = node(copy).await;
    assert_eq!(node.run().await, "OK");
    let made = node.inventory().await;
    assert!(
        made.iter()
            .any(|line| line.contains("101/vm-101-disk-3.qcow2"))
    );
    // What is there is not replaced.
    let refused = "volume 'local:101/vm-101-disk-3.qcow2' already exists";
    assert_eq!(node.run().await, refused);
    assert_eq!(node.inventory().await, made);
}

/// A `qemu-img` that finds a difference.
fn differs(disk: &mut Disk, command: &Command) -> Output {
    match command.args.first().map(String::as_str) {
        Some("compare") => Output {
            code: Some(1),
            ..Output::default()
        },
        _ => qemu_img(disk, command),
    }
}

#[tokio::test]
async fn a_copy_that_is_not_as_the_original_is_thrown_away() {
    let mut node = node(copy).await;
    node.host = node.host.program("qemu-img", differs);
    let before = node.inventory().await;
    let status = node.run().await;
    assert!(
        status.contains("is not what 'local:100/vm-100-disk-0.raw' is"),
        "{status}"
    );
    assert_eq!(node.inventory().await, before);
}

/// A stream of this content, as a caller sends it.
async fn sent(content: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut writer = PartWriter::new(&mut stream);
    writer.write(content).await.unwrap();
    writer.finish().await.unwrap();
    stream
}

/// A stream that a caller has opened for a volume, which the task owns, and the caller's end of it.
fn opened(node: &NodeContext, volume: &VolumeId) -> (String, UnixStream) {
    let (id, given, lent) = node.streams.open(volume.clone()).unwrap();
    node.streams.claim(&id, volume).unwrap();
    // The caller stays.
    std::mem::forget(lent);
    (id, UnixStream::from(given))
}

/// The same, written to.
fn incoming(node: &NodeContext, volume: &VolumeId, stream: &[u8]) -> String {
    let (id, mut given) = opened(node, volume);
    given.write_all(stream).unwrap();
    id
}

const RAW_STREAM: &[u8] = b"\x08\0\0\0\0\0\0\0contents";

const MADE: &str = "/var/lib/vz/images/101/vm-101-disk-3.raw";

fn new_volume() -> VolumeId {
    "local:101/vm-101-disk-3.raw".parse().unwrap()
}

fn import_of(stream: String) -> VolumeImport {
    let owner = VmId::new(101).unwrap();
    let new = (new_volume(), owner, Some(BlockFormat::Raw));
    let rules = ImportRules {
        verifies: true,
        ..ImportRules::default()
    };
    VolumeImport::new(new, StreamFormat::Raw, stream, rules)
}

async fn import(content: &[u8]) -> Node<VolumeImport> {
    let stream = sent(content).await;
    node(move |node| import_of(incoming(node, &new_volume(), &stream))).await
}

const TAKEN: &str = "volume 'local:101/vm-101-disk-3.raw' already exists";

#[tokio::test]
async fn volume_import() {
    let swept = sweep_faults(|| Box::pin(import(RAW_STREAM))).await;
    assert_all_broken(&swept, 20);
    let node = import(RAW_STREAM).await;
    assert_eq!(node.run().await, "OK");
    let found = node.host.read(MADE.as_ref()).await.unwrap();
    assert!(found.starts_with(b"contents"), "{found:?}");
    let before = node.inventory().await;
    assert_eq!(node.run().await, TAKEN);
    assert_eq!(node.inventory().await, before);
}

#[tokio::test]
async fn what_has_the_name_of_an_import_and_is_no_volume_stays() {
    let node = import(RAW_STREAM).await;
    let inside = Path::new(MADE).join("of another");
    node.host.create_dir(MADE.as_ref(), 0o755).await.unwrap();
    node.host.write(&inside, b"x", 0o600).await.unwrap();
    let before = node.inventory().await;
    assert_eq!(node.run().await, TAKEN);
    assert_eq!(node.inventory().await, before);
}

/// Another node of a shared storage may be faster than the caller.
#[tokio::test]
async fn a_volume_that_is_made_before_the_header_comes_stays() {
    let caller: Arc<Mutex<Option<UnixStream>>> = Arc::default();
    let of_caller = caller.clone();
    let import = move |node: &NodeContext| {
        let (id, given) = opened(node, &new_volume());
        *of_caller.lock().unwrap() = Some(given);
        import_of(id)
    };
    let node = node(import).await;
    let engine = node.engine().await;
    let upid = node.submit(&engine).await.unwrap();
    let begins = |line: &String| line.starts_with("importing '");
    while !engine.log(&upid).await.unwrap().iter().any(begins) {
        tokio::task::yield_now().await;
    }
    let folder = Path::new(MADE).parent().unwrap();
    node.host.create_dir(folder, 0o755).await.unwrap();
    let another: &[u8] = b"of another";
    node.host
        .write(MADE.as_ref(), another, 0o600)
        .await
        .unwrap();
    let before = node.inventory().await;
    let mut given = caller.lock().unwrap().take().unwrap();
    given.write_all(&sent(RAW_STREAM).await).unwrap();
    let ended = engine.wait(&upid).await.unwrap();
    assert_eq!(exit_status(&ended.state), TAKEN);
    assert_eq!(node.inventory().await, before);
    assert_eq!(node.host.read(MADE.as_ref()).await.unwrap(), another);
    let log = engine.log(&upid).await.unwrap();
    let completed = |line: &String| storage::completed_import(line).is_some();
    assert!(!log.iter().any(completed), "{log:?}");
}

#[tokio::test]
async fn an_import_says_which_volume_there_is() {
    let node = import(RAW_STREAM).await;
    let engine = node.engine().await;
    let upid = node.submit(&engine).await.unwrap();
    let ended = engine.wait(&upid).await.unwrap();
    assert_eq!(exit_status(&ended.state), "OK");
    let log = engine.log(&upid).await.unwrap();
    let completed = log
        .iter()
        .filter_map(|line| storage::completed_import(line));
    let completed: Vec<&str> = completed.collect();
    assert_eq!(completed, [new_volume().to_string()]);
}

#[tokio::test]
async fn a_volume_of_a_guest_elsewhere_is_not_imported_here() {
    let node = import(RAW_STREAM).await;
    let owner = VmId::new(101).unwrap();
    let guest = GuestRecord::new(owner, GuestKind::Qemu, "pve2".parse().unwrap(), 0);
    let record = Record::new(guest).encode().unwrap();
    let commit = Commit::new().put(guest_key(owner), record);
    node.plain.commit(commit).await.unwrap();
    let before = node.inventory().await;
    let refused =
        "'local:101/vm-101-disk-3.raw' is of VM 101, which is on node 'pve2': import it there";
    assert_eq!(node.run().await, refused);
    assert_eq!(node.inventory().await, before);
}

#[tokio::test]
async fn volume_import_file() {
    let stream = sent(RAW_STREAM).await;
    let import = move |node: &NodeContext| {
        let volume: VolumeId = "local:iso/x.iso".parse().unwrap();
        let id = incoming(node, &volume, &stream);
        VolumeImportFile::new(volume, id)
    };
    let swept = sweep_faults(|| Box::pin(node(import.clone()))).await;
    assert_all_broken(&swept, 20);
    let node = node(import).await;
    assert_eq!(node.run().await, "OK");
    assert_eq!(node.host.read(ISO.as_ref()).await.unwrap(), b"contents");
    let refused = format!("refusing to override existing file '{ISO}'");
    assert_eq!(node.run().await, refused);
}

#[tokio::test]
async fn volume_export() {
    let export = |node: &NodeContext| {
        let volume: VolumeId = "local:100/vm-100-disk-0.raw".parse().unwrap();
        let (id, mut given) = opened(node, &volume);
        std::thread::spawn(move || std::io::copy(&mut given, &mut std::io::sink()));
        VolumeExport::new(volume, Some(vmid()), StreamFormat::Raw, id)
    };
    let swept = sweep_faults(|| Box::pin(node(export))).await;
    assert_all_broken(&swept, 8);
}

async fn node_with_a_medium() -> Node<VolumeCopyFile> {
    let copy = |_: &NodeContext| {
        let to = "local:iso/y.iso".parse().unwrap();
        VolumeCopyFile::new("local:iso/x.iso".parse().unwrap(), to)
    };
    let node = node(copy).await;
    node.host.write(ISO.as_ref(), b"abc", 0o644).await.unwrap();
    node
}

#[tokio::test]
async fn volume_copy_file() {
    let swept = sweep_faults(|| Box::pin(node_with_a_medium())).await;
    assert_all_broken(&swept, 20);
    let node = node_with_a_medium().await;
    assert_eq!(node.run().await, "OK");
    let copy = Path::new(ISO).with_file_name("y.iso");
    assert_eq!(node.host.read(&copy).await.unwrap(), b"abc");
    assert_eq!(node.host.read(ISO.as_ref()).await.unwrap(), b"abc");
    let refused = format!("refusing to override existing file '{}'", copy.display());
    assert_eq!(node.run().await, refused);
}
