//! An export of an NFS server.

use sys::Command;

use super::{Remote, bracketed, option};
use crate::NfsSpec;
use crate::dir::Mounted;

/// The port of NFS itself, and of the program that knows the ports of older versions.
const PORT: u16 = 2049;
const RPCBIND: u16 = 111;

pub(super) struct Nfs(pub(super) NfsSpec);

impl Remote for Nfs {
    fn source(&self) -> String {
        format!("{}:{}", bracketed(&self.0.server), self.0.export)
    }

    fn is(&self, mounted: &Mounted) -> bool {
        let same =
            |one: &str, other: &str| one.trim_end_matches('/') == other.trim_end_matches('/');
        mounted.kind.starts_with("nfs") && same(&mounted.source, &self.source())
    }

    fn server(&self) -> (&str, Vec<u16>) {
        let configured = option(self.0.options.as_deref(), "port");
        let ports = match configured.and_then(|port| port.parse().ok()) {
            Some(port) => vec![port],
            None => vec![PORT, RPCBIND],
        };
        (&self.0.server, ports)
    }

    fn mounting(&self, point: &str) -> Command {
        // By default mount.nfs tries again for two minutes; the next activation does.
        let configured = self.0.options.as_deref();
        let options = match (configured, option(configured, "retry")) {
            (None, _) => "retry=0".to_owned(),
            (Some(given), None) => format!("{given},retry=0"),
            (Some(given), Some(_)) => given.to_owned(),
        };
        let source = self.source();
        Command::new("mount").args(["-t", "nfs", "-o", &options, &source, point])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nfs(server: &str, options: Option<&str>) -> Nfs {
        Nfs(NfsSpec {
            server: server.to_owned(),
            export: "/srv/vms".to_owned(),
            options: options.map(str::to_owned),
            ..NfsSpec::default()
        })
    }

    #[test]
    fn an_export_is_mounted_once_and_known_again() {
        let plain = nfs("10.0.0.1", None);
        let command = plain.mounting("/mnt/pve/nas");
        assert_eq!(
            command.args.join(" "),
            "-t nfs -o retry=0 10.0.0.1:/srv/vms /mnt/pve/nas"
        );
        let mounted = |kind: &str, source: &str| Mounted {
            kind: kind.to_owned(),
            source: source.to_owned(),
        };
        assert!(plain.is(&mounted("nfs4", "10.0.0.1:/srv/vms/")));
        assert!(!plain.is(&mounted("nfs4", "10.0.0.2:/srv/vms")));
        assert!(!plain.is(&mounted("ext4", "10.0.0.1:/srv/vms")));
        assert_eq!(plain.server(), ("10.0.0.1", vec![2049, 111]));
    }

    #[test]
    fn options_are_kept() {
        let other = nfs("fd00::1", Some("vers=4.2,port=12049"));
        let args = other.mounting("/m").args;
        assert_eq!(args[3], "vers=4.2,port=12049,retry=0");
        assert_eq!(args[4], "[fd00::1]:/srv/vms");
        assert_eq!(other.server().1, [12049]);
    }
}
