//! The text of LXC's configuration.
//!
//! The container's file systems are mounted before LXC begins, in a mount namespace of its own, so
//! that they are no part of it. Its limits are those of its scope, above the groups that LXC makes:
//! neither the container nor its monitor can change them.

use std::fmt::Write;

use model::VmId;
use model::lxc::{Features, Ip4, Ip6, Net};

use super::{CtConfig, ID_COUNT};

/// Where LXC's own files are that every container includes.
const SHARED: &str = "/usr/share/lxc/config";

/// Where the container's root is mounted, in LXC's own mount namespace: a folder that every system
/// has and that every user may pass.
pub const ROOT: &str = "/mnt";

/// What decides about a configuration beside the options.
#[derive(Debug, Clone)]
pub struct Rendering<'a> {
    pub vmid: VmId,
    /// The folder of the container's run files.
    pub folder: &'a str,
    /// Whether the kernel has AppArmor.
    pub has_apparmor: bool,
    /// The MTU of each card, by index: its own, or its bridge's.
    pub mtus: &'a [(u8, u32)],
    /// The cards that are isolated.
    pub isolated: &'a [u8],
    pub devices: &'a [PassedDevice],
}

/// A device of the host, with the file that was made for the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedDevice {
    pub file: String,
    /// Where the container has it.
    pub path: String,
    /// `c 188:0`
    pub number: String,
    pub denies_write: bool,
}

/// The rules for system calls of an unprivileged container, besides those of LXC's own file: no
/// raw access to btrfs, no sockets of the kernel's ciphers, and key rings only if asked for.
const SECCOMP_RULES: &str = "2\n\
    denylist\n\
    reject_force_umount\n\
    [all]\n\
    kexec_load errno 1\n\
    open_by_handle_at errno 1\n\
    init_module errno 1\n\
    finit_module errno 1\n\
    delete_module errno 1\n\
    ioctl errno 1 [1,0x9400,SCMP_CMP_MASKED_EQ,0xff00]\n\
    socket errno 97 [0,38,SCMP_CMP_EQ]\n";

/// The content of `rules.seccomp`.
pub fn seccomp_rules(features: &Features) -> String {
    let mut rules = SECCOMP_RULES.to_owned();
    if !features.keyctl {
        rules.push_str("keyctl errno 38\n");
    }
    rules
}

/// One `lxc.… = …` a line.
pub fn render(config: &CtConfig, rendering: &Rendering<'_>) -> String {
    let mut lines = Lines::default();
    groups(&mut lines);
    let arch = config.arch.as_deref().unwrap_or("amd64");
    lines.put("arch", linux_arch(arch));
    lines.put("include", format!("{SHARED}/common.conf"));
    if config.is_unprivileged {
        lines.put("include", format!("{SHARED}/userns.conf"));
        let rules = format!("{}/rules.seccomp", rendering.folder);
        lines.put("seccomp.profile", rules);
    }
    if rendering.has_apparmor {
        apparmor(&mut lines, config);
    }
    if config.features.fuse {
        lines.put(
            "mount.entry",
            "/dev/fuse dev/fuse none bind,create=file 0 0",
        );
    }
    devices(&mut lines, rendering.devices);
    if config.is_unprivileged {
        if !config.features.force_rw_sys {
            lines.put("mount.auto", "sys:mixed");
        }
        for kind in ["u", "g"] {
            let first = super::ID_FIRST;
            lines.put("idmap", format!("{kind} 0 {first} {ID_COUNT}"));
        }
    }
    terminals(&mut lines, config);
    signals(&mut lines, config);
    init(&mut lines, config);
    for (key, value) in &config.lxc {
        lines.put(key.trim_start_matches("lxc."), value);
    }
    lines.put("uts.name", config.host_name(rendering.vmid));
    lines.put("rootfs.path", format!("dir:{ROOT}"));
    nets(&mut lines, config, rendering);
    lines.0
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    /// No value has a line break: the options' schemas refuse them.
    fn put(&mut self, key: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "lxc.{key} = {value}");
    }
}

fn devices(lines: &mut Lines, devices: &[PassedDevice]) {
    // Blanks part the fields of an entry.
    let escaped = |path: &str| path.replace(' ', "\\040");
    for device in devices {
        let inside = escaped(device.path.trim_start_matches('/'));
        let entry = format!(
            "{} {inside} none bind,create=file 0 0",
            escaped(&device.file)
        );
        lines.put("mount.entry", entry);
        for version in ["cgroup", "cgroup2"] {
            let number = &device.number;
            let allowed = if device.denies_write { "r" } else { "rw" };
            lines.put(
                &format!("{version}.devices.allow"),
                format!("{number} {allowed}"),
            );
            if device.denies_write {
                lines.put(&format!("{version}.devices.deny"), format!("{number} w"));
            }
        }
    }
}

/// The groups are below the scope that LXC is started in.
fn groups(lines: &mut Lines) {
    lines.put("cgroup.relative", 1);
    lines.put("cgroup.dir.monitor", "monitor");
    lines.put("cgroup.dir.container", "payload");
}

/// The kernel's name of an architecture.
fn linux_arch(arch: &str) -> &str {
    match arch {
        "amd64" => "x86_64",
        "i386" => "i686",
        "arm64" => "aarch64",
        "armhf" => "armv7l",
        other => other,
    }
}

fn apparmor(lines: &mut Lines, config: &CtConfig) {
    lines.put("apparmor.profile", "generated");
    lines.put("apparmor.raw", "allow mqueue,");
    if config.features.nesting {
        lines.put("apparmor.allow_nesting", 1);
        lines.put("apparmor.raw", "allow userns,");
    } else {
        lines.put("apparmor.raw", "deny mount -> /proc/,");
        lines.put("apparmor.raw", "deny mount -> /sys/,");
    }
    for name in &config.features.mount {
        lines.put("apparmor.raw", format!("mount fstype={name},"));
    }
    if config.features.fuse {
        lines.put("apparmor.raw", "mount fstype=fuse,");
    }
}

fn terminals(lines: &mut Lines, config: &CtConfig) {
    if !config.has_console {
        lines.put("console.path", "none");
        if !config.is_unprivileged {
            for version in ["cgroup", "cgroup2"] {
                lines.put(&format!("{version}.devices.deny"), "c 5:1 rwm");
            }
        }
    }
    lines.put("tty.max", config.terminals);
}

/// What asks init to end. Systemd is recognised by LXC itself.
fn signals(lines: &mut Lines, config: &CtConfig) {
    // The init of busybox powers off and reboots at these.
    let is_said = config.lxc.iter().any(|(key, _)| key == "lxc.signal.halt");
    if config.os_type.as_deref() == Some("alpine") && !is_said {
        lines.put("signal.halt", "SIGUSR2");
        lines.put("signal.reboot", "SIGTERM");
    }
}

fn init(lines: &mut Lines, config: &CtConfig) {
    lines.put("environment", "TERM=linux");
    for variable in &config.environment {
        lines.put("environment", variable);
    }
    let entrypoint = config.entrypoint.as_deref().unwrap_or("/sbin/init");
    if entrypoint != "/sbin/init" {
        lines.put("init.cmd", entrypoint);
        let entry = "shm dev/shm tmpfs rw,nosuid,nodev,create=dir 0 0";
        lines.put("mount.entry", entry);
    }
}

fn nets(lines: &mut Lines, config: &CtConfig, rendering: &Rendering<'_>) {
    if config.nets.is_empty() {
        lines.put("net.0.type", "empty");
        // With it comes the loopback, which an init brings up by itself.
        if config.command().is_some() {
            lines.put("net.0.flags", "up");
        }
    }
    for (index, net) in &config.nets {
        let mut put = |key: &str, value: String| lines.put(&format!("net.{index}.{key}"), value);
        put("type", "veth".to_owned());
        put("veth.pair", format!("veth{}i{index}", rendering.vmid));
        // A card with VLANs, or one that is isolated, is joined once these can be set.
        let waits = !net.vlans().is_empty() || rendering.isolated.contains(index);
        let is_joined = !net.is_down() && !waits;
        if let Some(bridge) = net.bridge().filter(|_| is_joined) {
            put("link", bridge.to_owned());
        }
        if let Some(mac) = net.mac() {
            put("hwaddr", mac.to_owned());
        }
        put("name", net.name().to_owned());
        let mtu = rendering.mtus.iter().find(|(of, _)| of == index);
        if let Some((_, mtu)) = mtu {
            put("mtu", mtu.to_string());
        }
        if net.is_host_managed() {
            addresses(net, &mut put);
        }
    }
}

/// What LXC sets at a card before init executes.
fn addresses(net: &Net, put: &mut impl FnMut(&str, String)) {
    put("flags", "up".to_owned());
    if let Some(Ip4::Static(address, length)) = net.ip4() {
        put("ipv4.address", format!("{address}/{length}"));
    }
    if let Some(gateway) = net.gateway4() {
        put("ipv4.gateway", gateway.to_string());
    }
    if let Some(Ip6::Static(address, length)) = net.ip6() {
        put("ipv6.address", format!("{address}/{length}"));
    }
    if let Some(gateway) = net.gateway6() {
        put("ipv6.gateway", gateway.to_string());
    }
}

#[cfg(test)]
mod tests {
    use model::GuestConfig;

    use super::*;

    fn rendered(options: &[(&str, &str)], has_apparmor: bool) -> String {
        let mut config = GuestConfig::default();
        for (name, value) in options {
            config.set(*name, *value);
        }
        let rendering = Rendering {
            vmid: "100".parse().unwrap(),
            folder: "/run/ostler/guests/100",
            has_apparmor,
            mtus: &[(0, 1500)],
            isolated: &[],
            devices: &[],
        };
        let config = CtConfig::parse(&config).unwrap();
        let devices: Vec<PassedDevice> = config
            .devices
            .iter()
            .map(|(index, device)| PassedDevice {
                file: format!("/dev/ostler/100/{index}"),
                path: device.path.clone(),
                number: "c 188:0".to_owned(),
                denies_write: device.denies_write,
            })
            .collect();
        let rendering = Rendering {
            devices: &devices,
            ..rendering
        };
        render(&config, &rendering)
    }

    #[test]
    fn a_container_in_full() {
        let unprivileged = [
            ("unprivileged", "1"),
            ("arch", "amd64"),
            ("hostname", "web"),
            ("ostype", "debian"),
            ("features", "nesting=1,keyctl=1"),
            (
                "net0",
                "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:4D:7F:E4,ip=dhcp",
            ),
            (
                "net1",
                "name=eth1,bridge=vmbr0,hwaddr=BC:24:11:4D:7F:E5,link_down=1",
            ),
        ];
        insta::assert_snapshot!("unprivileged", rendered(&unprivileged, true));
        insta::assert_snapshot!("privileged", rendered(&[("ostype", "alpine")], false));
    }

    #[test]
    fn key_rings_are_for_those_that_ask() {
        let asks = Features::parse("keyctl=1").unwrap();
        assert_eq!(seccomp_rules(&asks), SECCOMP_RULES);
        let rules = seccomp_rules(&Features::default());
        assert_eq!(rules.strip_prefix(SECCOMP_RULES), Some("keyctl errno 38\n"));
    }

    /// Each option beside nothing else: the lines that it adds and those that it takes away.
    #[test]
    fn each_option_has_its_lines() {
        let plain = rendered(&[], true);
        let mut text = String::new();
        for (name, value) in [
            ("unprivileged", "1"),
            ("arch", "i386"),
            ("arch", "arm64"),
            ("arch", "armhf"),
            ("arch", "riscv64"),
            ("cmode", "shell"),
            ("console", "0"),
            ("cores", "2"),
            ("cpulimit", "1.5"),
            ("cpuunits", "200"),
            ("memory", "2048"),
            ("swap", "64"),
            ("entrypoint", "/bin/app --serve"),
            ("entrypoint", "/sbin/init"),
            ("env", "A=1\0B=two words"),
            ("features", "nesting=1"),
            ("features", "fuse=1"),
            ("features", "force_rw_sys=1"),
            ("features", "mount=nfs;cifs"),
            ("hostname", "web.example.com"),
            ("ostype", "alpine"),
            ("ostype", "debian"),
            ("dev0", "/dev/ttyUSB0,gid=20"),
            ("dev255", "/dev/bus/usb/001/my stick,deny-write=1"),
            ("tty", "0"),
            ("tty", "6"),
            ("net0", "name=eth0"),
            ("net0", "name=eth0,bridge=vmbr0,mtu=1400"),
            ("net5", "name=lan,bridge=vmbr1,hwaddr=BC:24:11:00:00:05"),
            ("net0", "name=eth0,bridge=vmbr0,link_down=1"),
            (
                "net0",
                "name=eth0,host-managed=1,ip=10.0.0.2/24,gw=10.0.0.1,ip6=fd00::2/64,gw6=fd00::1",
            ),
            ("net0", "name=eth0,host-managed=1,ip=manual,ip6=auto"),
        ] {
            let with = rendered(&[(name, value)], true);
            let _ = writeln!(text, "{name}={}", value.replace('\0', "\\0"));
            let lacks = |other: &str| {
                let other: Vec<String> = other.lines().map(str::to_owned).collect();
                move |line: &&str| !other.iter().any(|known| known == line)
            };
            for line in with.lines().filter(lacks(&plain)) {
                let _ = writeln!(text, "  + {line}");
            }
            for line in plain.lines().filter(lacks(&with)) {
                let _ = writeln!(text, "  - {line}");
            }
        }
        insta::assert_snapshot!("each_option", text);
    }
}
