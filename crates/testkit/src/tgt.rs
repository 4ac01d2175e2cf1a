//! A server of iSCSI on an address of the loopback device, with one target.

#![expect(
    clippy::disallowed_methods,
    reason = "the server belongs to the test, and is no part of the host that is tested"
)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::left_out::missing;

pub const TARGET: &str = "iqn.2026-11.test:units";

pub struct Tgt {
    daemon: Child,
    /// Of the socket that it is administered by.
    number: String,
    portal: String,
}

impl Drop for Tgt {
    fn drop(&mut self) {
        // One that has ended already is no matter.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

impl Tgt {
    /// The units 1, 2, … are these files. None, with a word why, where this host cannot have one.
    pub fn start(test: &str, units: &[PathBuf]) -> Option<Self> {
        let has = |program: &str| Command::new(program).arg("--help").output().is_ok();
        let driver = Path::new("/usr/lib/x86_64-linux-gnu/qemu/block-iscsi.so");
        if !has("tgtd") || !has("iscsi-ls") || !driver.exists() {
            missing(test, "it needs tgt, libiscsi-bin and qemu-block-extra");
            return None;
        }
        // Each process has an address and a socket of its own.
        let number = (std::process::id() % 32_000).to_string();
        let [.., high, low] = std::process::id().to_be_bytes();
        let portal = format!("127.78.{high}.{low}:3260");
        let daemon = Command::new("tgtd")
            .args(["-f", "-C", &number, "--iscsi", &format!("portal={portal}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let server = Self {
            daemon: daemon.expect("a daemon"),
            number,
            portal,
        };
        let make = [
            "--op", "new", "-T", TARGET, "--mode", "target", "--tid", "1",
        ];
        while !server.administer(&make) {
            std::thread::sleep(Duration::from_millis(50));
        }
        for (number, file) in units.iter().enumerate() {
            let (unit, file) = ((number + 1).to_string(), file.display().to_string());
            let make = ["--op", "new", "--mode", "logicalunit", "--tid", "1"];
            let which = ["--lun", unit.as_str(), "-b", &file];
            assert!(server.administer(&[&make[..], &which].concat()));
        }
        let all = [
            "--op", "bind", "--mode", "target", "--tid", "1", "-I", "ALL",
        ];
        assert!(server.administer(&all));
        Some(server)
    }

    /// Address and port.
    pub fn portal(&self) -> &str {
        &self.portal
    }

    /// Stops it where it is; what it is asked then stays unanswered.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.daemon.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(sent.expect("kill").success());
    }

    fn administer(&self, args: &[&str]) -> bool {
        let all = [&["-C", &self.number, "--lld", "iscsi"], args].concat();
        let output = Command::new("tgtadm").args(all).output();
        output.expect("tgtadm").status.success()
    }
}
