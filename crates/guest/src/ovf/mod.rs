//! Descriptions of appliances (OVF, DSP0243 of the DMTF): what is read of a machine that another system
//! exported.

mod xml;

use std::collections::BTreeMap;

use xml::Element;

/// What a machine is made of. Sizes are in bytes unless their name says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Appliance {
    pub name: Option<String>,
    pub cores: Option<u64>,
    pub memory_mib: Option<u64>,
    /// As `ostype` has it.
    pub os: Option<&'static str>,
    /// By the place of each: `scsi0`, `sata1`.
    pub disks: BTreeMap<String, ApplianceDisk>,
    pub networks: Vec<ApplianceNetwork>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplianceDisk {
    /// The file with its content, beside the description.
    pub file: String,
    /// What a guest sees of it, where that is said.
    pub bytes: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplianceNetwork {
    pub model: &'static str,
    pub mac: Option<String>,
}

/// Kinds of hardware. Source: CIM_ResourceAllocationSettingData.
const CPU: &str = "3";
const MEMORY: &str = "4";
const IDE: &str = "5";
const SCSI: &str = "6";
const NETWORK: &str = "10";
const DISK: &str = "17";
const SATA: &str = "20";

const MIB: u64 = 1 << 20;

impl Appliance {
    /// Reads a description; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let root = xml::parse(text)?;
        if root.name != "Envelope" {
            return Err(format!("it is no envelope but '{}'", root.name));
        }
        let system = root.child("VirtualSystem");
        let system = system.ok_or("it describes no machine, or several")?;
        let hardware = system.child("VirtualHardwareSection");
        let hardware = hardware.ok_or("its machine has no hardware")?;
        let items: Vec<&Element> = hardware.children.iter().filter(is_item).collect();
        let name = system.text_of("Name").or(system.attribute("id"));
        Ok(Self {
            name: name.map(host_name).filter(|name| !name.is_empty()),
            cores: first(&items, CPU).and_then(quantity),
            memory_mib: first(&items, MEMORY).and_then(memory_mib),
            os: system.child("OperatingSystemSection").and_then(os),
            disks: disks(&root, &items)?,
            networks: of(&items, NETWORK).map(network).collect(),
        })
    }
}

/// Newer descriptions have elements of their own for disks and networks.
fn is_item(element: &&Element) -> bool {
    ["Item", "StorageItem", "EthernetPortItem"].contains(&element.name.as_str())
}

fn of<'a>(items: &'a [&'a Element], kind: &'a str) -> impl Iterator<Item = &'a Element> {
    let is_it = move |item: &&&Element| item.text_of("ResourceType") == Some(kind);
    items.iter().filter(is_it).copied()
}

fn first<'a>(items: &'a [&'a Element], kind: &'a str) -> Option<&'a Element> {
    of(items, kind).next()
}

fn quantity(item: &Element) -> Option<u64> {
    item.text_of("VirtualQuantity")?.parse().ok()
}

fn memory_mib(item: &Element) -> Option<u64> {
    let unit = item.text_of("AllocationUnits").unwrap_or("byte * 2^20");
    Some(quantity(item)?.checked_mul(unit_bytes(unit)?)? / MIB)
}

/// `byte * 2^20`, or `MegaBytes` of old descriptions.
fn unit_bytes(unit: &str) -> Option<u64> {
    let plain: String = unit.to_ascii_lowercase().split_whitespace().collect();
    match plain.as_str() {
        "byte" | "bytes" | "" => Some(1),
        "kilobytes" | "kb" => Some(1 << 10),
        "megabytes" | "mb" => Some(1 << 20),
        "gigabytes" | "gb" => Some(1 << 30),
        power => {
            let (base, exponent) = power.strip_prefix("byte*")?.split_once('^')?;
            base.parse::<u64>()
                .ok()?
                .checked_pow(exponent.parse().ok()?)
        }
    }
}

/// A name that a guest can have.
fn host_name(name: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '.' {
            c
        } else {
            '-'
        }
    };
    let name: String = name.trim().chars().map(plain).take(63).collect();
    name.trim_matches(['-', '.']).to_owned()
}

/// What `ostype` calls a system, by what VMware calls it.
fn os(section: &Element) -> Option<&'static str> {
    let kind = section.attribute("osType")?.to_ascii_lowercase();
    const KNOWN: [(&str, &str); 16] = [
        ("windows12", "win11"),
        ("windows11", "win11"),
        ("windows2022", "win11"),
        ("windows2019", "win10"),
        ("windows9", "win10"),
        ("windows8", "win8"),
        ("windows7", "win7"),
        ("winxp", "wxp"),
        ("solaris", "solaris"),
        ("linux", "l26"),
        ("debian", "l26"),
        ("ubuntu", "l26"),
        ("rhel", "l26"),
        ("centos", "l26"),
        ("sles", "l26"),
        ("fedora", "l26"),
    ];
    let mut known = KNOWN.iter().filter(|(begin, _)| kind.contains(begin));
    Some(known.next().map_or("other", |(_, os)| os))
}

fn network(item: &Element) -> ApplianceNetwork {
    let said = item.text_of("ResourceSubType").unwrap_or_default();
    let known = ["e1000e", "e1000", "vmxnet3"];
    let model = known
        .into_iter()
        .find(|model| said.eq_ignore_ascii_case(model));
    let mac = item.text_of("Address").filter(|mac| is_mac(mac));
    ApplianceNetwork {
        model: model.unwrap_or("e1000"),
        mac: mac.map(str::to_ascii_uppercase),
    }
}

fn is_mac(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let is_octet = |part: &&str| part.len() == 2 && part.chars().all(|c| c.is_ascii_hexdigit());
    parts.len() == 6 && parts.iter().all(is_octet)
}

/// The disks that have a file, each at its controller.
fn disks(root: &Element, items: &[&Element]) -> Result<BTreeMap<String, ApplianceDisk>, String> {
    let mut disks = BTreeMap::new();
    for item in of(items, DISK) {
        let resource = item.text_of("HostResource").unwrap_or_default();
        let (_, id) = resource.rsplit_once('/').unwrap_or_default();
        let disk = match resource.contains("/file/") {
            true => Some((id, None)),
            false => disk_named(root, id),
        };
        // A disk without a file is empty: its size alone is nothing to import.
        let Some((file, bytes)) = disk else { continue };
        let file = file_named(root, file)?;
        let place = place(item, items, &disks)?;
        disks.insert(place, ApplianceDisk { file, bytes });
    }
    Ok(disks)
}

fn disk_named<'a>(root: &'a Element, id: &str) -> Option<(&'a str, Option<u64>)> {
    let section = root.child("DiskSection")?;
    let disk = section
        .all("Disk")
        .find(|disk| disk.attribute("diskId") == Some(id))?;
    let unit = disk.attribute("capacityAllocationUnits").unwrap_or("byte");
    let count = disk
        .attribute("capacity")
        .and_then(|count| count.parse().ok());
    let bytes = count.zip(unit_bytes(unit));
    let bytes = bytes.and_then(|(count, unit): (u64, u64)| count.checked_mul(unit));
    Some((disk.attribute("fileRef")?, bytes))
}

fn file_named(root: &Element, id: &str) -> Result<String, String> {
    let mut files = root
        .child("References")
        .into_iter()
        .flat_map(|all| all.all("File"));
    let file = files.find(|file| file.attribute("id") == Some(id));
    let name = file.and_then(|file| file.attribute("href"));
    let name = name.ok_or(format!("it has no file '{id}'"))?;
    match name.contains('/') || name.starts_with('.') || name.is_empty() {
        true => Err(format!("the file '{name}' is not beside it")),
        false => Ok(name.to_owned()),
    }
}

/// `scsi0`: the bus of its controller, and its address there, or the next one that is free.
fn place(
    item: &Element,
    items: &[&Element],
    taken: &BTreeMap<String, ApplianceDisk>,
) -> Result<String, String> {
    let parent = item.text_of("Parent");
    let parent = items
        .iter()
        .find(|other| parent.is_some() && other.text_of("InstanceID") == parent);
    let (bus, count) = match parent.and_then(|parent| parent.text_of("ResourceType")) {
        Some(IDE) => ("ide", 4),
        Some(SATA) => ("sata", 6),
        Some(SCSI) | None => ("scsi", 31),
        Some(other) => return Err(format!("a disk is at a controller of kind {other}")),
    };
    let said = item
        .text_of("AddressOnParent")
        .and_then(|at| at.parse().ok());
    let free = |at: &u32| *at < count && !taken.contains_key(&format!("{bus}{at}"));
    let at = said.filter(free).or_else(|| (0..count).find(free));
    let at = at.ok_or(format!("it has too many disks at {bus}"))?;
    Ok(format!("{bus}{at}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OVF: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="r" xmlns:vmw="v">
  <References><File ovf:href="disk1.vmdk" ovf:id="file1"/><File ovf:href="disk2.vmdk" ovf:id="file2"/></References>
  <DiskSection><Disk ovf:capacity="2" ovf:capacityAllocationUnits="byte * 2^30" ovf:diskId="vmdisk1" ovf:fileRef="file1"/>
    <Disk ovf:capacity="1024" ovf:diskId="vmdisk2" ovf:fileRef="file2"/><Disk ovf:capacity="1" ovf:diskId="empty"/></DiskSection>
  <VirtualSystem ovf:id="vm"><Name>my machine_1</Name>
    <OperatingSystemSection ovf:id="96" vmw:osType="debian11_64Guest"/>
    <VirtualHardwareSection>
      <Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>4</rasd:VirtualQuantity></Item>
      <Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>2048</rasd:VirtualQuantity></Item>
      <Item><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceType>6</rasd:ResourceType></Item>
      <Item><rasd:InstanceID>4</rasd:InstanceID><rasd:ResourceType>20</rasd:ResourceType></Item>
      <Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:HostResource>ovf:/disk/vmdisk1</rasd:HostResource><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
      <Item><rasd:AddressOnParent>3</rasd:AddressOnParent><rasd:HostResource>ovf:/disk/vmdisk2</rasd:HostResource><rasd:Parent>4</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
      <Item><rasd:HostResource>ovf:/disk/empty</rasd:HostResource><rasd:Parent>4</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
      <Item><rasd:Address>00:50:56:aa:bb:cc</rasd:Address><rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType><rasd:ResourceType>10</rasd:ResourceType></Item>
      <Item><rasd:ResourceSubType>PCNet32</rasd:ResourceSubType><rasd:ResourceType>10</rasd:ResourceType></Item>
    </VirtualHardwareSection></VirtualSystem>
</Envelope>"#;

    #[test]
    fn a_description_is_read_whole() {
        let appliance = Appliance::parse(OVF).unwrap();
        assert_eq!(appliance.name.as_deref(), Some("my-machine-1"));
        assert_eq!(
            (appliance.cores, appliance.memory_mib),
            (Some(4), Some(2048))
        );
        assert_eq!(appliance.os, Some("l26"));
        let disks: Vec<(&str, &str, Option<u64>)> = appliance
            .disks
            .iter()
            .map(|(place, disk)| (place.as_str(), disk.file.as_str(), disk.bytes))
            .collect();
        let expected = [
            ("sata3", "disk2.vmdk", Some(1024)),
            ("scsi0", "disk1.vmdk", Some(2 << 30)),
        ];
        assert_eq!(disks, expected);
        let models: Vec<&str> = appliance.networks.iter().map(|net| net.model).collect();
        assert_eq!(models, ["vmxnet3", "e1000"]);
        let mac = appliance.networks[0].mac.as_deref();
        assert_eq!(mac, Some("00:50:56:AA:BB:CC"));
    }

    #[test]
    fn what_leads_elsewhere_is_refused() {
        for (part, by) in [
            ("\"disk1.vmdk\"", "\"../disk1.vmdk\""),
            ("\"disk1.vmdk\"", "\"/etc/shadow\""),
            ("ovf:id=\"file1\"", "ovf:id=\"file9\""),
            ("<rasd:ResourceType>20<", "<rasd:ResourceType>21<"),
            ("<Envelope ", "<Other "),
        ] {
            assert!(Appliance::parse(&OVF.replace(part, by)).is_err(), "{by}");
        }
    }
}
