//! Scopes on control groups version 2, the only hierarchy on hosts with a current systemd.
//!
//! ```text
//!   /sys/fs/cgroup/system.slice/ostler-guests.service/     a tree that systemd has delegated
//!       keeper/                        the process that keeps the unit alive
//!       <root>/guest-100/              membership, limits and usage
//! ```
//!
//! If that unit does not run, `<root>` is at the top. The agent's own unit cannot be used: a
//! restarted unit cannot enter a group that has groups below it, and guests outlive the agent.
//!
//! **Invariants:** processes are only in leaves, so every group above can have controllers. A scope
//! is found in either place: one from before the unit ran is not created again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{Pressure, Stall};

use super::cgroup_tree as tree;
use crate::{Limits, ScopeName, SysError, Usage};

/// The unit whose tree we use, as a group; see packaging/systemd/ostler-guests.service.
const DELEGATED: &str = "system.slice/ostler-guests.service";

/// The controllers in use.
const CONTROLLERS: [&str; 4] = ["cpu", "cpuset", "memory", "pids"];

/// The period over which a CPU limit is counted, in microseconds; the kernel's default.
const CPU_PERIOD_US: f64 = 100_000.0;

#[derive(Debug, Clone)]
pub(super) struct CgroupV2 {
    /// Where version 2 is mounted.
    mount: PathBuf,
    /// The name of our own directory.
    name: String,
}

impl CgroupV2 {
    /// None if version 2 is not mounted.
    pub(super) fn open(scope_root: &str, mounts: &str) -> Option<Self> {
        Some(Self {
            mount: find_mount(mounts)?,
            name: scope_root.to_owned(),
        })
    }

    /// Where scopes may be; new ones go to the first. Checked each time, because the unit may start
    /// after us.
    fn roots(&self) -> Vec<PathBuf> {
        let delegated = self.mount.join(DELEGATED);
        let mut roots = vec![self.mount.join(&self.name)];
        if delegated.is_dir() {
            roots.insert(0, delegated.join(&self.name));
        }
        roots
    }

    /// Where the scope is, or would be made.
    fn dir(&self, scope: &ScopeName) -> PathBuf {
        let roots = self.roots();
        let mut dirs = roots.iter().map(|root| root.join(scope.as_str()));
        let found = dirs.find(|dir| dir.is_dir());
        found.unwrap_or_else(|| roots[0].join(scope.as_str()))
    }

    pub(super) fn create(&self, scope: &ScopeName, limits: &Limits) -> Result<(), SysError> {
        let dir = self.dir(scope);
        fs::create_dir_all(&dir).map_err(|source| SysError::io("create scope", &dir, source))?;
        let root = dir.parent().expect("a scope is below its root");
        let above = root.parent().expect("a root is below the mount");
        enable_controllers(above)?;
        enable_controllers(root)?;
        self.limit(scope, limits)
    }

    pub(super) fn limit(&self, scope: &ScopeName, limits: &Limits) -> Result<(), SysError> {
        let quota = limits.cpus.map_or("max".to_owned(), |cpus| {
            format!("{}", (cpus * CPU_PERIOD_US) as u64)
        });
        self.set(scope, "cpu.max", &format!("{quota} {CPU_PERIOD_US}"))?;
        if let Some(weight) = limits.cpu_weight {
            self.set(scope, "cpu.weight", &weight.to_string())?;
        }
        if let Some(list) = &limits.cpu_list {
            self.set(scope, "cpuset.cpus", list)?;
        }
        let memory = limits
            .memory_bytes
            .map_or("max".to_owned(), |bytes| bytes.to_string());
        self.set(scope, "memory.max", &memory)?;
        if let (Some(memory), Some(swap)) = (limits.memory_bytes, limits.swap_bytes) {
            // Before the limit is reached its members are slowed down, so that memory is reclaimed.
            self.set(scope, "memory.high", &(memory / 1024 * 1016).to_string())?;
            self.set(scope, "memory.swap.max", &swap.to_string())?;
        }
        let processes = limits
            .processes
            .map_or("max".to_owned(), |number| number.to_string());
        self.set(scope, "pids.max", &processes)
    }

    /// Writes a setting. Failure is only an error if the controller exists.
    fn set(&self, scope: &ScopeName, file: &str, value: &str) -> Result<(), SysError> {
        let path = self.dir(scope).join(file);
        if !path.exists() {
            return Ok(());
        }
        fs::write(&path, value).map_err(|source| SysError::io("set", &path, source))
    }

    pub(super) fn scopes(&self) -> Result<Vec<ScopeName>, SysError> {
        let mut scopes = Vec::new();
        for root in self.roots() {
            let groups = tree::below(&root)?;
            let names = groups.iter().filter_map(|dir| dir.file_name());
            scopes.extend(names.filter_map(|name| ScopeName::parse(&name.to_string_lossy())));
        }
        scopes.sort();
        Ok(scopes)
    }

    /// Includes processes in groups that a member has created.
    pub(super) fn pids(&self, scope: &ScopeName) -> Result<Vec<u32>, SysError> {
        let mut pids = Vec::new();
        tree::collect_pids(&self.dir(scope), &mut pids)?;
        Ok(pids)
    }

    /// The file that a process writes itself to, to join the scope.
    pub(super) fn entrances(&self, scope: &ScopeName) -> Vec<PathBuf> {
        vec![self.dir(scope).join("cgroup.procs")]
    }

    /// Whether all stand still by now, or there is no such scope.
    pub(super) fn freeze(&self, scope: &ScopeName) -> Result<bool, SysError> {
        let (wanted, events) = ("cgroup.freeze", "cgroup.events");
        let dir = self.dir(scope);
        let written = fs::write(dir.join(wanted), "1");
        match written.and_then(|()| fs::read_to_string(dir.join(events))) {
            Err(error) if tree::is_gone(&error) => Ok(true),
            Ok(text) => Ok(tree::value(&text, "frozen") == 1),
            Err(source) => Err(SysError::io("freeze", &dir, source)),
        }
    }

    pub(super) fn thaw(&self, scope: &ScopeName) -> Result<(), SysError> {
        let dir = self.dir(scope);
        match fs::write(dir.join("cgroup.freeze"), "0") {
            Err(error) if tree::is_gone(&error) => Ok(()),
            thawed => thawed.map_err(|source| SysError::io("thaw", &dir, source)),
        }
    }

    /// The kernel kills all members at once, so that none can fork away.
    pub(super) fn kill(&self, scope: &ScopeName) -> Result<(), SysError> {
        let kill = self.dir(scope).join("cgroup.kill");
        for attempt in 0..200 {
            match fs::write(&kill, "1") {
                Err(error) if tree::is_gone(&error) => return Ok(()),
                written => written.map_err(|source| SysError::io("kill scope", &kill, source))?,
            }
            if self.remove(scope)? {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(if attempt < 20 { 2 } else { 25 }));
        }
        Err(SysError::Lingering {
            scope: scope.to_string(),
        })
    }

    pub(super) fn remove(&self, scope: &ScopeName) -> Result<bool, SysError> {
        if !self.pids(scope)?.is_empty() {
            return Ok(false);
        }
        tree::remove(&self.dir(scope))
    }

    pub(super) fn usage(&self, scope: &ScopeName) -> Result<Usage, SysError> {
        let dir = self.dir(scope);
        let read = |file: &str| fs::read_to_string(dir.join(file)).unwrap_or_default();
        let blocks = read("io.stat");
        let sum = |key: &str| -> u64 {
            let words = blocks.split_whitespace();
            let values = words.filter_map(|word| word.strip_prefix(key)?.parse::<u64>().ok());
            values.sum()
        };
        Ok(Usage {
            cpu_us: tree::value(&read("cpu.stat"), "usage_usec"),
            cache_bytes: tree::value(&read("memory.stat"), "file"),
            swap_bytes: read("memory.swap.current").trim().parse().unwrap_or(0),
            read_bytes: sum("rbytes="),
            written_bytes: sum("wbytes="),
            memory_bytes: read("memory.current").trim().parse().unwrap_or(0),
            pressure: pressure(read),
        })
    }
}

/// None if the kernel was built or started without it.
fn pressure(read: impl Fn(&str) -> String) -> Option<Pressure> {
    Some(Pressure {
        cpu: Stall::parse(&read("cpu.pressure"))?,
        io: Stall::parse(&read("io.pressure"))?,
        memory: Stall::parse(&read("memory.pressure"))?,
    })
}

/// Enables this group's controllers in the groups below.
fn enable_controllers(dir: &Path) -> Result<(), SysError> {
    let path = dir.join("cgroup.subtree_control");
    let available = words_of(&dir.join("cgroup.controllers"))?;
    let enabled = words_of(&path)?;
    for controller in CONTROLLERS {
        let has = |words: &[String]| words.iter().any(|word| word == controller);
        if has(&available) && !has(&enabled) {
            fs::write(&path, format!("+{controller}"))
                .map_err(|source| SysError::io("enable a controller in", &path, source))?;
        }
    }
    Ok(())
}

fn words_of(path: &Path) -> Result<Vec<String>, SysError> {
    let text = fs::read_to_string(path).map_err(|source| SysError::io("read", path, source))?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

/// Finds where version 2 is mounted, in the text of `/proc/self/mounts`.
fn find_mount(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let [_, path, "cgroup2", ..] = fields[..] else {
            return None;
        };
        Some(PathBuf::from(path))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_found_that_were_made_before_the_unit_ran() {
        let mount = tempfile::tempdir().unwrap();
        let cgroup = CgroupV2 {
            mount: mount.path().to_owned(),
            name: "ours".to_owned(),
        };
        let scope = |name: &str| ScopeName::parse(name).unwrap();
        let (old, new) = (scope("guest-100"), scope("guest-200"));
        fs::create_dir_all(cgroup.dir(&old)).unwrap();
        fs::create_dir_all(mount.path().join(DELEGATED)).unwrap();
        fs::create_dir_all(cgroup.dir(&new)).unwrap();
        assert_eq!(cgroup.dir(&old), mount.path().join("ours/guest-100"));
        let delegated = mount.path().join(DELEGATED);
        assert_eq!(cgroup.dir(&new), delegated.join("ours/guest-200"));
        assert_eq!(cgroup.scopes().unwrap(), [old, new]);
    }

    #[test]
    fn version_2_is_found_where_it_is_mounted() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let found = find_mount(mounts).unwrap();
        assert_eq!(found, Path::new("/sys/fs/cgroup/unified"));
        assert_eq!(
            find_mount("cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n"),
            None
        );
    }
}
