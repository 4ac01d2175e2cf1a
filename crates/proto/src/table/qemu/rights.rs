//! The rights that are needed to set, delete or revert an option of a virtual machine.
//!
//! Some options need different rights for different values: a disk, a CD-ROM, the cloud-init drive,
//! a host device. The value is parsed and not searched as text, since a drive's serial number may
//! be `media=cdrom`.

use model::qemu::{
    Cpu, Drive, DriveSlot, HostPci, Net, Rng, Usb, UsbSource, VirtioFs, custom_cpu_name,
    is_cloud_init_option,
};
use model::schema::Values;
use model::{Privilege, Vlans};

use crate::Need;

/// The rights needed to change an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionRight {
    /// All of these on the guest.
    All(&'static [Privilege]),
    /// One of these on the guest.
    Any(&'static [Privilege]),
    /// These on the guest, and Sys.Modify on the host: the option sets the order in which its
    /// guests start.
    AndHost(&'static [Privilege]),
    /// Root only: it affects the host, or bypasses a protection of the guest.
    Root,
    /// Root only, because it is a host device.
    RootForDevice,
    /// The same, where a mapping would need rights only.
    RootForUnmapped,
}

const CPU: OptionRight = OptionRight::All(&[Privilege::VmConfigCpu]);
const MEMORY: OptionRight = OptionRight::All(&[Privilege::VmConfigMemory]);
const NETWORK: OptionRight = OptionRight::All(&[Privilege::VmConfigNetwork]);
const DISK: OptionRight = OptionRight::All(&[Privilege::VmConfigDisk]);
const CDROM: OptionRight = OptionRight::All(&[Privilege::VmConfigCdrom]);
const HARDWARE: OptionRight = OptionRight::All(&[Privilege::VmConfigHwType]);
const OPTIONS: OptionRight = OptionRight::All(&[Privilege::VmConfigOptions]);
const POWER: OptionRight = OptionRight::All(&[Privilege::VmPowerMgmt]);
const CLOUD_INIT: OptionRight =
    OptionRight::Any(&[Privilege::VmConfigCloudinit, Privilege::VmConfigNetwork]);
const CLOUD_INIT_DRIVE: OptionRight =
    OptionRight::All(&[Privilege::VmConfigCloudinit, Privilege::VmConfigCdrom]);

/// The rights needed to change an option with this old or new value. Without a value: the most that
/// the option can need. Options that are not listed here need root.
pub fn option_right(option: &str, value: Option<&str>) -> OptionRight {
    if is_cloud_init_option(option) {
        return CLOUD_INIT;
    }
    if let Some(slot) = drive_slot(option) {
        return drive_right(slot, value);
    }
    match option.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "cores" | "cpu" | "cpulimit" | "cpuunits" | "numa" | "smp" | "sockets" | "vcpus" => CPU,
        "memory" | "balloon" | "shares" | "allow-ksm" => MEMORY,
        "acpi" | "audio" | "hotplug" | "kvm" | "machine" | "scsihw" | "smbios" | "tablet"
        | "vga" | "watchdog" => HARDWARE,
        "agent" | "autostart" | "bios" | "description" | "keyboard" | "localtime"
        | "migrate_downtime" | "migrate_speed" | "name" | "onboot" | "ostype" | "protection"
        | "reboot" | "startdate" | "tags" | "tdf" | "template" => OPTIONS,
        "startup" => OptionRight::AndHost(&[Privilege::VmConfigOptions]),
        "freeze" => POWER,
        "boot" | "bootdisk" | "unused" | "vmstatestorage" => DISK,
        "net" => NETWORK,
        "usb" => match value.map(Usb::parse) {
            Some(Ok(usb)) if matches!(usb.source, UsbSource::Mapping(_) | UsbSource::Spice) => {
                HARDWARE
            }
            _ => OptionRight::RootForDevice,
        },
        "hostpci" => match value.map(HostPci::parse) {
            Some(Ok(pci)) if pci.mapping().is_some() => HARDWARE,
            _ => OptionRight::RootForUnmapped,
        },
        "virtiofs" => DISK,
        "serial" if value == Some("socket") => HARDWARE,
        "serial" => OptionRight::RootForDevice,
        "rng" => match value.map(Rng::parse) {
            Some(Ok(rng)) if rng.source != "/dev/hwrng" => HARDWARE,
            _ => OptionRight::RootForDevice,
        },
        _ => OptionRight::Root,
    }
}

/// The drive slot of an option, also for aliases.
fn drive_slot(option: &str) -> Option<DriveSlot> {
    let option = if option == "cdrom" { "ide2" } else { option };
    option.parse().ok()
}

fn drive_right(slot: DriveSlot, value: Option<&str>) -> OptionRight {
    match value.map(|text| Drive::parse(slot.bus(), text)) {
        Some(Ok(drive)) if drive.is_cloud_init() => CLOUD_INIT_DRIVE,
        // A new volume is a disk, also with `media=cdrom`.
        Some(Ok(drive)) if drive.is_cdrom() && !drive.is_new() => CDROM,
        _ => DISK,
    }
}

/// The rights needed to change an option with this old or new value: on the guest (or on `or_on`),
/// and on the bridge that it uses. None if only root may change it.
pub fn needs_of_option(
    option: &str,
    value: Option<&str>,
    guest: &str,
    or_on: Option<&str>,
) -> Option<Vec<Need>> {
    let here = |need: Need| Need {
        or_on: or_on.map(str::to_owned),
        ..need
    };
    let mut needs = match option_right(option, value) {
        OptionRight::All(privileges) => vec![here(Need::all(guest, privileges))],
        OptionRight::Any(privileges) => vec![here(Need::any(guest, privileges))],
        OptionRight::AndHost(privileges) => vec![
            here(Need::all(guest, privileges)),
            Need::all("/", &[Privilege::SysModify]),
        ],
        OptionRight::Root | OptionRight::RootForDevice | OptionRight::RootForUnmapped => {
            return None;
        }
    };
    if option_right(option, value) == NETWORK {
        needs.extend(bridge_needs(value));
    }
    if option == "cpu" {
        needs.extend(cpu_need(value));
    }
    needs.extend(mapping_need(option, value));
    Some(needs)
}

/// The right to use a network card's bridge, or each of its VLANs.
fn bridge_needs(value: Option<&str>) -> Vec<Need> {
    let net = value.and_then(|value| Net::parse(value).ok());
    let paths = net.and_then(|net| Some(bridge_paths(net.bridge.as_ref()?, &net.vlans())));
    use_of_bridges(paths.unwrap_or_default())
}

/// Where rights on a bridge are, or on each VLAN of it that a card names.
pub fn bridge_paths(bridge: &str, vlans: &Vlans) -> Vec<String> {
    let path = format!("/sdn/zones/localnetwork/{bridge}");
    if vlans.is_empty() {
        return vec![path];
    }
    let named = vlans.named().flat_map(|(first, last)| first..=last);
    named.map(|vlan| format!("{path}/{vlan}")).collect()
}

pub(in crate::table) fn use_of_bridges(paths: Vec<String>) -> Vec<Need> {
    let needs = paths.into_iter();
    needs
        .map(|path| Need::all(path, &[Privilege::SdnUse]))
        .collect()
}

/// The right to use a processor model of the cluster's own.
fn cpu_need(value: Option<&str>) -> Option<Need> {
    let model = Cpu::parse(value?).ok()?.model?;
    custom_cpu_name(&model)?;
    Some(Need::all(
        format!("/mapping/cpu/{model}"),
        &[Privilege::MappingUse],
    ))
}

/// The right to use the mapping that an option names.
fn mapping_need(option: &str, value: Option<&str>) -> Option<Need> {
    let (kind, id) = match option.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "usb" => match Usb::parse(value?).ok()?.source {
            UsbSource::Mapping(id) => ("usb", id),
            _ => return None,
        },
        "hostpci" => ("pci", HostPci::parse(value?).ok()?.mapping()?.to_owned()),
        "virtiofs" => ("dir", VirtioFs::parse(value?).ok()?.mapping),
        _ => return None,
    };
    let path = format!("/mapping/{kind}/{id}");
    Some(Need::all(path, &[Privilege::MappingUse]))
}

impl OptionRight {
    /// The refusal for callers other than root.
    pub fn refusal(self, option: &str) -> String {
        match self {
            Self::RootForDevice => format!("only root can set '{option}' config for real devices"),
            Self::RootForUnmapped => {
                format!("only root can set '{option}' config for non-mapped devices")
            }
            _ => format!("only root can set '{option}' config"),
        }
    }
}

/// The rights needed to set options to these values, without duplicates.
pub(super) fn option_needs(params: &Values, guest: &str, or_on: Option<&str>) -> Vec<Need> {
    let set = params
        .iter()
        .filter(|(name, _)| model::schema::find(model::qemu::OPTIONS, name).is_some());
    let mut needs: Vec<Need> = Vec::new();
    for (name, value) in set {
        let one = needs_of_option(name, value.as_str(), guest, or_on);
        for need in one.unwrap_or_default() {
            if !needs.contains(&need) {
                needs.push(need);
            }
        }
    }
    needs
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::qemu::OPTIONS as ALL;

    fn names(right: OptionRight) -> String {
        let join = |privileges: &[Privilege], by: &str| {
            let names: Vec<&str> = privileges.iter().map(|p| p.as_str()).collect();
            names.join(by)
        };
        match right {
            OptionRight::All(privileges) => join(privileges, "+"),
            OptionRight::Any(privileges) => join(privileges, "|"),
            OptionRight::AndHost(privileges) => format!("{}+/", join(privileges, "+")),
            OptionRight::Root => "root".to_owned(),
            OptionRight::RootForDevice => "root for devices".to_owned(),
            OptionRight::RootForUnmapped => "root for unmapped".to_owned(),
        }
    }

    /// Every option whose rights do not depend on its value, in Proxmox VE's groups.
    #[test]
    fn each_option_has_its_right() {
        let groups = [
            (
                "VM.Config.CPU",
                "cores cpu cpulimit cpuunits numa numa[n] smp sockets vcpus",
            ),
            ("VM.Config.Memory", "allow-ksm balloon memory shares"),
            (
                "VM.Config.HWType",
                "acpi audio0 hotplug kvm machine scsihw smbios1 tablet vga watchdog",
            ),
            (
                "VM.Config.Options",
                "agent autostart bios description keyboard localtime migrate_downtime \
                 migrate_speed name onboot ostype protection reboot startdate tags tdf template",
            ),
            ("VM.Config.Options+/", "startup"),
            ("VM.PowerMgmt", "freeze"),
            (
                "VM.Config.Disk",
                "boot bootdisk cdrom efidisk0 ide[n] sata[n] scsi[n] tpmstate0 unused[n] virtio[n] \
                 virtiofs[n] vmstatestorage",
            ),
            ("VM.Config.Network", "net[n]"),
            (
                "VM.Config.Cloudinit|VM.Config.Network",
                "cicustom cipassword citype ciupgrade ciuser ipconfig[n] nameserver searchdomain \
                 sshkeys",
            ),
            ("root for devices", "rng0 serial[n] usb[n]"),
            ("root for unmapped", "hostpci[n]"),
            (
                "root",
                "affinity amd-sev arch args hookscript hugepages intel-tdx ivshmem \
                 keephugepages lock parallel[n] spice_enhancements vmgenid",
            ),
        ];
        let mut seen = 0;
        for field in ALL.iter().flat_map(|group| group.iter()) {
            let option = field.name.replace("[n]", "3");
            let right = names(option_right(&option, None));
            let group = groups
                .iter()
                .find(|(_, options)| options.split(' ').any(|name| name == field.name));
            assert_eq!(
                Some(right.as_str()),
                group.map(|(right, _)| *right),
                "{option}"
            );
            seen += 1;
        }
        let listed: usize = groups.iter().map(|(_, o)| o.split(' ').count()).sum();
        assert_eq!(seen, listed);
    }

    #[test]
    fn a_value_is_what_it_is_and_not_what_it_looks_like() {
        for (option, value, right) in [
            (
                "scsi0",
                "local:100/vm-100-disk-0.raw,size=1G",
                "VM.Config.Disk",
            ),
            ("scsi0", "local:8,serial=media=cdrom", "VM.Config.Disk"),
            ("scsi0", "local:8,media=cdrom", "VM.Config.Disk"),
            ("scsi0", "none", "VM.Config.CDROM"),
            ("scsi0", "none,media=cdrom", "VM.Config.CDROM"),
            (
                "scsi0",
                "media=cdrom,file=local:iso/x.iso",
                "VM.Config.CDROM",
            ),
            ("scsi0", "local:iso/x.iso", "VM.Config.CDROM"),
            ("scsi0", "local:iso/x.iso,media=disk", "VM.Config.Disk"),
            ("ide2", "cdrom", "VM.Config.CDROM"),
            ("cdrom", "none", "VM.Config.CDROM"),
            (
                "ide2",
                "local:cloudinit",
                "VM.Config.Cloudinit+VM.Config.CDROM",
            ),
            (
                "ide2",
                "local:100/vm-100-cloudinit.qcow2,media=cdrom",
                "VM.Config.Cloudinit+VM.Config.CDROM",
            ),
            ("efidisk0", "local:1,efitype=4m", "VM.Config.Disk"),
            ("serial0", "socket", "VM.Config.HWType"),
            ("serial0", "/dev/ttyS0", "root for devices"),
            ("hostpci0", "mapping=gpu,pcie=1", "VM.Config.HWType"),
            ("hostpci0", "01:00", "root for unmapped"),
            ("virtiofs0", "data", "VM.Config.Disk"),
            ("usb0", "mapping=stick", "VM.Config.HWType"),
            ("usb0", "spice", "VM.Config.HWType"),
            ("usb0", "1234:5678", "root for devices"),
            ("usb0", "host=1-2,usb3=1", "root for devices"),
            ("rng0", "/dev/urandom", "VM.Config.HWType"),
            ("rng0", "source=/dev/random,max_bytes=1", "VM.Config.HWType"),
            ("rng0", "source=/dev/hwrng", "root for devices"),
        ] {
            assert_eq!(
                names(option_right(option, Some(value))),
                right,
                "{option}={value}"
            );
        }
    }

    #[test]
    fn what_a_device_is_made_of_needs_a_right_too() {
        let paths = |value: &str| -> Vec<String> {
            let needs = needs_of_option("net0", Some(value), "/vms/100", Some("/pool/p"));
            needs.unwrap().into_iter().map(|need| need.path).collect()
        };
        assert_eq!(paths("virtio"), ["/vms/100"]);
        assert_eq!(
            paths("virtio,bridge=vmbr0,tag=10"),
            ["/vms/100", "/sdn/zones/localnetwork/vmbr0/10"]
        );
        // One VLAN is no way to others.
        let vlan = |vlan: u16| format!("/sdn/zones/localnetwork/vmbr0/{vlan}");
        assert_eq!(
            paths("virtio,bridge=vmbr0,tag=10,trunks=12-13;20")[1..],
            [vlan(10), vlan(12), vlan(13), vlan(20)]
        );
        let needs = needs_of_option("cpu", Some("custom-my,hidden=1"), "/vms/100", None).unwrap();
        assert_eq!(
            needs[1],
            Need::all("/mapping/cpu/custom-my", &[Privilege::MappingUse])
        );
        let needs = needs_of_option("usb0", Some("mapping=stick"), "/vms/100", None).unwrap();
        assert_eq!(
            needs[1],
            Need::all("/mapping/usb/stick", &[Privilege::MappingUse])
        );
        let own = needs_of_option("cpu", Some("host"), "/vms/100", None).unwrap();
        assert_eq!(own.len(), 1);
        assert_eq!(needs_of_option("args", Some("x"), "/vms/100", None), None);
    }
}
