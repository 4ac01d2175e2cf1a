//! Folders of servers, mounted where a directory storage finds its files: NFS, SMB and CephFS.
//!
//! What is mounted stays mounted when the storage is removed, as with Proxmox VE. A server that does
//! not answer is found by a connection that times out, before anything is mounted; once its folder
//! is mounted, by the threads that wait for it (`sys::Files::pooled`).

mod cephfs;
mod cifs;
mod nfs;

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use model::StorageId;
use sys::{Command, Limits, Mount, Mounts, Output, ScopeName, SharedHost, SysError};
use tokio::sync::Mutex;

use crate::ceph::Cluster;
use crate::dir::{Dir, Disk, Ground, NotThere};
use crate::reach::answers;
use crate::{CephFsSpec, CifsSpec, NfsSpec, Storage, StorageConfig, StorageSpec};

/// How long mounting may take.
const MOUNT: Duration = Duration::from_secs(30);

pub(crate) fn nfs(config: StorageConfig, spec: NfsSpec, host: SharedHost) -> Dir {
    let path = path_of(&config, spec.path.as_deref());
    let ground = Server::new(&path, nfs::Nfs(spec));
    Dir::new(config, path, ground, host)
}

/// An export at the member that exports it: the folder itself, once its file system is mounted.
/// None where no member is known to export it.
pub fn exported(config: &StorageConfig, host: &SharedHost) -> Option<Arc<dyn Storage>> {
    let StorageSpec::Nfs(spec) = &config.spec else {
        return None;
    };
    let point = &spec.exporter.as_ref()?.mount_point;
    let disk = Disk::new(&spec.export, Some(point));
    let name = format!("storage '{}'", config.id());
    let host = host.pooled(&name).unwrap_or_else(|| host.clone());
    Some(Arc::new(Dir::new(config.clone(), &spec.export, disk, host)))
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

pub(crate) fn cephfs(
    config: StorageConfig,
    spec: CephFsSpec,
    keyring: Option<String>,
    host: SharedHost,
) -> Dir {
    let path = path_of(&config, spec.path.as_deref());
    let cluster = Cluster::new(
        config.id(),
        spec.monhost.clone(),
        spec.username.clone(),
        keyring,
        host.clone(),
    );
    let remote = cephfs::CephFs {
        storage: config.id().clone(),
        spec,
        cluster,
    };
    let ground = Server::new(&path, remote);
    Dir::new(config, path, ground, host)
}

/// Where what is mounted for a storage is. Source: Proxmox VE's layout.
pub fn usual_path(id: &StorageId) -> String {
    format!("/mnt/pve/{id}")
}

fn path_of(config: &StorageConfig, configured: Option<&str>) -> String {
    configured.map_or_else(|| usual_path(config.id()), str::to_owned)
}

/// A folder of a server.
#[async_trait]
trait Remote: Send + Sync + 'static {
    /// What the kernel calls it as a mount's source.
    fn source(&self) -> String;

    /// Whether this is how the kernel calls it. The type is as mounts have it.
    fn is(&self, mounted: &Mount) -> bool;

    /// Names or addresses, each with ports, of which one is to answer. Where there are none, mounting
    /// finds out.
    fn servers(&self) -> Vec<(String, Vec<u16>)>;

    /// Writes what the programs need to mount it. May be repeated.
    async fn ready(&self) -> Result<(), NotThere> {
        Ok(())
    }

    /// The ways to mount it, of which the first that succeeds is taken.
    fn mounting(&self, point: &str) -> Vec<Command>;

    /// What a failure of such a command means.
    fn failure(&self, program: &str, output: &Output) -> NotThere {
        NotThere::Because(format!("{program}: {}", first_line(output)))
    }

    /// Where the program runs that serves it once it is mounted; none where the kernel does.
    fn scope(&self) -> Option<ScopeName> {
        None
    }
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
        match Mounts::read(host).await?.at(&self.point) {
            None => Ok(false),
            Some(mounted) if self.remote.is(mounted) => Ok(true),
            Some(other) => Err(NotThere::Because(format!(
                "'{}' is where '{}' is mounted already, not '{}'",
                self.point,
                other.source,
                self.remote.source()
            ))),
        }
    }

    async fn mount(&self, host: &SharedHost) -> Result<(), NotThere> {
        if !any_answers(&self.remote.servers()).await {
            return Err(NotThere::Silent);
        }
        self.remote.ready().await?;
        let point = Path::new(&self.point);
        if host.stat(point).await?.is_none() {
            host.create_dir(point, 0o755).await?;
        }
        let scope = self.remote.scope();
        if let Some(scope) = &scope {
            // Nothing is mounted, so what is left there of an attempt that was broken off serves
            // nothing. One that has failed takes leave of its server by itself.
            if !host.members(scope).await?.is_empty() {
                host.kill_scope(scope).await?;
            }
            host.create_scope(scope, &Limits::default()).await?;
        }
        let mut failure = NotThere::Silent;
        for mut command in self.remote.mounting(&self.point) {
            let program = command.program.clone();
            command.scope.clone_from(&scope);
            let output = match host.run(command.timeout(Some(MOUNT))).await {
                Err(SysError::ProgramTimeout { .. }) => return Err(NotThere::Silent),
                ended => ended?,
            };
            if output.success() {
                return Ok(());
            }
            failure = self.remote.failure(&program, &output);
        }
        Err(failure)
    }

    /// Takes a mount away whose program has ended: all that use it get errors alone.
    async fn remove_dead(&self, host: &SharedHost) -> Result<bool, NotThere> {
        if self.remote.scope().is_none() {
            return Ok(false);
        }
        match host.stat(Path::new(&self.point)).await {
            Err(SysError::Io { source, .. }) if source.kind() == ErrorKind::NotConnected => {
                let command = Command::new("umount").args(["--lazy", &self.point]);
                host.run(command).await?.checked("umount")?;
                Ok(true)
            }
            Err(SysError::Silent { .. }) => Err(NotThere::Silent),
            _ => Ok(false),
        }
    }
}

#[async_trait]
impl<R: Remote> Ground for Server<R> {
    async fn prepare(&self, host: &SharedHost) -> Result<(), NotThere> {
        let _turn = self.turn.lock().await;
        match self.is_mounted(host).await? && !self.remove_dead(host).await? {
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

/// What a program says first of why it failed.
fn first_line(output: &Output) -> String {
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut lines = complaint.lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty());
    first.map_or_else(|| output.complaint(), str::to_owned)
}

/// Whether one of these takes a connection, all being asked at once; true where there are none.
async fn any_answers(servers: &[(String, Vec<u16>)]) -> bool {
    let asked = servers.iter().map(|(server, ports)| answers(server, ports));
    servers.is_empty() || join_all(asked).await.contains(&true)
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
