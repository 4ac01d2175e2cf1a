//! A file system of Ceph, mounted by the kernel or by `ceph-fuse`.

use async_trait::async_trait;
use model::StorageId;
use sys::{Command, Mount, Output, ScopeName};

use super::{Remote, bracketed, first_line, option};
use crate::ceph::Cluster;
use crate::dir::NotThere;
use crate::{CephFsSpec, StorageError};

/// The ports of a monitor: of today's protocol, and of the older one.
const PORTS: [u16; 2] = [3300, 6789];

/// How long the monitors may take to let a mount in.
const CONNECT_S: u64 = 10;

pub(super) struct CephFs {
    pub(super) storage: StorageId,
    pub(super) spec: CephFsSpec,
    pub(super) cluster: Cluster,
}

impl CephFs {
    fn is_fuse(&self) -> bool {
        self.spec.fuse == Some(true)
    }

    fn folder(&self) -> String {
        let folder = self.spec.subdir.as_deref().unwrap_or_default();
        format!("/{}", folder.trim_matches('/'))
    }

    fn joined(&self, mut options: Vec<String>) -> String {
        options.extend(self.spec.options.clone());
        options.join(",")
    }

    fn by_fuse(&self, point: &str) -> Command {
        let options = self.joined(vec![
            format!("fsname={}", self.source()),
            "subtype=ceph-fuse".to_owned(),
        ]);
        let mut command = Command::new("ceph-fuse").args([
            "--conf",
            &self.cluster.conf().display().to_string(),
            "--id",
            self.cluster.user(),
            &format!("--client_mountpoint={}", self.folder()),
            &format!("--client_mount_timeout={CONNECT_S}"),
            // Its socket would stay behind when it is killed.
            "--admin_socket=",
        ]);
        if let Some(name) = &self.spec.fs_name {
            command = command.arg(format!("--client_fs={name}"));
        }
        command.args(["-o", &options, point])
    }

    /// The key is in a file, so that no other program sees it.
    fn by_kernel(&self, point: &str) -> Command {
        let mut options = vec![
            format!("name={}", self.cluster.user()),
            format!("conf={}", self.cluster.conf().display()),
        ];
        let key = self.cluster.key_file();
        options.extend(key.map(|file| format!("secretfile={}", file.display())));
        let name = self.spec.fs_name.as_ref();
        options.extend(name.map(|name| format!("fs={name}")));
        if option(self.spec.options.as_deref(), "mount_timeout").is_none() {
            options.push(format!("mount_timeout={CONNECT_S}"));
        }
        let options = self.joined(options);
        Command::new("mount").args(["-t", "ceph", "-o", &options, &self.source(), point])
    }
}

#[async_trait]
impl Remote for CephFs {
    fn source(&self) -> String {
        let monitors = match self.is_fuse() {
            true => "ceph-fuse".to_owned(),
            false => {
                let all = self.cluster.monitors();
                let all: Vec<String> = all.into_iter().map(bracketed).collect();
                all.join(",")
            }
        };
        format!("{monitors}:{}", self.folder())
    }

    /// The kernel shows the addresses of all monitors, whatever was given; a mount that Proxmox VE's
    /// unit has made by `ceph-fuse` shows no folder.
    fn is(&self, mounted: &Mount) -> bool {
        let ends = mounted.source.ends_with(&format!(":{}", self.folder()));
        match self.is_fuse() {
            true => mounted.kind == "fuse.ceph-fuse" && (ends || mounted.source == "ceph-fuse"),
            false => mounted.kind == "ceph" && ends,
        }
    }

    /// Of the node's own cluster only its programs know the monitors.
    fn servers(&self) -> Vec<(String, Vec<u16>)> {
        let all = self.cluster.monitors();
        all.into_iter().map(host_and_ports).collect()
    }

    async fn ready(&self) -> Result<(), NotThere> {
        let prepared = match self.is_fuse() {
            true => self.cluster.prepare().await,
            false => self.cluster.prepare_key().await,
        };
        prepared.map_err(|error| match error {
            StorageError::Silent(_) => NotThere::Silent,
            StorageError::Inactive { reason, .. } => NotThere::Because(reason),
            StorageError::Host { source, .. } => NotThere::Host(source),
            other => NotThere::Because(other.to_string()),
        })
    }

    fn mounting(&self, point: &str) -> Vec<Command> {
        vec![match self.is_fuse() {
            true => self.by_fuse(point),
            false => self.by_kernel(point),
        }]
    }

    fn failure(&self, program: &str, output: &Output) -> NotThere {
        let says = String::from_utf8_lossy(&output.stderr);
        let has = |text: &str| says.contains(text);
        if has("handle_auth_bad_method")
            || has("keyring not found")
            || has("(13) Permission denied")
        {
            let user = self.cluster.user();
            return NotThere::Because(format!("the cluster refuses user '{user}'"));
        }
        if has("timed out") || has("failed to fetch mon config") {
            return NotThere::Silent;
        }
        // Before its error it says how it was started.
        let mut lines = says.lines();
        match lines.find_map(|line| line.split_once("ceph mount failed with ")) {
            Some((_, why)) => {
                let (folder, name) = (self.folder(), self.spec.fs_name.as_deref());
                let of = name.map(|name| format!(" of '{name}'")).unwrap_or_default();
                NotThere::Because(format!("{program}: folder '{folder}'{of}: {why}"))
            }
            None => NotThere::Because(format!("{program}: {}", first_line(output))),
        }
    }

    /// The program that serves the mount.
    fn scope(&self) -> Option<ScopeName> {
        // The name of a scope has no dots, and two storages have two scopes.
        let id = self.storage.as_str().replace('_', "__").replace('.', "_-");
        self.is_fuse()
            .then(|| ScopeName::service(&format!("cephfs-{id}")))
    }
}

/// A monitor as `monhost` has it: `host`, `host:port`, `[address]:port`, or an IPv6 address alone.
fn host_and_ports(monitor: &str) -> (String, Vec<u16>) {
    let all = |host: &str| (host.to_owned(), PORTS.to_vec());
    let (host, port) = match monitor.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => return all(monitor),
        },
        None => match monitor.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (monitor, None),
        },
    };
    match port.and_then(|port| port.parse().ok()) {
        Some(port) => (host.to_owned(), vec![port]),
        None => all(host),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const KEY: &str = "AQDt+wtrifWhAxAAgnUKmwhHqRJiSspmbo4d6Q==";

    fn file_system(spec: CephFsSpec) -> CephFs {
        let storage: StorageId = "a.b_c".parse().unwrap();
        let host = Arc::new(testkit::FakeHost::new(testkit::Faults::default()));
        let cluster = Cluster::new(
            &storage,
            spec.monhost.clone(),
            spec.username.clone(),
            Some(KEY.to_owned()),
            host,
        );
        CephFs {
            storage,
            spec,
            cluster,
        }
    }

    fn external(fuse: bool) -> CephFs {
        file_system(CephFsSpec {
            monhost: Some("10.0.0.1;[fd00::2]:6789 mon.test".to_owned()),
            subdir: Some("/pve/".to_owned()),
            username: Some("guests".to_owned()),
            fs_name: Some("two".to_owned()),
            fuse: Some(fuse),
            options: Some("noatime".to_owned()),
            ..CephFsSpec::default()
        })
    }

    fn mounted(kind: &str, source: &str) -> Mount {
        Mount {
            kind: kind.to_owned(),
            source: source.to_owned(),
            ..Mount::default()
        }
    }

    fn failed(says: &str) -> Output {
        Output {
            code: Some(1),
            stderr: says.as_bytes().to_vec(),
            ..Output::default()
        }
    }

    #[test]
    fn the_kernel_mounts_with_a_file_of_the_key() {
        let remote = external(false);
        let [command] = &remote.mounting("/mnt/pve/x")[..] else {
            panic!("one way");
        };
        let conf = remote.cluster.conf().display().to_string();
        let key = conf.replace(".conf", ".secret");
        assert_eq!(
            command.args.join(" "),
            format!(
                "-t ceph -o name=guests,conf={conf},secretfile={key},fs=two,mount_timeout=10,noatime \
                 10.0.0.1,[fd00::2]:6789,mon.test:/pve /mnt/pve/x"
            )
        );
        assert!(remote.is(&mounted("ceph", "10.0.0.1:6789,10.0.0.9:6789:/pve")));
        assert!(!remote.is(&mounted("ceph", "10.0.0.1:6789:/")));
        assert!(!remote.is(&mounted("fuse.ceph-fuse", "ceph-fuse:/pve")));
        assert_eq!(remote.scope(), None);
    }

    #[test]
    fn a_program_mounts_in_a_scope_of_its_own() {
        let remote = external(true);
        let command = &remote.mounting("/mnt/pve/x")[0];
        assert_eq!(command.program, "ceph-fuse");
        let conf = remote.cluster.conf().display().to_string();
        assert_eq!(
            command.args.join(" "),
            format!(
                "--conf {conf} --id guests --client_mountpoint=/pve --client_mount_timeout=10 \
                 --admin_socket= --client_fs=two -o fsname=ceph-fuse:/pve,subtype=ceph-fuse,noatime \
                 /mnt/pve/x"
            )
        );
        for (source, is) in [
            ("ceph-fuse:/pve", true),
            ("ceph-fuse", true),
            ("ceph-fuse:/", false),
        ] {
            assert_eq!(
                remote.is(&mounted("fuse.ceph-fuse", source)),
                is,
                "{source}"
            );
        }
        let scope = remote.scope().unwrap();
        assert_eq!(scope.as_str(), "service-cephfs-a_-b__c");
    }

    #[test]
    fn any_monitor_may_answer_at_the_port_that_it_has() {
        let all = external(true).servers();
        let all: Vec<(&str, &[u16])> = all
            .iter()
            .map(|(host, at)| (host.as_str(), &at[..]))
            .collect();
        assert_eq!(
            all,
            [
                ("10.0.0.1", &[3300, 6789][..]),
                ("fd00::2", &[6789]),
                ("mon.test", &[3300, 6789])
            ]
        );
        assert_eq!(host_and_ports("fd00::2").0, "fd00::2");
        assert_eq!(host_and_ports("h:3301"), ("h".to_owned(), vec![3301]));
        assert!(file_system(CephFsSpec::default()).servers().is_empty());
    }

    /// As version 16 of the programs says it.
    #[test]
    fn why_it_is_not_mounted_is_said() {
        let remote = external(true);
        let why = |says: &str| match remote.failure("ceph-fuse", &failed(says)) {
            NotThere::Because(reason) => reason,
            NotThere::Silent => "silent".to_owned(),
            NotThere::Host(error) => error.to_string(),
        };
        let missing = "2026-11-30T06:03:14.913+0000 7f11b9ab7240 -1 init, newargv = 0x5 newargc=15\n\
             ceph-fuse[29142]: starting ceph client\n\
             ceph-fuse[29142]: ceph mount failed with (2) No such file or directory\n";
        assert_eq!(
            why(missing),
            "ceph-fuse: folder '/pve' of 'two': (2) No such file or directory"
        );
        let refused = "monclient(hunting): handle_auth_bad_method server allowed_methods [2]\n\
             failed to fetch mon config (--no-mon-config to skip)\n";
        assert_eq!(why(refused), "the cluster refuses user 'guests'");
        let silent = "failed to fetch mon config (--no-mon-config to skip)\n";
        assert_eq!(why(silent), "silent");
        assert_eq!(
            why("mount error: no mds\n"),
            "ceph-fuse: mount error: no mds"
        );
    }
}
