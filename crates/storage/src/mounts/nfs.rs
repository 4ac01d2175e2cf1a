//! An export of an NFS server.

use sys::{Command, Mount};

use super::{Remote, bracketed, option};
use crate::NfsSpec;

/// The port of NFS itself, and of the program that knows the ports of older versions.
const PORT: u16 = 2049;
const RPCBIND: u16 = 111;

pub(super) struct Nfs(pub(super) NfsSpec);

impl NfsSpec {
    /// What the kernel calls it as a mount's source.
    pub fn source(&self) -> String {
        format!("{}:{}", bracketed(&self.server), self.export)
    }
}

impl Remote for Nfs {
    fn source(&self) -> String {
        self.0.source()
    }

    fn is(&self, mounted: &Mount) -> bool {
        let same =
            |one: &str, other: &str| one.trim_end_matches('/') == other.trim_end_matches('/');
        mounted.kind.starts_with("nfs") && same(&mounted.source, &self.source())
    }

    fn servers(&self) -> Vec<(String, Vec<u16>)> {
        let configured = option(self.0.options.as_deref(), "port");
        let ports = match configured.and_then(|port| port.parse().ok()) {
            Some(port) => vec![port],
            None => vec![PORT, RPCBIND],
        };
        vec![(self.0.server.clone(), ports)]
    }

    /// By default version 4.1, and 3 where the server has no 4. With 4.2 the kernel frees space in the
    /// name of the process that asks for it: a guest's QEMU, whose user may not write the file.
    fn mounting(&self, point: &str) -> Vec<Command> {
        let given = self.0.options.as_deref();
        let has = |name: &str| option(given, name).is_some();
        let versions: &[&str] = match has("vers") || has("nfsvers") {
            true => &[""],
            false => &["vers=4.1", "vers=3"],
        };
        // By default mount.nfs tries again for two minutes; the next activation does.
        let retry = if has("retry") { "" } else { "retry=0" };
        let source = self.source();
        let mount = |version: &&str| {
            let all = [given.unwrap_or_default(), *version, retry];
            let all: Vec<&str> = all.into_iter().filter(|part| !part.is_empty()).collect();
            Command::new("mount").args(["-t", "nfs", "-o", &all.join(","), &source, point])
        };
        versions.iter().map(mount).collect()
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
        let commands = plain.mounting("/mnt/pve/nas");
        let commands: Vec<String> = commands.iter().map(|one| one.args.join(" ")).collect();
        assert_eq!(
            commands,
            [
                "-t nfs -o vers=4.1,retry=0 10.0.0.1:/srv/vms /mnt/pve/nas",
                "-t nfs -o vers=3,retry=0 10.0.0.1:/srv/vms /mnt/pve/nas",
            ]
        );
        let mounted = |kind: &str, source: &str| Mount {
            kind: kind.to_owned(),
            source: source.to_owned(),
            ..Mount::default()
        };
        assert!(plain.is(&mounted("nfs4", "10.0.0.1:/srv/vms/")));
        assert!(!plain.is(&mounted("nfs4", "10.0.0.2:/srv/vms")));
        assert!(!plain.is(&mounted("ext4", "10.0.0.1:/srv/vms")));
        assert_eq!(plain.servers(), [("10.0.0.1".to_owned(), vec![2049, 111])]);
    }

    #[test]
    fn options_are_kept() {
        let other = nfs("fd00::1", Some("vers=4.2,port=12049"));
        let commands = other.mounting("/m");
        assert_eq!(commands.len(), 1);
        let args = &commands[0].args;
        assert_eq!(args[3], "vers=4.2,port=12049,retry=0");
        assert_eq!(args[4], "[fd00::1]:/srv/vms");
        assert_eq!(other.servers()[0].1, [12049]);
    }
}
