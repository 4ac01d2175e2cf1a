//! Three members, each in a network namespace, connected by a bridge that can be cut.
//!
//! ```text
//!   test 10.78.1.254 ─────────── 10.78.1.1  member 1  10.77.0.1 ─┐
//!        10.78.2.254 ─────────── 10.78.2.1  member 2  10.77.0.2 ─┼─ bridge: peers
//!        10.78.3.254 ─────────── 10.78.3.1  member 3  10.77.0.3 ─┘
//! ```
//!
//! The test starts itself again in namespaces of its own, with its own `/run`, so that all names
//! and links end with it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use store::conformance::within;
use tempfile::TempDir;
use testkit::left_out::missing;

use crate::server::{ending_with_us, folder, is_old, program};

const INSIDE: &str = "OSTLER_TEST_NAMESPACE";

/// Runs `work`, an async block of the test function itself, in namespaces of its own.
pub(crate) fn inside<F: Future<Output = ()>>(work: F) {
    let name = test_name::<F>();
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        return { runtime }
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
            .block_on(work);
    }
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if !is_root || program().is_none() {
        return missing(name, "needs root and etcd (etcd/build.sh)");
    }
    let script = "ip link set lo up && mount -t tmpfs t /run && exec \"$@\"";
    let inside = Command::new("unshare")
        .args(["--net", "--mount", "sh", "-c", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&inside.stdout);
    let error = String::from_utf8_lossy(&inside.stderr);
    assert!(inside.status.success(), "{said}\n{error}");
    assert!(said.contains("1 passed"), "no test has this name: {name}");
}

/// The test that contains a future: `faults::x`, from the type name `etcd::faults::x::{{closure}}`.
fn test_name<F>() -> &'static str {
    let name = std::any::type_name::<F>();
    let name = name.split_once("::").map_or(name, |(_, rest)| rest);
    name.trim_end_matches("::{{closure}}")
}

pub(crate) struct Cluster {
    folder: TempDir,
    election_ms: u32,
    members: Vec<Option<Child>>,
}

impl Cluster {
    pub(crate) const SIZE: usize = 3;

    /// Starts the members, and returns when they have a leader. A lost one is replaced after
    /// `election_ms`.
    pub(crate) async fn start(election_ms: u32) -> Self {
        ip("link add br0 type bridge");
        ip("link set br0 up");
        for n in 1..=Self::SIZE {
            ip(&format!("netns add n{n}"));
            ip(&format!(
                "link add v{n} type veth peer name peers netns n{n}"
            ));
            ip(&format!("link set v{n} master br0 up"));
            ip(&format!(
                "link add c{n} type veth peer name clients netns n{n}"
            ));
            ip(&format!("addr add 10.78.{n}.254/24 dev c{n}"));
            ip(&format!("link set c{n} up"));
            ip(&format!("-n n{n} addr add 10.77.0.{n}/24 dev peers"));
            ip(&format!("-n n{n} addr add 10.78.{n}.1/24 dev clients"));
            for link in ["peers", "clients", "lo"] {
                ip(&format!("-n n{n} link set {link} up"));
            }
        }
        let mut cluster = Self {
            folder: folder(),
            election_ms,
            members: Vec::new(),
        };
        for member in 0..Self::SIZE {
            let process = cluster.run(member);
            cluster.members.push(Some(process));
        }
        cluster.leader(None).await;
        cluster
    }

    fn run(&self, member: usize) -> Child {
        let program = program().expect("checked before");
        let n = member + 1;
        let peer = |n: usize| format!("http://10.77.0.{n}:2380");
        let all: Vec<_> = (1..=Self::SIZE)
            .map(|n| format!("n{n}={}", peer(n)))
            .collect();
        let mut command = ending_with_us("ip".as_ref());
        command
            .args(["netns", "exec", &format!("n{n}")])
            .arg(&program)
            .args(["--name", &format!("n{n}")])
            .arg("--data-dir")
            .arg(self.folder.path().join(format!("n{n}")))
            .args(["--listen-client-urls", &self.endpoint(member)])
            .args(["--advertise-client-urls", &self.endpoint(member)])
            .args(["--listen-peer-urls", &peer(n)])
            .args(["--initial-advertise-peer-urls", &peer(n)])
            .args(["--initial-cluster", &all.join(",")])
            .args(["--heartbeat-interval", "50"])
            .args(["--election-timeout", &self.election_ms.to_string()])
            .args(["--grpc-keepalive-min-time", "100ms"])
            .args(["--log-level", "warn"])
            .args(store::etcd::SERVER_FLAGS)
            .stdout(Stdio::null())
            .stderr(self.log(member));
        if !is_old(&program) {
            command.arg("--unsafe-no-fsync");
        }
        command.spawn().unwrap()
    }

    /// What a member says, over all of its processes.
    fn log(&self, member: usize) -> File {
        let path = self.folder.path().join(format!("log{member}"));
        File::options()
            .create(true)
            .append(true)
            .open(path)
            .unwrap()
    }

    /// Prints the last lines of every member.
    #[expect(clippy::print_stdout, reason = "the runner shows it with the failure")]
    fn print_logs(&self) {
        for member in 0..Self::SIZE {
            let path = self.folder.path().join(format!("log{member}"));
            let log = std::fs::read_to_string(path).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(8)..];
            println!("member {}:\n{}", member + 1, last.join("\n"));
        }
    }

    pub(crate) fn endpoint(&self, member: usize) -> String {
        format!("http://10.78.{}.1:2379", member + 1)
    }

    /// All endpoints, beginning with a member's.
    pub(crate) fn endpoints_from(&self, member: usize) -> Vec<String> {
        let order = (0..Self::SIZE).map(|n| (member + n) % Self::SIZE);
        order.map(|n| self.endpoint(n)).collect()
    }

    pub(crate) fn kill(&mut self, member: usize) {
        let mut process = self.members[member].take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    pub(crate) fn start_again(&mut self, member: usize) {
        self.members[member] = Some(self.run(member));
    }

    /// Sends a signal, `STOP` or `CONT`.
    pub(crate) fn signal(&self, member: usize, signal: &str) {
        let pid = self.members[member].as_ref().unwrap().id().to_string();
        let status = Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(status.unwrap().success());
    }

    /// Cuts a member off from its peers. Its clients still reach it.
    pub(crate) fn cut(&self, member: usize) {
        ip(&format!("link set v{} nomaster", member + 1));
    }

    pub(crate) fn heal(&self, member: usize) {
        ip(&format!("link set v{} master br0", member + 1));
    }

    /// The leader that the members but `without` have agreed on.
    pub(crate) async fn leader(&self, without: Option<usize>) -> usize {
        let asking = async {
            loop {
                let asked = (0..Self::SIZE).filter(|member| Some(*member) != without);
                let states: Vec<_> = asked
                    .filter_map(|n| Some((n, status(&self.endpoint(n))?)))
                    .collect();
                let leads =
                    |(n, (id, leader)): &(usize, (String, String))| (id == leader).then_some(*n);
                let agreed = states
                    .iter()
                    .all(|(_, (_, leader))| *leader == states[0].1.1);
                let enough = match without {
                    None => states.len() == Self::SIZE,
                    Some(_) => states.len() > Self::SIZE / 2,
                };
                if let (true, true, Some(leader)) = (enough, agreed, states.iter().find_map(leads))
                {
                    return leader;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        within("a leader", asking).await
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_logs();
        }
        for process in self.members.iter_mut().flatten() {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// The ids of a member and of its leader; none if it does not answer.
fn status(endpoint: &str) -> Option<(String, String)> {
    let address = endpoint.strip_prefix("http://")?;
    let limit = Duration::from_secs(1);
    let mut stream = TcpStream::connect_timeout(&address.parse().ok()?, limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    let request = format!(
        "POST /v3/maintenance/status HTTP/1.0\r\nHost: {address}\r\nContent-Length: 2\r\n\r\n{{}}"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let body = answer.split_once("\r\n\r\n")?.1;
    let status: Value = serde_json::from_str(body).ok()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Some((
        text(&status["header"]["member_id"])?,
        text(&status["leader"])?,
    ))
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status();
    assert!(status.unwrap().success(), "ip {arguments}");
}
