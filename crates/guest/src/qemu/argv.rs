//! The command line.

use model::qemu::{Aio, DriveSlot, DriveSource};
use model::{BlockSource, BlockSpec};
use serde_json::{Map, Value, json};

use super::behind::{Behind, DeviceFile, PciFunction, Taps, Volumes};
use super::block::{self, HostOptions};
use super::config::SerialPort;
use super::memory::{self, Backing};
use super::netdev;
use super::quote::quoted;
use super::running::{Accel, Backend, Device, NumaNode, RunningAs};
use super::{RuntimePaths, VmConfig};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgvError {
    #[error("{0} has no volume")]
    NoVolume(DriveSlot),
    #[error("net{0} has no tap device")]
    NoTap(u8),
    #[error("usb{0} has no device")]
    NoUsb(u8),
    #[error("{0} has no device")]
    NoPort(String),
    #[error("hostpci{0} has no device")]
    NoPci(u8),
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
    machine(
        &mut line,
        running,
        config,
        Backing::of(config, behind.page_mib),
    );
    descriptors(&mut line, behind);
    firmware(&mut line, running, volumes, paths)?;
    sockets(&mut line, running, config, paths);
    ports(&mut line, config, behind)?;
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

fn machine(line: &mut Line, running: &RunningAs, config: &VmConfig, backing: Backing) {
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
    let is_whole = running.numa.is_empty() && running.numa_nodes == 0;
    if is_whole && !backing.is_plain() {
        line.json(
            "-object",
            &backing.object(memory::WHOLE, running.memory_mib),
        );
        machine.push_str(&format!(",memory-backend={}", memory::WHOLE));
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
    numa(line, running, backing);
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
fn numa(line: &mut Line, running: &RunningAs, backing: Backing) {
    if !running.numa.is_empty() {
        return described_numa(line, &running.numa, backing);
    }
    let shares = memory::share_out(running.memory_mib, running.numa_nodes.into());
    for (node, mib) in (0_u64..).zip(shares) {
        let id = format!("ram-node{node}");
        line.json("-object", &backing.object(&id, mib));
        let first = node * u64::from(running.processors.cores);
        let last = first + u64::from(running.processors.cores) - 1;
        line.put(
            "-numa",
            format!("node,nodeid={node},cpus={first}-{last},memdev={id}"),
        );
    }
}

/// The nodes that the configuration describes.
fn described_numa(line: &mut Line, nodes: &[NumaNode], backing: Backing) {
    for (number, node) in nodes.iter().enumerate() {
        let id = format!("ram-node{number}");
        let mut object = backing.object(&id, node.memory_mib);
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
    let usbs = behind.usbs.iter();
    let usbs = usbs.map(|(index, file)| (format!("usb{index}"), file));
    let ports = behind.ports.iter();
    let ports = ports.map(|(option, file)| (option.clone(), file));
    for (option, file) in usbs.chain(ports) {
        if let DeviceFile::Descriptor(number) = file {
            line.put(
                "-add-fd",
                format!("fd={number},set={number},opaque={option}"),
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
            Backend::Serial(port) if config.serials.get(&port) == Some(&SerialPort::Socket) => {
                line.listening_socket(&port_id("serial", port), &paths.serial(port));
            }
            Backend::Share(index) => {
                let (id, path) = (share_socket(index), quoted(&paths.share(index)));
                line.put("-chardev", format!("socket,id={id},path={path}"));
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

const AUDIO: &str = "audio0-backend";

/// The id of what is at the other end of a port.
fn port_id(kind: &str, port: u8) -> String {
    format!("{kind}{port}-socket")
}

fn share_socket(index: u8) -> String {
    format!("virtiofs{index}-socket")
}

/// Serial and parallel ports of the host, and the sound card's other side.
fn ports(line: &mut Line, config: &VmConfig, behind: &Behind) -> Result<(), ArgvError> {
    let mut port = |kind: &str, number: u8| {
        let option = format!("{kind}{number}");
        let file = behind.ports.get(&option);
        let path = file
            .map(DeviceFile::path)
            .ok_or(ArgvError::NoPort(option))?;
        let (id, path) = (port_id(kind, number), quoted(&path));
        line.put("-chardev", format!("{kind},id={id},path={path}"));
        Ok(())
    };
    for (number, end) in &config.serials {
        if matches!(end, SerialPort::Device(_)) {
            port("serial", *number)?;
        }
    }
    for number in config.parallels.keys() {
        port("parallel", *number)?;
    }
    if config.audio.is_some() {
        line.json("-audiodev", &json!({"driver": "none", "id": AUDIO}));
    }
    Ok(())
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
        Backend::Serial(port) => named("chardev", port_id("serial", *port)),
        Backend::Parallel(port) => named("chardev", port_id("parallel", *port)),
        Backend::Share(index) => named("chardev", share_socket(*index)),
        Backend::Audio => named("audiodev", AUDIO.to_owned()),
        Backend::Pci { index, function } => pci(*index, *function, config, behind)?,
        Backend::Usb(index) => {
            let file = behind.usbs.get(index);
            file.ok_or(ArgvError::NoUsb(*index))?.joined()
        }
        Backend::Agent => named("chardev", AGENT_SOCKET.to_owned()),
        Backend::Tpm => named("tpmdev", TPM.to_owned()),
        Backend::Memory { mib } => {
            let backing = Backing::of(config, behind.page_mib);
            line.json("-object", &memory::object(&device.id, *mib, backing));
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

/// Where QEMU finds a function, and the ROM that the first one has instead of its own.
fn pci(
    index: u8,
    function: u8,
    config: &VmConfig,
    behind: &Behind,
) -> Result<Map<String, Value>, ArgvError> {
    let functions = behind.pcis.get(&index);
    let found = functions.and_then(|functions| functions.get(usize::from(function)));
    let mut joined = Map::new();
    match found.ok_or(ArgvError::NoPci(index))? {
        PciFunction::At(address) => joined.insert("host".to_owned(), address.as_str().into()),
        PciFunction::Mediated { uuid, .. } => {
            let path = format!("/sys/bus/mdev/devices/{uuid}");
            joined.insert("sysfsdev".to_owned(), path.into())
        }
    };
    let rom = config
        .pcis
        .get(&index)
        .and_then(|pci| pci.rom_file.as_ref());
    if let (Some(rom), 0) = (rom, function) {
        let path = format!("{}/{rom}", RuntimePaths::ROMS);
        joined.insert("romfile".to_owned(), path.into());
    }
    Ok(joined)
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
