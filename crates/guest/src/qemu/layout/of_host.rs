//! Layout 1: devices and folders of the host.

use model::qemu::{BootDevice, ViommuKind};

use super::address::Place;
use super::v1::Planner;
use crate::qemu::running::{Backend, Device};

impl Planner<'_> {
    /// Parallel ports.
    pub(super) fn ports_of_host(&mut self) {
        for port in self.config.parallels.keys() {
            let device = Device::new("isa-parallel", format!("parallel{port}"))
                .with("index", *port)
                .backed_by(Backend::Parallel(*port));
            self.devices.push(device);
        }
    }

    /// PCI devices of the host, each with its functions at one place.
    pub(super) fn pcis(&mut self) {
        let boot = self.boot_indexes();
        let config = self.config;
        for (index, pci) in &config.pcis {
            let count = config.pci_functions.get(index).copied().unwrap_or(1);
            let place = match pci.is_legacy_igd {
                true => Place::Display,
                false => Place::HostPci(*index, pci.is_express),
            };
            let (bus, addr) = self.sit(place);
            let boot_index = boot.get(&BootDevice::HostPci(*index).to_string()).copied();
            for function in 0..u8::try_from(count).unwrap_or(u8::MAX) {
                let (id, addr) = match count {
                    1 => (format!("hostpci{index}"), addr.clone()),
                    _ => (
                        format!("hostpci{index}.{function}"),
                        format!("{addr}.{function}"),
                    ),
                };
                let mut device = Device::new("vfio-pci", id)
                    .at((bus.clone(), addr))
                    .backed_by(Backend::Pci {
                        index: *index,
                        function,
                    });
                if function == 0 {
                    device = device
                        .with_some("multifunction", (count > 1).then_some(true))
                        .with_some("rombar", (!pci.has_rom_bar).then_some(0))
                        // UEFI finds the display by itself.
                        .with_some("x-vga", (pci.is_display && !config.is_uefi).then_some(true))
                        .with_some("bootindex", boot_index);
                    for (key, number) in &pci.shown_as {
                        let digits = number.trim_start_matches("0x");
                        let number = u32::from_str_radix(digits, 16).unwrap_or_default();
                        device = device.with(&format!("x-pci-{key}"), number);
                    }
                }
                self.devices.push(device);
            }
        }
    }

    /// Folders, which the guest mounts by the names of their mappings.
    pub(super) fn shares(&mut self) {
        let config = self.config;
        for (index, share) in &config.shares {
            let place = self.sit(Place::Share(*index));
            let device = Device::new("vhost-user-fs-pci", format!("virtiofs{index}"))
                .at(place)
                .with("tag", share.mapping.as_str())
                .with("queue-size", 1024)
                .backed_by(Backend::Share(*index));
            self.devices.push(device);
        }
    }

    /// The sound card; those of Intel have a codec for the microphone and one for both ways.
    pub(super) fn sound(&mut self) {
        let Some(audio) = &self.config.audio else {
            return;
        };
        let place = self.sit(Place::Sound);
        let card = Device::new(&audio.device, "audio0").at(place);
        if audio.device == "AC97" {
            self.devices.push(card.backed_by(Backend::Audio));
            return;
        }
        self.devices.push(card);
        for (address, codec) in ["hda-micro", "hda-duplex"].into_iter().enumerate() {
            let codec = Device::new(codec, format!("audio0-codec{address}"))
                .on("audio0.0")
                .with("cad", address)
                .backed_by(Backend::Audio);
            self.devices.push(codec);
        }
    }

    pub(super) fn iommu(&mut self) -> Vec<Device> {
        let machine = &self.config.machine;
        let bits = machine.viommu_bits;
        match machine.viommu {
            None => Vec::new(),
            Some(ViommuKind::Intel) => vec![
                Device::new("intel-iommu", "viommu")
                    .with("intremap", "on")
                    .with("caching-mode", true)
                    .with_some("aw-bits", bits),
            ],
            Some(ViommuKind::Virtio) => {
                let place = self.sit(Place::Iommu);
                let bits = bits.filter(|_| self.version.is_at_least(9, 0));
                vec![
                    Device::new("virtio-iommu-pci", "viommu")
                        .at(place)
                        .with_some("aw-bits", bits),
                ]
            }
        }
    }
}
