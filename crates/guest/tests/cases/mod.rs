//! Guests for the tests of the command line, and helpers to start real ones.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test program uses its own part"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "a test's own children, each waited for"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use testkit::left_out::missing;

use guest::qemu::{
    Accel, Behind, QemuInfo, Qmp, RunningAs, RuntimePaths, Tap, Taps, VmConfig, Volumes, argv, plan,
};
use model::qemu::{Aio, DriveSlot};
use model::{BlockFormat, BlockSource, BlockSpec, GuestConfig, PortSpec, Vlans};

pub const PROGRAM: &str = "qemu-system-x86_64";

/// A configuration, one option per line: `name: value`.
pub struct Case {
    pub name: &'static str,
    pub options: &'static str,
}

impl Case {
    /// Whether it needs devices, folders or pages of the host.
    pub fn is_of_host(&self) -> bool {
        let needed = ["hostpci", "virtiofs", "/dev/", "hugepages"];
        needed.iter().any(|option| self.options.contains(option))
    }
}

const fn case(name: &'static str, options: &'static str) -> Case {
    Case { name, options }
}

pub const CASES: &[Case] = &[
    case("minimal", "memory: 128"),
    case(
        "i440fx_scsi",
        "name: web,1\nmemory: 256\ncores: 2\nsockets: 2\nvcpus: 3\nscsihw: virtio-scsi-pci\n\
         scsi0: local:1/a.qcow2,discard=on,ssd=1,serial=DISK%2C1\nscsi3: local:1/b.raw,cache=writeback\n\
         boot: order=scsi0\nsmbios1: uuid=8d3ec6e4-3a2f-4b7e-9a5c-0123456789ab,product=T25l,family=QSwgYg==,base64=1\n\
         vmgenid: 7a1c3e1e-b6c0-4ace-b2db-f6f6cb35282b",
    ),
    case(
        "devices_of_the_host",
        "memory: 256\nserial0: socket\nserial1: /dev/ttyUSB0\nparallel0: /dev/parport0\n\
         hostpci0: 01:00.0,rombar=0,vendor-id=0x10de\nhostpci1: 02:00.0,romfile=card.rom\n\
         hostpci2: 03:00.0\nhostpci15: mapping=gpu\nvirtiofs0: data,cache=always\nvirtiofs9: more\n\
         audio0: device=intel-hda,driver=none\nboot: order=hostpci2",
    ),
    case(
        "q35_devices_of_the_host",
        "machine: q35,viommu=intel,aw-bits=48\nmemory: 256\nbios: seabios\nvga: none\n\
         hostpci0: 01:00.0,pcie=1,x-vga=1\nhostpci1: 02:00.0\nhostpci15: 03:00.0,pcie=1\n\
         virtiofs0: data\naudio0: device=ich9-intel-hda",
    ),
    case(
        "virtio_iommu_and_ac97",
        "machine: q35,viommu=virtio\nmemory: 256\naudio0: device=AC97,driver=none",
    ),
    case("huge_pages", "memory: 256\nhugepages: 2"),
    case(
        "huge_pages_of_nodes",
        "memory: 1024\nsockets: 2\nnuma: 1\nhugepages: any\nkeephugepages: 1\nvirtiofs0: data\n\
         numa0: cpus=0,memory=512,hostnodes=0,policy=bind\nnuma1: cpus=1,memory=512",
    ),
    case(
        "huge_pages_in_modules",
        "memory: 1536\nnuma: 1\nhotplug: memory\nhugepages: 2",
    ),
    case(
        "legacy_igd",
        "memory: 256\nvga: none\nhostpci0: 00:02.0,legacy-igd=1",
    ),
    case(
        "pluggable_memory",
        "memory: 2560\nsockets: 2\nnuma: 1\nhotplug: memory,cpu\ncpu: qemu64,phys-bits=39",
    ),
    case(
        "q35_ovmf",
        "memory: 256\nmachine: q35\nbios: ovmf\nefidisk0: local:1/efi.raw,efitype=4m\n\
         virtio0: local:1/a.qcow2,iothread=1,cache=writethrough\nvirtio9: local:1/b.raw\n\
         net0: virtio=BC:24:11:00:00:01\nnet9: e1000e=BC:24:11:00:00:02\nboot: order=virtio0;net0",
    ),
    case(
        "q35_secure_boot",
        "memory: 256\nmachine: pc-q35-7.1\nbios: ovmf\n\
         efidisk0: local:1/efi.raw,efitype=4m,pre-enrolled-keys=1\nscsi0: local:1/a.raw\n\
         scsihw: virtio-scsi-single\nostype: win11",
    ),
    case(
        "ide_cdrom_sata",
        "ide0: local:1/a.raw,model=Old%20Disk\nide2: local:iso/b.raw,media=cdrom\n\
         ide3: none,media=cdrom\nsata0: local:1/c.qcow2,ssd=1\nsata5: none,media=cdrom\nboot: dc\nacpi: 0",
    ),
    case(
        "q35_ide_sata",
        "machine: q35,enable-s3=1\nide2: none,media=cdrom\nsata1: local:1/c.qcow2,wwn=0x5000c500a1b2c3d4",
    ),
    case(
        "throttles",
        "scsihw: virtio-scsi-single\n\
         scsi0: local:1/a.qcow2,iothread=1,mbps=10,mbps_max=20,bps_max_length=5,iops_rd=100,iops_rd_max=200\n\
         virtio15: local:1/b.raw,bps_wr=1000,iops=7,aio=native,cache=directsync,ro=1,rerror=report,werror=stop\n\
         scsi30: local:1/c.raw,queues=4",
    ),
    case(
        "lsi_disks",
        "scsi0: local:1/a.raw\nscsi6: local:1/b.raw\nscsi7: none,media=cdrom\nscsi30: local:1/c.raw",
    ),
    case(
        "two_nets",
        "name: nets\nnet0: virtio=BC:24:11:00:00:01,bridge=vmbr0,rate=12.5,queues=2,mtu=1,firewall=1\n\
         net7: rtl8139=BC:24:11:00:00:02,bridge=vmbr1,link_down=1,tag=5\nboot: order=net0",
    ),
    case(
        "serial_agent_rng",
        "serial0: socket\nserial3: socket\nagent: 1\nrng0: source=/dev/urandom,max_bytes=512,period=100\n\
         balloon: 0\ntablet: 0\nvga: virtio,memory=32\nkeyboard: de\nstartdate: 2006-06-17T16:01:21\n\
         localtime: 1\ntdf: 1\nreboot: 0\nallow-ksm: 0",
    ),
    case(
        "isa_agent",
        "agent: 1,type=isa\nvga: cirrus,memory=64\nserial0: socket",
    ),
    case(
        "cpu_flags",
        "cpu: x86-64-v2-AES,flags=+pcid;-aes\nsockets: 2\nnuma: 1\nmemory: 129\nvga: vmware",
    ),
    case("no_display", "vga: none\nballoon: 64"),
    case(
        "serial_display",
        "vga: serial0\nserial0: socket\nmachine: pc-i440fx-6.2",
    ),
    case(
        "descriptors",
        "virtio0: local:1/fd.raw,cache=writeback\nscsihw: pvscsi\nscsi1: local:1/a.raw",
    ),
    case(
        "numa_watchdog_cpus",
        "cores: 2\nsockets: 2\nvcpus: 3\nhotplug: disk,cpu\nnuma: 1\nmemory: 96\n\
         numa0: cpus=0-1,memory=64,policy=preferred\nnuma1: cpus=2;3,hostnodes=0,memory=32,policy=bind\n\
         watchdog: i6300esb,action=pause\nargs: -name 'by hand'",
    ),
    case("q35_ib700", "machine: q35\nwatchdog: model=ib700\nnuma: 1"),
    case(
        "qxl_megasas",
        "vga: qxl,memory=20\nscsihw: megasas\nscsi2: local:1/a.qcow2",
    ),
];

/// The descriptor that the image `fd.raw` is passed as.
pub const DESCRIPTOR: i32 = 7;

pub fn config(options: &str) -> VmConfig {
    let mut config = GuestConfig::default();
    for line in options.lines() {
        let (option, value) = line.trim().split_once(": ").expect("option: value");
        config.set(option, value);
    }
    VmConfig::parse(&config).expect("a configuration")
}

/// The volumes that a configuration names, in this directory.
pub fn volumes(config: &VmConfig, directory: &str) -> Volumes {
    let mut volumes = Volumes::new();
    let mut add = |slot: DriveSlot, name: &str| {
        let file = name.rsplit('/').next().expect("a name");
        let source = match file {
            "fd.raw" => BlockSource::Descriptor(DESCRIPTOR),
            file => BlockSource::File(format!("{directory}/{file}")),
        };
        let qcow2 = file.ends_with("qcow2");
        let format = if qcow2 {
            BlockFormat::Qcow2
        } else {
            BlockFormat::Raw
        };
        volumes.insert(slot, BlockSpec::new(source, format));
    };
    for (slot, drive) in &config.drives {
        if let Some(volume) = drive.volume() {
            add(*slot, volume.name());
        }
    }
    if let Some(volume) = config.efi_disk.as_ref().and_then(|disk| disk.volume()) {
        add(DriveSlot::EFI, volume.name());
    }
    volumes
}

pub fn taps(config: &VmConfig, prefix: &str) -> Taps {
    let bridged = config
        .nets
        .iter()
        .filter_map(|(index, net)| Some((*index, net.bridge.as_ref()?)));
    bridged
        .map(|(index, bridge)| {
            let name = format!("{prefix}i{index}");
            let spec = PortSpec {
                name,
                bridge: bridge.clone(),
                mtu: Some(1400),
                vlans: Vlans::default(),
                isolated: false,
            };
            (index, Tap::Named(spec))
        })
        .collect()
}

pub fn command_line(
    config: &VmConfig,
    qemu: &QemuInfo,
    volumes: &Volumes,
    taps: &Taps,
    directory: &str,
) -> (RunningAs, Vec<String>) {
    let running = plan(config, qemu, Accel::Tcg).expect("a plan");
    let paths = RuntimePaths::new(directory);
    let behind = Behind {
        volumes: volumes.clone(),
        taps: taps.clone(),
        ..Behind::by_name(config)
    };
    let line = argv(&running, config, &behind, &paths, Aio::Threads).expect("arguments");
    (running, line)
}

/// The installed QEMU; none, with a printed line, if there is none.
pub fn installed_qemu() -> Option<QemuInfo> {
    let run = |argument: &str| {
        let output = Command::new(PROGRAM)
            .args(argument.split(' '))
            .output()
            .ok()?;
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let texts = (run("--version"), run("-machine help"));
    let (Some(version), Some(machines)) = texts else {
        missing("a test with QEMU", format!("{PROGRAM} is not installed"));
        return None;
    };
    Some(QemuInfo::from_texts(&version, &machines).expect("a version"))
}

/// A QEMU process that is killed at the end of its test.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    /// Starts QEMU; `descriptor` is opened as number `DESCRIPTOR` in it.
    pub fn start(arguments: &[String], descriptor: Option<&Path>, log: &Path) -> Self {
        let log = std::fs::File::create(log).expect("a log");
        let mut command = match descriptor {
            None => Command::new(PROGRAM),
            Some(path) => {
                // A shell can pass a descriptor with a chosen number to the program that it
                // executes.
                let mut shell = Command::new("sh");
                let script = format!("exec {PROGRAM} \"$@\" {DESCRIPTOR}<>'{}'", path.display());
                shell.args(["-c", &script, PROGRAM]);
                shell
            }
        };
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        Self(command.spawn().expect("a process"))
    }

    /// Connects to a socket that QEMU will create, as long as QEMU runs.
    pub async fn connect(&mut self, path: &str) -> Result<tokio::net::UnixStream, String> {
        loop {
            if let Ok(stream) = tokio::net::UnixStream::connect(path).await {
                return Ok(stream);
            }
            if let Ok(Some(status)) = self.0.try_wait() {
                return Err(format!("QEMU ended: {status}"));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub async fn qmp(&mut self, path: &str) -> Result<Qmp, String> {
        let stream = self.connect(path).await?;
        Qmp::connect(stream)
            .await
            .map_err(|error| error.to_string())
    }
}

/// Creates the images of a configuration.
pub fn make_images(config: &VmConfig, volumes: &Volumes, directory: &Path) {
    let mut files: BTreeMap<String, &str> = BTreeMap::new();
    for spec in volumes.values() {
        let path = match &spec.source {
            BlockSource::File(path) => path.clone(),
            _ => directory.join("fd.raw").display().to_string(),
        };
        files.insert(path, spec.format.as_str());
    }
    for (path, format) in files {
        if path.ends_with("efi.raw") {
            let disk = config.efi_disk.as_ref().expect("an EFI disk");
            let keys = if disk.has_enrolled_keys() { ".ms" } else { "" };
            std::fs::copy(format!("/usr/share/OVMF/OVMF_VARS_4M{keys}.fd"), path)
                .expect("variables");
            continue;
        }
        let made = Command::new("qemu-img")
            .args(["create", "-q", "-f", format, &path, "8M"])
            .status()
            .expect("qemu-img");
        assert!(made.success(), "{path}");
    }
}
