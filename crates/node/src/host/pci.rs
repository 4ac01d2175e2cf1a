//! The PCI devices of a host, as the kernel lists them, with the names of the PCI ID list.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use model::qemu::pci_address;
use sys::SharedHost;

use crate::host::facts::Facts;

const DEVICES: &str = "/sys/bus/pci/devices";
const IOMMU_GROUPS: &str = "/sys/kernel/iommu_groups";

/// Where the list of names may be.
const NAMES: [&str; 2] = ["/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids"];

/// A device; numbers are as the kernel writes them, `0x8086`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Device {
    /// `0000:00:1f.2`
    pub address: String,
    /// Six digits.
    pub class: String,
    pub vendor: String,
    pub device: String,
    pub subsystem_vendor: String,
    pub subsystem_device: String,
    /// None where the kernel isolates no devices.
    pub iommu_group: Option<u32>,
    /// It can make mediated devices.
    pub mediates: bool,
    pub vendor_name: Option<String>,
    pub device_name: Option<String>,
    pub subsystem_vendor_name: Option<String>,
    pub subsystem_device_name: Option<String>,
}

impl Device {
    /// `8086:1533`
    pub fn id(&self) -> String {
        format!("{}:{}", digits(&self.vendor), digits(&self.device))
    }

    /// The same of its subsystem, if it says one.
    pub fn subsystem_id(&self) -> Option<String> {
        let (vendor, device) = (&self.subsystem_vendor, &self.subsystem_device);
        let is_known = !vendor.is_empty() && !device.is_empty();
        is_known.then(|| format!("{}:{}", digits(vendor), digits(device)))
    }
}

/// The address of a device's first function, with its domain: both may be left out.
pub fn first_function(address: &str) -> String {
    let function = if address.contains('.') { "" } else { ".0" };
    format!("{}{function}", pci_address(address))
}

/// A kind of mediated device that a device can make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediatedType {
    pub id: String,
    pub name: Option<String>,
    pub description: String,
    /// How many more can be made.
    pub available: u32,
}

/// All devices, by address.
pub async fn devices(host: &SharedHost) -> Vec<Device> {
    let facts = Facts::new(host.clone());
    let groups = iommu_groups(host).await;
    let mut devices = Vec::new();
    for entry in host.list(Path::new(DEVICES)).await.unwrap_or_default() {
        let address = entry.name;
        let text = async |name: &str| facts.text(&format!("{DEVICES}/{address}/{name}")).await;
        devices.push(Device {
            class: text("class").await,
            vendor: text("vendor").await,
            device: text("device").await,
            subsystem_vendor: text("subsystem_vendor").await,
            subsystem_device: text("subsystem_device").await,
            iommu_group: groups.get(&address).copied(),
            mediates: exists(host, &mediated_folder(&address)).await,
            address,
            ..Device::default()
        });
    }
    name_all(host, &mut devices).await;
    devices
}

async fn exists(host: &SharedHost, path: &Path) -> bool {
    matches!(host.stat(path).await, Ok(Some(_)))
}

fn mediated_folder(address: &str) -> PathBuf {
    Path::new(DEVICES)
        .join(address)
        .join("mdev_supported_types")
}

/// The group of each device that is in one.
pub(crate) async fn iommu_groups(host: &SharedHost) -> BTreeMap<String, u32> {
    let mut groups = BTreeMap::new();
    let root = Path::new(IOMMU_GROUPS);
    for group in host.list(root).await.unwrap_or_default() {
        let Ok(number) = group.name.parse() else {
            continue;
        };
        let members = host.list(&root.join(&group.name).join("devices")).await;
        for member in members.unwrap_or_default() {
            groups.insert(member.name, number);
        }
    }
    groups
}

/// What a device can make; none for a device that makes nothing or is not there.
pub async fn mediated_types(host: &SharedHost, address: &str) -> Vec<MediatedType> {
    let facts = Facts::new(host.clone());
    let folder = mediated_folder(&first_function(address));
    let mut types = Vec::new();
    for entry in host.list(&folder).await.unwrap_or_default() {
        let file = |name: &str| folder.join(&entry.name).join(name).display().to_string();
        let name = facts.text(&file("name")).await;
        types.push(MediatedType {
            name: Some(name).filter(|name| !name.is_empty()),
            description: facts.text(&file("description")).await,
            available: facts
                .text(&file("available_instances"))
                .await
                .parse()
                .unwrap_or(0),
            id: entry.name,
        });
    }
    types
}

async fn name_all(host: &SharedHost, devices: &mut [Device]) {
    for path in NAMES {
        let Ok(list) = host.read(Path::new(path)).await else {
            continue;
        };
        let names = Names::parse(&String::from_utf8_lossy(&list), devices);
        for device in devices {
            names.apply(device);
        }
        return;
    }
}

/// The names of devices, by vendor, by vendor and device, and by both with the subsystem.
#[derive(Debug, Default)]
struct Names(BTreeMap<Vec<String>, String>);

impl Names {
    /// Reads of the list what is about these devices' vendors: vendors begin a line, their
    /// devices follow one tab, and those devices' subsystems two.
    fn parse(list: &str, devices: &[Device]) -> Self {
        let is_wanted = |vendor: &str| {
            devices.iter().any(|device| {
                [&device.vendor, &device.subsystem_vendor]
                    .iter()
                    .any(|number| digits(number) == vendor)
            })
        };
        let mut names = Self::default();
        let (mut vendor, mut device) = ("", "");
        for line in list.lines() {
            // Classes of devices follow all vendors.
            if line.starts_with("C ") {
                break;
            }
            let depth = line.len() - line.trim_start_matches('\t').len();
            let Some((number, name)) = line[depth..].split_once("  ") else {
                continue;
            };
            let key = match depth {
                0 => {
                    vendor = number;
                    vec![number]
                }
                1 => {
                    device = number;
                    vec![vendor, number]
                }
                _ => vec![vendor, device, number],
            };
            if is_wanted(vendor) {
                let key = key.into_iter().map(str::to_owned).collect();
                names.0.insert(key, name.trim().to_owned());
            }
        }
        names
    }

    fn apply(&self, device: &mut Device) {
        let find = |key: &[&str]| {
            let key: Vec<String> = key.iter().map(|part| (*part).to_owned()).collect();
            self.0.get(&key).cloned()
        };
        let (vendor, number) = (digits(&device.vendor), digits(&device.device));
        let subsystem_vendor = digits(&device.subsystem_vendor);
        let subsystem = format!("{subsystem_vendor} {}", digits(&device.subsystem_device));
        let found = [
            find(&[vendor]),
            find(&[vendor, number]),
            find(&[subsystem_vendor]),
            find(&[vendor, number, &subsystem]),
        ];
        let [
            vendor_name,
            device_name,
            subsystem_vendor_name,
            subsystem_device_name,
        ] = found;
        device.vendor_name = vendor_name;
        device.device_name = device_name;
        device.subsystem_vendor_name = subsystem_vendor_name;
        device.subsystem_device_name = subsystem_device_name;
    }
}

fn digits(number: &str) -> &str {
    number.strip_prefix("0x").unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_vendor_device_and_subsystem() {
        let list = "# a comment\n1af4  Red Hat, Inc.\n\t1041  Virtio 1.0 network device\n\
                    8086  Intel Corporation\n\t1533  I210 Gigabit\n\t\t103c 0003  Ethernet I210-T1\n\
                    103c  Hewlett-Packard\nC 02  Network controller\n\t00  Ethernet controller\n";
        let mut device = Device {
            vendor: "0x8086".into(),
            device: "0x1533".into(),
            subsystem_vendor: "0x103c".into(),
            subsystem_device: "0x0003".into(),
            ..Device::default()
        };
        let names = Names::parse(list, std::slice::from_ref(&device));
        names.apply(&mut device);
        assert_eq!(device.vendor_name.as_deref(), Some("Intel Corporation"));
        assert_eq!(device.device_name.as_deref(), Some("I210 Gigabit"));
        assert_eq!(
            device.subsystem_vendor_name.as_deref(),
            Some("Hewlett-Packard")
        );
        assert_eq!(
            device.subsystem_device_name.as_deref(),
            Some("Ethernet I210-T1")
        );
        let unknown = Device {
            vendor: "0x1234".into(),
            ..Device::default()
        };
        let mut named = unknown.clone();
        names.apply(&mut named);
        assert_eq!(named, unknown);
    }
}
