//! What the programs of this host say about themselves. Each is asked once, and again when its
//! file has changed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use model::{Error, UnixTime};
use sys::{Command, SharedHost};

const FOLDERS: [&str; 4] = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];

/// The program that runs virtual machines.
pub const QEMU: &str = "qemu-system-x86_64";

/// Programs of a node, and how to ask each for its version.
pub const TOOLS: [(&str, &str, &[&str]); 5] = [
    ("qemu", QEMU, &["--version"]),
    ("lxc", "lxc-start", &["--version"]),
    ("zfs", "zfs", &["version"]),
    ("lvm", "lvm", &["version"]),
    ("etcd", "etcd", &["--version"]),
];

/// A binary as it was when it answered.
type Stamp = (PathBuf, UnixTime, u64);

/// What was answered to which arguments, and by which binary.
type Known = BTreeMap<(String, String), (Stamp, String)>;

/// Asks programs, and remembers.
pub struct Programs {
    host: SharedHost,
    known: Mutex<Known>,
}

impl Programs {
    pub(crate) fn new(host: SharedHost) -> Self {
        Self {
            host,
            known: Mutex::default(),
        }
    }

    /// What a program prints; none where it is not installed.
    pub async fn ask(&self, program: &str, args: &[&str]) -> Result<Option<String>, Error> {
        let command = Command::new(program).args(args.iter().copied());
        self.ask_by(command, "").await
    }

    /// The same by a command of one's own. `also`: what else the answer depends on.
    pub(crate) async fn ask_by(
        &self,
        command: Command,
        also: &str,
    ) -> Result<Option<String>, Error> {
        let program = command.program.clone();
        let Some(stamp) = self.find(&program).await? else {
            return Ok(None);
        };
        let question = (
            program.clone(),
            format!("{} {also}", command.args.join(" ")),
        );
        if let Some((of, answer)) = self.lock().get(&question)
            && *of == stamp
        {
            return Ok(Some(answer.clone()));
        }
        let printed = self.host.run(command).await?.checked(&program)?;
        let answer = String::from_utf8_lossy(&printed).into_owned();
        self.lock().insert(question, (stamp, answer.clone()));
        Ok(Some(answer))
    }

    /// The version of each tool, none for those that are not installed or do not say.
    pub async fn versions(&self) -> BTreeMap<&'static str, Option<String>> {
        let mut versions = BTreeMap::new();
        for (name, program, args) in TOOLS {
            let printed = self.ask(program, args).await.ok().flatten();
            versions.insert(name, printed.and_then(|text| version_in(&text)));
        }
        versions
    }

    async fn find(&self, program: &str) -> Result<Option<Stamp>, Error> {
        for folder in FOLDERS {
            let path = PathBuf::from(folder).join(program);
            if let Some(entry) = self.host.stat(&path).await? {
                return Ok(Some((path, entry.modified, entry.size)));
            }
        }
        Ok(None)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first word that holds a number with a point: `zfs-2.2.8-1` says 2.2.8.
fn version_in(text: &str) -> Option<String> {
    text.split_whitespace().find_map(|word| {
        let number = word.trim_start_matches(|c: char| !c.is_ascii_digit());
        let end = number
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(number.len());
        let number = number[..end].trim_end_matches('.');
        number.contains('.').then(|| number.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_tells_its_version_in_its_own_way() {
        for (text, version) in [
            (
                "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\n",
                "7.2.22",
            ),
            ("zfs-2.2.8-pve1\nzfs-kmod-2.2.8-pve1\n", "2.2.8"),
            ("  LVM version:     2.03.16(2) (2022-05-18)\n", "2.03.16"),
            ("etcd Version: 3.4.23\nGit SHA: x\n", "3.4.23"),
            ("6.0.0\n", "6.0.0"),
        ] {
            assert_eq!(version_in(text).as_deref(), Some(version), "{text}");
        }
        assert_eq!(version_in("command not found"), None);
    }
}
