//! Facts about the host from the kernel: the texts of `/proc`, read through `sys::Host`.

use std::collections::BTreeMap;
use std::path::Path;

use model::Error;
use sys::SharedHost;

/// Clock ticks per second in `/proc`; the kernel's interface fixes it at 100.
pub const TICKS_PER_S: u64 = 100;

/// The processors' time since boot, in ticks over all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CpuTimes {
    pub total: u64,
    pub idle: u64,
    pub wait: u64,
}

impl CpuTimes {
    /// Reads the first line of `/proc/stat`.
    fn parse(stat: &str) -> Self {
        let line = stat.lines().next().unwrap_or_default();
        let times: Vec<u64> = line
            .split_whitespace()
            .skip(1)
            .map(|time| time.parse().unwrap_or(0))
            .collect();
        let time = |at: usize| times.get(at).copied().unwrap_or(0);
        Self {
            // The last two are guests' time, which user time holds already.
            total: times.iter().take(8).sum(),
            idle: time(3),
            wait: time(4),
        }
    }

    /// Busy and waiting part since an earlier reading, each 0 to 1.
    pub fn since(self, before: Self) -> (f64, f64) {
        let total = self.total.saturating_sub(before.total);
        if total == 0 {
            return (0.0, 0.0);
        }
        let part = |ticks: u64| (ticks as f64 / total as f64).clamp(0.0, 1.0);
        let wait = self.wait.saturating_sub(before.wait);
        let idle = self.idle.saturating_sub(before.idle) + wait;
        (part(total.saturating_sub(idle)), part(wait))
    }
}

/// Memory of the host, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    pub total: u64,
    pub free: u64,
    /// What could be had without swapping.
    pub available: u64,
    pub swap_total: u64,
    pub swap_free: u64,
}

impl Memory {
    fn parse(meminfo: &str) -> Self {
        let figure = |name: &str| -> u64 {
            let line = meminfo
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
            kib.unwrap_or(0) << 10
        };
        Self {
            total: figure("MemTotal"),
            free: figure("MemFree"),
            available: figure("MemAvailable"),
            swap_total: figure("SwapTotal"),
            swap_free: figure("SwapFree"),
        }
    }

    pub fn used(&self) -> u64 {
        self.total.saturating_sub(self.available)
    }
}

/// The processors of the host.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Processors {
    /// How many the kernel runs on.
    pub cpus: u32,
    /// Over all sockets.
    pub cores: u32,
    pub sockets: u32,
    pub model: String,
    pub vendor: String,
    pub family: String,
    pub mhz: String,
    pub flags: String,
}

impl Processors {
    fn parse(cpuinfo: &str) -> Self {
        let mut parsed = Self::default();
        let (mut sockets, mut cores) = (BTreeMap::new(), 0);
        let mut socket = String::new();
        for (name, value) in cpuinfo.lines().filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            match name.trim() {
                "processor" => parsed.cpus += 1,
                "physical id" => value.clone_into(&mut socket),
                "cpu cores" => cores = value.parse().unwrap_or(0),
                "model name" => value.clone_into(&mut parsed.model),
                "vendor_id" => value.clone_into(&mut parsed.vendor),
                "cpu family" => value.clone_into(&mut parsed.family),
                "cpu MHz" => value.clone_into(&mut parsed.mhz),
                "flags" | "Features" => value.clone_into(&mut parsed.flags),
                _ => continue,
            }
            if name.trim() == "cpu cores" {
                sockets.insert(socket.clone(), cores);
            }
        }
        parsed.sockets = u32::try_from(sockets.len()).unwrap_or(1).max(1);
        parsed.cores = sockets.values().sum();
        if parsed.cores == 0 {
            parsed.cores = parsed.cpus;
        }
        parsed
    }

    pub fn has_flag(&self, flag: &str) -> bool {
        self.flags.split(' ').any(|known| known == flag)
    }
}

/// The kernel that runs here, in the words of `uname`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    pub name: String,
    pub release: String,
    pub version: String,
    pub machine: &'static str,
}

/// How the machine was booted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootMode {
    pub efi: bool,
    /// None where the firmware does not say.
    pub secure: Option<bool>,
}

/// Reads the facts of a host. A file that this kernel does not have reads as empty, and its
/// figures as 0: a figure is not worth failing for.
#[derive(Clone)]
pub struct Facts {
    host: SharedHost,
}

impl Facts {
    pub fn new(host: SharedHost) -> Self {
        Self { host }
    }

    /// A small text file, without white space at its end; empty where it cannot be read.
    pub async fn text(&self, path: &str) -> String {
        let content = self.host.read(Path::new(path)).await.unwrap_or_default();
        String::from_utf8_lossy(&content).trim_end().to_owned()
    }

    pub async fn cpu_times(&self) -> CpuTimes {
        CpuTimes::parse(&self.text("/proc/stat").await)
    }

    pub async fn memory(&self) -> Memory {
        Memory::parse(&self.text("/proc/meminfo").await)
    }

    pub async fn processors(&self) -> Processors {
        Processors::parse(&self.text("/proc/cpuinfo").await)
    }

    /// Seconds since boot.
    pub async fn uptime(&self) -> f64 {
        let text = self.text("/proc/uptime").await;
        text.split(' ')
            .next()
            .and_then(|seconds| seconds.parse().ok())
            .unwrap_or(0.0)
    }

    /// The averages over 1, 5 and 15 minutes, as the kernel prints them.
    pub async fn load(&self) -> [String; 3] {
        let text = self.text("/proc/loadavg").await;
        let mut words = text.split(' ').map(str::to_owned);
        std::array::from_fn(|_| {
            words
                .next()
                .filter(|word| !word.is_empty())
                .unwrap_or("0.00".into())
        })
    }

    pub async fn kernel(&self) -> Kernel {
        Kernel {
            name: self.text("/proc/sys/kernel/ostype").await,
            release: self.text("/proc/sys/kernel/osrelease").await,
            version: self.text("/proc/sys/kernel/version").await,
            machine: std::env::consts::ARCH,
        }
    }

    pub async fn boot_mode(&self) -> Result<BootMode, Error> {
        let efi = self
            .host
            .stat(Path::new("/sys/firmware/efi"))
            .await?
            .is_some();
        let variable = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
        // Four bytes of attributes, then the value.
        let secure = self.host.read(Path::new(variable)).await.ok();
        let secure = secure
            .filter(|_| efi)
            .and_then(|bytes| bytes.get(4).map(|on| *on == 1));
        Ok(BootMode { efi, secure })
    }

    /// Pages that the kernel has merged, in bytes of memory saved.
    pub async fn shared_pages(&self) -> u64 {
        const PAGE_BYTES: u64 = 4096;
        let pages: u64 = self
            .text("/sys/kernel/mm/ksm/pages_sharing")
            .await
            .parse()
            .unwrap_or(0);
        pages * PAGE_BYTES
    }

    /// The version of control groups, 1 or 2.
    pub async fn cgroup_version(&self) -> Result<u8, Error> {
        let unified = self
            .host
            .stat(Path::new("/sys/fs/cgroup/cgroup.controllers"))
            .await?;
        Ok(if unified.is_some() { 2 } else { 1 })
    }

    /// The address that the host's own name stands for, else its first one that is not only for
    /// itself; none where it has none.
    pub async fn address(&self, name: &str) -> Option<String> {
        let hosts = self.text("/etc/hosts").await;
        let named = address_of(&hosts, name);
        match named {
            Some(address) => Some(address),
            None => first_address(&self.text("/proc/net/fib_trie").await),
        }
    }
}

fn is_loopback(address: &str) -> bool {
    address.starts_with("127.") || address == "::1"
}

fn address_of(hosts: &str, name: &str) -> Option<String> {
    let lines = hosts.lines().filter_map(|line| line.split('#').next());
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = words.next()?;
            words.any(|word| word == name).then(|| address.to_owned())
        })
        .find(|address| !is_loopback(address))
}

/// The first address of the host in the text of `/proc/net/fib_trie`, where each stands on the
/// line before what it is.
fn first_address(trie: &str) -> Option<String> {
    let lines: Vec<&str> = trie.lines().map(str::trim).collect();
    let pairs = lines
        .windows(2)
        .filter(|pair| pair[1].starts_with("/32 host LOCAL"));
    let mut addresses = pairs.filter_map(|pair| pair[0].strip_prefix("|-- "));
    addresses
        .find(|address| !is_loopback(address))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_counted_between_two_readings() {
        let before = CpuTimes::parse("cpu  100 0 100 800 0 0 0 0 50 0\ncpu0 1 2\n");
        let now = CpuTimes::parse("cpu  150 0 120 820 10 0 0 0 90 0\n");
        assert_eq!(before.total, 1000);
        assert_eq!(now.since(before), (0.7, 0.1));
        assert_eq!(now.since(now), (0.0, 0.0));
    }

    #[test]
    fn processors_are_counted_by_socket() {
        let one = |cpu: u32, socket: u32| {
            format!(
                "processor\t: {cpu}\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel name\t: Xeon\n\
                 cpu MHz\t\t: 2599.998\nphysical id\t: {socket}\ncpu cores\t: 2\nflags\t\t: fpu vmx\n\n"
            )
        };
        let text: String = (0..8).map(|cpu| one(cpu, cpu / 4)).collect();
        let processors = Processors::parse(&text);
        assert_eq!(
            (processors.cpus, processors.cores, processors.sockets),
            (8, 4, 2)
        );
        assert!(processors.has_flag("vmx") && !processors.has_flag("svm"));
        // A machine without this knowledge has one socket.
        let bare = Processors::parse("processor : 0\nprocessor : 1\n");
        assert_eq!((bare.cpus, bare.cores, bare.sockets), (2, 2, 1));
    }

    #[test]
    fn memory_is_in_bytes() {
        let memory = Memory::parse("MemTotal: 100 kB\nMemFree: 10 kB\nMemAvailable: 40 kB\n");
        assert_eq!(
            (memory.total, memory.used(), memory.swap_total),
            (102_400, 61_440, 0)
        );
    }

    #[test]
    fn the_address_is_the_names_or_the_first() {
        let hosts = "127.0.0.1 localhost\n127.0.1.1 pve1\n10.0.0.1 pve1.test pve1 # us\n";
        assert_eq!(address_of(hosts, "pve1").as_deref(), Some("10.0.0.1"));
        assert_eq!(address_of(hosts, "localhost"), None);
        let trie = "Local:\n  |-- 127.0.0.1\n    /32 host LOCAL\n  |-- 10.0.0.0\n    /24 link \
                    UNICAST\n  |-- 10.0.0.7\n     /32 host LOCAL\n";
        assert_eq!(first_address(trie).as_deref(), Some("10.0.0.7"));
    }
}
