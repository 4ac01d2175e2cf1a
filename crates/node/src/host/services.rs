//! The services that clients of Proxmox VE know by name, and what runs of them here.
//!
//! Several of them are parts of our two processes: the agent does the work of `pvedaemon`,
//! `pvestatd`, `qmeventd` and `pve-cluster`, the api that of `pveproxy`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use model::Error;
use sys::{Command, SharedHost};

use crate::host::facts::Facts;

/// The state of a service, in systemd's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub name: String,
    pub description: String,
    /// `running`, `dead` …
    pub state: String,
    /// `active`, `inactive` …
    pub active: String,
    /// `enabled`, `not-found` …
    pub unit: String,
}

/// What a service is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Agent,
    Api,
    /// A unit of the host, and the name of its process.
    Unit(&'static str, &'static str),
    /// Nothing does its work here.
    Nothing,
}

fn part(name: &str) -> Part {
    match name {
        "pve-cluster" | "pvedaemon" | "pvestatd" | "qmeventd" => Part::Agent,
        "pveproxy" => Part::Api,
        "chrony" => Part::Unit("chrony.service", "chronyd"),
        "corosync" => Part::Unit("corosync.service", "corosync"),
        "cron" => Part::Unit("cron.service", "cron"),
        "lxcfs" => Part::Unit("lxcfs.service", "lxcfs"),
        "postfix" => Part::Unit("postfix.service", "master"),
        "sshd" => Part::Unit("ssh.service", "sshd"),
        "syslog" => Part::Unit("rsyslog.service", "rsyslogd"),
        "systemd-journald" => Part::Unit("systemd-journald.service", "systemd-journal"),
        "systemd-timesyncd" => Part::Unit("systemd-timesyncd.service", "systemd-timesyn"),
        _ => Part::Nothing,
    }
}

impl Part {
    fn unit(self) -> Option<&'static str> {
        match self {
            Self::Agent => Some("ostler-node.service"),
            Self::Api => Some("ostler-api.service"),
            Self::Unit(unit, _) => Some(unit),
            Self::Nothing => None,
        }
    }

    fn description(self, name: &str) -> String {
        match self {
            Self::Agent => format!("Ostler's node agent, which does the work of {name}"),
            Self::Api => format!("Ostler's API, which does the work of {name}"),
            Self::Unit(..) => name.to_owned(),
            Self::Nothing => format!("{name} (not part of Ostler)"),
        }
    }
}

/// The states of services with these names, in their order.
pub async fn states(host: &SharedHost, names: &[&str]) -> Result<Vec<Service>, Error> {
    let first = Facts::new(host.clone()).text("/proc/1/comm").await;
    if first == "systemd" {
        let units = units(host, names).await?;
        return Ok(names.iter().map(|name| of_unit(name, &units)).collect());
    }
    let running = running(host).await?;
    Ok(names
        .iter()
        .map(|name| of_processes(name, &running))
        .collect())
}

/// Properties of a unit by their names.
type Properties = BTreeMap<String, String>;

/// What systemd says of the units behind these services, by their ids.
async fn units(host: &SharedHost, names: &[&str]) -> Result<BTreeMap<String, Properties>, Error> {
    let units: BTreeSet<&str> = names.iter().filter_map(|name| part(name).unit()).collect();
    let command = Command::new("systemctl")
        .args([
            "show",
            "--property=Id,LoadState,ActiveState,SubState,UnitFileState,Description",
        ])
        .args(units);
    let printed = host.run(command).await?.checked("systemctl")?;
    let text = String::from_utf8_lossy(&printed).into_owned();
    let parse = |block: &str| -> Properties {
        let lines = block.lines().filter_map(|line| line.split_once('='));
        lines
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    };
    let blocks = text.split("\n\n").map(parse);
    Ok(blocks
        .filter_map(|unit| Some((unit.get("Id")?.clone(), unit)))
        .collect())
}

fn of_unit(name: &str, units: &BTreeMap<String, Properties>) -> Service {
    let part = part(name);
    let unit = part.unit().and_then(|unit| units.get(unit));
    let property = |key: &str| {
        unit.and_then(|unit| unit.get(key))
            .map_or("", String::as_str)
    };
    let is_there = !matches!(property("LoadState"), "" | "not-found");
    let unit_state = match property("UnitFileState") {
        _ if !is_there => "not-found",
        "" => "unknown",
        state => state,
    };
    let or = |value: &str, otherwise: &str| {
        let value = if value.is_empty() { otherwise } else { value };
        value.to_owned()
    };
    let description = match part {
        Part::Unit(..) if is_there => property("Description").to_owned(),
        part => part.description(name),
    };
    Service {
        name: name.to_owned(),
        description,
        state: or(property("SubState"), "dead"),
        active: or(property("ActiveState"), "inactive"),
        unit: unit_state.to_owned(),
    }
}

/// What runs on this machine.
#[derive(Debug, Default)]
struct Processes {
    names: BTreeSet<String>,
    has_api: bool,
}

async fn running(host: &SharedHost) -> Result<Processes, Error> {
    let mut found = Processes::default();
    for entry in host.list(Path::new("/proc")).await? {
        if !entry.name.bytes().all(|octet| octet.is_ascii_digit()) {
            continue;
        }
        let folder = Path::new("/proc").join(&entry.name);
        // One that has ended meanwhile does not run.
        let name = host.read(&folder.join("comm")).await.unwrap_or_default();
        let name = String::from_utf8_lossy(&name).trim().to_owned();
        // The supervisor starts its roles by a link, which gives them its name.
        if matches!(name.as_str(), "ostler" | "exe") {
            let line = host.read(&folder.join("cmdline")).await.unwrap_or_default();
            let mut words = line.split(|octet| *octet == 0);
            let program = words.next().unwrap_or_default();
            found.has_api |= program.ends_with(b"ostler") && words.next() == Some(b"api");
        }
        found.names.insert(name);
    }
    Ok(found)
}

/// Without systemd a service is what runs of it, and nothing knows of units.
fn of_processes(name: &str, running: &Processes) -> Service {
    let part = part(name);
    let runs = match part {
        // It is this process.
        Part::Agent => true,
        Part::Api => running.has_api,
        Part::Unit(_, process) => running.names.contains(process),
        Part::Nothing => false,
    };
    let (state, active, unit) = match runs {
        true => ("running", "active", "unknown"),
        false => ("dead", "inactive", "not-found"),
    };
    Service {
        name: name.to_owned(),
        description: part.description(name),
        state: state.to_owned(),
        active: active.to_owned(),
        unit: unit.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_told_in_systemds_words() {
        let unit = |pairs: &[(&str, &str)]| -> Properties {
            let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
            pairs.iter().map(owned).collect()
        };
        let ssh = [
            ("LoadState", "loaded"),
            ("ActiveState", "active"),
            ("SubState", "running"),
            ("UnitFileState", "enabled"),
            ("Description", "OpenBSD Secure Shell server"),
        ];
        let cron = [
            ("LoadState", "not-found"),
            ("ActiveState", "inactive"),
            ("SubState", "dead"),
        ];
        let units = BTreeMap::from([
            ("ssh.service".to_owned(), unit(&ssh)),
            ("cron.service".to_owned(), unit(&cron)),
        ]);
        let service = of_unit("sshd", &units);
        assert_eq!(service.description, "OpenBSD Secure Shell server");
        assert_eq!(
            (
                service.state.as_str(),
                service.active.as_str(),
                service.unit.as_str()
            ),
            ("running", "active", "enabled")
        );
        assert_eq!(of_unit("cron", &units).unit, "not-found");
        let none = of_unit("spiceproxy", &units);
        assert_eq!(
            (none.state.as_str(), none.unit.as_str()),
            ("dead", "not-found")
        );
    }

    #[test]
    fn without_systemd_what_runs_is_looked_for() {
        let running = Processes {
            names: BTreeSet::from(["sshd".to_owned()]),
            has_api: false,
        };
        let state = |name: &str| of_processes(name, &running).state;
        assert_eq!(
            (state("sshd"), state("cron")),
            ("running".into(), "dead".into())
        );
        assert_eq!(state("pvedaemon"), "running");
        assert_eq!(
            (state("pveproxy"), state("pve-ha-crm")),
            ("dead".into(), "dead".into())
        );
    }
}
