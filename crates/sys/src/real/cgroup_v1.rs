//! Scopes on control groups version 1.
//!
//! Each controller has a hierarchy of its own, so a scope is a directory in several of them:
//!
//! ```text
//!   /sys/fs/cgroup/freezer/<root>/guest-100/    membership, and freezing before killing
//!   /sys/fs/cgroup/{cpu,cpuacct,cpuset,memory,pids}/<root>/guest-100/      limits and usage
//! ```
//!
//! A container makes groups of its own below those of its scope, in every hierarchy.
//!
//! **Invariant:** the freezer directory is made last and removed first, so where it exists the
//! scope is complete.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cgroup_tree as tree;
use crate::{Limits, ScopeName, SysError, Usage};

/// The hierarchies in use; the one that decides membership is the last. Some are here only so that
/// the groups of a container are below its scope in all of them.
const CONTROLLERS: [&str; 9] = [
    "blkio",
    "devices",
    "name=systemd",
    "cpu",
    "cpuacct",
    "cpuset",
    "memory",
    "pids",
    "freezer",
];

/// Version 2, where it is mounted beside version 1.
const UNIFIED: &str = "unified";

/// The period over which a CPU limit is counted, in microseconds; the kernel's default.
const CPU_PERIOD_US: f64 = 100_000.0;

#[derive(Debug, Clone)]
pub(super) struct CgroupV1 {
    /// Where each controller is mounted, with our own directory appended.
    roots: Vec<(&'static str, PathBuf)>,
}

impl CgroupV1 {
    /// None if the freezer of version 1 is not mounted.
    pub(super) fn open(scope_root: &str, mounts: &str) -> Option<Self> {
        let mut roots = Vec::new();
        if let Some(mount) = find_unified(mounts) {
            roots.push((UNIFIED, mount.join(scope_root)));
        }
        for controller in CONTROLLERS {
            if let Some(mount) = find_mount(mounts, controller) {
                roots.push((controller, mount.join(scope_root)));
            }
        }
        let has_freezer = roots.iter().any(|(controller, _)| *controller == "freezer");
        has_freezer.then_some(Self { roots })
    }

    fn dir(&self, controller: &str, scope: &ScopeName) -> Option<PathBuf> {
        let root = self.roots.iter().find(|(name, _)| *name == controller)?;
        Some(root.1.join(scope.as_str()))
    }

    fn freezer(&self, scope: &ScopeName) -> PathBuf {
        self.dir("freezer", scope)
            .expect("open() refuses a machine without a freezer")
    }

    pub(super) fn create(&self, scope: &ScopeName, limits: &Limits) -> Result<(), SysError> {
        for (controller, root) in &self.roots {
            let dir = root.join(scope.as_str());
            fs::create_dir_all(&dir)
                .map_err(|source| SysError::io("create scope", &dir, source))?;
            if *controller == "cpuset" {
                inherit_cpuset(root)?;
                inherit_cpuset(&dir)?;
            }
        }
        self.limit(scope, limits)
    }

    pub(super) fn limit(&self, scope: &ScopeName, limits: &Limits) -> Result<(), SysError> {
        let quota = limits.cpus.map_or(-1, |cpus| (cpus * CPU_PERIOD_US) as i64);
        self.set(scope, "cpu", "cpu.cfs_quota_us", &quota.to_string())?;
        if let Some(weight) = limits.cpu_weight {
            // 100 on version 2 is 1024 here; the kernel's minimum is 2.
            let shares = (u64::from(weight) * 1024 / 100).max(2);
            self.set(scope, "cpu", "cpu.shares", &shares.to_string())?;
        }
        if let Some(list) = &limits.cpu_list {
            self.set_cpus(scope, list)?;
        }
        let memory = limits
            .memory_bytes
            .map_or("-1".to_owned(), |bytes| bytes.to_string());
        self.set_memory(scope, &memory, limits)?;
        let processes = limits
            .processes
            .map_or("max".to_owned(), |number| number.to_string());
        self.set(scope, "pids", "pids.max", &processes)
    }

    /// No group may have processors that the one above it lacks. Groups below the scope get what the
    /// scope has: from below where processors are taken away, from above where some are added.
    fn set_cpus(&self, scope: &ScopeName, list: &str) -> Result<(), SysError> {
        if let Some(dir) = self.dir("cpuset", scope) {
            let groups = tree::all(&dir)?;
            for group in groups.iter().rev().chain(&groups) {
                // The scope's own result counts.
                let _ = fs::write(group.join("cpuset.cpus"), list);
            }
        }
        self.set(scope, "cpuset", "cpuset.cpus", list)
    }

    /// The limit of memory and swap together is never below that of memory, nor the other way round
    /// while both change.
    fn set_memory(&self, scope: &ScopeName, memory: &str, limits: &Limits) -> Result<(), SysError> {
        let both = "memory.memsw.limit_in_bytes";
        let dir = self.dir("memory", scope);
        let counts_swap = dir.is_some_and(|dir| dir.join(both).exists());
        if counts_swap && limits.swap_bytes.is_some() {
            self.set(scope, "memory", both, "-1")?;
        }
        self.set(scope, "memory", "memory.limit_in_bytes", memory)?;
        match (limits.memory_bytes, limits.swap_bytes) {
            (Some(memory), Some(swap)) if counts_swap => {
                let sum = memory.saturating_add(swap).to_string();
                self.set(scope, "memory", both, &sum)
            }
            _ => Ok(()),
        }
    }

    /// Writes a setting. Failure is only an error if the controller exists.
    fn set(
        &self,
        scope: &ScopeName,
        controller: &str,
        file: &str,
        value: &str,
    ) -> Result<(), SysError> {
        let Some(dir) = self.dir(controller, scope) else {
            return Ok(());
        };
        let path = dir.join(file);
        fs::write(&path, value).map_err(|source| SysError::io("set", &path, source))
    }

    pub(super) fn scopes(&self) -> Result<Vec<ScopeName>, SysError> {
        let root = &self
            .roots
            .last()
            .expect("open() found the freezer, the last one")
            .1;
        let reader = match fs::read_dir(root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            reader => reader.map_err(|source| SysError::io("list", root, source))?,
        };
        let mut scopes: Vec<ScopeName> = reader
            .flatten()
            .filter(|item| item.path().is_dir())
            .filter_map(|item| ScopeName::parse(&item.file_name().to_string_lossy()))
            .collect();
        scopes.sort();
        Ok(scopes)
    }

    /// Includes processes in groups that a member has created.
    pub(super) fn pids(&self, scope: &ScopeName) -> Result<Vec<u32>, SysError> {
        let mut pids = Vec::new();
        tree::collect_pids(&self.freezer(scope), &mut pids)?;
        Ok(pids)
    }

    /// The files that a process writes itself to, to join the scope.
    pub(super) fn entrances(&self, scope: &ScopeName) -> Vec<PathBuf> {
        self.roots
            .iter()
            .map(|(_, root)| root.join(scope.as_str()).join("cgroup.procs"))
            .collect()
    }

    /// Whether all stand still by now, or there is no such scope.
    pub(super) fn freeze(&self, scope: &ScopeName) -> Result<bool, SysError> {
        let state = self.freezer(scope).join("freezer.state");
        match fs::write(&state, "FROZEN").and_then(|()| fs::read_to_string(&state)) {
            Err(error) if tree::is_gone(&error) => Ok(true),
            Ok(text) => Ok(text.trim() == "FROZEN"),
            Err(source) => Err(SysError::io("freeze", &state, source)),
        }
    }

    pub(super) fn thaw(&self, scope: &ScopeName) -> Result<(), SysError> {
        let state = self.freezer(scope).join("freezer.state");
        match fs::write(&state, "THAWED") {
            Err(error) if tree::is_gone(&error) => Ok(()),
            thawed => thawed.map_err(|source| SysError::io("thaw", &state, source)),
        }
    }

    /// Freezes, kills and thaws, repeatedly until no process is left: a process that forks while it
    /// is killed cannot escape from a frozen group.
    pub(super) fn kill(&self, scope: &ScopeName) -> Result<(), SysError> {
        let freezer = self.freezer(scope);
        for attempt in 0..200 {
            let pids = self.pids(scope)?;
            if pids.is_empty() {
                return self.remove(scope).map(|_| ());
            }
            let _ = fs::write(freezer.join("freezer.state"), "FROZEN");
            for pid in self.pids(scope)? {
                super::process::kill(pid);
            }
            // A container may have frozen groups of its own.
            for group in tree::all(&freezer)? {
                match fs::write(group.join("freezer.state"), "THAWED") {
                    Err(error) if tree::is_gone(&error) => {}
                    thawed => thawed.map_err(|source| SysError::io("thaw", &group, source))?,
                }
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
        for (_, root) in self.roots.iter().rev() {
            let dir = root.join(scope.as_str());
            if !tree::remove(&dir)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn usage(&self, scope: &ScopeName) -> Result<Usage, SysError> {
        let number = |controller: &str, file: &str| -> u64 {
            self.dir(controller, scope)
                .and_then(|dir| fs::read_to_string(dir.join(file)).ok())
                .and_then(|text| text.trim().parse().ok())
                .unwrap_or(0)
        };
        let text = |controller: &str, file: &str| -> String {
            let dir = self.dir(controller, scope);
            let text = dir.and_then(|dir| fs::read_to_string(dir.join(file)).ok());
            text.unwrap_or_default()
        };
        let memory = text("memory", "memory.stat");
        let blocks = text("blkio", "blkio.throttle.io_service_bytes_recursive");
        let sum = |word: &str| -> u64 {
            let lines = blocks
                .lines()
                .map(|line| line.split(' ').collect::<Vec<_>>());
            lines
                .filter_map(|words| match words[..] {
                    [_, what, bytes] if what == word => bytes.parse::<u64>().ok(),
                    _ => None,
                })
                .sum()
        };
        Ok(Usage {
            cpu_us: number("cpuacct", "cpuacct.usage") / 1000,
            memory_bytes: number("memory", "memory.usage_in_bytes"),
            cache_bytes: tree::value(&memory, "total_cache"),
            swap_bytes: tree::value(&memory, "total_swap"),
            read_bytes: sum("Read"),
            written_bytes: sum("Write"),
            pressure: None,
        })
    }
}

/// A new cpuset is empty and accepts no process: it gets its parent's values.
fn inherit_cpuset(dir: &Path) -> Result<(), SysError> {
    let parent = dir.parent().unwrap_or(dir);
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let own = dir.join(file);
        let is_empty = fs::read_to_string(&own).is_ok_and(|text| text.trim().is_empty());
        if is_empty {
            let value = fs::read_to_string(parent.join(file)).unwrap_or_default();
            fs::write(&own, value.trim()).map_err(|source| SysError::io("set", &own, source))?;
        }
    }
    Ok(())
}

fn find_unified(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        match fields[..] {
            [_, path, "cgroup2", ..] => Some(PathBuf::from(path)),
            _ => None,
        }
    })
}

/// Finds where a version 1 controller is mounted, in the text of `/proc/self/mounts`.
fn find_mount(mounts: &str, controller: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let [_, path, "cgroup", options, ..] = fields[..] else {
            return None;
        };
        options
            .split(',')
            .any(|option| option == controller)
            .then(|| PathBuf::from(path))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_is_found_by_its_option_not_its_path() {
        let mounts = "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n\
                      cgroup /sys/fs/cgroup/freezer cgroup rw,freezer 0 0\n";
        assert_eq!(
            find_mount(mounts, "cpuacct").unwrap(),
            Path::new("/sys/fs/cgroup/cpu,cpuacct")
        );
        assert_eq!(find_mount(mounts, "cpuset"), None);
    }
}
