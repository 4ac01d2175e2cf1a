//! What cloud-init configures in a guest: the options `ci…`, `ipconfig[n]`, `sshkeys` and the name
//! servers.

mod custom;
mod ipconfig;
mod keys;

pub use custom::CustomFiles;
pub use ipconfig::{Ip4, Ip6, IpConfig};
pub use keys::ssh_keys;

use std::collections::BTreeMap;

use crate::schema::{Field, Format, format};
use crate::{FieldErrors, GuestConfig, VmId, VolumeId};

/// How many network cards, and so addresses, a guest may have.
const CARDS: u8 = 32;

/// The size of the volume with the data, in bytes.
pub const CLOUD_INIT_BYTES: u64 = 4 << 20;

const fn named(
    name: &'static str,
    format: &'static str,
    check: fn(&str) -> Result<(), String>,
) -> Field {
    Field::string(name)
        .optional()
        .format(Format::named(format, check))
}

pub(super) const CLOUD_INIT: &[Field] = &[
    named("cicustom", "pve-qm-cicustom", |text| {
        let checked = CustomFiles::parse(text).map(|_| ());
        checked.map_err(|error| error.to_string())
    }),
    Field::string("cipassword").optional(),
    Field::string("citype")
        .optional()
        .one_of(&["configdrive2", "nocloud", "opennebula"])
        .unbuilt_values(&["opennebula"]),
    Field::boolean("ciupgrade").optional().default("1"),
    Field::string("ciuser").optional(),
    Field::string("ipconfig[n]")
        .optional()
        .format(Format::Properties {
            name: "pve-qm-ipconfig",
            fields: ipconfig::IPCONFIG,
        })
        .also(|text| IpConfig::parse(text).map(|_| ()))
        .indexed(32),
    Field::string("nameserver")
        .optional()
        .format(format::ADDRESS_LIST),
    Field::string("searchdomain").optional(),
    Field::string("sshkeys")
        .optional()
        .format(format::URL_ENCODED),
];

/// Whether an option only changes the cloud-init medium.
pub fn is_cloud_init_option(name: &str) -> bool {
    crate::schema::find(&[CLOUD_INIT], name).is_some()
}

/// Whether the medium contains an option's value. Besides cloud-init's own options these are the
/// guest's name and the MAC addresses of the network cards.
pub fn is_told_by_cloud_init(name: &str) -> bool {
    let is_card = name
        .strip_prefix("net")
        .is_some_and(|index| index.parse::<u8>().is_ok());
    is_cloud_init_option(name) || name == "name" || is_card
}

/// Whether a volume is a cloud-init medium, by its name: `100/vm-100-cloudinit.qcow2`,
/// `vm-100-cloudinit`.
pub fn is_cloud_init_volume(volume: &VolumeId) -> bool {
    let file = volume.name().rsplit('/').next().unwrap_or_default();
    let stem = [".qcow2", ".raw", ".vmdk"]
        .iter()
        .find_map(|ending| file.strip_suffix(ending))
        .unwrap_or(file);
    stem.strip_prefix("vm-")
        .and_then(|rest| rest.strip_suffix("-cloudinit"))
        .is_some_and(|owner| owner.parse::<VmId>().is_ok())
}

/// The layout of the medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloudInitType {
    NoCloud,
    ConfigDrive2,
}

/// The options of one guest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CloudInit {
    /// None: the operating system decides.
    pub kind: Option<CloudInitType>,
    pub user: Option<String>,
    /// As stored: hashed, except for Windows, whose agent needs the plain text.
    pub password: Option<String>,
    /// None: packages are upgraded.
    pub upgrade: Option<bool>,
    pub custom: CustomFiles,
    /// Lines of `authorized_keys`.
    pub keys: Vec<String>,
    /// None: the node's own.
    pub nameservers: Option<Vec<String>>,
    /// None: the node's own.
    pub search_domains: Option<Vec<String>>,
    /// Of the card with this number.
    pub addresses: BTreeMap<u8, IpConfig>,
}

impl CloudInit {
    /// Reads the options; what is wrong with any of them is added to `errors`.
    pub fn read(config: &GuestConfig, errors: &mut FieldErrors) -> Self {
        let mut wrong = |option: &str, reason: String| {
            errors.insert(option.to_owned(), reason);
        };
        let mut cloud_init = Self {
            kind: match config.text("citype").as_deref() {
                Some("nocloud") => Some(CloudInitType::NoCloud),
                Some("configdrive2") => Some(CloudInitType::ConfigDrive2),
                _ => None,
            },
            user: config.text("ciuser"),
            password: config.text("cipassword"),
            upgrade: config.flag("ciupgrade"),
            nameservers: list(config, "nameserver"),
            search_domains: list(config, "searchdomain"),
            ..Self::default()
        };
        for option in ["ciuser", "cipassword", "searchdomain"] {
            if config
                .text(option)
                .is_some_and(|text| text.contains(char::is_control))
            {
                wrong(option, "value has control characters".to_owned());
            }
        }
        if let Some(text) = config.text("cicustom") {
            match CustomFiles::parse(&text) {
                Ok(custom) => cloud_init.custom = custom,
                Err(error) => wrong("cicustom", error.for_parameter("cicustom")),
            }
        }
        if let Some(text) = config.text("sshkeys") {
            match ssh_keys(&text) {
                Ok(keys) => cloud_init.keys = keys,
                Err(reason) => wrong("sshkeys", reason),
            }
        }
        for card in 0..CARDS {
            let option = format!("ipconfig{card}");
            match config.text(&option).map(|text| IpConfig::parse(&text)) {
                Some(Ok(address)) => {
                    cloud_init.addresses.insert(card, address);
                }
                Some(Err(error)) => wrong(&option, error.for_parameter(&option)),
                None => {}
            }
        }
        cloud_init
    }
}

fn list(config: &GuestConfig, option: &str) -> Option<Vec<String>> {
    let text = config.text(option)?;
    Some(format::split_list(&text).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_medium_is_known_by_its_name() {
        for name in [
            "local:100/vm-100-cloudinit.qcow2",
            "local:100/vm-100-cloudinit.raw",
            "lvm:vm-100-cloudinit",
        ] {
            assert!(is_cloud_init_volume(&name.parse().unwrap()), "{name}");
        }
        for name in [
            "local:100/vm-100-disk-0.qcow2",
            "local:iso/vm-x-cloudinit.iso",
            "local:iso/cloudinit.iso",
        ] {
            assert!(!is_cloud_init_volume(&name.parse().unwrap()), "{name}");
        }
    }

    #[test]
    fn every_wrong_option_is_named() {
        let mut config = GuestConfig::default();
        for (option, value) in [
            ("ciuser", "a\nb"),
            ("searchdomain", "a\tb"),
            ("cicustom", "user=nowhere"),
            ("sshkeys", "nonsense"),
            ("ipconfig3", "gw=10.0.0.1"),
        ] {
            config.set(option, value);
        }
        let mut errors = FieldErrors::new();
        CloudInit::read(&config, &mut errors);
        let names: Vec<&str> = errors.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            ["cicustom", "ciuser", "ipconfig3", "searchdomain", "sshkeys"]
        );
    }

    #[test]
    fn options_are_told_apart() {
        for name in ["ciuser", "ipconfig0", "ipconfig31", "sshkeys", "nameserver"] {
            assert!(is_cloud_init_option(name), "{name}");
        }
        for name in ["name", "net0", "ipconfig", "ipconfig32", "memory"] {
            assert!(!is_cloud_init_option(name), "{name}");
        }
        assert!(is_told_by_cloud_init("net3") && is_told_by_cloud_init("name"));
        assert!(!is_told_by_cloud_init("netx") && !is_told_by_cloud_init("memory"));
    }
}
