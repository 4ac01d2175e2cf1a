//! The command line.

use std::collections::BTreeMap;

use model::qemu::{Aio, DriveSlot, DriveSource};
use model::{BlockSource, BlockSpec};
use serde_json::{Map, Value, json};

use super::block::{self, HostOptions};
use super::netdev::{self, Tap};
use super::quote::quoted;
use super::running::{Accel, Backend, Device, NumaNode, RunningAs};
use super::{RuntimePaths, VmConfig, memory};

/// The volume behind each drive that has one.
pub type Volumes = BTreeMap<DriveSlot, BlockSpec>;

/// The tap behind each network card that is on a bridge.
pub type Taps = BTreeMap<u8, Tap>;

/// The device file behind each USB device: a descriptor in the new process, or its path.
pub type Usbs = BTreeMap<u8, UsbFile>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsbFile {
    Descriptor(i32),
    Path(String),
}

impl UsbFile {
    /// The property that names it to QEMU's device.
    pub fn joined(&self) -> Map<String, Value> {
        let file = match self {
            Self::Descriptor(number) => format!("/dev/fdset/{number}"),
            Self::Path(path) => path.clone(),
        };
        Map::from_iter([("hostdevice".to_owned(), file.into())])
    }
}

/// The host's side of a guest's devices.
#[derive(Debug, Clone, Default)]
pub struct Behind {
    pub volumes: Volumes,
    pub taps: Taps,
    pub usbs: Usbs,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgvError {
    #[error("{0} has no volume")]
    NoVolume(DriveSlot),
    #[error("net{0} has no tap device")]
    NoTap(u8),
    #[error("usb{0} has no device")]
    NoUsb(u8),
    #[error("path '{0}' is not absolute")]
    RelativePath(String),
}

/// The arguments of `qemu-system-x86_64`, without its name.
///
/// Everything that the guest can see comes from `running` alone; `config` gives the host's side of
/// it (caches, limits, the guest's name). The process starts paused (`-S`): `cont` is a step of its
/// own. Descriptors in `behind` are numbers in the new process.
pub fn argv(
    running: &RunningAs,
    config: &VmConfig,
    behind: &Behind,
    paths: &RuntimePaths,
    default_aio: Aio,
) -> Result<Vec<String>, ArgvError> {
    let volumes = &behind.volumes;
    let mut line = Line {
        arguments: Vec::new(),
    };
    check_paths(volumes, paths)?;
    process(&mut line, config);
    machine(&mut line, running, config);
    descriptors(&mut line, behind);
    firmware(&mut line, running, volumes, paths)?;
    sockets(&mut line, running, config, paths);
    for device in &running.devices {
        let backend = backend(&mut line, device, config, behind, default_aio)?;
        if let Some(thread) = &device.iothread {
            line.json("-object", &json!({"qom-type": "iothread", "id": thread}));
        }
        line.json("-device", &Value::Object(device.arguments(backend)));
    }
    line.arguments.extend(config.args.iter().cloned());
    Ok(line.arguments)
}

struct Line {
    arguments: Vec<String>,
}

impl Line {
    fn flag(&mut self, flag: &str) {
        self.arguments.push(flag.to_owned());
    }

    fn put(&mut self, flag: &str, value: impl Into<String>) {
        self.flag(flag);
        self.arguments.push(value.into());
    }

    /// JSON needs no further quoting.
    fn json(&mut self, flag: &str, value: &Value) {
        self.put(flag, value.to_string());
    }

    fn listening_socket(&mut self, id: &str, path: &str) {
        let path = quoted(path);
        self.put(
            "-chardev",
            format!("socket,id={id},path={path},server=on,wait=off"),
        );
    }
}

/// QEMU may change its directory, and a relative path breaks every later migration.
fn check_paths(volumes: &Volumes, paths: &RuntimePaths) -> Result<(), ArgvError> {
    let layers = volumes.values().flat_map(BlockSpec::layers);
    let images = layers.filter_map(|spec| spec.source.path());
    let mut all = images.chain([paths.directory.as_str(), &paths.firmware]);
    match all.find(|path| !path.starts_with('/')) {
        Some(path) => Err(ArgvError::RelativePath(path.to_owned())),
        None => Ok(()),
    }
}

fn process(line: &mut Line, config: &VmConfig) {
    if let Some(name) = &config.name {
        line.put("-name", format!("guest={},debug-threads=on", quoted(name)));
    }
    line.flag("-no-user-config");
    line.flag("-nodefaults");
    line.flag("-S");
    line.put(
        "-sandbox",
        "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
    );
    line.put("-msg", "timestamp=on");
    if !config.reboot {
        line.flag("-no-reboot");
    }
    if let Some(action) = config.watchdog.as_ref().and_then(|dog| dog.action()) {
        line.put("-action", format!("watchdog={action}"));
    }
}

fn machine(line: &mut Line, running: &RunningAs, config: &VmConfig) {
    let mut machine = format!("type={},accel={}", running.machine, running.accel.as_str());
    for (option, value) in &running.machine_options {
        machine.push_str(&format!(",{option}={value}"));
    }
    if !config.shares_pages {
        machine.push_str(",mem-merge=off");
    }
    if running.firmware.code_file().is_some() {
        let variables = block::node_name(DriveSlot::EFI);
        machine.push_str(&format!(",pflash0=firmware,pflash1={variables}"));
    }
    line.put("-machine", machine);
    line.put("-cpu", running.cpu.as_str());
    let cpus = running.processors;
    line.put(
        "-smp",
        format!(
            "cpus={},sockets={},cores={},threads=1,maxcpus={}",
            cpus.online,
            cpus.sockets,
            cpus.cores,
            cpus.total()
        ),
    );
    let mut memory = format!("size={}M", running.memory_mib);
    if let Some(max) = running.memory_max_mib {
        memory.push_str(&format!(",slots={},maxmem={max}M", memory::SLOTS));
    }
    line.put("-m", memory);
    numa(line, running);
    if let Some(smbios) = &running.smbios {
        line.put("-smbios", format!("type=1,{smbios}"));
    }
    line.put("-rtc", running.rtc.as_str());
    line.put("-boot", "menu=on,strict=on,reboot-timeout=1000");
    let is_kvm = running.accel == Accel::Kvm;
    for global in running
        .globals
        .iter()
        .filter(|global| is_kvm || !global.starts_with("kvm"))
    {
        line.put("-global", global.as_str());
    }
}

/// A node for each socket; the last one gets the remainder of the memory.
fn numa(line: &mut Line, running: &RunningAs) {
    if !running.numa.is_empty() {
        return described_numa(line, &running.numa);
    }
    let nodes = u64::from(running.numa_nodes);
    for node in 0..nodes {
        let share = running.memory_mib / nodes;
        let rest = if node + 1 == nodes {
            running.memory_mib % nodes
        } else {
            0
        };
        let id = format!("ram-node{node}");
        let size = (share + rest) << 20;
        line.json(
            "-object",
            &json!({"qom-type": "memory-backend-ram", "id": id, "size": size}),
        );
        let first = node * u64::from(running.processors.cores);
        let last = first + u64::from(running.processors.cores) - 1;
        line.put(
            "-numa",
            format!("node,nodeid={node},cpus={first}-{last},memdev={id}"),
        );
    }
}

/// The nodes that the configuration describes.
fn described_numa(line: &mut Line, nodes: &[NumaNode]) {
    for (number, node) in nodes.iter().enumerate() {
        let id = format!("ram-node{number}");
        let size = node.memory_mib << 20;
        let mut object = json!({"qom-type": "memory-backend-ram", "id": id, "size": size});
        if let Some(policy) = &node.policy {
            let host_nodes = node
                .host_nodes
                .iter()
                .flat_map(|(first, last)| *first..=*last);
            object["host-nodes"] = host_nodes.collect();
            object["policy"] = policy.as_str().into();
        }
        line.json("-object", &object);
        let cpus = node
            .cpus
            .iter()
            .map(|(first, last)| format!(",cpus={first}-{last}"));
        let cpus: String = cpus.collect();
        line.put("-numa", format!("node,nodeid={number}{cpus},memdev={id}"));
    }
}

/// Each passed descriptor gets an fd set of the same number, which is the image's path.
fn descriptors(line: &mut Line, behind: &Behind) {
    for (index, file) in &behind.usbs {
        if let UsbFile::Descriptor(number) = file {
            line.put(
                "-add-fd",
                format!("fd={number},set={number},opaque=usb{index}"),
            );
        }
    }
    for (slot, spec) in &behind.volumes {
        for layer in spec.layers() {
            if let BlockSource::Descriptor(number) | BlockSource::DeviceDescriptor(number) =
                layer.source
            {
                line.put("-add-fd", format!("fd={number},set={number},opaque={slot}"));
            }
        }
    }
}

fn firmware(
    line: &mut Line,
    running: &RunningAs,
    volumes: &Volumes,
    paths: &RuntimePaths,
) -> Result<(), ArgvError> {
    let Some(file) = running.firmware.code_file() else {
        return Ok(());
    };
    let variables = volumes
        .get(&DriveSlot::EFI)
        .ok_or(ArgvError::NoVolume(DriveSlot::EFI))?;
    let code = format!("{}/{file}", paths.firmware);
    line.json(
        "-blockdev",
        &json!({"driver": "file", "node-name": "firmware", "read-only": true, "filename": code}),
    );
    image(
        line,
        DriveSlot::EFI,
        variables,
        &HostOptions::for_efi(variables),
    );
    Ok(())
}

fn sockets(line: &mut Line, running: &RunningAs, config: &VmConfig, paths: &RuntimePaths) {
    line.listening_socket("control", &paths.control());
    line.put("-mon", "chardev=control,mode=control");
    let has_framebuffer = running.device("vga").is_some();
    line.put("-display", "none");
    if has_framebuffer {
        // No client gets in before the agent has set a password for one session.
        line.put("-vnc", format!("unix:{},password=on", quoted(&paths.vnc())));
        if let Some(keyboard) = &config.keyboard {
            line.put("-k", keyboard.as_str());
        }
    }
    for device in &running.devices {
        match device.backend {
            Backend::Serial(port) => {
                line.listening_socket(&serial_socket(port), &paths.serial(port));
            }
            Backend::Agent => line.listening_socket(AGENT_SOCKET, &paths.agent()),
            Backend::Tpm => {
                let path = quoted(&paths.tpm());
                line.put("-chardev", format!("socket,id={TPM}-socket,path={path}"));
                line.put("-tpmdev", format!("emulator,id={TPM},chardev={TPM}-socket"));
            }
            _ => {}
        }
    }
}

pub(super) const AGENT_SOCKET: &str = "agent-socket";
const TPM: &str = "tpm";

fn serial_socket(port: u8) -> String {
    format!("serial{port}-socket")
}

/// Adds the host's side of a device, and returns the properties that refer to it.
fn backend(
    line: &mut Line,
    device: &Device,
    config: &VmConfig,
    behind: &Behind,
    default_aio: Aio,
) -> Result<Map<String, Value>, ArgvError> {
    let named = |key: &str, name: String| Map::from_iter([(key.to_owned(), Value::from(name))]);
    Ok(match &device.backend {
        Backend::None => Map::new(),
        Backend::Drive(slot) => drive(line, *slot, config, &behind.volumes, default_aio)?,
        Backend::Net(index) => net(line, device, *index, config, &behind.taps)?,
        Backend::Serial(port) => named("chardev", serial_socket(*port)),
        Backend::Usb(index) => {
            let file = behind.usbs.get(index);
            file.ok_or(ArgvError::NoUsb(*index))?.joined()
        }
        Backend::Agent => named("chardev", AGENT_SOCKET.to_owned()),
        Backend::Tpm => named("tpmdev", TPM.to_owned()),
        Backend::Memory { mib } => {
            line.json("-object", &memory::object(&device.id, *mib));
            named("memdev", memory::object_id(&device.id))
        }
        Backend::Random { source } => {
            let id = "rng0-source";
            line.json(
                "-object",
                &json!({"qom-type": "rng-random", "id": id, "filename": source}),
            );
            named("rng", id.to_owned())
        }
    })
}

fn drive(
    line: &mut Line,
    slot: DriveSlot,
    config: &VmConfig,
    volumes: &Volumes,
    default_aio: Aio,
) -> Result<Map<String, Value>, ArgvError> {
    match (volumes.get(&slot), config.drives.get(&slot)) {
        (Some(spec), Some(drive)) => {
            let options = HostOptions::new(drive, spec, default_aio);
            image(line, slot, spec, &options);
            Ok(Map::from_iter([(
                "drive".to_owned(),
                block::node_name(slot).into(),
            )]))
        }
        // A drive without a medium, or the host's drive if the host has none.
        (None, Some(drive))
            if matches!(drive.source(), DriveSource::Empty | DriveSource::HostCdrom) =>
        {
            Ok(Map::new())
        }
        _ => Err(ArgvError::NoVolume(slot)),
    }
}

/// The block nodes of an image and of its backing chain.
fn image(line: &mut Line, slot: DriveSlot, spec: &BlockSpec, options: &HostOptions) {
    if let Some(throttle) = &options.throttle {
        line.json("-object", &block::throttle_object(slot, throttle));
    }
    for node in block::nodes(slot, spec, options) {
        line.json("-blockdev", &node);
    }
}

fn net(
    line: &mut Line,
    device: &Device,
    index: u8,
    config: &VmConfig,
    taps: &Taps,
) -> Result<Map<String, Value>, ArgvError> {
    let net = config.nets.get(&index).ok_or(ArgvError::NoTap(index))?;
    let mut joined = Map::new();
    joined.insert("netdev".to_owned(), netdev::netdev_id(index).into());
    match taps.get(&index) {
        Some(tap) => {
            line.json("-netdev", &netdev::tap_netdev(index, net, tap));
            // 1 means the bridge's MTU, which only the tap knows.
            if let (Some(1), Some(mtu)) = (net.mtu, tap.spec().mtu)
                && device.driver == "virtio-net-pci"
            {
                joined.insert("host_mtu".to_owned(), mtu.into());
            }
        }
        None if net.bridge.is_none() => line.json("-netdev", &netdev::user_netdev(index)),
        None => return Err(ArgvError::NoTap(index)),
    }
    Ok(joined)
}
