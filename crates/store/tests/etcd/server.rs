//! One etcd, which ends with its handle and with the test's process.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use store::conformance::within;
use store::{EtcdOptions, EtcdStore, Revision, StoreError};
use sys::SystemClock;
use tempfile::TempDir;

/// The etcd under test: `OSTLER_ETCD`, or the one that `etcd/build.sh` provides.
pub(crate) fn program() -> Option<PathBuf> {
    let given = std::env::var_os("OSTLER_ETCD").map(PathBuf::from);
    let cache = std::env::var("OSTLER_CACHE").unwrap_or_else(|_| "/var/cache/ostler".to_owned());
    let program = given.unwrap_or_else(|| PathBuf::from(cache).join("etcd"));
    program.exists().then_some(program)
}

/// Whether it is older than 3.5, which has fewer flags.
pub(crate) fn is_old(program: &Path) -> bool {
    let output = Command::new(program).arg("--version").output().unwrap();
    String::from_utf8_lossy(&output.stdout).contains("etcd Version: 3.4")
}

pub(crate) fn clock() -> Arc<SystemClock> {
    Arc::new(SystemClock::new())
}

pub(crate) struct Server {
    folder: TempDir,
    address: String,
    scheme: &'static str,
    flags: Vec<String>,
    process: Option<Child>,
}

impl Server {
    /// Starts a cluster of one member.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(flags: &[&str]) -> Self {
        let flags = flags.iter().map(ToString::to_string).collect();
        Self::start_at(own_address(), "http", flags)
    }

    /// `scheme` is that of its clients.
    pub(crate) fn start_at(address: String, scheme: &'static str, flags: Vec<String>) -> Self {
        let mut server = Self {
            folder: folder(),
            address,
            scheme,
            flags,
            process: None,
        };
        server.run();
        server
    }

    /// Starts it with the data that it has.
    pub(crate) fn run(&mut self) {
        let program = program().expect("the case was left out otherwise");
        let client = self.endpoint();
        let peer = format!("http://{}:2380", self.address);
        let mut command = ending_with_us(&program);
        command
            .arg("--data-dir")
            .arg(self.folder.path())
            .args(["--listen-client-urls", &client])
            .args(["--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer])
            .args(["--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("default={peer}")])
            .args(["--heartbeat-interval", "10"])
            .args(["--election-timeout", "100"])
            .args(["--log-level", "error"])
            .args(store::etcd::SERVER_FLAGS)
            .args(&self.flags)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if !is_old(&program) {
            command.arg("--unsafe-no-fsync");
        }
        self.process = Some(command.spawn().unwrap());
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Deletes its data.
    pub(crate) fn forget(&mut self) {
        std::fs::remove_dir_all(self.folder.path().join("member")).unwrap();
    }

    pub(crate) fn address(&self) -> String {
        format!("{}:2379", self.address)
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("{}://{}", self.scheme, self.address())
    }

    pub(crate) fn options(&self, agent: &str) -> EtcdOptions {
        quick(agent, vec![self.endpoint()])
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Options with timeouts for tests.
pub(crate) fn quick(agent: &str, endpoints: Vec<String>) -> EtcdOptions {
    EtcdOptions {
        connect_timeout: Duration::from_millis(500),
        request_timeout: Duration::from_secs(2),
        retry_pause: Duration::from_millis(50),
        ..EtcdOptions::new(agent, endpoints)
    }
}

/// A new store, once the server answers.
pub(crate) async fn create(options: EtcdOptions) -> EtcdStore {
    answered(|| EtcdStore::create(options.clone(), clock(), Revision(0))).await
}

/// The store of a server, once it answers.
pub(crate) async fn connect(options: EtcdOptions) -> EtcdStore {
    answered(|| EtcdStore::connect(options.clone(), clock())).await
}

/// Repeats a call until the server has started and elected its leader.
pub(crate) async fn answered<T, F>(call: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, StoreError>>,
{
    let trying = async {
        loop {
            match call().await {
                Ok(value) => return value,
                Err(StoreError::Unavailable(_) | StoreError::NoQuorum) => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    };
    within("etcd answers", trying).await
}

/// A program that the kernel kills when the test's process ends, however it ends.
pub(crate) fn ending_with_us(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// A folder in memory: a disk that is busy with other work would delay etcd's elections.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap()
}

/// A loopback address that no other test uses: tests are processes.
pub(crate) fn own_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let server = NEXT.fetch_add(1, Ordering::Relaxed);
    let first = 64 + (high & 0x3f) + u8::try_from(server % 8).unwrap() * 8;
    Ipv4Addr::new(127, first, middle, low).to_string()
}
