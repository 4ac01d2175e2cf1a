//! The properties of a QEMU binary, parsed from its output.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use model::qemu::CPU_MODELS;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' does not tell a version of QEMU")]
pub struct VersionError(pub String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct QemuVersion {
    pub major: u32,
    pub minor: u32,
    pub micro: u32,
}

impl QemuVersion {
    pub fn is_at_least(self, major: u32, minor: u32) -> bool {
        (self.major, self.minor) >= (major, minor)
    }

    /// From the answer of `query-version`.
    pub fn from_query(answer: &Value) -> Result<Self, VersionError> {
        let part = |name: &str| {
            let number = answer["qemu"][name]
                .as_u64()
                .and_then(|n| u32::try_from(n).ok());
            number.ok_or_else(|| VersionError(answer.to_string()))
        };
        Ok(Self {
            major: part("major")?,
            minor: part("minor")?,
            micro: part("micro")?,
        })
    }
}

impl FromStr for QemuVersion {
    type Err = VersionError;

    /// Parses the output of `--version`, or only the number: `QEMU emulator version 7.2.22 (Debian
    /// 1:7.2+dfsg-7+deb12u18)`.
    fn from_str(text: &str) -> Result<Self, VersionError> {
        let bad = || VersionError(text.to_owned());
        let starts = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
        let word = text.split_whitespace().find(starts).ok_or_else(bad)?;
        let mut numbers = word
            .split(|c: char| !c.is_ascii_digit())
            .map(str::parse::<u32>);
        let mut next = || numbers.next().and_then(Result::ok);
        let (major, minor) = (next().ok_or_else(bad)?, next().ok_or_else(bad)?);
        Ok(Self {
            major,
            minor,
            micro: next().unwrap_or(0),
        })
    }
}

impl fmt::Display for QemuVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

/// The properties that a plan depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QemuInfo {
    pub version: QemuVersion,
    /// Its machine types, from `machine_names`; empty if they were not queried.
    pub machines: BTreeSet<String>,
}

impl QemuInfo {
    pub fn new(version: QemuVersion) -> Self {
        Self {
            version,
            machines: BTreeSet::new(),
        }
    }

    /// `version` is the output of `--version`, `machines` that of `-machine help`.
    pub fn from_texts(version: &str, machines: &str) -> Result<Self, VersionError> {
        let machines = self::machines(machines)
            .into_iter()
            .map(|machine| machine.id)
            .collect();
        Ok(Self {
            version: version.parse()?,
            machines,
        })
    }
}

/// A row of `GET /nodes/{node}/capabilities/qemu/machines`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MachineType {
    pub id: String,
    /// `i440fx` or `q35`.
    #[serde(rename = "type")]
    pub chipset: String,
    pub version: String,
}

/// The versioned PC machines in the output of `-machine help`, newest first.
pub fn machines(help: &str) -> Vec<MachineType> {
    let names = help
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    let mut machines: Vec<MachineType> = names
        .filter_map(|name| {
            let (chipset, version) = name.strip_prefix("pc-")?.split_once('-')?;
            matches!(chipset, "i440fx" | "q35").then(|| MachineType {
                id: name.to_owned(),
                chipset: chipset.to_owned(),
                version: version.to_owned(),
            })
        })
        .collect();
    let numbers = |version: &str| -> Vec<u32> {
        version
            .split('.')
            .map(|part| part.parse().unwrap_or(0))
            .collect()
    };
    machines.sort_by(|a, b| {
        numbers(&b.version)
            .cmp(&numbers(&a.version))
            .then_with(|| a.chipset.cmp(&b.chipset))
    });
    machines
}

/// A row of `GET /nodes/{node}/capabilities/qemu/cpu`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CpuModel {
    pub name: String,
    /// `GenuineIntel`, `AuthenticAMD` or `default`.
    pub vendor: &'static str,
    /// 1 for a model that an administrator defined.
    pub custom: u8,
}

impl CpuModel {
    /// One of the cluster's own, made from a model of QEMU's.
    pub fn custom(name: &str, reported: &str) -> Self {
        let known = CPU_MODELS.iter().find(|(name, _)| *name == reported);
        Self {
            name: format!("custom-{name}"),
            vendor: known.map_or("default", |(_, vendor)| vendor),
            custom: 1,
        }
    }
}

/// The CPUID flags that QEMU knows: what follows their heading in the output of `-cpu help`.
pub fn known_cpu_flags(help: &str) -> BTreeSet<&str> {
    let lines = help
        .lines()
        .skip_while(|line| !line.starts_with("Recognized CPUID flags"));
    lines.skip(1).flat_map(str::split_whitespace).collect()
}

/// The models for guests: the known ones that are in the output of `-cpu help`, and those that are
/// derived from others (`host`, the levels).
pub fn cpu_models(help: &str) -> Vec<CpuModel> {
    let has: BTreeSet<&str> = help
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            // 10.0 prints only names, below a heading; 7.2 prints `x86` before each.
            match words.next()? {
                "x86" => words.next(),
                name => Some(name),
            }
        })
        .collect();
    let made = |name: &str| name == "host" || name.starts_with("x86-64-v");
    CPU_MODELS
        .iter()
        .filter(|(name, _)| made(name) || has.contains(name))
        .map(|(name, vendor)| CpuModel {
            name: (*name).to_owned(),
            vendor,
            custom: 0,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_from_below_their_heading() {
        let help = "Available CPUs:\nx86 486\n\nRecognized CPUID flags:\n  3dnow aes\n  avx\n";
        let flags: Vec<&str> = known_cpu_flags(help).into_iter().collect();
        assert_eq!(flags, ["3dnow", "aes", "avx"]);
        assert!(known_cpu_flags("Available CPUs:\n").is_empty());
    }

    #[test]
    fn a_version_is_read_from_what_is_printed() {
        let text = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright";
        let version: QemuVersion = text.parse().unwrap();
        assert_eq!(
            version,
            QemuVersion {
                major: 7,
                minor: 2,
                micro: 22
            }
        );
        assert!(version.is_at_least(7, 2) && version.is_at_least(6, 9));
        assert!(!version.is_at_least(7, 3) && !version.is_at_least(10, 0));
        assert_eq!("10.0".parse::<QemuVersion>().unwrap().to_string(), "10.0.0");
        assert!("QEMU".parse::<QemuVersion>().is_err());
        let answer = serde_json::json!({"qemu": {"major": 10, "minor": 0, "micro": 2}});
        assert_eq!(
            QemuVersion::from_query(&answer).unwrap().to_string(),
            "10.0.2"
        );
    }

    #[test]
    fn machines_are_listed_newest_first() {
        let help = "Supported machines are:\nmicrovm              microvm (i386)\n\
            pc                   Standard PC (i440FX + PIIX, 1996) (alias of pc-i440fx-7.2)\n\
            pc-i440fx-4.2        Standard PC\npc-i440fx-7.2        Standard PC (default)\n\
            pc-q35-4.0.1         Standard PC\npc-q35-10.0          Standard PC\nisapc  ISA-only PC\n";
        let ids: Vec<String> = machines(help)
            .into_iter()
            .map(|machine| machine.id)
            .collect();
        assert_eq!(
            ids,
            [
                "pc-q35-10.0",
                "pc-i440fx-7.2",
                "pc-i440fx-4.2",
                "pc-q35-4.0.1"
            ]
        );
        let row = serde_json::to_value(&machines(help)[0]).unwrap();
        assert_eq!(
            row,
            serde_json::json!({"id": "pc-q35-10.0", "type": "q35", "version": "10.0"})
        );
    }

    #[test]
    fn models_are_those_of_both() {
        for help in [
            "Available CPUs:\nx86 EPYC  (alias)\nx86 Made-up\nx86 kvm64  (alias)\n",
            "Available CPUs:\n  EPYC  (alias)\n  kvm64\n  Made-up\n",
        ] {
            let names: Vec<String> = cpu_models(help).into_iter().map(|cpu| cpu.name).collect();
            assert_eq!(
                names,
                [
                    "EPYC",
                    "host",
                    "kvm64",
                    "x86-64-v2",
                    "x86-64-v2-AES",
                    "x86-64-v3",
                    "x86-64-v4",
                ]
            );
        }
    }
}
