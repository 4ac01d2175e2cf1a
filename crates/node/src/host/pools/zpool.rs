//! A pool of ZFS in full: what it is made of by names that stay, and what its last scrub found.

use model::calendar::parse_asctime;
use model::{Error, UnixTime};
use sys::{Command, SharedHost};

use super::zfs::{self, Device, Pool, Status};

/// A pool, and how it is.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    pub pool: Pool,
    pub status: Status,
    /// The newest, which may still run.
    pub scan: Option<Scan>,
    pub created: UnixTime,
}

/// What reads all of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanKind {
    Scrub,
    /// A device is filled with what it should have.
    Resilver,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanState {
    Running,
    Paused,
    Finished,
    Canceled,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    pub kind: ScanKind,
    pub state: ScanState,
    /// When it ended, or since when it runs or pauses.
    pub at: UnixTime,
    /// In percent, while it runs.
    pub progress: Option<f64>,
    /// How many it could not repair.
    pub errors: Option<u64>,
    /// How much it has written anew, as ZFS says it: `12K`.
    pub repaired: Option<String>,
}

impl ScanKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scrub => "scrub",
            Self::Resilver => "resilver",
        }
    }
}

impl ScanState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Finished => "finished",
            Self::Canceled => "canceled",
        }
    }
}

impl Scan {
    /// Reads what `zpool status` says of it, in UTC.
    fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let kind = match words.first()? {
            first if first.starts_with("scrub") => ScanKind::Scrub,
            first if first.starts_with("resilver") => ScanKind::Resilver,
            _ => return None,
        };
        let marks: [(&[&str], ScanState); 4] = [
            (&["in", "progress", "since"], ScanState::Running),
            (&["paused", "since"], ScanState::Paused),
            (&["canceled", "on"], ScanState::Canceled),
            (&["errors", "on"], ScanState::Finished),
        ];
        let (state, date) = marks.iter().find_map(|(mark, state)| {
            let at = words.windows(mark.len()).position(|found| found == *mark)?;
            Some((*state, words.get(at + mark.len()..)?))
        })?;
        let at = parse_asctime(&date.get(..5)?.join(" "))?;
        let before = |what: &str| {
            let at = words
                .iter()
                .position(|word| word.trim_end_matches(',') == what)?;
            words.get(at.checked_sub(1)?).copied()
        };
        let after = |what: &str| {
            let at = words.iter().position(|word| *word == what)?;
            // Some name the device that was filled: `resilvered (mirror-0) 12K`.
            words
                .get(at + 1..)?
                .iter()
                .copied()
                .find(|word| !word.starts_with('('))
        };
        let done = before("done").and_then(|done| done.trim_end_matches('%').parse().ok());
        let has_ended = state == ScanState::Finished;
        let repaired = match (has_ended, kind) {
            (true, ScanKind::Scrub) => after("repaired"),
            (true, ScanKind::Resilver) => after("resilvered"),
            (false, ScanKind::Scrub) => before("repaired"),
            (false, ScanKind::Resilver) => before("resilvered"),
        };
        Some(Self {
            kind,
            state,
            at,
            progress: done.filter(|_| !has_ended),
            errors: before("errors")
                .filter(|_| has_ended)
                .and_then(|n| n.parse().ok()),
            repaired: repaired.map(str::to_owned),
        })
    }

    pub fn is_running(&self) -> bool {
        self.state == ScanState::Running
    }
}

/// `zpool status` in UTC.
async fn ask_status(host: &SharedHost, options: &[&str], name: &str) -> Result<Status, Error> {
    let mut command = Command::new("zpool")
        .arg("status")
        .args(options.iter().copied());
    command.env.push(("TZ".to_owned(), "UTC".to_owned()));
    let printed = zfs::answer(host, command.arg(name)).await?;
    Ok(zfs::parse_status(&printed))
}

async fn with_status(host: &SharedHost, pool: Pool) -> Result<State, Error> {
    let status = ask_status(host, &["-P"], &pool.name).await?;
    let args = ["get", "-H", "-p", "-o", "value", "creation", &pool.name];
    let created = zfs::answer(host, Command::new("zfs").args(args)).await?;
    Ok(State {
        scan: status.scan.as_deref().and_then(Scan::parse),
        created: created.trim().parse().unwrap_or_default(),
        status,
        pool,
    })
}

/// All pools that are imported.
pub async fn states(host: &SharedHost) -> Result<Vec<State>, Error> {
    let mut states = Vec::new();
    for pool in zfs::pools(host).await? {
        states.push(with_status(host, pool).await?);
    }
    Ok(states)
}

/// One of them, whose devices have their GUIDs.
pub async fn state(host: &SharedHost, name: &str) -> Result<State, Error> {
    let pools = zfs::pools(host).await?;
    let pool = pools.into_iter().find(|pool| pool.name == name);
    let missing = || Error::not_found(format!("no such pool '{name}'"));
    let mut state = with_status(host, pool.ok_or_else(missing)?).await?;
    ask_guids(host, name, &mut state.status.devices).await?;
    Ok(state)
}

/// Gives the devices of a pool their GUIDs: the same tree in the same order, with other names.
async fn ask_guids(host: &SharedHost, pool: &str, devices: &mut [Device]) -> Result<(), Error> {
    let guids = ask_status(host, &["-g"], pool).await?;
    give_guids(devices, &guids.devices);
    Ok(())
}

/// A device by the name that `zpool` has for it: that of the disk, where it has a whole one.
pub(crate) async fn plain_name(host: &SharedHost, pool: &str, guid: &str) -> Result<String, Error> {
    let mut plain = ask_status(host, &[], pool).await?.devices;
    ask_guids(host, pool, &mut plain).await?;
    let mut leaves = leaves(&plain).into_iter();
    let device = leaves.find(|device| device.guid.as_deref() == Some(guid));
    let gone = || Error::conflict(format!("pool '{pool}' has no device {guid} any more"));
    device.map(|device| device.name.clone()).ok_or_else(gone)
}

fn give_guids(devices: &mut [Device], guids: &[Device]) {
    for (device, guid) in devices.iter_mut().zip(guids) {
        let is_guid = guid.name.bytes().all(|byte| byte.is_ascii_digit());
        device.guid = is_guid.then(|| guid.name.clone());
        give_guids(&mut device.children, &guid.children);
    }
}

/// The devices that have no others in them.
fn leaves(devices: &[Device]) -> Vec<&Device> {
    let below = devices
        .iter()
        .flat_map(|device| match device.children.is_empty() {
            true => vec![device],
            false => leaves(&device.children),
        });
    below.collect()
}

impl State {
    /// The disks and files that it is made of, those that are gone among them.
    pub fn leaves(&self) -> Vec<&Device> {
        leaves(&self.status.devices)
    }

    /// In percent.
    pub fn used(&self) -> f64 {
        let part = self.pool.alloc as f64 / self.pool.size.max(1) as f64;
        (part * 10_000.0).round() / 100.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrub_is_read_in_each_of_its_states() {
        let ended = "scrub repaired 12K in 00:00:01 with 2 errors on Sun Nov  1 00:24:02 2026";
        let ended = Scan::parse(ended).unwrap();
        assert_eq!(
            (ended.kind, ended.state),
            (ScanKind::Scrub, ScanState::Finished)
        );
        assert_eq!((ended.at, ended.errors), (1_793_492_642, Some(2)));
        assert_eq!(
            (ended.repaired.as_deref(), ended.progress),
            (Some("12K"), None)
        );
        let runs = "scrub in progress since Sun Nov  1 00:24:02 2026 1.20G / 10G scanned at 100M/s, \
                    500M / 10G issued at 50M/s 0B repaired, 4.88% done, 00:03:00 to go";
        let runs = Scan::parse(runs).unwrap();
        assert!(runs.is_running() && runs.at == ended.at);
        assert_eq!(
            (runs.progress, runs.repaired.as_deref()),
            (Some(4.88), Some("0B"))
        );
        let paused = "scrub paused since Sun Nov  1 00:24:02 2026 scrub started on Sun Nov  1 \
                      00:20:00 2026 1G scanned, 500M issued, 10G total 0B repaired, 5.00% done";
        let paused = Scan::parse(paused).unwrap();
        assert_eq!(
            (paused.state, paused.progress),
            (ScanState::Paused, Some(5.0))
        );
        let canceled = Scan::parse("scrub canceled on Sun Nov  1 00:24:02 2026").unwrap();
        assert_eq!(canceled.state, ScanState::Canceled);
        assert_eq!(Scan::parse("none requested"), None);
        assert_eq!(Scan::parse("scrub in progress since yesterday"), None);
    }

    #[test]
    fn a_resilver_is_read_too() {
        let runs = "resilver in progress since Sun Nov  1 00:24:02 2026 1.2G scanned at 1M/s, 1M \
                    issued at 1M/s, 10G total 300M resilvered, 12.30% done, no estimated completion \
                    time";
        let runs = Scan::parse(runs).unwrap();
        assert_eq!((runs.kind, runs.progress), (ScanKind::Resilver, Some(12.3)));
        assert_eq!(runs.repaired.as_deref(), Some("300M"));
        for text in [
            "resilvered 1.2G in 00:00:10 with 0 errors on Sun Nov  1 00:24:02 2026",
            "resilvered (draid1-0) 1.2G in 00:00:10 with 0 errors on Sun Nov  1 00:24:02 2026",
        ] {
            let ended = Scan::parse(text).unwrap();
            assert_eq!(
                (ended.repaired.as_deref(), ended.errors),
                (Some("1.2G"), Some(0))
            );
        }
    }

    #[test]
    fn each_device_gets_its_own_guid() {
        let named = |name: &str, children| Device {
            name: name.to_owned(),
            children,
            ..Device::default()
        };
        let mut devices = [
            named(
                "tank",
                vec![named("mirror-0", vec![named("/dev/sdb1", vec![])])],
            ),
            named("logs", vec![]),
        ];
        let guids = [
            named("1", vec![named("2", vec![named("3", vec![])])]),
            named("logs", vec![]),
        ];
        give_guids(&mut devices, &guids);
        let leaf = &devices[0].children[0].children[0];
        assert_eq!(leaf.guid.as_deref(), Some("3"));
        assert_eq!(devices[1].guid, None);
    }
}
