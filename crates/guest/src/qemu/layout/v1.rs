//! Layout 1.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::qemu::{AgentPort, BootDevice, Chipset, DriveBus, EfiType, Smbios, Usb, ViommuKind};

use super::LayoutError;
use super::address::{self, Place, Upstream, seat};
use super::devices::{ScsiHardware, display_device, drive_device, net_device, scsi_controller};
use crate::qemu::quote::quoted;
use crate::qemu::running::{Accel, Backend, Device, Firmware, NumaNode, Processors, RunningAs};
use crate::qemu::{QemuInfo, QemuVersion, VmConfig, cpu, memory};

const VERSION: u32 = 1;

/// The first boot index of disks, cards and their bridges. The firmware tries low numbers first;
/// lower ones are left for devices that an administrator adds by hand.
const FIRST_BOOT_INDEX: usize = 100;

pub(super) fn plan(
    config: &VmConfig,
    qemu: &QemuInfo,
    accel: Accel,
) -> Result<RunningAs, LayoutError> {
    let firmware = firmware(config);
    Ok(RunningAs {
        layout: VERSION,
        qemu: qemu.version.to_string(),
        machine: machine(config, qemu)?,
        machine_options: machine_options(config, firmware, accel),
        accel,
        cpu: cpu::argument(config, accel, qemu.version),
        processors: Processors {
            // The others are separate devices, so that they can be unplugged.
            online: if config.hotplug.cpu { 1 } else { vcpus(config) },
            sockets: config.sockets,
            cores: config.cores,
        },
        memory_mib: memory::at_start_mib(config),
        memory_max_mib: config.hotplug.memory.then(|| memory::max_mib(config)),
        numa_nodes: if config.numa { config.sockets } else { 0 },
        numa: numa(config),
        firmware,
        smbios: smbios(&config.smbios)?,
        rtc: rtc(config),
        globals: globals(config),
        devices: Planner::new(config, accel, qemu.version).devices(),
    })
}

/// The nodes that the configuration describes.
fn numa(config: &VmConfig) -> Vec<NumaNode> {
    let described = config.numa_nodes.values().filter(|_| config.numa);
    described
        .map(|node| {
            let host_nodes = node.host_nodes();
            // A policy is for nodes of the host.
            let policy = node.policy().filter(|_| !host_nodes.is_empty());
            NumaNode {
                cpus: node.cpus(),
                memory_mib: node.memory_mib().unwrap_or(0),
                policy: policy.map(str::to_owned),
                host_nodes,
            }
        })
        .collect()
}

fn vcpus(config: &VmConfig) -> u32 {
    config.vcpus.unwrap_or(config.sockets * config.cores)
}

/// The machine type with its version, so that it stays the same after an update.
fn machine(config: &VmConfig, qemu: &QemuInfo) -> Result<String, LayoutError> {
    let stem = if config.machine.chipset() == Chipset::Q35 {
        "pc-q35"
    } else {
        "pc-i440fx"
    };
    let own = format!("{}.{}", qemu.version.major, qemu.version.minor);
    let version = config.machine.version().unwrap_or(&own);
    let machine = format!("{stem}-{version}");
    let mut numbers = version
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or(u32::MAX));
    let wanted = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if wanted > (qemu.version.major, qemu.version.minor) {
        return Err(LayoutError::MachineTooNew {
            machine,
            qemu: qemu.version.to_string(),
        });
    }
    if !qemu.machines.is_empty() && !qemu.machines.contains(&machine) {
        return Err(LayoutError::MachineUnknown {
            machine,
            qemu: qemu.version.to_string(),
        });
    }
    Ok(machine)
}

fn firmware(config: &VmConfig) -> Firmware {
    if !config.is_uefi {
        return Firmware::SeaBios;
    }
    let disk = config.efi_disk.as_ref();
    let is_secure = disk.is_some_and(|disk| disk.has_enrolled_keys());
    match disk.map(|disk| disk.efi_type()) {
        Some(EfiType::TwoMiB) => Firmware::Ovmf2M,
        // Secure boot protects its variables with system management mode, which the i440fx lacks.
        _ if is_secure && config.machine.chipset() == Chipset::Q35 => Firmware::Ovmf4MSecure,
        _ => Firmware::Ovmf4M,
    }
}

fn machine_options(config: &VmConfig, firmware: Firmware, accel: Accel) -> Vec<(String, String)> {
    let mut options = vec![("dump-guest-core", "off"), ("vmport", "off")];
    if !config.acpi {
        options.push(("acpi", "off"));
    }
    if config.is_windows() {
        // Windows prefers this timer if it exists, and it is slow.
        options.push(("hpet", "off"));
    }
    if firmware == Firmware::Ovmf4MSecure {
        options.push(("smm", "on"));
    }
    if config.machine.viommu == Some(ViommuKind::Intel) && accel == Accel::Kvm {
        // The kernel's interrupt controller does not know of the IOMMU.
        options.push(("kernel-irqchip", "split"));
    }
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    options.into_iter().map(owned).collect()
}

fn globals(config: &VmConfig) -> Vec<String> {
    let power = if config.machine.chipset() == Chipset::Q35 {
        "ICH9-LPC"
    } else {
        "PIIX4_PM"
    };
    let mut globals = Vec::new();
    for (state, enabled) in [("s3", config.machine.s3), ("s4", config.machine.s4)] {
        if enabled != Some(true) {
            globals.push(format!("{power}.disable_{state}=1"));
        }
    }
    if config.fixes_time_drift || config.is_windows() {
        globals.push("kvm-pit.lost_tick_policy=discard".to_owned());
    }
    globals
}

fn rtc(config: &VmConfig) -> String {
    let base = match &config.start_date {
        Some(date) => date.as_str(),
        None if config.local_time => "localtime",
        None => "utc",
    };
    let drift = if config.fixes_time_drift || config.is_windows() {
        ",driftfix=slew"
    } else {
        ""
    };
    format!("base={base}{drift}")
}

/// The text after `type=1,`.
fn smbios(smbios: &Smbios) -> Result<Option<String>, LayoutError> {
    let mut parts = Vec::new();
    if let Some(uuid) = &smbios.uuid {
        parts.push(format!("uuid={uuid}"));
    }
    for (key, text) in smbios.texts() {
        let bad = || LayoutError::Smbios { text: text.clone() };
        let text = if smbios.base64 == Some(true) {
            let bytes = STANDARD.decode(text).map_err(|_| bad())?;
            String::from_utf8(bytes)
                .ok()
                .filter(|text| !text.contains('\0'))
                .ok_or_else(bad)?
        } else {
            text.clone()
        };
        parts.push(format!("{key}={}", quoted(&text)));
    }
    Ok(if parts.is_empty() {
        None
    } else {
        Some(parts.join(","))
    })
}

/// Collects the devices in an order in which parents come first.
pub(super) struct Planner<'a> {
    pub(super) config: &'a VmConfig,
    pub(super) version: QemuVersion,
    /// The name of QEMU's processor device.
    processor: String,
    pub(super) chipset: Chipset,
    scsi: ScsiHardware,
    upstream: BTreeSet<Upstream>,
    pub(super) devices: Vec<Device>,
}

impl<'a> Planner<'a> {
    fn new(config: &'a VmConfig, accel: Accel, version: QemuVersion) -> Self {
        let chipset = config.machine.chipset();
        let argument = cpu::argument(config, accel, version);
        let model = argument.split(',').next().unwrap_or_default();
        let scsi = ScsiHardware::from_name(&config.scsi_hardware);
        let is_single = matches!(scsi, ScsiHardware::Single);
        Self {
            config,
            version,
            processor: format!("{model}-x86_64-cpu"),
            chipset,
            scsi,
            upstream: address::always(chipset, is_single).into_iter().collect(),
            devices: Vec::new(),
        }
    }

    fn devices(mut self) -> Vec<Device> {
        self.processors();
        self.memory();
        self.board();
        self.channels();
        self.usbs();
        self.drives();
        self.nets();
        self.ports_of_host();
        self.pcis();
        self.shares();
        self.sound();
        let ports = self.upstream_devices();
        // QEMU wants the IOMMU before the devices that it keeps apart.
        [self.iommu(), ports, self.devices].concat()
    }

    /// Records the parent of a device at this place, and returns the device's bus and address.
    pub(super) fn sit(&mut self, place: Place) -> (String, String) {
        let seat = seat(self.chipset, place);
        if let Some(Upstream::Port { slot, .. }) = seat.upstream {
            // A slot without its first function looks empty, so the others would not be found.
            self.upstream.insert(Upstream::Port { slot, function: 0 });
        }
        self.upstream.extend(seat.upstream.clone());
        seat.bus_and_addr(self.chipset)
    }

    /// The processors after the first one, if they can be hot-plugged.
    fn processors(&mut self) {
        if !self.config.hotplug.cpu {
            return;
        }
        for number in 2..=vcpus(self.config) {
            let device = Device::new(&self.processor, format!("cpu{number}"))
                .with("socket-id", (number - 1) / self.config.cores)
                .with("core-id", (number - 1) % self.config.cores)
                .with("thread-id", 0);
            self.devices.push(device);
        }
    }

    /// The memory after the first part, if it can be hot-plugged.
    fn memory(&mut self) {
        if !self.config.hotplug.memory {
            return;
        }
        let modules = memory::modules(self.config.memory_mib, self.config.sockets);
        self.devices.extend(modules.map(|module| {
            Device::new("pc-dimm", memory::module_id(module.number))
                .with("node", module.node)
                .backed_by(Backend::Memory { mib: module.mib })
        }));
    }

    /// Display, tablet, balloon, random numbers, generation id.
    fn board(&mut self) {
        self.devices.extend(display_device(
            self.chipset,
            self.config.display(),
            &self.config.vga,
        ));
        if self.config.tablet && self.config.has_framebuffer() {
            let place = self.sit(Place::Usb);
            let q35 = self.chipset == Chipset::Q35;
            let driver = if q35 {
                "ich9-usb-uhci1"
            } else {
                "piix3-usb-uhci"
            };
            self.devices.push(Device::new(driver, "uhci").at(place));
            let tablet = Device::new("usb-tablet", "tablet")
                .on("uhci.0")
                .with("port", "1");
            self.devices.push(tablet);
        }
        if self.config.balloon_mib != Some(0) {
            let place = self.sit(Place::Balloon);
            let balloon = Device::new("virtio-balloon-pci", "balloon0").at(place);
            self.devices.push(balloon.with("free-page-reporting", true));
        }
        if let Some(rng) = &self.config.rng {
            let place = self.sit(Place::Random);
            let mut device =
                Device::new("virtio-rng-pci", "rng0")
                    .at(place)
                    .backed_by(Backend::Random {
                        source: rng.source.clone(),
                    });
            let bytes = rng.bytes_max.unwrap_or(1024);
            if bytes > 0 {
                let period = rng.period_ms.unwrap_or(1000).max(1);
                device = device.with("max-bytes", bytes).with("period", period);
            }
            self.devices.push(device);
        }
        if let Some(guid) = &self.config.vm_generation {
            self.devices
                .push(Device::new("vmgenid", "vmgenid").with("guid", guid.as_str()));
        }
        self.guards();
    }

    /// Watchdog and TPM.
    fn guards(&mut self) {
        if let Some(watchdog) = &self.config.watchdog {
            let device = Device::new(watchdog.model(), "watchdog");
            let device = match watchdog.model() {
                "ib700" => device,
                _ => {
                    let place = self.sit(Place::Watchdog);
                    device.at(place)
                }
            };
            self.devices.push(device);
        }
        if self.config.tpm.is_some() {
            self.devices
                .push(Device::new("tpm-tis", "tpm0").backed_by(Backend::Tpm));
        }
    }

    /// Serial ports and the agent's channel.
    fn channels(&mut self) {
        for port in self.config.serials.keys() {
            let device = Device::new("isa-serial", format!("serial{port}"))
                .with("index", *port)
                .backed_by(Backend::Serial(*port));
            self.devices.push(device);
        }
        if !self.config.agent.enabled {
            return;
        }
        if self.config.agent.port == Some(AgentPort::Isa) {
            self.devices
                .push(Device::new("isa-serial", "agent").backed_by(Backend::Agent));
            return;
        }
        let place = self.sit(Place::Agent);
        self.devices
            .push(Device::new("virtio-serial-pci", "qga0").at(place));
        let port = Device::new("virtserialport", "agent")
            .on("qga0.0")
            .with("nr", 1)
            .with("name", "org.qemu.guest_agent.0")
            .backed_by(Backend::Agent);
        self.devices.push(port);
    }

    /// USB devices of the host, each at its own port of one controller for all speeds.
    fn usbs(&mut self) {
        if self.config.usbs.is_empty() {
            return;
        }
        let ports = Usb::COUNT;
        let controller = Device::new("qemu-xhci", "xhci")
            .with("p2", ports)
            .with("p3", ports);
        self.controller(Place::Xhci, controller);
        let boot = self.boot_indexes();
        for index in self.config.usbs.keys() {
            let id = format!("usb{index}");
            let boot_index = boot.get(&id).copied();
            let device = Device::new("usb-host", id)
                .on("xhci.0")
                .with("port", (index + 1).to_string())
                .with_some("bootindex", boot_index)
                .backed_by(Backend::Usb(*index));
            self.devices.push(device);
        }
    }

    fn drives(&mut self) {
        let boot = self.boot_indexes();
        for (slot, drive) in &self.config.drives {
            match slot.bus() {
                DriveBus::Scsi => {
                    let (place, controller) = scsi_controller(self.scsi, *slot, drive);
                    self.controller(place, controller);
                }
                DriveBus::Sata => self.controller(Place::Sata, Device::new("ich9-ahci", "ahci0")),
                DriveBus::Virtio => {
                    self.sit(Place::Virtio(slot.index()));
                }
                DriveBus::Ide | DriveBus::Efi | DriveBus::Tpm => {}
            }
            let index = boot.get(&BootDevice::Drive(*slot).to_string()).copied();
            self.devices
                .push(drive_device(self.chipset, self.scsi, *slot, drive, index));
        }
    }

    /// Adds a controller once.
    fn controller(&mut self, place: Place, device: Device) {
        if self.devices.iter().all(|other| other.id != device.id) {
            let place = self.sit(place);
            self.devices.push(device.at(place));
        }
    }

    fn nets(&mut self) {
        let boot = self.boot_indexes();
        for (index, net) in &self.config.nets {
            self.sit(Place::Net(*index));
            let boot_index = boot.get(&BootDevice::Net(*index).to_string()).copied();
            self.devices
                .push(net_device(self.chipset, *index, net, boot_index));
        }
    }

    pub(super) fn boot_indexes(&self) -> BTreeMap<String, usize> {
        let names = self
            .config
            .boot_devices()
            .into_iter()
            .map(|device| device.to_string());
        let mut indexes = BTreeMap::new();
        for (index, name) in names.enumerate() {
            indexes.entry(name).or_insert(FIRST_BOOT_INDEX + index);
        }
        indexes
    }

    fn upstream_devices(&self) -> Vec<Device> {
        let device = |upstream: &Upstream| match upstream {
            Upstream::Bridge { slot, .. } if self.chipset == Chipset::Q35 => {
                Device::new("pcie-pci-bridge", upstream.id())
                    .at(("pcie.0".to_owned(), format!("0x{slot:x}")))
            }
            Upstream::Bridge { number, slot } => Device::new("pci-bridge", upstream.id())
                .at(("pci.0".to_owned(), format!("0x{slot:x}")))
                .with("chassis_nr", *number),
            Upstream::Port { slot, function } => Device::new("pcie-root-port", upstream.id())
                .at(("pcie.0".to_owned(), format!("0x{slot:x}.{function}")))
                .with("multifunction", true)
                .with("chassis", 1)
                // Unique in the machine, and independent of other devices.
                .with("slot", u32::from(*slot) * 8 + u32::from(*function)),
        };
        self.upstream.iter().map(device).collect()
    }
}
