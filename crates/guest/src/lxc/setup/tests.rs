//! Golden files of distributions.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;

use super::*;

#[derive(Debug, Clone, PartialEq)]
enum File {
    Text(String),
    Link(String),
}

/// Files in memory. No link is followed: nothing here needs that.
#[derive(Default)]
struct Files(RefCell<BTreeMap<String, File>>);

impl Files {
    fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| ((*path).into(), File::Text((*text).into()));
        Self(RefCell::new(files.iter().map(file).collect()))
    }

    fn text(&self, path: &str) -> String {
        match self.0.borrow().get(path) {
            Some(File::Text(text)) => text.clone(),
            Some(File::Link(target)) => format!("-> {target}"),
            None => "nothing".to_owned(),
        }
    }

    /// All of it, for a golden text.
    fn shown(&self) -> String {
        let files = self.0.borrow();
        let shown = files
            .keys()
            .map(|path| format!("== {path}\n{}\n", self.text(path)));
        shown.collect()
    }
}

impl Tree for Files {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(match self.0.borrow().get(path) {
            Some(File::Text(text)) => Some(text.clone().into_bytes()),
            _ => None,
        })
    }

    fn write(&self, path: &str, content: &[u8], _: u32) -> io::Result<()> {
        let text = File::Text(String::from_utf8_lossy(content).into_owned());
        self.0.borrow_mut().insert(path.to_owned(), text);
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<bool> {
        Ok(self.0.borrow_mut().remove(path).is_some())
    }

    fn link(&self, target: &str, path: &str) -> io::Result<()> {
        let link = File::Link(target.to_owned());
        self.0.borrow_mut().insert(path.to_owned(), link);
        Ok(())
    }

    fn read_link(&self, path: &str) -> io::Result<Option<String>> {
        Ok(match self.0.borrow().get(path) {
            Some(File::Link(target)) => Some(target.clone()),
            _ => None,
        })
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        let below = format!("{path}/");
        let files = self.0.borrow();
        Ok(files
            .keys()
            .any(|file| file == path || file.starts_with(&below)))
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let below = format!("{path}/");
        let files = self.0.borrow();
        let names = files.keys().filter_map(|file| file.strip_prefix(&below));
        Ok(names.map(str::to_owned).collect())
    }
}

fn order() -> Order {
    Order {
        host_name: "web.example.com".into(),
        nets: vec![
            "name=eth0,bridge=vmbr0,ip=192.168.77.50/24,gw=192.168.77.1,ip6=auto".into(),
            "name=eth1,bridge=vmbr0,ip=dhcp,ip6=fd00::2/64,gw6=fd01::1".into(),
            "name=eth2".into(),
        ],
        name_servers: vec!["1.1.1.1".into(), "fd00::53".into()],
        search_domains: vec!["example.com".into(), "lab".into()],
        time_zone: Some("Europe/Vienna".into()),
        terminals: 2,
        first: Some(First {
            password: Some("$6$salt$hash".into()),
            keys: vec!["ssh-ed25519 AAAA me@x".into()],
        }),
        ..Order::default()
    }
}

fn debian() -> Files {
    Files::of(&[
        (
            "/etc/os-release",
            "NAME=Debian\nID=debian\nVERSION_ID=\"12\"\n",
        ),
        ("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"),
        (
            "/etc/shadow",
            "root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n",
        ),
        ("/etc/machine-id", "0123\n"),
        ("/etc/timezone", "Etc/UTC\n"),
        ("/etc/hosts", "127.0.0.1 localhost\n10.0.0.9 other\n"),
        (
            "/etc/network/interfaces",
            "# mine\nauto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet dhcp\n\tmtu 1400\n\
             \n\nauto wg0\niface wg0 inet manual\n",
        ),
        (
            "/lib/systemd/system/container-getty@.service",
            "ExecStart=agetty pts/%I\n",
        ),
        (
            "/etc/systemd/system/getty.target.wants/getty@tty1.service",
            "x",
        ),
        ("/etc/resolv.conf", "nameserver 9.9.9.9\n"),
    ])
}

fn alpine() -> Files {
    Files::of(&[
        ("/etc/alpine-release", "3.20\n"),
        (
            "/etc/inittab",
            "::sysinit:/sbin/openrc\ntty1::respawn:/sbin/getty 38400 tty1\n#tty2::respawn:/sbin/getty 38400 tty2\ntty3::respawn:/sbin/getty 38400 tty3\n",
        ),
        ("/etc/shadow", "root:::0:::::\n"),
    ])
}

#[test]
fn a_debian_gets_its_files() {
    let files = debian();
    let outcome = apply(&files, &order()).unwrap();
    assert_eq!(
        (outcome.os_type.as_str(), outcome.arch.as_str()),
        ("debian", "amd64")
    );
    insta::assert_snapshot!("debian", files.shown());
}

#[test]
fn an_alpine_gets_its_files() {
    let files = alpine();
    assert_eq!(apply(&files, &order()).unwrap().os_type, "alpine");
    insta::assert_snapshot!("alpine", files.shown());
}

#[test]
fn networkd_gets_a_file_for_each_card() {
    let files = Files::of(&[("/etc/os-release", "ID=arch\n")]);
    assert_eq!(apply(&files, &order()).unwrap().os_type, "archlinux");
    insta::assert_snapshot!("networkd", files.shown());
}

#[test]
fn each_start_changes_nothing_more() {
    for files in [debian(), alpine()] {
        apply(&files, &order()).unwrap();
        let before = files.shown();
        let again = Order {
            first: None,
            ..order()
        };
        apply(&files, &again).unwrap();
        assert_eq!(files.shown(), before);
    }
}

#[test]
fn what_an_administrator_keeps_is_kept() {
    let files = debian();
    for path in [
        "/etc/.pve-ignore.hosts",
        "/etc/network/.pve-ignore.interfaces",
        "/etc/.pve-ignore.resolv.conf",
    ] {
        files.write(path, b"", 0o644).unwrap();
    }
    let before: Vec<String> = ["/etc/hosts", "/etc/network/interfaces", "/etc/resolv.conf"]
        .map(|p| files.text(p))
        .into();
    apply(&files, &order()).unwrap();
    let after: Vec<String> = ["/etc/hosts", "/etc/network/interfaces", "/etc/resolv.conf"]
        .map(|p| files.text(p))
        .into();
    assert_eq!(before, after);
    assert_eq!(files.text("/etc/hostname"), "web\n");
}

#[test]
fn an_unmanaged_container_is_not_touched() {
    let files = alpine();
    let before = files.shown();
    let unmanaged = Order {
        os_type: Some("unmanaged".into()),
        ..order()
    };
    assert_eq!(apply(&files, &unmanaged).unwrap().os_type, "unmanaged");
    assert_eq!(
        apply(&Files::default(), &order()).unwrap().os_type,
        "unmanaged"
    );
    assert_eq!(files.shown(), before);
}

#[test]
fn systems_are_told_apart() {
    for (path, text, said, expected) in [
        ("/etc/os-release", "ID=\"rocky\"\n", None, "centos"),
        (
            "/usr/lib/os-release",
            "ID=opensuse-leap\n",
            None,
            "opensuse",
        ),
        ("/etc/debian_version", "12.1\n", None, "debian"),
        (
            "/etc/os-release",
            "ID=nonsense\n",
            None,
            "unable to detect OS distribution",
        ),
        ("/etc/os-release", "ID=nonsense\n", Some("debian"), "debian"),
        (
            "/etc/os-release",
            "ID=alpine\n",
            Some("debian"),
            "alpine, got unexpected ostype (debian != alpine)",
        ),
    ] {
        let files = Files::of(&[(path, text)]);
        let found = match detect(&files, said) {
            Ok(found) => [vec![found.os_type], found.warnings].concat().join(", "),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected);
    }
}

#[test]
fn the_architecture_is_that_of_the_shell() {
    for (class, machine, expected) in [
        (2, 62, "amd64"),
        (1, 3, "i386"),
        (2, 183, "arm64"),
        (1, 40, "armhf"),
        (2, 243, "riscv64"),
    ] {
        let files = Files::of(&[("/etc/alpine-release", "3\n")]);
        let mut header = [0; 64];
        header[..4].copy_from_slice(b"\x7fELF");
        (header[4], header[18]) = (class, machine);
        let text = header
            .iter()
            .map(|byte| char::from(*byte))
            .collect::<String>();
        // Above 127 a text would not keep its bytes.
        if machine < 128 {
            files.write("/bin/sh", text.as_bytes(), 0o755).unwrap();
            assert_eq!(detect(&files, None).unwrap().arch, expected);
        }
    }
}
