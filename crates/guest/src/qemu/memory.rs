//! Hot-pluggable memory: the memory at start, and the modules for the rest.
//!
//! The modules are Proxmox VE's, so that a guest imported from there has the same ones: 32 of 512
//! MiB, 32 of twice as much, and so on, over the NUMA nodes in turn. The amount of memory
//! determines the modules, and the last ones are unplugged first.

use serde_json::{Value, json};

use super::VmConfig;
use super::running::{Backend, RunningAs};

/// The number of module slots of a machine.
pub(super) const SLOTS: u16 = 255;
/// The memory that is not in modules.
const FIRST_MIB: u64 = 1024;
const SMALLEST_MODULE_MIB: u64 = 512;
const MODULES_OF_A_SIZE: u16 = 32;
/// The width of a guest's physical addresses by default.
const ADDRESS_BITS: u32 = 40;
const MAX_MIB: u64 = 4 << 20;
/// Address space that QEMU reserves so that every module can begin at a whole GiB, and some more
/// for devices.
const RESERVED_MIB: u64 = (SLOTS as u64 + 5) << 10;

/// A module of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Module {
    pub(super) number: u16,
    pub(super) mib: u64,
    pub(super) node: u32,
}

/// The modules for this much memory on this many nodes.
pub(super) fn modules(memory_mib: u64, nodes: u32) -> impl Iterator<Item = Module> {
    let mut missing_mib = memory_mib.saturating_sub(FIRST_MIB);
    (0..SLOTS).map_while(move |number| {
        let mib = SMALLEST_MODULE_MIB << (number / MODULES_OF_A_SIZE);
        // A module larger than the rest was refused by `check`.
        missing_mib = missing_mib.checked_sub(mib)?;
        Some(Module {
            number,
            mib,
            node: u32::from(number % MODULES_OF_A_SIZE) % nodes,
        })
    })
}

/// The memory without any module.
pub(super) fn at_start_mib(config: &VmConfig) -> u64 {
    if config.hotplug.memory {
        FIRST_MIB
    } else {
        config.memory_mib
    }
}

/// The maximum memory of a guest: half of its address space, and no more than QEMU's reserve
/// leaves.
pub(super) fn max_mib(config: &VmConfig) -> u64 {
    let configured = config.cpu.phys_bits.as_deref();
    let bits = configured.and_then(|bits| bits.parse::<u32>().ok());
    let addresses_mib = 1_u64 << bits.unwrap_or(ADDRESS_BITS).saturating_sub(20);
    let left_mib = addresses_mib.saturating_sub(RESERVED_MIB);
    (addresses_mib / 2).min(left_mib).min(MAX_MIB)
}

/// QEMU's ids of the possible modules, in order.
pub fn module_ids() -> impl DoubleEndedIterator<Item = String> {
    (0..SLOTS).map(module_id)
}

pub(super) fn module_id(number: u16) -> String {
    format!("dimm{number}")
}

/// QEMU's id of a module's memory.
pub fn object_id(module: &str) -> String {
    format!("mem-{module}")
}

/// QEMU's id of a machine's memory that is in one piece. Without an object QEMU calls it so itself,
/// and saved memory is found by this name.
pub(super) const WHOLE: &str = "pc.ram";

/// The size of pages of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HugePages {
    /// The largest that divide the memory and that the host has.
    Any,
    Mib(u32),
}

/// What a guest's memory is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backing {
    /// Another process reaches it: one that serves a folder.
    pub is_shared: bool,
    /// The size of its pages, if not the kernel's usual one.
    pub page_mib: Option<u32>,
}

impl Backing {
    pub fn of(config: &VmConfig, page_mib: Option<u32>) -> Self {
        Self {
            is_shared: !config.shares.is_empty(),
            page_mib,
        }
    }

    pub(super) fn is_plain(self) -> bool {
        self == Self::default()
    }

    /// The object of a piece of memory.
    pub(super) fn object(self, id: &str, mib: u64) -> Value {
        let mut object = json!({"qom-type": "memory-backend-ram", "id": id, "size": mib << 20});
        if self.is_plain() {
            return object;
        }
        object["qom-type"] = "memory-backend-memfd".into();
        object["share"] = self.is_shared.into();
        if let Some(page_mib) = self.page_mib {
            object["hugetlb"] = true.into();
            object["hugetlbsize"] = (u64::from(page_mib) << 20).into();
            // Later there may be no page left, which would kill the guest.
            object["prealloc"] = true.into();
        }
        object
    }
}

/// The pieces that a guest's memory is in at its start, in MiB, each with the nodes of the host that
/// it may be on.
pub fn pieces(running: &RunningAs) -> Vec<(u64, Vec<u32>)> {
    let nodes = u64::from(running.numa_nodes);
    let mut pieces: Vec<(u64, Vec<u32>)> = match (running.numa.is_empty(), nodes) {
        (false, _) => {
            let described = running.numa.iter();
            described
                .map(|node| {
                    let on = node.host_nodes.iter();
                    let on = on.flat_map(|(first, last)| *first..=*last);
                    (node.memory_mib, on.collect())
                })
                .collect()
        }
        (true, 0) => vec![(running.memory_mib, Vec::new())],
        (true, _) => share_out(running.memory_mib, nodes)
            .map(|mib| (mib, Vec::new()))
            .collect(),
    };
    let modules = running.devices.iter();
    pieces.extend(modules.filter_map(|device| match device.backend {
        Backend::Memory { mib } => Some((mib, Vec::new())),
        _ => None,
    }));
    pieces
}

/// Equal parts; the last one has what remains.
pub fn share_out(memory_mib: u64, nodes: u64) -> impl Iterator<Item = u64> {
    (1..=nodes).map(move |node| {
        let rest = if node == nodes { memory_mib % nodes } else { 0 };
        memory_mib / nodes + rest
    })
}

/// The memory of a module, for `object-add`.
pub fn object(module: &str, mib: u64, backing: Backing) -> Value {
    backing.object(&object_id(module), mib)
}

/// Whether this amount of memory is possible; the error has Proxmox VE's text.
pub(super) fn check(config: &VmConfig) -> Result<(), String> {
    let memory_mib = config.memory_mib;
    let max_mib = max_mib(config);
    let in_modules: u64 = modules(memory_mib, config.sockets)
        .map(|module| module.mib)
        .sum();
    if !config.numa {
        return Err("NUMA needs to be enabled for memory hotplug".to_owned());
    }
    if !config.numa_nodes.is_empty() {
        return Err("cannot enable memory hotplugging with custom NUMA topology".to_owned());
    }
    if memory_mib > max_mib {
        return Err(format!("Total memory is bigger than {max_mib}MB"));
    }
    if memory_mib < FIRST_MIB {
        return Err(format!("minimum memory must be {FIRST_MIB}MB"));
    }
    if FIRST_MIB + in_modules != memory_mib {
        let next = modules(u64::MAX, 1).nth(modules(memory_mib, 1).count());
        let size = next.map_or(SMALLEST_MODULE_MIB, |module| module.mib);
        return Err(format!(
            "memory size ({memory_mib}) must be aligned to {size} for hotplugging"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(memory_mib: u64) -> Vec<u64> {
        modules(memory_mib, 1).map(|module| module.mib).collect()
    }

    #[test]
    fn modules_grow_with_their_number() {
        assert_eq!(sizes(1024), [0; 0]);
        assert_eq!(sizes(2048), [512, 512]);
        let first_32_mib = 1024 + 32 * 512;
        assert_eq!(sizes(first_32_mib).len(), 32);
        assert_eq!(sizes(first_32_mib + 2048)[32..], [1024, 1024]);
        let nodes: Vec<u32> = modules(2560, 2).map(|module| module.node).collect();
        assert_eq!(nodes, [0, 1, 0]);
    }

    #[test]
    fn what_is_wrong_with_the_memory_is_told() {
        let told = |options: &[(&str, &str)]| {
            let mut config = model::GuestConfig::default();
            config.set("hotplug", "memory");
            for (option, value) in options {
                config.set(*option, *value);
            }
            check(&VmConfig::parse(&config).unwrap())
        };
        let numa = ("numa", "1");
        assert_eq!(told(&[numa, ("memory", "4096")]), Ok(()));
        let cases = [
            (
                vec![("memory", "2048")],
                "NUMA needs to be enabled for memory hotplug",
            ),
            (
                vec![numa, ("memory", "512")],
                "minimum memory must be 1024MB",
            ),
            (
                vec![numa, ("memory", "2000")],
                "memory size (2000) must be aligned to 512 for hotplugging",
            ),
            (
                vec![numa, ("memory", "17920")],
                "memory size (17920) must be aligned to 1024 for hotplugging",
            ),
            (
                vec![numa, ("memory", "524800")],
                "Total memory is bigger than 524288MB",
            ),
            (
                vec![numa, ("memory", "2048"), ("cpu", "qemu64,phys-bits=36")],
                "Total memory is bigger than 0MB",
            ),
            (
                vec![numa, ("memory", "2048"), ("numa0", "cpus=0,memory=2048")],
                "cannot enable memory hotplugging with custom NUMA topology",
            ),
        ];
        for (options, text) in cases {
            assert_eq!(told(&options), Err(text.to_owned()), "{options:?}");
        }
    }
}
