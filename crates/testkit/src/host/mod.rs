//! A host in memory.

mod files;
mod links;
mod processes;
mod sysfs;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sys::{Command, Limits, Output, ProcessId, Stream};

use crate::Faults;

/// A program: called with the files and its command line, it returns its output. It may change
/// files.
pub type Program = fn(&mut Disk, &Command) -> Output;

/// The behaviour of a spawned process: called with the socket of each connection.
pub trait Service: Send + Sync {
    /// None if the process does not listen there. Requests over the connection are calls that may
    /// break.
    fn connect(&self, socket: &std::path::Path, faults: &Faults) -> Option<Box<dyn Stream>>;

    /// False once the process has ended by itself.
    fn is_alive(&self) -> bool;

    /// Objects inside the process that could be orphans.
    fn inventory(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Makes the service of a spawned program.
pub type Spawner = fn(&Command) -> Arc<dyn Service>;

/// A host in memory. Clones are the same host, so it outlives the engine that a test kills.
#[derive(Clone)]
pub struct FakeHost {
    faults: Faults,
    world: Arc<Mutex<World>>,
    programs: BTreeMap<&'static str, Program>,
    spawners: BTreeMap<&'static str, Spawner>,
}

/// The files of a fake host.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Disk {
    pub(crate) nodes: BTreeMap<PathBuf, Node>,
    /// Free space in bytes; none for no limit.
    pub(crate) free: Option<u64>,
    last_inode: u64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Node {
    File {
        content: Vec<u8>,
        size: u64,
        mode: u32,
        inode: u64,
    },
    Directory {
        mode: u32,
    },
}

#[derive(Default)]
struct World {
    disk: Disk,
    processes: BTreeMap<u32, Process>,
    scopes: BTreeMap<String, Limits>,
    frozen: BTreeSet<String>,
    links: BTreeMap<String, sys::Link>,
    next_pid: u32,
    lingers: bool,
    /// Folders at which a container's file systems are mounted.
    mounted: BTreeSet<PathBuf>,
}

struct Process {
    command: Command,
    scope: String,
    service: Arc<dyn Service>,
}

impl FakeHost {
    pub fn new(faults: Faults) -> Self {
        Self {
            faults,
            world: Arc::default(),
            programs: BTreeMap::new(),
            spawners: BTreeMap::new(),
        }
    }

    /// Whether processes that are killed do not end, as where they wait for a server that is silent.
    pub fn linger(&self, lingers: bool) {
        self.world().lingers = lingers;
    }

    /// The handler for `run` of this program. A program without a handler is not installed.
    #[must_use]
    pub fn program(mut self, name: &'static str, program: Program) -> Self {
        self.programs.insert(name, program);
        self
    }

    /// The service for `spawn` of this program.
    #[must_use]
    pub fn spawner(mut self, name: &'static str, spawner: Spawner) -> Self {
        self.spawners.insert(name, spawner);
        self
    }

    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Changes files beside all calls.
    pub fn change_files(&self, change: impl FnOnce(&mut Disk)) {
        change(&mut self.world().disk);
    }

    /// Sets the free space of the disk.
    pub fn set_free(&self, free: Option<u64>) {
        self.world().disk.free = free;
    }

    /// Everything that could be an orphan: files not below `except`, processes, scopes, links; one
    /// line each.
    pub fn inventory(&self, except: &[&str]) -> Vec<String> {
        let world = self.world();
        let is_left_out = |path: &PathBuf| except.iter().any(|prefix| path.starts_with(prefix));
        let files = world
            .disk
            .nodes
            .iter()
            .filter(|(path, _)| !is_left_out(path));
        let mut lines: Vec<String> = files
            .map(|(path, node)| match node {
                Node::File { size, mode, .. } => {
                    format!("file {} {size} bytes {mode:o}", path.display())
                }
                Node::Directory { .. } => format!("directory {}", path.display()),
            })
            .collect();
        lines.extend(
            world
                .processes
                .values()
                .map(|process| format!("process {} in {}", process.command.program, process.scope)),
        );
        lines.extend(
            world
                .processes
                .values()
                .flat_map(|process| process.service.inventory()),
        );
        lines.extend(world.scopes.keys().map(|scope| format!("scope {scope}")));
        lines.extend(world.frozen.iter().map(|scope| format!("frozen {scope}")));
        let mounted = world.mounted.iter();
        lines.extend(mounted.map(|folder| format!("mounted {}", folder.display())));
        lines.extend(
            world
                .links
                .values()
                .map(|link| format!("link {} {:?}", link.name, link.master)),
        );
        lines
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn identity(pid: u32) -> ProcessId {
        ProcessId {
            boot_id: "fake-boot".to_owned(),
            pid,
            start_time: u64::from(pid),
        }
    }
}
