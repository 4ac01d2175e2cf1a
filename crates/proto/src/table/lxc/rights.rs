//! The rights that are needed to set, delete or revert an option of a container.

use model::Privilege;
use model::lxc::{MountPoint, MountSlot, MountSource, Net, OPTIONS};
use model::schema::Values;

use crate::Need;
use crate::table::qemu::{bridge_paths, use_of_bridges};

/// The rights needed to change an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CtRight {
    /// These on the guest.
    On(&'static [Privilege]),
    /// These on the guest, and Sys.Modify on the host: the option sets the order in which its
    /// guests start.
    AndHost(&'static [Privilege]),
    /// For a privileged container root only, else VM.Allocate.
    Nesting,
    /// Root only, with the words of the refusal.
    Root(&'static str),
}

const CPU: CtRight = CtRight::On(&[Privilege::VmConfigCpu]);
const MEMORY: CtRight = CtRight::On(&[Privilege::VmConfigMemory]);
const NETWORK: CtRight = CtRight::On(&[Privilege::VmConfigNetwork]);
const DISK: CtRight = CtRight::On(&[Privilege::VmConfigDisk]);
const CONFIGURE: CtRight = CtRight::On(&[Privilege::VmConfigOptions]);

const FEATURES: &str = "changing feature flags (except nesting) is only allowed for root@pam";

/// The rights needed to change an option with this old or new value. Without a value: the most that
/// the option can need.
pub fn ct_option_right(option: &str, value: Option<&str>) -> CtRight {
    if let Ok(slot) = option.parse::<MountSlot>() {
        return mount_right(slot, value);
    }
    match option.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "cores" | "cpulimit" | "cpuunits" => CPU,
        "memory" | "swap" => MEMORY,
        "unused" => DISK,
        "net" | "nameserver" | "searchdomain" | "hostname" => NETWORK,
        "startup" => CtRight::AndHost(&[Privilege::VmConfigOptions]),
        "dev" => CtRight::Root("configuring device passthrough is only allowed for root@pam"),
        "hookscript" => CtRight::Root("changing the hookscript is only allowed for root@pam"),
        "lock" => CtRight::Root("only root can set 'lock' config"),
        "features" => match value.map(model::lxc::Features::parse) {
            Some(Ok(features)) if features.is_only_nesting() => CtRight::Nesting,
            _ => CtRight::Root(FEATURES),
        },
        _ => CONFIGURE,
    }
}

fn mount_right(slot: MountSlot, value: Option<&str>) -> CtRight {
    match value.map(|text| MountPoint::parse(slot, text).map(|mount| mount.source())) {
        Some(Ok(MountSource::Bind(_))) => {
            CtRight::Root("mount point type bind is only allowed for root@pam")
        }
        Some(Ok(MountSource::Device(_))) => {
            CtRight::Root("mount point type device is only allowed for root@pam")
        }
        _ => DISK,
    }
}

/// The rights needed to change an option with this old or new value: on the guest (or on `or_on`),
/// and on the bridge that it uses. None if only root may change it.
pub fn needs_of_ct_option(
    option: &str,
    value: Option<&str>,
    guest: &str,
    or_on: Option<&str>,
) -> Option<Vec<Need>> {
    let here = |privileges: &[Privilege]| Need {
        or_on: or_on.map(str::to_owned),
        ..Need::all(guest, privileges)
    };
    let mut needs = match ct_option_right(option, value) {
        CtRight::On(privileges) => vec![here(privileges)],
        CtRight::AndHost(privileges) => {
            vec![here(privileges), Need::all("/", &[Privilege::SysModify])]
        }
        CtRight::Nesting => vec![here(&[Privilege::VmAllocate])],
        CtRight::Root(_) => return None,
    };
    if option.starts_with("net") {
        needs.extend(bridge_needs(value));
    }
    Some(needs)
}

/// The right to use a network card's bridge, or each of its VLANs.
fn bridge_needs(value: Option<&str>) -> Vec<Need> {
    let net = value.and_then(|value| Net::parse(value).ok());
    let paths = net.and_then(|net| Some(bridge_paths(net.bridge()?, &net.vlans())));
    use_of_bridges(paths.unwrap_or_default())
}

/// The rights needed to set options to these values, without duplicates.
pub(super) fn option_needs(params: &Values, guest: &str, or_on: Option<&str>) -> Vec<Need> {
    let set = params
        .iter()
        .filter(|(name, _)| model::schema::find(OPTIONS, name).is_some());
    let mut needs: Vec<Need> = Vec::new();
    for (name, value) in set {
        let one = needs_of_ct_option(name, value.as_str(), guest, or_on);
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

    #[test]
    fn a_value_decides_who_may_set_it() {
        let shown = |option: &str, value: &str| match ct_option_right(option, Some(value)) {
            CtRight::On(privileges) => privileges[0].as_str().to_owned(),
            CtRight::AndHost(privileges) => format!("{}+/", privileges[0].as_str()),
            CtRight::Nesting => "nesting".to_owned(),
            CtRight::Root(_) => "root".to_owned(),
        };
        for (option, value, right) in [
            ("cores", "2", "VM.Config.CPU"),
            ("swap", "2", "VM.Config.Memory"),
            ("net0", "name=eth0,bridge=vmbr0", "VM.Config.Network"),
            ("hostname", "a", "VM.Config.Network"),
            ("rootfs", "local:8", "VM.Config.Disk"),
            ("mp0", "local:100/vm-100-disk-1.raw,mp=/a", "VM.Config.Disk"),
            ("mp0", "/srv/x,mp=/a", "root"),
            ("mp0", "/dev/sdb,mp=/a", "root"),
            ("features", "nesting=1", "nesting"),
            ("features", "nesting=1,fuse=1", "root"),
            ("startup", "order=1", "VM.Config.Options+/"),
            ("tags", "a", "VM.Config.Options"),
            ("entrypoint", "/bin/x", "VM.Config.Options"),
            ("hookscript", "local:snippets/x", "root"),
            ("lock", "backup", "root"),
            ("dev0", "/dev/null", "root"),
        ] {
            assert_eq!(shown(option, value), right, "{option}={value}");
        }
    }

    #[test]
    fn a_card_needs_its_bridge_too() {
        let needs = needs_of_ct_option(
            "net0",
            Some("name=eth0,bridge=vmbr0,tag=5"),
            "/vms/100",
            None,
        );
        let paths: Vec<String> = needs.unwrap().into_iter().map(|need| need.path).collect();
        assert_eq!(paths, ["/vms/100", "/sdn/zones/localnetwork/vmbr0/5"]);
    }
}
