//! Data disks that nodes see as virtio drives and that the harness serves itself, over NBD on unix
//! sockets: it sees every write with its node and time, and can make it fail or hang.
//!
//! A disk can be attached to several nodes at once. Nothing keeps them from overwriting each
//! other's data, on purpose: the disk's log shows which node wrote.

mod nbd;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::watched::Watched;
use crate::{LabError, Moment};

/// The behaviour of a disk towards one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DiskHealth {
    /// Normal.
    #[default]
    Well,
    /// Reads and writes fail with an I/O error.
    Failing,
    /// Requests are held until the disk is healthy again, and then answered.
    Stalled,
}

/// A write that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Write {
    /// When it completed, by the harness's clock.
    pub at: Moment,
    /// The number of the node that wrote.
    pub node: u8,
    /// The offset on the disk, in bytes.
    pub offset: u64,
    /// The length.
    pub bytes: u32,
}

/// How many writes are kept; the newest.
const WRITES_MAX: usize = 100_000;

#[derive(Debug, Default)]
struct State {
    health: BTreeMap<u8, DiskHealth>,
    writes: std::collections::VecDeque<Write>,
    sockets: BTreeMap<u8, PathBuf>,
    ends: bool,
}

/// A disk of the lab; its data outlives resets and deaths of nodes.
#[derive(Debug, Clone)]
pub struct Disk {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: String,
    file: File,
    path: PathBuf,
    bytes: u64,
    state: Watched<State>,
}

impl Disk {
    /// Creates an empty disk; its name is its serial number, so it has at most 20 characters.
    pub(crate) fn create(folder: &Path, name: &str, bytes: u64) -> Result<Disk, LabError> {
        let path = folder.join(format!("{name}.disk"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(LabError::file("make", &path))?;
        file.set_len(bytes).map_err(LabError::file("size", &path))?;
        Ok(Disk {
            inner: Arc::new(Inner {
                name: name.to_owned(),
                file,
                path,
                bytes,
                state: Watched::default(),
            }),
        })
    }

    /// The name, which is the serial number that nodes see.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The path of the device in a node.
    pub fn device(&self) -> String {
        format!("/dev/disk/by-id/virtio-{}", self.name())
    }

    /// The file with its content, for checks by the harness.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Changes the behaviour towards one node.
    pub fn set_health(&self, node: u8, health: DiskHealth) {
        self.inner.state.change(|state| {
            state.health.insert(node, health);
        });
    }

    /// The newest writes, in order.
    pub fn writes(&self) -> Vec<Write> {
        self.inner.state.lock().writes.iter().copied().collect()
    }

    /// Waits until a node has made a matching write.
    pub fn wait_for_write(
        &self,
        timeout: Duration,
        look: impl Fn(&Write) -> bool,
    ) -> Result<Write, LabError> {
        let found = self.inner.state.wait(timeout, |state| {
            state.writes.iter().find(|write| look(write)).copied()
        });
        found.ok_or_else(|| LabError::Timeout {
            what: format!("a write to the disk {}", self.name()),
            after: timeout,
        })
    }

    /// The socket for a node's QEMU; created on first use.
    pub(crate) fn socket(&self, node: u8) -> Result<PathBuf, LabError> {
        if let Some(socket) = self.inner.state.lock().sockets.get(&node) {
            return Ok(socket.clone());
        }
        let socket = self.inner.path.with_extension(format!("{node}.sock"));
        let listener = UnixListener::bind(&socket).map_err(LabError::file("listen on", &socket))?;
        let inner = self.inner.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                if inner.state.lock().ends {
                    return;
                }
                let inner = inner.clone();
                thread::spawn(move || nbd::serve(&inner, node, stream));
            }
        });
        let mut state = self.inner.state.lock();
        state.sockets.insert(node, socket.clone());
        Ok(socket)
    }

    /// Ends its threads; the nodes are gone by now.
    pub(crate) fn close(&self) {
        self.inner.state.change(|state| state.ends = true);
        let sockets = self.inner.state.lock().sockets.clone();
        for socket in sockets.values() {
            // Wakes the thread that waits for connections.
            let _ = std::os::unix::net::UnixStream::connect(socket);
        }
    }
}

impl Inner {
    /// Waits while the disk is stalled for the node; false if requests must fail.
    fn admit(&self, node: u8) -> bool {
        // A stall lasts until it is lifted.
        loop {
            let answer = self.state.wait(Duration::from_secs(3600), |state| {
                let health = state.health.get(&node).copied().unwrap_or_default();
                match health {
                    _ if state.ends => Some(false),
                    DiskHealth::Well => Some(true),
                    DiskHealth::Failing => Some(false),
                    DiskHealth::Stalled => None,
                }
            });
            if let Some(answer) = answer {
                return answer;
            }
        }
    }

    fn wrote(&self, node: u8, offset: u64, bytes: u32) {
        self.state.change(|state| {
            if state.writes.len() == WRITES_MAX {
                state.writes.pop_front();
            }
            state.writes.push_back(Write {
                at: Moment::now(),
                node,
                offset,
                bytes,
            });
        });
    }
}
