//! Controllers with what hangs on them.

use serde::Serialize;
use sys::SharedHost;

use super::ports::value;
use super::{Disk, Port, names, pci_address};
use crate::host::facts::Facts;
use crate::host::pci;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Controller {
    /// Its PCI address.
    pub address: String,
    /// What it is for, `SATA`.
    pub kind: &'static str,
    /// Vendor and name, or their numbers.
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Names of disks and ports, and of USB devices.
    pub attached: Vec<String>,
}

/// Kinds by the first digits of a device's class, longer ones first.
const KINDS: [(&str, &str); 13] = [
    ("0100", "SCSI"),
    ("0101", "IDE"),
    ("0104", "RAID"),
    ("0106", "SATA"),
    ("0107", "SAS"),
    ("0108", "NVMe"),
    ("0c03", "USB"),
    ("0c04", "Fibre Channel"),
    ("01", "storage"),
    ("02", "network"),
    ("03", "graphics"),
    ("04", "audio"),
    ("12", "accelerator"),
];

const PCI: &str = "/sys/bus/pci/devices";
const USB: &str = "/sys/bus/usb/devices";

/// The devices of a machine that something can hang on, or that a guest may want.
pub(super) async fn controllers(
    host: &SharedHost,
    facts: &Facts,
    disks: &[Disk],
    ports: &[Port],
) -> Vec<Controller> {
    let usb = usb_devices(host, facts).await;
    let mut controllers = Vec::new();
    for device in pci::devices(host).await {
        let Some(kind) = kind_of(&device.class) else {
            continue;
        };
        let uevent = facts
            .text(&format!("{PCI}/{}/uevent", device.address))
            .await;
        let is_its = |controller: &Option<String>| controller.as_ref() == Some(&device.address);
        let disks = disks.iter().filter(|disk| is_its(&disk.controller));
        let ports = ports.iter().filter(|port| is_its(&port.controller));
        let usb = usb.iter().filter(|(controller, _)| is_its(controller));
        let attached = disks.map(|disk| disk.name.clone());
        let attached = attached.chain(ports.map(|port| port.name.clone()));
        let attached = attached.chain(usb.map(|(_, name)| name.clone()));
        controllers.push(Controller {
            kind,
            attached: attached.collect(),
            driver: value(&uevent, "DRIVER"),
            name: name_of(&device),
            address: device.address,
        });
    }
    controllers
}

fn kind_of(class: &str) -> Option<&'static str> {
    let digits = class.trim_start_matches("0x");
    let found = KINDS.iter().find(|(start, _)| digits.starts_with(start));
    found.map(|(_, kind)| *kind)
}

fn name_of(device: &pci::Device) -> String {
    let vendor = device.vendor_name.as_ref().unwrap_or(&device.vendor);
    let name = device.device_name.as_ref().unwrap_or(&device.device);
    format!("{vendor} {name}")
}

/// USB devices but hubs, each with the PCI address of its controller.
async fn usb_devices(host: &SharedHost, facts: &Facts) -> Vec<(Option<String>, String)> {
    const HUB: &str = "09";
    let mut devices = Vec::new();
    for name in names(host, USB).await {
        let of = format!("{USB}/{name}");
        let text = async |file: &str| facts.text(&format!("{of}/{file}")).await;
        let class = text("bDeviceClass").await;
        if name.contains(':') || class.is_empty() || class == HUB {
            continue;
        }
        let product = super::name_of(&text("product").await);
        let numbers = format!("{}:{}", text("idVendor").await, text("idProduct").await);
        let called = product.unwrap_or(numbers);
        devices.push((pci_address(host, &of).await, format!("USB {name} {called}")));
    }
    devices
}

#[cfg(test)]
mod tests {
    use super::super::tests::host;
    use super::*;

    #[tokio::test]
    async fn a_controller_has_what_hangs_on_it() {
        let host = host(&[
            ("/sys/bus/pci/devices/0000:00:00.0/class", "0x060000"),
            ("/sys/bus/pci/devices/0000:00:17.0/class", "0x010601"),
            ("/sys/bus/pci/devices/0000:00:17.0/vendor", "0x8086"),
            ("/sys/bus/pci/devices/0000:00:17.0/device", "0xa352"),
            ("/sys/bus/pci/devices/0000:00:17.0/uevent", "DRIVER=ahci"),
        ])
        .await;
        let on = |name: &str, controller: &str| Disk {
            name: name.into(),
            controller: Some(controller.into()),
            ..Disk::default()
        };
        let disks = [on("sda", "0000:00:17.0"), on("nvme0n1", "0000:01:00.0")];
        let found = controllers(&host, &Facts::new(host.clone()), &disks, &[]).await;
        let sata = Controller {
            address: "0000:00:17.0".into(),
            kind: "SATA",
            name: "0x8086 0xa352".into(),
            driver: Some("ahci".into()),
            attached: vec!["sda".into()],
        };
        assert_eq!(found, [sata]);
    }

    #[tokio::test]
    async fn hubs_and_interfaces_are_no_devices_of_their_own() {
        let host = host(&[
            ("/sys/bus/usb/devices/usb1/bDeviceClass", "09"),
            ("/sys/bus/usb/devices/1-2/bDeviceClass", "00"),
            ("/sys/bus/usb/devices/1-2/product", "Stick"),
            ("/sys/bus/usb/devices/1-3/bDeviceClass", "ff"),
            ("/sys/bus/usb/devices/1-3/idVendor", "1d6b"),
            ("/sys/bus/usb/devices/1-3/idProduct", "0104"),
            ("/sys/bus/usb/devices/1-2:1.0/bInterfaceClass", "08"),
        ])
        .await;
        let found = usb_devices(&host, &Facts::new(host.clone())).await;
        let names: Vec<&str> = found.iter().map(|(_, name)| &**name).collect();
        assert_eq!(names, ["USB 1-2 Stick", "USB 1-3 1d6b:0104"]);
    }
}
