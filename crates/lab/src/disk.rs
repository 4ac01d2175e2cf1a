//! Data disks that nodes see as virtio drives and that the harness serves itself, over NBD on unix
//! sockets: so it sees every write, knows whose it was and when, and can let them fail or hang.
//!
//! A disk can be attached to several nodes at once; nothing keeps them from writing over each
//! other, and that is the point: who wrote is in the disk's log.

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

/// How a disk behaves towards one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DiskHealth {
    /// As it should.
    #[default]
    Well,
    /// Reads and writes fail with an I/O error.
    Failing,
    /// Nothing is answered until it is well again, and then everything is.
    Stalled,
}

/// A write that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Write {
    /// When it was done, by the harness's clock.
    pub at: Moment,
    /// The number of the node that wrote.
    pub node: u8,
    /// Where on the disk, in bytes.
    pub offset: u64,
    /// How much.
    pub bytes: u32,
}

/// How many writes are remembered, the newest.
const WRITES_MAX: usize = 100_000;

#[derive(Debug, Default)]
struct State {
    health: BTreeMap<u8, DiskHealth>,
    writes: std::collections::VecDeque<Write>,
    sockets: BTreeMap<u8, PathBuf>,
    ends: bool,
}

/// A disk that belongs to the lab; what nodes wrote to it outlives their resets and deaths.
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
    /// Makes an empty disk; its name is its serial number, so 20 letters at most.
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

    /// Where a node that it is attached to finds it.
    pub fn device(&self) -> String {
        format!("/dev/disk/by-id/virtio-{}", self.name())
    }

    /// The file with its bytes, for a harness that looks at them itself.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Changes how the disk behaves towards one node.
    pub fn set_health(&self, node: u8, health: DiskHealth) {
        self.inner.state.change(|state| {
            state.health.insert(node, health);
        });
    }

    /// The newest writes, in the order of their coming.
    pub fn writes(&self) -> Vec<Write> {
        self.inner.state.lock().writes.iter().copied().collect()
    }

    /// Waits until a node has written something that the look likes.
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

    /// The socket that a node's QEMU connects to; made when it is first asked for.
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

    /// Lets its threads end; nodes are gone by now.
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
    /// Waits while the disk is stalled for the node; false if requests are to fail.
    fn admit(&self, node: u8) -> bool {
        // A stall lasts as long as somebody wants it to.
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
