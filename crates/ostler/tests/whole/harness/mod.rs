//! A whole node of its own: a root folder, two processes, real guests.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "each test uses a part of it"
)]

pub mod bare_pair;
pub mod beside;
pub mod breaking;
pub mod cluster;
pub mod commands;
pub mod go;
pub mod ground;
pub mod https;
pub mod namespace;
pub mod pair;
pub mod past;
pub mod python;
pub mod session;
pub mod timed;
pub mod websocket;
pub mod witness;
pub mod writing;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use model::{GuestConfig, GuestKind, GuestRecord, Record, VmId};
use proto::Credential;
use proto::wire::{Answer, Client, Request};
use serde_json::{Value, json};
use store::{Commit, SharedStore, SqliteStore};
use testkit::left_out::missing;

/// Why tests of this kind cannot run here, if so.
pub fn left_out(test: &str) -> bool {
    let reason = if !rustix::process::getuid().is_root() {
        "it needs root"
    } else if !Path::new("/usr/bin/qemu-system-x86_64").exists() {
        "qemu-system-x86_64 is not installed"
    } else {
        return false;
    };
    missing(test, reason);
    true
}

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_ostler");

/// A node that runs until this value is dropped.
pub struct TestNode {
    pub name: String,
    pub root: PathBuf,
    pub port: u16,
    pub client: Client,
    supervisor: Child,
    /// A process whose network namespace the node is in; none: the test's own.
    namespace: Option<u32>,
    _folder: tempfile::TempDir,
}

/// What kind of node it is.
pub struct TestNodeOptions<'a> {
    pub name: &'a str,
    /// More lines in the node's configuration.
    pub settings: &'a str,
    /// Where the API listens; a free port of the loopback address if there is none.
    pub listen: Option<&'a str>,
    /// A process whose network namespace the node is in.
    pub namespace: Option<u32>,
}

impl TestNode {
    /// Creates a node, lets `seed` write records to its store, and starts it.
    pub async fn start(seed: impl AsyncFnOnce(&SharedStore)) -> Self {
        Self::start_with("", seed).await
    }

    /// Like `start`, with more lines in the node's configuration.
    pub async fn start_with(settings: &str, seed: impl AsyncFnOnce(&SharedStore)) -> Self {
        let options = TestNodeOptions {
            name: "pve1",
            settings,
            listen: None,
            namespace: None,
        };
        let node = Self::launch(options, seed).await;
        until("the API listens", async || {
            std::net::TcpStream::connect(("127.0.0.1", node.port)).is_ok()
        })
        .await;
        node
    }

    /// Like `start`, with all options. Returns when the agent answers.
    pub async fn launch(
        options: TestNodeOptions<'_>,
        seed: impl AsyncFnOnce(&SharedStore),
    ) -> Self {
        let TestNodeOptions {
            name,
            settings,
            listen,
            namespace,
        } = options;
        let folder = tempfile::Builder::new()
            .prefix("ostler-")
            .tempdir()
            .unwrap();
        let root = folder.path().to_owned();
        open_to_guests(&root);
        for path in ["etc/ostler", "var/lib/ostler", "run"] {
            std::fs::create_dir_all(root.join(path)).unwrap();
        }
        let port = listen.map_or_else(free_port, |listen| {
            listen.rsplit(':').next().unwrap().parse().unwrap()
        });
        let listen = listen.map_or_else(|| format!("127.0.0.1:{port}"), str::to_owned);
        let config = format!(
            "node = \"{name}\"\nlisten = \"{listen}\"\n\
             restart-pause-ms = 50\napi-user = \"nobody\"\nguest-user = \"games\"\n{settings}\n"
        );
        std::fs::write(root.join("etc/ostler/ostler.toml"), config).unwrap();
        let clock = Arc::new(sys::SystemClock::new());
        let store = SqliteStore::open(root.join("var/lib/ostler/state.db"), clock).unwrap();
        let store: SharedStore = Arc::new(store);
        seed(&store).await;
        drop(store);
        let supervisor = Self::supervisor(Path::new(PROGRAM), &root, namespace);
        let client = Client::new(root.join("run/ostler/node.sock"));
        let node = Self {
            name: name.to_owned(),
            root,
            port,
            client,
            supervisor,
            namespace,
            _folder: folder,
        };
        node.answers().await;
        node
    }

    /// A node with two guests: 100 has the tiny test guest's disk and a console, 101 nothing.
    pub async fn with_tiny(disk: &Path) -> Self {
        let node = Self::start(async |store| {
            let options: [(&str, Value); 7] = [
                ("name", "tiny".into()),
                ("memory", "128".into()),
                ("kvm", 0.into()),
                ("tags", "lab".into()),
                ("serial0", "socket".into()),
                ("virtio0", "local:100/vm-100-disk-0.qcow2,size=64M".into()),
                ("boot", "order=virtio0".into()),
            ];
            put_guest(store, 100, &options).await;
            put_guest(store, 101, &[("memory", "64".into())]).await;
        })
        .await;
        let images = node.root.join("var/lib/vz/images/100");
        std::fs::create_dir_all(&images).unwrap();
        std::fs::copy(disk, images.join("vm-100-disk-0.qcow2")).unwrap();
        node
    }

    /// Stops the node and starts it again, from another program file.
    pub async fn restart_from(&mut self, program: &Path) {
        self.end();
        self.supervisor = Self::supervisor(program, &self.root, self.namespace);
        self.ready().await;
    }

    /// Stops the node, runs `work` on its files, and starts it again.
    pub async fn restart_after(&mut self, work: impl FnOnce()) {
        self.end();
        work();
        self.start_again();
        self.ready().await;
    }

    /// Starts a node that has ended, and does not wait for it.
    pub fn start_again(&mut self) {
        self.supervisor = Self::supervisor(Path::new(PROGRAM), &self.root, self.namespace);
    }

    /// Signals agent and API to end, and waits until they have.
    pub fn end(&mut self) {
        let pid = i32::try_from(self.supervisor.id()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.supervisor.wait();
    }

    fn supervisor(program: &Path, root: &Path, namespace: Option<u32>) -> Child {
        let mut command = match namespace {
            None => Command::new(program),
            Some(pid) => namespace::command_in(pid, program),
        };
        let log = std::fs::File::options();
        let log = { log }.append(true).create(true).open(root.join("log"));
        command
            .arg("run")
            .env("OSTLER_ROOT", root)
            .stderr(Stdio::from(log.unwrap()))
            .spawn()
            .unwrap()
    }

    pub async fn ready(&self) {
        self.answers().await;
        if self.namespace.is_none() {
            until("the API listens", async || {
                std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
            })
            .await;
        }
    }

    /// Waits until the agent answers.
    pub async fn answers(&self) {
        until("the agent answers", async || {
            self.client.verify(Credential::Peer, None).await.is_ok()
        })
        .await;
    }

    /// Calls an operation over the socket, as root.
    pub async fn call(&self, op: &str, params: Value) -> Result<Answer, model::Error> {
        let Value::Object(params) = params else {
            panic!("parameters are an object")
        };
        let id = uuid::Uuid::new_v4().to_string();
        let credential = Credential::Peer;
        self.client
            .request(Request {
                op: op.into(),
                params,
                credential,
                id,
                address: None,
            })
            .await
    }

    /// Submits a task and waits for its end; returns its exit status.
    pub async fn task(&self, op: &str, params: Value) -> String {
        let upid = self.call(op, params).await.unwrap().data;
        self.ended(upid.as_str().unwrap()).await
    }

    /// A task of a guest that ends well.
    pub async fn done(&self, op: &str, vmid: u32, more: Value) {
        assert_eq!(self.task(op, about(vmid, more)).await, "OK", "{op}");
    }

    /// The console of a guest that runs.
    pub fn serial(&self, vmid: u32) -> Serial {
        let socket = format!("run/ostler/guests/{vmid}/serial0.sock");
        Serial::connect(&self.root.join(socket))
    }

    /// Starts a tiny guest; answers its console, at its prompt.
    pub async fn boot(&self, vmid: u32) -> Serial {
        self.done("qemu_start", vmid, json!({})).await;
        let mut serial = self.serial(vmid);
        serial.expect("tiny: ready");
        serial
    }

    pub async fn ended(&self, upid: &str) -> String {
        let mut status = String::new();
        // Under two emulations, as in the lab, each step of a task takes seconds.
        until_within(300, &format!("{upid} ends"), async || {
            let params = json!({"node": self.name, "upid": upid});
            match self.call("task_status", params).await {
                Ok(answer) if answer.data["status"] == "stopped" => {
                    status = answer.data["exitstatus"].as_str().unwrap().to_owned();
                    true
                }
                _ => false,
            }
        })
        .await;
        status
    }

    /// The pids of a role's process: `node` or `api`.
    pub fn role(&self, name: &str) -> Vec<u32> {
        let mine = self.supervisor.id();
        let children = format!("/proc/{mine}/task/{mine}/children");
        let children = std::fs::read_to_string(children).unwrap_or_default();
        let is_role = |pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).ends_with(&format!("\0{name}\0"))
        };
        children
            .split(' ')
            .filter_map(|pid| pid.parse().ok())
            .filter(is_role)
            .collect()
    }

    /// Kills a role and waits until it has been restarted.
    pub async fn kill_role(&self, name: &str) {
        let before = self.role(name);
        kill(before[0]);
        until("the role is started again", async || {
            let now = self.role(name);
            !now.is_empty() && now != before
        })
        .await;
        self.ready().await;
    }

    /// The process of this node's etcd.
    pub fn etcd(&self) -> Option<u32> {
        etcd_below(&self.root)
    }

    /// Kills this node's etcd, if it has one.
    pub fn end_etcd(&self) {
        if let Some(pid) = self.etcd() {
            kill(pid);
        }
    }

    /// Lets this node's etcd stand still.
    pub fn stop_etcd(&self) {
        let pid = i32::try_from(self.etcd().unwrap()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.root.join("log")).unwrap_or_default()
    }

    /// The name above this node's scopes.
    pub fn scope_root(&self) -> String {
        scope_root_of(&self.root)
    }
}

/// The process of the etcd below a root folder.
fn etcd_below(root: &Path) -> Option<u32> {
    let data = root.join("var/lib/ostler/etcd/data");
    let data = data.display().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.find(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&data)
    })
}

impl Drop for TestNode {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the node's log:\n{}", self.log());
        }
        self.end();
        end_scopes(self.scope_root());
    }
}

/// Guests' own users must be able to reach their sockets.
pub fn open_to_guests(root: &Path) {
    std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o711)).unwrap();
}

/// The name above the scopes of a node with this root folder.
fn scope_root_of(root: &Path) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let root: String = root.display().to_string().chars().map(plain).collect();
    format!("ostler{root}")
}

/// Ends all processes below a name of scopes.
fn end_scopes(scopes: String) {
    let host = sys::RealHost::open(&scopes).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let cleared = std::thread::spawn(move || {
        runtime.block_on(async {
            use sys::Scopes;
            for scope in host.scopes().await.unwrap() {
                host.kill_scope(&scope).await.unwrap();
            }
        });
    });
    let _ = cleared.join();
    for controller in [
        "blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "pids", "systemd",
        "unified",
    ] {
        let _ = std::fs::remove_dir(format!("/sys/fs/cgroup/{controller}/{scopes}"));
    }
}

/// Kills a process, unless it has ended by itself.
pub fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    match rustix::process::kill_process(pid, rustix::process::Signal::KILL) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => panic!("{error}"),
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Waits for a condition; panics after a minute.
pub async fn until(what: &str, condition: impl AsyncFnMut() -> bool) {
    until_within(60, what, condition).await;
}

/// The same with another limit.
pub async fn until_within(limit_s: u64, what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(limit_s), async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain until {what}");
}

/// The tiny test guest's disk, built if it is missing; none if that is impossible.
///
/// A node of the lab is given it: `OSTLER_TINY_GUEST=path`.
pub fn tiny_disk() -> Option<PathBuf> {
    if let Some(given) = std::env::var_os("OSTLER_TINY_GUEST") {
        return Some(given.into());
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests/tiny/build.sh");
    let out = tempfile::tempdir().unwrap();
    let built = Command::new("sh")
        .arg(script)
        .arg(out.path())
        .output()
        .unwrap();
    if !built.status.success() {
        let reason = String::from_utf8_lossy(&built.stderr);
        missing("a test with the tiny guest", reason.trim());
        return None;
    }
    std::fs::canonicalize(out.path().join("tiny.qcow2")).ok()
}

/// Writes a guest's record to a store.
pub async fn put_guest(store: &SharedStore, vmid: u32, options: &[(&str, Value)]) {
    put_guest_of(store, "pve1", vmid, options).await;
}

/// Writes the record of a guest of a node.
pub async fn put_guest_of(store: &SharedStore, node: &str, vmid: u32, options: &[(&str, Value)]) {
    let mut config = GuestConfig::default();
    for (name, value) in options {
        config.set(*name, value.clone());
    }
    let vmid = VmId::new(vmid).unwrap();
    let guest = GuestRecord {
        config,
        ..GuestRecord::new(vmid, GuestKind::Qemu, node.parse().unwrap(), 0)
    };
    let record = Record::new(guest).encode().unwrap();
    store
        .commit(Commit::new().put(node::guest_key(vmid), record))
        .await
        .unwrap();
}

/// Writes the options of a node to a store, under their names in its configuration.
pub async fn put_node_options(store: &SharedStore, options: &[(&str, Value)]) {
    let options = options.iter().cloned();
    let settings = node::Settings {
        options: options
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    };
    let record = Record::new(settings).encode().unwrap();
    let key = node::node_config_key(&"pve1".parse().unwrap());
    store.commit(Commit::new().put(key, record)).await.unwrap();
}

/// Parameters for a guest of this node, and more.
pub fn about(vmid: u32, more: Value) -> Value {
    let mut params = json!({"node": "pve1", "vmid": vmid});
    let Value::Object(more) = more else {
        panic!("parameters are an object")
    };
    params.as_object_mut().unwrap().extend(more);
    params
}

/// A guest's serial console.
pub struct Serial {
    reader: BufReader<UnixStream>,
}

impl Serial {
    pub fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(90)))
            .unwrap();
        Self {
            reader: BufReader::new(stream),
        }
    }

    /// Reads until a text has appeared.
    pub fn expect(&mut self, text: &str) -> String {
        let mut seen = String::new();
        while !seen.contains(text) {
            let mut byte = [0; 1];
            if let Err(error) = self.reader.read_exact(&mut byte) {
                panic!("waited in vain for '{text}' ({error}) after: {seen}");
            }
            seen.push(char::from(byte[0]));
        }
        seen
    }

    pub fn type_line(&mut self, line: &str) {
        self.reader
            .get_mut()
            .write_all(format!("{line}\n").as_bytes())
            .unwrap();
    }

    /// Runs a command in the guest's shell; returns its output.
    pub fn ask(&mut self, command: &str) -> String {
        self.type_line(&format!("{command}; echo end-$((1+1))"));
        self.expect("end-2")
    }

    /// The rest of the current line.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}
