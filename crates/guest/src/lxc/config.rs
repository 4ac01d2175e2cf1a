//! A container's configuration, typed and with its defaults filled in.

use std::collections::{BTreeMap, BTreeSet};

use model::lxc::{Device, Features, MountPoint, MountSlot, Net};
use model::schema::PropertyError;
use model::schema::format::split_list;
use model::{FieldErrors, GuestConfig, VmId};

use super::image::split_words;

/// The host's ids of an unprivileged container: its 0 is the first of them.
pub const ID_FIRST: u32 = 100_000;
pub const ID_COUNT: u32 = 65_536;

/// Where a configuration has keys of LXC, as pairs of key and value. No caller sets them: they come
/// from images.
pub const LXC_KEYS: &str = "lxc";

/// What a console of the container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsoleMode {
    /// One of its terminals, with a login.
    Tty,
    /// Its console, with what it prints at its start.
    Console,
    /// A shell of its root.
    Shell,
}

/// A container's configuration, with Proxmox VE's defaults for missing options.
#[derive(Debug, Clone, PartialEq)]
pub struct CtConfig {
    pub hostname: Option<String>,
    /// None: not yet known, it is seen in the files.
    pub os_type: Option<String>,
    pub arch: Option<String>,
    pub is_unprivileged: bool,
    pub features: Features,
    /// None: all of the host.
    pub cores: Option<u32>,
    /// CPU time in processors; 0 for no limit.
    pub cpu_limit: f64,
    pub cpu_units: Option<u32>,
    pub memory_mib: u64,
    pub swap_mib: u64,
    pub terminals: u8,
    pub has_console: bool,
    pub console_mode: ConsoleMode,
    pub entrypoint: Option<String>,
    /// `NAME=value`
    pub environment: Vec<String>,
    /// Keys of LXC with their values: what no option says.
    pub lxc: Vec<(String, String)>,
    pub mounts: BTreeMap<MountSlot, MountPoint>,
    /// Devices of the host.
    pub devices: BTreeMap<u16, Device>,
    pub nets: BTreeMap<u8, Net>,
    pub name_servers: Vec<String>,
    pub search_domains: Vec<String>,
    pub time_zone: Option<String>,
    /// LXC writes all that it does to its log.
    pub is_debugged: bool,
}

impl CtConfig {
    /// Reads a stored configuration. Errors cover all options at once.
    pub fn parse(config: &GuestConfig) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::new();
        let parsed = read(config, &mut errors);
        parsed.check(&mut errors);
        match errors.is_empty() {
            true => Ok(parsed),
            false => Err(errors),
        }
    }

    /// What options are only together: two cards of one name, two file systems at one path.
    fn check(&self, errors: &mut FieldErrors) {
        let mut names = BTreeSet::new();
        for (index, net) in &self.nets {
            if !names.insert(net.name()) {
                let reason = format!("another network card is called '{}'", net.name());
                errors.insert(format!("net{index}"), reason);
            }
        }
        let mut devices = BTreeSet::new();
        for (index, device) in &self.devices {
            if !devices.insert(&device.path) {
                let reason = format!("another option is device '{}'", device.path);
                errors.insert(format!("dev{index}"), reason);
            }
        }
        for (index, device) in &self.devices {
            let id = device.uid.max(device.gid);
            if self.is_unprivileged && id >= ID_COUNT {
                let reason = format!("an unprivileged container has no id {id}");
                errors.insert(format!("dev{index}"), reason);
            }
        }
        let mut paths = BTreeSet::new();
        for (slot, mount) in &self.mounts {
            if !paths.insert(mount.path()) {
                let reason = format!("another mount point is at '{}'", mount.path());
                errors.insert(slot.to_string(), reason);
            }
        }
    }

    /// The name that it has inside, short and with its domain.
    pub fn host_name(&self, vmid: VmId) -> String {
        let named = self.hostname.clone();
        named.unwrap_or_else(|| format!("CT{vmid}"))
    }

    /// The first id that it has on the host; none where its ids are the host's.
    pub fn first_id(&self) -> Option<u32> {
        self.is_unprivileged.then_some(ID_FIRST)
    }

    /// What runs in place of `/sbin/init`, as words.
    pub fn command(&self) -> Option<Vec<String>> {
        let words = split_words(self.entrypoint.as_deref()?);
        (!words.is_empty() && words != ["/sbin/init"]).then_some(words)
    }

    /// Whom the top of a new file system of it belongs to.
    pub fn owner(&self) -> (u32, u32) {
        let id = self.first_id().unwrap_or(0);
        (id, id)
    }

    /// Whether nothing is known of its files, so that none is written.
    pub fn is_unmanaged(&self) -> bool {
        self.os_type.as_deref() == Some("unmanaged")
    }
}

fn read(config: &GuestConfig, errors: &mut FieldErrors) -> CtConfig {
    let number = |option: &str, least: u64| -> Option<u64> {
        let number = u64::try_from(config.integer(option)?).ok()?;
        (number >= least).then_some(number)
    };
    let small = |option: &str| number(option, 1).and_then(|number| u32::try_from(number).ok());
    let list = |option: &str| -> Vec<String> {
        let text = config.text(option).unwrap_or_default();
        split_list(&text).map(str::to_owned).collect()
    };
    CtConfig {
        hostname: config.text("hostname"),
        os_type: config.text("ostype"),
        arch: config.text("arch"),
        is_unprivileged: config.flag("unprivileged") == Some(true),
        features: view(config, "features", Features::parse, errors).unwrap_or_default(),
        cores: small("cores"),
        cpu_limit: config
            .text("cpulimit")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0.0),
        cpu_units: small("cpuunits"),
        memory_mib: number("memory", 1).unwrap_or(512),
        swap_mib: number("swap", 0).unwrap_or(0),
        terminals: number("tty", 0).map_or(2, |count| u8::try_from(count).unwrap_or(6).min(6)),
        has_console: config.flag("console").unwrap_or(true),
        console_mode: match config.text("cmode").as_deref() {
            Some("console") => ConsoleMode::Console,
            Some("shell") => ConsoleMode::Shell,
            _ => ConsoleMode::Tty,
        },
        entrypoint: config.text("entrypoint"),
        environment: config
            .text("env")
            .map(|text| text.split('\0').map(str::to_owned).collect())
            .unwrap_or_default(),
        lxc: config
            .0
            .get(LXC_KEYS)
            .and_then(|keys| serde_json::from_value(keys.clone()).ok())
            .unwrap_or_default(),
        mounts: mounts(config, errors),
        devices: (0..Device::COUNT)
            .filter_map(|n| Some((n, view(config, &format!("dev{n}"), Device::parse, errors)?)))
            .collect(),
        nets: (0..32)
            .filter_map(|n| Some((n, view(config, &format!("net{n}"), Net::parse, errors)?)))
            .collect(),
        name_servers: list("nameserver"),
        search_domains: list("searchdomain"),
        time_zone: config.text("timezone"),
        is_debugged: config.flag("debug") == Some(true),
    }
}

fn view<T>(
    config: &GuestConfig,
    option: &str,
    parse: impl FnOnce(&str) -> Result<T, PropertyError>,
    errors: &mut FieldErrors,
) -> Option<T> {
    match parse(&config.text(option)?) {
        Ok(view) => Some(view),
        Err(error) => {
            errors.insert(option.to_owned(), error.for_parameter(option));
            None
        }
    }
}

fn mounts(config: &GuestConfig, errors: &mut FieldErrors) -> BTreeMap<MountSlot, MountPoint> {
    let slots = config.0.keys().filter_map(|name| name.parse().ok());
    let parse = |slot: MountSlot| {
        let name = slot.to_string();
        let mount = view(config, &name, |text| MountPoint::parse(slot, text), errors)?;
        Some((slot, mount))
    };
    slots
        .collect::<Vec<MountSlot>>()
        .into_iter()
        .filter_map(parse)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(options: &[(&str, &str)]) -> GuestConfig {
        let mut config = GuestConfig::default();
        for (name, value) in options {
            config.set(*name, *value);
        }
        config
    }

    #[test]
    fn defaults_are_those_of_proxmox_ve() {
        let parsed = CtConfig::parse(&GuestConfig::default()).unwrap();
        assert_eq!(
            (parsed.memory_mib, parsed.swap_mib, parsed.terminals),
            (512, 0, 2)
        );
        assert_eq!((parsed.cores, parsed.owner()), (None, (0, 0)));
        assert!(parsed.has_console && parsed.console_mode == ConsoleMode::Tty);
        assert_eq!(parsed.host_name("100".parse().unwrap()), "CT100");
    }

    #[test]
    fn what_cannot_be_together_is_refused() {
        let errors = CtConfig::parse(&config(&[
            ("net0", "name=eth0"),
            ("net1", "name=eth0"),
            ("rootfs", "local:100/vm-100-disk-0.raw"),
            ("mp0", "local:100/vm-100-disk-1.raw,mp=/a"),
            ("mp1", "local:100/vm-100-disk-2.raw,mp=a/"),
            ("mp2", "broken,,"),
            ("dev0", "/dev/net/tun"),
            ("dev7", "path=/dev/net/tun,mode=0666"),
        ]))
        .unwrap_err();
        let names: Vec<&str> = errors.keys().map(String::as_str).collect();
        assert_eq!(names, ["dev7", "mp1", "mp2", "net1"]);
    }
}
