//! The packages of a host, as dpkg and apt list them.

mod paragraphs;
pub mod repositories;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use model::{Error, UnixTime};
use sys::{Command, SharedHost, SysError};
use tokio::sync::Mutex;

use crate::host::facts::Facts;
use paragraphs::Paragraph;

/// The packages that do a node's work, as far as a machine may have them.
pub const WATCHED: [&str; 16] = [
    "genisoimage",
    "iproute2",
    "lvm2",
    "lxc",
    "lxcfs",
    "nftables",
    "openvswitch-switch",
    "ostler",
    "ovmf",
    "qemu-block-extra",
    "qemu-system-x86",
    "qemu-utils",
    "seabios",
    "smartmontools",
    "swtpm",
    "zfsutils-linux",
];

/// How long apt may take to fetch the changes of a package.
const CHANGELOG_S: u64 = 10;

/// A package: the version that could be installed, and the one that is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Package {
    pub name: String,
    pub version: String,
    pub installed: Option<String>,
    /// `Installed`, `NotInstalled` …
    pub state: &'static str,
    pub architecture: String,
    pub section: String,
    pub priority: String,
    pub origin: String,
    pub title: String,
    pub description: String,
}

/// The packages that are watched, by name. A machine without dpkg has none.
pub async fn watched(host: &SharedHost) -> Result<Vec<Package>, Error> {
    let installed = installed(host).await?;
    let known = describe(host, &WATCHED).await?;
    let origin = origin(host).await;
    let packages = known.iter().filter(|p| !p.field("Package").is_empty());
    let mut packages: Vec<Package> = packages
        .map(|paragraph| {
            let mut package = package(paragraph, &origin);
            let (version, state) = match installed.get(&package.name) {
                Some((version, state)) => (Some(version.clone()), *state),
                None => (None, "NotInstalled"),
            };
            package.installed = version;
            package.state = state;
            package
        })
        .collect();
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    packages.dedup_by(|a, b| a.name == b.name);
    Ok(packages)
}

/// What apt looks at: who changes packages or their lists changes one of these.
const SOURCES: [&str; 2] = ["/var/lib/dpkg/status", "/var/lib/apt/lists"];

/// The packages of which there is a newer version. Apt takes seconds to find them, so they are
/// remembered until something has changed.
#[derive(Default)]
pub struct Updates {
    known: Mutex<Option<(Vec<UnixTime>, Vec<Package>)>>,
}

impl Updates {
    /// As far as the lists here know. Concurrent callers wait for one answer.
    pub async fn get(&self, host: &SharedHost) -> Result<Vec<Package>, Error> {
        let mut known = self.known.lock().await;
        let mut changed = Vec::new();
        for source in SOURCES {
            let entry = host.stat(Path::new(source)).await?;
            changed.extend(entry.map(|entry| entry.modified));
        }
        match &*known {
            Some((then, packages)) if *then == changed => Ok(packages.clone()),
            _ => {
                let packages = updates(host).await?;
                *known = Some((changed, packages.clone()));
                Ok(packages)
            }
        }
    }
}

async fn updates(host: &SharedHost) -> Result<Vec<Package>, Error> {
    let command = Command::new("apt-get").args(["--simulate", "--quiet", "dist-upgrade"]);
    let printed = host.run(command).await?.checked("apt-get")?;
    let found = upgrades(&String::from_utf8_lossy(&printed));
    let wanted: Vec<String> = found
        .iter()
        .map(|upgrade| format!("{}={}", upgrade.name, upgrade.version))
        .collect();
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let known = if wanted.is_empty() {
        Vec::new()
    } else {
        describe(host, &wanted).await?
    };
    let describe = |upgrade: Package| {
        let mut about = known
            .iter()
            .filter(|about| about.field("Package") == upgrade.name);
        let about = about.next().map(|about| package(about, &upgrade.origin));
        let about = about.unwrap_or_default();
        Package {
            section: about.section,
            priority: about.priority,
            title: about.title,
            description: about.description,
            ..upgrade
        }
    };
    Ok(found.into_iter().map(describe).collect())
}

/// The changes of packages, which apt fetches: one at a time.
#[derive(Default)]
pub struct Changelogs {
    turn: Mutex<()>,
}

impl Changelogs {
    /// What has changed in a package, in its maintainers' words. Where apt has none, what it says.
    pub async fn get(
        &self,
        host: &SharedHost,
        name: &str,
        version: Option<&str>,
    ) -> Result<String, Error> {
        let _turn = self.turn.lock().await;
        changelog(host, name, version).await
    }
}

async fn changelog(host: &SharedHost, name: &str, version: Option<&str>) -> Result<String, Error> {
    let wanted = match version {
        Some(version) => format!("{name}={version}"),
        None => name.to_owned(),
    };
    let command = Command::new("apt-get").args(["changelog", "--quiet=2", "--", &wanted]);
    let limit = Duration::from_secs(CHANGELOG_S);
    let output = host.run(command.timeout(Some(limit))).await?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.success() {
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        let code = output
            .code
            .map_or("signal".to_owned(), |code| code.to_string());
        text.push_str(&format!("RC: {code}"));
    }
    Ok(text)
}

/// Lines of the form `Inst NAME [OLD] (NEW ORIGIN:SUITE [ARCHITECTURE]) …`.
fn upgrades(printed: &str) -> Vec<Package> {
    let parse = |line: &str| {
        let rest = line.strip_prefix("Inst ")?;
        let (head, rest) = rest.split_once(" (")?;
        let (inner, _) = rest.split_once(')')?;
        let (name, old) = match head.split_once(" [") {
            Some((name, old)) => (name, old.strip_suffix(']')),
            None => (head, None),
        };
        let (version, rest) = inner.split_once(' ')?;
        let (source, architecture) = rest.rsplit_once(" [")?;
        Some(Package {
            name: name.to_owned(),
            version: version.to_owned(),
            installed: old.map(str::to_owned),
            state: if old.is_some() {
                "Installed"
            } else {
                "NotInstalled"
            },
            architecture: architecture.trim_end_matches(']').to_owned(),
            origin: source.split(':').next().unwrap_or_default().to_owned(),
            ..Package::default()
        })
    };
    printed.lines().filter_map(parse).collect()
}

/// What dpkg has of each package: its version and state.
async fn installed(host: &SharedHost) -> Result<BTreeMap<String, (String, &'static str)>, Error> {
    let format = "--showformat=${Package}\\t${Version}\\t${Status}\\n";
    let command = Command::new("dpkg-query").args(["--show", format]);
    let printed = printed(host, command).await?;
    let parse = |line: &str| {
        let mut fields = line.split('\t');
        let (name, version) = (fields.next()?, fields.next()?);
        let state = match fields.next()?.split(' ').next_back()? {
            "installed" => "Installed",
            "unpacked" => "UnPacked",
            "half-configured" => "HalfConfigured",
            "half-installed" => "HalfInstalled",
            "config-files" => "ConfigFiles",
            _ => return None,
        };
        Some((name.to_owned(), (version.to_owned(), state)))
    };
    Ok(printed.lines().filter_map(parse).collect())
}

async fn describe(host: &SharedHost, names: &[&str]) -> Result<Vec<Paragraph>, Error> {
    let command = Command::new("apt-cache")
        .args(["show", "--no-all-versions"])
        .args(names.iter().copied());
    Ok(paragraphs::parse(&printed(host, command).await?))
}

/// What a program prints, also where it warns of names that it does not know. One that is not
/// installed knows nothing.
async fn printed(host: &SharedHost, command: Command) -> Result<String, Error> {
    match host.run(command).await {
        Ok(output) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Err(SysError::ProgramMissing { .. }) => Ok(String::new()),
        Err(error) => Err(error.into()),
    }
}

/// The name of the distribution: where packages come from that do not say it themselves.
async fn origin(host: &SharedHost) -> String {
    let release = Facts::new(host.clone()).text("/etc/os-release").await;
    let name = release.lines().find_map(|line| line.strip_prefix("NAME="));
    let name = name.unwrap_or_default().trim_matches('"');
    name.split(' ').next().unwrap_or_default().to_owned()
}

fn package(paragraph: &Paragraph, origin: &str) -> Package {
    let text = |name: &str| paragraph.field(name).to_owned();
    let description = match paragraph.field("Description-en") {
        "" => paragraph.field("Description"),
        description => description,
    };
    let (title, description) = description.split_once('\n').unwrap_or((description, ""));
    let lines = description
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(line));
    let origin = match paragraph.field("Origin") {
        "" => origin,
        named => named,
    };
    Package {
        name: text("Package"),
        version: text("Version"),
        architecture: text("Architecture"),
        section: text("Section"),
        priority: text("Priority"),
        origin: origin.to_owned(),
        title: title.to_owned(),
        description: lines.collect::<Vec<_>>().join(" "),
        ..Package::default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sys::Output;
    use testkit::{FakeHost, Faults};

    use super::*;

    #[tokio::test]
    async fn what_apt_says_is_the_answer_also_where_it_fails() {
        let failing = |_: &mut testkit::Disk, _: &Command| Output {
            code: Some(100),
            stderr: b"E: Unable to locate package x\n".to_vec(),
            ..Output::default()
        };
        let host = FakeHost::new(Faults::default()).program("apt-get", failing);
        let host: SharedHost = Arc::new(host);
        let said = Changelogs::default().get(&host, "x", None).await.unwrap();
        assert_eq!(said, "E: Unable to locate package x\nRC: 100");
        // Without dpkg and apt-cache there are no packages.
        assert_eq!(watched(&host).await.unwrap(), []);
    }

    #[test]
    fn upgrades_are_read_from_what_apt_would_do() {
        let printed = "Reading package lists...\n\
            Inst base-files [12.4+deb12u5] (12.4+deb12u6 Debian:12.6/stable [amd64])\n\
            Inst linux-image-6 (6.1.94-1 Debian-Security:12/stable-security [amd64]) []\n\
            Conf base-files (12.4+deb12u6 Debian:12.6/stable [amd64])\n";
        let found = upgrades(printed);
        assert_eq!(found.len(), 2);
        assert_eq!(
            (
                found[0].name.as_str(),
                found[0].installed.as_deref(),
                found[0].origin.as_str()
            ),
            ("base-files", Some("12.4+deb12u5"), "Debian")
        );
        assert_eq!(
            (found[1].installed.as_deref(), found[1].origin.as_str()),
            (None, "Debian-Security")
        );
        assert_eq!(found[1].architecture, "amd64");
    }

    #[test]
    fn a_description_has_a_title_and_a_text() {
        let shown = "Package: swtpm\nVersion: 0.7.1-1.3\nArchitecture: amd64\n\
            Description-en: TPM emulator\n It listens for commands.\n .\n  * on sockets\n\n";
        let package = package(&paragraphs::parse(shown)[0], "Debian");
        assert_eq!(package.title, "TPM emulator");
        assert_eq!(
            package.description,
            "It listens for commands. .  * on sockets"
        );
        assert_eq!(package.origin, "Debian");
    }
}
