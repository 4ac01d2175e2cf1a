//! A guest's configuration, typed and with its defaults filled in.

use std::collections::{BTreeMap, BTreeSet};

use model::qemu::{
    Agent, Audio, Boot, BootDevice, Chipset, CloudInit, Cpu, Display, Drive, DriveBus, DriveSlot,
    DriveSource, EfiDisk, HostPci, Hotplug, Machine, Net, Numa, Rng, Smbios, Startup, TpmState,
    Usb, UsbSource, Vga, ViommuKind, VirtioFs, Watchdog, parse_memory_mib,
};
use model::schema::PropertyError;
use model::{FieldErrors, GuestConfig, VolumeId};

use super::memory::{self, HugePages};
use super::words::split_words;

const UNBUILT: &str = "not supported by this version of Ostler";

/// The maximum number of processors in this layout.
const PROCESSORS_MAX: i64 = 255;

/// What is at the other end of a serial port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SerialPort {
    Socket,
    /// A device of the host, by its path.
    Device(String),
}

/// A guest's configuration, with Proxmox VE's defaults for missing options.
#[derive(Debug, Clone, PartialEq)]
pub struct VmConfig {
    pub name: Option<String>,
    pub os_type: String,
    pub machine: Machine,
    pub is_uefi: bool,
    pub efi_disk: Option<EfiDisk>,
    pub tpm: Option<TpmState>,
    pub watchdog: Option<Watchdog>,
    pub cpu: Cpu,
    pub sockets: u32,
    pub cores: u32,
    /// Processors at start; by default all.
    pub vcpus: Option<u32>,
    /// CPU time in processors; 0 for no limit.
    pub cpu_limit: f64,
    pub cpu_units: Option<u32>,
    /// Processors of the host, in the kernel's list format.
    pub affinity: Option<String>,
    pub memory_mib: u64,
    /// 0 for a guest without a balloon device.
    pub balloon_mib: Option<u64>,
    /// The size of the pages that its memory is made of; the kernel's usual ones if none.
    pub huge_pages: Option<HugePages>,
    /// Whether they are kept for the next start.
    pub keeps_huge_pages: bool,
    pub numa: bool,
    /// How memory and processors are divided; evenly if this is empty.
    pub numa_nodes: BTreeMap<u8, Numa>,
    /// Which kinds of devices may be hot-plugged.
    pub hotplug: Hotplug,
    /// Whether identical pages may be shared with other guests (KSM).
    pub shares_pages: bool,
    /// Whether hardware acceleration is requested.
    pub kvm: bool,
    pub acpi: bool,
    pub tablet: bool,
    pub scsi_hardware: String,
    pub drives: BTreeMap<DriveSlot, Drive>,
    pub nets: BTreeMap<u8, Net>,
    pub serials: BTreeMap<u8, SerialPort>,
    /// Parallel ports of the host, by their paths.
    pub parallels: BTreeMap<u8, String>,
    pub usbs: BTreeMap<u8, Usb>,
    pub pcis: BTreeMap<u8, HostPci>,
    /// How many functions each PCI device has on this host; one where that is not known.
    pub pci_functions: BTreeMap<u8, usize>,
    /// Folders of the host.
    pub shares: BTreeMap<u8, VirtioFs>,
    pub audio: Option<Audio>,
    pub agent: Agent,
    pub rng: Option<Rng>,
    pub vga: Vga,
    pub boot: Boot,
    pub boot_disk: Option<DriveSlot>,
    pub smbios: Smbios,
    pub vm_generation: Option<String>,
    /// The initial time of the guest's clock; by default the current time.
    pub start_date: Option<String>,
    pub local_time: bool,
    pub fixes_time_drift: bool,
    /// False where a reboot ends the guest.
    pub reboot: bool,
    /// Whether the guest stays paused after its start.
    pub freeze: bool,
    pub keyboard: Option<String>,
    /// More arguments for QEMU, after all others.
    pub args: Vec<String>,
    /// Run on the host before and after the guest starts and stops.
    pub hook_script: Option<VolumeId>,
    pub on_boot: bool,
    pub startup: Option<Startup>,
    pub protection: bool,
    pub cloud_init: CloudInit,
}

impl VmConfig {
    /// Reads a stored configuration. Errors cover all options at once; options that this crate does
    /// not know are ignored.
    pub fn parse(config: &GuestConfig) -> Result<Self, FieldErrors> {
        let mut reader = Reader {
            config,
            errors: FieldErrors::new(),
        };
        let parsed = read(&mut reader);
        check(&parsed, &mut reader.errors);
        if reader.errors.is_empty() {
            Ok(parsed)
        } else {
            Err(reader.errors)
        }
    }

    /// Checks that prevent a start although each option is valid by itself. They are made at the
    /// start because options may be set in any order.
    pub fn check_start(&self) -> Result<(), String> {
        if let Display::Serial(port) = self.display()
            && !self.serials.contains_key(&port)
        {
            return Err(format!("vga: there is no serial{port}"));
        }
        if self.hotplug.memory {
            memory::check(self)?;
        }
        self.check_iommu()?;
        self.check_pcis()
    }

    fn check_iommu(&self) -> Result<(), String> {
        let Some(kind) = self.machine.viommu else {
            return Ok(());
        };
        if self.machine.chipset() != Chipset::Q35 {
            return Err("machine: 'viommu' needs the machine type q35".to_owned());
        }
        let is_wrong = |bits| kind == ViommuKind::Intel && !matches!(bits, 39 | 48);
        if self.machine.viommu_bits.is_some_and(is_wrong) {
            return Err("machine: 'aw-bits' of an Intel IOMMU is 39 or 48".to_owned());
        }
        Ok(())
    }

    fn check_pcis(&self) -> Result<(), String> {
        let is_q35 = self.machine.chipset() == Chipset::Q35;
        for (index, pci) in &self.pcis {
            if pci.is_express && !is_q35 {
                return Err("q35 machine model is not enabled".to_owned());
            }
            let why = match pci {
                pci if !pci.is_legacy_igd => continue,
                _ if is_q35 => "needs the machine type i440fx",
                _ if self.has_framebuffer() => "needs 'vga: none'",
                pci if !pci.has_rom_bar => "needs 'rombar'",
                _ if self.legacy_igd() != Some(*index) => "is for one device",
                _ => continue,
            };
            return Err(format!("hostpci{index}: 'legacy-igd' {why}"));
        }
        Ok(())
    }

    /// The device that has the place of the display.
    pub fn legacy_igd(&self) -> Option<u8> {
        let mut pcis = self.pcis.iter();
        let (index, _) = pcis.find(|(_, pci)| pci.is_legacy_igd)?;
        Some(*index)
    }

    /// Whether a device of the host is the guest's display.
    pub fn has_passed_display(&self) -> bool {
        self.pcis.values().any(|pci| pci.is_display)
    }

    /// Whether its UEFI variables are lost when it stops.
    pub fn has_temporary_variables(&self) -> bool {
        self.is_uefi && self.efi_disk.is_none()
    }

    /// Warnings at each start: options that are stored but have no effect, and data that the guest
    /// will lose.
    pub fn start_warnings(&self) -> Vec<String> {
        let mut texts = Vec::new();
        if self.has_temporary_variables() {
            texts.push("no efidisk configured! Using temporary efivars disk.".to_owned());
        }
        if self.vga.clipboard {
            texts.push("vga: 'clipboard' is stored but has no effect yet".to_owned());
        }
        if self.display() == Display::VirtioGl {
            texts.push("vga: 'virtio-gl' is shown as 'virtio' yet".to_owned());
        }
        if self.audio.as_ref().is_some_and(|audio| audio.is_for_spice) {
            texts.push("audio0: nobody hears it: there is no SPICE yet".to_owned());
        }
        texts
    }

    pub fn display(&self) -> Display {
        // A device of the host that is the display takes the place of one that is not configured.
        let default = match self.has_passed_display() {
            true => Display::None,
            false => Display::default(),
        };
        self.vga.display.unwrap_or(default)
    }

    /// Whether there is a display for VNC.
    pub fn has_framebuffer(&self) -> bool {
        !matches!(self.display(), Display::None | Display::Serial(_))
    }

    pub fn is_windows(&self) -> bool {
        self.os_type.starts_with('w')
    }

    /// The first disk that is a host path and not a volume: storage operations do not work on it.
    pub fn path_disk(&self) -> Option<DriveSlot> {
        let is_path = |drive: &Drive| matches!(drive.source(), DriveSource::Path(_));
        let mut drives = self.drives.iter();
        drives
            .find(|(_, drive)| is_path(drive) && !drive.is_cdrom())
            .map(|(slot, _)| *slot)
    }

    /// The cloud-init drive.
    pub fn cloud_init_drive(&self) -> Option<(DriveSlot, &Drive)> {
        let mut drives = self.drives.iter();
        drives
            .find(|(_, drive)| drive.is_cloud_init())
            .map(|(slot, drive)| (*slot, drive))
    }

    /// The ids of the network cards with their link down. QEMU starts with every link up, so these
    /// are set down (`Qmp::set_link`) before the guest runs.
    pub fn pulled_cables(&self) -> Vec<String> {
        let pulled = self
            .nets
            .iter()
            .filter(|(_, net)| net.link_down == Some(true));
        pulled.map(|(index, _)| format!("net{index}")).collect()
    }

    /// The boot devices, in order.
    pub fn boot_devices(&self) -> Vec<BootDevice> {
        let nets: Vec<u8> = self.nets.keys().copied().collect();
        self.boot.devices(&self.drives, &nets, self.boot_disk)
    }
}

/// Reads options one by one and collects the errors.
struct Reader<'a> {
    config: &'a GuestConfig,
    errors: FieldErrors,
}

impl Reader<'_> {
    fn view<T>(
        &mut self,
        option: &str,
        parse: impl FnOnce(&str) -> Result<T, PropertyError>,
    ) -> Option<T> {
        match parse(&self.config.text(option)?) {
            Ok(view) => Some(view),
            Err(error) => {
                self.errors
                    .insert(option.to_owned(), error.for_parameter(option));
                None
            }
        }
    }

    fn text_or(&self, option: &str, default: &str) -> String {
        let text = self.config.text(option);
        text.unwrap_or_else(|| default.to_owned())
    }

    fn flag(&self, option: &str, default: bool) -> bool {
        self.config.flag(option).unwrap_or(default)
    }

    /// A whole number within bounds.
    fn count<T: TryFrom<i64>>(&mut self, option: &str, minimum: i64) -> Option<T> {
        let text = self.config.text(option)?;
        let number = self
            .config
            .integer(option)
            .filter(|number| *number >= minimum);
        let number = number.and_then(|number| T::try_from(number).ok());
        if number.is_none() {
            self.errors.insert(
                option.to_owned(),
                format!("'{text}' is not a number in range"),
            );
        }
        number
    }

    /// All options `stem0`, `stem1`, … below `count`.
    fn indexed<T>(
        &mut self,
        stem: &str,
        count: u8,
        parse: impl Fn(&str) -> Result<T, PropertyError>,
    ) -> BTreeMap<u8, T> {
        (0..count)
            .filter_map(|index| Some((index, self.view(&format!("{stem}{index}"), &parse)?)))
            .collect()
    }
}

fn read(from: &mut Reader<'_>) -> VmConfig {
    let os_type = from.text_or("ostype", "other");
    let is_windows = os_type.starts_with('w');
    VmConfig {
        name: from.config.text("name"),
        machine: from.view("machine", Machine::parse).unwrap_or_default(),
        is_uefi: from.config.text("bios").as_deref() == Some("ovmf"),
        efi_disk: from.view("efidisk0", EfiDisk::parse),
        tpm: from.view("tpmstate0", TpmState::parse),
        watchdog: from.view("watchdog", Watchdog::parse),
        cpu: from.view("cpu", Cpu::parse).unwrap_or_default(),
        // `smp` is the old name of `sockets`.
        sockets: from
            .count("sockets", 1)
            .or_else(|| from.count("smp", 1))
            .unwrap_or(1),
        cores: from.count("cores", 1).unwrap_or(1),
        vcpus: from.count("vcpus", 1),
        cpu_limit: cpu_limit(from.config),
        cpu_units: from.count("cpuunits", 1),
        affinity: from.config.text("affinity"),
        memory_mib: from.view("memory", parse_memory_mib).unwrap_or(512),
        balloon_mib: from.count("balloon", 0),
        huge_pages: huge_pages(from.config),
        keeps_huge_pages: from.flag("keephugepages", false),
        numa: from.flag("numa", false),
        numa_nodes: from.indexed("numa", 8, Numa::parse),
        hotplug: hotplug(from.config),
        shares_pages: from.flag("allow-ksm", true),
        kvm: from.flag("kvm", true),
        acpi: from.flag("acpi", true),
        tablet: from.flag("tablet", true),
        scsi_hardware: from.text_or("scsihw", "lsi"),
        drives: drives(from),
        nets: from.indexed("net", 32, Net::parse),
        serials: serials(from.config),
        parallels: parallels(from.config),
        usbs: from.indexed("usb", Usb::COUNT, Usb::parse),
        pcis: from.indexed("hostpci", HostPci::COUNT, HostPci::parse),
        pci_functions: BTreeMap::new(),
        shares: from.indexed("virtiofs", VirtioFs::COUNT, VirtioFs::parse),
        audio: from.view("audio0", Audio::parse),
        agent: from.view("agent", Agent::parse).unwrap_or_default(),
        rng: from.view("rng0", Rng::parse),
        vga: from.view("vga", Vga::parse).unwrap_or_default(),
        boot: from.view("boot", Boot::parse).unwrap_or_default(),
        boot_disk: boot_disk(from.config),
        smbios: from.view("smbios1", Smbios::parse).unwrap_or_default(),
        // 0 means none, and so does 1, which creation replaces by a random one.
        vm_generation: from.config.text("vmgenid").filter(|text| text.len() > 1),
        start_date: from.config.text("startdate").filter(|text| text != "now"),
        local_time: from.flag("localtime", is_windows),
        fixes_time_drift: from.flag("tdf", false),
        reboot: from.flag("reboot", true),
        freeze: from.flag("freeze", false),
        keyboard: from.config.text("keyboard"),
        args: args(from),
        hook_script: hook_script(from.config),
        on_boot: from.flag("onboot", false),
        startup: from.view("startup", Startup::parse),
        protection: from.flag("protection", false),
        cloud_init: CloudInit::read(from.config, &mut from.errors),
        os_type,
    }
}

fn cpu_limit(config: &GuestConfig) -> f64 {
    let text = config.text("cpulimit");
    text.and_then(|text| text.parse().ok()).unwrap_or(0.0)
}

fn huge_pages(config: &GuestConfig) -> Option<HugePages> {
    let text = config.text("hugepages")?;
    Some(text.parse().map_or(HugePages::Any, HugePages::Mib))
}

fn hotplug(config: &GuestConfig) -> Hotplug {
    let text = config.text("hotplug");
    text.map(|text| Hotplug::parse(&text)).unwrap_or_default()
}

fn boot_disk(config: &GuestConfig) -> Option<DriveSlot> {
    config.text("bootdisk")?.parse().ok()
}

fn parallels(config: &GuestConfig) -> BTreeMap<u8, String> {
    let path = |index: u8| Some((index, config.text(&format!("parallel{index}"))?));
    (0..3).filter_map(path).collect()
}

fn hook_script(config: &GuestConfig) -> Option<VolumeId> {
    config.text("hookscript")?.parse().ok()
}

fn args(from: &mut Reader<'_>) -> Vec<String> {
    let text = from.config.text("args").unwrap_or_default();
    let words = split_words(&text);
    if words.is_none() {
        let reason = "a quotation does not end".to_owned();
        from.errors.insert("args".to_owned(), reason);
    }
    words.unwrap_or_default()
}

fn drives(from: &mut Reader<'_>) -> BTreeMap<DriveSlot, Drive> {
    let mut drives = BTreeMap::new();
    let buses = DriveBus::ALL.into_iter().filter(|bus| bus.is_seen());
    for bus in buses {
        for index in 0..bus.count() {
            let Ok(slot) = DriveSlot::new(bus, index) else {
                continue;
            };
            if let Some(drive) = from.view(&slot.to_string(), |text| Drive::parse(bus, text)) {
                drives.insert(slot, drive);
            }
        }
    }
    drives
}

fn serials(config: &GuestConfig) -> BTreeMap<u8, SerialPort> {
    let port = |number: u8| {
        let port = match config.text(&format!("serial{number}"))?.as_str() {
            "socket" => SerialPort::Socket,
            path => SerialPort::Device(path.to_owned()),
        };
        Some((number, port))
    };
    (0..4).filter_map(port).collect()
}

/// Conflicts between options, and valid values that this version does not support.
fn check(config: &VmConfig, errors: &mut FieldErrors) {
    let mut wrong = |option: &str, reason: String| {
        errors.entry(option.to_owned()).or_insert(reason);
    };
    if config.machine.chipset() == Chipset::Virt {
        wrong(
            "machine",
            format!("a machine of another processor is {UNBUILT}"),
        );
    }
    for (index, usb) in &config.usbs {
        if usb.source == UsbSource::Spice {
            wrong(&format!("usb{index}"), format!("SPICE is {UNBUILT}"));
        }
    }
    let total = i64::from(config.sockets).saturating_mul(i64::from(config.cores));
    if total > PROCESSORS_MAX {
        wrong(
            "cores",
            format!("a guest may have {PROCESSORS_MAX} processors at most"),
        );
    }
    if config.vcpus.is_some_and(|vcpus| i64::from(vcpus) > total) {
        wrong("vcpus", format!("MAX {total} vcpus allowed per VM"));
    }
    if config.numa && !config.numa_nodes.is_empty() {
        check_numa(config, &mut wrong);
    }
    for (slot, drive) in &config.drives {
        let reason = match drive.source() {
            DriveSource::New { .. } | DriveSource::NewCloudInit { .. } => {
                "the volume has not been created".to_owned()
            }
            DriveSource::Empty if !drive.is_cdrom() => "a disk needs a volume".to_owned(),
            _ => continue,
        };
        wrong(&slot.to_string(), reason);
    }
}

/// Memory must be divided completely, from node 0 on, and every processor must be in exactly one
/// node.
fn check_numa(config: &VmConfig, wrong: &mut impl FnMut(&str, String)) {
    let total = config.sockets * config.cores;
    let (mut memory_mib, mut seen) = (0, BTreeSet::new());
    for (place, (index, node)) in config.numa_nodes.iter().enumerate() {
        let option = format!("numa{index}");
        if place != usize::from(*index) {
            wrong(&option, format!("missing NUMA node {place}"));
        }
        match node.memory_mib() {
            Some(share) => memory_mib += share,
            None => wrong(&option, "missing NUMA node memory value".to_owned()),
        }
        for (first, last) in node.cpus() {
            for cpu in first..=last.min(total) {
                if cpu >= total {
                    wrong(&option, format!("NUMA node cpu {cpu} does not exist"));
                } else if !seen.insert(cpu) {
                    wrong(&option, format!("cpu {cpu} belongs to two NUMA nodes"));
                }
            }
        }
        if node.policy().is_none() && !node.host_nodes().is_empty() {
            wrong(&option, "hostnodes need a policy".to_owned());
        }
    }
    if memory_mib != config.memory_mib {
        let text = "total memory for NUMA nodes must be equal to vm static memory";
        wrong("numa0", text.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[(&str, &str)]) -> Result<VmConfig, FieldErrors> {
        let mut config = GuestConfig::default();
        for (option, value) in options {
            config.set(*option, *value);
        }
        VmConfig::parse(&config)
    }

    #[test]
    fn silence_means_the_known_defaults() {
        let config = parse(&[]).unwrap();
        assert_eq!(
            (config.memory_mib, config.sockets, config.cores),
            (512, 1, 1)
        );
        assert_eq!(
            (config.kvm, config.acpi, config.tablet, config.reboot),
            (true, true, true, true)
        );
        assert_eq!(
            (config.scsi_hardware.as_str(), config.local_time),
            ("lsi", false)
        );
        assert_eq!(config.display(), Display::Std);
        assert!(parse(&[("ostype", "win11")]).unwrap().local_time);
    }

    #[test]
    fn every_wrong_option_is_named() {
        let cases = [
            ("net0", "foo=bar"),
            ("cores", "x"),
            ("memory", "1"),
            ("scsi0", "local:8"),
            ("scsi1", "none,media=disk"),
            ("hostpci0", "1:0"),
            ("usb0", "spice"),
            ("machine", "virt"),
            ("vcpus", "2"),
            ("args", "'open"),
        ];
        let errors = parse(&cases).unwrap_err();
        assert_eq!(errors.len(), cases.len(), "{errors:?}");
        for (option, _) in cases {
            assert!(errors.contains_key(option), "{option}");
        }
    }

    #[test]
    fn options_that_need_another_are_checked_at_the_start() {
        for (options, text) in [
            (&[("vga", "serial1")][..], "vga: there is no serial1"),
            (
                &[("hotplug", "disk,memory"), ("memory", "2048")],
                "NUMA needs to be enabled for memory hotplug",
            ),
            (
                &[("hotplug", "memory"), ("numa", "1")],
                "minimum memory must be 1024MB",
            ),
        ] {
            assert_eq!(parse(options).unwrap().check_start(), Err(text.to_owned()));
        }
        for (machine, pci, text) in [
            ("pc", "01:00,pcie=1", "q35 machine model is not enabled"),
            (
                "q35",
                "00:02.0,legacy-igd=1",
                "hostpci0: 'legacy-igd' needs the machine type i440fx",
            ),
            (
                "pc",
                "00:02.0,legacy-igd=1",
                "hostpci0: 'legacy-igd' needs 'vga: none'",
            ),
            (
                "pc,viommu=intel",
                "01:00",
                "machine: 'viommu' needs the machine type q35",
            ),
            (
                "q35,viommu=intel,aw-bits=40",
                "01:00",
                "machine: 'aw-bits' of an Intel IOMMU is 39 or 48",
            ),
        ] {
            let options = [("machine", machine), ("hostpci0", pci)];
            assert_eq!(parse(&options).unwrap().check_start(), Err(text.to_owned()));
        }
        let right = [("vga", "serial1"), ("serial1", "socket")];
        assert_eq!(parse(&right).unwrap().check_start(), Ok(()));
    }

    #[test]
    fn what_the_guest_will_not_have_is_said() {
        let options = [("bios", "ovmf"), ("vga", "virtio-gl,clipboard=vnc")];
        assert_eq!(parse(&options).unwrap().start_warnings().len(), 3);
        assert!(parse(&[]).unwrap().start_warnings().is_empty());
    }

    #[test]
    fn what_belongs_to_others_is_passed_over() {
        parse(&[
            ("meta", "creation-qemu=10.0.2,ctime=1"),
            ("digest", "x"),
            ("parent", "s1"),
        ])
        .unwrap();
    }
}
