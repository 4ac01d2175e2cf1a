//! Folders of servers, mounted where a directory storage finds its files: NFS and SMB.
//!
//! What is mounted stays mounted when the storage is removed, as with Proxmox VE. A server that does
//! not answer is found by a connection that times out, before anything is mounted; once its folder
//! is mounted, by the threads that wait for it (`sys::Files::pooled`).

mod cifs;
mod nfs;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use sys::{Command, SharedHost};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::StorageConfig;
use crate::dir::{Dir, Ground, Mounted, NotThere, mounted_on};
use crate::{CifsSpec, NfsSpec};

/// How long a server may take for a connection. Source: Proxmox VE's time-out.
const CONNECT: Duration = Duration::from_secs(2);

/// How long mounting may take.
const MOUNT: Duration = Duration::from_secs(30);

pub(crate) fn nfs(config: StorageConfig, spec: NfsSpec, host: SharedHost) -> Dir {
    let path = path_of(&config, spec.path.as_deref());
    let ground = Server::new(&path, nfs::Nfs(spec));
    Dir::new(config, path, ground, host)
}

pub(crate) fn cifs(
    config: StorageConfig,
    spec: CifsSpec,
    password: Option<String>,
    host: SharedHost,
) -> Dir {
    let path = path_of(&config, spec.path.as_deref());
    let ground = Server::new(&path, cifs::Cifs { spec, password });
    Dir::new(config, path, ground, host)
}

/// Where it is mounted. Source: Proxmox VE's layout.
fn path_of(config: &StorageConfig, configured: Option<&str>) -> String {
    let usual = || format!("/mnt/pve/{}", config.id());
    configured.map_or_else(usual, str::to_owned)
}

/// A folder of a server.
trait Remote: Send + Sync + 'static {
    /// What the kernel calls it as a mount's source.
    fn source(&self) -> String;

    /// Whether this is how the kernel calls it. The type is as mounts have it.
    fn is(&self, mounted: &Mounted) -> bool;

    /// Name or address, and ports of which one is to answer.
    fn server(&self) -> (&str, Vec<u16>);

    /// The ways to mount it, of which the first that succeeds is taken.
    fn mounting(&self, point: &str) -> Vec<Command>;
}

/// The ground of a folder that is mounted from a server.
struct Server<R> {
    point: String,
    remote: R,
    /// Held while mounting: a folder that is mounted twice lies over itself.
    turn: Mutex<()>,
}

impl<R: Remote> Server<R> {
    fn new(point: &str, remote: R) -> Self {
        Self {
            point: point.trim_end_matches('/').to_owned(),
            remote,
            turn: Mutex::default(),
        }
    }

    async fn is_mounted(&self, host: &SharedHost) -> Result<bool, NotThere> {
        match mounted_on(host, &self.point).await? {
            None => Ok(false),
            Some(mounted) if self.remote.is(&mounted) => Ok(true),
            Some(other) => Err(NotThere::Because(format!(
                "'{}' is where '{}' is mounted already, not '{}'",
                self.point,
                other.source,
                self.remote.source()
            ))),
        }
    }

    async fn mount(&self, host: &SharedHost) -> Result<(), NotThere> {
        let (server, ports) = self.remote.server();
        if !answers(server, &ports).await {
            return Err(NotThere::Silent);
        }
        let point = Path::new(&self.point);
        if host.stat(point).await?.is_none() {
            host.create_dir(point, 0o755).await?;
        }
        let mut failure = String::new();
        for command in self.remote.mounting(&self.point) {
            let program = command.program.clone();
            let output = host.run(command.timeout(Some(MOUNT))).await?;
            if output.success() {
                return Ok(());
            }
            let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
            let mut lines = complaint.lines().map(str::trim);
            let first = lines.find(|line| !line.is_empty());
            let why = first.map_or_else(|| output.complaint(), str::to_owned);
            failure = format!("{program}: {why}");
        }
        Err(NotThere::Because(failure))
    }
}

#[async_trait]
impl<R: Remote> Ground for Server<R> {
    async fn prepare(&self, host: &SharedHost) -> Result<(), NotThere> {
        let _turn = self.turn.lock().await;
        match self.is_mounted(host).await? {
            true => Ok(()),
            false => self.mount(host).await,
        }
    }

    async fn check(&self, host: &SharedHost) -> Result<(), NotThere> {
        match self.is_mounted(host).await? {
            true => Ok(()),
            false => {
                let text = format!("'{}' is not mounted", self.remote.source());
                Err(NotThere::Because(text))
            }
        }
    }
}

/// Whether one of these ports takes a connection.
async fn answers(server: &str, ports: &[u16]) -> bool {
    for port in ports {
        let addresses = tokio::time::timeout(CONNECT, tokio::net::lookup_host((server, *port)));
        let Ok(Ok(addresses)) = addresses.await else {
            return false;
        };
        for address in addresses.collect::<Vec<SocketAddr>>() {
            let connected = tokio::time::timeout(CONNECT, TcpStream::connect(address)).await;
            if matches!(connected, Ok(Ok(_))) {
                return true;
            }
        }
    }
    false
}

/// A host as addresses of mounts have it: IPv6 in brackets.
fn bracketed(server: &str) -> String {
    match server.parse::<std::net::Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => server.to_owned(),
    }
}

/// The value of an option in a list as mount(8) takes it.
fn option<'a>(options: Option<&'a str>, name: &str) -> Option<&'a str> {
    let mut parts = options?.split(',').filter_map(|part| part.split_once('='));
    parts
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim())
}
