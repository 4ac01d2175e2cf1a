//! Processors and the memory beside them.

use serde::Serialize;
use sys::SharedHost;

use super::{names, some};
use crate::host::facts::Facts;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Cpu {
    pub model: String,
    pub sockets: u32,
    pub cores: u32,
    pub threads: u32,
    /// The processors of each kind as kernel lists, `0-7`, where there are fast ones and
    /// economical ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub performance: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub efficiency: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_mhz: Option<u64>,
    #[serde(skip)]
    pub microcode: Option<String>,
}

/// Processors that have their own part of the memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NumaNode {
    pub node: u32,
    /// A kernel list, `0-7,16-23`.
    pub cpus: String,
    /// In bytes, as is the next.
    pub memory: u64,
    pub free: u64,
}

const CPUS: &str = "/sys/devices/system/cpu";
const NODES: &str = "/sys/devices/system/node";

pub(super) async fn cpu(facts: &Facts) -> Cpu {
    let processors = facts.processors().await;
    let text = async |path: String| some(facts.text(&path).await);
    let mhz = text(format!("{CPUS}/cpu0/cpufreq/cpuinfo_max_freq")).await;
    let performance = text("/sys/devices/cpu_core/cpus".to_owned()).await;
    let efficiency = text("/sys/devices/cpu_atom/cpus".to_owned()).await;
    // Kinds are worth a word only where there are two.
    let has_kinds = performance.is_some() && efficiency.is_some();
    Cpu {
        model: processors.model,
        sockets: processors.sockets,
        cores: processors.cores,
        threads: processors.cpus,
        performance: performance.filter(|_| has_kinds),
        efficiency: efficiency.filter(|_| has_kinds),
        max_mhz: mhz
            .and_then(|khz| khz.parse::<u64>().ok())
            .map(|khz| khz / 1000),
        microcode: text(format!("{CPUS}/cpu0/microcode/version")).await,
    }
}

pub(super) async fn numa(host: &SharedHost, facts: &Facts) -> Vec<NumaNode> {
    let mut nodes = Vec::new();
    for name in names(host, NODES).await {
        let Some(Ok(node)) = name.strip_prefix("node").map(str::parse) else {
            continue;
        };
        let meminfo = facts.text(&format!("{NODES}/{name}/meminfo")).await;
        nodes.push(NumaNode {
            node,
            cpus: facts.text(&format!("{NODES}/{name}/cpulist")).await,
            memory: figure(&meminfo, "MemTotal:"),
            free: figure(&meminfo, "MemFree:"),
        });
    }
    nodes.sort_unstable_by_key(|node| node.node);
    nodes
}

/// A figure of `Node 0 MemTotal:  65536 kB`, in bytes.
fn figure(meminfo: &str, name: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.split_once(name));
    let kib = line.and_then(|(_, rest)| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}

#[cfg(test)]
mod tests {
    use super::super::tests::host;
    use super::*;

    #[tokio::test]
    async fn fast_and_economical_processors_are_told_apart() {
        let both = [
            ("/sys/devices/cpu_core/cpus", "0-15"),
            ("/sys/devices/cpu_atom/cpus", "16-23"),
            (
                "/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq",
                "5400000",
            ),
            ("/sys/devices/system/cpu/cpu0/microcode/version", "0x12b"),
        ];
        let found = cpu(&Facts::new(host(&both).await)).await;
        assert_eq!(found.performance.as_deref(), Some("0-15"));
        assert_eq!(found.efficiency.as_deref(), Some("16-23"));
        assert_eq!(found.max_mhz, Some(5400));
        assert_eq!(found.microcode.as_deref(), Some("0x12b"));
        // A machine with one kind names none.
        let found = cpu(&Facts::new(host(&both[..1]).await)).await;
        assert_eq!(found.performance, None);
    }

    #[tokio::test]
    async fn memory_lies_beside_processors() {
        let node = "/sys/devices/system/node";
        let files = [
            (format!("{node}/node10/cpulist"), "8-15"),
            (format!("{node}/node2/cpulist"), "0-7"),
            (
                format!("{node}/node2/meminfo"),
                "Node 2 MemTotal:       65536 kB\nNode 2 MemFree:        1024 kB",
            ),
            (format!("{node}/online"), "2,10"),
        ];
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (&**path, *text)).collect();
        let host = host(&files).await;
        let found = numa(&host, &Facts::new(host.clone())).await;
        let first = NumaNode {
            node: 2,
            cpus: "0-7".into(),
            memory: 64 << 20,
            free: 1 << 20,
        };
        assert_eq!(found[0], first);
        assert_eq!((found[1].node, found.len()), (10, 2));
    }
}
