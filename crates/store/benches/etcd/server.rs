//! Servers of etcd on loopback addresses of their own.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A server, which ends with this.
pub(crate) struct Server {
    process: Child,
    pub(crate) endpoint: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Server {
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }
}

fn address(number: u8) -> Ipv4Addr {
    let [_, _, middle, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 62 + number, middle, low)
}

fn peer(number: u8) -> String {
    format!("http://{}:2380", address(number))
}

/// Starts server `number`, from 1, of so many. With data of before in the folder it goes on with them.
pub(crate) fn start(folder: &Path, number: u8, of: u8) -> Server {
    let cache = std::env::var("OSTLER_CACHE").unwrap_or_else(|_| "/var/cache/ostler".to_owned());
    let client = format!("http://{}:2379", address(number));
    let members = (1..=of).map(|member| format!("m{member}={}", peer(member)));
    let members: Vec<String> = members.collect();
    let process = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--"])
        .arg(PathBuf::from(cache).join("etcd"))
        .args(["--name", &format!("m{number}")])
        .arg("--data-dir")
        .arg(folder.join(format!("m{number}")))
        .args(["--listen-client-urls", &client])
        .args(["--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer(number)])
        .args(["--initial-advertise-peer-urls", &peer(number)])
        .args(["--initial-cluster", &members.join(",")])
        .args(["--log-level", "error"])
        .args(store::etcd::SERVER_FLAGS)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Server {
        process,
        endpoint: client,
    }
}
