//! A lab: some nodes, the network between them, their disks.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::disk::Disk;
use crate::hub::{Hub, Socket, Switch};
use crate::machine::{Beginning, CARDS, Identity, Parts};
use crate::node::Node;
use crate::process::BoundFolder;
use crate::store::Store;
use crate::{LabError, Moment, golden, traces};

/// Running nodes, and what connects them. Dropping it ends everything; during a panic, traces are
/// kept and their path is printed.
#[derive(Debug)]
pub struct Lab {
    name: String,
    nodes: Vec<Node>,
    hub: Hub,
    disks: Mutex<Vec<Disk>>,
    store: Store,
    begun: Moment,
    switch: Option<Switch>,
    folder: BoundFolder,
}

impl Lab {
    /// Starts nodes, `n1` and so on, from the golden memory; they are up, connected and named when
    /// this returns. The lab is named after the thread, which in a test is the test's name.
    pub fn start(count: u8) -> Result<Lab, LabError> {
        let store = Store::from_environment();
        let built = golden::current(&store)?;
        let lab = Lab::prepare(store, built.parts(), 1..=count)?;
        let restored = thread::scope(|scope| {
            let threads: Vec<_> = lab
                .nodes
                .iter()
                .map(|node| {
                    scope.spawn(|| {
                        node.launch(Beginning::Restored)?;
                        node.restore(&built.golden)
                    })
                })
                .collect();
            threads.into_iter().try_for_each(|thread| {
                thread.join().unwrap_or_else(|_| {
                    Err(LabError::Gone {
                        node: "a node".to_owned(),
                        how: "panicked while it was restored".to_owned(),
                    })
                })
            })
        });
        match restored {
            Ok(()) => Ok(lab),
            Err(source) => Err(lab.failed(source)),
        }
    }

    /// Everything except the QEMUs.
    pub(crate) fn prepare(
        store: Store,
        parts: Parts,
        numbers: impl IntoIterator<Item = u8>,
    ) -> Result<Lab, LabError> {
        let name = thread::current().name().unwrap_or("lab").to_owned();
        let runs = store.runs()?;
        let folder = tempfile::Builder::new()
            .prefix("lab-")
            .tempdir_in(&runs)
            .map_err(LabError::file("make a folder in", &runs))?;
        let folder = BoundFolder::new(&folder.keep())?;
        let mut nodes = Vec::new();
        let mut sockets = Vec::new();
        for number in numbers {
            let identity = Identity {
                name: match number {
                    0 => "golden".to_owned(),
                    _ => format!("n{number}"),
                },
                number,
                machine_id: machine_id()?,
            };
            let node = Node::new(folder.path(), parts.clone(), identity)?;
            for card in 0..CARDS {
                let path = node.inner.places.card(card);
                let listener =
                    UnixListener::bind(&path).map_err(LabError::file("listen on", &path))?;
                sockets.push(Socket {
                    node: number,
                    card,
                    listener,
                });
            }
            nodes.push(node);
        }
        let (hub, switch) = Hub::start(sockets)?;
        Ok(Lab {
            name,
            nodes,
            hub,
            disks: Mutex::default(),
            store,
            begun: Moment::now(),
            switch: Some(switch),
            folder,
        })
    }

    /// All nodes, in the order of their numbers.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node with this number, from 1.
    ///
    /// # Panics If there is no such node.
    pub fn node(&self, number: u8) -> &Node {
        let found = self.nodes.iter().find(|node| node.number() == number);
        found.unwrap_or_else(|| panic!("the lab has no node {number}"))
    }

    /// The node of this name.
    pub fn named(&self, name: &str) -> Result<&Node, LabError> {
        let found = self.nodes.iter().find(|node| node.name() == name);
        found.ok_or_else(|| LabError::NoSuch(format!("node '{name}'")))
    }

    /// The network.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Creates an empty disk, not attached to any node; nodes find it by its name.
    pub fn disk(&self, name: &str, bytes: u64) -> Result<Disk, LabError> {
        let disk = Disk::create(self.folder.path(), name, bytes)?;
        self.disks().push(disk.clone());
        Ok(disk)
    }

    fn disks(&self) -> std::sync::MutexGuard<'_, Vec<Disk>> {
        self.disks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A folder that is removed with the lab.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes traces to a folder that stays: consoles, journals, events, counters.
    pub fn keep_traces(&self) -> Result<PathBuf, LabError> {
        let folder = self.store.traces(&self.name.replace("::", "-"))?;
        traces::write(&folder, self.begun, &self.nodes, &self.hub, &self.disks())?;
        Ok(folder)
    }

    /// Keeps the traces of a lab that failed to start, and ends it.
    pub(crate) fn failed(self, source: LabError) -> LabError {
        match self.keep_traces() {
            Ok(traces) => LabError::NotUp {
                traces,
                source: Box::new(source),
            },
            Err(_) => source,
        }
    }
}

impl Drop for Lab {
    #[expect(clippy::print_stderr, reason = "for the person who runs the test")]
    fn drop(&mut self) {
        if thread::panicking() {
            match self.keep_traces() {
                Ok(folder) => eprintln!("traces: {}", folder.display()),
                Err(error) => eprintln!("traces: none: {error}"),
            }
        }
        for node in &self.nodes {
            // It may have been killed already.
            let _ = node.kill();
        }
        for disk in self.disks().iter() {
            disk.close();
        }
        drop(self.switch.take());
    }
}

fn machine_id() -> Result<String, LabError> {
    let path = Path::new("/proc/sys/kernel/random/uuid");
    let uuid = fs::read_to_string(path).map_err(LabError::file("read", path))?;
    Ok(uuid.trim().replace('-', ""))
}
